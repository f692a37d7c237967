import asyncio
import itertools
import time
from collections import Counter
from contextlib import asynccontextmanager, suppress

import pytest
from pyModbusTCP.server import ModbusServer
from rtu_peer import RtuPeer

from connectors.files.site import Site, SiteBus, SiteMeter
from connectors.modbus.collector import Collected, collect
from connectors.modbus.outbox import Outbox
from connectors.modbus.profile import Sample, encode_point, encode_status, load_profile
from connectors.modbus.purchases import PurchaseCounts
from connectors.modbus.reader import Reading, as_blocks
from connectors.modbus.wire import Wire
from domain.effects import Command
from domain.facts import CommandReported, PurchasesCounted, ReadingBlock, ReadingRefused
from domain.words import Reason, Stage, Status, Supply

DDS = load_profile("dds238-2-zn-sr").model_copy(update={"recheck_ms": 20, "settle_ms": 300})
ACREL = load_profile("acrel-ddsy1352").model_copy(update={"recheck_ms": 20, "settle_ms": 300})
VALVE = load_profile("xintai-water").model_copy(update={"recheck_ms": 20, "settle_ms": 2_000})
ON = Status.SUPPLY_KNOWN | Status.SUPPLY_ON
OFF = Status.SUPPLY_KNOWN


class WallClock:
    """Event time that is the machine's."""

    def now_ms(self):
        """The machine's clock."""
        return time.time_ns() // 1_000_000


class FakeUplink:
    """A log in memory. `wish` is what the machine wants: None, everything; else the supply that is wanted."""

    def __init__(self):
        self.blocks: list[ReadingBlock] = []
        self.reports: list[CommandReported] = []
        self.refused: list[ReadingRefused] = []
        self.purchases: list[PurchasesCounted] = []
        self.order: list[str] = []
        self.open: list[Command] = []
        self.new: asyncio.Queue[Command] = asyncio.Queue()
        self.wish: Supply | None = None
        self.is_down = False
        self.asked = 0

    def _reach(self):
        """Raise what a lost connection raises."""
        if self.is_down:
            raise ConnectionError("the log is away")

    async def report_readings(self, block):
        """Keep a block."""
        self._reach()
        self.blocks.append(block)
        self.order.append("readings")

    async def report_refused(self, refused):
        """Keep a refused answer."""
        self._reach()
        self.refused.append(refused)

    async def report_purchases(self, purchases):
        """Keep a purchase count."""
        self._reach()
        self.purchases.append(purchases)

    async def report_command(self, report):
        """Keep a report."""
        self._reach()
        self.reports.append(report)
        self.order.append(report.stage)

    async def commands(self):
        """Open ones, then new ones."""
        self._reach()
        for command in self.open:
            yield command
        while True:
            yield await self.new.get()

    async def still_wanted(self, command):
        """Compare with the wish."""
        self._reach()
        self.asked += 1
        return self.wish is None or self.wish is command.wanted

    def stages(self, meter):
        """Stages reported of a meter, in order."""
        return [report.stage for report in self.reports if report.meter == meter]

    def registers(self, meter):
        """Registers reported of a meter, in order."""
        return [
            int(register)
            for block in self.blocks
            for number, register in zip(block.meter, block.register, strict=True)
            if number == meter
        ]


def command(meter, wanted=Supply.OFF, epoch=1, stage=Stage.QUEUED, life_ms=60_000, button=False):  # noqa: FBT002 - as the command's own
    """A command as the machine decides it."""
    now = WallClock().now_ms()
    return Command(
        meter=meter, epoch=epoch, wanted=wanted, reason=Reason.ARREARS, stage=stage, at=now, expires_at=now + life_ms,
        button=button,
    )  # fmt: skip


def site(*buses):
    """A site of these buses."""
    return Site(name="test", zone="Asia/Shanghai", currency="CNY", tariffs=(), accounts=(), buses=buses)


def bus(peer_port, *meters, kind="rtu-over-tcp", poll_seconds=0.05, timeout_ms=100, name="east", gap_ms=0):
    """A bus at a port of loopback."""
    wire = Wire(name=name, kind=kind, host="127.0.0.1", port=peer_port, timeout_ms=timeout_ms)
    return SiteBus(wire, poll_seconds, meters, gap_ms=gap_ms)


