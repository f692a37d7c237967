"""`meterline bench settle`: readings through the log, the machine and the commit, every commit on disk before it counts.

What is measured is the work of `meterline settle` on a log that already holds the readings: its three steps, read, fold and commit,
shard after shard in turn, by one process; the server reads, applies and syncs on the other core. Each run goes on where the one
before it ended; a sweep before the first is not counted, for a process that settles has begun long ago.
"""

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.scene import SWEEP_MS, T0, figures, usage_of
from bench.street import enter, numbers_of, street, thrown_away
from connectors.metrics import Measures
from connectors.redis.store import Store
from domain.facts import ReadingBlock
from domain.metrics import Process
from flows.machine import warm_up
from flows.settle import CommitPartition, LogPartition, fold_batch
from flows.state import ShardState

BLOCK = 12_500


@dataclass(eq=False)
class Line:
    """One shard with its three steps."""

    numbers: NDArray[np.int64]
    state: ShardState
    log: LogPartition
    commits: CommitPartition


@dataclass
class Spent:
    """Wall seconds in each step, and the state rows written."""

    seconds: dict[str, float] = field(default_factory=lambda: {"read": 0.0, "fold": 0.0, "commit": 0.0})
    rows: int = 0

    @contextmanager
    def on(self, step: str) -> Iterator[None]:
        """Count the time of a step."""
        begun = time.perf_counter()
        yield
        self.seconds[step] += time.perf_counter() - begun


def run(meters: int, sweeps: int, block: int, blocks_at_once: int, runs: int) -> list[dict[str, Any]]:
    """Fill a throw-away store, settle it `runs` times, and return the figures of each run."""
    warm_up()
    shards = max(1, round(meters / block))
    with thrown_away(shards) as (url, store):
        lines = [_line(url, store, shard, numbers) for shard, numbers in enumerate(numbers_of(meters, shards))]
        gc.freeze()
        _append(store, lines, 1, block)
        _settle(store, lines, 1, blocks_at_once)
        results = []
        for number in range(runs):
            for sweep in range(number * sweeps + 2, (number + 1) * sweeps + 2):
                _append(store, lines, sweep, block)
            results.append({**_settle(store, lines, sweeps, blocks_at_once), "block": block})
        for line in lines:
            line.commits.close()
            line.log.close()
        return results


def _line(url: str, store: Store, shard: int, numbers: list[int]) -> Line:
    enter(store, street(numbers, shard))
    log = LogPartition(Store.open(url), shard, 1)
    commits = CommitPartition(Store.open(url), Measures(Process.SETTLE)["settle_commit_seconds"])
    return Line(np.array(numbers, np.int64), ShardState.of(store.load(shard)), log, commits)


def _append(store: Store, lines: list[Line], sweep: int, block: int) -> None:
    """One reading of each meter, each with its own usage, in blocks as gateways would send them."""
    for shard, line in enumerate(lines):
        for start in range(0, len(line.numbers), block):
            meter = line.numbers[start : start + block]
            time_ = np.full(len(meter), T0 + sweep * SWEEP_MS, np.int64)
            store.append(shard, ReadingBlock(meter, time_, sweep * usage_of(meter)))


def _settle(store: Store, lines: list[Line], sweeps: int, blocks_at_once: int) -> dict[str, Any]:
    spent, meters = Spent(), sum(len(line.numbers) for line in lines)
    for line in lines:
        line.log.entries_at_once = blocks_at_once
    served, begun, cpu_begun = store.server_cpu_seconds(), time.perf_counter(), time.process_time()
    _settle_all(lines, spent)
    seconds, cpu_seconds = time.perf_counter() - begun, time.process_time() - cpu_begun
    return {
        **figures("settle", meters, sweeps, seconds, cpu_seconds),
        "server_cpu_seconds": round(store.server_cpu_seconds() - served, 3),
        "blocks_at_once": blocks_at_once,
        "shards": len(lines),
        "state_rows_per_s": round(spent.rows / seconds),
        **{f"{step}_s": round(each, 3) for step, each in spent.seconds.items()},
    }


def _settle_all(lines: list[Line], spent: Spent) -> None:
    """Settle every shard to its end, a batch of each in turn, until the last commit is on disk."""
    waiting = list(lines)
    while waiting:
        for line in list(waiting):
            with spent.on("read"):
                batches = line.log.next_batch()
            if not batches:
                waiting.remove(line)
            for _, batch in batches:
                with spent.on("fold"):
                    commit = fold_batch(line.state, batch)
                assert commit is not None
                spent.rows += commit.rows
                with spent.on("commit"):
                    line.commits.write_batch([commit])
    with spent.on("commit"):
        for line in lines:
            line.commits.finish()
