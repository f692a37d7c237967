"""The kernel: a plain loop over the columns of a reading block, in log order, compiled by numba.

Each reading is handled alone and in order: class, usage, pieces, price, wallet, level. Nothing here knows of a batch, so
how the log is cut cannot show. What the machine must look at afterwards comes out as rows: usage, postings, quarantined
readings and events.
"""

from typing import Any, NamedTuple

import numpy as np

from domain.state import Rows
from domain.words import Metering, Status, Supply
from flows.readings.bands import FIVE, are_readable, begin, count_shares, divide
from flows.readings.changes import ACCOUNT_REST, CHANGED, HOT, METER_REST, mark, remember
from flows.readings.compiled import Ints, Row, allocating, compiled
from flows.readings.intervals import settle_by_bands, settle_interval
from flows.readings.levels import judge, repeat_is_due
from flows.readings.metering import (
    VACANT_MODULUS,
    advance_of,
    classify,
    is_quarantined,
    most_countable,
    note_movement,
    row_of,
)
from flows.readings.output import (
    EVENT,
    LEVEL,
    LOAD,
    RELEASED,
    REPEAT,
    SEEN,
    STEP,
    USED,
    Output,
    add_event,
    has_room,
    quarantine,
    write_event,
)
from flows.readings.pricing import Prices, is_full, periods_of, segments_between

FIRST = int(Metering.FIRST)
NORMAL = int(Metering.NORMAL)
ROLLOVER = int(Metering.ROLLOVER)
OUT_OF_RANGE = int(Metering.OUT_OF_RANGE)
DUPLICATE = int(Metering.DUPLICATE)
LATE = int(Metering.LATE)
JUMP = int(Metering.JUMP)
UNKNOWN_METER = int(Metering.UNKNOWN_METER)
VACANT = int(Metering.VACANT)
SUPPLY_KNOWN, SUPPLY_ON = int(Status.SUPPLY_KNOWN), int(Status.SUPPLY_ON)
ON, OFF = int(Supply.ON), int(Supply.OFF)

POWER_MAX = 2**31 - 1
"""Most watts that a row keeps, either way; a reading that says more is nonsense, and its register is judged by itself."""
STATUS_BITS = 0xFFFF


class Columns(NamedTuple):
    """A reading block as the kernel takes it, all int64 (n,), `bands` (n, 5); `power`, `status` and `bands` may be empty."""

    meter: Ints
    time: Ints
    register: Ints
    power: Ints
    status: Ints
    bands: Ints


class Tables(NamedTuple):
    """The rows of a shard that readings change or need, with the marks of what has changed."""

    slots: Ints
    meters: Rows
    meter_terms: Rows
    accounts: Rows
    account_terms: Rows
    counters: Rows
    meter_words: Ints
    account_words: Ints
    dirty_meters: Ints
    dirty_accounts: Ints
    dirty_counters: Ints
    meter_before: Ints
    account_before: Ints
    band_registers: Rows
    band_words: Ints
    dirty_bands: Ints
    shares: Ints


@compiled
def hold(meter: Row, register: int, metering: int) -> None:
    """Note on the meter that it has a case; the first register that jumped is what later ones are compared with."""
    meter.held, meter.heard_last = 1, 0
    if metering == JUMP and meter.suspect < 0:
        meter.suspect = register


@compiled
def take_earlier_time(meter: Row, time: int, register: int) -> bool:
    """Whether a late reading shows more than the believed one, whose clock was then ahead: its register stands, its time not.

    Else nothing would be charged until the wrong time has come.
    """
    if register <= meter.register:
        return False
    if meter.still_since < 0:
        meter.still_since = meter.time
    meter.time = time
    return True


@compiled
def believe(meter: Row, time: int, register: int) -> None:
    """Make a reading the one that the next is judged against."""
    note_movement(meter, register)
    meter.time, meter.register, meter.heard_last = time, register, 1


@compiled
def usage_of(meter: Row, term: Row, register: int, metering: int) -> int:
    """Wh or litres since the last believed reading, after ratio; a first reading only begins, and a vacant one is nobody's."""
    return 0 if metering in (FIRST, VACANT) else advance_of(meter, term, register) * term.ratio


@compiled
def count(output: Output, classes: Ints, i: int, metering: int) -> None:
    """Say and count the class of the i-th reading."""
    classes[i] = metering
    output.counted[metering] += 1


@compiled
def at_or(column: Ints, i: int, otherwise: int) -> int:
    """The i-th value of a column, or `otherwise` where the block does not have it."""
    return column[i] if len(column) > 0 else otherwise


@compiled
def note_load(meter: Row, term: Row, power: Ints, i: int, row: int, time: int, output: Output) -> None:
    """Note too much power, and a step of it since the reading before, where the i-th reading says its power."""
    if len(power) == 0:
        return
    if term.step > 0 and meter.has_power and power[i] - meter.power >= term.step:
        add_event(output, STEP, row, 0, 0, time, power[i] - meter.power)
    if term.power_limit > 0 and power[i] > term.power_limit:
        add_event(output, LOAD, row, 0, 0, time, power[i])


