"""Accounts: opened with an empty wallet, and the terms by which they are warned, cut and restored."""

from domain.effects import Effects
from domain.facts import AccountOpened, AlarmTerms
from domain.state import AccountRecord
from domain.units import MONEY_MAX_MICROS
from domain.words import Refusal
from flows.orders.answers import Answer
from flows.state import ShardState


def _terms_mistake(terms: AlarmTerms) -> str:
    rules = {
        "low >= pretrip >= arrears": terms.low >= terms.pretrip >= terms.arrears,
        "reconnect >= arrears": terms.reconnect >= terms.arrears,
        "hysteresis >= 0": terms.hysteresis >= 0,
        "overdraft >= 0": terms.overdraft >= 0,
        "0 < repeat_ms <= 10^12": 0 < terms.repeat_ms <= 10**12,
        "0 <= repeat_max <= 250": 0 <= terms.repeat_max <= 250,
        "amounts within bounds": max(
            abs(terms.low),
            abs(terms.arrears),
            abs(terms.reconnect),
            terms.hysteresis,
            terms.max_balance,
            terms.overdraft,
        )
        < MONEY_MAX_MICROS,
    }
    return "; ".join(f"expected {rule}" for rule, holds in rules.items() if not holds)


def open_account(state: ShardState, fact: AccountOpened, _effects: Effects) -> Answer:
    """Open an account with an empty wallet; the same opening again changes nothing."""
    before = state.account_records.get(fact.account)
    if before:
        same = (before.currency, before.name, before.place, before.alarms) == (
            fact.currency,
            fact.name,
            fact.place,
            fact.alarms,
        )
        return None if same else Refusal.EXISTS_WITH_DIFFERENT_CONTENT
    if mistake := _terms_mistake(fact.alarms):
        return Refusal.TERMS_INVALID, mistake
    row, terms_row = state.accounts.append(), state.account_terms.append()
    assert row == terms_row == len(state.account_ids)
    for name in fact.alarms.__struct_fields__:
        state.account_terms.rows[row][name] = getattr(fact.alarms, name)
    state.account_ids.append(fact.account)
    record = AccountRecord(
        row=row,
        account=fact.account,
        currency=fact.currency,
        name=fact.name,
        place=fact.place,
        alarms=fact.alarms,
        opened_at=fact.at,
    )
    state.account_records.put(fact.account, record)
    return None
