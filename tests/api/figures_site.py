"""A household's month for the suites of figures: two rooms on two sites, read every half hour through the real machine, and figures added by hand.

Whatever is expected of it is added here from what was sent, in fractions, and by nothing of ours.
"""

import contextlib
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import numpy as np
from api_site import TOKEN, together
from fastapi import FastAPI
from log_samples import order_text

from api.app import create_app
from api.settings import ApiSettings
from connectors.archive.files import Archive
from connectors.metrics import Measures
from connectors.redis.store import Store
from connectors.redis.streams import Streams
from domain.facts import (
    AccountOpened,
    AdjustmentOrdered,
    AlarmTerms,
    AllowanceSet,
    ChargeItemSet,
    Fact,
    MeterInstalled,
    Place,
    ReadingBlock,
    ReadingCorrected,
    RechargeOrdered,
    RefundOrdered,
    ReversalOrdered,
    SiteSet,
    TariffPublished,
    Ticked,
)
from domain.ids import shard_of
from domain.metrics import Process
from domain.words import AllowanceKind, Commodity, ItemKind, Period
from flows.archive import Keeps, Reads, Terms, formed

ZONE = ZoneInfo("Asia/Shanghai")
BEGIN = datetime(2026, 1, 1, tzinfo=ZONE)
HALF_HOUR = timedelta(minutes=30)
DAYS = 33
END = BEGIN + timedelta(days=DAYS, hours=10)
"""The last reading: ten o'clock on the third of February."""
NOW = END + timedelta(minutes=20)
ROOM, SHOP = "A-101", "B-1"
LIGHT, TAP, TILL = 202_600_000_101, 202_600_000_102, 202_600_000_201
PRICES = {"peak": Fraction("0.61703333"), "valley": Fraction("0.3070"), "water": Fraction("4.10")}
AT_ONCE = Terms(every_seconds=0.0, kept_seconds=-1.0, file_bytes=3_000)
DAY = 86_400_000

TARIFFS = {
    "light": """
tariff = "light"
title = { zh = "峰谷", en = "peak and valley" }
commodity = "electricity"
currency = "CNY"
zone = "Asia/Shanghai"
source = "made for tests"

[[version]]
from = 2020-01-01
prices = { peak = "0.61703333", valley = "0.3070" }
[version.days]
all = [["00:00", "valley"], ["08:00", "peak"], ["22:00", "valley"]]
[version.week]
"mon-sun" = "all"
""",
    "water": """
tariff = "water"
title = { zh = "水", en = "water" }
commodity = "water"
currency = "CNY"
zone = "Asia/Shanghai"
source = "made for tests"

[[version]]
from = 2020-01-01
price = "4.10"
""",
}


def ms(at: datetime) -> int:
    """Ms UTC."""
    return int(at.timestamp() * 1000)


def at(day: int, hour: int = 0, month: int = 1) -> datetime:
    """A local time of 2026."""
    return datetime(2026, month, day, hour, tzinfo=ZONE)


METERS = {
    LIGHT: (ROOM, Commodity.ELECTRICITY, 900),
    TAP: (ROOM, Commodity.WATER, 120),
    TILL: (SHOP, Commodity.ELECTRICITY, 2_000),
}
"""Whose it is, what it measures, and more Wh or litres than it ever counts in half an hour."""
_chance = np.random.default_rng(20)
HALF_HOURS = [BEGIN + step * HALF_HOUR for step in range(int((END - BEGIN) / HALF_HOUR))]
COUNTED = {meter: _chance.integers(0, most, len(HALF_HOURS)).tolist() for meter, (_, _, most) in METERS.items()}
"""Wh or litres of each half hour."""
CORRECTED = -1_000
"""Wh of LIGHT that are given back, of four hours of the night to the 18th."""


def ordered(month: int, day: int, number: int) -> dict[str, object]:
    """Time and id of an order."""
    when = ms(at(day, 10, month))
    return {"at": when, "id": order_text(when, number)}


def money(kind: type, amount: int, *when: int, account: str = ROOM, **more: object) -> tuple[str, Fact]:
    """An order of money, in micros."""
    return account, kind(account=account, amount_micros=amount, currency="CNY", **ordered(*when), **more)


