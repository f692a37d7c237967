"""A shard built again from its log, in memory: to a time, or to where the store stands."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from commands.verifying import Entries, Heard, WholeLog
from domain.effects import Effects
from domain.facts import Fact, ReadingBlock
from domain.ids import EntryId
from domain.words import AccountState, Level
from flows.machine import fold
from flows.state import ShardState

Looks = Callable[[ShardState, Entries, list[Effects]], None]
"""Told the state after each batch of a log, with its entries and what they have caused."""


@dataclass(frozen=True, slots=True)
class AccountThen:
    """An account as a replay has it: money in micros, registers by meter in Wh or litres before ratio (-1: not read yet)."""

    account: str
    currency: str
    balance: int
    level: Level
    state: AccountState
    registers: dict[int, int]


@dataclass(frozen=True, slots=True)
class ShardThen:
    """A shard as a replay has it: accounts by their state, meters that are there, micros of all balances by currency, and counts."""

    shard: int
    accounts: dict[AccountState, int]
    meters: int
    balances: dict[str, int]
    readings: int
    postings: int


def replayed(
    log: WholeLog,
    shard: int,
    position: EntryId,
    until_ms: int | None,
    heard: Heard,
    looks: Looks = lambda *_: None,
) -> ShardState:
    """A shard's state, folded from its log into memory, up to a position, and before the first fact that says a later time than `until_ms`.

    Raises what reading the log does.
    """
    state = ShardState(shard)
    for entries in log(shard, position):
        taken = list(_before(entries, until_ms))
        state, effects = fold(state, taken)
        looks(state, taken, effects)
        heard(entries)
        if len(taken) < len(entries):
            break
    return state


def _before(entries: Entries, until_ms: int | None) -> Iterator[tuple[EntryId, Fact]]:
    """What was in the log when its clock passed a time. Readings have times of their own and say nothing of the clock."""
    for entry, fact in entries:
        if until_ms is not None and not isinstance(fact, ReadingBlock) and _at(fact) > until_ms:
            return
        yield entry, fact


def _at(fact: Fact) -> int:
    at: int = fact.at  # type: ignore[union-attr]  # every record has one
    return at


def account_then(state: ShardState, account: str) -> AccountThen | None:
    """An account of a shard; None if it was not there yet."""
    record = state.account_records.get(account)
    if record is None:
        return None
    row = state.accounts.rows[record.row]
    rows = {meter: state.meter_records[meter].row for meter in record.meters}
    meters = state.meters.rows
    return AccountThen(
        account=account,
        currency=record.currency,
        balance=int(row.balance),
        level=Level(int(row.level)),
        state=AccountState(int(row.state)),
        registers={meter: int(meters[at].register) if meters[at].time >= 0 else -1 for meter, at in rows.items()},
    )


def shard_then(state: ShardState) -> ShardThen:
    """All of a shard."""
    accounts, balances = state.accounts.rows, Counter[str]()
    for _, record in state.account_records.sorted():
        balances[record.currency] += int(accounts[record.row].balance)
    states = Counter(accounts["state"].tolist())
    return ShardThen(
        shard=state.shard,
        accounts={each: states[each] for each in AccountState},
        meters=int((state.meter_terms.rows["removed"] == 0).sum()),
        balances=dict(sorted(balances.items())),
        readings=sum(state.header.classes),
        postings=state.header.posting_sequence,
    )
