"""Audit: what the accounts must hold, worked out a second time from the same facts, slowly, to be held against the machine.

Plain dictionaries and Python's unbounded integers, one fact after the other. It shares no code with the machine it checks:
rules are written here again from the design, and prices come from `tariffs.rating`, which reads the calendar itself, minute
by minute. It follows meters, money and the answers to orders; alarms and commands move no money and are not followed.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from fractions import Fraction
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from domain.documents import MistakesError
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
    ControlOrdered,
    ControlTerms,
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
    WatchTerms,
)
from domain.ids import LOG_START, METER_NUMBER_MAX, EntryId, order_id, order_time_ms
from domain.state import StoredShard
from domain.units import DAY_MS, HOUR_MS, MINUTE_MS, MONEY_MAX_MICROS, ORDER_MAX_MICROS, PICOS_PER_MICRO, USAGE_MAX
from domain.words import (
    QUARANTINED,
    AllowanceKind,
    Commodity,
    Decision,
    Ledger,
    Metering,
    Period,
    Refusal,
    Settlement,
    Supply,
)
from flows.audit_cases import Baseline, Cases, belief
from tariffs.levels import thresholds
from tariffs.loader import is_self_contained, load_tariff
from tariffs.prepaid import obstacles
from tariffs.rating import Counter as TierCounter
from tariffs.rating import cost_of, given_back
from tariffs.tariff import Plan, Premises, Stage, Tariff
from tariffs.zones import zone

YEAR_2100_MS = 4_102_444_800_000
REGISTER_UNBOUNDED = 10**15


@dataclass(slots=True)
class _Meter:
    """A meter as it was installed, and its last believed reading; `suspect`: the register that first jumped.

    `assigned`: by time. `plan`: what it is priced by. `counter`: the thresholds of the tier counter that it counts in.
    """

    installed: MeterInstalled
    time: int | None
    register: int
    suspect: int | None = None
    assigned: dict[int, TariffAssigned] = field(default_factory=dict)
    plan: Plan = ()
    counter: tuple[int, ...] = ()


class _Allowance:
    """What an account has free, and what is left of it in the latest month that any usage was in: picos, Wh or litres."""

    def __init__(self, fact: AllowanceSet) -> None:
        self.fact = fact
        self.month = _date(fact.from_day).replace(day=1)
        self.left = self._whole()
        if fact.partial:
            following = _next_period(Period.MONTH, fact.from_day)
            days = (_date(following) - self.month).days
            share = fact.amount * (following - fact.from_day) // days
            self.left = share * PICOS_PER_MICRO if fact.kind == AllowanceKind.MONEY else share

    def _whole(self) -> int:
        return self.fact.amount * (PICOS_PER_MICRO if self.fact.kind == AllowanceKind.MONEY else 1)

    def begin(self, day: int) -> bool:
        """Give it anew in a later month. Whether usage of that day may have any."""
        month = _date(day).replace(day=1)
        if day < self.fact.from_day:
            return False
        if month > self.month:
            self.month, self.left = month, self._whole()
        return month == self.month


class Audit:
    """One shard, recomputed. Take its log's entries in order, then `compare` with what a store has kept.

    `balances`: exact picos (1e-12 units) by account. `priced`: Wh or litres by meter. `classes`: readings by class.
    `rounded`: picos that settlements have left to nobody. `outcomes`: by order id the refusal, or "" where it was carried out. `answers`: every answer given, repeats too.
    """

    def __init__(self, shard: int) -> None:
        self.shard = shard
        self.position = LOG_START
        self.balances: dict[str, int] = {}
        self.rounded = 0
        self._free: Counter[tuple[str, str]] = Counter()
        self.priced: dict[int, int] = {}
        self.classes: Counter[Metering] = Counter()
        self.outcomes: dict[str, str] = {}
        self.answers: list[tuple[str, str]] = []
        self._now = 0
        self._pruned_day = 0
        self._accounts: dict[str, AccountOpened] = {}
        self._warned: dict[str, AlarmTerms] = {}
        self._policies: dict[str, AlarmTerms] = {}
        self._followed: dict[str, str] = {}
        self._prepared: set[str] = set()
        self._closed: set[str] = set()
        self._meters: dict[int, _Meter] = {}
        self._removed: dict[int, MeterInstalled] = {}
        self._usage: Counter[Commodity] = Counter()
        self._tariffs: dict[str, Tariff] = {}
        self._sites: dict[str, str] = {}
        self._counters: dict[tuple[str, Commodity, tuple[int, ...]], TierCounter] = {}
        self._kept: dict[bytes, tuple[bytes, str]] = {}
        self._allowances: dict[str, _Allowance] = {}
        self._cases = Cases()
        self._recharges: dict[bytes, RechargeOrdered] = {}
        self._pays_since: dict[str, int] = {}
        self._reversed: set[bytes] = set()
        self._items: dict[tuple[str, str], tuple[ChargeItemSet, int]] = {}

    @property
    def quarantined(self) -> dict[Metering, int]:
        """Readings that are neither charged nor forgotten, by class."""
        return {metering: count for metering, count in self.classes.items() if metering in QUARANTINED}

    def take(self, entry: EntryId, fact: Fact) -> None:
        """Work out what one log entry does."""
        assert entry > self.position, "a log is audited once, in order"
        self.position = entry
        if isinstance(fact, ReadingBlock):
            for number, time, register in zip(fact.meter, fact.time, fact.register, strict=True):
                self.classes[self._read(int(number), int(time), int(register))] += 1
        elif isinstance(fact, Ticked):
            self._tick(fact.at)
        elif isinstance(fact, ReadingRefused):
            self._cases.hold(fact.meter, fact.reason, fact.at, -1)
        elif hasattr(fact, "id"):
            self._order(fact, fact.id)

    def _tick(self, at: int) -> None:
        self._now = max(self._now, at)
        self._charge_items()
        if self._now // DAY_MS != self._pruned_day:
            self._pruned_day = self._now // DAY_MS
            oldest = self._now - 90 * DAY_MS
            self._kept = {key: kept for key, kept in self._kept.items() if order_time_ms(key) >= oldest}

    def _read(self, number: int, time: int, register: int) -> Metering:
        """Class of a reading; what is believed is charged and becomes the baseline."""
        meter = self._meters.get(number)
        metering = self._class_of(meter, time, register) if meter else Metering.UNKNOWN_METER
        if metering in QUARANTINED:
            self._cases.hold(number, metering.name.lower(), time, register)
        if meter is None:
            return metering
        if metering in {Metering.NORMAL, Metering.ROLLOVER}:
            self._charge(meter, time, register)
        if metering == Metering.LATE and register > meter.register:
            meter.time = time  # The clock of the believed reading was ahead: its register stands, its time does not.
        if metering == Metering.JUMP and meter.suspect is None:
            meter.suspect = register
        if metering in {Metering.FIRST, Metering.NORMAL, Metering.ROLLOVER, Metering.VACANT}:
            meter.time, meter.register, meter.suspect = time, register, None
            self._cases.believe(number)
        return metering

    def _class_of(self, meter: _Meter, time: int, register: int) -> Metering:
        if self._now and time > self._now + HOUR_MS:
            return Metering.FUTURE
        modulus = meter.installed.modulus
        if not 0 < time <= YEAR_2100_MS or register < 0 or (modulus and register >= modulus):
            return Metering.OUT_OF_RANGE
        nobody = meter.installed.account in self._prepared | self._closed
        if meter.time is None:
            return Metering.VACANT if nobody else Metering.FIRST
        if time < meter.time:
            return Metering.LATE
        if time == meter.time:
            return Metering.DUPLICATE if register == meter.register else Metering.CONFLICT
        if nobody:
            return Metering.VACANT
        if abs(self.balances[meter.installed.account] // PICOS_PER_MICRO) > MONEY_MAX_MICROS:
            return Metering.OUT_OF_RANGE
        possible = _is_possible(meter, time - meter.time, _advance(meter, register))
        if register < meter.register:
            return Metering.ROLLOVER if possible and modulus else Metering.DECREASE
        held = meter.suspect is not None and register >= meter.suspect
        return Metering.NORMAL if possible and not held else Metering.JUMP

    def _charge(self, meter: _Meter, time: int, register: int) -> None:
        assert meter.time is not None
        self._price(meter, meter.time, time, _advance(meter, register) * meter.installed.ratio)

    def _price(self, meter: _Meter, start: int, end: int, usage: int) -> None:
        installed = meter.installed
        if usage:
            counter = self._counters[installed.account, installed.commodity, meter.counter]
            self.balances[installed.account] -= self._paid(meter, start, end, usage, counter)
        self.priced[installed.meter] += usage
        self._usage[installed.commodity] += usage

    def _paid(self, meter: _Meter, since: int, until: int, usage: int, counter: TierCounter) -> int:
        """Picos of an interval that are not free: part by part of the calendar, the free energy of each part first."""
        account = meter.installed.account
        allowance = self._allowances.get(account)
        if allowance is None or allowance.fact.kind == AllowanceKind.NONE:
            return cost_of(meter.plan, since, until, usage, counter).cost_picos
        parts: dict[tuple[int, int, int], int] = {}
        for piece in cost_of(meter.plan, since, until, usage).pieces:
            span = piece.start_ms, piece.end_ms, piece.moment.day
            parts[span] = parts.get(span, 0) + piece.usage
        paid, hung = 0, (account, meter.installed.id)
        for (start, end, day), used in parts.items():
            is_energy = allowance.fact.kind == AllowanceKind.ELECTRICITY + meter.installed.commodity
            free = min(used, allowance.left) if is_energy and allowance.begin(day) else 0
            if free:
                allowance.left -= free
                self._free[hung] += cost_of(meter.plan, start, end, free, counter).cost_picos
            cost = cost_of(meter.plan, start, end, used - free, counter).cost_picos if used > free else 0
            if allowance.fact.kind == AllowanceKind.MONEY and cost >= 0 and allowance.begin(day):
                given = min(cost, allowance.left)
                allowance.left, cost = allowance.left - given, cost - given
                self._free[hung] += given
            paid += cost
        return paid

    def _set_allowance(self, fact: AllowanceSet) -> Refusal | None:
        if fact.account not in self._accounts:
            return Refusal.UNKNOWN_ACCOUNT
        is_amount = 1 <= fact.amount <= ORDER_MAX_MICROS or fact.kind == AllowanceKind.NONE
        if not (is_amount and fact.from_day >= 0 and fact.from_day * DAY_MS < YEAR_2100_MS):
            return Refusal.TERMS_INVALID
        self._allowances[fact.account] = _Allowance(fact)
        return None

    def _decide(self, fact: QuarantineDecided) -> Refusal | None:
        """A person closes a case: the meter goes on from what is believed now, or as if nothing had been held."""
        meter, held = self._meters.get(fact.meter), self._cases.of.get((fact.meter, fact.reason))
        if meter is None and fact.decision != Decision.DISCARD:
            return Refusal.UNKNOWN_METER
        if held is None:
            return Refusal.UNKNOWN_CASE
        modulus, ratio = (meter.installed.modulus, meter.installed.ratio) if meter else (0, 1)
        if not _is_decision_valid(fact, modulus):
            return Refusal.TERMS_INVALID
        if not fact.note.strip():
            return Refusal.NOTE_MISSING
        if meter and fact.decision != Decision.DISCARD:
            if self._is_beyond(meter):
                return Refusal.AMOUNT_TOO_LARGE
            after = belief(fact, held, Baseline(meter.time, meter.register, modulus, ratio))
            if isinstance(after, Refusal):
                return after
            time, register, usage = after
            account = meter.installed.account
            if usage and (account in self._prepared | self._closed or time < self._pays_since.get(account, 0)):
                return Refusal.DECISION_NOT_POSSIBLE
            self._price(meter, time if meter.time is None else meter.time, time, usage)
            meter.time, meter.register, meter.suspect = time, register, None
            self._cases.release(fact.meter)
        elif meter and fact.reason == "jump":
            meter.suspect = None
        self._cases.close(fact.meter, fact.reason)
        return None

    def _correct(self, fact: ReadingCorrected) -> Refusal | None:
        """Usage on top, or given back, at the prices of its time; the register as it should have been."""
        meter = self._meters.get(fact.meter)
        if meter is None:
            return Refusal.UNKNOWN_METER
        if not _is_correction_valid(fact, meter):
            return Refusal.TERMS_INVALID
        if fact.usage_delta and meter.installed.account in self._closed:
            return Refusal.ACCOUNT_CLOSED
        if not fact.note.strip():
            return Refusal.NOTE_MISSING
        if self._is_beyond(meter):
            return Refusal.AMOUNT_TOO_LARGE
        if fact.usage_delta and (
            fact.from_ms < self._pays_since.get(meter.installed.account, 0) or self._may_be_free(meter)
        ):
            return Refusal.DECISION_NOT_POSSIBLE
        installed, span = meter.installed, (fact.from_ms, fact.until_ms)
        counter = self._counters[installed.account, installed.commodity, meter.counter]
        if fact.usage_delta > 0:
            self.balances[installed.account] -= cost_of(meter.plan, *span, fact.usage_delta, counter).cost_picos
        elif fact.usage_delta < 0:
            back = given_back(meter.plan, *span, -fact.usage_delta, counter)
            if back is None:
                return Refusal.CORRECTION_TOO_LARGE
            self.balances[installed.account] += back
        self.priced[fact.meter] += fact.usage_delta
        self._usage[installed.commodity] += fact.usage_delta
        meter.register = meter.register if fact.register is None else fact.register
        return None

    def _may_be_free(self, meter: _Meter) -> bool:
        allowance = self._allowances.get(meter.installed.account)
        own = AllowanceKind.ELECTRICITY + meter.installed.commodity
        return allowance is not None and allowance.fact.kind in {AllowanceKind.MONEY, own}

    def _is_beyond(self, meter: _Meter) -> bool:
        return abs(self.balances[meter.installed.account] // PICOS_PER_MICRO) > MONEY_MAX_MICROS

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
            QuarantineDecided: self._decide,
            ReadingCorrected: self._correct,
        }
        return rules[type(fact)](fact)

    def _site(self, fact: SiteSet) -> Refusal | None:
        if self._sites.get(fact.site, fact.currency) != fact.currency:
            return Refusal.WRONG_CURRENCY
        try:
            zone(fact.zone)
        except ValueError:
            return Refusal.TERMS_INVALID
        letters = fact.currency
        if not (1 <= len(fact.site) <= 100 and len(letters) == 3 and all("A" <= letter <= "Z" for letter in letters)):
            return Refusal.TERMS_INVALID
        self._sites[fact.site] = fact.currency
        return None

    def _policy(self, fact: PolicySet) -> Refusal | None:
        if not 1 <= len(fact.policy) <= 100 or not _are_terms_valid(fact.alarms):
            return Refusal.TERMS_INVALID
        self._policies[fact.policy] = fact.alarms
        self._warned |= {account: fact.alarms for account, policy in self._followed.items() if policy == fact.policy}
        return None

    def _follow(self, account: str, policy: str | None, own: AlarmTerms | None) -> Refusal | None:
        """An account has amounts of its own, or those of the policy that it follows from now on."""
        if policy and policy not in self._policies:
            return Refusal.UNKNOWN_POLICY
        if (policy and own) or (own and not _are_terms_valid(own)):
            return Refusal.TERMS_INVALID
        if own or policy == "":
            self._followed.pop(account, None)
        if policy:
            self._followed[account] = policy
        self._warned[account] = own or (self._policies[policy] if policy else self._warned[account])
        return None

    def _publish(self, fact: TariffPublished) -> Refusal | None:
        try:
            tariff = load_tariff(fact.document, fact.tariff)
        except MistakesError:
            return Refusal.TARIFF_INVALID
        before = self._tariffs.get(fact.tariff, tariff)
        if tariff.id != fact.tariff or not is_self_contained(fact.document) or obstacles(tariff):
            return Refusal.TARIFF_INVALID
        if before.commodity != tariff.commodity:
            return Refusal.WRONG_COMMODITY
        if before.currency != tariff.currency:
            return Refusal.WRONG_CURRENCY
        self._tariffs[fact.tariff] = tariff
        for _, meter in sorted(self._meters.items()):
            if any(stage.tariff.id == tariff.id for stage in meter.plan):
                self._plan(meter)
        return None

    def _plan(self, meter: _Meter) -> None:
        """What a meter is priced by now, and the counter that its usage is counted in: one more where the thresholds are new.

        The new one knows what has been used, and nothing of what that has cost: it is paid.
        """
        stages: dict[int, MeterInstalled | TariffAssigned] = {0: meter.installed, **meter.assigned}
        meter.plan = tuple(
            Stage(
                start,
                self._tariffs[fact.tariff],
                Premises(fact.persons, fact.capacity_w),
                isinstance(fact, TariffAssigned) and fact.restart,
            )
            for start, fact in sorted(stages.items())
        )
        account, commodity = meter.installed.account, meter.installed.commodity
        before = self._counters.get((account, commodity, meter.counter), TierCounter())
        meter.counter = thresholds(meter.plan)
        self._counters.setdefault((account, commodity, meter.counter), before.carried_over())

    def _assign(self, fact: TariffAssigned) -> Refusal | None:
        meter, tariff = self._meters.get(fact.meter), self._tariffs.get(fact.tariff)
        if meter is None:
            return Refusal.UNKNOWN_METER
        if tariff is None:
            return Refusal.UNKNOWN_TARIFF
        if tariff.commodity != meter.installed.commodity:
            return Refusal.WRONG_COMMODITY
        if tariff.currency != self._accounts[meter.installed.account].currency:
            return Refusal.WRONG_CURRENCY
        if not (_are_premises_valid(fact) and 0 < fact.starts_at <= YEAR_2100_MS):
            return Refusal.TERMS_INVALID
        begins = max(fact.starts_at, meter.time or 0)
        meter.assigned[begins + -begins % MINUTE_MS] = fact
        self._plan(meter)
        return None

    def _open(self, fact: AccountOpened) -> Refusal | None:
        before = self._accounts.get(fact.account)
        if before:
            same = msgspec.structs.replace(fact, id=before.id, at=before.at) == before
            return None if same else Refusal.EXISTS_WITH_DIFFERENT_CONTENT
        own = None if fact.policy and fact.alarms == AlarmTerms() else fact.alarms
        if refusal := self._follow(fact.account, fact.policy, own):
            return refusal
        self._accounts[fact.account] = fact
        self.balances[fact.account] = 0
        if fact.prepared:
            self._prepared.add(fact.account)
        return None

    def _activate(self, fact: AccountActivated) -> Refusal | None:
        if fact.account not in self._accounts:
            return Refusal.UNKNOWN_ACCOUNT
        if fact.account not in self._prepared | self._closed:
            return Refusal.ACCOUNT_OPEN
        self._prepared.discard(fact.account)
        self._closed.discard(fact.account)
        self._pays_since[fact.account] = fact.at
        return None

    def _update(self, fact: AccountUpdated) -> Refusal | None:
        if fact.account not in self._accounts:
            return Refusal.UNKNOWN_ACCOUNT
        return self._follow(fact.account, fact.policy, fact.alarms)

    def _leave(self, fact: AccountTransferred | AccountClosed) -> Refusal | None:
        """A tenant goes, and leaves nothing behind to the last pico, unless the balance is carried over to the next."""
        if fact.account not in self._accounts:
            return Refusal.UNKNOWN_ACCOUNT
        if fact.account in self._closed:
            return Refusal.ACCOUNT_CLOSED
        goes_on = isinstance(fact, AccountTransferred)
        if not (goes_on and fact.settlement == Settlement.CARRY):
            if any(meter.time is None and meter.installed.account == fact.account for meter in self._meters.values()):
                return Refusal.METERS_NOT_READ
            if fact.settlement == Settlement.WRITE_OFF:
                if not fact.reason.strip():
                    return Refusal.NOTE_MISSING
            elif fact.settlement != (Settlement.PAY_UP if self.balances[fact.account] < 0 else Settlement.REFUND):
                return Refusal.BALANCE_NOT_SETTLED
            self._round(fact.account)
            self._pays_since[fact.account] = fact.at
            self._recharges = {key: each for key, each in self._recharges.items() if each.account != fact.account}
        if not goes_on:
            self._prepared.discard(fact.account)
            self._closed.add(fact.account)
            self._items = {name: item for name, item in self._items.items() if name[0] != fact.account}
        return None

    def _install(self, fact: MeterInstalled) -> Refusal | None:
        meter, account, tariff = (
            self._meters.get(fact.meter),
            self._accounts.get(fact.account),
            self._tariffs.get(fact.tariff),
        )
        if meter:
            before = meter.installed
            again = msgspec.structs.replace(fact, id=before.id, at=before.at)
            return None if again == before else Refusal.EXISTS_WITH_DIFFERENT_CONTENT
        if account is None:
            return Refusal.UNKNOWN_ACCOUNT
        if tariff is None:
            return Refusal.UNKNOWN_TARIFF
        if tariff.commodity != fact.commodity:
            return Refusal.WRONG_COMMODITY
        if tariff.currency != account.currency:
            return Refusal.WRONG_CURRENCY
        if not _is_meter_valid(fact):
            return Refusal.TERMS_INVALID
        opening, gone = fact.opening_register, self._removed.get(fact.meter)
        if gone and (opening is None or msgspec.structs.replace(fact, id=gone.id, at=gone.at) == gone):
            return Refusal.METER_REMOVED
        self._begin(_Meter(fact, None if opening is None else fact.at, opening or 0))
        return None

    def _begin(self, meter: _Meter) -> None:
        number = meter.installed.meter
        self._removed.pop(number, None)
        self._meters[number] = meter
        self._plan(meter)
        self.priced.setdefault(number, 0)

    def _round(self, account: str) -> None:
        """What no posting can say: the part of a micro in the wallet, and those of what was free on each of its meters."""
        unsaid = [hung for hung in self._free if hung[0] == account]
        self.rounded += self.balances[account] % PICOS_PER_MICRO
        self.rounded -= sum(self._free.pop(hung) % PICOS_PER_MICRO for hung in unsaid)
        self.balances[account] = 0

    def _remove(self, fact: MeterRemoved) -> Refusal | None:
        if fact.meter not in self._meters:
            return Refusal.UNKNOWN_METER
        refusal = self._doubt(fact)
        if not refusal:
            self._take_down(fact)
        return refusal

    def _replace(self, fact: MeterReplaced) -> Refusal | None:
        if fact.new_meter in self._meters:
            return Refusal.EXISTS_WITH_DIFFERENT_CONTENT
        meter = self._meters.get(fact.meter)
        if meter is None:
            return Refusal.UNKNOWN_METER
        successor = msgspec.structs.replace(
            meter.installed, at=fact.at, id=fact.id, meter=fact.new_meter, profile=fact.profile, modulus=fact.modulus,
            rated_per_hour=fact.rated_per_hour, ratio=fact.ratio, opening_register=fact.opening_register,
            switchable=fact.switchable,
        )  # fmt: skip
        if not _is_meter_valid(successor):
            return Refusal.TERMS_INVALID
        if refusal := self._doubt(fact):
            return refusal
        self._take_down(fact)
        self._begin(
            _Meter(successor, meter.time, fact.opening_register, assigned=dict(meter.assigned), counter=meter.counter)
        )
        return None

    def _closed_at(self, fact: MeterRemoved | MeterReplaced) -> int:
        last = self._meters[fact.meter].time
        return max(fact.at, 0 if last is None else last + 1)

    def _doubt(self, fact: MeterRemoved | MeterReplaced) -> Refusal | None:
        """A closing register is a reading like any other; one that would be held is refused."""
        meter = self._meters[fact.meter]
        if not 0 <= fact.closing_register < (meter.installed.modulus or REGISTER_UNBOUNDED):
            return Refusal.TERMS_INVALID
        metering = self._class_of(meter, self._closed_at(fact), fact.closing_register)
        return Refusal.REGISTER_NOT_BELIEVED if metering in QUARANTINED else None

    def _take_down(self, fact: MeterRemoved | MeterReplaced) -> None:
        self.classes[self._read(fact.meter, self._closed_at(fact), fact.closing_register)] += 1
        self._removed[fact.meter] = self._meters.pop(fact.meter).installed

    def _move(self, fact: RechargeOrdered | RefundOrdered) -> Refusal | None:
        account = self._accounts.get(fact.account)
        if account is None:
            return Refusal.UNKNOWN_ACCOUNT
        if fact.currency != account.currency:
            return Refusal.WRONG_CURRENCY
        if fact.account in self._closed:
            return Refusal.ACCOUNT_CLOSED
        if fact.amount_micros <= 0:
            return Refusal.AMOUNT_NOT_POSITIVE
        if fact.amount_micros > ORDER_MAX_MICROS:
            return Refusal.AMOUNT_TOO_LARGE
        amount, balance = fact.amount_micros * PICOS_PER_MICRO, self.balances[fact.account]
        if isinstance(fact, RefundOrdered):
            if amount > balance:
                return Refusal.INSUFFICIENT_BALANCE
            self.balances[fact.account] -= amount
            return None
        if (balance + amount) // PICOS_PER_MICRO > self._warned[fact.account].max_balance:
            return Refusal.ABOVE_MAX_BALANCE
        self.balances[fact.account] += amount
        self._recharges[order_id(fact.id)] = fact
        return None

    def _adjust(self, fact: AdjustmentOrdered) -> Refusal | None:
        account = self._accounts.get(fact.account)
        if account is None:
            return Refusal.UNKNOWN_ACCOUNT
        if fact.currency != account.currency:
            return Refusal.WRONG_CURRENCY
        if fact.account in self._closed:
            return Refusal.ACCOUNT_CLOSED
        if not fact.note.strip():
            return Refusal.NOTE_MISSING
        if fact.amount_micros == 0:
            return Refusal.AMOUNT_IS_ZERO
        after = self.balances[fact.account] // PICOS_PER_MICRO + fact.amount_micros
        if abs(fact.amount_micros) > ORDER_MAX_MICROS or abs(after) > MONEY_MAX_MICROS:
            return Refusal.AMOUNT_TOO_LARGE
        self.balances[fact.account] += fact.amount_micros * PICOS_PER_MICRO
        return None

    def _reverse(self, fact: ReversalOrdered) -> Refusal | None:
        """Only a recharge whose answer is still kept can be taken back, and only once."""
        if fact.account not in self._accounts:
            return Refusal.UNKNOWN_ACCOUNT
        try:
            key = order_id(fact.order)
        except ValueError:
            return Refusal.UNKNOWN_ORDER
        recharge = self._recharges.get(key)
        if key not in self._kept or recharge is None or recharge.account != fact.account:
            return Refusal.UNKNOWN_ORDER
        if key in self._reversed:
            return Refusal.ALREADY_REVERSED
        self._reversed.add(key)
        self.balances[fact.account] -= recharge.amount_micros * PICOS_PER_MICRO
        return None

    def _set_item(self, fact: ChargeItemSet) -> Refusal | None:
        if fact.account not in self._accounts:
            return Refusal.UNKNOWN_ACCOUNT
        if not _is_item_valid(fact, max(self._now, fact.at)):
            return Refusal.TERMS_INVALID
        if fact.account in self._closed:
            return Refusal.ACCOUNT_CLOSED
        name = fact.account, fact.item
        self._items[name] = fact, max(fact.starts, self._items[name][1]) if name in self._items else fact.starts
        self._forget_ended(name)
        return None

    def _end_item(self, fact: ChargeItemEnded) -> Refusal | None:
        if fact.account not in self._accounts:
            return Refusal.UNKNOWN_ACCOUNT
        return None if self._items.pop((fact.account, fact.item), None) else Refusal.UNKNOWN_ITEM

    def _forget_ended(self, name: tuple[str, str]) -> None:
        item, day = self._items[name]
        if 0 <= item.ends < day:
            del self._items[name]

    def _charge_items(self) -> None:
        """Every fee that is due, in order of time and then of name."""
        while due := [(begin, name) for name, begin in self._begins() if begin <= self._now]:
            self._charge_item(min(due)[1])

    def _begins(self) -> Iterator[tuple[tuple[str, str], int]]:
        for name, (item, day) in self._items.items():
            yield name, _begin_of(day, item.zone)

    def _charge_item(self, name: tuple[str, str]) -> None:
        item, day = self._items[name]
        self.balances[item.account] -= _fee(item, day)
        if item.period == Period.ONCE:
            del self._items[name]
            return
        self._items[name] = item, _next_period(item.period, day)
        self._forget_ended(name)

    def _control(self, fact: ControlOrdered | ControlTermsSet | ProtectionOrdered | LoadReleased) -> Refusal | None:
        meter = self._meters.get(fact.meter)
        if meter is None:
            return Refusal.UNKNOWN_METER
        if isinstance(fact, ControlTermsSet) and not _is_control_valid(fact.terms):
            return Refusal.TERMS_INVALID
        if not meter.installed.switchable:
            return Refusal.METER_HAS_NO_SWITCH
        match fact:
            case ControlOrdered():
                over = fact.wanted != Supply.UNKNOWN and fact.until <= max(self._now, fact.at)
            case ProtectionOrdered():
                over = fact.protected and 0 != fact.until <= max(self._now, fact.at)
            case _:
                over = False
        return Refusal.ALREADY_EXPIRED if over else None

    def _watch(self, fact: MeterWatchSet) -> Refusal | None:
        if fact.meter not in self._meters:
            return Refusal.UNKNOWN_METER
        return None if _is_watch_valid(fact.terms) else Refusal.TERMS_INVALID

    def _name_main(self, fact: MainMeterSet) -> Refusal | None:
        named = [self._meters.get(number) for number in (fact.meter, *fact.subs)]
        if not all(named):
            return Refusal.UNKNOWN_METER
        if len({meter.installed.commodity for meter in named if meter}) != 1:
            return Refusal.WRONG_COMMODITY
        each_once = len({fact.meter, *fact.subs}) == len(named) <= 1_001
        limits = 0 <= fact.loss_max_permille <= 1_000 and 0 <= fact.loss_min <= 10**15
        return None if each_once and limits else Refusal.TERMS_INVALID

    def usage_of(self, commodity: Commodity) -> int:
        """Wh or litres priced of a commodity."""
        return self._usage[commodity]

    def refusal_kept(self, key: bytes) -> str | None:
        """The answer kept for an order's id; None: forgotten, or never seen."""
        return self._kept[key][1] if key in self._kept else None


