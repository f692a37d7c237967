"""One account's charges for usage, day by day, each with the readings that made it and all that it costs, held against the ledger.

The audit works every interval out again with the slow rating; here it does so for one account and keeps what it worked out. A
posting is of whole micros, so a meter carries less than one from day to day: what was carried on, and what the day's parts
cost, are what was posted and what is carried on again, to the pico. The machine's own postings are told; nothing else of it is used.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from domain.effects import Effects
from domain.facts import (
    Fact,
    MeterRemoved,
    MeterReplaced,
    PolicySet,
    QuarantineDecided,
    ReadingBlock,
    ReadingCorrected,
    ReadingRefused,
    Record,
    SiteSet,
    TariffPublished,
    Ticked,
)
from domain.ids import EntryId, order_id
from domain.units import PICOS_PER_MICRO
from domain.words import Commodity, Ledger
from flows.audit import Audit
from flows.audit.book import Charged, Meter
from tariffs.tariff import Plan

WHY: dict[type[Fact] | type[None], str] = {
    ReadingBlock: "reading",
    MeterRemoved: "removal",
    MeterReplaced: "replacement",
    QuarantineDecided: "decision",
    ReadingCorrected: "correction",
}
"""What charges usage, in a word."""
_FOR_EVERYBODY = (Ticked, SiteSet, PolicySet, TariffPublished)


@dataclass(frozen=True, slots=True)
class Posted:
    """A posting of usage: micros taken from the customer, or given where `micros` is below zero. `is_free`: of an allowance."""

    sequence: int
    at: int
    micros: int
    is_free: bool


@dataclass(frozen=True, slots=True)
class Explained:
    """A charge, why it was made (a word of `WHY`, and the order's id, "" for a reading), and by which plan and ratio.

    `posted`: of a correction, which has a posting of its own; None where it is less than a micro.
    """

    meter: int
    why: str
    order: str
    plan: Plan
    commodity: Commodity
    ratio: int
    charged: Charged
    posted: Posted | None = None

    @property
    def cost_picos(self) -> int:
        """All of it, exact."""
        return sum(each.charge.cost_picos for each in self.charged.paid)


@dataclass(slots=True)
class Unposted:
    """Picos that were charged, and that were free, and are not in the ledger yet."""

    cost: int = 0
    free: int = 0

    def copy(self) -> "Unposted":
        """The same as it is now."""
        return Unposted(self.cost, self.free)


@dataclass(slots=True)
class Day:
    """A meter's local day `day` (since 1970-01-01): what its parts cost, what of that was free, and what was posted.

    `charges`: those that have a part in it, where they are kept. `carried`: what was unposted when it began; `carried_on`: when the next
    began, or at the end. `rounded`: what the end of a tenancy has left to nobody. `rests`: picos of corrections, beyond their own
    postings, that were made until the next day began. `is_last`: none has begun since. In picos, and with micros as such:

        carried + cost + rests - rounded == posted + carried on
    """

    meter: int
    day: int
    zone: str
    commodity: Commodity
    carried: Unposted
    charges: list[Explained] = field(default_factory=list)
    cost_picos: int = 0
    free_picos: int = 0
    posted: list[Posted] = field(default_factory=list)
    rests: int = 0
    rounded: Unposted = field(default_factory=Unposted)
    carried_on: Unposted = field(default_factory=Unposted)
    is_last: bool = True

    def posted_micros(self, *, is_free: bool) -> int:
        """What the ledger has of the day."""
        return sum(each.micros for each in self.posted if each.is_free == is_free)

    @property
    def is_open(self) -> bool:
        """Whether more of it than less than a micro waits to be posted."""
        return self.is_last and max(abs(self.carried_on.cost), abs(self.carried_on.free)) >= PICOS_PER_MICRO

    @property
    def is_reproduced(self) -> bool:
        """Whether the ledger has the whole micros of what was worked out: less than one is carried on. Of the last day only its end can tell."""
        most = PICOS_PER_MICRO + max(0, self.rests)
        return self.is_last or (0 <= self.carried_on.cost < most and 0 <= self.carried_on.free < PICOS_PER_MICRO)


@dataclass(slots=True)
class _Running:
    """A meter as it was once installed: what it has not posted yet, and its latest day."""

    unposted: Unposted = field(default_factory=Unposted)
    day: Day | None = None


class AccountAudit(Audit):
    """The audit of one account of a shard, with every charge and every posting for usage kept by meter and day.

    `meters`: all numbers that the account has, or has ever had. `keeps`: of which local days to keep the charges. `days` are in the
    order in which they were begun, `corrections` in the order of the log.
    """

    def __init__(
        self, shard: int, account: str, meters: Iterable[int], keeps: Callable[[int], bool] = lambda _: True
    ) -> None:
        super().__init__(shard)
        self._account, self._keeps = account, keeps
        self.days: list[Day] = []
        self.corrections: list[Explained] = []
        self._numbers = np.array(sorted(meters), np.int64)
        self._running: dict[tuple[int, str], _Running] = {}
        self._latest: dict[int, _Running] = {}
        self._told: Fact | None = None
        self._waiting: dict[tuple[int, int], list[Posted]] = {}
        self._of_order: dict[bytes, Posted] = {}

    def follow(self, entry: EntryId, fact: Fact, effects: Effects, row: int | None) -> None:
        """Work out what an entry of the shard's log does to the account, whose row is `row` (None: it is not there yet).

        Of `effects` are used the postings, and which orders were carried out.
        """
        self._note_postings(effects, row)
        told = self._concerning(fact, effects)
        if told is not None:
            self._told = told
            self.take(entry, told)
        for number in {number for number, _ in self._waiting} & self._latest.keys():
            self._settle(self._latest[number])
        self._waiting.clear()
        for running in self._running.values():
            if running.day:
                running.day.carried_on = running.unposted.copy()

    @property
    def unposted(self) -> dict[int, Unposted]:
        """By the number of each meter that is there, what it has not posted yet."""
        return {
            number: self._running.get((number, meter.installed.id), _Running()).unposted
            for number, meter in self._meters.items()
        }

    def _concerning(self, fact: Fact, effects: Effects) -> Fact | None:
        """What of a fact is about the account; orders only where they were carried out."""
        if isinstance(fact, ReadingBlock):
            return _readings_of(fact, self._numbers)
        if isinstance(fact, ReadingRefused):
            return fact if fact.meter in self._numbers else None
        if hasattr(fact, "id") and not any(not each.refusal and each.id == fact.id for each in effects.outcomes):
            return None
        return fact if isinstance(fact, _FOR_EVERYBODY) or self._is_of_account(fact) else None

    def _is_of_account(self, fact: Record) -> bool:
        account = getattr(fact, "account", None)
        return account == self._account if account is not None else getattr(fact, "meter", None) in self._numbers

    def _note_postings(self, effects: Effects, row: int | None) -> None:
        if effects.postings is None or row is None:
            return
        for each in effects.postings[effects.postings["account"] == row]:
            if not each["meter"]:
                continue
            is_free = Ledger.ALLOWANCES in {each["debit"], each["credit"]}
            takes = each["debit"] == Ledger.CUSTOMER
            amount = int(each["amount"]) * (1 if takes != is_free else -1)
            posted = Posted(int(each["sequence"]), int(each["at"]), amount, is_free)
            order = int(each["order_high"]).to_bytes(8, "big") + int(each["order_low"]).to_bytes(8, "big")
            if any(order):
                self._of_order[order] = posted
            else:
                self._waiting.setdefault((int(each["meter"]), int(each["day"])), []).append(posted)

    def _settle(self, running: _Running) -> None:
        """Put what an entry has posted for a meter's latest day under it, as the day ends: its whole micros, where there are any.

        Of one day an entry may post several times: a clock that was ahead is put back, and the days begin again.
        """
        day, unposted = running.day, running.unposted
        waiting = self._waiting.get((day.meter, day.day), []) if day else []
        for is_free, picos in ((False, unposted.cost), (True, unposted.free)):
            posted = next((each for each in waiting if each.is_free == is_free), None)
            if day is None or posted is None or picos // PICOS_PER_MICRO == 0:
                continue
            waiting.remove(posted)
            day.posted.append(posted)
            if is_free:
                unposted.free -= posted.micros * PICOS_PER_MICRO
            else:
                unposted.cost -= posted.micros * PICOS_PER_MICRO

    def _take(self, meter: Meter, charged: Charged) -> None:
        super()._take(meter, charged)
        installed = meter.installed
        running = self._running.setdefault((installed.meter, installed.id), _Running())
        self._latest[installed.meter] = running
        is_correction = isinstance(self._told, ReadingCorrected)
        order = getattr(self._told, "id", "")
        posted = self._of_order.get(order_id(order)) if is_correction else None
        explained = Explained(
            installed.meter,
            WHY[type(self._told)],
            order,
            meter.plan,
            installed.commodity,
            installed.ratio,
            charged,
            posted,
        )
        if is_correction:
            self._correct_day(running, explained)
            return
        for paid in charged.paid:
            day = self._day(running, explained, paid.day)
            if self._keeps(paid.day) and not (day.charges and day.charges[-1] is explained):
                day.charges.append(explained)
            day.cost_picos += paid.charge.cost_picos
            day.free_picos += paid.free_picos
            running.unposted.cost += paid.charge.cost_picos
            running.unposted.free += paid.free_picos

    def _correct_day(self, running: _Running, explained: Explained) -> None:
        """A correction is posted by itself; only its part of a micro goes on with the meter's days."""
        if self._keeps(explained.charged.paid[0].day):
            self.corrections.append(explained)
        micros = explained.posted.micros if explained.posted else 0
        rest = explained.cost_picos - micros * PICOS_PER_MICRO
        running.unposted.cost += rest
        if running.day:
            running.day.rests += rest

    def _day(self, running: _Running, explained: Explained, day: int) -> Day:
        """A meter's day, which begins where another has ended."""
        latest = running.day
        if latest and latest.day == day:
            return latest
        if latest:
            self._settle(running)
            latest.carried_on, latest.is_last = running.unposted.copy(), False
        zone = explained.plan[0].tariff.zone
        running.day = Day(explained.meter, day, zone, explained.commodity, running.unposted.copy())
        self.days.append(running.day)
        return running.day

    def _round(self, account: str) -> None:
        super()._round(account)
        for running in self._running.values():
            self._settle(running)
            unposted = running.unposted
            rounded = Unposted(unposted.cost % PICOS_PER_MICRO, unposted.free % PICOS_PER_MICRO)
            unposted.cost -= rounded.cost
            unposted.free -= rounded.free
            if running.day:
                running.day.rounded.cost += rounded.cost
                running.day.rounded.free += rounded.free


def _readings_of(block: ReadingBlock, numbers: NDArray[np.int64]) -> ReadingBlock | None:
    """The readings of some meters; None where there are none."""
    chosen = np.flatnonzero(np.isin(block.meter, numbers))
    if not len(chosen):
        return None
    power, status, bands = (
        None if column is None else column[chosen] for column in (block.power, block.status, block.bands)
    )
    return ReadingBlock(block.meter[chosen], block.time[chosen], block.register[chosen], power, status, bands)
