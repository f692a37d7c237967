"""Quarantine: readings that cannot be believed wait for a person, one case per meter and reason, with an alarm.

Nothing here moves money; `flows/orders/decisions.py` does what a person decides. The readings themselves are effects of their own; a case says how many, since when, and how much
usage is held back. When the meter is believed again by itself the alarm is cleared and nothing is held back, but the case
stays for a person to look at; should it happen again, the alarm is raised again.
"""

from typing import Any

import msgspec

from domain.effects import Alarm, Effects
from domain.facts import ReadingRefused
from domain.ids import EntryId, meter_text
from domain.state import QuarantineCase
from domain.words import QUARANTINED, AlarmKind, AlarmState, Metering
from flows.clocks import time_by_log
from flows.readings.metering import FUTURE_MS, LATEST_MS
from flows.state import ShardState

HELD_MAX = 10**18
"""Most usage that a case states: a register of nonsense times its ratio would leave the 64 bits that a store can keep."""


_OF_READINGS = tuple(kind.name.lower() for kind in Metering if kind in QUARANTINED)


def case_key(meter: int, reason: str) -> str:
    """`000000000017:jump`."""
    return f"{meter_text(meter)}:{reason}"


def hold_reading(state: ShardState, row: Any, effects: Effects) -> None:
    """Open or extend the case of a reading (a QUARANTINED row) that the kernel did not believe."""
    metering, meter = Metering(int(row.metering)), int(row.meter)
    register, baseline = int(row.register), int(row.baseline)
    usage = (register - baseline) * state.meter_records[meter].ratio if metering == Metering.JUMP else 0
    _extend(state, meter, metering.name.lower(), int(row.time), effects, baseline, register, usage)


def hold_refused(state: ShardState, fact: ReadingRefused, effects: Effects) -> None:
    """Keep input that was refused at the edge, in its own words."""
    effects.refused.append(fact)
    before = state.cases.get(case_key(fact.meter, fact.reason))
    usage = fact.usage + (before.usage if before else 0)
    _extend(state, fact.meter, fact.reason, fact.at, effects, -1, -1, usage)


def release(state: ShardState, row: int, at: int, effects: Effects) -> None:
    """A meter that was not believed is believed again: clear its alarms."""
    meter = int(state.meter_terms.rows[row].number)
    for reason in _OF_READINGS:
        case = state.cases.get(case_key(meter, reason))
        if case and not case.released_at:
            state.cases.put(case_key(meter, reason), msgspec.structs.replace(case, usage=0, released_at=at))
            effects.alarms.append(_alarm(state, meter, reason, AlarmState.CLEARED, at))


def clear_case(state: ShardState, case: QuarantineCase, at: int, effects: Effects) -> None:
    """A person has decided: the case is over, and its alarm too."""
    state.cases.drop(case_key(case.meter, case.reason))
    if not case.released_at:
        effects.alarms.append(_alarm(state, case.meter, case.reason, AlarmState.CLEARED, at))


def has_open_case(state: ShardState, meter: int) -> bool:
    """Whether readings of this meter are still held for a person."""
    cases = (state.cases.get(case_key(meter, reason)) for reason in _OF_READINGS)
    return any(case and not case.released_at for case in cases)


def _believable(state: ShardState, at: int, entry: EntryId) -> int:
    """The time of an alarm: that of the input, unless the input's time is what cannot be believed."""
    now = time_by_log(state, entry)
    latest = now + FUTURE_MS if now else LATEST_MS
    return at if 0 < at <= latest else state.header.now


def _alarm(state: ShardState, meter: int, reason: str, alarm_state: AlarmState, at: int) -> Alarm:
    record = state.meter_records.get(meter)
    account = record.account if record else ""
    return Alarm(
        id="", kind=AlarmKind.QUARANTINE, state=alarm_state, at=at, meter=meter, reason=reason, account=account
    )


def _extend(
    state: ShardState, meter: int, reason: str, at: int, effects: Effects, baseline: int, register: int, usage: int
) -> None:
    key = case_key(meter, reason)
    case = state.cases.get(key) or QuarantineCase(meter=meter, reason=reason, since=at, last=at, count=0)
    if case.count == 0 or case.released_at:
        effects.alarms.append(_alarm(state, meter, reason, AlarmState.RAISED, _believable(state, at, effects.entry)))
    held = min(usage, HELD_MAX)
    state.cases.put(
        key,
        msgspec.structs.replace(
            case, last=at, count=case.count + 1, baseline=baseline, register=register, usage=held, released_at=0
        ),
    )