def meter(number, profile=DDS):
    """A meter whose unit is its number."""
    return SiteMeter(number, number, profile, account=f"room-{number}", tariff="flat")


def equip(peer, number, profile=DDS, register=1000, status=ON):
    """Give a meter of the peer registers, and a relay that follows its switch writes at once."""
    for block in profile.block:
        peer.put(number, block.address, [0] * block.count)
    for key in [point.key for point in profile.point]:
        if key not in {"power", "purchase_count"}:
            peer.put(number, profile.point_of(key).address, encode_point(profile, key, register))
    show(peer, number, profile, status)


def show(peer, number, profile, status):
    """Let a meter's status registers say this."""
    for address, value in encode_status(profile, status).items():
        peer.put(number, address, [value])


def obedient(peer, profiles):
    """The relay of each meter moves as it is told."""

    def on_write(request):
        profile = profiles[request.unit]
        is_on = (request.address, *request.values) == (profile.switch.on.address, *profile.switch.on.values)
        show(peer, request.unit, profile, ON if is_on else OFF)

    return on_write


@asynccontextmanager
async def collecting(plan, uplink):
    """A collector at work, cancelled at the end."""
    counters = Collected()
    task = asyncio.create_task(collect(plan, uplink, WallClock(), counters))
    try:
        yield counters
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(condition, seconds=8.0):
    """Poll for a condition, and say which one never came."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "the condition never came true"
        await asyncio.sleep(0.005)


def test_a_meter_of_a_foreign_library_is_read():
    """Registers served by another Modbus implementation arrive as Wh, W and status."""
    server = ModbusServer(host="127.0.0.1", port=0, no_block=True)
    server.start()
    registers = {0x0215: [0x0001, 0xE240], 0x020A: [1500], 0x0224: [0x2000], 0x0217: [0, 5]}
    for address, values in registers.items():
        server.data_bank.set_holding_registers(address, values)

    async def scene():
        uplink = FakeUplink()
        port = server._service.server_address[1]
        before = WallClock().now_ms()
        async with collecting(site(bus(port, meter(1, ACREL), kind="tcp", timeout_ms=1000)), uplink):
            await until(lambda: uplink.blocks)
        return uplink.blocks[0], before

    try:
        block, before = asyncio.run(scene())
    finally:
        server.stop()

    assert block.meter.tolist() == [1]
    assert block.register.tolist() == [1_234_560]
    assert block.power.tolist() == [1500]
    assert block.status.tolist() == [ON]
    assert block.bands.tolist() == [[50, 0, 0, 0, 0]]
    assert before <= int(block.time[0]) <= WallClock().now_ms()


def test_a_round_is_one_block():
    """All meters of a bus that were read in a round arrive together."""

    async def scene():
        uplink = FakeUplink()
        async with RtuPeer().open() as peer:
            for number in (1, 2, 3):
                equip(peer, number, register=number * 100)
            async with collecting(site(bus(peer.port, meter(1), meter(2), meter(3))), uplink):
                await until(lambda: len(uplink.blocks) > 1)
        return uplink.blocks[0]

    block = asyncio.run(scene())

    assert block.meter.tolist() == [1, 2, 3]
    assert block.register.tolist() == [100, 200, 300]


def test_meters_that_say_different_things_share_no_column():
    """A meter without a known relay on the same bus does not turn into one whose supply and power are 0."""
    sfere = load_profile("sfere-prepaid")

    async def scene():
        uplink = FakeUplink()
        async with RtuPeer().open() as peer:
            equip(peer, 1)
            equip(peer, 2, sfere, register=500)
            async with collecting(site(bus(peer.port, meter(1), meter(2, sfere))), uplink):
                await until(lambda: uplink.registers(1) and uplink.registers(2))
        return {int(block.meter[0]): block for block in uplink.blocks}

    blocks = asyncio.run(scene())

    assert blocks[1].status is not None
    assert blocks[1].bands is None
    assert blocks[2].status is None
    assert blocks[2].power is None
    assert blocks[2].bands.tolist() == [[500] * 5]


def sells(peer, number, count):
    """Let a meter's purchase counter show this."""
    peer.put(number, ACREL.point_of("purchase_count").address, [count])


