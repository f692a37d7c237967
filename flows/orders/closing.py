"""The end of a tenancy: what is due and what the meters have counted is posted, the balance is settled to exactly zero, nothing is wanted any more.

A transfer to another tenant settles in the same way and goes on, or leaves the balance where it is. Whole micros are paid; what is less
than one micro, with what the meters' days have carried on unposted, goes to Ledger.ROUNDING, so that the ledger is exactly zero too.
"""

from collections.abc import Callable

import msgspec
import numpy as np

from domain.effects import POSTING, USAGE, Effects
from domain.facts import AccountClosed, AccountTransferred
from domain.ids import meter_text, order_id
from domain.state import AccountRecord, ChargeItem
from domain.units import PICOS_PER_MICRO, money_text
from domain.words import AccountState, Ledger, Refusal, Settlement
from flows.alarms import level_alarms
from flows.items import amount_due, begin_items, charge_item, drop_items, due_by
from flows.ledger import append_postings, post_order
from flows.orders.accounts import reconcile_meters
from flows.orders.answers import Answer, said
from flows.orders.money import cash, is_closed
from flows.readings.settling import charge
from flows.readings.windows import close_overdue
from flows.state import ShardState
from flows.supply.load import let_go

Leaving = AccountClosed | AccountTransferred

FITS: dict[Settlement, tuple[str, Callable[[int], bool]]] = {
    Settlement.REFUND: ("a balance of zero or more", lambda balance: balance >= 0),
    Settlement.PAY_UP: ("a balance below zero", lambda balance: balance < 0),
    Settlement.WRITE_OFF: ("any balance", lambda _balance: True),
    Settlement.CARRY: ("a transfer", lambda _balance: False),
}
"""What each settlement is for, and whether it fits a balance in whole micros, rounded down."""

_EVERY_DAY = np.int32(2**31 - 1)


def close_account(state: ShardState, fact: AccountClosed, effects: Effects) -> Answer:
    """Settle an account and close it. Its forced wishes and fees end; its supply is left alone, or is to be off."""
    record = state.account_records.get(fact.account)
    if record is None:
        return Refusal.UNKNOWN_ACCOUNT
    if is_closed(state, record):
        return Refusal.ACCOUNT_CLOSED
    if refusal := _refusal(state, record, fact):
        return refusal
    settled = _settle(state, record, fact, effects)
    record = state.account_records[fact.account]
    account = state.accounts.rows[record.row]
    account.state, account.cut = AccountState.CLOSED, fact.cut
    state.account_records.put(fact.account, msgspec.structs.replace(record, closed_at=fact.at))
    drop_items(state, fact.account)
    for number in record.meters:
        let_go(state, state.meter_records[number].row, fact.at, effects)
    reconcile_meters(state, record, fact.at, effects)
    return said(state, fact, fact.account, settled, "")


def transfer_account(state: ShardState, fact: AccountTransferred, effects: Effects) -> Answer:
    """Pass an account on to another tenant, who begins with an empty wallet unless the balance is carried over."""
    record = state.account_records.get(fact.account)
    if record is None:
        return Refusal.UNKNOWN_ACCOUNT
    if is_closed(state, record):
        return Refusal.ACCOUNT_CLOSED
    settled = 0
    if fact.settlement != Settlement.CARRY:
        if refusal := _refusal(state, record, fact):
            return refusal
        settled = _settle(state, record, fact, effects)
        begin_items(state, state.account_records[fact.account])
    record = state.account_records[fact.account]
    record = msgspec.structs.replace(record, name=fact.name, tenant_since=fact.at)
    state.account_records.put(fact.account, record)
    reconcile_meters(state, record, fact.at, effects)
    return said(state, fact, fact.account, settled, "")


