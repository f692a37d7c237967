"""Money by order: recharges, refunds, adjustments and reversals, each posted with the id that its caller gave.

Cash has an account of its own for each channel that we know. What was wrong is put right by a further posting that names the
old one; nothing is ever taken out of the ledger.
"""

import msgspec

from domain.effects import Alarm, Effects
from domain.facts import AdjustmentOrdered, RechargeOrdered, RefundOrdered, ReversalOrdered
from domain.ids import order_id
from domain.state import AccountRecord, KeptOutcome
from domain.units import MONEY_MAX_MICROS, ORDER_MAX_MICROS
from domain.words import CASH_BY_CHANNEL, AccountState, AlarmKind, AlarmState, Ledger, Refusal
from flows.ledger import post_order
from flows.orders.answers import Answer
from flows.readings.settling import charge
from flows.state import ShardState
from flows.wallet import judge_account

MoneyOrder = RechargeOrdered | RefundOrdered | AdjustmentOrdered | ReversalOrdered


def cash(channel: str) -> Ledger:
    """The ledger account of a channel's money."""
    return CASH_BY_CHANNEL.get(channel, Ledger.CASH)


def _owner_refusal(state: ShardState, account: str, currency: str) -> Refusal | None:
    record = state.account_records.get(account)
    if record is None:
        return Refusal.UNKNOWN_ACCOUNT
    if currency != record.currency:
        return Refusal.WRONG_CURRENCY
    return Refusal.ACCOUNT_CLOSED if is_closed(state, record) else None


def is_closed(state: ShardState, record: AccountRecord) -> bool:
    """Whether the account is closed: then its balance is zero and stays so."""
    return bool(state.accounts.rows[record.row].state == AccountState.CLOSED)


def _amount_refusal(amount: int) -> Refusal | None:
    if amount <= 0:
        return Refusal.AMOUNT_NOT_POSITIVE
    return Refusal.AMOUNT_TOO_LARGE if amount > ORDER_MAX_MICROS else None


def recharge(state: ShardState, fact: RechargeOrdered, effects: Effects) -> Answer:
    """Credit an account, say that the money arrived, and give the supply back where that is enough."""
    refusal = _owner_refusal(state, fact.account, fact.currency) or _amount_refusal(fact.amount_micros)
    if refusal:
        return refusal
    record = state.account_records[fact.account]
    balance = int(state.accounts.rows[record.row].balance) + fact.amount_micros
    if balance > record.alarms.max_balance:
        return Refusal.ABOVE_MAX_BALANCE
    notice = Alarm(
        id="", kind=AlarmKind.MONEY_ARRIVED, state=AlarmState.NOTED, at=fact.at, account=fact.account,
        balance=balance, amount=fact.amount_micros, reason=fact.channel,
    )  # fmt: skip
    effects.alarms.append(notice)
    _move(state, record, fact, fact.amount_micros, cash(fact.channel), effects)
    return None


def refund(state: ShardState, fact: RefundOrdered, effects: Effects) -> Answer:
    """Pay out of the balance, never more than it holds."""
    refusal = _owner_refusal(state, fact.account, fact.currency) or _amount_refusal(fact.amount_micros)
    if refusal:
        return refusal
    record = state.account_records[fact.account]
    if fact.amount_micros > state.accounts.rows[record.row].balance:
        return Refusal.INSUFFICIENT_BALANCE
    _move(state, record, fact, -fact.amount_micros, cash(fact.channel), effects)
    return None


def adjust(state: ShardState, fact: AdjustmentOrdered, effects: Effects) -> Answer:
    """Give or take what a person says, below zero too; why must be said."""
    if refusal := _owner_refusal(state, fact.account, fact.currency):
        return refusal
    if not fact.note.strip():
        return Refusal.NOTE_MISSING
    if fact.amount_micros == 0:
        return Refusal.AMOUNT_IS_ZERO
    record = state.account_records[fact.account]
    after = int(state.accounts.rows[record.row].balance) + fact.amount_micros
    if abs(fact.amount_micros) > ORDER_MAX_MICROS or abs(after) > MONEY_MAX_MICROS:
        return Refusal.AMOUNT_TOO_LARGE
    _move(state, record, fact, fact.amount_micros, Ledger.ADJUSTMENTS, effects, _posting_of(state, fact.corrects))
    return None


def reverse(state: ShardState, fact: ReversalOrdered, effects: Effects) -> Answer:
    """Take back a recharge whose payment failed, whole and once, even if the balance goes below zero."""
    record = state.account_records.get(fact.account)
    if record is None:
        return Refusal.UNKNOWN_ACCOUNT
    key, kept = _kept(state, fact.order)
    if kept is None or kept.outcome.kind != RechargeOrdered.KIND or not _is_carried_out(kept, record):
        return (
            Refusal.UNKNOWN_ORDER,
            "a recharge of this account's tenant from the last 90 days; older ones are put right by an adjustment",
        )
    if kept.reversed_by:
        return Refusal.ALREADY_REVERSED, f"by order {kept.reversed_by}"
    state.outcomes.put(key, msgspec.structs.replace(kept, reversed_by=fact.id))
    amount = kept.outcome.amount_micros
    _move(state, record, fact, -amount, cash(kept.channel), effects, kept.posting)
    return None


def _kept(state: ShardState, order: str) -> tuple[bytes, KeptOutcome | None]:
    """What is kept of an order, by the id that a caller gave it."""
    try:
        key = order_id(order)
    except ValueError:
        return b"", None
    return key, state.outcomes.get(key)


def _is_carried_out(kept: KeptOutcome, record: AccountRecord) -> bool:
    return kept.posting > record.settled_posting and kept.outcome.account == record.account


def _posting_of(state: ShardState, order: str) -> int:
    _, kept = _kept(state, order)
    return kept.posting if kept else 0


def _move(
    state: ShardState,
    record: AccountRecord,
    fact: MoneyOrder,
    given_micros: int,
    against: Ledger,
    effects: Effects,
    corrects: int = 0,
) -> None:
    """Give an amount to the account, or take it where it is negative, and post it against another ledger account."""
    account = state.accounts.rows[record.row]
    charge(account, -given_micros, 0)
    sides = (against, Ledger.CUSTOMER) if given_micros > 0 else (Ledger.CUSTOMER, against)
    post_order(state, record.row, fact.at, sides, abs(given_micros), order_id(fact.id), effects, corrects)
    judge_account(state, record.row, fact.at, effects)