def _is_watch_valid(terms: WatchTerms) -> bool:
    usages, times = (terms.day_usage, terms.month_usage), (terms.offline_ms, terms.stuck_ms)
    watts, night = (terms.stuck_w, terms.reverse_w), (terms.night_from, terms.night_until)
    return (
        all(0 <= usage <= 10**15 for usage in usages)
        and -1 <= terms.night_usage <= 10**15
        and all(0 <= time <= 400 * DAY_MS for time in times)
        and all(0 <= power <= 10**9 for power in watts)
        and all(0 <= minute <= 1439 for minute in night)
        and len(set(night)) == 2
        and 1 <= terms.repeat_ms <= 400 * DAY_MS
        and 0 <= terms.repeat_max <= 250
    )


def _is_control_valid(terms: ControlTerms) -> bool:
    windows, watts = (*terms.no_trip, *terms.schedule), [terms.power_limit_w, terms.malignant_step_w]
    holidays = terms.holidays
    return (
        _is_zone(terms.zone)
        and len(holidays) <= 4_000
        and all(before < after for before, after in pairwise((-1, *holidays, 47_483)))
        and all(len(listed) <= 100 for listed in (terms.no_trip, terms.schedule, terms.tolerated))
        and all(each.days in range(1, 256) for each in windows)
        and all(each.from_minute in range(1440) and each.until_minute in range(1441) for each in windows)
        and not any(each.from_minute == each.until_minute for each in windows)
        and all(each.supply in {Supply.ON, Supply.OFF} for each in terms.schedule)
        and all(0 <= power <= 10**9 for power in watts)
        and all(0 <= each.low_w <= each.high_w <= 10**9 for each in terms.tolerated)
        and 0 <= terms.restores <= 100
        and MINUTE_MS <= terms.restore_wait_ms <= DAY_MS
    )