def test_a_purchase_count_is_told_once_and_when_it_changes():
    """It comes with every poll; told is the first, and another, by the collector that sees it; a meter without a counter tells none."""

    async def scene():
        uplink, told = FakeUplink(), []
        async with RtuPeer().open() as peer:
            equip(peer, 1, ACREL)
            equip(peer, 2)
            sells(peer, 1, 17)
            async with collecting(site(bus(peer.port, meter(1, ACREL), meter(2))), uplink) as counters:
                await until(lambda: counters.rounds["east"] > 4)
                told.append([(each.meter, each.count) for each in uplink.purchases])
                sells(peer, 1, 18)
                await until(lambda: len(uplink.purchases) > 1)
        return told, uplink

    told, uplink = asyncio.run(scene())

    assert told == [[(1, 17)]]
    assert [(each.meter, each.count) for each in uplink.purchases] == [(1, 17), (1, 18)]
    assert abs(uplink.purchases[1].at - int(uplink.blocks[-1].time[0])) < 60_000


def test_a_purchase_count_that_is_read_once_accuses_nobody():
    """A late reply of another meter may look like a purchase; only what two polls in a row say is told, and again after a day."""
    counts, tick = PurchaseCounts(), itertools.count()

    def polled(*shown):
        news = [counts.news(Reading(1, next(tick), Sample(5, purchase_count=count))) for count in shown]
        return [each and each.count for each in news]

    assert polled(7, 7, 7) == [None, 7, None]
    assert polled(9, 7, None, 9, 7) == [None] * 5
    assert polled(8, 8, 8, 7, 7) == [None, 8, None, None, 7]
    counts._counters[1].told_until = 0.0  # A day has passed.
    assert polled(7, 7) == [7, None]


def test_a_silent_meter_is_left_out_of_the_rounds():
    """One dead meter costs one timeout a round at most, and is read again as soon as it answers."""

    async def scene():
        uplink = FakeUplink()
        async with RtuPeer().open() as peer:
            for number in (1, 2, 3, 4):
                equip(peer, number)
            peer.silent = {2, 3}
            async with collecting(site(bus(peer.port, *map(meter, (1, 2, 3, 4)))), uplink) as counters:
                await until(lambda: counters.rounds["east"] >= 6)
                asked = Counter(each.unit for each in peer.requests if each.address == 0)
                silent = counters.silent_meters["east"]
                peer.silent = set()
                await until(lambda: uplink.registers(2) and uplink.registers(3))
                await until(lambda: counters.silent_meters["east"] == 0)
        return asked, silent, counters

    asked, silent, counters = asyncio.run(scene())

    assert silent == 2
    assert asked[2] + asked[3] <= 2 + 6 < asked[1] + asked[4]
    assert counters.errors["silent"] >= 2
    assert counters.bus_seconds["east"] > 0


def test_a_command_goes_ahead_of_the_polls():
    """A command that arrives during a round waits for the request under way and for no other meter."""

    async def scene():
        uplink = FakeUplink()
        async with RtuPeer().open() as peer:
            numbers = range(1, 31)
            for number in numbers:
                equip(peer, number)
                peer.delays[number] = [0.01] * 1000
            peer.on_write = obedient(peer, dict.fromkeys(numbers, DDS))
            async with collecting(site(bus(peer.port, *map(meter, numbers))), uplink):
                await until(lambda: len(peer.requests) > 5)
                before = len(peer.requests)
                uplink.new.put_nowait(command(30))
                await until(lambda: Stage.VERIFIED in uplink.stages(30))
        place = next(index for index, each in enumerate(peer.requests) if each.is_write)
        return place - before, uplink

    between, uplink = asyncio.run(scene())

    assert between <= 2
    assert uplink.stages(30) == [Stage.SENT, Stage.ACKNOWLEDGED, Stage.VERIFIED]


