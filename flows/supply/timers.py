"""Timers: when a meter's wishes must be looked at again although nothing has happened to it.

A window begins or ends, a protection is over, a supply that was cut for its load may come back. Each meter's next look is
in its `Control`; the shard's agenda has them in order, so a tick looks at those that are due and at no others.
"""

from collections.abc import Iterator

import msgspec

from flows.readings.metering import LATEST_MS
from flows.state import ShardState
from tariffs.hours import edge_after


def clock(state: ShardState, at: int) -> int:
    """The time by which windows are judged: that of the last tick; before the first one, that of what happens."""
    return state.header.now or max(0, min(at, LATEST_MS))


def plan_look(state: ShardState, number: int, now: int) -> None:
    """Put the next look at a meter on the agenda, where anything waits for one."""
    control = state.controls.get(number)
    if control is None:
        return
    waits = (
        edge_after(control.terms, now) if control.terms else 0,
        control.protection.until if control.protection else 0,
        control.cut.restore_at if control.cut else 0,
    )
    look_at = min((at for at in waits if at), default=0)
    if look_at != control.look_at:
        state.controls.put(number, msgspec.structs.replace(control, look_at=look_at))
        if look_at:
            state.due_controls.put(look_at, str(number))


def take_due(state: ShardState, now: int) -> Iterator[int]:
    """The meters that must be looked at by `now`, in the order of their times."""
    while state.due_controls.is_due(now):
        at, key = state.due_controls.take()
        control = state.controls.get(int(key))
        if control and control.look_at == at:
            state.controls.put(int(key), msgspec.structs.replace(control, look_at=0))
            yield int(key)
