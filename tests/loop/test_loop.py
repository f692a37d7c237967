"""The whole loop over real sockets: simulated meters, collector, log, settlement, and commands back to the meters."""

import asyncio
import contextlib
import time
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from ulid import ULID

from connectors.files.site import account_facts, meter_facts, parse_site
from connectors.modbus.collector import Collected, collect
from connectors.modbus.street.door import Setting, fault_setting
from connectors.modbus.street.street import Scene, build_street
from connectors.redis.live import LiveStore
from connectors.redis.uplink import RedisUplink
from domain.effects import Alarm, Command
from domain.facts import CommandReported, PurchasesAccepted, RechargeOrdered, RefundOrdered, TariffPublished, Ticked
from domain.ids import shard_of
from domain.words import AlarmKind, Reason, Stage, Supply
from tariffs.loader import catalogue

ROOM, METER = "A-101", 101
PATIENCE_SECONDS = 20

SITE = """
[site]
name = "street"
zone = "Asia/Shanghai"
currency = "CNY"
[[tariff]]
file = "demo-electricity"
[[account]]
id = "A-101"
low = "1.00"
pretrip = "0.50"
reconnect = "0.20"
[[bus]]
name = "one"
kind = "{kind}"
host = "127.0.0.1"
port = {port}
timeout_ms = 200
poll_seconds = 0.1
gap_ms = 0
  [[bus.meter]]
  number = "000000000101"
  unit = 1
  profile = "{profile}"
  account = "A-101"
  tariff = "demo-electricity"
"""


class FastClock:
    """Event time that runs `speed` times as fast as life."""

    def __init__(self, speed):
        self._begun, self._speed = time.monotonic(), speed

    def now_ms(self):
        """Event time: from 1 July 2025, 08:00 in Shanghai."""
        return 1_751_328_000_000 + int((time.monotonic() - self._begun) * 1_000 * self._speed)


class House:
    """One room on a bus with its collector, and the store that a settling thread works on."""

    def __init__(self, store, street, clock, counters):
        self.store, self.street, self.clock, self.counters = store, street, clock, counters
        self.shard = shard_of(ROOM, store.shards)

    def pays(self, micros):
        """A recharge, as the API appends it."""
        at = self.clock.now_ms()
        order = RechargeOrdered(
            at=at, id=str(ULID.from_timestamp(at / 1000)), account=ROOM, amount_micros=micros, currency="CNY"
        )
        self.store.append(self.shard, order)

    def gets_all_back(self):
        """A refund of the whole balance: the account is in arrears without any reading."""
        at = self.clock.now_ms()
        balance = int(self.store.load(self.shard).rows["accounts"][0]["balance"])
        refund = RefundOrdered(
            at=at, id=str(ULID.from_timestamp(at / 1000)), account=ROOM, amount_micros=balance, currency="CNY"
        )
        self.store.append(self.shard, refund)

    def accepts(self, count):
        """A person knows where so many purchases came from."""
        at = self.clock.now_ms()
        accepted = PurchasesAccepted(
            at=at, id=str(ULID.from_timestamp(at / 1000)), meter=METER, count=count, note="the old tenant's card"
        )
        self.store.append(self.shard, accepted)

    def purchases(self):
        """What is known of the meter's purchase counter: shown and expected."""
        known = self.store.load(self.shard).records["purchase_counts"].get(METER)
        return known and (known.counted, known.accepted)

    def told_of_purchases(self):
        """The events of the alarm of its purchase counter, with their reasons."""
        alarms = []
        for _, fields in self.store.stream("alarms", self.shard):
            alarms += msgspec.msgpack.decode(fields[b"b"], type=list[Alarm])
        return [(str(each.state), each.reason) for each in alarms if each.kind == AlarmKind.PURCHASE_COUNT_MISMATCH]

    def ticks(self):
        """A minute passes."""
        self.store.append(self.shard, Ticked(at=self.clock.now_ms()))

    def meter(self):
        """The meter's committed row."""
        stored = self.store.load(self.shard)
        return stored.rows["meters"][stored.records["meter_records"][METER].row]

    def relay(self):
        """Where the meter's own relay truly is."""
        return self.street.do(Setting(do="relays"))["relays"]["000000000101"]

    def is_broken(self, fault, *, on):
        """Switch a fault of the meter on or off."""
        setting = fault_setting(f"000000000101:{fault}")
        self.street.do(msgspec.structs.replace(setting, on=on))

    def stages(self):
        """Stages of the meter's commands as the machine said them."""
        commands = []
        for _, fields in self.store.stream("commands", self.shard):
            commands += msgspec.msgpack.decode(fields[b"b"], type=list[Command])
        return [(command.wanted, command.stage) for command in commands]

    def reports(self):
        """Stages as the collector reported them."""
        entries = self.store.read(self.shard, (0, 0), 100_000)
        return [fact.stage for _, fact in entries if isinstance(fact, CommandReported)]

    async def until(self, holds, what):
        """Wait until something is so, while minutes pass."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            assert time.monotonic() < deadline, f"never: {what}"
            self.ticks()
            await asyncio.sleep(0.05)


@asynccontextmanager
async def a_house(store, store_url, unused_port, profile="acrel-ddsy1352", kind="tcp", paid=100_000, speed=3_600):
    """A room whose tenant has paid a little, on a street of its own, collected over real sockets."""
    text = SITE.format(port=unused_port, profile=profile, kind=kind)
    site, clock = parse_site(text, "site.toml", Path(), catalogue()), FastClock(speed)
    at = clock.now_ms()
    shard = shard_of(ROOM, store.shards)
    tariff = TariffPublished(
        at=at,
        id=str(ULID.from_timestamp(at / 1000)),
        tariff="demo-electricity",
        document=catalogue()["demo-electricity"],
    )
    for fact in (tariff, *account_facts(site, at)):
        store.append(shard, fact)
    street = build_street(site, clock, Scene(seed=3))
    live = await LiveStore.open(store_url)
    counters = Collected()
    house = House(store, street, clock, counters)
    house.pays(paid)
    for fact in meter_facts(site, at):
        store.append(shard, fact)
    await house.until(lambda: METER in house.store.load(shard).records["meter_records"], "the meter installed")
    async with street.open():
        task = asyncio.create_task(collect(site, RedisUplink(live), clock, counters))
        try:
            await house.until(lambda: house.store.load(shard).header.classes[0] > 0, "the first reading")
            yield house
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await live.close()


@pytest.mark.parametrize(
    ("profile", "kind"),
    [
        ("acrel-ddsy1352", "tcp"),
        ("acrel-dtsy1352", "rtu-over-tcp"),
        ("dds238-2-zn-sr", "tcp"),
        ("sfere-prepaid", "tcp"),
    ],
)
def test_a_room_is_cut_at_zero_and_comes_back_after_payment(store, store_url, settling, free_port, profile, kind):
    """Credit runs out: the meter's own relay opens, and closes again once the tenant has paid; each is read back."""

    async def story():
        async with a_house(store, store_url, free_port, profile, kind) as house:
            await house.until(lambda: house.relay() == "off", "the trip")
            await house.until(lambda: house.meter()["seen"] == Supply.OFF, "the trip seen")

            assert house.meter()["reason"] == Reason.ARREARS

            house.pays(50_000_000)
            await house.until(lambda: house.relay() == "on", "the restore")
            await house.until(lambda: (Supply.ON, Stage.VERIFIED) in house.stages(), "the restore verified")

            assert (Supply.OFF, Stage.VERIFIED) in house.stages()

    asyncio.run(story())


