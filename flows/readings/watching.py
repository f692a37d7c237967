"""Watching meters: one compiled look at all that are watched, at each tick. What changed is said as rows for the machine.

Nothing here moves money. Each kind of alarm is a bit of a watch's `raised`; a look works the bits out anew, so what is no longer
watched, or no longer true, is cleared.
"""

import numpy as np

from domain.state import Rows
from domain.words import Watched
from flows.readings.compiled import Ints, Row, allocating, compiled
from flows.readings.metering import VACANT_MODULUS
from flows.readings.windows import month_of

CHANGED = np.dtype((np.record, [("row", "<u4"), ("before", "<u2"), ("after", "<u2")]))
"""A watch whose bits have changed."""

DAY_USAGE, MONTH_USAGE = int(Watched.DAY_USAGE), int(Watched.MONTH_USAGE)
OFFLINE, STUCK = int(Watched.OFFLINE), int(Watched.STUCK)
REVERSE_FLOW, NIGHT_FLOW = int(Watched.REVERSE_FLOW), int(Watched.NIGHT_FLOW)


@compiled
def vacant_since(meter: Row, begin: int) -> int:
    """Wh or litres that a meter has counted for nobody since its `vacant_usage` was `begin`: its difference, past the wrap."""
    return (meter.vacant_usage + VACANT_MODULUS - begin) % VACANT_MODULUS


@compiled
def total_usage(meter: Row) -> int:
    """Wh or litres of all believed usage."""
    return meter.closed_usage + meter.day_usage


@compiled
def day_usage(watch: Row, meter: Row) -> int:
    """Wh or litres of the open local day, so far."""
    return meter.day_usage + vacant_since(meter, watch.day_vacant)


@compiled
def month_usage(watch: Row, meter: Row, today: int) -> int:
    """Wh or litres of the local month in which day `today` is, so far."""
    day = meter.day if meter.day >= 0 else today
    closed = meter.month_usage if meter.month == month_of(day) else 0
    return closed + meter.day_usage + vacant_since(meter, watch.month_vacant)


@compiled
def begin_day(watch: Row, meter: Row, today: int) -> bool:
    """Begin to count for nobody anew on another local day, and in another month. Returns whether it is one."""
    if watch.day == today:
        return False
    if month_of(watch.day) != month_of(today):
        watch.month_vacant = meter.vacant_usage
    watch.day, watch.day_vacant = today, meter.vacant_usage
    return True


@compiled
def is_stuck(watch: Row, meter: Row) -> bool:
    """Whether a register stands still although power flows."""
    return meter.still_since >= 0 and meter.time - meter.still_since >= watch.stuck_ms and meter.power >= watch.stuck_w


@compiled
def is_within(minute: int, begin: int, end: int) -> bool:
    """Whether a minute of the day is in [begin, end), which may go over midnight."""
    return begin <= minute < end if begin <= end else minute >= begin or minute < end


@compiled
def night_bit(watch: Row, meter: Row, minute: int) -> int:
    """The night's bit: judged when the night is over, and as it was until then."""
    if watch.night_usage < 0:
        watch.night_total = -1
        return 0
    if is_within(minute, watch.night_from, watch.night_until):
        if watch.night_total < 0:
            watch.night_total, watch.night_vacant = total_usage(meter), meter.vacant_usage
        return watch.raised & NIGHT_FLOW
    if watch.night_total < 0:
        return watch.raised & NIGHT_FLOW
    used = total_usage(meter) - watch.night_total + vacant_since(meter, watch.night_vacant)
    watch.night_total = -1
    return NIGHT_FLOW if used > watch.night_usage else 0


@compiled
def bits_of(watch: Row, meter: Row, now: int, today: int) -> int:
    """What is worth an alarm now, but for the night."""
    bits = 0
    if 0 < watch.day_usage < day_usage(watch, meter):
        bits |= DAY_USAGE
    if 0 < watch.month_usage < month_usage(watch, meter, today):
        bits |= MONTH_USAGE
    if watch.offline_ms > 0 and now - max(meter.time, watch.since) > watch.offline_ms:
        bits |= OFFLINE
    if watch.stuck_ms > 0 and meter.time > 0 and is_stuck(watch, meter):
        bits |= STUCK
    if watch.reverse_w > 0 and meter.power <= -watch.reverse_w:
        bits |= REVERSE_FLOW
    return bits


@allocating
def look(watches: Rows, dirty: Ints, meters: Rows, terms: Rows, now: int, today: Ints, minute: Ints) -> Rows:
    """Look at every watched meter. `today`, `minute`: local day number and minute of the day of each plan's zone.

    Returns CHANGED rows in the order of the watches.
    """
    changed = np.empty(len(watches), CHANGED)
    count = 0
    for row in range(len(watches)):
        watch = watches[row]
        meter, plan = meters[watch.meter], terms[watch.meter].plan
        before, night, is_new_day = watch.raised, watch.night_total, begin_day(watch, meter, today[plan])
        after = bits_of(watch, meter, now, today[plan]) | night_bit(watch, meter, minute[plan])
        if after != before:
            changed[count].row, changed[count].before, changed[count].after = row, before, after
            count += 1
            watch.raised = after
        if after != before or watch.night_total != night or is_new_day:
            dirty[row] = 1
    return changed[:count]
