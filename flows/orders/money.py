"""Money by order: recharges and refunds, each posted with the id that its caller gave."""

from domain.effects import Effects
from domain.facts import RechargeOrdered, RefundOrdered
from domain.ids import order_id
from domain.state import AccountRecord
from domain.units import ORDER_MAX_MICROS
from domain.words import Ledger, Refusal
from flows.ledger import post_order
from flows.orders.answers import Answer
from flows.readings.settling import charge
from flows.state import ShardState
from flows.wallet import judge_account


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
