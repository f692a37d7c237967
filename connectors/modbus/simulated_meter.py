"""One meter as it behaves on a wire, without the wire: registers out, orders in, and the faults that the field knows.

Two halves. `Works` is the inside: counters that advance only while the supply is on, and the relay or valve that decides
it; given the load, its state is a function of event time and of the orders it got. `SimulatedMeter` is the face: the
register map of a profile around such works, the orders it understands, the Modbus exceptions with which it refuses.

Where energy, water and power are shown is the profile's word. How a meter is *switched*, and with which bits it tells, is
written down here a second time, from the public sources named in docs/simulator.md: a mistake in a built-in profile then
shows as a relay that does not move, instead of two halves that agree in their error.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum, IntEnum, StrEnum

import msgspec

from connectors.modbus.load import AMOUNT_PER_UNIT, Load, draw
from connectors.modbus.profile import BANDS, PointKey, Profile, encode_point, encode_status
from domain.units import DAY_MS, MINUTE_MS
from domain.words import Status, Supply

SHARP, PEAK, FLAT, VALLEY, DEEP_VALLEY = range(5)

DayTable = tuple[tuple[int, int], ...]
"""(local minute of the day from which it holds, band), the first at 0."""

DAY_TABLE: DayTable = (
    (0, VALLEY), (480, PEAK), (660, FLAT), (780, DEEP_VALLEY), (840, FLAT), (1020, PEAK), (1140, SHARP), (1260, FLAT), (1380, VALLEY),
)  # fmt: skip
"""An ordinary Chinese day: cheap at night and at noon, dear in the evening."""

ONE_BAND: DayTable = ((0, FLAT),)


class ExceptionCode(IntEnum):
    """Modbus exceptions that a meter or its gateway answers with."""

    ILLEGAL_FUNCTION = 1
    ILLEGAL_ADDRESS = 2
    ILLEGAL_VALUE = 3
    DEVICE_FAILURE = 4
    ACKNOWLEDGE = 5
    DEVICE_BUSY = 6
    NEGATIVE_ACKNOWLEDGE = 7
    MEMORY_PARITY_ERROR = 8
    GATEWAY_PATH_UNAVAILABLE = 10
    GATEWAY_NO_RESPONSE = 11


class Fault(StrEnum):
    """What can go wrong with a meter on purpose. The last three happen once; the others last until switched off."""

    SILENT = "silent"
    SLOW = "slow"
    LATE = "late"
    EXCEPTION = "exception"
    STUCK = "stuck"
    GLITCH = "glitch"
    RESET = "reset"
    WRAP = "wrap"


FAULT_VALUES = {
    Fault.SLOW: 400,  # real ms before the answer; the bus waits meanwhile
    Fault.LATE: 2_000,  # real ms before the answer; the bus goes on, so a later request may get it
    Fault.EXCEPTION: int(ExceptionCode.DEVICE_FAILURE),
    Fault.GLITCH: 0,  # the register shown once: 0, or this many Wh or litres more than counted
    Fault.WRAP: 100,  # Wh or litres short of the modulus
}
"""What a fault means unless it is said."""


def pieces(start_ms: int, end_ms: int, table: DayTable, offset_ms: int) -> Iterator[tuple[int, int, int]]:
    """(band, start, end) of the parts into which the day table cuts an interval."""
    while start_ms < end_ms:
        day, into_ms = divmod(start_ms + offset_ms, DAY_MS)
        midnight_ms = day * DAY_MS - offset_ms
        edges = [minute * MINUTE_MS for minute, _ in table] + [DAY_MS]
        index = next(index for index, edge in enumerate(edges[1:]) if into_ms < edge)
        until_ms = min(end_ms, midnight_ms + edges[index + 1])
        yield table[index][1], start_ms, until_ms
        start_ms = until_ms


@dataclass(slots=True)
class Works:
    """The inside of a meter. Times are event time; amounts are in rate x ms, see `load.AMOUNT_PER_UNIT`."""

    load: Load
    counted_to_ms: int
    amounts: list[int] = field(default_factory=lambda: [0] * 5)
    position: Supply = Supply.ON
    target: Supply = Supply.ON
    arrives_ms: int | None = None
    travel_ms: int = 0
    offset_ms: int = 0
    table: DayTable = DAY_TABLE
    stuck: bool = False
    frozen: bool = False

    def advance(self, now_ms: int) -> None:
        """Count up to `now_ms`. A clock that steps back changes nothing."""
        if self.arrives_ms is not None and self.arrives_ms <= now_ms:
            self._count(self.arrives_ms)
            self.position, self.arrives_ms = self.target, None
        self._count(now_ms)

    def _count(self, until_ms: int) -> None:
        if until_ms <= self.counted_to_ms:
            return
        if self.position is Supply.ON and not self.frozen:
            for band, start_ms, end_ms in pieces(self.counted_to_ms, until_ms, self.table, self.offset_ms):
                self.amounts[band] += self.load.amount_between(start_ms, end_ms)
        self.counted_to_ms = until_ms

    def turn(self, wanted: Supply, now_ms: int) -> None:
        """Move the relay or valve; it arrives `travel_ms` later. A stuck one does not move."""
        self.advance(now_ms)
        if self.stuck or wanted is self.target:
            return
        self.target = wanted
        self.arrives_ms = max(now_ms, self.counted_to_ms) + self.travel_ms
        self.advance(self.counted_to_ms)

    @property
    def moving(self) -> bool:
        """Whether the valve is on its way."""
        return self.arrives_ms is not None

    def freeze(self, now_ms: int, *, frozen: bool) -> None:
        """Stop or resume all consumption, whatever the supply."""
        self.advance(now_ms)
        self.frozen = frozen

    def rate(self, now_ms: int) -> int:
        """W, or litres per hour, that flow now."""
        return self.load.rate_at(now_ms) if self.position is Supply.ON and not self.frozen else 0

    def register(self) -> int:
        """Wh or litres counted, rounded down."""
        return sum(self.amounts) // AMOUNT_PER_UNIT

    def bands(self) -> tuple[int, ...]:
        """Wh counted in each band, each rounded down."""
        return tuple(amount // AMOUNT_PER_UNIT for amount in self.amounts)

    def set_register(self, units: int) -> None:
        """Begin again from `units` Wh or litres, spread over the bands in which the day table has time."""
        shares = [0] * 5
        for band, start_ms, end_ms in pieces(0, DAY_MS, self.table, 0):
            shares[band] += end_ms - start_ms
        self.amounts = [units * share * AMOUNT_PER_UNIT // DAY_MS for share in shares]
        self.amounts[FLAT] += units * AMOUNT_PER_UNIT - sum(self.amounts)


class Order(Enum):
    """What a write asks of a meter. AUTOMATIC leaves forced control: the meter's own rules decide."""

    ON = 1
    OFF = 2
    AUTOMATIC = 3