def test_a_trip_ordered_while_the_meter_is_silent_is_not_executed_after_the_tenant_has_paid(
    store, store_url, settling, free_port
):
    """The meter answers again after the payment: its relay has never moved, because the trip was no longer wanted."""

    async def story():
        async with a_house(store, store_url, free_port, paid=100_000_000) as house:
            house.is_broken("silent", on=True)
            await house.until(lambda: sum(house.counters.silent_meters.values()), "the silence noticed")
            house.gets_all_back()
            await house.until(lambda: (Supply.OFF, Stage.QUEUED) in house.stages(), "the trip ordered")

            house.pays(60_000_000)
            await house.until(lambda: (Supply.OFF, Stage.WITHDRAWN) in house.stages(), "the trip withdrawn")
            house.is_broken("silent", on=False)
            before = house.meter()["time"]
            await house.until(lambda: house.meter()["time"] > before + 7_200_000, "readings after the silence")

            assert house.relay() == "on"
            assert Stage.SENT not in house.reports()
            assert house.meter()["wanted"] == Supply.ON

    asyncio.run(story())


def test_a_relay_that_is_stuck_is_never_called_verified(store, store_url, settling, free_port):
    """The meter acknowledges the trip and its relay stays: no command is verified, and after some attempts an alarm says so."""

    async def story():
        async with a_house(store, store_url, free_port, paid=1_000, speed=60) as house:
            house.is_broken("stuck", on=True)
            await house.until(lambda: (Supply.OFF, Stage.FAILED) in house.stages(), "the failure")

            assert house.relay() == "on"
            assert (Supply.OFF, Stage.VERIFIED) not in house.stages()

            house.is_broken("stuck", on=False)
            await house.until(lambda: (Supply.OFF, Stage.VERIFIED) in house.stages(), "the trip after all")

            assert house.relay() == "off"

    asyncio.run(story())


@pytest.mark.parametrize("profile", ["acrel-ddsy1352", "acrel-adf400l"])
def test_a_meter_that_is_sold_energy_past_us_is_told_until_a_person_accepts_it(
    store, store_url, settling, free_port, profile
):
    """Somebody writes two purchases to the meter itself: its counter says so over Modbus, an alarm stands, and ends when a person knows why."""

    async def story():
        async with a_house(store, store_url, free_port, profile, paid=100_000_000, speed=60) as house:
            await house.until(lambda: house.purchases() == (0, 0), "what the counter shows first")

            house.is_broken("purchase=2", on=True)
            await house.until(lambda: house.told_of_purchases() == [("raised", "2 ≠ 0")], "the alarm")
            house.accepts(2)
            await house.until(lambda: len(house.told_of_purchases()) > 1, "the end of the alarm")

            assert house.told_of_purchases()[1:] == [("cleared", "2 ≠ 0")]
            assert house.purchases() == (2, 2)

    asyncio.run(story())
