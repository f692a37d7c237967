"""The kernel: a plain loop over the columns of a reading block, in log order, compiled by numba.

Each reading is handled alone and in order: class, usage, pieces, price, wallet, level. Nothing here knows of a batch, so
how the log is cut cannot show. What the machine must look at afterwards comes out as rows: usage, postings, quarantined
readings and events.
"""

from typing import NamedTuple

import numpy as np

from domain.effects import POSTING, QUARANTINED, USAGE
from domain.state import Rows
from domain.units import MINUTE_MS
from domain.words import Metering, Status, Supply
from flows.readings.compiled import Ints, Row, compiled
from flows.readings.levels import judge, repeat_is_due
from flows.readings.metering import advance_of, classify, row_of
from flows.readings.pricing import Prices, is_full, price_piece, segment_at
from flows.readings.settling import charge, spread
from flows.readings.windows import ROWS_AT_FIRST, add_piece, close_day, close_window, room_for_one

EVENT = np.dtype(
    (
        np.record,
        [
            ("kind", "u1"),
            ("before", "u1"),  # LEVEL, REPEAT: the level before …
            ("after", "u1"),  # … and after
            ("pad", "u1"),
            ("row", "<u4"),  # of the account, of the meter (SEEN, RELEASED), or of the quarantined rows (HELD)
            ("at", "<i8"),
            ("balance", "<i8"),
        ],
    )
)
LEVEL, REPEAT, SEEN, HELD, RELEASED = 1, 2, 3, 4, 5

FIRST = int(Metering.FIRST)
NORMAL = int(Metering.NORMAL)
ROLLOVER = int(Metering.ROLLOVER)
OUT_OF_RANGE = int(Metering.OUT_OF_RANGE)
DUPLICATE = int(Metering.DUPLICATE)
LATE = int(Metering.LATE)
DECREASE = int(Metering.DECREASE)
JUMP = int(Metering.JUMP)
UNKNOWN_METER = int(Metering.UNKNOWN_METER)
SUPPLY_KNOWN, SUPPLY_ON = int(Status.SUPPLY_KNOWN), int(Status.SUPPLY_ON)
ON, OFF = int(Supply.ON), int(Supply.OFF)

ESTIMATED_FROM_MS = 7_200_000
"""Usage spread over a longer interval than this is marked as estimated: two hours."""
POWER_MAX = 2**31 - 1
"""Most watts that a row keeps, either way; a reading that says more is nonsense, and its register is judged by itself."""
STATUS_BITS = 0xFFFF


class Columns(NamedTuple):
    """A reading block as the kernel takes it, all int64 (n,); `power` and `status` may be empty."""

    meter: Ints
    time: Ints
    register: Ints
    power: Ints
    status: Ints


class Tables(NamedTuple):
    """The rows of a shard that readings change or need, with the marks of what has changed."""

    slots: Ints
    meters: Rows
    meter_terms: Rows
    accounts: Rows
    account_terms: Rows
    counters: Rows
    dirty_meters: Ints
    dirty_accounts: Ints
    dirty_counters: Ints


@compiled
def add_event(
    events: Rows, used: int, kind: int, row: int, before: int, after: int, at: int, balance: int
) -> tuple[Rows, int]:
    """Note something for the machine to decide on. Returns (events, used)."""
    events = room_for_one(events, used)
    event = events[used]
    event.kind, event.row, event.before, event.after, event.pad = kind, row, before, after, 0
    event.at, event.balance = at, balance
    return events, used + 1


@compiled
def quarantine(
    rows: Rows, used: int, number: int, time: int, register: int, baseline: int, metering: int
) -> tuple[Rows, int]:
    """Keep a reading that is not believed. Returns (rows, used)."""
    rows = room_for_one(rows, used)
    row = rows[used]
    row.meter, row.time, row.register, row.baseline, row.metering = number, time, register, baseline, metering
    row.pad1, row.pad2, row.pad3 = 0, 0, 0
    return rows, used + 1


@compiled
def hold(meter: Row, register: int, metering: int) -> None:
    """Note on the meter that it has a case; the first register that jumped is what later ones are compared with."""
    meter.held = 1
    if metering == JUMP and meter.suspect < 0:
        meter.suspect = register


@compiled
def take_earlier_time(meter: Row, time: int, register: int) -> bool:
    """Whether a late reading shows more than the believed one, whose clock was then ahead: its register stands, its time not.

    Else nothing would be charged until the wrong time has come.
    """
    if register <= meter.register:
        return False
    meter.time = time
    return True


@compiled
def believe(meter: Row, time: int, register: int) -> None:
    """Make a reading the one that the next is judged against."""
    if register != meter.register or meter.time < 0:
        meter.moved_at = time
    meter.time, meter.register = time, register


@compiled
def usage_of(meter: Row, term: Row, register: int, metering: int) -> int:
    """Wh or litres since the last believed reading, after ratio; a first reading only begins."""
    return 0 if metering == FIRST else advance_of(meter, term, register) * term.ratio


@compiled
def at_or(column: Ints, i: int, otherwise: int) -> int:
    """The i-th value of a column, or `otherwise` where the block does not have it."""
    return column[i] if len(column) > 0 else otherwise


@compiled
def observe(meter: Row, power: int, status: int) -> bool:
    """Take over what a reading says besides its register; `status` < 0 says nothing. Returns whether the supply changed."""
    meter.power = max(-POWER_MAX, min(power, POWER_MAX))
    if status < 0:
        return False
    meter.status = status & STATUS_BITS
    before = meter.seen
    if status & SUPPLY_KNOWN:
        meter.seen = ON if status & SUPPLY_ON else OFF
    return meter.seen != before or meter.seen != meter.wanted


