"""Accounts: prepared or opened with an empty wallet, opened by one action, and the terms by which they are warned, cut and restored.

How a tenant goes is in `flows/orders/closing.py`.
"""

import hashlib

import msgspec

from domain.effects import Effects
from domain.facts import AccountActivated, AccountOpened, AccountUpdated, AlarmTerms
from domain.state import AccountRecord
from domain.units import MONEY_MAX_MICROS
from domain.words import AccountState, Refusal
from flows.items import begin_items
from flows.orders.answers import Answer
from flows.state import ShardState
from flows.supply.commands import reconcile
from flows.wallet import judge_account


def terms_mistake(terms: AlarmTerms) -> str:
    """What terms get wrong, in words; nothing where they are right."""
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
    """Open or prepare an account with an empty wallet; the same opening again changes nothing, whatever became of it since."""
    before, opening = state.account_records.get(fact.account), opening_digest(fact)
    if before:
        return None if before.opening == opening else Refusal.EXISTS_WITH_DIFFERENT_CONTENT
    own = None if fact.policy and fact.alarms == AlarmTerms() else fact.alarms
    terms = _terms_said(state, fact.policy, own)
    if not isinstance(terms, AlarmTerms):
        return terms
    row, terms_row = state.accounts.append(), state.account_terms.append()
    assert row == terms_row == len(state.account_ids)
    _enter_row(state, row, terms)
    state.accounts.rows[row].state = AccountState.PREPARED if fact.prepared else AccountState.OPEN
    state.account_ids.append(fact.account)
    record = AccountRecord(
        row=row,
        account=fact.account,
        currency=fact.currency,
        name=fact.name,
        place=fact.place,
        alarms=terms,
        opened_at=fact.at,
        opening=opening,
        tenant_since=fact.at,
        policy=fact.policy,
    )
    state.account_records.put(fact.account, record)
    return None


def opening_digest(fact: AccountOpened) -> bytes:
    """16 bytes over what an account is opened with, whoever says it and when."""
    content = msgspec.msgpack.encode(msgspec.structs.replace(fact, id="", at=0))
    return hashlib.blake2b(content, digest_size=16).digest()


def _terms_said(
    state: ShardState, policy: str, own: AlarmTerms | None
) -> AlarmTerms | Refusal | tuple[Refusal, str] | None:
    """The amounts that an account is to have: those of its policy, or its own. None: nothing is said."""
    if policy and policy not in state.policies:
        return Refusal.UNKNOWN_POLICY
    if policy and own:
        return Refusal.TERMS_INVALID, "expected a policy or amounts of its own, not both"
    if own and (mistake := terms_mistake(own)):
        return Refusal.TERMS_INVALID, mistake
    return state.policies[policy].alarms if policy else own


def _enter_row(state: ShardState, row: int, terms: AlarmTerms) -> None:
    for name in terms.__struct_fields__:
        state.account_terms.rows[row][name] = getattr(terms, name)
    state.account_terms.dirty[row] = 1


def activate_account(state: ShardState, fact: AccountActivated, effects: Effects) -> Answer:
    """Open a prepared account, or a closed one again: usage is charged from each meter's last reading on, fees from this day on."""
    record = state.account_records.get(fact.account)
    if record is None:
        return Refusal.UNKNOWN_ACCOUNT
    account = state.accounts.rows[record.row]
    if account.state == AccountState.OPEN:
        return Refusal.ACCOUNT_OPEN
    account.state, account.cut = AccountState.OPEN, 0
    state.accounts.dirty[record.row] = 1
    name = record.name if fact.name is None else fact.name
    record = msgspec.structs.replace(record, name=name, tenant_since=fact.at, pays_since=fact.at, closed_at=0)
    state.account_records.put(fact.account, record)
    begin_items(state, record)
    reconcile_meters(state, record, fact.at, effects)
    return None


def update_account(state: ShardState, fact: AccountUpdated, effects: Effects) -> Answer:
    """Change what is said of an account, and judge its balance by its new terms at once."""
    record = state.account_records.get(fact.account)
    if record is None:
        return Refusal.UNKNOWN_ACCOUNT
    terms = _terms_said(state, fact.policy or "", fact.alarms)
    if isinstance(terms, Refusal | tuple):
        return terms
    policy = "" if fact.alarms else fact.policy
    said = {"name": fact.name, "place": fact.place, "alarms": terms, "policy": policy}
    changed = {name: value for name, value in said.items() if value is not None}
    enter_account(state, msgspec.structs.replace(record, **changed), fact.at, effects)
    return None


def enter_account(state: ShardState, record: AccountRecord, at: int, effects: Effects) -> None:
    """Let an account be as its record says now, and judge its balance by its terms, if it has ever had any money."""
    state.account_records.put(record.account, record)
    _enter_row(state, record.row, record.alarms)
    if state.accounts.rows[record.row].settled:
        judge_account(state, record.row, at, effects)


def reconcile_meters(state: ShardState, record: AccountRecord, at: int, effects: Effects) -> None:
    """Look at the supply of every meter of an account again."""
    for number in record.meters:
        reconcile(state, state.meter_records[number].row, max(at, state.header.now), effects)
