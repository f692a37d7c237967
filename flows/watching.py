"""Watching: the alarms of what a look at the watched meters has found, and the repeats of all alarms that stand."""

from collections.abc import Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

from domain.effects import Alarm, Effects
from domain.ids import meter_text
from domain.state import StandingAlarm
from domain.units import quantity_text
from domain.words import UNITS, WATCHED_ALARM, AlarmKind, AlarmState, Commodity, Watched
from flows.readings.watching import CHANGED, day_usage, look, month_usage
from flows.state import ShardState

_NO_DAYS = np.empty(0, np.int32)


def watch(state: ShardState, now: int, today: NDArray[np.int32], minute: NDArray[np.int32], effects: Effects) -> None:
    """Look at all watched meters and say what is raised or cleared. `today`, `minute`: by plan, local."""
    watches = state.watches
    if watches.count:
        changed = look(watches.rows, watches.dirty, state.meters.rows, state.meter_terms.rows, now, today, minute)
        for change in changed.view(CHANGED):
            _say(state, int(change.row), Watched(int(change.before)), Watched(int(change.after)), now, today, effects)


def unwatch(state: ShardState, row: int, at: int, effects: Effects) -> None:
    """Watch the meter in this row no more: what is raised is cleared now."""
    index = state.watch_rows.get(row)
    if index is None:
        return
    watch = state.watches.rows[index]
    before = Watched(int(watch.raised))
    for name in ("day_usage", "month_usage", "offline_ms", "stuck_ms", "reverse_w", "raised"):
        watch[name] = 0
    watch.night_usage, watch.night_total = -1, -1
    state.watches.dirty[index] = 1
    _say(state, index, before, Watched(0), at, _NO_DAYS, effects)


def standing_key(meter: int, kind: AlarmKind) -> str:
    """`000000000017:offline`."""
    return f"{meter_text(meter)}:{kind}"


def _say(
    state: ShardState, row: int, before: Watched, after: Watched, now: int, today: NDArray[np.int32], effects: Effects
) -> None:
    meter = int(state.watches.rows[row].meter)
    number = int(state.meter_terms.rows[meter].number)
    for bit, kind in WATCHED_ALARM.items():
        if bit not in before ^ after:
            continue
        if bit in after:
            reason = _reason(state, row, kind, int(today[state.meter_terms.rows[meter].plan]))
            raise_alarm(state, number, kind, reason, now, effects)
        else:
            clear_alarm(state, number, kind, now, effects)


def raise_alarm(state: ShardState, meter: int, kind: AlarmKind, reason: str, at: int, effects: Effects) -> None:
    """Let an alarm of a meter stand and be repeated. One that stands already is not raised again; its repeats say the new reason."""
    before = state.standing.get(standing_key(meter, kind))
    if before:
        state.standing.put(standing_key(meter, kind), msgspec.structs.replace(before, reason=reason))
        return
    standing = StandingAlarm(meter=meter, kind=kind, since=at, last=at, repeats=0, reason=reason)
    _stand(state, standing)
    effects.alarms.append(_alarm(state, standing, AlarmState.RAISED, at))


def clear_alarm(state: ShardState, meter: int, kind: AlarmKind, at: int, effects: Effects) -> None:
    """An alarm of a meter is over, if it stands."""
    standing = state.standing.get(standing_key(meter, kind))
    if standing:
        state.standing.drop(standing_key(meter, kind))
        effects.alarms.append(_alarm(state, standing, AlarmState.CLEARED, at))


def _reason(state: ShardState, row: int, kind: AlarmKind, today: int) -> str:
    """How much it is, where an amount says more than the kind alone."""
    watch = state.watches.rows[row]
    meter, terms = state.meters.rows[int(watch.meter)], state.meter_terms.rows[int(watch.meter)]
    unit = UNITS[Commodity(int(terms.commodity))]
    match kind:
        case AlarmKind.DAY_USAGE:
            return f"{quantity_text(int(day_usage(watch, meter)))} {unit}"
        case AlarmKind.MONTH_USAGE:
            return f"{quantity_text(int(month_usage(watch, meter, today)))} {unit}"
        case AlarmKind.REVERSE_FLOW | AlarmKind.STUCK:
            return f"{int(meter.power)} W"
    return ""


def _terms(state: ShardState, meter: int) -> tuple[int, int]:
    terms = state.meter_records[meter].repeated_by
    return terms.repeat_ms, terms.repeat_max


def _stand(state: ShardState, standing: StandingAlarm) -> None:
    state.standing.put(standing_key(standing.meter, standing.kind), standing)
    _plan(state, standing)


def _plan(state: ShardState, standing: StandingAlarm) -> None:
    every, most = _terms(state, standing.meter)
    if standing.repeats < most:
        state.due_repeats.put(standing.last + every, standing_key(standing.meter, standing.kind))


def replan(state: ShardState, meter: int) -> None:
    """Repeat what stands of a meter by the terms that it has now."""
    for kind in (*WATCHED_ALARM.values(), AlarmKind.PURCHASE_COUNT_MISMATCH):
        standing = state.standing.get(standing_key(meter, kind))
        if standing:
            _plan(state, standing)


def repeat_alarms(state: ShardState, now: int, effects: Effects) -> None:
    """Say again what stands and has not been said for long enough."""
    for key in _due(state, now):
        standing = state.standing.get(key)
        if standing is None:
            continue
        every, most = _terms(state, standing.meter)
        if standing.repeats < most and now - standing.last >= every:
            again = msgspec.structs.replace(standing, last=now, repeats=standing.repeats + 1)
            _stand(state, again)
            effects.alarms.append(_alarm(state, again, AlarmState.REPEATED, now))


def _due(state: ShardState, now: int) -> Iterator[str]:
    while state.due_repeats.is_due(now):
        yield state.due_repeats.take()[1]


def _alarm(state: ShardState, standing: StandingAlarm, alarm_state: AlarmState, at: int) -> Alarm:
    return Alarm(
        id="",
        kind=standing.kind,
        state=alarm_state,
        at=at,
        account=state.meter_records[standing.meter].account,
        meter=standing.meter,
        repeat=standing.repeats,
        reason=standing.reason,
    )