@compiled
def settle_interval(
    meter: Row,
    term: Row,
    account: Row,
    counters: Rows,
    end: int,
    usage: int,
    prices: Prices,
    usage_rows: Rows,
    used: int,
    posting_rows: Rows,
    posted: int,
    sequence: int,
) -> tuple[Rows, int, Rows, int]:
    """Cut the interval since the last reading at the timeline's edges; price, charge and sum up each piece.

    Returns (usage_rows, used, posting_rows, posted).
    """
    start = meter.time
    estimated = 1 if end - start > ESTIMATED_FROM_MS else 0
    index = segment_at(term.plan, start, prices)
    done = 0
    while done < usage:
        segment = prices.segments[index]
        index += 1
        edge = min(prices.segments[index].start, end)
        until = usage if edge == end else spread(usage, edge - start, end - start)
        if until == done:
            continue
        changed = meter.window_start != segment.start // MINUTE_MS or meter.window_band != segment.band
        if meter.window_start >= 0 and changed:
            usage_rows, used = close_window(meter, term.number, usage_rows, used)
        if meter.day >= 0 and meter.day != segment.day:
            posting_rows, posted = close_day(meter, term, end, posting_rows, posted, sequence)
        micros, picos = price_piece(term, counters, segment, until - done, prices)
        add_piece(meter, segment, until - done, micros, picos, estimated)
        charge(account, micros, picos)
        done = until
    return usage_rows, used, posting_rows, posted


@compiled
def fold_readings(
    block: Columns, tables: Tables, prices: Prices, now: int, sequence: int, classes: Ints, totals: Ints
) -> tuple[Rows, Rows, Rows, Rows]:
    """Fold a block of readings into the rows of a shard, in place.

    `classes` (n,) receives each reading's class, `totals` (2,) the usage priced per commodity; `sequence` is the number of
    the last posting. Returns (usage, postings, quarantined, events), each in log order.
    """
    usage_rows, used = np.empty(ROWS_AT_FIRST, USAGE), 0
    posting_rows, posted = np.zeros(ROWS_AT_FIRST, POSTING), 0
    held_rows, held = np.zeros(16, QUARANTINED), 0
    events, noted = np.empty(16, EVENT), 0
    for i in range(len(block.meter)):
        number, time, register = block.meter[i], block.time[i], block.register[i]
        row = row_of(number, tables.slots, tables.meter_terms)
        if row < 0:
            classes[i] = UNKNOWN_METER
            events, noted = add_event(events, noted, HELD, held, 0, 0, time, 0)
            held_rows, held = quarantine(held_rows, held, number, time, register, -1, UNKNOWN_METER)
            continue
        meter, term = tables.meters[row], tables.meter_terms[row]
        account = tables.accounts[term.account]
        metering = classify(meter, term, account, time, register, now)
        metering = OUT_OF_RANGE if metering in (NORMAL, ROLLOVER) and is_full(term, tables.counters) else metering
        classes[i] = metering
        if metering in (LATE, DUPLICATE):
            if metering == LATE and take_earlier_time(meter, time, register):
                tables.dirty_meters[row] = 1
            continue
        tables.dirty_meters[row] = 1
        if metering >= DECREASE:
            events, noted = add_event(events, noted, HELD, held, 0, 0, time, 0)
            held_rows, held = quarantine(held_rows, held, number, time, register, meter.register, metering)
            hold(meter, register, metering)
            if observe(meter, at_or(block.power, i, 0), at_or(block.status, i, -1)):
                events, noted = add_event(events, noted, SEEN, row, 0, 0, time, 0)
            continue
        usage = usage_of(meter, term, register, metering)
        if usage > 0:
            usage_rows, used, posting_rows, posted = settle_interval(
                meter,
                term,
                account,
                tables.counters,
                time,
                usage,
                prices,
                usage_rows,
                used,
                posting_rows,
                posted,
                sequence,
            )
            for counter in range(term.counter, term.counter + 2 * term.brackets):
                tables.dirty_counters[counter] = 1
            totals[term.commodity] += usage
            meter.total += usage
            tables.dirty_accounts[term.account] = 1
            before = account.level
            if judge(account, tables.account_terms[term.account], time):
                events, noted = add_event(
                    events, noted, LEVEL, term.account, before, account.level, time, account.balance
                )
        if meter.held:
            meter.held = 0
            meter.suspect = -1
            events, noted = add_event(events, noted, RELEASED, row, 0, 0, time, 0)
        believe(meter, time, register)
        if observe(meter, at_or(block.power, i, 0), at_or(block.status, i, -1)):
            events, noted = add_event(events, noted, SEEN, row, 0, 0, time, 0)
    return usage_rows[:used], posting_rows[:posted], held_rows[:held], events[:noted]


@compiled
def repeats_due(accounts: Rows, terms: Rows, dirty: Ints, now: int) -> Rows:
    """Count and note the level alarms that are due to be repeated at `now`. Returns REPEAT events in account order."""
    events, noted = np.empty(16, EVENT), 0
    for row in range(len(accounts)):
        account = accounts[row]
        if repeat_is_due(account, terms[row], now):
            account.repeats += 1
            account.alarmed_at = now
            dirty[row] = 1
            events, noted = add_event(events, noted, REPEAT, row, account.level, account.repeats, now, account.balance)
    return events[:noted]