def _is_zone(name: str) -> bool:
    try:
        zone(name)
    except ValueError:
        return False
    return True


def _is_item_valid(fact: ChargeItemSet, now: int) -> bool:
    if not _is_zone(fact.zone):
        return False
    start = fact.starts * DAY_MS
    return (
        1 <= len(fact.item) <= 64
        and 1 <= fact.amount_micros <= ORDER_MAX_MICROS
        and 0 <= fact.area <= 10**9
        and fact.amount_micros * fact.area <= ORDER_MAX_MICROS * 1000
        and now - 366 * DAY_MS <= start < YEAR_2100_MS
        and (fact.ends < 0 or fact.starts <= fact.ends)
    )


def _date(day: int) -> date:
    return date.fromordinal(date(1970, 1, 1).toordinal() + day)


def _begin_of(day: int, zone_name: str) -> int:
    """Ms UTC of local midnight."""
    at = _date(day)
    return int(datetime(at.year, at.month, at.day, tzinfo=zone(zone_name)).timestamp()) * 1000


def _next_period(period: Period, day: int) -> int:
    """The day after, until it is the first of a month, of a quarter, of a year."""
    first_months = {Period.MONTH: range(1, 13), Period.QUARTER: (1, 4, 7, 10), Period.YEAR: (1,)}[period]
    day += 1
    while _date(day).day != 1 or _date(day).month not in first_months:
        day += 1
    return day