@compiled
def counted_by(meter: Row, term: Row, register: int, time: int) -> int:
    """Wh or litres that a meter can have counted since the last believed reading, whoever pays for it; 0 for a jump or fall."""
    if meter.time < 0:
        return 0
    advance = advance_of(meter, term, register)
    return advance * term.ratio if 0 < advance <= most_countable(term, time - meter.time) else 0


@compiled
def count_vacant(meter: Row, counted: int) -> None:
    """Count what nobody pays for, so that whoever watches the meter learns of it."""
    meter.vacant_usage = (meter.vacant_usage + VACANT_MODULUS + counted) % VACANT_MODULUS


@compiled
def note_use(meter: Row, term: Row, register: int, row: int, time: int, output: Output) -> None:
    """Note what a meter has counted although its supply was off, and was to be, when it was last seen."""
    if meter.seen != OFF or meter.wanted != OFF:
        return
    counted = counted_by(meter, term, register, time)
    if counted > 0:
        add_event(output, USED, row, 0, 0, time, counted)


@compiled
def watts_of(power: int) -> int:
    """The power that a row keeps."""
    return max(-POWER_MAX, min(power, POWER_MAX))


@compiled
def observe(meter: Row, power: int, has_power: int, status: int) -> bool:
    """Take over what a reading says besides its register; `status` < 0 says nothing. Returns whether the supply changed."""
    meter.has_power = has_power
    meter.power = watts_of(power)
    if status < 0:
        return False
    meter.status = status & STATUS_BITS
    before = meter.seen
    if status & SUPPLY_KNOWN:
        meter.seen = ON if status & SUPPLY_ON else OFF
    return meter.seen != before or meter.seen != meter.wanted


@compiled
def is_divided(i: int, meter: Row, term: Row, usage: int, metering: int, block: Columns, tables: Tables) -> bool:
    """Whether the meter's own registers say what of the usage since its last reading is of which band; `shares` are then that."""
    own = term.bands - 1
    followed = meter.time >= 0 and tables.band_registers[own].time == meter.time
    if metering in (FIRST, VACANT) or not followed or not are_readable(i, block.bands, term.modulus):
        return False
    total, rows, words = usage // term.ratio, tables.band_registers, tables.band_words
    return divide(i, block.bands, own, rows, words, term, total, tables.shares)


@compiled
def follow(i: int, term: Row, divided: int, block: Columns, tables: Tables) -> None:
    """Keep what has been charged of the meter's own registers by the i-th reading, where it has them; they are then those of its time."""
    if not are_readable(i, block.bands, term.modulus):
        return
    own = term.bands - 1
    if divided:
        count_shares(own, tables.band_registers, tables.band_words, term.modulus, tables.shares)
    else:
        begin(i, block.bands, own, tables.band_words)
    tables.band_registers[own].time = block.time[i]
    tables.dirty_bands[own] = 1


@compiled
def mark_counter(term: Row, periods: tuple[int, int], counters: Rows, dirty: Ints) -> None:
    """Mark the rows of a meter's tier counter, whose periods were these before: where none has begun and no cost is kept only what is used changes."""
    is_hot = term.brackets == 1 and periods == periods_of(term, counters)
    for row in range(term.counter, term.counter + 2 * term.brackets):
        if dirty[row] != CHANGED:
            dirty[row] = HOT if is_hot else CHANGED


@compiled
def settle_reading(
    i: int, row: int, metering: int, block: Columns, tables: Tables, prices: Prices, output: Output, sequence: int
) -> bool:
    """Settle a reading that is believed. Returns False, with nothing changed, where `output` might not have room for it."""
    meter, term = tables.meters[row], tables.meter_terms[row]
    time, register = block.time[i], block.register[i]
    usage = usage_of(meter, term, register, metering)
    by_bands = term.bands > 0 and is_divided(i, meter, term, usage, metering, block, tables)
    if usage > 0:
        account = tables.accounts[term.account]
        segments = segments_between(term.plan, meter.time, time, prices)
        if not has_room(output, (segments[1] - segments[0] + 1) * (FIVE if by_bands else 1)):
            return False
        terms = tables.account_terms[term.account]
        remember(tables.account_words, term.account, ACCOUNT_REST, tables.account_before)
        counters, shares = tables.counters, tables.shares
        periods = periods_of(term, counters)
        if by_bands:
            settle_by_bands(meter, term, account, terms, counters, segments, time, shares, prices, output, sequence)
        else:
            settle_interval(meter, term, account, terms, counters, segments, time, usage, prices, output, sequence)
        mark_counter(term, periods, counters, tables.dirty_counters)
        output.totals[term.commodity] += usage
        before = account.level
        if judge(account, terms, time):
            add_event(output, LEVEL, term.account, before, account.level, time, account.balance)
        mark(tables.account_words, term.account, ACCOUNT_REST, tables.account_before, tables.dirty_accounts)
    if metering == VACANT:
        count_vacant(meter, counted_by(meter, term, register, time))
    note_use(meter, term, register, row, time, output)
    if meter.held:
        meter.held = 0
        meter.suspect = -1
        add_event(output, RELEASED, row, 0, 0, time, 0)
    believe(meter, time, register)
    if term.bands > 0:
        follow(i, term, int(by_bands), block, tables)
    note_load(meter, term, block.power, i, row, time, output)
    return True