def test_a_verified_switch_comes_with_a_fresh_reading():
    """The reading that shows the new state is reported before the command counts as verified, and says what was seen."""

    async def scene():
        uplink = FakeUplink()
        async with RtuPeer().open() as peer:
            equip(peer, 1, ACREL)
            peer.on_write = obedient(peer, {1: ACREL})
            async with collecting(site(bus(peer.port, meter(1, ACREL), poll_seconds=60)), uplink):
                await until(lambda: uplink.blocks)
                uplink.new.put_nowait(command(1))
                await until(lambda: Stage.VERIFIED in uplink.stages(1))
        return uplink, peer.writes()

    uplink, writes = asyncio.run(scene())

    assert writes == [(0x0057, 1, 1)]
    assert uplink.order == ["readings", Stage.SENT, Stage.ACKNOWLEDGED, "readings", Stage.VERIFIED]
    assert uplink.blocks[-1].status.tolist() == [OFF]
    assert uplink.reports[-1].seen is Supply.OFF


def test_a_meter_that_is_only_allowed_to_close_waits_for_a_hand():
    """The relay does not move when the write is echoed, and that is no failure; the press of the button is seen by a poll."""
    profile = ACREL.model_copy(update={"settle_ms": 50})

    async def scene():
        uplink = FakeUplink()
        async with RtuPeer().open() as peer:
            equip(peer, 1, profile, status=OFF)
            async with collecting(site(bus(peer.port, meter(1, profile))), uplink) as counters:
                uplink.new.put_nowait(command(1, Supply.ON, button=True))
                await until(lambda: Stage.ACKNOWLEDGED in uplink.stages(1))
                begun = counters.rounds["east"]
                await until(lambda: counters.rounds["east"] > begun + 4)
                show(peer, 1, profile, ON)
                await until(lambda: uplink.blocks[-1].status.tolist() == [ON])
        return uplink, peer.writes()

    uplink, writes = asyncio.run(scene())

    assert uplink.stages(1) == [Stage.SENT, Stage.ACKNOWLEDGED]
    assert len(writes) == 1


@pytest.mark.parametrize("profile", [ACREL, VALVE.model_copy(update={"settle_ms": 300})], ids=["relay", "valve"])
def test_a_relay_that_does_not_move_is_a_failure(profile):
    """An echoed write whose effect is never seen is reported FAILED, and never VERIFIED nor sent again."""

    async def scene():
        uplink = FakeUplink()
        async with RtuPeer().open() as peer:
            equip(peer, 1, profile)
            async with collecting(site(bus(peer.port, meter(1, profile))), uplink):
                uplink.new.put_nowait(command(1))
                await until(lambda: Stage.FAILED in uplink.stages(1))
        return uplink, peer.writes()

    uplink, writes = asyncio.run(scene())

    assert uplink.stages(1) == [Stage.SENT, Stage.ACKNOWLEDGED, Stage.FAILED]
    assert uplink.reports[-1].seen is Supply.ON
    assert "did not move" in uplink.reports[-1].detail
    assert len(writes) == 1


def test_a_valve_is_waited_for_and_not_told_again():
    """A wet valve that takes its time is polled until it has settled, while other meters are read."""

    async def scene():
        uplink = FakeUplink()
        async with RtuPeer().open() as peer:
            equip(peer, 1, VALVE)
            equip(peer, 2)
            async with collecting(site(bus(peer.port, meter(1, VALVE), meter(2))), uplink):
                peer.on_write = lambda _request: show(peer, 1, VALVE, 0)
                uplink.new.put_nowait(command(1))
                await until(lambda: Stage.ACKNOWLEDGED in uplink.stages(1))
                during = len(uplink.registers(2))
                await until(lambda: len(uplink.registers(2)) > during + 3)
                stages = uplink.stages(1)
                show(peer, 1, VALVE, OFF)
                await until(lambda: Stage.VERIFIED in uplink.stages(1))
        return stages, peer.writes()

    stages, writes = asyncio.run(scene())

    assert stages == [Stage.SENT, Stage.ACKNOWLEDGED]
    assert writes == [(0x1C, 2)]