@dataclass(frozen=True, slots=True)
class Control:
    """How a kind of meter is switched: the words it understands at one address, and the functions it takes them with."""

    address: int
    functions: frozenset[int]
    orders: Mapping[tuple[int, ...], Order]
    forces: bool = False

    @property
    def width(self) -> int:
        """Registers of an order; all orders of a meter are of one width."""
        return len(next(iter(self.orders)))

    @classmethod
    def of_profile(cls, profile: Profile) -> "Control | None":
        """The control that a profile claims: all we have for meters that are not in `CONTROLS`."""
        switch = profile.switch
        if switch is None:
            return None
        orders = {switch.on.values: Order.ON, switch.off.values: Order.OFF}
        if switch.automatic is not None:
            orders[switch.automatic.values] = Order.AUTOMATIC
        return cls(switch.on.address, frozenset({profile.write_function}), orders)


# Forced control of DDSY1352 and DTSY1352: 0x0057, two registers, function 16. Setup tool and open platform agree.
ACREL_CONTROL = Control(
    0x0057,
    frozenset({16}),
    {(1, 0): Order.ON, (1, 1): Order.OFF, (0, 0): Order.AUTOMATIC, (0, 1): Order.AUTOMATIC},
    forces=True,
)
CONTROLS = {
    "acrel-ddsy1352": ACREL_CONTROL,
    "acrel-dtsy1352": ACREL_CONTROL,
    "dds238-2-zn-sr": Control(0x001A, frozenset({16}), {(1,): Order.ON, (0,): Order.OFF}),  # refuses function 06
    "sfere-prepaid": Control(0x0B25, frozenset({16}), {(1,): Order.ON, (2,): Order.OFF}),
    "xintai-water": Control(0x001C, frozenset({6}), {(1,): Order.ON, (2,): Order.OFF}),
}


