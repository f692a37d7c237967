"""A whole Meterline of real processes on loopback, each of which may be killed, with lines between them that lose replies."""

import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import httpx
from lossy_line import LossyLine
from power_cut import server_program
from ulid import ULID

from connectors.clock import EventClock
from connectors.files.site import Site, account_facts, load_site, meter_facts
from connectors.processes import Child, meterline_command
from connectors.redis.errors import StoreError
from connectors.redis.server import EmbeddedServer
from connectors.redis.store import Store
from domain.facts import AccountOpened, AlarmTerms, Fact, MeterInstalled, RechargeOrdered, TariffPublished
from domain.ids import shard_of
from domain.words import Commodity
from tariffs.loader import catalogue

ROOT = Path(__file__).parents[2]
SHARDS = 2
SPEED = 240
EVENT_START_MS = 1_751_328_000_000  # 1 July 2025, 08:00 in Shanghai.
PATIENCE_SECONDS = 300
"""Nobody waits that long but on a machine that many people share."""
TARIFF = "demo-electricity"
ROOMS = {"A-101": 101, "A-102": 102, "A-103": 103}
"""Accounts whose meters the collector reads."""
PUSHED = {"P-1": 901, "P-2": 902, "P-3": 903, "P-4": 904}
"""Accounts whose readings are pushed into the log."""
_HEAD = """\
[site]
name = "street"
zone = "Asia/Shanghai"
currency = "CNY"
[[tariff]]
file = "demo-electricity"
"""
_ACCOUNT = '[[account]]\nid = "{account}"\nlow = "1.00"\npretrip = "0.50"\nreconnect = "0.20"\n'
_BUS = '[[bus]]\nname = "one"\nkind = "tcp"\nhost = "127.0.0.1"\nport = {port}\ntimeout_ms = 200\npoll_seconds = 0.3\ngap_ms = 0\n'
_METER = '[[bus.meter]]\nnumber = "{meter:012d}"\nunit = {unit}\nprofile = "acrel-ddsy1352"\naccount = "{account}"\ntariff = "demo-electricity"\n'