def test_a_switch_without_status_is_verified_by_its_register():
    """Where a meter shows nothing but its control register, that register must read back as written."""
    sfere = load_profile("sfere-prepaid").model_copy(update={"recheck_ms": 20, "settle_ms": 200})

    async def scene(control):
        uplink = FakeUplink()
        async with RtuPeer().open() as peer:
            equip(peer, 1, sfere)
            peer.put(1, 0x0B25, [1])
            peer.on_write = lambda request: peer.put(1, request.address, [control or request.values[0]])
            async with collecting(site(bus(peer.port, meter(1, sfere))), uplink):
                uplink.new.put_nowait(command(1))
                await until(lambda: {Stage.VERIFIED, Stage.FAILED} & set(uplink.stages(1)))
        return uplink.reports[-1]

    taken, ignored = asyncio.run(scene(control=0)), asyncio.run(scene(control=1))

    assert (taken.stage, taken.seen) == (Stage.VERIFIED, Supply.OFF)
    assert (ignored.stage, ignored.seen) == (Stage.FAILED, Supply.ON)


def test_a_trip_that_is_no_longer_wanted_is_not_executed():
    """A trip that was ordered while the meter was silent is not written once the tenant has paid."""

    async def scene():
        uplink = FakeUplink()
        async with RtuPeer().open() as peer:
            equip(peer, 1)
            peer.silent = {1}
            async with collecting(site(bus(peer.port, meter(1))), uplink) as counters:
                await until(lambda: counters.silent_meters.get("east") == 1)
                uplink.new.put_nowait(command(1))
                rounds = counters.rounds["east"]
                await until(lambda: counters.rounds["east"] > rounds + 2)
                uplink.wish = Supply.ON
                peer.silent = set()
                await until(lambda: uplink.asked and uplink.registers(1))
                rounds = counters.rounds["east"]
                await until(lambda: counters.rounds["east"] > rounds + 2)
        return peer.writes(), uplink.stages(1)

    assert asyncio.run(scene()) == ([], [])


def withdraw(uplink):
    """The machine withdraws the trip, and the collector is told."""
    uplink.new.put_nowait(command(1, stage=Stage.WITHDRAWN))


def want_it_on(uplink):
    """The machine wants the supply on, and the collector has not been told yet."""
    uplink.wish = Supply.ON


@pytest.mark.parametrize("pay", [withdraw, want_it_on])
def test_a_trip_that_is_settled_while_the_line_is_made_ready_is_not_executed(pay):
    """The tenant pays during the gap before the write: the trip is neither sent nor reported as sent."""

    async def scene():
        uplink = FakeUplink()
        async with RtuPeer().open() as peer:
            equip(peer, 1)
            async with collecting(site(bus(peer.port, meter(1), poll_seconds=60, gap_ms=1000)), uplink):
                await until(lambda: uplink.blocks)
                uplink.new.put_nowait(command(1))
                await asyncio.sleep(0.3)
                pay(uplink)
                await until(lambda: uplink.asked)
                await asyncio.sleep(0.3)
                asked = uplink.asked
                await asyncio.sleep(1)
        return peer.writes(), uplink.stages(1), uplink.asked - asked

    assert asyncio.run(scene()) == ([], [], 0)


def test_a_trip_that_expires_while_the_line_is_made_ready_is_not_executed():
    """A command whose life ends during the gap before the write is over, and says that it was never sent."""

    async def scene():
        uplink = FakeUplink()
        async with RtuPeer().open() as peer:
            equip(peer, 1)
            async with collecting(site(bus(peer.port, meter(1), poll_seconds=60, gap_ms=1000)), uplink):
                await until(lambda: uplink.blocks)
                uplink.new.put_nowait(command(1, life_ms=400))
                await until(lambda: uplink.reports)
                await asyncio.sleep(0.3)
        return peer.writes(), [(report.stage, report.detail) for report in uplink.reports]

    assert asyncio.run(scene()) == ([], [(Stage.EXPIRED, "the line was not ready in time")])


