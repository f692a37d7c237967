"""A street to practise on: the simulated meters of a site file, in one process, with memory and a control door.

Promises: a register depends on event time and on when the supply was on, and on nothing else, so a street that is started
again with the same seed, clock and memory file goes on as if it had never stopped. An order is in the memory file before it
is acknowledged. Listeners bind to loopback unless told otherwise.
"""

import asyncio
import ipaddress
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from connectors.clock import Clock
from connectors.files.site import Site, SiteBus, SiteMeter
from connectors.modbus.street.door import Setting, carry_out, open_door
from connectors.modbus.street.load import HouseholdLoad, Load, LoadFile, WaterLoad, between
from connectors.modbus.street.meter import Memory, SimulatedMeter
from connectors.modbus.street.servers import Bus
from connectors.modbus.street.works import DAY_TABLE, ONE_BAND, Works
from domain.ids import meter_number, meter_text
from domain.words import Commodity


@dataclass(frozen=True, slots=True)
class Scene:
    """What a street is made of besides its site.

    `seed` draws the households; `homes` are real ones for its electricity instead. `opened_ms` is the event time from which
    meters count, None for the clock's present; a shared clock's epoch makes a restarted street go on. `valve_ms` of event
    time is how long a valve travels, `turnaround_ms` of real time how long each answer takes. `bind` listens there instead of
    at the site's hosts, which must be loopback otherwise.
    """

    seed: int = 1
    homes: LoadFile | None = None
    opened_ms: int | None = None
    valve_ms: int = 3_000
    turnaround_ms: int = 0
    bind: str = ""
    memory_file: Path | None = None


@dataclass(slots=True)
class Street:
    """All buses of a site in one process, and what can be seen and done from outside of Modbus."""

    buses: list[Bus]
    clock: Clock
    memory_file: Path | None = None
    meters: dict[int, SimulatedMeter] = field(init=False)

    def __post_init__(self) -> None:
        """Know the meters by number, and go on from what they remember."""
        meters = [meter for bus in self.buses for meter in bus.meters.values()]
        self.meters = {meter.number: meter for meter in meters}
        assert len(self.meters) == len(meters), "a meter number occurs twice"
        for bus in self.buses:
            bus.ordered = self.remember
        self._recall()

    def remember(self) -> None:
        """Write every meter's memory, whole or not at all."""
        if self.memory_file is None:
            return
        beside = self.memory_file.with_name(self.memory_file.name + ".new")
        beside.write_bytes(msgspec.json.encode([meter.memory() for meter in self.meters.values()]))
        beside.replace(self.memory_file)

    def _recall(self) -> None:
        if self.memory_file is None or not self.memory_file.exists():
            return
        for memory in msgspec.json.decode(self.memory_file.read_bytes(), type=list[Memory]):
            if memory.number in self.meters:
                self.meters[memory.number].recall(memory)

    @asynccontextmanager
    async def open(self, control: str = "") -> AsyncIterator["Street"]:
        """Serve all buses, and the control door at `control` if it is given, until the block ends."""
        opened: list[Bus] = []
        door: asyncio.Server | None = None
        try:
            for bus in self.buses:
                await bus.open()
                opened.append(bus)
            door = await open_door(control, self) if control else None
            yield self
        finally:
            if door is not None:
                door.close()
            for bus in opened:
                await bus.close()
            self.remember()

    def do(self, setting: Setting) -> dict[str, Any]:
        """Carry out one line of the control door. Raises ValueError that says what was expected."""
        return carry_out(self, setting)

    def chosen(self, setting: Setting) -> list[SimulatedMeter]:
        """The meter that a line names, or all of them."""
        if not setting.meter:
            return list(self.meters.values())
        meter = self.meters.get(meter_number(setting.meter))
        if meter is None:
            raise ValueError(f"meter {setting.meter}: not in this street")
        return [meter]


def build_street(site: Site, clock: Clock, scene: Scene | None = None) -> Street:
    """The street of a site. Raises ValueError for a bus that cannot be simulated, or would be heard beyond this machine."""
    scene = scene or Scene()
    opened_ms = clock.now_ms() if scene.opened_ms is None else scene.opened_ms
    offset = datetime.fromtimestamp(opened_ms // 1_000, ZoneInfo(site.zone)).utcoffset()
    assert offset is not None
    draws = _Draws(scene, opened_ms, offset // timedelta(milliseconds=1))
    return Street([_bus(bus, clock, scene, draws) for bus in site.buses], clock, scene.memory_file)


async def simulate(street: Street, control: str = "", started: Callable[[Street], None] = lambda _: None) -> None:
    """Serve a street until the process is told to end (interrupt or terminate), or the task is cancelled."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    async with street.open(control):
        started(street)
        await ended.wait()


def _bus(bus: SiteBus, clock: Clock, scene: Scene, draws: "_Draws") -> Bus:
    wire = bus.wire
    if wire.kind == "serial":
        raise ValueError(f"bus {wire.name}: a serial bus cannot be simulated; expected kind tcp or rtu-over-tcp")
    host = scene.bind or wire.host
    if not scene.bind and not _is_loopback(host):
        raise ValueError(f"bus {wire.name}: {host} is not this machine; to listen elsewhere say where with --bind")
    meters = {meter.unit: draws.meter(meter) for meter in bus.meters}
    return Bus(host, wire.port, wire.kind, meters, clock, turnaround_ms=scene.turnaround_ms)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(slots=True)
class _Draws:
    """Draws the rooms of a street, one after the other."""

    scene: Scene
    opened_ms: int
    offset_ms: int
    homes_used: int = 0

    def meter(self, meter: SiteMeter) -> SimulatedMeter:
        is_water = meter.profile.commodity_word is Commodity.WATER
        works = Works(
            self._load(meter.number, is_water=is_water),
            self.opened_ms,
            travel_ms=self.scene.valve_ms if is_water else 0,
            offset_ms=self.offset_ms,
            table=ONE_BAND if is_water else DAY_TABLE,
        )
        works.set_register(self._opening(meter, is_water=is_water))
        return SimulatedMeter(meter.number, meter.profile, works)

    def _load(self, number: int, *, is_water: bool) -> Load:
        if is_water:
            return WaterLoad(self.scene.seed, meter_text(number), self.offset_ms)
        if self.scene.homes is None:
            return HouseholdLoad(self.scene.seed, meter_text(number), self.offset_ms)
        self.homes_used += 1
        return self.scene.homes.load(self.homes_used - 1, self.offset_ms)

    def _opening(self, meter: SiteMeter, *, is_water: bool) -> int:
        if meter.opening_register is not None:
            return meter.opening_register
        least, most = (3_000, 400_000) if is_water else (50_000, 6_000_000)
        return between(least, most, self.scene.seed, meter.number, "opening")