def _fee(item: ChargeItemSet, day: int) -> int:
    """Picos of the charge for the period in which `day` is, from that day on; a hundredth of the currency is its smallest part."""
    amount = Fraction(item.amount_micros, 10_000) * (Fraction(item.area, 1000) if item.area else 1)
    if item.partial and item.period != Period.ONCE:
        following = _next_period(item.period, day)
        first = max(back for back in range(following - 366, following) if _next_period(item.period, back - 1) == back)
        until = following if item.ends < 0 else min(following, item.ends + 1)
        amount *= Fraction(until - day, following - first)
    return (2 * amount.numerator + amount.denominator) // (2 * amount.denominator) * 10_000 * PICOS_PER_MICRO


def _advance(meter: _Meter, register: int) -> int:
    """What the register has counted since the baseline, past its wrap if it has one."""
    wrapped = register < meter.register
    return register - meter.register + (meter.installed.modulus if wrapped else 0)


def _is_possible(meter: _Meter, elapsed_ms: int, advance: int) -> bool:
    """At the rated power, over one minute more than has begun, and one unit more for its rounding."""
    rated, minutes = meter.installed.rated_per_hour, elapsed_ms // MINUTE_MS + 2
    return (advance - 1) * 60 <= rated * minutes and advance * meter.installed.ratio <= USAGE_MAX


