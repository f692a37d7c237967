"""What if: a shard's log folded twice, as it was and as it would be by another tariff; what each account paid for its usage, both times.

Both are the machine itself. The second is told the same readings, meters, tenancies, allowances and corrections, each meter of the
tariff's commodity and currency being priced by it from the beginning on, so tiers count as they would have counted. It is not told of
money, fees, alarms and commands: nobody is cut, and nobody uses less because it is dearer. Amounts are what the ledger has of
usage, whole micros by local day, less what was free, with what is not posted yet.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from domain.effects import Effects
from domain.facts import (
    AccountActivated,
    AccountClosed,
    AccountOpened,
    AccountTransferred,
    AccountUpdated,
    AdjustmentOrdered,
    AlarmTerms,
    AllowanceSet,
    ChargeItemEnded,
    ChargeItemSet,
    CommandReported,
    ControlOrdered,
    ControlTermsSet,
    Fact,
    LoadReleased,
    MainMeterSet,
    MeterInstalled,
    MeterRemoved,
    MeterReplaced,
    MeterWatchSet,
    PolicySet,
    ProtectionOrdered,
    PurchasesAccepted,
    PurchasesCounted,
    QuarantineDecided,
    ReadingBlock,
    ReadingCorrected,
    ReadingRefused,
    RechargeOrdered,
    RefundOrdered,
    ReversalOrdered,
    SiteSet,
    SubMetersCounted,
    TariffAssigned,
    TariffPublished,
    Ticked,
)
from domain.ids import LOG_START, EntryId
from domain.state import Rows
from domain.units import MONEY_MAX_MICROS
from domain.words import Ledger, Settlement
from flows.machine import fold
from flows.orders.tariffs import publish_tariff
from flows.state import ShardState
from tariffs.tariff import Tariff

_NEVER = -(MONEY_MAX_MICROS - 1)
_NO_ALARMS = AlarmTerms(low=_NEVER, pretrip=_NEVER, arrears=_NEVER, reconnect=_NEVER)
"""Without recharges every wallet falls and falls: that is no news."""


@dataclass(frozen=True, slots=True)
class Paid:
    """An account's usage of the tariff's commodity, Wh or litres, and micros that it paid for all usage: as it was, and by the tariff."""

    account: str
    usage: int
    was: int
    would: int

    @property
    def difference(self) -> int:
        """By how much it would pay more."""
        return self.would - self.was


def _as_it_is(_what_if: "WhatIf", fact: Any) -> Fact | None:
    return fact  # type: ignore[no-any-return]  # one of the table's kinds


def _left_out(_what_if: "WhatIf", _fact: Any) -> Fact | None:
    return None


def _published(what_if: "WhatIf", fact: TariffPublished) -> Fact | None:
    """What is published under the tariff's own id is another state of it."""
    return None if fact.tariff == what_if.tariff.id else fact


def _unalarmed(_what_if: "WhatIf", fact: AccountOpened) -> Fact:
    return msgspec.structs.replace(fact, alarms=_NO_ALARMS, policy="")


def _settled(_what_if: "WhatIf", fact: AccountTransferred | AccountClosed) -> Fact:
    """Whatever the balance would be: it ends here, or is carried over."""
    if fact.settlement == Settlement.CARRY:
        return fact
    return msgspec.structs.replace(fact, settlement=Settlement.WRITE_OFF, reason="what if")


def _installed(what_if: "WhatIf", fact: MeterInstalled) -> Fact:
    return msgspec.structs.replace(fact, tariff=what_if.instead_of(fact.tariff), switchable=False)


def _assigned(what_if: "WhatIf", fact: TariffAssigned) -> Fact:
    return msgspec.structs.replace(fact, tariff=what_if.instead_of(fact.tariff))


def _replaced(_what_if: "WhatIf", fact: MeterReplaced) -> Fact:
    return msgspec.structs.replace(fact, switchable=False)


TOLD: dict[type[Any], Callable[["WhatIf", Any], Fact | None]] = {
    **dict.fromkeys(
        (
            ReadingBlock, Ticked, SiteSet, AccountActivated, MeterRemoved, AllowanceSet, ReadingRefused,
            QuarantineDecided, ReadingCorrected,
        ),
        _as_it_is,
    ),
    **dict.fromkeys(
        (
            PolicySet, AccountUpdated, RechargeOrdered, RefundOrdered, AdjustmentOrdered, ReversalOrdered, ChargeItemSet,
            ChargeItemEnded, MeterWatchSet, MainMeterSet, SubMetersCounted, ControlOrdered, ControlTermsSet,
            ProtectionOrdered, LoadReleased, CommandReported, PurchasesCounted, PurchasesAccepted,
        ),
        _left_out,
    ),
    TariffPublished: _published,
    AccountOpened: _unalarmed,
    AccountTransferred: _settled,
    AccountClosed: _settled,
    MeterInstalled: _installed,
    MeterReplaced: _replaced,
    TariffAssigned: _assigned,
}  # fmt: skip
"""What the second fold is told of each kind of fact; None: nothing."""


