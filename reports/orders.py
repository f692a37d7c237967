"""Orders of money that were carried out: recharges, refunds, adjustments, reversals, fees, and what was settled when a tenant went.

An order is a posting that is not of usage, with what its fact in the log says besides: by whom, through which channel, and why. Posting and fact have one
place in the log, so they are found by it.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import polars as pl

from connectors.archive.joined import Joined, Question, TooMuch
from domain.facts import (
    AccountClosed,
    AccountTransferred,
    AdjustmentOrdered,
    Fact,
    RechargeOrdered,
    RefundOrdered,
    ReversalOrdered,
)
from domain.ids import EntryId
from domain.state import AccountRecord
from domain.words import CASH_BY_CHANNEL, Ledger
from reports.ledger import FEES, USAGE, local_day, owners_of, within

ORDERS_MAX = 50_000
"""Orders that are looked through at once."""


class Kind(StrEnum):
    """What an order is."""

    RECHARGE = "recharge"
    REFUND = "refund"
    ADJUSTMENT = "adjustment"
    REVERSAL = "reversal"
    FEE = "fee"
    SETTLEMENT = "settlement"


KINDS: dict[type[Any], Kind] = {
    RechargeOrdered: Kind.RECHARGE,
    RefundOrdered: Kind.REFUND,
    AdjustmentOrdered: Kind.ADJUSTMENT,
    ReversalOrdered: Kind.REVERSAL,
    AccountClosed: Kind.SETTLEMENT,
    AccountTransferred: Kind.SETTLEMENT,
}
"""What the fact says that ordered it. A fee falls due by a tick, or when somebody goes: its ledger account says that it is one."""
_CHANNELS = {ledger: channel for channel, ledger in CASH_BY_CHANNEL.items()}
_COLUMNS = (
    "entry_ms",
    "entry_sequence",
    "sequence",
    "at",
    "name",
    "local",
    "debit",
    "credit",
    "amount",
    "order_high",
    "order_low",
    "corrects",
)


@dataclass(frozen=True, slots=True)
class Order:
    """An order that was carried out. `micros`: what the customer was given, less than nothing: what was taken.

    `id`: the 16 bytes of its caller's, of a fee those of whoever set it. `day`: the local day that it is of. `channel`: by which money came or
    went, "": none, or one without a name. `corrects`: the number of the posting that it corrects in its shard's ledger, 0: none.
    """

    shard: int
    sequence: int
    id: bytes
    kind: Kind
    account: str
    at: int
    day: int
    micros: int
    against: Ledger
    channel: str
    operator: str
    note: str
    corrects: int

    @property
    def place(self) -> tuple[int, int, int]:
        """Where it stands among all orders: by time, then shard and number."""
        return self.at, self.shard, self.sequence


async def orders(
    joined: Joined, shard: int, accounts: Iterable[AccountRecord], zones: Mapping[str, str], days: tuple[int, int]
) -> list[Order]:
    """All orders of some accounts of a shard on some local days, in no order. Raises FiguresError, ArchiveError and StoreError."""
    owners, named = owners_of(accounts, zones), sorted(set(zones.values()) or {"UTC"})
    ordinary = [int(ledger) for ledger in (*USAGE, Ledger.ALLOWANCES)]

    def shaped(rows: pl.LazyFrame) -> pl.LazyFrame:
        money = rows.filter(~pl.col("debit").is_in(ordinary) & ~pl.col("credit").is_in(ordinary))
        dated = money.join(owners, on="account").with_columns(local_day(named, days).alias("local"))
        return dated.filter(pl.col("local").is_between(*days)).select(_COLUMNS)

    rows, _ = await joined.rows(Question("postings", within(days, named), shaped), shard)
    if len(rows) > ORDERS_MAX:
        raise TooMuch(f"{len(rows)} orders: ask for fewer days, or for one site")
    facts = await joined.facts(shard, {(row[0], row[1]) for row in rows.iter_rows()})
    return list(_orders(shard, rows, facts))


def _orders(shard: int, rows: pl.DataFrame, facts: Mapping[EntryId, Fact]) -> Iterator[Order]:
    for (
        entry_ms,
        entry_sequence,
        sequence,
        at,
        name,
        local,
        debit,
        credit,
        amount,
        high,
        low,
        corrects,
    ) in rows.iter_rows():
        fact, is_given = facts[entry_ms, entry_sequence], credit == Ledger.CUSTOMER
        against = Ledger(debit if is_given else credit)
        kind = Kind.FEE if against in FEES else KINDS[type(fact)]
        said = {
            name: "" if kind == Kind.FEE else getattr(fact, name, "")
            for name in ("channel", "operator", "note", "reason")
        }
        yield Order(
            shard=shard,
            sequence=sequence,
            id=high.to_bytes(8, "big") + low.to_bytes(8, "big"),
            kind=kind,
            account=name,
            at=at,
            day=local,
            micros=amount if is_given else -amount,
            against=against,
            channel=said["channel"] or _CHANNELS.get(against, ""),
            operator=said["operator"],
            note=said["note"] or said["reason"],
            corrects=corrects,
        )


@dataclass(frozen=True, slots=True)
class Taken:
    """Money through one channel on one local day, in one currency: how often and how much came and went, in micros."""

    day: int
    channel: str
    currency: str
    received: int
    received_count: int
    paid: int
    paid_count: int


def is_money(order: Order) -> bool:
    """Whether money came or went."""
    return order.against in {Ledger.CASH, *_CHANNELS}


def by_channel(found: Iterable[Order], currencies: Mapping[str, str]) -> list[Taken]:
    """Money by day, channel and currency. `currencies` by account."""
    sums: Counter[tuple[int, str, str, bool]] = Counter()
    counts: Counter[tuple[int, str, str, bool]] = Counter()
    for order in filter(is_money, found):
        key = order.day, order.channel, currencies[order.account], order.micros > 0
        sums[key] += abs(order.micros)
        counts[key] += 1
    return [
        Taken(*each, sums[*each, True], counts[*each, True], sums[*each, False], counts[*each, False])
        for each in sorted({key[:3] for key in sums})
    ]


@dataclass(frozen=True, slots=True)
class Stated:
    """A line of a payment provider's statement: its place, our order's id as it says it, and micros, less than nothing for money that went out."""

    line: int
    id: str
    order: bytes | None
    micros: int
    time: str


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What a statement and our orders agree on, and what not. `doubled`: lines that name an order that a line before has named."""

    matched: list[tuple[Stated, Order]]
    different: list[tuple[Stated, Order]]
    missing_here: list[Stated]
    missing_there: list[Order]
    doubled: list[Stated]


def reconciled(stated: Sequence[Stated], ours: Iterable[Order]) -> Reconciled:
    """Hold a statement against our orders, by their ids."""
    known = {order.id: order for order in ours if is_money(order)}
    seen: set[bytes] = set()
    found = Reconciled([], [], [], [], [])
    for line in stated:
        order = known.get(line.order) if line.order else None
        if order is None:
            found.missing_here.append(line)
        elif order.id in seen:
            found.doubled.append(line)
        else:
            seen.add(order.id)
            (found.matched if order.micros == line.micros else found.different).append((line, order))
    found.missing_there.extend(order for order in known.values() if order.id not in seen)
    return found
