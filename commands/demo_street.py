"""The demo's street: a site file for two buildings of simulated meters, first payments, and tenants who pay when cut off."""

import json
import random
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable

from ulid import ULID

from domain.facts import Fact, RechargeOrdered
from domain.units import money_text

BUILDINGS = {"A": "阳光公寓 A", "B": "阳光公寓 B"}
ROOMS_A_FLOOR = 8
WATER_EVERY = 4
"""Every fourth room has a water meter too."""
ELECTRICITY_PROFILES = (
    "acrel-ddsy1352",
    "acrel-ddsy1352",
    "acrel-dtsy1352",
    "dds238-2-zn-sr",
    "acrel-ddsy1352",
    "sfere-prepaid",
)
FIRST_PAYMENTS = (60_000, 200_000, 500_000, 1_000_000, 2_000_000, 5_000_000, 12_000_000, 30_000_000)
"""Micros: some tenants have paid little, so that the demo has something to show."""

_ACCOUNT = """\
[[account]]
id = "{account}"
building = "{building}"
floor = "{floor}"
room = "{room}"
low = "1.00"
pretrip = "0.30"
reconnect = "0.50"
hysteresis = "0.20"
repeat_minutes = 60
repeat_max = 2

"""
_BUS = """\
[[bus]]
name = "{name}"
kind = "{kind}"
host = "127.0.0.1"
port = {port}
timeout_ms = 400
poll_seconds = 0.5
gap_ms = 0

"""
_METER = """\
  [[bus.meter]]
  number = "{number:012d}"
  unit = {unit}
  profile = "{profile}"
  account = "{account}"
  tariff = "{tariff}"
  offline_minutes = {offline}

"""


def rooms_of(count: int) -> list[tuple[str, str, str, str]]:
    """(account, building, floor, room) of each room, half of them in each building."""
    rooms = []
    for index in range(count):
        letter = "A" if index < (count + 1) // 2 else "B"
        place = index if letter == "A" else index - (count + 1) // 2
        floor, door = place // ROOMS_A_FLOOR + 1, place % ROOMS_A_FLOOR + 1
        rooms.append((f"{letter}-{floor}{door:02d}", BUILDINGS[letter], f"{floor}", f"{floor}{door:02d}"))
    return rooms


def site_text(count: int, ports: list[int], offline_minutes: int) -> str:
    """The site file: one bus of electricity meters per building, one of water meters. `offline_minutes`: of event time."""
    rooms = rooms_of(count)
    parts = [
        '# Written by `meterline demo`: simulated meters on this machine.\n[site]\nname = "阳光公寓"\nzone = "Asia/Shanghai"\ncurrency = "CNY"\n\n'
    ]
    parts += [f'[[tariff]]\nfile = "{name}"\n\n' for name in ("demo-electricity", "demo-water")]
    parts += [
        _ACCOUNT.format(account=account, building=building, floor=floor, room=room)
        for account, building, floor, room in rooms
    ]
    buses = [("building-a", "tcp", "A"), ("building-b", "rtu-over-tcp", "B")]
    for (name, kind, letter), port in zip(buses, ports, strict=False):
        parts.append(_BUS.format(name=name, kind=kind, port=port))
        parts += [
            _METER.format(
                number=1001 + index, unit=unit, account=room[0], tariff="demo-electricity",
                profile=ELECTRICITY_PROFILES[index % len(ELECTRICITY_PROFILES)], offline=offline_minutes,
            )
            for unit, (index, room) in enumerate(((i, room) for i, room in enumerate(rooms) if room[0][0] == letter), start=1)
        ]  # fmt: skip
    parts.append(_BUS.format(name="water", kind="tcp", port=ports[2]))
    parts += [
        _METER.format(
            number=5001 + index,
            unit=index // WATER_EVERY + 1,
            account=room[0],
            tariff="demo-water",
            profile="xintai-water",
            offline=offline_minutes,
        )
        for index, room in enumerate(rooms)
        if index % WATER_EVERY == 0
    ]
    return "".join(parts)


def first_payments(count: int, at: int) -> list[tuple[str, Fact]]:
    """What each tenant has paid when the demo begins."""
    facts: list[tuple[str, Fact]] = []
    for index, (account, *_) in enumerate(rooms_of(count)):
        amount = FIRST_PAYMENTS[index % len(FIRST_PAYMENTS)]
        order = str(ULID.from_timestamp(at / 1000))
        facts.append(
            (
                account,
                RechargeOrdered(at=at, id=order, account=account, amount_micros=amount, currency="CNY", channel="cash"),
            )
        )
    return facts


class Tenants:
    """Tenants whose supply was cut: three in four pay by the API after a while."""

    def __init__(self, port: int, token: str, now_ms: Callable[[], int], seed: int) -> None:
        self._url, self._token, self._now_ms = f"http://127.0.0.1:{port}", token, now_ms
        self._chance = random.Random(seed)  # noqa: S311 - who pays is a game, not a secret
        self._cut: dict[str, float] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tenants", daemon=True)
        self.paid = 0

    def start(self) -> None:
        """Begin to watch and pay."""
        self._thread.start()

    def stop(self) -> None:
        """Pay no more."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def hear(self, cut: set[str]) -> None:
        """Who is cut off now. Each decides once, for the time that this lasts."""
        with self._lock:
            self._cut = {account: due for account, due in self._cut.items() if account in cut}
            for account in sorted(cut - self._cut.keys()):
                pays = self._chance.random() < 0.75
                self._cut[account] = time.monotonic() + self._chance.uniform(2, 6) if pays else float("inf")

    def _run(self) -> None:
        while not self._stop.wait(0.2):
            with self._lock:
                due = [account for account, at in self._cut.items() if at <= time.monotonic()]
                self._cut.update(dict.fromkeys(due, float("inf")))
            for account in due:
                self._pay(account, self._chance.randint(2, 10) * 500_000)

    def _pay(self, account: str, amount_micros: int) -> None:
        order = str(ULID.from_timestamp(self._now_ms() / 1000))
        body = {"id": order, "amount": money_text(amount_micros), "currency": "CNY", "channel": "app", "note": ""}
        request = urllib.request.Request(  # noqa: S310 - our own API on loopback
            f"{self._url}/accounts/{account}/recharges",
            json.dumps(body).encode(),
            {"Content-Type": "application/json", "Authorization": f"Bearer {self._token}"},
        )
        for _ in range(3):  # The id makes asking again safe.
            try:
                urllib.request.urlopen(request, timeout=5).close()  # noqa: S310 - our own API on loopback
            except (urllib.error.URLError, OSError):
                self._stop.wait(0.5)
            else:
                self.paid += 1
                return