class WhatIf:
    """One shard, twice. `first`, `last`: the local days whose usage counts, since 1970-01-01, both included.

    `unlike`: a sentence for each order that was carried out and would not be. Raises ValueError, in words, for a tariff that no
    wallet can be charged by; its document must carry all of its days itself.
    """

    def __init__(self, shard: int, tariff: Tariff, document: str, first: int, last: int) -> None:
        self.tariff = tariff
        self.unlike: list[str] = []
        self._was, self._would = (_Side(ShardState(shard), first, last) for _ in range(2))
        published = TariffPublished(at=0, id="", tariff=tariff.id, document=document)
        if refused := publish_tariff(self._would.state, published, Effects(LOG_START)):
            raise ValueError(f"{tariff.id}: {refused[1] if isinstance(refused, tuple) else refused}")

    def follow(self, state: ShardState, entries: list[tuple[EntryId, Fact]], effects: list[Effects]) -> None:
        """Fold entries of the log by the tariff too. `state` and `effects` are what they have come to as it was."""
        self._was.add(state, effects)
        would, effects = fold(self._would.state, self._told(entries, effects))
        self._would.add(would, effects)
        for caused in effects:
            self.unlike += [
                f"{each.kind} {each.id} was carried out, and would be refused: {each.refusal}"
                for each in caused.outcomes
                if each.refusal
            ]

    def paid(self) -> list[Paid]:
        """By account, all in the tariff's currency that have or had a meter of its commodity, in the order in which they were opened."""
        was, would = self._was.close(self.tariff), self._would.close(self.tariff)
        return [
            Paid(account, usage, micros, would[account][1] if account in would else 0)
            for account, (usage, micros) in was.items()
        ]

    def instead_of(self, tariff: str) -> str:
        """The tariff in place of another one; that one itself where it is of another commodity or currency."""
        record = self._was.state.tariff_records.get(tariff)
        if record is None:
            return tariff
        before = self._was.state.tariffs[record.row]
        is_swapped = (before.commodity, before.currency) == (self.tariff.commodity, self.tariff.currency)
        return self.tariff.id if is_swapped else tariff

    def _told(self, entries: list[tuple[EntryId, Fact]], effects: Iterable[Effects]) -> Iterator[tuple[EntryId, Fact]]:
        for (entry, fact), caused in zip(entries, effects, strict=True):
            if any(each.refusal for each in caused.outcomes):
                continue
            told = TOLD[type(fact)](self, fact)
            if told is not None:
                yield entry, told


@dataclass(slots=True)
class _Side:
    """A shard as it is folded, and what its accounts, by row, have paid and used on the days that count."""

    state: ShardState
    first: int
    last: int
    _paid: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    _usage: NDArray[np.int64] = field(default_factory=lambda: np.zeros((2, 0), np.int64))
    _numbers: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    _rows: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, np.intp))
    _known: int = -1

    def add(self, state: ShardState, effects: list[Effects]) -> None:
        """Add up what entries have caused."""
        self.state = state
        self._make_room()
        for caused in effects:
            if caused.postings is not None:
                self._add_postings(caused.postings)
            if caused.usage is not None:
                self._add_usage(caused.usage)

    def close(self, tariff: Tariff) -> dict[str, tuple[int, int]]:
        """(Wh or litres, micros) by account with what is still open on its meters."""
        meters, terms = self.state.meters.rows, self.state.meter_terms.rows
        counts = (meters["day"] >= self.first) & (meters["day"] <= self.last)
        np.add.at(self._paid, terms["account"][counts], (meters["day_cost"] - meters["day_free"])[counts])
        counts &= meters["window_start"] >= 0
        where = terms["commodity"][counts], terms["account"][counts]
        np.add.at(self._usage, where, meters["window_usage"][counts])
        names, records = self.state.account_ids, self.state.account_records
        having = np.unique(terms["account"][terms["commodity"] == tariff.commodity]).tolist()
        return {
            names[row]: (int(self._usage[tariff.commodity, row]), int(self._paid[row]))
            for row in having
            if records[names[row]].currency == tariff.currency
        }

    def _make_room(self) -> None:
        more = self.state.accounts.count - len(self._paid)
        if more > 0:
            self._paid = np.concatenate([self._paid, np.zeros(more, np.int64)])
            self._usage = np.concatenate([self._usage, np.zeros((2, more), np.int64)], axis=1)
        if self._known != self.state.meters.count:
            numbers = self.state.meter_terms.rows["number"]
            self._rows = np.lexsort((np.arange(len(numbers)), numbers))
            self._numbers = numbers[self._rows]
            self._known = self.state.meters.count

    def _counted(self, rows: Rows) -> Rows:
        counts = (rows["day"] >= self.first) & (rows["day"] <= self.last)
        return rows if counts.all() else rows[counts]

    def _add_postings(self, postings: Rows) -> None:
        """Usage is posted with its meter; what the customer is given is less than nothing."""
        rows = self._counted(postings[postings["meter"] != 0])
        amounts = np.where(rows["debit"] == Ledger.CUSTOMER, rows["amount"], -rows["amount"])
        np.add.at(self._paid, rows["account"], amounts)

    def _add_usage(self, usage: Rows) -> None:
        """Of the latest meter that has had this number."""
        rows = self._counted(usage)
        where = self._rows[np.searchsorted(self._numbers, rows["meter"], side="right") - 1]
        terms = self.state.meter_terms.rows
        np.add.at(self._usage, (terms["commodity"][where], terms["account"][where]), rows["usage"])