def _are_terms_valid(terms: AlarmTerms) -> bool:
    bounded = (
        abs(terms.low),
        abs(terms.arrears),
        abs(terms.reconnect),
        terms.hysteresis,
        terms.max_balance,
        terms.overdraft,
    )
    return (
        terms.low >= terms.pretrip >= terms.arrears <= terms.reconnect
        and min(terms.hysteresis, terms.overdraft) >= 0
        and 0 < terms.repeat_ms <= 10**12
        and 0 <= terms.repeat_max <= 250
        and all(amount < MONEY_MAX_MICROS for amount in bounded)
    )


def _is_meter_valid(fact: MeterInstalled) -> bool:
    return (
        1 <= fact.meter <= METER_NUMBER_MAX
        and 0 <= fact.modulus <= 10**15
        and 1 <= fact.rated_per_hour <= 10**9
        and 1 <= fact.ratio <= 10**6
        and 0 <= (fact.opening_register or 0) < (fact.modulus or REGISTER_UNBOUNDED)
        and fact.at > 0
        and _are_premises_valid(fact)
    )


def _is_decision_valid(fact: QuarantineDecided, modulus: int) -> bool:
    says_more = fact.register is not None or fact.usage != 0
    return (
        (fact.decision == Decision.REBASELINE or not says_more)
        and 0 <= (fact.register or 0) < (modulus or REGISTER_UNBOUNDED)
        and 0 <= fact.usage <= USAGE_MAX
        and 0 < fact.at <= YEAR_2100_MS
    )


