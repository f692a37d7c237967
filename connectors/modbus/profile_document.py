"""The tables of a meter profile, key by key: what each may hold, and what must fit together. Format: docs/profiles.md."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from domain.documents import Part
from domain.words import Commodity

WordOrder = Literal["big", "little"]
PointType = Literal["u16", "i16", "u32", "i32", "f32"]
PointKey = Literal["register", "power", "sharp", "peak", "flat", "valley", "deep_valley", "purchase_count"]
WIDTH: dict[PointType, int] = {"u16": 1, "i16": 1, "u32": 2, "i32": 2, "f32": 2}
"""Registers that a value takes."""


class Block(Part):
    """Registers that are read in one request."""

    address: int = Field(ge=0, le=0xFFFF)
    count: int = Field(ge=1, le=125)

    def holds(self, address: int, count: int) -> bool:
        """Whether the registers lie wholly inside."""
        return self.address <= address and address + count <= self.address + self.count


class Point(Part):
    """One value: where it is, what it is, and the factor to Wh, litres or W; a purchase count is as the meter shows it."""

    key: PointKey
    address: int = Field(ge=0, le=0xFFFF)
    type: PointType
    scale: int = Field(ge=1)

    @model_validator(mode="after")
    def _counts(self) -> Self:
        if self.key == "purchase_count" and (self.type, self.scale) != ("u16", 1):
            raise ValueError('`type = "u16"` and `scale = 1` for `purchase_count`: it counts purchases')
        return self

    @property
    def width(self) -> int:
        """Registers that it takes."""
        return WIDTH[self.type]


class Bits(Part):
    """True when the bits under `mask` of a register equal `value`."""

    address: int = Field(ge=0, le=0xFFFF)
    mask: int = Field(ge=1, le=0xFFFF)
    value: int = Field(ge=0, le=0xFFFF)

    @model_validator(mode="after")
    def _can_match(self) -> Self:
        if self.value & ~self.mask:
            raise ValueError("`value` only of bits that are in `mask`: others never match")
        return self

    def match(self, register: int) -> bool:
        """Whether a register's bits are as stated."""
        return register & self.mask == self.value


class StatusBits(Part):
    """How a meter's bits become `words.Status`. A supply that matches neither rule, or both, is not known."""

    supply_on: Bits | None = None
    supply_off: Bits | None = None
    forced: Bits | None = None
    fault: Bits | None = None
    low_battery: Bits | None = None
    meter_arrears: Bits | None = None

    def stated(self) -> dict[str, Bits]:
        """The rules that the profile states, by name."""
        return {name: bits for name in type(self).model_fields if isinstance(bits := getattr(self, name), Bits)}


class Write(Part):
    """Registers to be written in one request."""

    address: int = Field(ge=0, le=0xFFFF)
    values: tuple[int, ...] = Field(min_length=1, max_length=123)

    @field_validator("values", mode="before")
    @classmethod
    def _tuple(cls, values: object) -> object:
        return tuple(values) if isinstance(values, list) else values

    @field_validator("values")
    @classmethod
    def _sixteen_bits(cls, values: tuple[int, ...]) -> tuple[int, ...]:
        if any(not 0 <= value <= 0xFFFF for value in values):
            raise ValueError("register values from 0 to 65535")
        return values


class Switch(Part):
    """The writes that switch the supply, and how their effect is read back.

    `verify = "status"`: the supply bits of the status must say so. `"register"`: the written registers must read back as
    written, which proves that the meter took the order and not that its relay moved; only for meters that show no more.
    """

    on: Write
    off: Write
    automatic: Write | None = None
    verify: Literal["status", "register"]

    @model_validator(mode="after")
    def _two_positions(self) -> Self:
        if self.on == self.off:
            raise ValueError("`on` and `off` to be two different writes")
        return self

    def writes(self) -> tuple[Write, ...]:
        """All that the switch may write."""
        return (self.on, self.off) if self.automatic is None else (self.on, self.off, self.automatic)


class Range(Part):
    """Addresses `first` to `last`, both included, and why they are named."""

    first: int = Field(ge=0, le=0xFFFF)
    last: int = Field(ge=0, le=0xFFFF)
    why: str = Field(min_length=1)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.last < self.first:
            raise ValueError("`last` not below `first`")
        return self


class Title(Part):
    """What people call it."""

    zh: str
    en: str


class Profile(Part):
    """A kind of meter. Field by field: docs/profiles.md."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    title: Title
    commodity: Literal["electricity", "water"]
    word_order: WordOrder
    byte_order: WordOrder
    read_function: Literal[3, 4]
    write_function: Literal[6, 16]
    max_read_registers: int = Field(ge=1, le=125)
    min_gap_ms: int = Field(ge=0, le=10_000)
    settle_ms: int = Field(ge=0, le=600_000)
    recheck_ms: int = Field(default=500, ge=10, le=60_000)
    modulus: int = Field(ge=0, le=10**15)
    rated_per_hour: int = Field(ge=1, le=1_000_000_000)
    switchable: bool
    block: list[Block] = Field(min_length=1)
    point: list[Point] = Field(min_length=1)
    status: StatusBits = StatusBits()
    switch: Switch | None = None
    allowed: tuple[Range, ...] = ()
    forbidden: tuple[Range, ...] = ()

    @field_validator("allowed", "forbidden", mode="before")
    @classmethod
    def _ranges(cls, ranges: object) -> object:
        return tuple(ranges) if isinstance(ranges, list) else ranges

    @field_validator("point")
    @classmethod
    def _each_once(cls, points: list[Point]) -> list[Point]:
        keys = [point.key for point in points]
        if "register" not in keys:
            raise ValueError('a point with key = "register"')
        if len(set(keys)) < len(keys):
            raise ValueError("each key once")
        return points

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if mistakes := [*self._layout_mistakes(), *self._switch_mistakes()]:
            raise ValueError("; ".join(mistakes))
        return self

    def _layout_mistakes(self) -> list[str]:
        wide = [
            f"block 0x{block.address:04X} of at most max_read_registers"
            for block in self.block
            if block.count > self.max_read_registers
        ]
        places: list[tuple[str, int, int]] = [(point.key, point.address, point.width) for point in self.point]
        places += [(f"status.{name}", bits.address, 1) for name, bits in self.status.stated().items()]
        lost = [
            f"{what} at 0x{address:04X} inside a block"
            for what, address, width in places
            if not any(block.holds(address, width) for block in self.block)
        ]
        return wide + lost

    def _switch_mistakes(self) -> list[str]:
        if self.switch is None:
            return ["a [switch], because switchable = true"] if self.switchable else []
        mistakes = [
            f"no switch write at 0x{write.address:04X}, because it is forbidden: {area.why}"
            for write in self.switch.writes()
            for area in self.forbidden
            if area.first < write.address + len(write.values) and write.address <= area.last
        ]
        if self.write_function == 6 and any(len(write.values) > 1 for write in self.switch.writes()):
            mistakes.append("switch writes of one register, because write_function = 6 writes one")
        if self.switch.verify == "status" and not (self.status.supply_on and self.status.supply_off):
            mistakes.append('status.supply_on and status.supply_off, because switch.verify = "status"')
        return mistakes

    @property
    def commodity_word(self) -> Commodity:
        """The commodity as `words.Commodity`."""
        return Commodity[self.commodity.upper()]

    def point_of(self, key: PointKey) -> Point | None:
        """The point of that key, if the meter has one."""
        return next((point for point in self.point if point.key == key), None)
