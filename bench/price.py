"""`meterline bench price`: intervals through the compiled pricing loop alone, as the kernel runs it for every reading.

`flows.readings.intervals.settle_interval` finds the segments, cuts, prices by band and tier, charges the wallet and sums up the
hour and the day. One reading of each meter per sweep of fifteen minutes, one core; nothing is allocated while it runs.
"""

import time
from typing import Any, NamedTuple

import numpy as np

from bench.scene import DOCUMENT, SWEEP_MS, T0, TARIFF, figures, usages
from domain.state import ACCOUNT, ACCOUNT_TERMS, COUNTER, METER, METER_TERMS, Rows
from domain.units import HOUR_MS
from flows.readings.compiled import Ints, compiled
from flows.readings.intervals import settle_interval
from flows.readings.output import Output, emptied, output_of
from flows.readings.pricing import Prices, prices_of, segments_between
from tariffs.loader import load_tariff
from tariffs.tariff import plan_of
from tariffs.timeline import compile_timeline


class Street(NamedTuple):
    """Meters and accounts with their terms, and tier counters."""

    meters: Rows
    terms: Rows
    accounts: Rows
    account_terms: Rows
    counters: Rows


@compiled
def price_sweep(street: Street, usage: Ints, end: int, prices: Prices, output: Output) -> None:
    """Settle the usage of every meter from its last reading until `end`."""
    for row in range(len(street.meters)):
        meter, term = street.meters[row], street.terms[row]
        account = street.accounts[term.account]
        segments = segments_between(term.plan, meter.time, end, prices)
        account_term = street.account_terms[term.account]
        settle_interval(
            meter, term, account, account_term, street.counters, segments, end, usage[row], prices, output, 0
        )
        meter.time = end


def street(count: int) -> Street:
    """Accounts of one meter each, last read at T0."""
    meters, terms = np.zeros(count, METER), np.zeros(count, METER_TERMS)
    accounts, counters = np.zeros(count, ACCOUNT), np.zeros(2 * count, COUNTER)
    meters["time"], meters["window_start"], meters["day"], counters["period"] = T0, -1, -1, -1
    terms["number"], terms["account"] = np.arange(1, count + 1), np.arange(count)
    terms["counter"], terms["brackets"], terms["ratio"] = 2 * np.arange(count), 1, 1
    return Street(meters, terms, accounts, np.zeros(count, ACCOUNT_TERMS), counters)


def run(priced: Street, sweeps: int) -> dict[str, Any]:
    """Price some sweeps of a street that was last read at T0, and return the figures."""
    meters = len(priced.meters)
    plan = plan_of(load_tariff(DOCUMENT, TARIFF))
    prices = prices_of(compile_timeline([plan], T0 - HOUR_MS, T0 + (sweeps + 1) * SWEEP_MS))
    usage, output = usages(meters), output_of(meters)
    price_sweep(street(1), usage, T0 + SWEEP_MS, prices, output)  # Compiled, or loaded, before it is measured.
    seconds = cpu_seconds = 0.0
    for sweep in range(1, sweeps + 1):
        emptied(output)
        begun, cpu_begun = time.perf_counter(), time.process_time()
        price_sweep(priced, usage, T0 + sweep * SWEEP_MS, prices, output)
        seconds += time.perf_counter() - begun
        cpu_seconds += time.process_time() - cpu_begun
    return figures("price", meters, sweeps, seconds, cpu_seconds)