def _refusal(state: ShardState, record: AccountRecord, fact: Leaving) -> tuple[Refusal, str] | None:
    unread = [number for number in record.meters if state.meters.rows[state.meter_records[number].row].time < 0]
    if unread:
        return Refusal.METERS_NOT_READ, ", ".join(map(meter_text, unread))
    if fact.settlement == Settlement.WRITE_OFF and not fact.reason.strip():
        return Refusal.NOTE_MISSING, "a write-off needs a reason"
    balance = int(state.accounts.rows[record.row].balance) - sum(amount_due(item) for _, item in _due(state, fact))
    expected, fits = FITS[fact.settlement]
    if not fits(balance):
        return Refusal.BALANCE_NOT_SETTLED, f"{fact.settlement} is for {expected}; the balance is {money_text(balance)}"
    return None


def _due(state: ShardState, fact: Leaving) -> list[tuple[str, ChargeItem]]:
    """Fees that have fallen due before the tenant goes, and that no tick has seen."""
    return due_by(state, fact.account, max(state.header.now, fact.at))


def _settle(state: ShardState, record: AccountRecord, fact: Leaving, effects: Effects) -> int:
    """Take what is due, post what is open, pay the balance out or in, and begin with an empty wallet. Returns the micros that the tenant got."""
    for key, item in _due(state, fact):
        charge_item(state, key, item, effects)
    close_days(state, [state.meter_records[number].row for number in record.meters], fact.at, effects)
    account = state.accounts.rows[record.row]
    balance, level = int(account.balance), int(account.level)
    against = Ledger.WRITE_OFFS if fact.settlement == Settlement.WRITE_OFF else cash(fact.channel)
    _post(state, record, fact, balance, against, effects)
    _post(state, record, fact, _take_rest(state, record), Ledger.ROUNDING, effects)
    charge(account, balance, int(account.balance_picos))
    account.level, account.repeats, account.tripped, account.settled, account.alarmed_at = 0, 0, 0, 0, 0
    state.accounts.dirty[record.row] = 1
    settled = msgspec.structs.replace(record, settled_posting=state.header.posting_sequence, pays_since=fact.at)
    state.account_records.put(record.account, settled)
    effects.alarms.extend(level_alarms(record, level, 0, 0, fact.at))
    return balance


def _post(
    state: ShardState, record: AccountRecord, fact: Leaving, micros: int, against: Ledger, effects: Effects
) -> None:
    """Post what leaves the account, or comes to it where it is negative; nothing where it is zero."""
    if micros:
        sides = (Ledger.CUSTOMER, against) if micros > 0 else (against, Ledger.CUSTOMER)
        post_order(state, record.row, fact.at, sides, abs(micros), order_id(fact.id), effects)


def _take_rest(state: ShardState, record: AccountRecord) -> int:
    """Micros that the ledger has beyond the balance's whole ones: parts of a micro that usage has left unposted."""
    rows = np.flatnonzero(state.meter_terms.rows["account"] == record.row)
    meters = state.meters.rows
    unposted = int(meters["day_picos"][rows].sum()) - int(meters["day_free_picos"][rows].sum())
    picos = int(state.accounts.rows[record.row].balance_picos) + unposted
    assert picos % PICOS_PER_MICRO == 0, "a ledger holds whole micros"
    meters["day_picos"][rows], meters["day_free_picos"][rows] = 0, 0
    state.meters.dirty[rows] = 1
    return picos // PICOS_PER_MICRO


def close_days(state: ShardState, rows: list[int], at: int, effects: Effects) -> None:
    """Close the open hour and day of these meters now, as a tick would long after their end."""
    every_day = np.full(len(state.plans), _EVERY_DAY, np.int32)
    for row in rows:
        one = slice(row, row + 1)
        usage, postings = close_overdue(
            state.meters.rows[one],
            state.meter_terms.rows[one],
            state.meters.dirty[one],
            at,
            every_day,
            state.header.posting_sequence,
        )
        if len(usage):
            before = effects.usage
            effects.usage = usage.view(USAGE) if before is None else np.concatenate([before, usage]).view(USAGE)
        append_postings(state, postings.view(POSTING), effects)
