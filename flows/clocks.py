"""Clocks: a meter whose readings come from later than now has a wrong clock, and somebody should set it.

Only a clock that is ahead can be told: a reading of the past may as well have waited in a gateway, or come from a file. Nothing here
moves money; what is more than an hour ahead is in quarantine besides.

The machine's own clock is its last tick, and may be late: after an outage readings come before it, and a clock that runs faster than
life may leave minutes out. So of the readings between two ticks one counts: a clock that is ahead still is after the next tick.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

from domain.effects import Alarm, Effects
from domain.facts import ReadingBlock
from domain.ids import EntryId
from domain.state import MeterClock
from domain.units import MINUTE_MS
from domain.words import AlarmKind, AlarmState, Metering
from flows.state import ShardState

CLOCK_DRIFT_MS = 10 * MINUTE_MS
"""A reading from later than the machine's clock by more than this is ahead."""
READINGS_AHEAD = 3
"""So many readings ahead in a row, each after another tick, raise the alarm; one that is not ahead clears it."""

_SAY_NOTHING = {Metering.DUPLICATE, Metering.UNKNOWN_METER}


def time_by_log(state: ShardState, entry: EntryId) -> int:
    """At least what time it is at a log entry, ms UTC: that of the last tick, and what has passed at the server between the two; 0 before the first tick.

    After an outage readings may reach the log before a tick does. Event time runs as fast as life or faster, and need not be the server's; that
    of a demo rests between its runs, and then this is too much, but only says that a reading may be as late.
    """
    ticked = state.header.ticked if state.header.now else 0
    return state.header.now + (max(0, entry[0] - ticked) if ticked else 0)


def watch_clocks(state: ShardState, block: ReadingBlock, classes: NDArray[np.uint8], effects: Effects) -> None:
    """Count readings that are ahead of the machine's clock, which stands still within a block; before the first tick it has none."""
    if not state.header.now:
        return
    ahead = block.time > state.header.now + CLOCK_DRIFT_MS
    known = [number for number, _ in state.meter_clocks.sorted()]
    if not known and not ahead.any():
        return
    watched = np.isin(block.meter, np.concatenate([np.array(known, np.int64), block.meter[ahead]]))
    for index in np.flatnonzero(watched):
        if classes[index] not in _SAY_NOTHING:
            _judge_clock(state, int(block.meter[index]), bool(ahead[index]), effects)


def _judge_clock(state: ShardState, number: int, is_ahead: bool, effects: Effects) -> None:  # noqa: FBT001 - what the reading said
    clock = state.meter_clocks.get(number) or MeterClock(meter=number, ahead=0)
    if not is_ahead:
        state.meter_clocks.drop(number)
        if clock.alarmed:
            effects.alarms.append(_alarm(state, number, AlarmState.CLEARED))
    elif not clock.alarmed and clock.counted_at != state.header.now:
        alarmed, now = clock.ahead + 1 >= READINGS_AHEAD, state.header.now
        state.meter_clocks.put(
            number, msgspec.structs.replace(clock, ahead=clock.ahead + 1, alarmed=alarmed, counted_at=now)
        )
        if alarmed:
            effects.alarms.append(_alarm(state, number, AlarmState.RAISED))


def forget_clock(state: ShardState, number: int, effects: Effects) -> None:
    """The meter is gone: nobody needs to set its clock."""
    clock = state.meter_clocks.get(number)
    state.meter_clocks.drop(number)
    if clock and clock.alarmed:
        effects.alarms.append(_alarm(state, number, AlarmState.CLEARED))


def _alarm(state: ShardState, number: int, alarm_state: AlarmState) -> Alarm:
    return Alarm(
        id="", kind=AlarmKind.CLOCK_DRIFT, state=alarm_state, at=state.header.now,
        account=state.meter_records[number].account, meter=number, reason="ahead",
    )  # fmt: skip