ORDERS = [
    money(RechargeOrdered, 200_000_000, 1, 2, 1, channel="wechat", operator="li"),
    money(RechargeOrdered, 500_000_000, 1, 2, 2, account=SHOP, channel="bank"),
    money(RechargeOrdered, 50_000_000, 1, 5, 3, channel="counter", operator="wang", note="=1+1"),
    money(RefundOrdered, 10_000_000, 1, 8, 4, channel="counter", operator="wang"),
    money(RechargeOrdered, 30_000_000, 1, 9, 5, channel="alipay"),
    (
        ROOM,
        ReversalOrdered(
            account=ROOM, order=order_text(ms(at(9, 10)), 5), note="bounced", operator="li", **ordered(1, 10, 6)
        ),
    ),
    money(AdjustmentOrdered, -1_500_000, 1, 12, 7, note="broken key", operator="li"),
    money(AdjustmentOrdered, 2_000_001, 1, 13, 8, note="a gift", operator="li"),
    money(RechargeOrdered, 40_000_000, 2, 1, 9, channel="kiosk"),
]
FEE, RENT = 20_000_000, 100_000_000


def facts() -> list[tuple[datetime, str, Fact]]:
    """Everything that happens, by time: (when, whose shard; "": every one, what)."""
    begin = ms(BEGIN)
    found: list[tuple[datetime, str, Fact]] = []
    for number, (tariff, document) in enumerate(TARIFFS.items()):
        published = TariffPublished(at=begin, id=order_text(begin, 900 + number), tariff=tariff, document=document)
        found.append((BEGIN, "", published))
    for number, (account, site) in enumerate({ROOM: "Garden", SHOP: "Mall"}.items()):
        titled = {"title_zh": site, "title_en": site, "zone": "Asia/Shanghai", "currency": "CNY"}
        found.append((BEGIN, "", SiteSet(at=begin, id=order_text(begin, 910 + number), site=site, **titled)))
        place = Place(site=site, building="1", floor="1", room=account)
        opened = {"currency": "CNY", "name": "王", "place": place, "alarms": AlarmTerms()}
        found.append(
            (BEGIN, account, AccountOpened(at=begin, id=order_text(begin, 920 + number), account=account, **opened))
        )
    for number, (meter, (account, commodity, _)) in enumerate(METERS.items()):
        installed = MeterInstalled(
            at=begin, id=order_text(begin, 930 + number), meter=meter, account=account, commodity=commodity, modulus=10**9,
            tariff="light" if commodity == Commodity.ELECTRICITY else "water", rated_per_hour=15_000, opening_register=0,
        )  # fmt: skip
        found.append((BEGIN, account, installed))
    free = AllowanceSet(
        at=begin, id=order_text(begin, 940), account=SHOP, kind=AllowanceKind.MONEY, amount=5_000_000, from_day=0
    )
    found.append((BEGIN, SHOP, free))
    epoch = (BEGIN.date() - datetime(1970, 1, 1, tzinfo=UTC).date()).days
    for item, amount, day, period in (("key", FEE, 15, Period.ONCE), ("rent", RENT, 31, Period.MONTH)):
        fee = ChargeItemSet(
            at=begin, id=order_text(begin, 950 + day), account=ROOM, item=item, kind=ItemKind.PROPERTY if item == "key" else ItemKind.RENT,
            amount_micros=amount, period=period, starts=epoch + day, zone="Asia/Shanghai",
        )  # fmt: skip
        found.append((BEGIN, ROOM, fee))
    for account, order in ORDERS:
        found.append((datetime.fromtimestamp(order.at / 1000, ZONE), account, order))
    night = {"from_ms": ms(at(18)), "until_ms": ms(at(18, 4)), "usage_delta": CORRECTED}
    found.append(
        (at(20, 10), ROOM, ReadingCorrected(meter=LIGHT, **night, note="misread", operator="li", **ordered(1, 20, 10)))
    )
    return sorted([*found, *_readings()], key=lambda each: each[0])