def free_port() -> int:
    """A port of loopback that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def site_text(port: int) -> str:
    """A bus with three rooms."""
    accounts = "".join(_ACCOUNT.format(account=account) for account in ROOMS)
    meters = "".join(
        _METER.format(account=account, meter=meter, unit=unit)
        for unit, (account, meter) in enumerate(ROOMS.items(), start=1)
    )
    return _HEAD + accounts + _BUS.format(port=port) + meters


class Installation:
    """Server, settlement, API, collector and a simulated street. `watch` starts again whatever has ended."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.data = folder, folder / "data"
        self.clock = EventClock.from_now(EVENT_START_MS, SPEED)
        self.program = server_program(folder / "program")
        self.server = EmbeddedServer.start(self.data, self.program)
        self.line = LossyLine(Path(self.server.access.socket))
        self.url = f"redis://writer:{self.server.access.writer}@127.0.0.1:{self.line.port}"
        self.token = secrets.token_urlsafe(32)
        self.children: dict[str, Child] = {}
        self._prepare(seed)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with ExitStack() as ending:
            ending.callback(self.server.stop, signal.SIGKILL)
            ending.callback(self.line.close)
            for child in self.children.values():
                ending.callback(kill, child)

    def _prepare(self, seed: int) -> None:
        street_port, self.api_port = free_port(), free_port()
        real, self.site_file = self.folder / "street.toml", self.folder / "site.toml"
        real.write_text(site_text(street_port))
        self.bus = LossyLine(street_port)
        self.site_file.write_text(site_text(self.bus.port))
        store = Store.open(self.server.url, SHARDS)
        store.append_many(opening(load_site(self.site_file, catalogue()), self.clock.now_ms()))
        store.close()
        self.add(
            "street", meterline_command("simulate", str(real), "--clock", self.clock.to_text(), "--seed", str(seed))
        )
        self.add_settle("settle")
        self.start_api()
        self.start_collector()

    def add(self, name: str, command: list[str], **environment: str) -> Child:
        """Start a process, in the place of one of the same name."""
        child = Child(name, command, self.folder / f"{name}.log", {"REDIS_URL": self.url, **environment})
        child.start()
        self.children[name] = child
        return child

    def add_settle(self, name: str) -> Child:
        """A settle process, on four entries at a time: there are many commits to be killed between."""
        command = [sys.executable, "-m", "bytewax.run", "flows.settle:flow(4)"]
        return self.add(name, command, METERLINE_STORE_URL=self.url)

    def start_api(self) -> Child:
        """The API, by the clock as it is now."""
        command = meterline_command("serve", "--port", str(self.api_port), "--clock", self.clock.to_text())
        return self.add("api", command, METERLINE_API_TOKEN=self.token)

    def start_collector(self) -> Child:
        """The collector, by the clock as it is now."""
        return self.add("collect", meterline_command("collect", str(self.site_file), "--clock", self.clock.to_text()))

    def process(self, name: str) -> "subprocess.Popen[bytes]":
        """A child's process."""
        process = self.children[name].process
        assert process is not None
        return process

    def watch(self) -> None:
        """Start again whatever has ended."""
        if self.server.process.poll() is not None:
            self.server.stop()
            self.server = EmbeddedServer.start(self.data, self.program)
        for child in list(self.children.values()):
            assert child.process is not None
            if child.process.poll() is not None:
                child.start()

    def until(self, holds: Callable[[], bool], what: str, *, watching: bool = True) -> None:
        """Wait until something is so, and start again meanwhile what ends."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            if watching:
                self.watch()
            assert time.monotonic() < deadline, f"never: {what}\n{self.last_words()}"
            time.sleep(0.01)

    def settled(self) -> bool:
        """Whether every shard is folded to its end."""
        try:
            store = Store.open(self.server.url)
            try:
                return all(store.position(shard) == store.last(shard) for shard in range(store.shards))
            finally:
                store.close()
        except StoreError:
            return False

    def last_words(self) -> str:
        """The ends of all logs."""
        return "\n".join(f"{child.name}: {child.last_words(12)}" for child in self.children.values())

    def client(self) -> httpx.Client:
        """A caller of the API."""
        return httpx.Client(
            base_url=f"http://127.0.0.1:{self.api_port}", headers={"Authorization": f"Bearer {self.token}"}, timeout=20
        )

    def new_id(self) -> str:
        """A fresh order id of now."""
        return str(ULID.from_timestamp(self.clock.now_ms() / 1000))


def kill(child: Child) -> None:
    """End a child as a power cut would."""
    if child.process is not None:
        child.process.kill()
        child.process.wait()


def opening(site: Site, at: int) -> list[tuple[int, Fact]]:
    """Tariff, accounts and meters of the site, accounts whose readings are pushed, and a little money for each."""

    def order(kind: Any, **fields: Any) -> Any:
        return kind(at=at, id=str(ULID.from_timestamp(at / 1000)), **fields)

    published: list[tuple[int, Fact]] = [
        (shard, order(TariffPublished, tariff=TARIFF, document=catalogue()[TARIFF])) for shard in range(SHARDS)
    ]
    opened = [order(AccountOpened, account=account, currency="CNY", alarms=AlarmTerms()) for account in PUSHED]
    paid = [
        order(RechargeOrdered, account=account, amount_micros=200_000, currency="CNY") for account in (*ROOMS, *PUSHED)
    ]
    installed = [
        order(
            MeterInstalled, meter=meter, account=account, commodity=Commodity.ELECTRICITY, tariff=TARIFF,
            modulus=0, rated_per_hour=1_000_000, opening_register=0,
        )
        for account, meter in PUSHED.items()
    ]  # fmt: skip
    facts = [*account_facts(site, at), *opened, *paid, *meter_facts(site, at), *installed]
    return published + [(shard_of(fact.account, SHARDS), fact) for fact in facts]