def test_an_order_counts_as_sent_before_its_bytes_are():
    """SENT is in the outbox when the meter gets the write, so a collector that ends then leaves a trace."""

    async def scene():
        uplink, sent = FakeUplink(), []
        async with RtuPeer().open() as peer:
            equip(peer, 1)
            async with collecting(site(bus(peer.port, meter(1))), uplink) as counters:
                peer.on_write = lambda _request: sent.append(counters.commands[Stage.SENT])
                uplink.new.put_nowait(command(1))
                await until(lambda: sent)
        return sent

    assert asyncio.run(scene()) == [1]


def test_a_command_waits_for_a_silent_meter():
    """A trip that is still wanted is carried out when the silent meter answers again."""

    async def scene():
        uplink = FakeUplink()
        async with RtuPeer().open() as peer:
            equip(peer, 1)
            peer.on_write = obedient(peer, {1: DDS})
            peer.silent = {1}
            async with collecting(site(bus(peer.port, meter(1))), uplink) as counters:
                await until(lambda: counters.silent_meters.get("east") == 1)
                uplink.new.put_nowait(command(1, epoch=1))
                uplink.new.put_nowait(command(1, wanted=Supply.ON, epoch=2))
                uplink.new.put_nowait(command(1, epoch=3))
                rounds = counters.rounds["east"]
                await until(lambda: counters.rounds["east"] > rounds + 1)
                peer.silent = set()
                await until(lambda: Stage.VERIFIED in uplink.stages(1))
        return peer.writes(), {report.epoch for report in uplink.reports}

    assert asyncio.run(scene()) == ([(0x1A, 0)], {3})


def test_a_withdrawn_command_is_forgotten():
    """WITHDRAWN cancels a command that has not been written; an earlier epoch cannot bring it back."""

    async def scene():
        uplink = FakeUplink()
        async with RtuPeer().open() as peer:
            equip(peer, 1)
            peer.silent = {1}
            async with collecting(site(bus(peer.port, meter(1))), uplink) as counters:
                await until(lambda: counters.silent_meters.get("east") == 1)
                uplink.new.put_nowait(command(1, epoch=7))
                uplink.new.put_nowait(command(1, epoch=7, stage=Stage.WITHDRAWN))
                uplink.new.put_nowait(command(1, epoch=6))
                await until(uplink.new.empty)
                peer.silent = set()
                await until(lambda: len(uplink.registers(1)) > 2)
        return peer.writes(), uplink.asked, uplink.stages(1)

    assert asyncio.run(scene()) == ([], 0, [])


def test_a_command_for_a_meter_that_stays_silent_expires():
    """A command is not kept beyond its life, and says that it was never sent."""

    async def scene():
        uplink = FakeUplink()
        async with RtuPeer().open() as peer:
            peer.silent = {1}
            async with collecting(site(bus(peer.port, meter(1))), uplink) as counters:
                await until(lambda: counters.silent_meters.get("east") == 1)
                uplink.new.put_nowait(command(1, life_ms=200))
                await until(lambda: uplink.reports)
        return uplink.reports[0], peer.writes()

    report, writes = asyncio.run(scene())

    assert (report.stage, report.detail) == (Stage.EXPIRED, "silent")
    assert writes == []


def test_an_unanswered_write_is_read_back_before_anything_else():
    """A write whose echo was lost is not sent again when the relay is seen to have moved."""

    async def scene():
        uplink = FakeUplink()
        async with RtuPeer().open() as peer:
            equip(peer, 1)
            async with collecting(site(bus(peer.port, meter(1), poll_seconds=60)), uplink):
                await until(lambda: uplink.blocks)
                peer.silent = {1}
                uplink.new.put_nowait(command(1))
                await until(peer.writes)
                show(peer, 1, DDS, OFF)
                peer.silent = set()
                await until(lambda: Stage.VERIFIED in uplink.stages(1))
        return peer.writes(), uplink.stages(1)

    writes, stages = asyncio.run(scene())

    assert writes == [(0x1A, 0)]
    assert stages == [Stage.SENT, Stage.VERIFIED]


