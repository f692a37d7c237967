"""Usage that a person has decided on: priced in the compiled loop like a reading's, and given back as exactly as it was charged.

What is believed after all is settled by the readings' own `settle_interval`. A correction stands beside the meter's open hour and day: it
has usage rows of its own. Less than nothing takes the top of a period's counter away again, F(used) - F(used - d), and where the whole
use chooses the prices, the difference of two totals, as in `flows/readings/pricing.py`.
"""

import numpy as np

from domain.state import ACCOUNT, ACCOUNT_TERMS, COUNTER, METER, METER_TERMS, Rows
from domain.units import MINUTE_MS, PICOS_PER_MICRO
from flows.readings.compiled import Row, compiled
from flows.readings.intervals import settle_interval
from flows.readings.metering import note_movement
from flows.readings.output import Output, output_of
from flows.readings.pricing import Prices, bracket_of, is_full, price_piece, segments_between, tiered_cost
from flows.readings.settling import charge, spread
from flows.readings.windows import add_piece, close_window
from tariffs.levels import NO_LIMIT
from tariffs.model import REGISTERS
from tariffs.timeline import SEGMENT


@compiled
def kept_row(counters: Rows, first: int, brackets: int, period: int) -> int:
    """First row of a period in the counter that begins at row `first`; -1 where it is not kept."""
    if counters[first].period == period:
        return first
    return first + brackets if counters[first + brackets].period == period else -1


@compiled
def is_at_one_price(term: Row, counters: Rows, segment: Row, prices: Prices) -> bool:
    """Whether a period that the counter has forgotten does not matter, because its prices know no tiers."""
    kept = min(counters[term.counter].period, counters[term.counter + term.brackets].period)
    rate = prices.rate[term.plan] + segment.rate
    return segment.period < kept and term.brackets == 1 and prices.edges[rate, 0] == NO_LIMIT


@compiled
def can_take_back(
    term: Row, counters: Rows, segments: tuple[int, int], start: int, end: int, usage: int, prices: Prices
) -> bool:
    """Whether no counter would fall below nothing if `usage` of [start, end), which touches these segments, were given back."""
    first, last = segments
    done, of_first, of_second = 0, 0, 0
    for index in range(first, last + 1):
        until = usage if index == last else spread(usage, prices.segments[index + 1].start - start, end - start)
        segment = prices.segments[index]
        row = kept_row(counters, term.counter, term.brackets, segment.period)
        if row == term.counter:
            of_first += until - done
        elif row >= 0:
            of_second += until - done
        elif until > done and not is_at_one_price(term, counters, segment, prices):
            return False
        done = until
    second = counters[term.counter + term.brackets]
    return of_first <= counters[term.counter].used and of_second <= second.used


@compiled
def opposite(micros: int, picos: int) -> tuple[int, int]:
    """The amount with its sign turned, micros rounded down, picos 0 … 999 999."""
    return (-micros, 0) if picos == 0 else (-micros - 1, PICOS_PER_MICRO - picos)


@compiled
def lower_totals(counters: Rows, row: int, brackets: int, usage: int, rate: int, prices: Prices) -> tuple[int, int]:
    """Cost (negative where prices are not) of giving back the last `usage` of a period whose total chooses the prices."""
    used = counters[row].used
    before = counters[row + bracket_of(used, rate, prices)]
    micros, picos = -before.micros, -before.picos
    for bracket in range(brackets):
        counter = counters[row + bracket]
        less_micros, less_picos = tiered_cost(used - usage, usage, rate, bracket, prices)
        counter.micros -= less_micros
        counter.picos -= less_picos
        if counter.picos < 0:
            counter.micros -= 1
            counter.picos += PICOS_PER_MICRO
    after = counters[row + bracket_of(used - usage, rate, prices)]
    micros += after.micros
    picos += after.picos
    return micros + picos // PICOS_PER_MICRO, picos % PICOS_PER_MICRO


@compiled
def take_back_piece(term: Row, counters: Rows, segment: Row, usage: int, prices: Prices) -> tuple[int, int]:
    """Count the usage of one piece off again and return its exact cost, mostly negative: (micros rounded down, picos 0 … 999 999)."""
    rate = prices.rate[term.plan] + segment.rate
    row = kept_row(counters, term.counter, term.brackets, segment.period)
    if row < 0:
        micros, picos = tiered_cost(0, usage, rate, 0, prices)
        return opposite(micros, picos)
    if term.brackets == 1:
        micros, picos = tiered_cost(counters[row].used - usage, usage, rate, 0, prices)
        micros, picos = opposite(micros, picos)
    else:
        micros, picos = lower_totals(counters, row, term.brackets, usage, rate, prices)
    counters[row].used -= usage
    return micros, picos


@compiled
def correct_interval(
    sums: Row,
    term: Row,
    account: Row,
    counters: Rows,
    segments: tuple[int, int],
    start: int,
    end: int,
    usage: int,
    prices: Prices,
    output: Output,
) -> None:
    """Charge `usage` of [start, end), or give it back where it is negative, spread evenly, into usage rows that are all closed.

    `sums` is a METER row of its own, without open hour or day; its day becomes the last one's, its `day_cost` and `day_picos` the cost.
    `output` must have room for a row of each segment.
    """
    first, last = segments
    size, done = abs(usage), 0
    for index in range(first, last + 1):
        until = size if index == last else spread(size, prices.segments[index + 1].start - start, end - start)
        part = until - done
        done = until
        if part == 0:
            continue
        segment = prices.segments[index]
        changed = sums.window_start != segment.start // MINUTE_MS or sums.window_band != segment.band
        if sums.window_start >= 0 and changed:
            close_window(sums, term.number, output)
        if usage > 0:
            rate = prices.rate[term.plan] + segment.rate
            micros, picos = price_piece(term, counters, segment.period, rate, part, prices)
        else:
            micros, picos = take_back_piece(term, counters, segment, part, prices)
            part = -part
        add_piece(sums, segment, segment.band, part, micros, picos, 1)
        charge(account, micros, picos)
    if sums.window_start >= 0:
        close_window(sums, term.number, output)


def compile_decided() -> None:
    """Have this compiled, or loaded from an earlier compilation, before a person's decision waits for it."""
    prices = Prices(
        segments=np.zeros(2, SEGMENT),
        first=np.zeros((1, 1), np.int32),
        base_hour=0,
        track=np.zeros(1, np.int32),
        rate=np.zeros(1, np.int32),
        edges=np.full((1, 1), NO_LIMIT, np.int64),
        bracket=np.zeros((1, 1), np.uint8),
        prices=np.zeros((1, 1, 1), np.int64),
        band=np.zeros(1, np.int32),
        registers=np.full((1, len(REGISTERS)), -1, np.int32),
    )
    prices.segments["start"][1] = 1
    rows = [np.zeros(1, dtype) for dtype in (METER, METER_TERMS, ACCOUNT, ACCOUNT_TERMS)]
    meter, term, account, account_term = (row[0] for row in rows)
    counters, output = np.zeros(2, COUNTER), output_of(1)
    segments = segments_between(0, 0, 1, prices)
    settle_interval(meter, term, account, account_term, counters, segments, 1, 0, prices, output, 0)
    can_take_back(term, counters, segments, 0, 1, 0, prices)
    correct_interval(meter, term, account, counters, segments, 0, 1, 0, prices, output)
    is_full(term, counters)
    note_movement(meter, 0)
