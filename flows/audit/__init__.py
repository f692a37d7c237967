"""Audit: what the accounts must hold, worked out a second time from the same facts, slowly, to be held against the machine.

Plain dictionaries and Python's unbounded integers, one fact after the other. It shares no code with the machine it checks:
rules are written here again from the design, and prices come from `tariffs.rating`, which reads the calendar itself, minute
by minute. It follows meters, money and the answers to orders; alarms and commands move no money and are not followed.
"""

import hashlib
from collections.abc import Callable
from typing import Any

import msgspec

from domain.facts import (
    AccountActivated,
    AccountClosed,
    AccountOpened,
    AccountTransferred,
    AccountUpdated,
    AdjustmentOrdered,
    AllowanceSet,
    ChargeItemEnded,
    ChargeItemSet,
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
    Record,
    RefundOrdered,
    ReversalOrdered,
    SiteSet,
    TariffAssigned,
    TariffPublished,
    Ticked,
)
from domain.ids import EntryId, order_id, order_time_ms
from domain.units import DAY_MS
from domain.words import Refusal
from flows.audit.accounts import Accounts
from flows.audit.compare import compare
from flows.audit.control import Control
from flows.audit.meters import Meters
from flows.audit.money import Money

__all__ = ["Audit", "compare"]


class Audit(Meters, Accounts, Money, Control):
    """One shard, recomputed. Take its log's entries in order, then `compare` with what a store has kept.

    `balances`: exact picos (1e-12 units) by account. `priced`: Wh or litres by meter. `classes`: readings by class.
    `rounded`: picos that settlements have left to nobody. `outcomes`: by order id the refusal, or "" where it was carried out. `answers`: every answer given, repeats too.
    """

    def take(self, entry: EntryId, fact: Fact) -> None:
        """Work out what one log entry does."""
        assert entry > self.position, "a log is audited once, in order"
        self.position = entry
        if isinstance(fact, ReadingBlock):
            nothing = [()] * len(fact)
            bands = nothing if fact.bands is None else map(tuple, fact.bands.tolist())
            for number, time, register, own in zip(fact.meter, fact.time, fact.register, bands, strict=True):
                self.classes[self._read(int(number), int(time), int(register), own)] += 1
        elif isinstance(fact, Ticked):
            self._tick(fact.at)
        elif isinstance(fact, ReadingRefused):
            self._cases.hold(fact.meter, fact.reason, fact.at, -1)
        elif isinstance(fact, PurchasesCounted):
            self._count(fact)
        elif hasattr(fact, "id"):
            self._order(fact, fact.id)

    def _tick(self, at: int) -> None:
        self._now, self._ticked = max(self._now, at), self.position[0]
        self._charge_items(self._items, self._now)
        if self._now // DAY_MS != self._pruned_day:
            self._pruned_day = self._now // DAY_MS
            oldest = self._now - 90 * DAY_MS
            self._kept = {key: kept for key, kept in self._kept.items() if order_time_ms(key) >= oldest}

    def _order(self, fact: Record, name: str) -> None:
        """The answer to an order: the one that its id already has, or a new one, kept for 90 days."""
        try:
            key = order_id(name)
        except ValueError:
            self._answer(name, Refusal.BAD_ID)
            return
        said = hashlib.sha256(repr((type(fact).__name__, msgspec.structs.replace(fact, at=0))).encode()).digest()
        if key in self._kept:
            before, refusal = self._kept[key]
            self._answer(name, refusal if before == said else Refusal.EXISTS_WITH_DIFFERENT_CONTENT, anew=False)
            return
        made, now = order_time_ms(key), max(self._now, fact.at)
        if made < now - 90 * DAY_MS:
            self._answer(name, Refusal.TOO_OLD)
        elif made > now + DAY_MS:
            self._answer(name, Refusal.ID_FROM_THE_FUTURE)
        else:
            refusal = self._carried_out(fact) or ""
            self._kept[key] = said, refusal
            self._answer(name, refusal)

    def _answer(self, name: str, refusal: str, *, anew: bool = True) -> None:
        self.answers.append((name, str(refusal)))
        if anew:
            self.outcomes[name] = str(refusal)

    def _carried_out(self, fact: Record) -> Refusal | None:
        rules: dict[type[Record], Callable[[Any], Refusal | None]] = {
            SiteSet: self._site,
            PolicySet: self._policy,
            TariffPublished: self._publish,
            AccountOpened: self._open,
            AccountActivated: self._activate,
            AccountUpdated: self._update,
            AccountTransferred: self._leave,
            AccountClosed: self._leave,
            MeterInstalled: self._install,
            MeterRemoved: self._remove,
            MeterReplaced: self._replace,
            TariffAssigned: self._assign,
            RechargeOrdered: self._move,
            RefundOrdered: self._move,
            AdjustmentOrdered: self._adjust,
            ReversalOrdered: self._reverse,
            AllowanceSet: self._set_allowance,
            ChargeItemSet: self._set_item,
            ChargeItemEnded: self._end_item,
            ControlOrdered: self._control,
            ControlTermsSet: self._control,
            ProtectionOrdered: self._control,
            LoadReleased: self._control,
            MeterWatchSet: self._watch,
            MainMeterSet: self._name_main,
            PurchasesAccepted: self._accept,
            QuarantineDecided: self._decide,
            ReadingCorrected: self._correct,
        }
        return rules[type(fact)](fact)
