"""Histories: what happens in a small street, as facts, and the means to compare two machines that lived through it.

A history is made from a seed, one happening after the other, so a shorter history of the same seed is the beginning of the
longer one: that is how a failing example shrinks.
"""

import json
import random
import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
from hypothesis import strategies as st

from connectors.redis.commit import commit_of
from connectors.redis.formats import pack
from domain.effects import POSTING, Effects
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
    PurchasesAccepted,
    PurchasesCounted,
    QuarantineDecided,
    ReadingBlock,
    ReadingCorrected,
    ReadingRefused,
    RechargeOrdered,
    RefundOrdered,
    ReversalOrdered,
    ScheduledSupply,
    SiteSet,
    StepRange,
    SubMetersCounted,
    TariffAssigned,
    TariffPublished,
    Ticked,
    WatchTerms,
    Window,
)
from domain.ids import LOG_START, EntryId
from domain.state import PAGES, RECORDS, ROWS, Changes, ShardHeader, StoredShard, rows_of
from domain.units import DAY_MS, HOUR_MS, MINUTE_MS
from domain.words import (
    AllowanceKind,
    Commodity,
    Decision,
    ItemKind,
    Metering,
    Period,
    Settlement,
    Stage,
    Status,
    Supply,
)
from flows.machine import fold
from flows.state import ShardState

Entries = list[tuple[EntryId, Fact]]

PLACES = (
    ("Asia/Shanghai", 1_764_979_200_000),
    ("Asia/Kolkata", 1_764_979_200_000),  # half an hour off
    ("Europe/London", 1_743_285_600_000),  # three hours before the day of 23 hours
    ("America/New_York", 1_762_045_200_000),  # … of 25 hours
    ("Australia/Lord_Howe", 1_743_850_800_000),  # clocks go back by half an hour
)
YUAN = 1_000_000


def order_text(at: int, number: int) -> str:
    """A UUIDv7 made at `at` (ms UTC), the same for the same number."""
    value = (at & (2**48 - 1)) << 80 | 7 << 76 | 2 << 62 | (number & (2**62 - 1))
    return str(uuid.UUID(int=value))


def flat(
    tariff: str, zone: str, *versions: tuple[str, str], commodity: str = "electricity", currency: str = "CNY"
) -> str:
    """A tariff of one price, as a document; `versions` are (from, price)."""
    parts = [f'[[version]]\nfrom = {start}\nprice = "{price}"\n' for start, price in versions]
    return _head(tariff, zone, commodity, currency) + "\n".join(parts)


def stepped(
    tariff: str, zone: str, *versions: tuple[str, str, str], commodity: str = "electricity", by_meter: bool = False
) -> str:
    """A tariff of tiers: `versions` are (from, the body of the version, the body of its tiers); `by_meter` as in `time_of_use`."""
    parts = [f"[[version]]\nfrom = {start}\n{body}\n[version.tiers]\n{tiers}\n" for start, body, tiers in versions]
    return _head(tariff, zone, commodity, "CNY", BY_METER if by_meter else "") + "\n".join(parts)


def time_of_use(
    tariff: str,
    zone: str,
    *versions: tuple[str, dict[str, str], dict[str, list[tuple[str, str]]]],
    currency: str = "CNY",
    by_meter: bool = False,
) -> str:
    """A tariff of bands: `versions` are (from, prices, day profiles); the last profile is that of weekends.

    `by_meter`: the meter's own registers say what is used in peak, flat and valley.
    """
    asks = BY_METER if by_meter else ""
    return _head(tariff, zone, "electricity", currency, asks) + "\n".join(_version(*version) for version in versions)


BY_METER = 'usage_by = "meter_bands"\nmeter_bands = { sharp = "peak", deep_valley = "valley" }\n'


def _head(tariff: str, zone: str, commodity: str, currency: str, asks: str = "") -> str:
    return (
        f'tariff = "{tariff}"\ntitle = {{ zh = "测试", en = "Test" }}\ncommodity = "{commodity}"\n'
        f'currency = "{currency}"\nzone = "{zone}"\nsource = "made up"\n{asks}\n'
    )


def _version(start: str, prices: dict[str, str], days: dict[str, list[tuple[str, str]]]) -> str:
    names = list(days)
    slots = {name: ", ".join(f'["{time}", "{band}"]' for time, band in day) for name, day in days.items()}
    return "\n".join(
        [
            f"[[version]]\nfrom = {start}",
            "prices = { " + ", ".join(f'{band} = "{price}"' for band, price in prices.items()) + " }",
            "[version.days]",
            *(f"{name} = [{text}]" for name, text in slots.items()),
            f'[version.week]\n"mon-fri" = "{names[0]}"\n"sat,sun" = "{names[-1]}"\n',
        ]
    )


