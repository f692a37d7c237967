"""`meterline bench scale`: what a reading costs, what a meter takes and how long loading takes, for few and for many meters.

Each size is a store of its own with a street of open accounts. All its shards are loaded into one process, which then folds one
reading of each meter per sweep, in blocks of the same size whatever the size of the street, as gateways send them.
"""

import gc
import multiprocessing
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from bench.scene import SWEEP_MS, T0, machine, usage_of
from bench.street import enter, numbers_of, street, thrown_away
from connectors.redis.store import Store
from domain.facts import ReadingBlock
from domain.state import ROWS
from flows.machine import fold, warm_up
from flows.state import ShardState

SHARDS, BLOCK, READINGS = 16, 625, 2_000_000
"""A store's usual number of shards; readings in a block; readings of each size, at least one of each meter."""


def run(sizes: list[int]) -> dict[str, Any]:
    """Measure each size, and return the figures of all, with the cost of a reading at the largest over that at the smallest."""
    warm_up()
    found = [_measured(meters) for meters in sizes]
    costs = [each["ns_per_reading"] for each in found]
    return {
        "bench": "scale",
        "block": BLOCK,
        "shards": SHARDS,
        "sizes": found,
        "cost_ratio": round(costs[-1] / costs[0], 3),
        "readings_per_s": found[-1]["readings_per_s"],
        **machine(),
    }


def _measured(meters: int) -> dict[str, Any]:
    numbers = numbers_of(meters, SHARDS)
    with thrown_away(SHARDS) as (url, store):
        # By another process, so that what is left of the making is not counted with what is loaded.
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as maker:
            maker.submit(_enter_all, url, numbers).result()
        gc.collect()
        before, begun, cpu_begun = _resident_bytes(), time.perf_counter(), time.process_time()
        states = [ShardState.of(store.load(shard)) for shard in range(SHARDS)]
        gc.freeze()
        load = {"load_s": time.perf_counter() - begun, "load_cpu_s": time.process_time() - cpu_begun}
    seconds, cpu_seconds, readings = _folded(states, numbers)
    return {
        "meters": meters,
        **{name: round(each, 3) for name, each in load.items()},
        "row_bytes_per_meter": round(sum(_row_bytes(state) for state in states) / meters),
        "resident_bytes_per_meter": round((_resident_bytes() - before) / meters),
        "readings": readings,
        "readings_per_s": round(readings / seconds),
        "ns_per_reading": round(1e9 * cpu_seconds / readings, 1),
    }


def _enter_all(url: str, numbers: list[list[int]]) -> None:
    store = Store.open(url)
    for shard, each in enumerate(numbers):
        enter(store, street(each, shard))
    store.close()


def _folded(states: list[ShardState], numbers: list[list[int]]) -> tuple[float, float, int]:
    """Wall seconds, seconds of the CPU and number of readings of some sweeps after a first one, which opens windows and days."""
    columns = [np.array(each, np.int64) for each in numbers]
    meters = sum(map(len, columns))
    seconds = cpu_seconds = 0.0
    sweeps = max(1, READINGS // meters)
    for sweep in range(1, sweeps + 2):
        for state, meter in zip(states, columns, strict=True):
            blocks = np.array_split(meter, max(1, round(len(meter) / BLOCK)))
            entries = [((1 + sweep, number), _block(block, sweep)) for number, block in enumerate(blocks)]
            begun, cpu_begun = time.perf_counter(), time.process_time()
            fold(state, entries)
            state.take_changes()
            if sweep > 1:
                seconds += time.perf_counter() - begun
                cpu_seconds += time.process_time() - cpu_begun
    return seconds, cpu_seconds, sweeps * meters


def _block(meter: "np.ndarray[Any, np.dtype[np.int64]]", sweep: int) -> ReadingBlock:
    return ReadingBlock(meter, np.full(len(meter), T0 + sweep * SWEEP_MS, np.int64), sweep * usage_of(meter))


def _row_bytes(state: ShardState) -> int:
    """Rows, their marks and the table from numbers to rows."""
    rows = [getattr(state, name) for name in ROWS]
    return state.slots.nbytes + sum(int(each.rows.nbytes + each.dirty.nbytes) for each in rows)


def _resident_bytes() -> int:
    """Memory of this process that is in use now, where the system says so; elsewhere the most that was."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
