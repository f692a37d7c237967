"""Metering: from a register to usage. Every reading gets a named class; what cannot be believed is held, not guessed.

A register that falls, or rises faster than the meter can count, is quarantined and the last believed register stays the
baseline. A jump stays held even when enough time has passed to make it possible: only a register that comes back below
it, or a person, ends it. Where nobody lives the baseline follows whatever the meter shows.
"""

import numpy as np
from numpy.typing import NDArray

from domain.state import Rows
from domain.units import MINUTE_MS, MONEY_MAX_MICROS, USAGE_MAX
from domain.words import AccountState, Metering
from flows.readings.compiled import Ints, Row, compiled

FIRST = int(Metering.FIRST)
NORMAL = int(Metering.NORMAL)
DUPLICATE = int(Metering.DUPLICATE)
LATE = int(Metering.LATE)
ROLLOVER = int(Metering.ROLLOVER)
DECREASE = int(Metering.DECREASE)
JUMP = int(Metering.JUMP)
CONFLICT = int(Metering.CONFLICT)
OUT_OF_RANGE = int(Metering.OUT_OF_RANGE)
UNKNOWN_METER = int(Metering.UNKNOWN_METER)
FUTURE = int(Metering.FUTURE)
UNREADABLE = int(Metering.UNREADABLE)
VACANT = int(Metering.VACANT)
OPEN = int(AccountState.OPEN)

LATEST_MS = 4_102_444_800_000
"""2100-01-01: a reading beyond it is out of range whatever the clock says."""
FUTURE_MS = 3_600_000
"""A reading later than the machine's clock by more than this has a wrong clock."""

VACANT_MODULUS = np.int64(2**32)
"""At which `vacant_usage` of a meter begins anew; of this type, so that sums with it are signed and wide, compiled or not."""


@compiled
def slot_of(number: int, slots: Ints) -> int:
    """First place to look for a meter number in the open-addressing table."""
    return (number ^ (number >> 20)) & (len(slots) - 1)


@compiled
def row_of(number: int, slots: Ints, terms: Rows) -> int:
    """The row of a meter number, or -1. `slots` holds rows, -1 where free."""
    slot = slot_of(number, slots)
    while slots[slot] >= 0:
        if terms[slots[slot]].number == number:
            return slots[slot]
        slot = (slot + 1) & (len(slots) - 1)
    return -1


@compiled
def most_countable(term: Row, elapsed_ms: int) -> int:
    """Most Wh or litres, before ratio, that the meter can have counted: rated, over one minute more than begun."""
    minutes = elapsed_ms // MINUTE_MS + 2
    return min(term.rated_per_hour * minutes // 60 + 1, USAGE_MAX // term.ratio)


@compiled
def advance_of(meter: Row, term: Row, register: int) -> int:
    """Register difference since the last believed reading, past the wrap where the meter has one; may be negative."""
    if register < meter.register and term.modulus > 0:
        return register + term.modulus - meter.register
    return register - meter.register


@compiled
def note_movement(meter: Row, register: int) -> None:
    """Note, before a register becomes the believed one, whether it has moved; else since when it stands still."""
    if meter.time < 0 or meter.register != register:
        meter.still_since = -1
    elif meter.still_since < 0:
        meter.still_since = meter.time


@compiled
def is_quarantined(metering: int) -> bool:
    """Whether a class is one of `domain.words.QUARANTINED`, whose numbers follow each other."""
    return DECREASE <= metering <= UNREADABLE


@compiled
def classify(meter: Row, term: Row, account: Row, time: int, register: int, now: int) -> int:
    """The class of a reading (`domain.words.Metering`), judged against the last believed one."""
    if now > 0 and time > now + FUTURE_MS:
        return FUTURE
    if time <= 0 or time > LATEST_MS or register < 0 or (term.modulus > 0 and register >= term.modulus):
        return OUT_OF_RANGE
    if meter.time < 0:
        return FIRST if account.state == OPEN else VACANT
    if time < meter.time:
        return LATE
    if time == meter.time:
        return DUPLICATE if register == meter.register else CONFLICT
    if account.state != OPEN:
        return VACANT
    if max(abs(account.balance), abs(meter.day_cost), abs(meter.window_cost)) > MONEY_MAX_MICROS:
        return OUT_OF_RANGE
    possible = advance_of(meter, term, register) <= most_countable(term, time - meter.time)
    if register < meter.register:
        return ROLLOVER if possible and term.modulus > 0 else DECREASE
    held = meter.suspect >= 0 and register >= meter.suspect
    return NORMAL if possible and not held else JUMP


@compiled
def believable_span(times: Ints, latest: int) -> tuple[int, int]:
    """The earliest and the latest of the times, ms UTC, that are after 1970 and not after `latest`; (0, 0) where none is."""
    first, last = 0, 0
    for time in times:
        if 0 < time <= latest:
            first = time if first == 0 else min(first, time)
            last = max(last, time)
    return first, last


def slots_for(numbers: NDArray[np.int64], removed: NDArray[np.uint8]) -> NDArray[np.int32]:
    """An open-addressing table, at most half full, from meter number to row; meters that are removed are not in it."""
    slots = np.full(1 << max(4, (2 * len(numbers)).bit_length()), -1, np.int32)
    fill_slots(slots, numbers, removed)
    return slots


@compiled
def enter_slot(slots: Ints, number: int, row: int) -> None:
    """Enter a number's row at the first free place."""
    slot = slot_of(number, slots)
    while slots[slot] >= 0:
        slot = (slot + 1) & (len(slots) - 1)
    slots[slot] = row


@compiled
def fill_slots(slots: Ints, numbers: Ints, removed: Ints) -> None:
    """Enter every number with its index as its row, but for those that are removed."""
    for row in range(len(numbers)):
        if removed[row] == 0:
            enter_slot(slots, numbers[row], row)
