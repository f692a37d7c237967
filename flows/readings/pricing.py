"""Pricing in the compiled loop: an interval cut at the timeline's edges, each piece cut at the limits of its tiers.

A tier counter belongs to an account's meters of one commodity. It remembers the running tier period and the one before, so a
meter that is read late still finds its own; what comes for a period older than both is priced as if nothing had been used in
it, and not kept. Where the whole use of a period chooses the prices, a counter keeps what the period would cost in each
case, and a charge is the difference of two totals: the correction is booked with the reading that crosses.
"""

from typing import Any, NamedTuple

import numpy as np

from domain.state import Rows
from domain.units import HOUR_MS, MONEY_MAX_MICROS, PICOS_PER_MICRO
from flows.readings.compiled import Ints, Row, allocating, compiled
from flows.readings.settling import cost_of
from tariffs.timeline import Timeline


class Prices(NamedTuple):
    """The timeline of the shard's plans (`tariffs.timeline.Timeline`)."""

    segments: Rows
    first: Ints
    base_hour: int
    track: Ints
    rate: Ints
    edges: Ints
    bracket: Ints
    prices: Ints
    band: Ints
    registers: Ints


def prices_of(timeline: Timeline) -> Prices:
    """A timeline as the kernel takes it."""
    return Prices(
        timeline.segments,
        timeline.first,
        timeline.base_hour,
        timeline.track,
        timeline.rate,
        timeline.edges,
        timeline.bracket,
        timeline.prices,
        timeline.band,
        timeline.registers,
    )


@compiled
def segment_at(plan: int, time: int, prices: Prices) -> int:
    """Index of the segment of a plan that contains `time` (ms UTC)."""
    index: int = prices.first[prices.track[plan], time // HOUR_MS - prices.base_hour]
    while prices.segments[index + 1].start <= time:
        index += 1
    return index


@allocating
def days_at(time: int, timeline: tuple[Any, ...]) -> Ints:
    """The local day number of each plan's zone at `time` (ms UTC), int32 (plans,). Takes `Prices` as a plain tuple."""
    prices = Prices(*timeline)
    days = np.empty(len(prices.track), np.int32)
    for plan in range(len(days)):
        days[plan] = prices.segments[segment_at(plan, time, prices)].day
    return days


@compiled
def segments_between(plan: int, start: int, end: int, prices: Prices) -> tuple[int, int]:
    """Indexes of the first and the last segment that [start, end) touches."""
    first = segment_at(plan, start, prices)
    return first, first if end <= prices.segments[first + 1].start else segment_at(plan, end - 1, prices)


@compiled
def counter_row(counters: Rows, first: int, brackets: int, period: int) -> int:
    """First row of a period in the counter that begins at row `first`; -1 for a period older than both that it keeps."""
    second = first + brackets
    if counters[first].period == period:
        return first
    if counters[second].period == period:
        return second
    older = first if counters[first].period <= counters[second].period else second
    if period < counters[older].period:
        return -1
    for row in range(older, older + brackets):
        counter = counters[row]
        counter.period, counter.used, counter.micros, counter.picos = period, 0, 0, 0
    return older


@compiled
def tiered_cost(used: int, usage: int, rate: int, bracket: int, prices: Prices) -> tuple[int, int]:
    """Exact cost (micros, picos) of `usage` after `used` of the period, cut at the limits of its tiers."""
    micros, picos, level = 0, 0, 0
    while prices.edges[rate, level] <= used:
        level += 1
    while usage > 0:
        part = min(usage, prices.edges[rate, level] - used)
        more_micros, more_picos = cost_of(part, prices.prices[rate, level, bracket])
        micros += more_micros
        picos += more_picos
        used += part
        usage -= part
        level += 1
    return micros + picos // PICOS_PER_MICRO, picos % PICOS_PER_MICRO


@compiled
def bracket_of(used: int, rate: int, prices: Prices) -> int:
    """Which prices rule a period of this total use; a limit itself is in the lower bracket."""
    level = 0
    while prices.edges[rate, level] < used:
        level += 1
    bracket: int = prices.bracket[rate, level]
    return bracket


@compiled
def corrected_cost(counters: Rows, row: int, brackets: int, usage: int, rate: int, prices: Prices) -> tuple[int, int]:
    """Cost of `usage` where the period's total chooses the prices: what the period costs now less what it has cost."""
    used = counters[row].used
    before = counters[row + bracket_of(used, rate, prices)]
    micros, picos = -before.micros, -before.picos
    for bracket in range(brackets):
        counter = counters[row + bracket]
        more_micros, more_picos = tiered_cost(used, usage, rate, bracket, prices)
        counter.micros += more_micros + (counter.picos + more_picos) // PICOS_PER_MICRO
        counter.picos = (counter.picos + more_picos) % PICOS_PER_MICRO
    after = counters[row + bracket_of(used + usage, rate, prices)]
    micros += after.micros
    picos += after.picos
    return micros + picos // PICOS_PER_MICRO, picos % PICOS_PER_MICRO


@compiled
def price_piece(term: Row, counters: Rows, period: int, rate: int, usage: int, prices: Prices) -> tuple[int, int]:
    """Count the usage of one piece and return its exact cost at row `rate` of the prices: (micros rounded down, picos 0 … 999 999)."""
    row = counter_row(counters, term.counter, term.brackets, period)
    if row < 0:
        return tiered_cost(0, usage, rate, bracket_of(usage, rate, prices), prices)
    if term.brackets == 1:
        micros, picos = tiered_cost(counters[row].used, usage, rate, 0, prices)
    else:
        micros, picos = corrected_cost(counters, row, term.brackets, usage, rate, prices)
    counters[row].used += usage
    return micros, picos


@compiled
def periods_of(term: Row, counters: Rows) -> tuple[int, int]:
    """The two periods that a meter's tier counter keeps, in the order of their rows."""
    return counters[term.counter].period, counters[term.counter + term.brackets].period


@compiled
def is_full(term: Row, counters: Rows) -> bool:
    """Whether what a counter keeps comes near the end of 64 bits; then nothing is counted on."""
    for row in range(term.counter, term.counter + 2 * term.brackets):
        if abs(counters[row].micros) > MONEY_MAX_MICROS or counters[row].used > MONEY_MAX_MICROS:
            return True
    return False
