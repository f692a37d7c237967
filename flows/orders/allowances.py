"""Allowances by order."""

import msgspec

from domain.effects import Effects
from domain.facts import AllowanceSet
from domain.state import AccountRecord
from domain.units import DAY_MS, ORDER_MAX_MICROS
from domain.words import AllowanceKind, Period, Refusal
from flows.items import calendar_period
from flows.orders.answers import Answer
from flows.readings.metering import LATEST_MS
from flows.readings.windows import month_of
from flows.state import ShardState


def set_allowance(state: ShardState, fact: AllowanceSet, _effects: Effects) -> Answer:
    """Give an account something free each month, from a day on; what it had is replaced, and until when it had it remembered."""
    record = state.account_records.get(fact.account)
    if record is None:
        return Refusal.UNKNOWN_ACCOUNT
    if mistake := _mistake(fact):
        return Refusal.TERMS_INVALID, mistake
    _remember(state, record, fact.at)
    account, terms = state.accounts.rows[record.row], state.account_terms.rows[record.row]
    terms.allowance_kind, terms.allowance, terms.allowance_from = fact.kind, fact.amount, fact.from_day
    account.allowance, account.allowance_picos, account.allowance_month = first_amount(fact), 0, month_of(fact.from_day)
    state.accounts.dirty[record.row] = state.account_terms.dirty[record.row] = 1
    return None


def _remember(state: ShardState, record: AccountRecord, at: int) -> None:
    """Note until when the allowance that stands has applied: to usage up to the last readings, whose clocks may be ahead, and to now."""
    kind = int(state.account_terms.rows[record.row].allowance_kind)
    if kind == AllowanceKind.NONE:
        return
    read = [int(state.meters.rows[state.meter_records[number].row].time) for number in record.meters]
    until = max(state.header.now, at, record.free_until[kind], *read)
    free_until = (*record.free_until[:kind], until, *record.free_until[kind + 1 :])
    state.account_records.put(record.account, msgspec.structs.replace(record, free_until=free_until))


def first_amount(fact: AllowanceSet) -> int:
    """What is free in the month of the first day."""
    if not fact.partial:
        return fact.amount
    first, following = calendar_period(Period.MONTH, fact.from_day)
    return fact.amount * (following - fact.from_day) // (following - first)


def _mistake(fact: AllowanceSet) -> str:
    rules = {
        "0 < amount <= 10^15": 0 < fact.amount <= ORDER_MAX_MICROS or fact.kind is AllowanceKind.NONE,
        "from_day from 1970 to 2100": 0 <= fact.from_day * DAY_MS < LATEST_MS,
    }
    return "; ".join(f"expected {rule}" for rule, holds in rules.items() if not holds)