@dataclass(frozen=True, slots=True)
class View:
    """What a meter could show at one moment. `rate` is W or L/h, `written` the last words of its control register."""

    local_ms: int
    supply: Supply
    moving: bool
    forced: bool
    rate: int
    decivolts: int
    written: tuple[int, ...]

    @property
    def centiamps(self) -> int:
        """Current of one phase that carries everything, 0.01 A."""
        return self.rate * 1_000 // self.decivolts


Words = dict[int, int]
"""Register address -> word: what can be read."""


def _acrel(words: Words, view: View, phases: int) -> None:
    """The live block 0x0200 and the low area of DDSY1352 (one phase) and DTSY1352 (three)."""
    words |= dict.fromkeys([*range(0x0012), *range(0x0046, 0x0062)], 0)
    words[0x0200] = 7 if phases == 1 else 5
    for phase in range(phases):
        words[0x0201 + phase] = view.decivolts
        words[0x0204 + phase] = min(view.centiamps // phases, 0xFFFF)
        words[0x0207 + phase] = min(view.rate // phases, 0x7FFF)
        words[0x020F + phase] = 1_000
    words[0x0212] = 1_000
    words[0x0213] = words[0x0214] = 1
    _acrel_status(words, view, phases)
    _acrel_clock(words, view.local_ms)
    words |= {address: words[0x0215 + address] for address in range(0x000A)}
    words |= {0x000B: view.decivolts, 0x000C: words[0x0204], 0x000D: words[0x020A], 0x0010: 1_000, 0x0011: 5_000}
    words |= {0x0057: view.written[0], 0x0058: view.written[1]}


def _acrel_status(words: Words, view: View, phases: int) -> None:
    """Status word 1: bits 0-2 forced commands, 3 forced control active, 13-15 relays closed."""
    lines = (1 << phases) - 1
    commanded_on = view.forced and view.written == (1, 0)
    relays = lines << 13 if view.supply is Supply.ON else 0
    words[0x0224] = relays | (0x0008 if view.forced else 0) | (lines if commanded_on else 0)


def _acrel_clock(words: Words, local_ms: int) -> None:
    """Binary clock: year and month, day and weekday (Sunday 0), hour and minute, second in the high byte."""
    now = datetime.fromtimestamp(local_ms // 1_000, UTC)
    words[0x0228] = (now.year - 2000) << 8 | now.month
    words[0x0229] = now.day << 8 | now.isoweekday() % 7
    words[0x022A] = now.hour << 8 | now.minute
    words[0x022B] = now.second << 8


def _single_phase(words: Words, view: View, volts: int, amps: int, factor: int, hertz: int) -> None:
    """Voltage, current, power factor and frequency at the addresses that a meter has them."""
    words |= {volts: view.decivolts, amps: min(view.centiamps, 0xFFFF), factor: 1_000, hertz: 5_000}


def _xintai(words: Words, view: View) -> None:
    """Flow in m³/h, full pipe, battery, and the valve: bit 0 open, bit 1 closed, neither while it moves."""
    words[0x0005], words[0x0006] = _reversed_float(view.rate / 1_000)
    words[0x0007] = 0x00AA
    words[0x001A], words[0x001B] = _reversed_float(3.6)
    words[0x001C] = 0 if view.moving else {Supply.ON: 1, Supply.OFF: 2}[view.supply]


def _reversed_float(value: float) -> tuple[int, int]:
    first, second = struct.unpack(">HH", struct.pack("<f", value))
    return first, second


def _paint(profile: Profile, words: Words, view: View) -> None:
    """Fill in what a kind of meter shows besides its registers and power."""
    match profile.name:
        case "acrel-ddsy1352":
            _acrel(words, view, phases=1)
        case "acrel-dtsy1352":
            _acrel(words, view, phases=3)
        case "dds238-2-zn-sr":
            _single_phase(words, view, 0x000C, 0x000D, 0x0010, 0x0011)
            words[0x001A] = int(view.supply is Supply.ON)
        case "acrel-adf400l":
            _single_phase(words, view, 0x0300, 0x0301, 0x0304, 0x0305)
        case "xintai-water":
            _xintai(words, view)
        case _:
            words |= encode_status(profile, _status(view))


def _status(view: View) -> int:
    known = Status(0) if view.moving else Status.SUPPLY_KNOWN
    supply = Status.SUPPLY_ON if view.supply is Supply.ON else Status(0)
    return int(known | supply | (Status.FORCED if view.forced else Status(0)))


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """What a meter keeps without power: with it, a simulator that was killed goes on as if it had not been."""

    number: int
    amounts: list[int]
    counted_to_ms: int
    position: Supply
    target: Supply
    arrives_ms: int | None
    forced: bool
    written: list[int]


class SimulatedMeter:
    """A meter of some profile. Every call says what event time it is; a reply is words, or the exception's code."""

    def __init__(self, number: int, profile: Profile, works: Works) -> None:
        self.number = number
        self.profile = profile
        self.works = works
        self.control = CONTROLS.get(profile.name) or Control.of_profile(profile)
        self.forced = False
        self.written = self._initial_words()
        self.faults: dict[Fault, int] = {}
        self._zeros = self._layout()

    def _initial_words(self) -> tuple[int, ...]:
        if self.control is None:
            return ()
        start = Order.AUTOMATIC if self.control.forces else Order.ON
        return next(words for words, order in self.control.orders.items() if order is start)

    def _layout(self) -> Words:
        blocks = [range(block.address, block.address + block.count) for block in self.profile.block]
        control = (
            [] if self.control is None else [range(self.control.address, self.control.address + self.control.width)]
        )
        return {address: 0 for addresses in blocks + control for address in addresses}

    def read(self, function: int, address: int, count: int, now_ms: int) -> list[int] | ExceptionCode:
        """The words from `address` on, or why not."""
        if Fault.EXCEPTION in self.faults:
            return ExceptionCode(self.faults[Fault.EXCEPTION])
        if function != self.profile.read_function:
            return ExceptionCode.ILLEGAL_FUNCTION
        if count > self.profile.max_read_registers:
            return ExceptionCode.ILLEGAL_VALUE
        words = self.words(now_ms)
        wanted = range(address, address + count)
        if any(place not in words for place in wanted):
            return ExceptionCode.ILLEGAL_ADDRESS
        self._forget_glitch(wanted)
        return [words[place] for place in wanted]

    def write(self, function: int, address: int, values: Sequence[int], now_ms: int) -> ExceptionCode | None:
        """Obey an order, or say why not. Only the control register takes writes; everything else is read-only here."""
        if Fault.EXCEPTION in self.faults:
            return ExceptionCode(self.faults[Fault.EXCEPTION])
        control = self.control
        if function not in (control.functions if control else {self.profile.write_function}):
            return ExceptionCode.ILLEGAL_FUNCTION
        if control is None or address != control.address or len(values) != control.width:
            return ExceptionCode.ILLEGAL_ADDRESS
        order = control.orders.get(tuple(values))
        if order is None:
            return ExceptionCode.ILLEGAL_VALUE
        self.written = tuple(values)
        self.forced = control.forces and order is not Order.AUTOMATIC
        # Left to itself a meter whose own prepayment is not used keeps the supply on.
        self.works.turn(Supply.OFF if order is Order.OFF else Supply.ON, now_ms)
        return None

    def words(self, now_ms: int) -> Words:
        """All that can be read now."""
        self.works.advance(now_ms)
        words, view = dict(self._zeros), self.view(now_ms)
        for place, word in zip(range(len(self.written)), self.written, strict=True):
            assert self.control is not None
            words[self.control.address + place] = word
        self._put(words, "register", self._shown_register())
        self._put(words, "power", min(view.rate, 0x7FFF))
        for key, units in zip(BANDS, self._shown_bands(), strict=True):
            self._put(words, key, units)
        _paint(self.profile, words, view)
        return words

    def _put(self, words: Words, key: PointKey, value: int) -> None:
        point = self.profile.point_of(key)
        if point is not None:
            words |= dict(enumerate(encode_point(self.profile, key, value), start=point.address))

    def _shown_register(self) -> int:
        counted = self.works.register()
        glitch = self.faults.get(Fault.GLITCH)
        if glitch is None:
            return counted
        return counted + glitch if glitch else 0

    def _shown_bands(self) -> tuple[int, ...]:
        """Meters without a deep-valley register count that energy as valley."""
        sharp, peak, flat, valley, deep = self.works.amounts
        if self.profile.point_of("deep_valley") is None:
            valley, deep = valley + deep, 0
        return tuple(amount // AMOUNT_PER_UNIT for amount in (sharp, peak, flat, valley, deep))

    def _forget_glitch(self, read: range) -> None:
        point = self.profile.point_of("register")
        if point is not None and point.address in read:
            self.faults.pop(Fault.GLITCH, None)

    def view(self, now_ms: int) -> View:
        """What there is to show besides the counters."""
        return View(
            local_ms=now_ms + self.works.offset_ms,
            supply=self.works.position,
            moving=self.works.moving,
            forced=self.forced,
            rate=self.works.rate(now_ms),
            decivolts=2_180 + draw(60, self.number, now_ms // MINUTE_MS),
            written=self.written,
        )

    def set_fault(self, fault: Fault, now_ms: int, *, on: bool = True, value: int | None = None) -> None:
        """Switch a fault on or off; those that happen once happen now, or at the next read. Raises ValueError for a bad value."""
        self.works.advance(now_ms)
        chosen = FAULT_VALUES.get(fault, 1) if value is None else value
        if fault is Fault.EXCEPTION:
            ExceptionCode(chosen)
        match fault:
            case Fault.RESET if on:
                self.works.set_register(0)
            case Fault.WRAP if on:
                self.works.set_register(self.profile.modulus - chosen)
            case _ if on:
                self.faults[fault] = chosen
            case _:
                self.faults.pop(fault, None)
        self.works.stuck = Fault.STUCK in self.faults

    def memory(self) -> Memory:
        """What a power cut does not take."""
        works = self.works
        return Memory(
            number=self.number,
            amounts=list(works.amounts),
            counted_to_ms=works.counted_to_ms,
            position=works.position,
            target=works.target,
            arrives_ms=works.arrives_ms,
            forced=self.forced,
            written=list(self.written),
        )

    def recall(self, memory: Memory) -> None:
        """Go on from what was kept."""
        works = self.works
        works.amounts, works.counted_to_ms = list(memory.amounts), memory.counted_to_ms
        works.position, works.target, works.arrives_ms = memory.position, memory.target, memory.arrives_ms
        self.forced, self.written = memory.forced, tuple(memory.written)
