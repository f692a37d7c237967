"""`meterline bench memory`: readings at an even rate, with settlement and archive beside, and what the server holds over time.

`meterline settle` and `meterline archive` run as processes of their own on an embedded server with a street of open accounts. Every
few seconds it is noted how much memory the server uses, how many entries its logs hold, and what its file of writes and the archive
take on disk. The peak of a half is the most that was seen in it: where the second is no higher than the first, nothing grows.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.scene import SWEEP_MS, T0, machine, usage_of
from bench.street import enter, numbers_of, street
from connectors.archive.files import Archive
from connectors.processes import Child, meterline_command
from connectors.redis.server import EmbeddedServer
from connectors.redis.store import Store
from domain.facts import Fact, ReadingBlock, Ticked

READY_SECONDS = 120.0
LOOKS = 60
"""Times at which it is looked, over the whole run."""
_MEGABYTE = 1_000_000

Say = Callable[[dict[str, Any]], None]


def run(
    meters: int, rate: int, block: int, seconds: float, shards: int, keep_minutes: float, every_minutes: float, say: Say
) -> dict[str, Any]:
    """Append at `rate` readings per second for some seconds; `say` is told each look. Returns the figures."""
    with tempfile.TemporaryDirectory(prefix="meterline-bench-") as folder:
        data = Path(folder)
        server = EmbeddedServer.start(data)
        store = Store.open(server.url, shards)
        children: list[Child] = []
        try:
            numbers = [np.array(each, np.int64) for each in numbers_of(meters, shards)]
            for shard, each in enumerate(numbers):
                enter(store, street(each.tolist(), shard))
            children += _beside(data, keep_minutes, every_minutes)
            _settled(store, children[0])
            looks = []
            for look in _looks(store, data, numbers, rate, block, seconds):
                say(look)
                looks.append(look)
                for child in children:
                    child.watch()
            archived = _rows_archived(data, shards)
        finally:
            for child in children:
                child.stop()
            store.close()
            server.stop()
    return {
        "bench": "memory",
        "meters": meters,
        "shards": shards,
        "rate": rate,
        "block": block,
        "keep_minutes": keep_minutes,
        "every_minutes": every_minutes,
        "restarts": sum(child.starts for child in children) - len(children),
        **_figures(looks),
        "log_entries_archived": archived,
        **machine(),
    }


def _figures(looks: list[dict[str, Any]]) -> dict[str, Any]:
    """What the looks come to."""
    halves = [looks[: len(looks) // 2] or looks, looks[len(looks) // 2 :]]
    last = looks[-1]
    return {
        "seconds": last["seconds"],
        "readings": last["readings"],
        "readings_per_s": round(last["readings"] / last["seconds"]),
        **{
            f"{name}_peak_of_halves": [max(each[name] for each in half) for half in halves]
            for name in ("memory_mb", "resident_mb", "log_entries", "file_of_writes_mb")
        },
        "archive_mb": last["archive_mb"],
        "memory_mb_over_time": [each["memory_mb"] for each in looks],
    }


def _beside(data: Path, keep_minutes: float, every_minutes: float) -> list[Child]:
    terms = ("--keep-minutes", str(keep_minutes), "--every-minutes", str(every_minutes))
    commands = {"settle": ("settle", "--data", str(data)), "archive": ("archive", "--data", str(data), *terms)}
    # An address that the caller has exported is another store.
    here = {"REDIS_URL": "", "METERLINE_ARCHIVE": ""}
    children = [Child(name, meterline_command(*words), data / f"{name}.log", here) for name, words in commands.items()]
    for child in children:
        child.start()
    return children


def _settled(store: Store, settle: Child) -> None:
    """Wait until every shard has settled a first fact."""
    store.append_to_all(Ticked(at=T0))
    deadline = time.monotonic() + READY_SECONDS
    while any(store.position(shard) < store.last(shard) for shard in range(store.shards)):
        if time.monotonic() > deadline:
            raise TimeoutError(f"settle has not begun within {READY_SECONDS:.0f} s; it says:\n{settle.last_words()}")
        time.sleep(0.05)


def _looks(
    store: Store, data: Path, numbers: list[NDArray[np.int64]], rate: int, block: int, seconds: float
) -> Iterator[dict[str, Any]]:
    """Append block by block, and look now and then."""
    begun, readings, looks = time.monotonic(), 0, 0
    for shard, fact in _facts(numbers, block):
        passed = time.monotonic() - begun
        if passed >= looks * seconds / LOOKS:
            yield {"seconds": round(passed, 1), "readings": readings, **_look(store, data)}
            looks += 1
        if passed >= seconds:
            return
        time.sleep(max(0.0, begun + readings / rate - time.monotonic()))
        store.append(shard, fact)
        readings += len(fact) if isinstance(fact, ReadingBlock) else 0


def _facts(numbers: list[NDArray[np.int64]], block: int) -> Iterator[tuple[int, Fact]]:
    """Without end: a reading of each meter in blocks, then a tick for each shard, and again a quarter of an hour later."""
    for sweep in count(1):
        at = T0 + sweep * SWEEP_MS
        for shard, each in enumerate(numbers):
            for start in range(0, len(each), block):
                meter = each[start : start + block]
                yield shard, ReadingBlock(meter, np.full(len(meter), at, np.int64), sweep * usage_of(meter))
        yield from ((shard, Ticked(at=at)) for shard in range(len(numbers)))


def _look(store: Store, data: Path) -> dict[str, Any]:
    used, resident = store.server_memory_bytes()
    return {
        "memory_mb": round(used / _MEGABYTE, 1),
        "resident_mb": round(resident / _MEGABYTE, 1),
        "log_entries": sum(store.length("log", shard) for shard in range(store.shards)),
        "file_of_writes_mb": round(_on_disk(data / "redis") / _MEGABYTE, 1),
        "archive_mb": round(_on_disk(data / "archive") / _MEGABYTE, 1),
    }


def _on_disk(folder: Path) -> int:
    """Bytes of all files below a folder; some may go meanwhile."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total


def _rows_archived(data: Path, shards: int) -> int:
    """Entries of all logs that are in the archive, by its files; reading their names shows that none is missing."""
    archive = Archive.at(data / "archive")
    return sum(archive.table(each).height for shard in range(shards) for each in archive.ranges("log", shard))
