"""A street to practise on: simulated meters behind Modbus listeners, and a control door to watch and disturb them.

One listener is one bus: Modbus TCP, or RTU frames over TCP as a transparent gateway sends them. As on a real line one
request is answered at a time, an absent or silent meter says nothing, and broadcasts are obeyed without a reply. Hundreds
of meters live in one process. Listeners bind to loopback unless told otherwise.

Promises: a register depends on event time and on when the supply was on, and on nothing else, so a simulator that is
restarted with the same seed, clock and memory file goes on as if it had never stopped. An order is in the memory file
before it is acknowledged.

The frames and PDUs are pymodbus', the sockets are our own: pymodbus' server keeps one request per connection, and would
put a late answer under the number of the next request, which no meter does.
"""

import asyncio
import ipaddress
import json
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import msgspec
import structlog
from pymodbus.exceptions import ModbusIOException
from pymodbus.framer import FramerBase, FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU, ExceptionResponse, ModbusPDU
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadHoldingRegistersResponse,
    ReadInputRegistersResponse,
    WriteMultipleRegistersRequest,
    WriteMultipleRegistersResponse,
    WriteSingleRegisterRequest,
    WriteSingleRegisterResponse,
)

from connectors.clock import Clock
from connectors.files.site import Site, SiteBus, SiteMeter
from connectors.modbus.load import HouseholdLoad, Load, LoadFile, WaterLoad, between
from connectors.modbus.simulated_meter import (
    DAY_TABLE,
    ONE_BAND,
    ExceptionCode,
    Fault,
    Memory,
    SimulatedMeter,
    Works,
)
from domain.ids import meter_number, meter_text
from domain.words import Commodity, Supply

log = structlog.get_logger(__name__)

Kind = Literal["tcp", "rtu-over-tcp"]
FRAMERS: dict[Kind, type[FramerBase]] = {"tcp": FramerSocket, "rtu-over-tcp": FramerRTU}