@compiled
def hear_again(i: int, row: int, block: Columns, tables: Tables, output: Output) -> None:
    """Take over what a duplicate says of power and supply where it is something else than before.

    So a block that is sent again has no effect. Where a reading is held that came later, a duplicate is older than what was heard.
    """
    meter, status = tables.meters[row], at_or(block.status, i, -1)
    power = at_or(block.power, i, meter.power)
    is_new_power = len(block.power) > 0 and (meter.has_power == 0 or watts_of(power) != meter.power)
    if status >= 0 and status & STATUS_BITS == meter.status:
        status = -1
    if meter.heard_last == 0 or not (is_new_power or status >= 0):
        return
    remember(tables.meter_words, row, METER_REST, tables.meter_before)
    if is_new_power:
        note_load(meter, tables.meter_terms[row], block.power, i, row, block.time[i], output)
    if observe(meter, power, 1 if is_new_power else meter.has_power, status):
        add_event(output, SEEN, row, 0, 0, block.time[i], 0)
    mark(tables.meter_words, row, METER_REST, tables.meter_before, tables.dirty_meters)


@compiled
def fold_reading(
    i: int, block: Columns, tables: Tables, prices: Prices, output: Output, classes: Ints, now: int, sequence: int
) -> bool:
    """Fold one reading. Returns False, with nothing changed, where `output` might not have room for what it leads to."""
    if not has_room(output, 1):
        return False
    number, time, register = block.meter[i], block.time[i], block.register[i]
    row = row_of(number, tables.slots, tables.meter_terms)
    if row < 0:
        quarantine(output, number, time, register, -1, UNKNOWN_METER)
        count(output, classes, i, UNKNOWN_METER)
        return True
    meter, term = tables.meters[row], tables.meter_terms[row]
    metering = classify(meter, term, tables.accounts[term.account], time, register, now)
    if metering in (NORMAL, ROLLOVER) and is_full(term, tables.counters):
        metering = OUT_OF_RANGE
    if metering in (LATE, DUPLICATE):
        if metering == DUPLICATE:
            hear_again(i, row, block, tables, output)
        elif take_earlier_time(meter, time, register):
            tables.dirty_meters[row] = 1
        count(output, classes, i, metering)
        return True
    remember(tables.meter_words, row, METER_REST, tables.meter_before)
    if is_quarantined(metering):
        quarantine(output, number, time, register, meter.register, metering)
        hold(meter, register, metering)
    elif not settle_reading(i, row, metering, block, tables, prices, output, sequence):
        return False
    if observe(meter, at_or(block.power, i, 0), len(block.power) > 0, at_or(block.status, i, -1)):
        add_event(output, SEEN, row, 0, 0, time, 0)
    mark(tables.meter_words, row, METER_REST, tables.meter_before, tables.dirty_meters)
    count(output, classes, i, metering)
    return True


@compiled
def fold_readings(
    columns: tuple[Any, ...],
    rows: tuple[Any, ...],
    timeline: tuple[Any, ...],
    buffers: tuple[Any, ...],
    classes: Ints,
    now: int,
    sequence: int,
    begin: int,
) -> int:
    """Fold the readings of a block from the `begin`-th on into the rows of a shard, in place, and add to the buffers in log order.

    Takes `Columns`, `Tables`, `Prices` and `Output` as plain tuples: numba takes over a named one ten times more slowly.
    `classes` (n,) receives each reading's class; `sequence` is the number of the last posting. Returns how many of the block
    are folded: fewer than all where the buffers might have no room for what the next leads to.
    """
    block, tables, prices, output = Columns(*columns), Tables(*rows), Prices(*timeline), Output(*buffers)
    for i in range(begin, len(block.meter)):
        if not fold_reading(i, block, tables, prices, output, classes, now, sequence):
            return i
    return len(block.meter)


@allocating
def repeats_due(accounts: Rows, terms: Rows, dirty: Ints, now: int) -> Rows:
    """Count and note the level alarms that are due to be repeated at `now`. Returns REPEAT events in account order."""
    events, noted = np.empty(len(accounts), EVENT), 0
    for row in range(len(accounts)):
        account = accounts[row]
        if repeat_is_due(account, terms[row], now):
            account.repeats += 1
            account.alarmed_at = now
            dirty[row] = 1
            write_event(events[noted], REPEAT, row, account.level, account.repeats, now, account.balance)
            noted += 1
    return events[:noted]
