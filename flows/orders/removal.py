"""Meters that go: taken down, or replaced by another one, with a last reading that a person took.

The closing register is judged and settled like any other reading. What goes on with a new meter is the account with its wallet, the
tariffs, the premises, the tier counter, what somebody has forced and what is watched; the registers of the two have nothing to do with each other.
"""

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from domain.effects import Effects
from domain.facts import MeterInstalled, MeterRemoved, MeterReplaced, ReadingBlock
from domain.ids import EntryId, meter_text
from domain.state import Control, Forced, MeterRecord
from domain.words import Metering, Refusal
from flows.clocks import forget_clock, time_by_log
from flows.main_meters import succeed_main
from flows.orders.answers import Answer, said
from flows.orders.closing import close_days
from flows.orders.control import enter_limits
from flows.orders.meters import enter_meter, meter_mistake
from flows.orders.watch import enter_watch
from flows.purchases import forget_purchases
from flows.readings.metering import classify
from flows.readings.pricing import is_full
from flows.state import ShardState
from flows.supply.commands import reconcile
from flows.supply.load import let_go
from flows.watching import unwatch

Read = Callable[[ShardState, ReadingBlock, Effects], None]
"""How the machine takes readings in."""

REGISTER_END = 10**15
"""No register is so high, whether or not it wraps."""

_BELIEVED = {Metering.FIRST, Metering.NORMAL, Metering.ROLLOVER, Metering.VACANT}


def remove_meter(read: Read, state: ShardState, fact: MeterRemoved, effects: Effects) -> Answer:
    """Settle a meter's usage up to its closing register, and find it no longer by its number."""
    record = state.installed(fact.meter)
    if record is None:
        return Refusal.UNKNOWN_METER
    if refusal := _refusal(state, record, fact, effects.entry):
        return refusal
    before = _balance(state, record)
    _take_down(read, state, record, fact, effects)
    return said(state, fact, record.account, before - _balance(state, record), "")


def replace_meter(read: Read, state: ShardState, fact: MeterReplaced, effects: Effects) -> Answer:
    """Settle the old meter and let the new one go on in its place, from its own register on."""
    record = state.installed(fact.meter)
    if state.installed(fact.new_meter):
        return Refusal.EXISTS_WITH_DIFFERENT_CONTENT, f"meter {meter_text(fact.new_meter)} is in use"
    if record is None:
        return Refusal.UNKNOWN_METER
    if mistake := meter_mistake(_as_installed(record, fact)):
        return Refusal.TERMS_INVALID, mistake
    if refusal := _refusal(state, record, fact, effects.entry):
        return refusal
    before = _balance(state, record)
    forced, control = state.forced.get(fact.meter), state.controls.get(fact.meter)
    at = _take_down(read, state, record, fact, effects)
    successor = msgspec.structs.replace(
        record, row=state.meters.count, meter=fact.new_meter, profile=fact.profile, modulus=fact.modulus,
        rated_per_hour=fact.rated_per_hour, ratio=fact.ratio, switchable=fact.switchable, installed_at=at,
        opening_register=fact.opening_register, replaces=fact.meter, watch=None,
    )  # fmt: skip
    enter_meter(state, successor)
    if record.watch:
        enter_watch(state, successor, record.watch, at)
    if fact.switchable:
        _hand_over(state, successor, forced, control)
    reconcile(state, successor.row, at, effects)
    return said(state, fact, record.account, before - _balance(state, record), meter_text(fact.new_meter))


def _hand_over(state: ShardState, successor: MeterRecord, forced: Forced | None, control: Control | None) -> None:
    """What somebody wants of the supply goes on with the new meter; a cut for the load of the old one does not."""
    if forced:
        state.forced.put(successor.meter, msgspec.structs.replace(forced, meter=successor.meter))
    if control:
        wishes = Control(meter=successor.meter, terms=control.terms, protection=control.protection)
        state.controls.put(successor.meter, wishes)
        enter_limits(state, successor.row, control.terms)


def _as_installed(record: MeterRecord, fact: MeterReplaced) -> MeterInstalled:
    return MeterInstalled(
        at=fact.at, id=fact.id, meter=fact.new_meter, account=record.account, commodity=record.commodity,
        tariff=record.tariff, modulus=fact.modulus, rated_per_hour=fact.rated_per_hour, ratio=fact.ratio,
        opening_register=fact.opening_register, persons=record.persons, capacity_w=record.capacity_w,
    )  # fmt: skip


def _balance(state: ShardState, record: MeterRecord) -> int:
    return int(state.accounts.rows[state.account_records[record.account].row].balance)


def _closing_time(state: ShardState, record: MeterRecord, at: int) -> int:
    """When the closing register was read: after the last believed reading, whose clock may be a little ahead."""
    return max(at, int(state.meters.rows[record.row].time) + 1)


def _refusal(
    state: ShardState, record: MeterRecord, fact: MeterRemoved | MeterReplaced, entry: EntryId
) -> tuple[Refusal, str] | None:
    register, end = fact.closing_register, record.modulus or REGISTER_END
    if not 0 <= register < end:
        return Refusal.TERMS_INVALID, f"expected 0 <= closing_register < {end}"
    meter, terms = state.meters.rows[record.row], state.meter_terms.rows[record.row]
    account, time = state.accounts.rows[int(terms.account)], _closing_time(state, record, fact.at)
    metering = Metering(int(classify(meter, terms, account, time, register, time_by_log(state, entry))))
    if metering in {Metering.NORMAL, Metering.ROLLOVER} and is_full(terms, state.counters.rows):
        metering = Metering.OUT_OF_RANGE
    if metering in _BELIEVED:
        return None
    words = f"{register} is a {metering.name.lower()} after {int(meter.register)}; decide what is held, or state what is true"
    return Refusal.REGISTER_NOT_BELIEVED, words


def _take_down(
    read: Read, state: ShardState, record: MeterRecord, fact: MeterRemoved | MeterReplaced, effects: Effects
) -> int:
    """Take the last reading, post the open day, and let go of everything that hangs on the meter. Returns the time of the reading."""
    time, row, number = _closing_time(state, record, fact.at), record.row, record.meter
    read(state, _block(number, time, fact.closing_register), effects)
    close_days(state, [row], time, effects)
    state.meter_terms.rows[row].removed = 1
    state.meter_terms.dirty[row] = 1
    let_go(state, row, time, effects)
    reconcile(state, row, max(time, state.header.now), effects)
    state.controls.drop(number)
    enter_limits(state, row, None)
    forget_clock(state, number, effects)
    forget_purchases(state, number, time, effects)
    unwatch(state, row, time, effects)
    succeed_main(state, number, getattr(fact, "new_meter", 0), time, effects)
    gone = msgspec.structs.replace(record, removed_at=time, replaced_by=getattr(fact, "new_meter", 0))
    state.meter_records.put(number, gone)
    account = state.account_records[record.account]
    meters = tuple(each for each in account.meters if each != number)
    account = msgspec.structs.replace(account, meters=meters, former=(*account.former, number))
    state.account_records.put(record.account, account)
    state.index_meters()
    return time


def _block(*values: Any) -> ReadingBlock:
    return ReadingBlock(*(np.array([value], np.int64) for value in values))