FRAME_GAP_SECONDS = 0.05
"""On an RTU line silence ends a frame; what came before it is not the beginning of the next."""
LONGEST_FRAME = 260
BROADCAST = 0
KNOWN_FUNCTIONS = frozenset({3, 4, 6, 16})


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
class Bus:
    """One listener and the meters on its line, by unit id."""

    host: str
    port: int
    kind: Kind
    meters: dict[int, SimulatedMeter]
    clock: Clock
    ordered: Callable[[], None] = lambda: None
    turnaround_ms: int = 0
    _line: asyncio.Lock = field(default_factory=asyncio.Lock)
    _server: asyncio.Server | None = None
    _talks: set[asyncio.Task[None]] = field(default_factory=set)

    async def open(self) -> None:
        """Listen. Port 0 becomes the port that the system chose."""
        self._server = await asyncio.start_server(self._talk, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Hang up."""
        if self._server is not None:
            self._server.close()
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One master, until it hangs up."""
        task = asyncio.current_task()
        assert task is not None
        self._talks.add(task)
        framer = FRAMERS[self.kind](DecodePDU(is_server=True))
        try:
            async for request in _requests(reader, framer):
                await self._answer(request, framer, writer)
        except (ConnectionError, asyncio.CancelledError):
            log.debug("master gone", port=self.port)
        finally:
            self._talks.discard(task)
            writer.close()

    async def _answer(self, request: ModbusPDU, framer: FramerBase, writer: asyncio.StreamWriter) -> None:
        if request.dev_id == BROADCAST:
            self._broadcast(request)
            return
        meter = self.meters.get(request.dev_id)
        if meter is None or Fault.SILENT in meter.faults:
            return
        async with self._line:
            await asyncio.sleep((self.turnaround_ms + meter.faults.get(Fault.SLOW, 0)) / 1_000)
            frame = framer.buildFrame(self._reply(meter, request))
        if Fault.LATE in meter.faults:
            asyncio.get_running_loop().call_later(meter.faults[Fault.LATE] / 1_000, _send, writer, frame)
        else:
            _send(writer, frame)

    def _broadcast(self, request: ModbusPDU) -> None:
        if isinstance(request, ReadHoldingRegistersRequest):
            return
        for meter in self.meters.values():
            if Fault.SILENT not in meter.faults:
                self._reply(meter, request)

    def _reply(self, meter: SimulatedMeter, request: ModbusPDU) -> ModbusPDU:
        reply = self._content(meter, request, self.clock.now_ms())
        if isinstance(reply, ExceptionCode):
            reply = ExceptionResponse(request.function_code, reply)
        reply.dev_id, reply.transaction_id = request.dev_id, request.transaction_id
        return reply

    def _content(self, meter: SimulatedMeter, request: ModbusPDU, now_ms: int) -> ModbusPDU | ExceptionCode:
        function, address = request.function_code, request.address
        match request:
            case ReadHoldingRegistersRequest():
                words = meter.read(function, address, request.count, now_ms)
                kind = ReadInputRegistersResponse if function == 4 else ReadHoldingRegistersResponse
                return words if isinstance(words, ExceptionCode) else kind(registers=words)
            case WriteSingleRegisterRequest():
                refused = self._write(meter, request, now_ms)
                return refused or WriteSingleRegisterResponse(address=address, registers=request.registers)
            case WriteMultipleRegistersRequest():
                refused = self._write(meter, request, now_ms)
                return refused or WriteMultipleRegistersResponse(address=address, count=request.count)
            case _:
                return ExceptionCode.ILLEGAL_VALUE if function in KNOWN_FUNCTIONS else ExceptionCode.ILLEGAL_FUNCTION

    def _write(self, meter: SimulatedMeter, request: ModbusPDU, now_ms: int) -> ExceptionCode | None:
        if isinstance(request, WriteMultipleRegistersRequest) and len(request.registers) != request.count:
            return ExceptionCode.ILLEGAL_VALUE
        refused = meter.write(request.function_code, request.address, request.registers, now_ms)
        if refused is None:
            self.ordered()
        log.info(
            "order",
            meter=meter_text(meter.number),
            address=f"0x{request.address:04X}",
            words=list(request.registers),
            refused=refused.name.lower() if refused else None,
        )
        return refused


async def _requests(reader: asyncio.StreamReader, framer: FramerBase) -> AsyncIterator[ModbusPDU]:
    """The requests in a stream of bytes. One whose content cannot be decoded has its function, and nothing else."""
    buffer, heard = b"", 0.0
    while chunk := await reader.read(4_096):
        now = asyncio.get_running_loop().time()
        if isinstance(framer, FramerRTU) and now - heard > FRAME_GAP_SECONDS:
            buffer = b""
        buffer, heard = buffer + chunk, now
        while True:
            try:
                used, request = framer.handleFrame(buffer, 0, 0)
            except ModbusIOException as error:
                used, request = len(buffer), _undecodable(framer, buffer, error)
            buffer = buffer[used:]
            if request is None:
                break
            yield request
        if len(buffer) > LONGEST_FRAME:
            return  # Not Modbus: hang up.


def _undecodable(framer: FramerBase, buffer: bytes, error: ModbusIOException) -> ModbusPDU:
    request = ModbusPDU(dev_id=error.dev_id, transaction_id=error.transaction_id)
    request.function_code = buffer[7 if isinstance(framer, FramerSocket) else 1] & 0x7F
    return request


def _send(writer: asyncio.StreamWriter, frame: bytes) -> None:
    if not writer.is_closing():
        writer.write(frame)


class Setting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line at the control door. `do` is one of `DOINGS`; the rest is for those that need it."""

    do: str
    meter: str = ""
    fault: str = ""
    on: bool = True
    value: int | None = None


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
            door = await _door(control, self) if control else None
            yield self
        finally:
            if door is not None:
                door.close()
            for bus in opened:
                await bus.close()
            self.remember()

    def do(self, setting: Setting) -> dict[str, Any]:
        """Carry out one line of the control door. Raises ValueError that says what was expected."""
        doing = DOINGS.get(setting.do)
        if doing is None:
            raise ValueError(f"do {setting.do!r}: expected one of {', '.join(DOINGS)}")
        return doing(self, setting)

    def chosen(self, setting: Setting) -> list[SimulatedMeter]:
        """The meter that a line names, or all of them."""
        if not setting.meter:
            return list(self.meters.values())
        meter = self.meters.get(meter_number(setting.meter))
        if meter is None:
            raise ValueError(f"meter {setting.meter}: not in this street")
        return [meter]


def _fault(street: Street, setting: Setting) -> dict[str, Any]:
    """A fault of one meter, or of all, on or off."""
    try:
        fault = Fault(setting.fault)
    except ValueError:
        raise ValueError(f"fault {setting.fault!r}: expected one of {', '.join(Fault)}") from None
    for meter in street.chosen(setting):
        meter.set_fault(fault, street.clock.now_ms(), on=setting.on, value=setting.value)
        log.warning("fault", meter=meter_text(meter.number), fault=fault.value, on=setting.on, value=setting.value)
    street.remember()
    return {"meters": len(street.chosen(setting))}


def _faults(street: Street, setting: Setting) -> dict[str, Any]:
    """The faults that are on, by meter."""
    return {"faults": {meter_text(m.number): dict(m.faults) for m in street.chosen(setting) if m.faults}}


def _relays(street: Street, setting: Setting) -> dict[str, Any]:
    """Where each relay or valve really is, whatever its meter says: `on`, `off`, or `moving`."""
    now_ms = street.clock.now_ms()
    for meter in street.chosen(setting):
        meter.works.advance(now_ms)
    return {
        "at": now_ms,
        "relays": {
            meter_text(meter.number): "moving" if meter.works.moving else meter.works.position.name.lower()
            for meter in street.chosen(setting)
        },
    }


def _registers(street: Street, setting: Setting) -> dict[str, Any]:
    """What each meter has truly counted, in Wh or litres, before any wrap or glitch."""
    now_ms = street.clock.now_ms()
    for meter in street.chosen(setting):
        meter.works.advance(now_ms)
    return {
        "at": now_ms,
        "registers": {meter_text(meter.number): meter.works.register() for meter in street.chosen(setting)},
    }


def _turn(street: Street, setting: Setting) -> dict[str, Any]:
    """Somebody in the room moves the breaker or the tap by hand; no order was given."""
    for meter in street.chosen(setting):
        meter.works.turn(Supply.ON if setting.on else Supply.OFF, street.clock.now_ms())
    street.remember()
    return {"meters": len(street.chosen(setting))}


def _freeze(street: Street, setting: Setting) -> dict[str, Any]:
    """Stop all consumption (`on` false: resume), so that registers can be compared with bills at leisure."""
    now_ms = street.clock.now_ms()
    for meter in street.chosen(setting):
        meter.works.freeze(now_ms, frozen=setting.on)
    return {"at": now_ms}


DOINGS: dict[str, Callable[[Street, Setting], dict[str, Any]]] = {
    "fault": _fault,
    "faults": _faults,
    "relays": _relays,
    "registers": _registers,
    "turn": _turn,
    "freeze": _freeze,
}
"""What the control door understands; docs/simulator.md."""


def build_street(site: Site, clock: Clock, scene: Scene | None = None) -> Street:
    """The street of a site. Raises ValueError for a bus that cannot be simulated, or would be heard beyond this machine."""
    scene = scene or Scene()
    opened_ms = clock.now_ms() if scene.opened_ms is None else scene.opened_ms
    offset = datetime.fromtimestamp(opened_ms // 1_000, ZoneInfo(site.zone)).utcoffset()
    assert offset is not None
    draws = _Draws(scene, opened_ms, offset // timedelta(milliseconds=1))
    return Street([_bus(bus, clock, scene, draws) for bus in site.buses], clock, scene.memory_file)


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


async def simulate(street: Street, control: str = "", started: Callable[[Street], None] = lambda _: None) -> None:
    """Serve a street until the process is told to end (interrupt or terminate), or the task is cancelled."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    async with street.open(control):
        started(street)
        await ended.wait()


def fault_setting(text: str) -> Setting:
    """A fault as it is said on a command line: `METER:FAULT`, or `METER:FAULT=VALUE`. Raises ValueError."""
    meter, _, rest = text.partition(":")
    fault, _, value = rest.partition("=")
    if not meter or not fault or (value and not value.isdigit()):
        raise ValueError(f"fault {text!r}: expected METER:FAULT or METER:FAULT=NUMBER, such as 000000000101:slow=300")
    return Setting(do="fault", meter=meter, fault=fault, value=int(value) if value else None)


async def _door(where: str, street: Street) -> asyncio.Server:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.CancelledError):
            while line := await reader.readline():
                writer.write(msgspec.json.encode(_control(street, line)) + b"\n")
        writer.close()

    path, address = _door_address(where)
    if path is not None:
        path.unlink(missing_ok=True)
        return await asyncio.start_unix_server(talk, path)
    return await asyncio.start_server(talk, *address)


def _control(street: Street, line: bytes) -> dict[str, Any]:
    try:
        return {"ok": True} | street.do(msgspec.json.decode(line, type=Setting))
    except (ValueError, msgspec.MsgspecError) as error:
        return {"ok": False, "error": str(error)}


def _door_address(where: str) -> tuple[Path | None, tuple[str, int]]:
    """A path of a unix socket, or a loopback port: whatever is not all digits is a path."""
    if where.isdigit():
        return None, ("127.0.0.1", int(where))
    return Path(where), ("", 0)


def ask(control: str, **setting: object) -> dict[str, Any]:
    """Say one line to the control door of a running simulator and return its answer. Raises ValueError if it is refused."""
    path, address = _door_address(control)
    family = socket.AF_UNIX if path is not None else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as door:
        door.settimeout(10)
        door.connect(str(path) if path is not None else address)
        door.sendall(json.dumps(setting).encode() + b"\n")
        answer: dict[str, Any] = json.loads(door.makefile("rb").readline())
    if not answer.pop("ok"):
        raise ValueError(answer["error"])
    return answer