def _is_correction_valid(fact: ReadingCorrected, meter: _Meter) -> bool:
    if meter.time is None or not (fact.usage_delta or fact.register is not None):
        return False
    if fact.usage_delta and not max(1, meter.time - 1098 * DAY_MS) <= fact.from_ms < fact.until_ms <= meter.time:
        return False
    return abs(fact.usage_delta) <= USAGE_MAX and 0 <= (fact.register or 0) < (
        meter.installed.modulus or REGISTER_UNBOUNDED
    )


def _are_premises_valid(fact: MeterInstalled | TariffAssigned) -> bool:
    return 1 <= fact.persons <= 1_000 and 0 <= fact.capacity_w <= 10**12


def compare(audit: Audit, stored: StoredShard, postings: NDArray[np.void] | None = None) -> list[str]:
    """One sentence for each thing in which a stored shard differs from its audit; none: they agree to the last pico.

    With all of the shard's `postings`, the ledger must add up to the balances as well.
    """
    if audit.position != stored.position:
        return [f"the audit stands at {audit.position}, the store at {stored.position}: they cannot be compared"]
    found = [*_balances_wrong(audit, stored), *_totals_wrong(audit, stored), *_outcomes_wrong(audit, stored)]
    return found if postings is None else [*found, *_ledger_wrong(stored, postings)]


