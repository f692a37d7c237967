"""`meterline bench latency`: from a reading's way into the log until its account's balance shows it, as the API reads it.

`meterline settle` runs as a process of its own on an embedded server with a street of open accounts. Blocks are appended at an even
rate, to one shard after another, and after each one the account of its last meter is read, as the API reads it, until its balance
has moved. What is measured is the time between the append's beginning and that answer; blocks that meet others under way are
measured like all others.
"""

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.scene import SWEEP_MS, T0, machine, usage_of
from bench.street import enter, numbers_of, street, thrown_away
from connectors.processes import Child, meterline_command
from connectors.redis.live import LiveStore
from connectors.redis.store import Store
from domain.facts import ReadingBlock
from domain.ids import EntryId

LOOKS_AGAIN_SECONDS = 0.001
READY_SECONDS = 120.0


def run(meters: int, rate: int, block: int, seconds: float, shards: int) -> dict[str, Any]:
    """Append blocks of `block` readings at `rate` readings per second for some seconds, and return the figures."""
    with thrown_away(shards) as (url, store), tempfile.TemporaryDirectory(prefix="meterline-bench-") as folder:
        numbers = [np.array(each, np.int64) for each in numbers_of(meters, shards)]
        for shard, each in enumerate(numbers):
            enter(store, street(each.tolist(), shard))
        settle = _settling(url, Path(folder), store, numbers)
        try:
            waits = asyncio.run(_measured(url, numbers, rate, block, seconds))
        finally:
            settle.stop()
    p50, p99 = np.percentile(np.array(waits) * 1000, [50, 99]).round(2).tolist()
    return {
        "bench": "latency",
        "meters": meters,
        "shards": shards,
        "rate": rate,
        "block": block,
        "blocks": len(waits),
        "readings_per_s": round(len(waits) * block / seconds),
        "p50_ms": p50,
        "p99_ms": p99,
        "max_ms": round(max(waits) * 1000, 2),
        **machine(),
    }


def _settling(url: str, folder: Path, store: Store, numbers: list[NDArray[np.int64]]) -> Child:
    """A settle process that has loaded every shard and settled a first block in each."""
    settle = Child("settle", meterline_command("settle"), folder / "settle.log", {"REDIS_URL": url})
    settle.start()
    ends: list[EntryId] = [store.append(shard, _block(each[:1], 1)) for shard, each in enumerate(numbers)]
    deadline = time.monotonic() + READY_SECONDS
    while any(store.position(shard) < end for shard, end in enumerate(ends)):
        if time.monotonic() > deadline:
            settle.stop()
            raise TimeoutError(f"settle has not begun within {READY_SECONDS:.0f} s; it says:\n{settle.last_words()}")
        time.sleep(0.05)
    return settle


def _block(numbers: NDArray[np.int64], sweep: int) -> ReadingBlock:
    return ReadingBlock(numbers, np.full(len(numbers), T0 + sweep * SWEEP_MS, np.int64), sweep * usage_of(numbers))


async def _measured(url: str, numbers: list[NDArray[np.int64]], rate: int, block: int, seconds: float) -> list[float]:
    """Seconds from append to balance of every block."""
    live = await LiveStore.open(url)
    pieces = [
        (shard, each[start : start + block])
        for shard, each in enumerate(numbers)
        for start in range(0, len(each) - block + 1, block)
    ]
    order = np.random.default_rng(1).permutation(len(pieces)).tolist()
    begun, waiting = time.perf_counter(), []
    for number in range(max(1, round(rate * seconds / block))):
        shard, piece = pieces[order[number % len(order)]]
        await asyncio.sleep(begun + number * block / rate - time.perf_counter())
        waiting.append(asyncio.create_task(_seen(live, shard, _block(piece, 2 + number // len(order)))))
    waits = await asyncio.gather(*waiting)
    await live.close()
    return list(waits)


async def _seen(live: LiveStore, shard: int, block: ReadingBlock) -> float:
    """Seconds until the balance of the block's last meter has moved."""
    name = f"bench-{int(block.meter[-1])}"
    before = await live.account(name)
    assert before is not None
    begun = time.perf_counter()
    await live.append(shard, block)
    while True:
        view = await live.account(name)
        assert view is not None
        if view.row["balance"] != before.row["balance"]:
            return time.perf_counter() - begun
        await asyncio.sleep(LOOKS_AGAIN_SECONDS)