def readings(
    *rows: tuple[int, int, int],
    power: Sequence[int] | None = None,
    status: Sequence[int] | None = None,
    bands: Sequence[Sequence[int]] | None = None,
) -> ReadingBlock:
    """A block of (meter, time, register)."""
    table = np.array(rows, np.int64).reshape(-1, 3)
    columns = [None if column is None else np.array(column, np.int64) for column in (power, status)]
    columns.append(None if bands is None else np.array(bands, np.int64).reshape(-1, 5))
    return ReadingBlock(table[:, 0].copy(), table[:, 1].copy(), table[:, 2].copy(), *columns)


def numbered(facts: Iterable[Fact]) -> Entries:
    """Facts as the entries of a log."""
    return [(entry_of(number), fact) for number, fact in enumerate(facts)]


def entry_of(number: int) -> EntryId:
    """The id of a log's entry, counted from 0: three have one millisecond."""
    return 1 + number // 3, number % 3


class Street:
    """Makes one happening after the other. `now` is true time; the machine's clock follows it by ticks.

    `pauses`: minutes that may pass until something happens. `is_live`: the entries of its log have the times at which they were appended.
    """

    pauses = (1, 7, 15, 15, 40, 60, 150)
    is_live = False

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.zone, start = self.random.choice(PLACES)
        self.start = self.now = start + self.random.randrange(4 * 60) * MINUTE_MS
        self.orders: list[Any] = []
        self.number = 0
        self.tariffs = self.random.choice([["one"], ["two"], ["one", "two"], ["one", "two", "water"]])
        self.accounts = [f"room-{n}" for n in range(self.random.randint(1, 3))]
        self.meters: dict[int, MeterInstalled] = {}
        self.registers: dict[int, int] = {}
        self.last: dict[int, tuple[int, int, int]] = {}
        self.bands: dict[int, list[int]] = {}
        self.doubted: list[tuple[int, str]] = []
        self.counted: dict[int, tuple[tuple[int, ...], list[int]]] = {}
        self.purchases: dict[int, int] = {}

    def _id(self) -> str:
        self.number += 1
        return order_text(self.now, self.number)

    def _instant(self) -> str:
        """A date of these days, or a minute of these hours with its offset."""
        at = np.datetime64(
            self.start + self.random.randrange(-3, 12) * HOUR_MS + self.random.randrange(60) * MINUTE_MS, "ms"
        )
        return self.random.choice([f"{at.astype('datetime64[D]')}", f"{at.astype('datetime64[s]')}Z"])

    def _price(self) -> str:
        choice = self.random
        return choice.choice(
            ["0.5", "0.99500875", "1.234567891", "-0.1", f"{choice.randrange(40)}.{choice.randrange(10**9):09d}"]
        )

    def _document(self, tariff: str) -> str:
        count = self.random.randint(1, 3)
        starts = ["2024-01-01", *sorted({self._instant() for _ in range(count - 1)})]
        commodity = "water" if tariff == "water" else "electricity"
        by_meter = tariff == "two" and self.random.random() < 0.6
        if self.random.random() < 0.6:
            steps = [(start, *self._steps(by_bands=by_meter)) for start in starts]
            return stepped(tariff, self.zone, *steps, commodity=commodity, by_meter=by_meter)
        if tariff == "water":
            return flat(tariff, self.zone, *((start, self._price()) for start in starts), commodity="water")
        if tariff == "one":
            return flat(tariff, self.zone, *((start, self._price()) for start in starts))
        versions = [(start, self._prices(), self._days()) for start in starts]
        return time_of_use(tariff, self.zone, *versions, by_meter=by_meter)

    def _steps(self, *, by_bands: bool) -> tuple[str, str]:
        """A version of tiers, plain or by time of use, and how its usage is counted."""
        choice = self.random
        count = choice.randint(1, 3)
        limits = sorted(choice.sample([1, 40, 500, 1_333, 2_000, 20_000, 90_000], count))
        if not by_bands and choice.random() < 0.5:
            prices = [self._price() for _ in range(count + 1)]
            body = f"price = {json.dumps(prices)}"
        else:
            bands = {band: [self._price() for _ in range(count + 1)] for band in ("peak", "flat", "valley")}
            tables = ", ".join(f"{band} = {json.dumps(prices)}" for band, prices in bands.items())
            days = {name: json.dumps(self._day()) for name in ("workday", "weekend")}
            body = f"prices = {{ {tables} }}\ndays = {{ workday = {days['workday']}, weekend = {days['weekend']} }}\n"
            body += 'week = { "mon-fri" = "workday", "sat,sun" = "weekend" }'
        texts = json.dumps([f"{limit // 1000}.{limit % 1000:03d}" for limit in limits])
        cycle = choice.choice(["day", "day", "month", "year", "two_months"])
        day = choice.choice(["06", "09"])
        begins = {"year": f'begin = "12-{day}"', "two_months": f'begin = "02-{day}"', "month": f'begin = "{day}"'}
        tiers = [
            f'cycle = "{cycle}"',
            begins.get(cycle, ""),
            f"limits = {texts}",
            f'mode = "{choice.choice(["graduated", "graduated", "volume"])}"',
            f'counter = "{choice.choice(["carry", "carry", "restart"])}"',
            f'per = "{choice.choice(["account", "account", "person", "kW"])}"',
        ]
        if choice.random() < 0.2:
            tiers.append("days = { per = 30 }")
        return body, "\n".join(tiers)

    def _assigned(self) -> TariffAssigned:
        number, tariff = self.random.choice([*self.meters, 99]), self.random.choice([*self.tariffs, "none"])
        starts_at = self.now + self.random.choice([-DAY_MS, -90_500, 0, HOUR_MS // 2 + 1, 20 * HOUR_MS])
        return self._kept(
            TariffAssigned(
                at=self.now,
                id=self._id(),
                meter=number,
                tariff=tariff,
                starts_at=starts_at,
                persons=self.random.choice([0, 1, 1, 3]),
                capacity_w=self.random.choice([0, 4_500]),
                restart=self.random.random() < 0.3,
            )
        )

    def _prices(self) -> dict[str, str]:
        return {band: self._price() for band in ("peak", "flat", "valley")}

    def _days(self) -> dict[str, list[tuple[str, str]]]:
        return {name: self._day() for name in ("workday", "weekend")}

    def _day(self) -> list[tuple[str, str]]:
        minutes = sorted(self.random.sample(range(1, 1440), 4) + self.random.sample(range(60, 1440, 60), 4))
        bands = [self.random.choice(["peak", "flat", "valley"]) for _ in range(9)]
        return [
            (f"{at // 60:02d}:{at % 60:02d}", band)
            for at, band in zip(dict.fromkeys([0, *minutes]), bands, strict=False)
        ]

    def _site(self) -> Fact:
        zone, currency = (
            self.random.choice([self.zone, "Mars/Olympus"]),
            self.random.choice(["CNY", "CNY", "EUR", "yuan"]),
        )
        site = self.random.choice(["estate", "mall", ""])
        return self._kept(
            SiteSet(at=self.now, id=self._id(), site=site, title_zh="苑", title_en="", zone=zone, currency=currency)
        )

    def _policy(self) -> PolicySet:
        """Amounts for all that follow them, now and then impossible."""
        choice = self.random
        terms = AlarmTerms(
            low=choice.choice([0, 9 * YUAN, 60 * YUAN, -YUAN]), pretrip=0, overdraft=choice.choice([0, 0, YUAN, -1]),
            reconnect=choice.choice([0, 30 * YUAN]), max_balance=choice.choice([40, 500]) * YUAN,
        )  # fmt: skip
        policy = choice.choice(["standard", "standard", "standard", "shops", ""])
        return self._kept(PolicySet(at=self.now, id=self._id(), policy=policy, alarms=terms))

    def _gone(self) -> Fact:
        """A meter is taken down, replaced, or hung up again; the closing register is mostly true."""
        number = self.random.choice([*self.meters, 99])
        register = self.registers.get(number, 7) + self.random.choice([0, 0, 0, 3, 1_999, 500_000, -1])
        said: dict[str, Any] = {"at": self.now, "id": self._id(), "meter": number, "closing_register": register}
        match self.random.randrange(4):
            case 0:
                return self._kept(MeterRemoved(**said))
            case 1:
                known = self.meters.get(number, self.meters[1])
                opening = self.random.choice([None, register, 5])
                again = msgspec.structs.replace(known, at=self.now, id=self._id(), opening_register=opening)
                return self._kept(again)
        fresh = len(self.meters) + 1
        successor = self.random.choice([fresh, fresh, fresh, *self.meters])
        opening = self.random.choice([0, 17, 1_999, 20_000])
        replaced = MeterReplaced(
            **said, new_meter=successor, opening_register=opening, modulus=self.random.choice([0, 20_000]),
            rated_per_hour=60_000, ratio=self.random.choice([1, 40]), switchable=self.random.random() < 0.8,
        )  # fmt: skip
        self._succeed(replaced)
        return self._kept(replaced)

    def _succeed(self, fact: MeterReplaced) -> None:
        """Let later readings be of the new meter, whether or not it will be taken."""
        before = self.meters.get(fact.meter, self.meters[1])
        self.meters[fact.new_meter] = msgspec.structs.replace(before, meter=fact.new_meter, modulus=fact.modulus)
        self.registers[fact.new_meter] = fact.opening_register
        self.last.pop(fact.new_meter, None)

    def _tenancy(self) -> Fact:
        """Accounts opened, changed, passed on and closed, whether or not that can be."""
        account = self.random.choice([*self.accounts, *self.accounts, *self.accounts, "nobody"])
        said: dict[str, Any] = {"at": self.now, "id": self._id(), "account": account}
        settled: dict[str, Any] = {
            "settlement": self.random.choice(list(Settlement)),
            "channel": self.random.choice(["", "counter"]),
            "reason": self.random.choice(["", "moved away"]),
        }
        match self.random.randrange(6):
            case 0 | 1:
                return self._kept(AccountActivated(**said, name=self.random.choice([None, "王"])))
            case 2:
                low = self.random.choice([0, 9 * YUAN])
                terms = AlarmTerms(low=low, pretrip=0, overdraft=self.random.choice([0, YUAN]), max_balance=200 * YUAN)
                policy = self.random.choice([None, None, "", "standard", "standard", "none"])
                return self._kept(AccountUpdated(**said, alarms=self.random.choice([None, None, terms]), policy=policy))
            case 3:
                return self._kept(AccountTransferred(**said, **settled, name="李"))
        return self._kept(AccountClosed(**said, **settled, cut=self.random.random() < 0.5))

    def opening(self) -> list[Fact]:
        """Tariffs, accounts and meters, some of them twice."""
        facts: list[Fact] = [
            TariffPublished(at=self.now, id=self._id(), tariff=tariff, document=self._document(tariff))
            for tariff in self.tariffs
        ]
        terms = AlarmTerms(
            low=20 * YUAN, pretrip=5 * YUAN, arrears=0, hysteresis=YUAN // 2, reconnect=2 * YUAN, max_balance=500 * YUAN,
            repeat_ms=HOUR_MS, repeat_max=2, overdraft=self.random.choice([0, 0, 3 * YUAN]),
        )  # fmt: skip
        facts.append(PolicySet(at=self.now, id=self._id(), policy="standard", alarms=terms))
        facts += [self._opened(account, terms) for account in self.accounts]
        for number in range(1, self.random.randint(2, 5)):
            facts.append(self._installed(number))
        self.orders += facts
        return [*facts, *(self._control_terms() for _ in range(self.random.randint(0, 3)))]

    def _opened(self, account: str, terms: AlarmTerms) -> AccountOpened:
        choice = self.random
        amounts: Any = choice.choice([{"alarms": terms}, {"alarms": terms}, {"policy": "standard"}])
        return AccountOpened(
            at=self.now, id=self._id(), account=account, currency="CNY", prepared=choice.random() < 0.2, **amounts
        )

    def _installed(self, number: int) -> MeterInstalled:
        tariff = self.random.choice(self.tariffs)
        modulus = self.random.choice([0, 20_000, 1_000_000])
        self.registers[number] = self.random.randrange(modulus or 10**6)
        installed = MeterInstalled(
            at=self.now, id=self._id(), meter=number, account=self.random.choice(self.accounts), tariff=tariff,
            commodity=Commodity.WATER if tariff == "water" else Commodity.ELECTRICITY, modulus=modulus,
            rated_per_hour=60_000, ratio=self.random.choice([1, 1, 40]), switchable=self.random.random() < 0.8,
            opening_register=self.random.choice([None, self.registers[number]]),
            persons=self.random.choice([1, 1, 2, 6]), capacity_w=self.random.choice([0, 0, 12_345]),
        )  # fmt: skip
        self.meters[number] = installed
        return installed

    def kinds(self) -> list[Callable[[], Fact]]:
        """What may happen; what is named more often does so more often."""
        kinds: list[Callable[[], Fact]] = [self._block] * 9 + [self._tick] * 4 + [self._money] * 4
        kinds += [
            self._assigned,
            self._repeated,
            self._contradicted,
            self._control,
            self._report,
            self._report,
            self._refused,
            self._decided,
            self._decided,
            self._corrected,
            self._odd,
            self._tenancy,
            self._tenancy,
            self._gone,
            self._site,
            self._policy,
            self._item,
            self._watch,
            self._main_meter,
            self._counted,
            self._purchases_counted,
            self._purchases_counted,
            self._purchases_accepted,
            self._allowance,
            self._control_terms,
            self._control_terms,
            self._protection,
            self._release,
        ]
        return kinds

    def happening(self) -> Fact:
        """What happens next."""
        kinds = self.kinds()
        if self.random.random() < 0.8:
            self.now += self.random.choice(self.pauses) * MINUTE_MS + self.random.randrange(60_000)
        return self.random.choice(kinds)()

    def _block(self) -> ReadingBlock:
        rows = [self._reading() for _ in range(self.random.randint(0, 5))]
        known = self.random.random() < 0.6
        status = [self.random.choice([0, Status.SUPPLY_KNOWN, Status.SUPPLY_KNOWN | Status.SUPPLY_ON]) for _ in rows]
        power = [self.random.randrange(-200, 5_000) for _ in rows]
        bands = [self._bands(*row) for row in rows] if self.random.random() < 0.8 else None
        return readings(*rows, power=power if known else None, status=status if known else None, bands=bands)

    def _bands(self, number: int, _time: int, register: int) -> list[int]:
        """The meter's own registers: one counts what the total does, shown in Wh or in 10 Wh; now and then they are nonsense."""
        choice, own = self.random, self.bands.setdefault(number, [0] * 5)
        modulus = self.meters[number].modulus if number in self.meters else 0
        advance = register - sum(own)
        if modulus:
            advance %= modulus
        if 0 <= advance < 10_000 or not any(own):
            counting = choice.choice([0, 1, 1, 2, 3, 4])
            half = choice.choice([0, 0, advance // 2])
            own[counting] += advance - half
            own[(counting + 1) % 5] += half
        shown = [each % modulus if modulus else each for each in own]
        match choice.randrange(40):
            case 0:
                return [0] * 5
            case 1:
                shown[choice.randrange(5)] += choice.choice([1, 70, 5_000, -1, 10**15, -(10**18)])
        return [each // 10 * 10 for each in shown] if number % 2 else shown

    def _reading(self) -> tuple[int, int, int]:
        number = self.random.choice(list(self.meters))
        at = self.now + self.random.choice([0, 1_000, 20_000])
        modulus, before = self.meters[number].modulus, self.last.get(number, (number, at, self.registers[number]))
        kind = self.random.randrange(24)
        if reason := {1: "conflict", 3: "decrease", 4: "jump", 8: "decrease"}.get(kind):
            self.doubted.append((number, reason))
        match kind:
            case 0:
                return before
            case 1:
                return number, before[1], before[2] + 1
            case 2:
                return number, before[1] - self.random.choice([1, HOUR_MS, before[1]]), before[2]
            case 3:
                return number, at, 0
            case 4:
                return number, at, before[2] + self.random.choice([500_000, 2**62])
            case 5:
                return number, at + 3 * DAY_MS, before[2]
            case 6:
                return number, at, -1 if modulus == 0 else modulus
            case 7:
                return self.random.choice([0, -1, 77_777]), at, 5
            case 8:
                return number, at, max(0, before[2] - 40)
        register = self.registers[number] + self.random.choice([0, 1, 40, 333, 1_999])
        self.registers[number] = register % modulus if modulus else register
        self.last[number] = number, at, self.registers[number]
        return self.last[number]

    def _tick(self) -> Ticked:
        return Ticked(at=self.now - self.random.choice([0, 0, 0, 30 * MINUTE_MS]))

    def _money(self) -> Fact:
        kind = self.random.choice([RechargeOrdered, RechargeOrdered, RefundOrdered, AdjustmentOrdered, ReversalOrdered])
        if kind is ReversalOrdered:
            return self._reversal()
        account = self.random.choice([*self.accounts, *self.accounts, "nobody"])
        amount = self.random.choice([1, 3 * YUAN, 20 * YUAN, 20 * YUAN + 7, 100 * YUAN, 0, 10**15 + 1])
        currency = self.random.choice(["CNY"] * 7 + ["EUR"])
        more: dict[str, Any] = {"channel": self.random.choice(["", "wechat", "bank"])}
        if kind is AdjustmentOrdered:
            amount, more = (
                amount * self.random.choice([1, -1]),
                {"note": self.random.choice(["goodwill", "miscounted", " "])},
            )
        order = kind(at=self.now, id=self._id(), account=account, amount_micros=amount, currency=currency, **more)
        return self._kept(order)

    def _allowance(self) -> Fact:
        choice = self.random
        amount = choice.choice([0, 700, 2_000, YUAN, 3 * YUAN + 1])
        return self._kept(
            AllowanceSet(
                at=self.now, id=self._id(), account=choice.choice([*self.accounts, "nobody"]),
                kind=choice.choice(list(AllowanceKind)), amount=amount,
                from_day=self.now // DAY_MS + choice.choice([-40, -1, 0, 0, 1]), partial=choice.random() < 0.5,
            )
        )  # fmt: skip

    def _watch(self) -> Fact:
        choice = self.random
        terms = WatchTerms(
            day_usage=choice.choice([0, 400, -1]), month_usage=choice.choice([0, 3_000]), offline_ms=choice.choice([0, HOUR_MS]),
            stuck_ms=choice.choice([0, HOUR_MS]), stuck_w=choice.choice([0, 900]), reverse_w=choice.choice([0, 100]),
            night_usage=choice.choice([-1, 0, 333]), night_from=choice.choice([120, 1380, 240]), repeat_ms=2 * HOUR_MS,
            repeat_max=choice.choice([0, 2]),
        )  # fmt: skip
        return self._kept(
            MeterWatchSet(at=self.now, id=self._id(), meter=choice.choice([*self.meters, 99]), terms=terms)
        )

    def _main_meter(self) -> Fact:
        """One of the meters before the others, or before none, or before itself."""
        choice = self.random
        numbers = [*self.meters, 99] if choice.random() < 0.1 else [*self.meters]
        meter, *subs = choice.sample(numbers, choice.randint(1, len(numbers)))
        self.counted[meter] = tuple(sorted(subs)), [0]
        return self._kept(
            MainMeterSet(
                at=self.now, id=self._id(), meter=meter, subs=choice.choice([tuple(subs), tuple(subs), (meter,)]),
                loss_max_permille=choice.choice([0, 100, 1_001]), loss_min=choice.choice([0, 0, 500, -1]),
            )
        )  # fmt: skip

    def _counted(self) -> Fact:
        """What the second stage says of the last midnight; now and then again, or of a meter that was not heard."""
        choice = self.random
        meter = choice.choice([*self.counted, 99])
        subs, midnights = self.counted.get(meter, ((1,), [0]))
        today = datetime.fromtimestamp(self.now // 1000, ZoneInfo(self.zone)).replace(hour=0, minute=0, second=0)
        begins, ends, waits = choice.choice(midnights[-3:]), int(today.timestamp()) * 1000, choice.random() < 0.2
        midnights += [ends] * (ends > midnights[-1])
        return SubMetersCounted(
            at=self.now, meter=meter, subs=subs, begins=begins, ends=ends, used=choice.choice([0, 900, 10_000]),
            counted=choice.choice([0, 900, 9_000]), subs_now=choice.choice([subs, subs, subs, subs[1:]]),
            waits_for=subs[:1] if waits else (),
        )  # fmt: skip

    def _purchases_counted(self) -> Fact:
        """What a meter's purchase counter shows: mostly what it showed before, and now and then a purchase more."""
        number = self.random.choice([*self.meters, 99])
        count = (self.purchases.get(number, 0xFFFF) + self.random.choice([0, 0, 1, 1, -1])) % 0x10000
        self.purchases[number] = count
        return PurchasesCounted(at=self.now - self.random.choice([0, 90_000]), meter=number, count=count)

    def _purchases_accepted(self) -> Fact:
        """Of what was shown last, or of something else."""
        choice = self.random
        number = choice.choice([*self.purchases, *self.meters])
        count = self.purchases.get(number, 7) + choice.choice([0, 0, 0, 1])
        note = choice.choice(["a card of the old tenant"] * 5 + [" "])
        return self._kept(PurchasesAccepted(at=self.now, id=self._id(), meter=number, count=count, note=note))

    def _item(self) -> Fact:
        """A fee; one of before, ended, or set again from another day on; or a new one."""
        before = [order for order in self.orders if isinstance(order, ChargeItemSet)]
        if before and self.random.random() < 0.5:
            return self._kept(self._of_before(self.random.choice(before)))
        return self._kept(self._fee())

    def _of_before(self, fee: ChargeItemSet) -> Fact:
        if self.random.random() < 0.4:
            return ChargeItemEnded(at=self.now, id=self._id(), account=fee.account, item=fee.item)
        starts = fee.starts + self.random.choice([-40, -1, 0, 0, 1, 20])
        changed: dict[str, Any] = self.random.choice([{}, {"partial": not fee.partial}, {"ends": starts + 20}])
        changed |= self.random.choice([{}, {}, {"period": self.random.choice(list(Period))}])
        return msgspec.structs.replace(fee, at=self.now, id=self._id(), starts=starts, **changed)

    def _fee(self) -> ChargeItemSet:
        choice = self.random
        account, item = choice.choice([*self.accounts, *self.accounts, "nobody"]), choice.choice(["rent", "lift"])
        starts = self.now // DAY_MS + choice.choice([-400, -40, -1, 0, 1, 2])
        return ChargeItemSet(
            at=self.now, id=self._id(), account=account, item=item, kind=choice.choice(list(ItemKind)),
            amount_micros=choice.choice([YUAN, YUAN, 123_456, 0]), period=choice.choice(list(Period)), starts=starts,
            zone=choice.choice([self.zone] * 5 + ["Mars/Base"]), ends=choice.choice([-1, starts - 1, starts, starts + 20]),
            area=choice.choice([0, 0, 87_450]), partial=choice.random() < 0.5,
        )  # fmt: skip

    def _reversal(self) -> Fact:
        """Of any order that was made, most of them recharges, or of none."""
        order = self.random.choice([*self.orders, None])
        account = getattr(order, "account", "") or self.random.choice([*self.accounts, "nobody"])
        named = order.id if order else self.random.choice(["x", self._id()])
        return self._kept(ReversalOrdered(at=self.now, id=self._id(), account=account, order=named))

    def _kept(self, order: Any) -> Any:
        self.orders.append(order)
        return order

    def _repeated(self) -> Fact:
        return msgspec.structs.replace(self.random.choice(self.orders), at=self.now)

    def _contradicted(self) -> Fact:
        order = self.random.choice(self.orders)
        if isinstance(order, RechargeOrdered | RefundOrdered | AdjustmentOrdered):
            return msgspec.structs.replace(order, at=self.now, amount_micros=order.amount_micros + 1)
        return RechargeOrdered(at=self.now, id=order.id, account=self.accounts[0], amount_micros=1, currency="CNY")

    def _control(self) -> Fact:
        wanted, until = self.random.choice(list(Supply)), self.now + self.random.choice([-1, HOUR_MS, DAY_MS])
        number = self.random.choice([*self.meters, 99])
        return self._kept(ControlOrdered(at=self.now, id=self._id(), meter=number, wanted=wanted, until=until))

    def _window(self) -> dict[str, int]:
        choice = self.random
        days = choice.choice([0b1111111, 0b0011111, 0b1100000, 128, 255, choice.randrange(257)])
        minutes = [
            choice.choice([0, 480, 1320, choice.randrange(1440)]),
            choice.choice([360, 1440, choice.randrange(1441)]),
        ]
        return {"days": days, "from_minute": minutes[0], "until_minute": minutes[1]}

    def _control_terms(self) -> Fact:
        """Terms of control, now and then with a mistake."""
        choice, today = self.random, self.now // DAY_MS
        terms = ControlTerms(
            zone=choice.choice([self.zone] * 9 + ["Mars/Base"]),
            holidays=choice.choice([(), (today, today + 1), (today + 1, today)]) if choice.random() < 0.3 else (),
            no_trip=tuple(Window(**self._window()) for _ in range(choice.randrange(3))),
            schedule=tuple(
                ScheduledSupply(**self._window(), supply=choice.choice([Supply.ON, Supply.OFF]))
                for _ in range(choice.randrange(3))
            ),
            power_limit_w=choice.choice([0, 1_000, 4_000]),
            malignant_step_w=choice.choice([0, 500, 2_500]),
            tolerated=choice.choice([(), (), (StepRange(low_w=1_000, high_w=2_000),)]),
            whitelisted=choice.random() < 0.1,
            restores=choice.choice([0, 1, 3]),
            restore_wait_ms=choice.choice([MINUTE_MS, HOUR_MS]),
            button=choice.random() < 0.3,
        )
        number = choice.choice([*self.meters, 99])
        return self._kept(ControlTermsSet(at=self.now, id=self._id(), meter=number, terms=terms))

    def _protection(self) -> Fact:
        choice = self.random
        number, until = choice.choice([*self.meters, 99]), self.now + choice.choice([-1, HOUR_MS, DAY_MS])
        return self._kept(
            ProtectionOrdered(
                at=self.now,
                id=self._id(),
                meter=number,
                protected=choice.random() < 0.6,
                until=choice.choice([0, until]),
            )
        )

    def _release(self) -> Fact:
        return self._kept(LoadReleased(at=self.now, id=self._id(), meter=self.random.choice([*self.meters, 99])))

    def _report(self) -> CommandReported:
        stage = self.random.choice([Stage.SENT, Stage.ACKNOWLEDGED, Stage.VERIFIED, Stage.FAILED, Stage.EXPIRED])
        seen = self.random.choice(list(Supply)) if stage == Stage.VERIFIED else Supply.UNKNOWN
        number, epoch = self.random.choice([*self.meters, 99]), self.random.randint(1, 4)
        return CommandReported(at=self.now, meter=number, epoch=epoch, stage=stage, seen=seen)

    def _refused(self) -> ReadingRefused:
        meter, reason = self.random.choice([0, *self.meters]), self.random.choice(["no number", "too large"])
        return ReadingRefused(at=self.now, source="file", line=1, text="?", reason=reason, meter=meter, usage=5)

    def _decided(self) -> QuarantineDecided:
        """On a case that there may be: most of them jumps and falls."""
        choice = self.random
        number, reason = choice.choice([*self.meters, 77_777, 0]), choice.choice([*Metering]).name.lower()
        if self.doubted and choice.random() < 0.8:
            number, reason = self.doubted.pop()
        decision, more = choice.choice([*Decision, Decision.ACCEPT]), {}
        if decision == Decision.REBASELINE or choice.random() < 0.1:
            register = self.registers.get(number, 5) + choice.choice([0, 0, 300, 10**6])
            register = choice.choice([None, None, register, register, -1])
            more = {"register": register, "usage": choice.choice([0, 0, 1, 25_000, 25_000, 10**10])}
        return self._kept(
            QuarantineDecided(
                at=self.now, id=self._id(), meter=number, reason=reason, decision=decision,
                note=choice.choice(["seen"] * 7 + [" "]), **more,
            )
        )  # fmt: skip

    def _corrected(self) -> ReadingCorrected:
        """Of some hours before a reading, most of them charged."""
        choice, number = self.random, self.random.choice([*self.meters, *self.meters, *self.meters, 99])
        last = self.last.get(number, (number, self.now, 0))
        until = last[1] - choice.choice([0, 0, 0, 1, 30 * MINUTE_MS, 12 * HOUR_MS, -HOUR_MS])
        since = until - choice.choice([1, 10, 10, 60, 60, 300, 1_800, 60_000, 0, 6_000_000]) * MINUTE_MS
        delta = choice.choice([0, 1, 1, 40, 40, 700, 3_000, 70_000, 10**10]) * choice.choice([1, -1, -1])
        return self._kept(
            ReadingCorrected(
                at=self.now, id=self._id(), meter=number, from_ms=since, until_ms=until, usage_delta=delta,
                note=choice.choice(["misread"] * 7 + [""]), register=choice.choice([None, None, None, last[2], 10**6]),
            )
        )  # fmt: skip

    def _odd(self) -> Fact:
        """Ids that are too old, from the future or none; tariffs anew and broken; a meter that changes its terms."""
        order = RechargeOrdered(at=self.now, id="x", account=self.accounts[0], amount_micros=YUAN, currency="CNY")
        match self.random.randrange(6):
            case 0:
                return order
            case 1:
                return msgspec.structs.replace(order, id=order_text(self.now - 91 * DAY_MS, self.number))
            case 2:
                return msgspec.structs.replace(order, id=order_text(self.now + 2 * DAY_MS, self.number))
            case 3:
                installed = self.meters[1]
                return msgspec.structs.replace(installed, id=self._id(), at=self.now, ratio=self.random.choice([1, 40]))
            case 4:
                return TariffPublished(at=self.now, id=self._id(), tariff=self.tariffs[0], document="tariff = 1")
        tariff = self.random.choice(self.tariffs)
        return self._kept(TariffPublished(at=self.now, id=self._id(), tariff=tariff, document=self._document(tariff)))


def history(seed: int, length: int, kind: type[Street] = Street) -> Entries:
    """A street's opening and `length` happenings after it."""
    street = kind(seed)
    entries = numbered(street.opening())
    if street.is_live:
        entries = [((street.now, number), fact) for number, (_, fact) in enumerate(entries)]
    for _ in range(length):
        fact, number = street.happening(), len(entries)
        entries.append(((street.now, number) if street.is_live else entry_of(number), fact))
    return entries


def histories(longest: int = 60) -> st.SearchStrategy[Entries]:
    """Any history. Printed as the call that makes it."""
    return st.builds(history, st.integers(0, 2**32), st.integers(0, longest))


class Shelf:
    """A store in memory: takes what a commit would write, as bytes, and gives a shard back as a store does.

    Its records come back in no useful order, as those of a Redis hash do.
    """

    def __init__(self, shard: int = 0) -> None:
        self.shard = shard
        self.position: EntryId = LOG_START
        self.header = msgspec.msgpack.encode(ShardHeader())
        self.pages = {name: bytearray() for name in PAGES}
        self.records: dict[str, dict[Any, bytes]] = {name: {} for name in RECORDS}

    def keep(self, state: ShardState) -> None:
        """Write what has changed, and nothing else."""
        changes = state.take_changes()
        self.position, self.header = state.position, pack(changes.header)
        for name, kept in self.pages.items():
            written = changes.rows[name]
            size = written.rows.dtype.itemsize
            kept.extend(bytes(max(0, (int(written.index.max(initial=-1)) + 1) * size - len(kept))))
            for index, row in zip(written.index.tolist(), written.rows, strict=True):
                kept[index * size : (index + 1) * size] = row.tobytes()
        for name, records in changes.records.items():
            for key, record in records.items():
                if record is None:
                    self.records[name].pop(key, None)
                else:
                    self.records[name][key] = pack(record)

    def load(self) -> StoredShard:
        """The shard as it was kept."""
        rows = {name: rows_of(name, self.pages) for name in ROWS}
        records = {
            name: {
                key: msgspec.msgpack.decode(kept, type=RECORDS[name][1])
                for key, kept in sorted(self.records[name].items(), reverse=True)
            }
            for name in RECORDS
        }
        header = msgspec.msgpack.decode(self.header, type=ShardHeader)
        return StoredShard(self.shard, self.position, header, rows, records)

    def bytes(self) -> dict[str, Any]:
        """Everything kept, to be compared byte for byte."""
        rows = {name: bytes(kept) for name, kept in self.pages.items()}
        return {"position": self.position, "header": self.header, **rows, **self.records}


def lived(entries: Entries, cuts: Iterable[int] = (), *, reload: bool = False) -> tuple[Shelf, list[Effects]]:
    """Fold a history, cut before these entries, and keep what each cut ends with; `reload`: as after a crash at each cut."""
    shelf, effects = Shelf(), []
    state = ShardState.of(shelf.load())
    edges = [0, *sorted({cut for cut in cuts if 0 < cut < len(entries)}), len(entries)]
    for start, end in pairwise(edges):
        state, caused = fold(state, entries[start:end])
        effects += caused
        shelf.keep(state)
        if reload:
            state = ShardState.of(shelf.load())
    return shelf, effects


def effect_bytes(effects: Iterable[Effects]) -> list[list[Any]]:
    """What each entry's effects write to a store."""
    nothing = Changes(ShardHeader(), {}, {})
    return [commit_of(0, LOG_START, effect.entry, nothing, [effect], {}).arguments for effect in effects]


def all_postings(effects: Iterable[Effects]) -> np.ndarray:
    """The postings of all effects, in order."""
    found = [effect.postings for effect in effects if effect.postings is not None]
    return np.concatenate([np.empty(0, POSTING), *found])
