"""Orders: every fact that asks for something gets an outcome by the id its caller gave; money, accounts, control.

Each is a ladder of guards in the order of `domain.words.Refusal`; after the ladder nothing can fail. An outcome is kept
for 90 days by id: the same order again gets the same answer, another order under the same id is refused.
"""

import hashlib
from collections.abc import Callable
from typing import Any

import msgspec

from domain.effects import Effects, Outcome
from domain.facts import (
    AccountOpened,
    AlarmTerms,
    ControlOrdered,
    RechargeOrdered,
    Record,
    RefundOrdered,
)
from domain.ids import order_id, order_time_ms
from domain.state import AccountRecord, Forced, KeptOutcome
from domain.units import DAY_MS, MONEY_MAX_MICROS, ORDER_MAX_MICROS
from domain.words import Ledger, Refusal, Supply
from flows.control import reconcile
from flows.ledger import post_order
from flows.settling import charge
from flows.state import ShardState
from flows.wallet import judge_account

IDS_KEPT_MS = 90 * DAY_MS
IDS_AHEAD_MS = DAY_MS
"""An id made later than this after its fact would outlive the time it is kept."""

Answer = Refusal | tuple[Refusal, str] | Outcome | None


def decide_order(
    state: ShardState, fact: Any, rule: Callable[[ShardState, Any, Effects], Answer], effects: Effects
) -> None:
    """Answer an order by its id: with the outcome it already has, with a refusal, or by carrying it out."""
    try:
        key = order_id(fact.id)
    except ValueError as error:
        effects.outcomes.append(_outcome(state, fact, Refusal.BAD_ID, str(error)))
        return
    content = _digest(fact)
    kept = state.outcomes.get(key)
    if kept is not None:
        same = kept.content == content
        effects.outcomes.append(kept.outcome if same else _outcome(state, fact, Refusal.EXISTS_WITH_DIFFERENT_CONTENT))
        return
    answer = _age_refusal(key, max(state.header.now, fact.at)) or rule(state, fact, effects)
    refusal, detail = answer if isinstance(answer, tuple) else (answer, "")
    outcome = _outcome(state, fact, refusal, detail)
    if refusal not in {Refusal.TOO_OLD, Refusal.ID_FROM_THE_FUTURE}:
        state.outcomes.put(key, KeptOutcome(content=content, outcome=outcome))
    effects.outcomes.append(outcome)


def _digest(fact: Record) -> bytes:
    """16 bytes over what the caller said; when it reached us is not part of it."""
    content = msgspec.msgpack.encode(msgspec.structs.replace(fact, at=0))
    return hashlib.blake2b(type(fact).__name__.encode() + content, digest_size=16).digest()


def _age_refusal(key: bytes, now: int) -> Refusal | None:
    made = order_time_ms(key)
    if made < now - IDS_KEPT_MS:
        return Refusal.TOO_OLD
    return Refusal.ID_FROM_THE_FUTURE if made > now + IDS_AHEAD_MS else None


def _outcome(state: ShardState, fact: Any, refusal: Any, detail: str = "") -> Outcome:
    account = getattr(fact, "account", "")
    record = state.account_records.get(account)
    return Outcome(
        id=fact.id,
        kind=fact.KIND,
        at=fact.at,
        refusal=refusal or "",
        account=account,
        meter=getattr(fact, "meter", 0),
        amount_micros=getattr(fact, "amount_micros", 0),
        balance_micros=int(state.accounts.rows[record.row].balance) if record else 0,
        detail=detail,
    )


def prune_outcomes(state: ShardState, now: int) -> None:
    """Once a day, forget outcomes whose ids are older than are accepted."""
    today = now // DAY_MS
    if today == state.header.pruned_day:
        return
    for key, _ in state.outcomes.sorted():
        if order_time_ms(key) >= now - IDS_KEPT_MS:
            break
        state.outcomes.drop(key)
    state.header = msgspec.structs.replace(state.header, pruned_day=today)


def _terms_mistake(terms: AlarmTerms) -> str:
    rules = {
        "low >= pretrip >= arrears": terms.low >= terms.pretrip >= terms.arrears,
        "reconnect >= arrears": terms.reconnect >= terms.arrears,
        "hysteresis >= 0": terms.hysteresis >= 0,
        "0 < repeat_ms <= 10^12": 0 < terms.repeat_ms <= 10**12,
        "0 <= repeat_max <= 250": 0 <= terms.repeat_max <= 250,
        "amounts within bounds": max(
            abs(terms.low), abs(terms.arrears), abs(terms.reconnect), terms.hysteresis, terms.max_balance
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


def _money_refusal(state: ShardState, fact: RechargeOrdered | RefundOrdered) -> Refusal | None:
    record = state.account_records.get(fact.account)
    if record is None:
        return Refusal.UNKNOWN_ACCOUNT
    if fact.currency != record.currency:
        return Refusal.WRONG_CURRENCY
    if fact.amount_micros <= 0:
        return Refusal.AMOUNT_NOT_POSITIVE
    return Refusal.AMOUNT_TOO_LARGE if fact.amount_micros > ORDER_MAX_MICROS else None


def recharge(state: ShardState, fact: RechargeOrdered, effects: Effects) -> Answer:
    """Credit an account, and give the supply back where that is enough."""
    if refusal := _money_refusal(state, fact):
        return refusal
    record = state.account_records[fact.account]
    if state.accounts.rows[record.row].balance + fact.amount_micros > record.alarms.max_balance:
        return Refusal.ABOVE_MAX_BALANCE
    _move(state, record, fact, -fact.amount_micros, (Ledger.CASH, Ledger.CUSTOMER), effects)
    return None


def refund(state: ShardState, fact: RefundOrdered, effects: Effects) -> Answer:
    """Pay out of the balance, never more than it holds."""
    if refusal := _money_refusal(state, fact):
        return refusal
    record = state.account_records[fact.account]
    if fact.amount_micros > state.accounts.rows[record.row].balance:
        return Refusal.INSUFFICIENT_BALANCE
    _move(state, record, fact, fact.amount_micros, (Ledger.CUSTOMER, Ledger.CASH), effects)
    return None


def _move(
    state: ShardState,
    record: AccountRecord,
    fact: RechargeOrdered | RefundOrdered,
    taken_micros: int,
    sides: tuple[Ledger, Ledger],
    effects: Effects,
) -> None:
    charge(state.accounts.rows[record.row], taken_micros, 0)
    post_order(state, record.row, fact.at, sides, fact.amount_micros, order_id(fact.id), effects)
    judge_account(state, record.row, fact.at, effects)


def order_control(state: ShardState, fact: ControlOrdered, effects: Effects) -> Answer:
    """Force a meter's supply for a time, or give it back to automatic."""
    record = state.meter_records.get(fact.meter)
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
