"""`meterline bench fold`: blocks of readings through the machine on one core, without a store.

One shard of accounts with one meter each; one reading of each meter per sweep of fifteen minutes,
in one block or in blocks of some; alarms are on, and one account in a thousand runs out of money. Each run goes on where the one
before it ended.
"""

import gc
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.scene import SWEEP_MS, T0, figures, usages
from bench.street import street
from domain.facts import Fact, ReadingBlock
from domain.ids import EntryId
from flows.machine import fold, warm_up
from flows.state import ShardState


def opened_street(meters: int) -> ShardState:
    """A shard in which every account is open."""
    warm_up()
    state = ShardState.of(street(range(1, meters + 1)))
    gc.freeze()  # A full collection would look at every account's records for nothing.
    return state


def run(state: ShardState, sweeps: int, block: int) -> dict[str, Any]:
    """Fold some sweeps more, and return the figures."""
    meters = state.meters.count
    block = min(block or meters, meters)
    done = (int(state.meters.rows["time"][0]) - T0) // SWEEP_MS
    seconds = cpu_seconds = 0.0
    for sweep in range(done + 1, done + sweeps + 1):
        entries = list(_entries(meters, sweep, block))
        begun, cpu_begun = time.perf_counter(), time.process_time()
        fold(state, entries)
        seconds += time.perf_counter() - begun
        cpu_seconds += time.process_time() - cpu_begun
    return {**figures("fold", meters, sweeps, seconds, cpu_seconds), "block": block}


def _entries(meters: int, sweep: int, block: int) -> Iterator[tuple[EntryId, Fact]]:
    """A sweep as log entries, with read-only columns as the log gives them."""
    numbers = np.arange(1, meters + 1, dtype=np.int64)
    columns = numbers, np.full(meters, T0 + sweep * SWEEP_MS, np.int64), sweep * usages(meters)
    for start in range(0, meters, block):
        yield (1 + sweep, start), ReadingBlock(*(_read_only(column[start : start + block]) for column in columns))


def _read_only(column: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.frombuffer(column.tobytes(), np.int64)
