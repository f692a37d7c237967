"""Meters: given to an account, from a register on."""

import msgspec

from domain.effects import Effects
from domain.facts import MeterInstalled
from domain.ids import METER_NUMBER_MAX
from domain.state import AccountRecord, MeterRecord
from domain.words import Refusal
from flows.orders.answers import Answer
from flows.orders.tariffs import bind, premises_rules
from flows.state import ShardState
from flows.supply.commands import reconcile


def install_meter(state: ShardState, fact: MeterInstalled, effects: Effects) -> Answer:
    """Give an account a meter; the same installation again changes nothing."""
    account, tariff = state.account_records.get(fact.account), state.tariff_records.get(fact.tariff)
    if known := state.meter_records.get(fact.meter):
        return None if known == _meter_record(state, fact) else Refusal.EXISTS_WITH_DIFFERENT_CONTENT
    if account is None:
        return Refusal.UNKNOWN_ACCOUNT
    if tariff is None:
        return Refusal.UNKNOWN_TARIFF
    priced = state.tariffs[tariff.row]
    if priced.commodity != fact.commodity:
        return Refusal.WRONG_COMMODITY
    if priced.currency != account.currency:
        return Refusal.WRONG_CURRENCY
    if mistake := _meter_mistake(fact):
        return Refusal.TERMS_INVALID, mistake
    _enter_meter(state, fact, account)
    reconcile(state, state.meter_records[fact.meter].row, fact.at, effects)
    return None


def _meter_mistake(fact: MeterInstalled) -> str:
    rules = {
        "meter number of 1 to 12 digits": 0 < fact.meter <= METER_NUMBER_MAX,
        "0 <= modulus <= 10^15": 0 <= fact.modulus <= 10**15,
        "1 <= rated_per_hour <= 10^9": 1 <= fact.rated_per_hour <= 10**9,
        "1 <= ratio <= 10^6": 1 <= fact.ratio <= 10**6,
        "opening_register below the modulus": 0 <= (fact.opening_register or 0) < (fact.modulus or 10**15),
        "time after 1970": fact.at > 0,
        **premises_rules(fact),
    }
    return "; ".join(f"expected {rule}" for rule, holds in rules.items() if not holds)


def _meter_record(state: ShardState, fact: MeterInstalled) -> MeterRecord:
    known = state.meter_records.get(fact.meter)
    return MeterRecord(
        row=known.row if known else state.meters.count,
        meter=fact.meter,
        account=fact.account,
        commodity=fact.commodity,
        tariff=fact.tariff,
        profile=fact.profile,
        modulus=fact.modulus,
        rated_per_hour=fact.rated_per_hour,
        ratio=fact.ratio,
        switchable=fact.switchable,
        installed_at=known.installed_at if known else fact.at,
        opening_register=fact.opening_register,
        persons=fact.persons,
        capacity_w=fact.capacity_w,
        assigned=known.assigned if known else (),
        watch=known.watch if known else None,
    )


def _enter_meter(state: ShardState, fact: MeterInstalled, account: AccountRecord) -> None:
    record = _meter_record(state, fact)
    row, terms_row = state.meters.append(), state.meter_terms.append()
    assert row == terms_row == record.row
    meter, terms = state.meters.rows[row], state.meter_terms.rows[row]
    meter.time, meter.register, meter.suspect, meter.window_start, meter.day = -1, 0, -1, -1, -1
    if fact.opening_register is not None:
        meter.time, meter.register, meter.moved_at = fact.at, fact.opening_register, fact.at
    terms.number, terms.account = fact.meter, account.row
    terms.modulus, terms.rated_per_hour, terms.ratio = fact.modulus, fact.rated_per_hour, fact.ratio
    terms.commodity, terms.switchable = fact.commodity, fact.switchable
    state.meter_records.put(fact.meter, record)
    meters = (*account.meters, fact.meter)
    state.account_records.put(fact.account, msgspec.structs.replace(account, meters=meters))
    state.index_meter(fact.meter, row)
    if fact.opening_register is not None:
        state.oldest_ms = min(state.oldest_ms or fact.at, fact.at)
    bind(state, record, state.plan_row(record.assignments))
