"""Control by order: a person forces or protects a meter's supply, releases it after a load, and sets the terms of its control."""

from collections.abc import Callable

import msgspec

from domain.effects import Effects
from domain.facts import ControlOrdered, ControlTerms, ControlTermsSet, LoadReleased, ProtectionOrdered, Window
from domain.state import Control, Forced, MeterRecord, Protection
from domain.units import DAY_MS, MINUTE_MS
from domain.words import Refusal, Supply
from flows.orders.answers import Answer
from flows.state import ShardState
from flows.supply.commands import reconcile
from flows.supply.load import release_cut
from tariffs.hours import MINUTES_OF_DAY
from tariffs.zones import zone

WATTS_MAX = 10**9
LISTED_MAX = 100
HOLIDAYS_MAX = 4_000
DAYS_MAX = 47_482
"""2100-01-01, as a day number."""
RESTORES_MAX = 100


def order_control(state: ShardState, fact: ControlOrdered, effects: Effects) -> Answer:
    """Force a meter's supply for a time, or give it back to automatic."""
    record = state.installed(fact.meter)
    if record is None:
        return Refusal.UNKNOWN_METER
    if not record.switchable:
        return Refusal.METER_HAS_NO_SWITCH
    if fact.wanted == Supply.UNKNOWN:
        state.forced.drop(fact.meter)
    elif fact.until <= max(state.header.now, fact.at):
        return Refusal.ALREADY_EXPIRED
    else:
        forced = Forced(
            meter=fact.meter, wanted=fact.wanted, until=fact.until, operator=fact.operator, note=fact.note, id=fact.id
        )
        state.forced.put(fact.meter, forced)
    reconcile(state, record.row, fact.at, effects)
    return None


def protect(state: ShardState, fact: ProtectionOrdered, effects: Effects) -> Answer:
    """Keep a meter's supply on whatever the balance or load, or no longer."""
    record = state.installed(fact.meter)
    if record is None:
        return Refusal.UNKNOWN_METER
    if not record.switchable:
        return Refusal.METER_HAS_NO_SWITCH
    if fact.protected and fact.until and fact.until <= max(state.header.now, fact.at):
        return Refusal.ALREADY_EXPIRED
    protection = Protection(until=fact.until, operator=fact.operator, note=fact.note, id=fact.id)
    control = msgspec.structs.replace(_control_of(state, record), protection=protection if fact.protected else None)
    state.controls.put(fact.meter, control)
    reconcile(state, record.row, fact.at, effects)
    return None


def release_load(state: ShardState, fact: LoadReleased, effects: Effects) -> Answer:
    """Give a supply back that was cut for its load; where none was, only the count of restores begins anew."""
    record = state.installed(fact.meter)
    if record is None:
        return Refusal.UNKNOWN_METER
    if not record.switchable:
        return Refusal.METER_HAS_NO_SWITCH
    if fact.meter in state.controls:
        state.controls.put(fact.meter, release_cut(state, state.controls[fact.meter], fact.at, effects))
    reconcile(state, record.row, fact.at, effects)
    return None


def set_control_terms(state: ShardState, fact: ControlTermsSet, effects: Effects) -> Answer:
    """Control a meter's supply by other terms. A supply that is cut for its load stays so until that cut is over."""
    record = state.installed(fact.meter)
    if record is None:
        return Refusal.UNKNOWN_METER
    if mistake := terms_mistake(fact.terms):
        return Refusal.TERMS_INVALID, mistake
    if not record.switchable:
        return Refusal.METER_HAS_NO_SWITCH
    enter_limits(state, record.row, fact.terms)
    state.controls.put(fact.meter, msgspec.structs.replace(_control_of(state, record), terms=fact.terms))
    reconcile(state, record.row, fact.at, effects)
    return None


def enter_limits(state: ShardState, row: int, terms: ControlTerms | None) -> None:
    """Let readings of a meter be noted by the limits of these terms, or by none."""
    limits = state.meter_terms.rows[row]
    limits.power_limit = terms.power_limit_w if terms else 0
    limits.step = terms.malignant_step_w if terms and not terms.whitelisted else 0
    state.meter_terms.dirty[row] = 1


def _control_of(state: ShardState, record: MeterRecord) -> Control:
    return state.controls.get(record.meter) or Control(meter=record.meter)


def terms_mistake(terms: ControlTerms) -> str:
    """What is wrong with terms of control, in words; empty: nothing."""
    wrong = [f"expected {rule}" for rule, holds in RULES.items() if not holds(terms)]
    for name, windows in (("no_trip", terms.no_trip), ("schedule", terms.schedule)):
        wrong += [
            f"{name} {number}: expected {_OF_WINDOW}" for number, each in enumerate(windows, 1) if not _is_window(each)
        ]
    wrong += [
        f"schedule {number}: expected supply ON or OFF"
        for number, each in enumerate(terms.schedule, 1)
        if each.supply == Supply.UNKNOWN
    ]
    return "; ".join(wrong)


_OF_WINDOW = "some of the 8 bits of days, from_minute 0 to 1439, until_minute 0 to 1440, and the two to differ"


def _is_window(window: Window) -> bool:
    return (
        0 < window.days < 256
        and 0 <= window.from_minute < MINUTES_OF_DAY
        and 0 <= window.until_minute <= MINUTES_OF_DAY
        and window.from_minute != window.until_minute
    )


def _is_zone(name: str) -> bool:
    try:
        zone(name)
    except ValueError:
        return False
    return True


RULES: dict[str, Callable[[ControlTerms], bool]] = {
    "zone to be an IANA time zone such as Asia/Shanghai": lambda terms: _is_zone(terms.zone),
    f"holidays to ascend, from 0 to {DAYS_MAX}, at most {HOLIDAYS_MAX}": lambda terms: (
        len(terms.holidays) <= HOLIDAYS_MAX
        and list(terms.holidays) == sorted(set(terms.holidays))
        and all(0 <= day <= DAYS_MAX for day in terms.holidays)
    ),
    f"at most {LISTED_MAX} windows and ranges of each kind": lambda terms: (
        max(len(terms.no_trip), len(terms.schedule), len(terms.tolerated)) <= LISTED_MAX
    ),
    "power_limit_w and malignant_step_w from 0 to 10^9": lambda terms: (
        min(terms.power_limit_w, terms.malignant_step_w) >= 0
        and max(terms.power_limit_w, terms.malignant_step_w) <= WATTS_MAX
    ),
    "tolerated ranges with 0 <= low_w <= high_w <= 10^9": lambda terms: all(
        0 <= each.low_w <= each.high_w <= WATTS_MAX for each in terms.tolerated
    ),
    f"restores from 0 to {RESTORES_MAX}": lambda terms: 0 <= terms.restores <= RESTORES_MAX,
    "restore_wait_ms from a minute to a day": lambda terms: MINUTE_MS <= terms.restore_wait_ms <= DAY_MS,
}
