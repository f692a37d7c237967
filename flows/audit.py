"""Audit: what the accounts must hold, worked out a second time from the same facts, slowly, to be held against the machine.

Plain dictionaries and Python's unbounded integers, one fact after the other. It shares no code with the machine it checks:
rules are written here again from the design, and prices come from `tariffs.rating`, which reads the calendar itself, minute
by minute. It follows meters, money and the answers to orders; alarms and commands move no money and are not followed.
"""

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from fractions import Fraction
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
    ChargeItemEnded,
    ChargeItemSet,
    ControlOrdered,
    Fact,
    MeterInstalled,
    MeterRemoved,
    MeterReplaced,
    MeterWatchSet,
    ReadingBlock,
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
from domain.words import QUARANTINED, Commodity, Ledger, Metering, Period, Refusal, Settlement, Supply
from tariffs.levels import thresholds
from tariffs.loader import is_self_contained, load_tariff
from tariffs.prepaid import obstacles
from tariffs.rating import Counter as TierCounter
from tariffs.rating import cost_of
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
        self.priced: dict[int, int] = {}
        self.classes: Counter[Metering] = Counter()
        self.outcomes: dict[str, str] = {}
        self.answers: list[tuple[str, str]] = []
        self._now = 0
        self._pruned_day = 0
        self._accounts: dict[str, AccountOpened] = {}
        self._warned: dict[str, AlarmTerms] = {}
        self._prepared: set[str] = set()
        self._closed: set[str] = set()
        self._meters: dict[int, _Meter] = {}
        self._removed: dict[int, MeterInstalled] = {}
        self._usage: Counter[Commodity] = Counter()
        self._tariffs: dict[str, Tariff] = {}
        self._sites: dict[str, str] = {}
        self._counters: dict[tuple[str, Commodity, tuple[int, ...]], TierCounter] = {}
        self._kept: dict[bytes, tuple[bytes, str]] = {}
        self._recharges: dict[bytes, RechargeOrdered] = {}
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
        if meter is None:
            return Metering.UNKNOWN_METER
        metering = self._class_of(meter, time, register)
        if metering in {Metering.NORMAL, Metering.ROLLOVER}:
            self._charge(meter, time, register)
        if metering == Metering.LATE and register > meter.register:
            meter.time = time  # The clock of the believed reading was ahead: its register stands, its time does not.
        if metering == Metering.JUMP and meter.suspect is None:
            meter.suspect = register
        if metering in {Metering.FIRST, Metering.NORMAL, Metering.ROLLOVER, Metering.VACANT}:
            meter.time, meter.register, meter.suspect = time, register, None
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
        installed = meter.installed
        assert meter.time is not None
        usage = _advance(meter, register) * installed.ratio
        if usage:
            counter = self._counters[installed.account, installed.commodity, meter.counter]
            self.balances[installed.account] -= cost_of(meter.plan, meter.time, time, usage, counter).cost_picos
        self.priced[installed.meter] += usage
        self._usage[installed.commodity] += usage

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
            ChargeItemSet: self._set_item,
            ChargeItemEnded: self._end_item,
            ControlOrdered: self._control,
            MeterWatchSet: self._watch,
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
        if not _are_terms_valid(fact.alarms):
            return Refusal.TERMS_INVALID
        self._accounts[fact.account] = fact
        self._warned[fact.account] = fact.alarms
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
        return None

    def _update(self, fact: AccountUpdated) -> Refusal | None:
        if fact.account not in self._accounts:
            return Refusal.UNKNOWN_ACCOUNT
        if fact.alarms and not _are_terms_valid(fact.alarms):
            return Refusal.TERMS_INVALID
        self._warned[fact.account] = fact.alarms or self._warned[fact.account]
        return None

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
            self.rounded += self.balances[fact.account] % PICOS_PER_MICRO
            self.balances[fact.account] = 0
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
        if fact.account in self._closed:
            return Refusal.ACCOUNT_CLOSED
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
        """Every fee that is due, its periods one after the other."""
        for name in sorted(self._items):
            while name in self._items and _begin_of(self._items[name][1], self._items[name][0].zone) <= self._now:
                item, day = self._items[name]
                self.balances[item.account] -= _fee(item, day)
                if item.period == Period.ONCE:
                    del self._items[name]
                    continue
                self._items[name] = item, _next_period(item.period, day)
                self._forget_ended(name)

    def _control(self, fact: ControlOrdered) -> Refusal | None:
        meter = self._meters.get(fact.meter)
        if meter is None:
            return Refusal.UNKNOWN_METER
        if not meter.installed.switchable:
            return Refusal.METER_HAS_NO_SWITCH
        over = fact.wanted != Supply.UNKNOWN and fact.until <= max(self._now, fact.at)
        return Refusal.ALREADY_EXPIRED if over else None

    def _watch(self, fact: MeterWatchSet) -> Refusal | None:
        if fact.meter not in self._meters:
            return Refusal.UNKNOWN_METER
        return None if _is_watch_valid(fact.terms) else Refusal.TERMS_INVALID

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


def _is_item_valid(fact: ChargeItemSet, now: int) -> bool:
    try:
        zone(fact.zone)
    except ValueError:
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
    bounded = (abs(terms.low), abs(terms.arrears), abs(terms.reconnect), terms.hysteresis, terms.max_balance)
    return (
        terms.low >= terms.pretrip >= terms.arrears <= terms.reconnect
        and terms.hysteresis >= 0
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
