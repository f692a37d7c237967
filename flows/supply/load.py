"""Load: supplies that are cut for too much power or for a malignant step of it, and meters that count while they are off.

A cut lasts until its time is over, at most so many times a local day, and then until a person releases it. Nothing is cut
that a person forces or protects, nor what is wanted off anyhow or of nobody; but a trip that waits for the end of a no-trip window
is not off.
"""

import msgspec

from domain.effects import Alarm, Effects
from domain.state import Control, LoadCut, UseWhileOff
from domain.units import quantity_text
from domain.words import CUT_ALARM, UNITS, AlarmKind, AlarmState, Commodity, Reason, Supply
from flows.state import ShardState
from flows.supply.timers import clock
from flows.supply.wishes import waits_to_trip
from tariffs.hours import local_day


def note_power(state: ShardState, row: int, watts: int, at: int, effects: Effects) -> bool:
    """A reading has shown more power than allowed. Returns whether that cuts the supply."""
    return _cut(state, row, Reason.LOAD, watts, int(state.meter_terms.rows[row].power_limit), at, effects)


def note_step(state: ShardState, row: int, watts: int, at: int, effects: Effects) -> bool:
    """Power has risen by a step since the reading before. Returns whether that cuts the supply."""
    terms = state.controls[int(state.meter_terms.rows[row].number)].terms
    if terms and any(each.low_w <= watts <= each.high_w for each in terms.tolerated):
        return False
    return _cut(state, row, Reason.SAFETY, watts, int(state.meter_terms.rows[row].step), at, effects)


def _cut(state: ShardState, row: int, reason: Reason, watts: int, allowed_w: int, at: int, effects: Effects) -> bool:
    number, now = int(state.meter_terms.rows[row].number), clock(state, at)
    control = state.controls[number]
    terms = control.terms
    assert terms is not None, "only terms have the kernel note a load"
    meter = state.meters.rows[row]
    is_off = meter.wanted == Supply.OFF and not waits_to_trip(state, row, now)
    if control.protection or number in state.forced or is_off or meter.reason == Reason.CLOSED:
        return False
    today = local_day(now, terms.zone)
    done = control.cut.restores if control.cut and control.cut.day == today else 0
    cut = LoadCut(
        reason=reason,
        since=now,
        watts=watts,
        allowed_w=allowed_w,
        restore_at=now + terms.restore_wait_ms if done < terms.restores else 0,
        day=today,
        restores=done,
    )
    state.controls.put(number, msgspec.structs.replace(control, cut=cut))
    effects.alarms.append(_cut_alarm(state, number, cut, AlarmState.RAISED, now))
    return True


def _cut_alarm(state: ShardState, number: int, cut: LoadCut, alarm_state: AlarmState, at: int) -> Alarm:
    reason = (
        f"{cut.watts} W > {cut.allowed_w} W" if cut.reason == Reason.LOAD else f"+{cut.watts} W ≥ {cut.allowed_w} W"
    )
    return _alarm(state, number, CUT_ALARM[cut.reason], alarm_state, at, reason)


def _alarm(state: ShardState, number: int, kind: AlarmKind, alarm_state: AlarmState, at: int, reason: str) -> Alarm:
    account = state.meter_records[number].account
    return Alarm(id="", kind=kind, state=alarm_state, at=at, account=account, meter=number, reason=reason)


def restore_due(state: ShardState, control: Control, now: int, effects: Effects) -> Control:
    """The control of a meter whose cut, if it has one, has come to its end by itself."""
    cut = control.cut
    if cut is None or not 0 < cut.restore_at <= now:
        return control
    assert control.terms is not None, "only terms cut for a load"
    today = local_day(now, control.terms.zone)
    restores = 1 + (cut.restores if cut.day == today else 0)
    over = msgspec.structs.replace(cut, is_over=True, restore_at=0, day=today, restores=restores)
    effects.alarms.append(_cut_alarm(state, control.meter, cut, AlarmState.CLEARED, now))
    return msgspec.structs.replace(control, cut=over)


def release_cut(state: ShardState, control: Control, at: int, effects: Effects) -> Control:
    """The control of a meter that a person has seen to: no cut, and no restores counted."""
    if control.cut and not control.cut.is_over:
        effects.alarms.append(_cut_alarm(state, control.meter, control.cut, AlarmState.CLEARED, at))
    return msgspec.structs.replace(control, cut=None)


def note_use(state: ShardState, row: int, usage: int, at: int, effects: Effects) -> None:
    """A meter has counted although its supply was off. The first time may be from before it was; the second is said."""
    number = int(state.meter_terms.rows[row].number)
    before = state.used_while_off.get(number)
    if before is None:
        state.used_while_off.put(number, UseWhileOff(meter=number, since=at, last=at, usage=usage))
        return
    after = msgspec.structs.replace(before, last=at, usage=before.usage + usage, alarmed=True)
    state.used_while_off.put(number, after)
    if not before.alarmed:
        effects.alarms.append(_use_alarm(state, row, after, AlarmState.RAISED, at))


def _use_alarm(state: ShardState, row: int, use: UseWhileOff, alarm_state: AlarmState, at: int) -> Alarm:
    unit = UNITS[Commodity(int(state.meter_terms.rows[row].commodity))]
    reason = f"{quantity_text(use.usage)} {unit}"
    return _alarm(state, use.meter, AlarmKind.USE_WHILE_TRIPPED, alarm_state, at, reason)


def end_use(state: ShardState, row: int, at: int, effects: Effects) -> None:
    """A meter no longer counts while it is off, or is not off any more."""
    use = state.used_while_off.get(int(state.meter_terms.rows[row].number))
    if use is None:
        return
    state.used_while_off.drop(use.meter)
    if use.alarmed:
        effects.alarms.append(_use_alarm(state, row, use, AlarmState.CLEARED, at))


def end_uses(state: ShardState, now: int, effects: Effects) -> None:
    """Forget the meters that have been read since without any use."""
    for number, use in state.used_while_off.sorted():
        row = state.meter_records[number].row
        if state.meters.rows[row].time > use.last:
            end_use(state, row, now, effects)


def let_go(state: ShardState, row: int, at: int, effects: Effects) -> None:
    """Nobody forces or protects this meter's supply any more, and no cut of its load stands; the terms of its control stay."""
    number = int(state.meter_terms.rows[row].number)
    state.forced.drop(number)
    control = state.controls.get(number)
    if control:
        state.controls.put(number, msgspec.structs.replace(release_cut(state, control, at, effects), protection=None))
