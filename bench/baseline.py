"""`meterline bench baseline`: the same readings through a plain bytewax dataflow, beside the kernel.

What one writes first: key by meter, keep a small object for each meter in `stateful_map`, price in Python. Everything that the kernel
does for such a reading is done: it is refused if its register falls or its time is not new, cut at each hour, priced by band and tier
in exact integers, charged, summed up by hour and day, and its balance is compared with levels that have hysteresis. Both come to the
same balances (`tests/commands/test_bench.py`). Neither writes to a store.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.testing import TestingSource, run_main

from bench.fold import opened_street
from bench.fold import run as run_fold
from bench.scene import SWEEP_MS, T0, figures, usages
from bench.street import RECHARGE, SMALL_RECHARGE
from domain.units import HOUR_MS

ZONE = ZoneInfo("Asia/Shanghai")
NANOS_PER_UNIT = 1_000_000_000
BANDS = ["valley"] * 8 + ["flat"] * 2 + ["peak"] * 2 + ["flat"] * 7 + ["sharp"] * 2 + ["peak"] + ["flat"] * 2
"""By local hour."""
PRICES = {
    "sharp": (1_128_300, 1_178_300, 1_428_300),
    "peak": (868_300, 918_300, 1_168_300),
    "flat": (568_300, 618_300, 868_300),
    "valley": (288_300, 338_300, 588_300),
}
"""Nanos of money per Wh, by tier."""
LIMITS = (100_000, 240_000, 2**62)
"""Wh of a month up to which a tier goes."""
LEVELS = {"low": 20 * NANOS_PER_UNIT, "pretrip": 5 * NANOS_PER_UNIT, "arrears": 0}
HYSTERESIS = NANOS_PER_UNIT // 2
AT_ONCE = 1_000

Reading = tuple[int, int, int]
"""Meter, time in ms UTC, register in Wh."""


@dataclass(slots=True)
class Meter:
    """What is known of a meter and its account's money, in nanos."""

    balance: int
    time: int = T0
    register: int = 0
    month: tuple[int, int] = (0, 0)
    month_usage: int = 0
    hours: dict[int, list[int]] = field(default_factory=dict)
    days: dict[int, list[int]] = field(default_factory=dict)
    raised: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Settled:
    """What a reading led to."""

    meter: int
    balance: int
    alarms: list[str]


def settle(meter: Meter | None, reading: Reading) -> tuple[Meter, Settled]:
    """One reading of one meter."""
    number, at, register = reading
    if meter is None:
        meter = Meter(NANOS_PER_UNIT * (RECHARGE if number % 1000 else SMALL_RECHARGE))
    if at <= meter.time or register < meter.register:
        return meter, Settled(number, meter.balance, ["refused"])
    for begin, usage in pieces(meter.time, at, register - meter.register):
        charge(meter, begin, usage)
    meter.time, meter.register = at, register
    return meter, Settled(number, meter.balance, alarms(meter))


def pieces(begin: int, end: int, usage: int) -> Iterator[tuple[int, int]]:
    """An interval's usage cut at each hour, in proportion to time."""
    done, at = 0, begin
    while at < end:
        edge = min(end, (at // HOUR_MS + 1) * HOUR_MS)
        until = usage * (edge - begin) // (end - begin)
        yield at, until - done
        done, at = until, edge


def charge(meter: Meter, begin: int, usage: int) -> None:
    """Price usage that lies within an hour, and take it from the balance."""
    local = datetime.fromtimestamp(begin / 1000, UTC).astimezone(ZONE)
    if meter.month != (local.year, local.month):
        meter.month, meter.month_usage = (local.year, local.month), 0
    cost, left = 0, usage
    for limit, price in zip(LIMITS, PRICES[BANDS[local.hour]], strict=True):
        part = min(left, max(0, limit - meter.month_usage))
        cost += part * price
        meter.month_usage += part
        left -= part
    meter.balance -= cost
    for sums, period in ((meter.hours, begin // HOUR_MS), (meter.days, local.toordinal())):
        if period not in sums:
            sums.clear()  # It was closed by this one.
            sums[period] = [0, 0]
        sums[period][0] += usage
        sums[period][1] += cost


def alarms(meter: Meter) -> list[str]:
    """The levels that are raised or cleared by the balance as it is now."""
    said = []
    for name, level in LEVELS.items():
        if name not in meter.raised and meter.balance <= level:
            meter.raised.append(name)
            said.append(f"{name} raised")
        elif name in meter.raised and meter.balance > level + HYSTERESIS:
            meter.raised.remove(name)
            said.append(f"{name} cleared")
    return said


class Balances(DynamicSink[Settled]):
    """The newest balance of each meter, and the number of alarms."""

    def __init__(self) -> None:
        self.balances: dict[int, int] = {}
        self.alarms = 0

    def build(self, step_id: str, worker_index: int, worker_count: int) -> "BalancesPartition":  # noqa: ARG002 - bytewax's signature
        """The only writer."""
        return BalancesPartition(self)


class BalancesPartition(StatelessSinkPartition[Settled]):
    """Writes into the sink's dictionary."""

    def __init__(self, sink: Balances) -> None:
        self._sink = sink

    def write_batch(self, items: list[Settled]) -> None:
        """Keep the balances."""
        for item in items:
            self._sink.balances[item.meter] = item.balance
            self._sink.alarms += len(item.alarms)


def flow(readings: Iterable[Reading], sink: Balances) -> Dataflow:
    """The dataflow."""
    baseline = Dataflow("baseline")
    arrived = op.input("read", baseline, TestingSource(readings, AT_ONCE))
    keyed = op.key_on("by_meter", arrived, lambda reading: str(reading[0]))
    settled = op.stateful_map("settle", keyed, settle)
    op.output("keep", op.key_rm("balances", settled), sink)
    return baseline


def readings_of(meters: int, sweeps: int) -> list[Reading]:
    """One reading of each meter per sweep, as Python objects."""
    usage = usages(meters).tolist()
    return [
        (number, T0 + sweep * SWEEP_MS, sweep * usage[number - 1])
        for sweep in range(1, sweeps + 1)
        for number in range(1, meters + 1)
    ]


def run(meters: int, sweeps: int) -> dict[str, Any]:
    """Both on the same readings, one after the other, in this process; the readings are made before either is measured."""
    readings, sink = readings_of(meters, sweeps), Balances()
    begun, cpu_begun = time.perf_counter(), time.process_time()
    run_main(flow(readings, sink))  # type: ignore[no-untyped-call]  # bytewax has no types here
    seconds, cpu_seconds = time.perf_counter() - begun, time.process_time() - cpu_begun
    kernel = run_fold(opened_street(meters), sweeps, 0)
    plain = figures("baseline", meters, sweeps, seconds, cpu_seconds)
    return {
        **plain,
        "alarms": sink.alarms,
        "kernel_readings_per_s": kernel["readings_per_s"],
        "kernel_readings_per_cpu_s": kernel["readings_per_cpu_s"],
        "kernel_over_baseline": round(kernel["readings_per_cpu_s"] / plain["readings_per_cpu_s"], 1),
    }