def _readings() -> list[tuple[datetime, str, Fact]]:
    """A tick, and then a block for each account and six hours: gateways that tell late, so that hours and days close before all is known."""
    found: list[tuple[datetime, str, Fact]] = []
    times = np.array([ms(each + HALF_HOUR) for each in HALF_HOURS], np.int64)
    registers = {meter: np.cumsum(counted) for meter, counted in COUNTED.items()}
    for first in range(0, len(times), 12):
        part = slice(first, min(first + 12, len(times)))
        when = HALF_HOURS[part.stop - 1] + HALF_HOUR
        found.append((when, "", Ticked(at=ms(when))))
        for account in (ROOM, SHOP):
            mine = [meter for meter, (owner, _, _) in METERS.items() if owner == account]
            columns = [
                np.repeat(mine, part.stop - first),
                np.tile(times[part], len(mine)),
                np.concatenate([registers[each][part] for each in mine]),
            ]
            order = np.argsort(columns[1], kind="stable")
            found.append((when, account, ReadingBlock(*(each[order].astype(np.int64) for each in columns))))
    return found


def append(store: Store, given: list[tuple[datetime, str, Fact]]) -> None:
    """Append to the shards that they are of."""
    for _, account, fact in given:
        for shard in [shard_of(account, store.shards)] if account else range(store.shards):
            store.append(shard, fact)


def archive_up_to_now(url: str, archive: Archive, terms: Terms = AT_ONCE) -> None:
    """Archive all that is in the streams, and trim them."""
    opens, measures = (lambda: Streams.open(url)), Measures(Process.ARCHIVE)
    reads, keeps = Reads(opens, archive, terms), Keeps(opens, archive, terms, measures)
    for part in reads.list_parts():
        with (
            contextlib.closing(reads.build_part("read", part, None)) as reader,
            contextlib.closing(keeps.build_part("keep", part, None)) as keeper,
        ):
            while spans := reader.next_batch():
                keeper.write_batch([formed(span) for _, span in spans])


@dataclass(frozen=True, slots=True, eq=False)
class Household:
    """A store after the month, its server's URL, and where its archive is, if it has one."""

    store: Store
    url: str
    place: Path | None

    @property
    def app(self) -> FastAPI:
        """The app over store and archive, at a time after the last reading."""
        settings = ApiSettings(
            redis_url=self.url, token=TOKEN, clock=lambda: ms(NOW), wait_seconds=20, archive=str(self.place or "")
        )
        return create_app(settings)

    def ask(self, path: str, **query: str) -> Any:
        """What one question is answered."""
        answer = self.answer(path, **query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def answer(self, path: str, token: str = TOKEN, **query: str) -> httpx.Response:
        """The answer to one question. `from_` is `from`."""
        asked = {name.rstrip("_"): value for name, value in query.items()}
        headers = {"Authorization": f"Bearer {token}"}
        return together(self.app, lambda client: client.get(path, params=asked, headers=headers))


def band_at(meter: int, when: datetime) -> str:
    """The band of a time, by the tariff's own words."""
    if METERS[meter][1] == Commodity.WATER:
        return "flat"
    return "peak" if 8 <= when.hour < 22 else "valley"


def price_at(meter: int, when: datetime) -> Fraction:
    """Of a kWh or m³."""
    return PRICES["water" if METERS[meter][1] == Commodity.WATER else band_at(meter, when)]


def added(meter: int, form: str) -> dict[str, dict[str, tuple[int, Fraction]]]:
    """Usage and cost by period (a local time in a form of `strftime`) and band, added by hand."""
    found: dict[str, dict[str, tuple[int, Fraction]]] = defaultdict(dict)
    pieces = list(zip(HALF_HOURS, COUNTED[meter], strict=True))
    if meter == LIGHT:
        pieces += [(at(18, hour), CORRECTED // 4) for hour in range(4)]
    for when, usage in pieces:
        band, cost = band_at(meter, when), usage * price_at(meter, when) / 1000
        before = found[when.strftime(form)].get(band, (0, Fraction(0)))
        found[when.strftime(form)][band] = before[0] + usage, before[1] + cost
    return found
