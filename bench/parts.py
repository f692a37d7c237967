"""`meterline bench parts`: how much faster several settle processes are than one, each with a part of the shards.

A throw-away store holds a street of open accounts and a log of readings that nobody has folded. `meterline settle --part K/N` runs as
N processes. Time is taken from when each of them has made its first commit, so starting and loading do not count, until the last
shard is at its end. One process and several are measured in the same run, on stores of their own.
"""

import tempfile
import time
from bisect import bisect_right
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from bench.scene import SWEEP_MS, T0, machine, usage_of
from bench.street import enter, numbers_of, street, thrown_away
from connectors.processes import Child, meterline_command
from connectors.redis.store import Store
from domain.facts import ReadingBlock
from domain.ids import EntryId
from flows.settle import Part


def run(meters: int, sweeps: int, block: int, shards: int, parts: int) -> dict[str, Any]:
    """Settle the same log with one process and with `parts`, and return both figures and their ratio."""
    one, several = (_measured(meters, sweeps, block, shards, each) for each in (1, parts))
    return {
        "bench": "parts",
        "meters": meters,
        "sweeps": sweeps,
        "block": block,
        "shards": shards,
        "parts": parts,
        "one_readings_per_s": one["readings_per_s"],
        "readings_per_s": several["readings_per_s"],
        "ratio": round(several["readings_per_s"] / max(1, one["readings_per_s"]), 2),
        "one_server_cores": one["server_cores"],
        "server_cores": several["server_cores"],
        **machine(),
    }


def _measured(meters: int, sweeps: int, block: int, shards: int, parts: int) -> dict[str, float]:
    with thrown_away(shards) as (url, store), tempfile.TemporaryDirectory(prefix="meterline-bench-") as folder:
        log = [
            _filled(store, shard, numbers, sweeps, block) for shard, numbers in enumerate(numbers_of(meters, shards))
        ]
        children = []
        with ExitStack() as stack:
            for number in range(1, parts + 1):
                command = meterline_command("settle", "--part", f"{number}/{parts}")
                child = Child(f"settle-{number}", command, Path(folder) / f"{number}.log", {"REDIS_URL": url})
                child.start()
                stack.callback(child.stop)
                children.append(child)
            return _timed(store, log, block, children)


def _filled(store: Store, shard: int, numbers: list[int], sweeps: int, block: int) -> list[EntryId]:
    """Accounts and readings of a shard; the positions of the readings in its log."""
    enter(store, street(numbers, shard))
    meters = np.array(numbers, np.int64)
    return [
        store.append(
            shard, ReadingBlock(each, np.full(len(each), T0 + sweep * SWEEP_MS, np.int64), sweep * usage_of(each))
        )
        for sweep in range(1, sweeps + 1)
        for each in (meters[start : start + block] for start in range(0, len(meters), block))
    ]


def _timed(store: Store, log: list[list[EntryId]], block: int, children: list[Child]) -> dict[str, float]:
    """Readings a second from the first commit of the last process to begin, and the cores that the server was busy with."""
    shares = [Part(number, len(children)).shards(len(log)) for number in range(1, len(children) + 1)]
    while not all(any(_settled(store, shard, log) for shard in share) for share in shares):
        _wait(children)
    begun, cpu = time.perf_counter(), store.server_cpu_seconds()
    left = sum(len(each) - _settled(store, shard, log) for shard, each in enumerate(log))
    while any(store.position(shard) < each[-1] for shard, each in enumerate(log)):
        _wait(children)
    seconds = time.perf_counter() - begun
    busy = (store.server_cpu_seconds() - cpu) / seconds
    return {"readings_per_s": round(left * block / seconds), "server_cores": round(busy, 2)}


def _settled(store: Store, shard: int, log: list[list[EntryId]]) -> int:
    """How many entries of a shard are folded and committed."""
    return bisect_right(log[shard], store.position(shard))


def _wait(children: list[Child]) -> None:
    """Let them work. Raises RuntimeError with the last words of one that has ended."""
    for child in children:
        if child.process is None or child.process.poll() is not None:
            raise RuntimeError(f"{child.name} has ended:\n{child.last_words()}")
    time.sleep(0.005)
