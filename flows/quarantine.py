"""Quarantine: readings that cannot be believed wait for a person, one case per meter and reason, with an alarm.

Nothing here moves money. The readings themselves are effects of their own; a case says how many, since when, and how much
usage is held back.
"""

from typing import Any

import msgspec

from domain.effects import Alarm, Effects
from domain.facts import ReadingRefused
from domain.ids import meter_text
from domain.state import QuarantineCase
from domain.words import AlarmKind, AlarmState, Metering
from flows.state import ShardState

HELD_MAX = 10**18
"""Most usage that a case states: a register of nonsense times its ratio would leave the 64 bits that a store can keep."""


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


def release(state: ShardState, row: int, at: int) -> None:
    """A register that had jumped has come back: nothing is held back any more, but a person should still look."""
    key = case_key(int(state.meter_terms.rows[row].number), Metering.JUMP.name.lower())
    case = state.cases.get(key)
    if case:
        state.cases.put(key, msgspec.structs.replace(case, usage=0, last=at))


def _extend(
    state: ShardState, meter: int, reason: str, at: int, effects: Effects, baseline: int, register: int, usage: int
) -> None:
    key = case_key(meter, reason)
    case = state.cases.get(key)
    if case is None:
        case = QuarantineCase(meter=meter, reason=reason, since=at, last=at, count=0)
        record = state.meter_records.get(meter)
        alarm = Alarm(
            id="", kind=AlarmKind.QUARANTINE, state=AlarmState.RAISED, at=at, meter=meter, reason=reason,
            account=record.account if record else "",
        )  # fmt: skip
        effects.alarms.append(alarm)
    held = min(usage, HELD_MAX)
    state.cases.put(
        key,
        msgspec.structs.replace(case, last=at, count=case.count + 1, baseline=baseline, register=register, usage=held),
    )
