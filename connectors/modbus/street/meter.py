"""One meter as it behaves on a wire, without the wire: registers out, orders in, and the faults that the field knows.

A `SimulatedMeter` is the register map of a profile around works that count, with the orders it understands and the Modbus
exceptions with which it refuses. It keeps no clock: every call says what event time it is. What it would keep without
power is its `Memory`.
"""

from collections.abc import Sequence
from enum import IntEnum, StrEnum

import msgspec

from connectors.modbus.profile import BANDS, PointKey, Profile, encode_point
from connectors.modbus.street.controls import CONTROLS, Control, Order
from connectors.modbus.street.face import View, Words, paint
from connectors.modbus.street.load import AMOUNT_PER_UNIT, draw
from connectors.modbus.street.works import Works
from domain.ids import meter_text
from domain.units import MINUTE_MS
from domain.words import Supply


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
    """What can go wrong with a meter on purpose. The last four happen once; the others last until switched off."""

    SILENT = "silent"
    SLOW = "slow"
    LATE = "late"
    EXCEPTION = "exception"
    STUCK = "stuck"
    GLITCH = "glitch"
    RESET = "reset"
    WRAP = "wrap"
    PURCHASE = "purchase"


FAULT_VALUES = {
    Fault.SLOW: 400,  # real ms before the answer; the bus waits meanwhile
    Fault.LATE: 2_000,  # real ms before the answer; the bus goes on, so a later request may get it
    Fault.EXCEPTION: int(ExceptionCode.DEVICE_FAILURE),
    Fault.GLITCH: 0,  # the register shown once: 0, or this many Wh or litres more than counted
    Fault.WRAP: 100,  # Wh or litres short of the modulus
    Fault.PURCHASE: 1,  # purchases that somebody makes with the meter itself
}
"""What a fault means unless it is said."""

PURCHASES_MODULUS = 0x10000
"""A purchase counter is one register."""


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
    purchases: int = 0


class SimulatedMeter:
    """A meter of some profile. Every call says what event time it is; a reply is words, or the exception's code."""

    def __init__(self, number: int, profile: Profile, works: Works) -> None:
        self.number = number
        self.profile = profile
        self.works = works
        self.control = CONTROLS.get(profile.name) or Control.of_profile(profile)
        self.forced = False
        self.written = self._initial_words()
        self.purchases = 0
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
        self._put(words, "purchase_count", self.purchases % PURCHASES_MODULUS)
        paint(self.profile, words, view)
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
            case Fault.PURCHASE if on:
                self._sell(chosen)
            case _ if on:
                self.faults[fault] = chosen
            case _:
                self.faults.pop(fault, None)
        self.works.stuck = Fault.STUCK in self.faults

    def _sell(self, purchases: int) -> None:
        """Somebody with a vendor's tool or a card sells the meter energy: its counter says so, and nothing else does."""
        if self.profile.point_of("purchase_count") is None:
            raise ValueError(
                f"meter {meter_text(self.number)}: {self.profile.name} has no purchase_count to count purchases with"
            )
        self.purchases += purchases

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
            purchases=self.purchases,
        )

    def recall(self, memory: Memory) -> None:
        """Go on from what was kept."""
        works = self.works
        works.amounts, works.counted_to_ms = list(memory.amounts), memory.counted_to_ms
        works.position, works.target, works.arrives_ms = memory.position, memory.target, memory.arrives_ms
        self.forced, self.written, self.purchases = memory.forced, tuple(memory.written), memory.purchases