def test_a_command_that_an_earlier_collector_sent_is_read_back_first():
    """After a restart a command that is already done is verified without a second write."""

    async def scene():
        uplink = FakeUplink()
        uplink.open = [command(1, stage=Stage.SENT)]
        async with RtuPeer().open() as peer:
            equip(peer, 1, status=OFF)
            async with collecting(site(bus(peer.port, meter(1))), uplink):
                await until(lambda: uplink.reports)
        return peer.writes(), uplink.stages(1)

    assert asyncio.run(scene()) == ([], [Stage.VERIFIED])


def test_a_meter_that_is_not_switchable_is_never_written():
    """A command for a meter without a trusted switch fails by name, and nothing is sent."""
    adf = load_profile("acrel-adf400l")

    async def scene():
        uplink = FakeUplink()
        uplink.open = [command(1), command(2, stage=Stage.SENT)]
        async with RtuPeer().open() as peer:
            equip(peer, 1, adf)
            equip(peer, 2, adf)
            async with collecting(site(bus(peer.port, meter(1, adf), meter(2, adf))), uplink):
                await until(lambda: len(uplink.reports) == 2)
        return peer.writes(), uplink.reports

    writes, reports = asyncio.run(scene())

    assert writes == []
    assert {report.stage for report in reports} == {Stage.FAILED}
    assert "not switchable" in reports[0].detail


def test_a_busy_meter_is_asked_again_later():
    """06 means that it was not done: it is tried again. 04 is read back first. The meter's refusal 02 is final."""

    async def scene(code):
        uplink = FakeUplink()
        async with RtuPeer().open() as peer:
            equip(peer, 1)
            peer.on_write = obedient(peer, {1: DDS})
            async with collecting(site(bus(peer.port, meter(1), poll_seconds=60)), uplink):
                await until(lambda: uplink.blocks)
                peer.codes[1] = [code]
                uplink.new.put_nowait(command(1))
                await until(lambda: {Stage.VERIFIED, Stage.FAILED} & set(uplink.stages(1)))
        return len(peer.writes()), uplink.stages(1)[-1]

    assert asyncio.run(scene(6)) == (2, Stage.VERIFIED)
    assert asyncio.run(scene(4)) == (2, Stage.VERIFIED)
    assert asyncio.run(scene(5)) == (1, Stage.FAILED), "05 is as good as an echo, and the relay never moved"
    assert asyncio.run(scene(2)) == (1, Stage.FAILED)


def test_a_refused_block_is_not_asked_for_again():
    """A block that the meter refuses is left alone; what the other blocks say is still read."""

    async def scene():
        uplink = FakeUplink()
        async with RtuPeer().open() as peer:
            equip(peer, 1)
            del peer.registers[1][0x1A]
            async with collecting(site(bus(peer.port, meter(1))), uplink) as counters:
                await until(lambda: len(uplink.blocks) > 3)
        return [each.address for each in peer.requests].count(0x1A), uplink.blocks[0].status, counters.errors

    asked, status, errors = asyncio.run(scene())

    assert (asked, status) == (1, None)
    assert errors["refused"] == 1


def test_an_answer_that_is_no_number_is_refused_once_and_not_dropped():
    """A total that is not a number goes up as a refused reading when it begins, and not again with every round."""

    async def scene():
        uplink = FakeUplink()
        async with RtuPeer().open() as peer:
            equip(peer, 1, VALVE)
            peer.put(1, 0x0001, [0x0000, 0xC07F])
            async with collecting(site(bus(peer.port, meter(1, VALVE))), uplink) as counters:
                await until(lambda: counters.rounds["east"] > 4)
        return uplink

    uplink = asyncio.run(scene())

    assert uplink.blocks == []
    assert [(each.meter, each.reason) for each in uplink.refused] == [(1, "unreadable")]
    assert "nan" in uplink.refused[0].text