def _balances_wrong(audit: Audit, stored: StoredShard) -> list[str]:
    balances = _balances(stored)
    wrong = {name: (audit.balances.get(name), balances.get(name)) for name in sorted({*audit.balances, *balances})}
    return [
        f"account {name} must hold {must} picos and holds {has}" for name, (must, has) in wrong.items() if must != has
    ]


def _balances(stored: StoredShard) -> dict[str, int]:
    rows = stored.rows["accounts"]
    return {
        name: int(rows["balance"][record.row]) * PICOS_PER_MICRO + int(rows["balance_picos"][record.row])
        for name, record in stored.records["account_records"].items()
    }


def _totals_wrong(audit: Audit, stored: StoredShard) -> list[str]:
    counts = {metering: (audit.classes[metering], stored.header.classes[metering]) for metering in Metering}
    usages = {commodity: (audit.usage_of(commodity), stored.header.usage[commodity]) for commodity in Commodity}
    return [
        f"{word.name.lower()}: {must} expected, {has} stored"
        for word, (must, has) in [*counts.items(), *usages.items()]
        if must != has
    ]


def _outcomes_wrong(audit: Audit, stored: StoredShard) -> list[str]:
    kept = {key: record.outcome.refusal for key, record in stored.records["kept_outcomes"].items()}
    return [
        f"order {key.hex()} must be answered {audit.refusal_kept(key)!r} and is answered {refusal!r}"
        for key, refusal in sorted(kept.items())
        if audit.refusal_kept(key) != refusal
    ]


def _ledger_wrong(stored: StoredShard, postings: NDArray[np.void]) -> list[str]:
    """Σ postings of an account less what its meters have not yet posted is its balance."""
    names = {record.row: name for name, record in stored.records["account_records"].items()}
    ledger = dict.fromkeys(names.values(), 0)
    for row in postings:
        ledger[names[int(row["account"])]] += _gained(row) * PICOS_PER_MICRO
    for meter, terms in zip(stored.rows["meters"], stored.rows["meter_terms"], strict=True):
        unposted = int(meter["day_cost"]) * PICOS_PER_MICRO + int(meter["day_picos"])
        unposted -= int(meter["day_free"]) * PICOS_PER_MICRO + int(meter["day_free_picos"])
        ledger[names[int(terms["account"])]] -= unposted
    balances = _balances(stored)
    return [
        f"account {name} holds {balances[name]} picos, its ledger {picos}"
        for name, picos in ledger.items()
        if picos != balances[name]
    ]


def _gained(row: np.void) -> int:
    """Micros that a posting adds to its customer's account."""
    assert Ledger.CUSTOMER in {int(row["debit"]), int(row["credit"])}
    return int(row["amount"]) if int(row["credit"]) == Ledger.CUSTOMER else -int(row["amount"])
