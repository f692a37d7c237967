"""Intervals: usage between two readings, cut at the timeline's edges; each piece is priced, charged and summed up.

Within an interval it is not known when a meter counted: usage is spread evenly over it. Where the meter's own registers say how
much was used in which band, each band's usage is.
"""

from domain.state import Rows
from domain.units import MINUTE_MS
from flows.readings.allowances import MONEY, free_money, free_usage, give_back
from flows.readings.bands import FIVE
from flows.readings.compiled import Ints, Row, compiled
from flows.readings.output import Output
from flows.readings.pricing import Prices, price_piece
from flows.readings.settling import charge, spread
from flows.readings.windows import add_piece, close_day, close_window

ESTIMATED_FROM_MS = 7_200_000
"""Usage spread over a longer interval than this is marked as estimated: two hours."""


@compiled
def settle_piece(
    meter: Row,
    term: Row,
    account: Row,
    account_term: Row,
    counters: Rows,
    segment: Row,
    rate: int,
    usage: int,
    estimated: int,
    end: int,
    prices: Prices,
    output: Output,
    sequence: int,
) -> None:
    """Price, charge and sum up usage of one segment at row `rate` of the prices, after closing the hour and the day that are over."""
    band = prices.band[rate]
    changed = meter.window_start != segment.start // MINUTE_MS or meter.window_band != band
    if meter.window_start >= 0 and changed:
        close_window(meter, term.number, output)
    if meter.day >= 0 and meter.day != segment.day:
        close_day(meter, term, end, output, sequence)
    free = free_usage(account, account_term, term.commodity, segment.day, usage)
    if free > 0:
        micros, picos = price_piece(term, counters, segment.period, rate, free, prices)
        add_piece(meter, segment, band, free, micros, picos, estimated)
        charge(account, micros, picos)
        give_back(account, meter, micros, picos)
    if usage > free:
        micros, picos = price_piece(term, counters, segment.period, rate, usage - free, prices)
        add_piece(meter, segment, band, usage - free, micros, picos, estimated)
        charge(account, micros, picos)
        if account_term.allowance_kind == MONEY:
            micros, picos = free_money(account, account_term, segment.day, micros, picos)
            give_back(account, meter, micros, picos)


@compiled
def settle_interval(
    meter: Row,
    term: Row,
    account: Row,
    account_term: Row,
    counters: Rows,
    segments: tuple[int, int],
    end: int,
    usage: int,
    prices: Prices,
    output: Output,
    sequence: int,
) -> None:
    """Settle `usage` since the last reading by the clock: in each segment at the prices of its band.

    `segments`: the first and the last that the interval touches.
    """
    start = meter.time
    first, last = segments
    estimated = 1 if end - start > ESTIMATED_FROM_MS else 0
    done = 0
    for index in range(first, last + 1):
        until = usage if index == last else spread(usage, prices.segments[index + 1].start - start, end - start)
        if until == done:
            continue
        segment = prices.segments[index]
        rate = prices.rate[term.plan] + segment.rate
        settle_piece(
            meter, term, account, account_term, counters, segment, rate, until - done, estimated, end, prices, output, sequence
        )  # fmt: skip
        done = until


@compiled
def share_of(usage: int, index: int, segments: tuple[int, int], start: int, end: int, prices: Prices) -> int:
    """How much of the usage of [start, end), spread evenly over it, falls into one of the segments that it touches."""
    first, last = segments
    done = 0 if index == first else spread(usage, prices.segments[index].start - start, end - start)
    until = usage if index == last else spread(usage, prices.segments[index + 1].start - start, end - start)
    return until - done


@compiled
def settle_by_bands(
    meter: Row,
    term: Row,
    account: Row,
    account_term: Row,
    counters: Rows,
    segments: tuple[int, int],
    end: int,
    shares: Ints,
    prices: Prices,
    output: Output,
    sequence: int,
) -> None:
    """Settle the usage since the last reading as the meter's registers divide it: in each segment band after band, in their order.

    `shares` (5,): of each register, before ratio. A segment of a tariff by the clock has what all of them have in it, as one piece.
    """
    start = meter.time
    first, last = segments
    estimated = 1 if end - start > ESTIMATED_FROM_MS else 0
    for index in range(first, last + 1):
        segment = prices.segments[index]
        by_clock = prices.rate[term.plan] + segment.rate
        usage = 0
        for register in range(FIVE):
            usage += share_of(shares[register] * term.ratio, index, segments, start, end, prices)
            rate = prices.registers[by_clock, register]
            if usage == 0 or (rate < 0 and register < FIVE - 1):
                continue
            settle_piece(
                meter, term, account, account_term, counters, segment, rate if rate >= 0 else by_clock, usage, estimated, end,
                prices, output, sequence,
            )  # fmt: skip
            usage = 0