def test_a_log_out_of_reach_loses_neither_readings_nor_reports():
    """While the log is away nothing is switched; what was read arrives later, in order, and the command is carried out."""

    async def scene():
        uplink = FakeUplink()
        async with RtuPeer().open() as peer:
            equip(peer, 1)
            peer.on_write = obedient(peer, {1: DDS})
            async with collecting(site(bus(peer.port, meter(1))), uplink) as counters:
                await until(lambda: uplink.blocks)
                uplink.is_down = True
                uplink.new.put_nowait(command(1))
                rounds = counters.rounds["east"]
                await until(lambda: counters.rounds["east"] > rounds + 3 and counters.reports_waiting > 1)
                writes = peer.writes()
                uplink.is_down = False
                await until(lambda: Stage.VERIFIED in uplink.stages(1))
        return writes, uplink, counters

    writes, uplink, counters = asyncio.run(scene())

    assert writes == []
    times = [int(block.time[0]) for block in uplink.blocks]
    assert times == sorted(times)
    assert len(times) >= counters.rounds["east"]
    assert counters.errors["uplink"] > 0


def test_a_bus_without_connection_does_not_stop_the_others():
    """One gateway that is off costs its own meters only, and cancelling closes every connection."""

    async def scene():
        uplink = FakeUplink()
        async with RtuPeer().open() as peer:
            equip(peer, 1)
            async with RtuPeer().open() as gone:
                dead = gone.port
            plan = site(bus(dead, meter(2), name="west"), bus(peer.port, meter(1)))
            async with collecting(plan, uplink) as counters:
                await until(lambda: len(uplink.registers(1)) > 3 and counters.errors["link_down"])
            await until(lambda: peer._newest.transport.is_closing() or peer._newest.is_closing())
        return uplink.registers(2)

    assert asyncio.run(scene()) == []


def test_an_unanswered_write_that_did_nothing_is_sent_again():
    """A write that was lost on its way is repeated once the read-back has shown that nothing happened."""

    async def scene():
        uplink = FakeUplink()
        async with RtuPeer().open() as peer:
            equip(peer, 1)
            async with collecting(site(bus(peer.port, meter(1), poll_seconds=60)), uplink):
                await until(lambda: uplink.blocks)
                peer.silent = {1}
                uplink.new.put_nowait(command(1))
                await until(peer.writes)
                peer.on_write = obedient(peer, {1: DDS})
                peer.silent = set()
                await until(lambda: Stage.VERIFIED in uplink.stages(1))
        return len(peer.writes()), uplink.asked, uplink.stages(1)

    assert asyncio.run(scene()) == (2, 2, [Stage.SENT, Stage.SENT, Stage.ACKNOWLEDGED, Stage.VERIFIED])


def test_waiting_reports_are_bounded_and_keep_what_became_of_commands():
    """While the log is away the oldest readings are let go and counted; reports of commands never are."""

    async def scene():
        uplink, counters = FakeUplink(), Collected()
        outbox = Outbox(uplink, counters, blocks_max=3)
        uplink.is_down = True
        task = asyncio.create_task(outbox.run())
        outbox.put(CommandReported(at=1, meter=1, epoch=1, stage=Stage.SENT))
        for register in range(5):
            outbox.put(as_blocks([Reading(1, register, Sample(register))])[0])
        outbox.put(CommandReported(at=2, meter=1, epoch=1, stage=Stage.FAILED))
        await until(lambda: counters.errors["uplink"])
        uplink.is_down = False
        await until(lambda: counters.reports_waiting == 0 and len(uplink.order) == 5)
        task.cancel()
        return uplink, counters

    uplink, counters = asyncio.run(scene())

    assert uplink.order == [Stage.SENT, "readings", "readings", "readings", Stage.FAILED]
    assert uplink.registers(1) == [2, 3, 4]
    assert counters.blocks_dropped == 2


@pytest.mark.parametrize("steps", range(8))
@pytest.mark.parametrize("moment", ["connecting", "answered"])
def test_a_cancelled_collector_ends(moment, steps):
    """Whatever it is doing when it is cancelled, even if an answer comes at that very moment, it ends."""

    async def scene():
        reached = asyncio.Event()
        async with RtuPeer().open() as peer:
            equip(peer, 1)
            peer.on_request = reached.set
            plan = site(bus(peer.port, meter(1), timeout_ms=1000))
            task = asyncio.create_task(collect(plan, FakeUplink(), WallClock()))
            if moment == "answered":
                await reached.wait()
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            done, _ = await asyncio.wait([task], timeout=3)
        return bool(done)

    assert asyncio.run(scene())
