"""`meterline bench settle`: readings through the log, the machine and the commit, every commit on disk before it counts.

What is measured is the work of `meterline settle` on a log that already holds the readings: read, fold, commit. Shards
are settled one after the other by one process; the server writes and syncs on the other core.
"""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.scene import SWEEP_MS, T0, machine, opened, order
from connectors.redis.server import EmbeddedServer
from connectors.redis.store import Store
from domain.facts import Fact, ReadingBlock, TariffPublished
from domain.ids import EntryId, shard_of
from flows.machine import warm_up
from flows.settle import Batch, fold_batch
from flows.state import ShardState
from tariffs.loader import catalogue

BLOCK = 12_500
TARIFF = "demo-electricity"
RECHARGE = 1_000
"""Units of money."""


@dataclass
class Spent:
    """Seconds in each part."""

    read: float = 0.0
    fold: float = 0.0
    commit: float = 0.0


def run(meters: int, sweeps: int, block: int, blocks_at_once: int) -> dict[str, Any]:
    """Fill a throw-away store, settle it, and return the figures."""
    with tempfile.TemporaryDirectory(prefix="meterline-bench-") as folder:
        server = EmbeddedServer.start(Path(folder))
        try:
            store = Store.open(server.url, max(1, round(meters / block)))
            warm_up()
            numbers = _open(store, meters)
            _append(store, numbers, sweeps, block)
            return _settle(store, meters, sweeps, block, blocks_at_once)
        finally:
            server.stop()


def _open(store: Store, meters: int) -> list[np.ndarray[Any, np.dtype[np.int64]]]:
    """Accounts with one meter each; returns the meter numbers of each shard, and settles all that."""
    numbers: list[list[int]] = [[] for _ in range(store.shards)]
    published = TariffPublished(at=T0, id=order(), tariff=TARIFF, document=catalogue()[TARIFF])
    facts: list[tuple[int, Fact]] = [(shard, published) for shard in range(store.shards)]
    for number in range(1, meters + 1):
        shard = shard_of(f"bench-{number}", store.shards)
        numbers[shard].append(number)
        facts += [(shard, fact) for fact in opened(number, TARIFF, RECHARGE)]
    for start in range(0, len(facts), 20_000):
        store.append_many(facts[start : start + 20_000])
    _settle_all(store, _loaded(store), 5_000, Spent())
    return [np.array(of_shard, np.int64) for of_shard in numbers]


def _append(store: Store, numbers: list[np.ndarray[Any, np.dtype[np.int64]]], sweeps: int, block: int) -> None:
    """One reading of each meter per sweep, each with its own usage, in blocks as gateways would send them."""
    for sweep in range(1, sweeps + 1):
        for shard, of_shard in enumerate(numbers):
            for start in range(0, len(of_shard), block):
                meter = of_shard[start : start + block]
                time_ = np.full(len(meter), T0 + sweep * SWEEP_MS, np.int64)
                store.append(shard, ReadingBlock(meter, time_, sweep * (50 + meter % 300)))


def _settle(store: Store, meters: int, sweeps: int, block: int, blocks_at_once: int) -> dict[str, Any]:
    states, spent = _loaded(store), Spent()
    begun = time.perf_counter()
    rows = _settle_all(store, states, blocks_at_once, spent)
    seconds = time.perf_counter() - begun
    readings = meters * sweeps
    return {
        "bench": "settle",
        "meters": meters,
        "sweeps": sweeps,
        "block": block,
        "blocks_at_once": blocks_at_once,
        "shards": store.shards,
        "seconds": round(seconds, 3),
        "readings_per_s": round(readings / seconds),
        "state_rows_per_s": round(rows / seconds),
        "read_s": round(spent.read, 3),
        "fold_s": round(spent.fold, 3),
        "commit_s": round(spent.commit, 3),
        **machine(),
    }


def _loaded(store: Store) -> list[ShardState]:
    return [ShardState.of(store.load(shard)) for shard in range(store.shards)]


def _settle_all(store: Store, states: list[ShardState], blocks_at_once: int, spent: Spent) -> int:
    """Settle every shard to its end. Returns the state rows written."""
    rows = 0
    for state in states:
        while entries := _timed_read(store, state, blocks_at_once, spent):
            begun = time.perf_counter()
            commit = fold_batch(state, Batch(state.shard, entries))
            assert commit is not None
            spent.fold += time.perf_counter() - begun
            rows += commit.rows
            begun = time.perf_counter()
            store.begin_commit(commit)
            spent.commit += time.perf_counter() - begun
    store.finish_commit()
    return rows


def _timed_read(store: Store, state: ShardState, count: int, spent: Spent) -> list[tuple[EntryId, Fact]]:
    begun = time.perf_counter()
    entries = store.read(state.shard, state.position, count)
    spent.read += time.perf_counter() - begun
    return entries
