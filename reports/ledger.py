"""The ledger by account and day: what came, what went, what was charged. A posting is of the local day that it names, else of that of its time.

So usage and fees are of the day for which they were charged, also where they were posted later; recharges, refunds and adjustments of the day on which they
were decided. A correction is of the last day that it is for. Every posting is in one day, and debits are credits.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import polars as pl

from connectors.archive.joined import Ask, Joined, Question, Shape
from domain.state import AccountRecord
from domain.words import CASH_BY_CHANNEL, ITEM_REVENUE, Ledger
from reports.days import LAST_DAY, begin_ms, end_ms, local_day_of

OTHER = "other"
CHANNELS: dict[Ledger, str] = {ledger: channel for channel, ledger in CASH_BY_CHANNEL.items()} | {Ledger.CASH: OTHER}
"""The channel of each cash account of the ledger; `other`: of those that have none of their own."""
FEES: dict[Ledger, str] = {ledger: str(kind) for kind, ledger in ITEM_REVENUE.items()}
USAGE: dict[Ledger, str] = {Ledger.REVENUE_ELECTRICITY: "electricity", Ledger.REVENUE_WATER: "water"}
_FOREVER = 2**62


@dataclass(frozen=True, slots=True)
class Booked:
    """The sum of an account's postings of one local day between two ledger accounts. `corrects`: they name one that they correct."""

    account: str
    day: int
    debit: Ledger
    credit: Ledger
    corrects: bool
    micros: int
    count: int

    @property
    def given(self) -> int:
        """Micros that the customer was given; less than nothing: that were taken."""
        return self.micros if self.credit == Ledger.CUSTOMER else -self.micros

    @property
    def against(self) -> Ledger:
        """The other side."""
        return self.debit if self.credit == Ledger.CUSTOMER else self.credit


def owners_of(accounts: Iterable[AccountRecord], zones: Mapping[str, str]) -> pl.LazyFrame:
    """A table to join postings with: an account's row in its shard, its name and its zone."""
    rows = [(each.row, each.account, zones[each.account]) for each in accounts]
    return pl.LazyFrame(rows, {"account": pl.UInt32, "name": pl.String, "zone": pl.String}, orient="row")


async def booked(
    joined: Joined,
    shard: int,
    accounts: Iterable[AccountRecord],
    zones: Mapping[str, str],
    days: tuple[int, int],
    ask: Ask = lambda _: None,
    *,
    until_now: bool = False,
) -> tuple[list[Booked], list[object]]:
    """Postings of some accounts of a shard, summed up, of the local days from `days[0]` to `days[1]`, and what `ask` asks for.

    `until_now`: those of later days too, all of them as of the day after. `zones` by account. Raises FiguresError, ArchiveError and StoreError.
    """
    owners, named = owners_of(accounts, zones), sorted(set(zones.values()) or {"UTC"})
    question = Question(
        "postings", within(days, named, until_now=until_now), _shape(owners, named, days, until_now=until_now)
    )
    rows, answers = await joined.rows(question, shard, ask)
    rows = rows.group_by("name", "local", "debit", "credit", "is_correction").agg(pl.sum("micros"), pl.sum("count"))
    ordered = rows.sort("name", "local", "debit", "credit", "is_correction")
    return [
        Booked(name, day, Ledger(debit), Ledger(credit), corrects, micros, count)
        for name, day, debit, credit, corrects, micros, count in ordered.iter_rows()
    ], answers


def within(days: tuple[int, int], zones: Iterable[str], *, until_now: bool = False) -> tuple[tuple[str, int, int], ...]:
    """Columns between whose values the postings of some local days are."""
    zones = list(zones)
    until = _FOREVER if until_now else end_ms(days[1], zones) - 1
    return ("day", days[0], LAST_DAY if until_now else days[1]), ("at", begin_ms(days[0], zones), until)


def local_day(zones: Iterable[str], days: tuple[int, int]) -> pl.Expr:
    """The local day that a posting is of; beyond the last of `days` it is the day after."""
    at = local_day_of("at", zones, *days)
    return pl.when(pl.col("day") >= 0).then(pl.min_horizontal(pl.col("day"), pl.lit(days[1] + 1))).otherwise(at)


def _shape(owners: pl.LazyFrame, zones: list[str], days: tuple[int, int], *, until_now: bool) -> Shape:
    def shaped(rows: pl.LazyFrame) -> pl.LazyFrame:
        dated = rows.join(owners, on="account").with_columns(
            local_day(zones, days).alias("local"), (pl.col("corrects") > 0).alias("is_correction")
        )
        wanted = pl.col("local") >= days[0] if until_now else pl.col("local").is_between(*days)
        return (
            dated.filter(wanted)
            .group_by("name", "local", "debit", "credit", "is_correction")
            .agg(pl.col("amount").cast(pl.Int128).sum().alias("micros"), pl.len().cast(pl.Int64).alias("count"))
        )

    return shaped


@dataclass(slots=True)
class Income:
    """What came and went in a period, micros: by channel, by commodity, by kind of fee. `ledger`: debits and credits of each ledger account.

    `received`, `refunded` and `reversed_` are money in and money out again; `usage` and `fees` what was charged, `allowances` what of
    it was free, `adjustments` what persons gave less what they took, `rounding` and `write_offs` what was given up of tenants' balances, less of their debts.
    """

    received: dict[str, int]
    refunded: dict[str, int]
    reversed_: dict[str, int]
    usage: dict[str, int]
    fees: dict[str, int]
    allowances: int
    adjustments: int
    rounding: int
    write_offs: int
    ledger: dict[Ledger, tuple[int, int]]

    @classmethod
    def none(cls) -> "Income":
        """Nothing of anything, under every name that there is."""
        channels = sorted(CHANNELS.values())
        received, refunded, reversed_ = (dict.fromkeys(channels, 0) for _ in range(3))
        usage, fees = dict.fromkeys(USAGE.values(), 0), dict.fromkeys(FEES.values(), 0)
        return cls(received, refunded, reversed_, usage, fees, 0, 0, 0, 0, {})

    def add(self, row: Booked) -> None:
        """Add some postings."""
        for ledger, debit, credit in ((row.debit, row.micros, 0), (row.credit, 0, row.micros)):
            before = self.ledger.get(ledger, (0, 0))
            self.ledger[ledger] = before[0] + debit, before[1] + credit
        if row.against in CHANNELS:
            out = self.reversed_ if row.corrects else self.refunded
            (self.received if row.given > 0 else out)[CHANNELS[row.against]] += row.micros
        elif row.against in USAGE:
            self.usage[USAGE[row.against]] -= row.given
        elif row.against in FEES:
            self.fees[FEES[row.against]] -= row.given
        elif row.against == Ledger.ALLOWANCES:
            self.allowances += row.given
        elif row.against == Ledger.ADJUSTMENTS:
            self.adjustments += row.given
        elif row.against == Ledger.ROUNDING:
            self.rounding -= row.given
        else:
            assert row.against == Ledger.WRITE_OFFS, "the chart of accounts has no other"
            self.write_offs -= row.given

    @property
    def change(self) -> int:
        """By how much what is owed to the tenants has changed."""
        came = sum(self.received.values()) + self.adjustments + self.allowances
        went = sum(self.refunded.values()) + sum(self.reversed_.values()) + self.rounding + self.write_offs
        return came - went - sum(self.usage.values()) - sum(self.fees.values())


def income_of(rows: Iterable[Booked]) -> Income:
    """The income of some postings."""
    found = Income.none()
    for row in rows:
        found.add(row)
    return found
