"""Meter profiles: what a kind of meter says and obeys over Modbus, as a document instead of code.

A profile (`profiles/*.toml`, or a site's own file) names the registers to read, how they become our integers, how the
supply is switched, and what may be written at all. Reading and writing are pure functions here: registers in, `Sample`
out. Promise: whatever a profile does not list as a switch write or an allowed write is never sent to a meter, and a float
that a meter sends becomes an integer here, once, rounded to the nearest Wh or litre (a half goes up).
"""

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from connectors.modbus.profile_document import Block, Point, PointKey, PointType, Profile, Switch, Write
from domain.documents import load, read_document
from domain.words import Status, Supply

BANDS: tuple[PointKey, ...] = ("sharp", "peak", "flat", "valley", "deep_valley")
_FORMAT: dict[PointType, str] = {"u16": ">H", "i16": ">h", "u32": ">I", "i32": ">i", "f32": ">f"}
_INT64 = 1 << 63
_BUILTIN = Path(__file__).parent / "profiles"

Blocks = Mapping[int, Sequence[int]]
"""Registers as read: first address of each block, and its registers."""


class UnknownProfileError(ValueError):
    """No profile of that name is built in, and no file is there."""


class UnreadableError(ValueError):
    """The registers of a reply say nothing that is a register reading: absent, not a number, or beyond 64 bits."""


class ForbiddenWriteError(ValueError):
    """A write that the meter's profile does not list. It was not sent."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What a meter said at one moment, in Wh or litres, W and `words.Status`, before ct and pt ratio.

    `status` is None when its registers were not read; `bands` are sharp, peak, flat, valley, deep valley, 0 where the meter has none.
    `purchase_count`: how often the meter has been sold energy, from 0 to 65535 and then from 0 again.
    """

    register: int
    power: int | None = None
    status: int | None = None
    bands: tuple[int, ...] | None = None
    purchase_count: int | None = None

    @property
    def supply(self) -> Supply:
        """The supply as it was read."""
        return supply_of(self.status)


def supply_of(status: int | None) -> Supply:
    """The supply that status bits state."""
    if status is None or not status & Status.SUPPLY_KNOWN:
        return Supply.UNKNOWN
    return Supply.ON if status & Status.SUPPLY_ON else Supply.OFF


def builtin_profiles() -> tuple[str, ...]:
    """Names of the profiles that come with Meterline, sorted."""
    return tuple(sorted(file.stem for file in _BUILTIN.glob("*.toml")))


@cache
def _builtin(name: str) -> Profile:
    return load(Profile, read_document(_BUILTIN / f"{name}.toml"), f"{name}.toml")


def load_profile(name_or_path: str, folder: Path | None = None) -> Profile:
    """A built-in profile by its name, else the file at that path (relative to `folder`).

    Raises UnknownProfileError, or MistakesError with every mistake of the file.
    """
    known = builtin_profiles()
    if name_or_path in known:
        return _builtin(name_or_path)
    path = (folder or Path()) / name_or_path
    if not path.is_file():
        raise UnknownProfileError(f"a file, or one of {', '.join(known)}")
    return load(Profile, read_document(path), str(path))


def decode(profile: Profile, blocks: Blocks) -> Sample:
    """What the registers say. Raises UnreadableError where the total is absent, no number, or beyond 64 bits.

    Blocks that were not read leave their power, status, bands or purchase count out; the total is never left out.
    """
    register = decode_point(profile, "register", blocks)
    if register is None:
        raise UnreadableError("the block with the register was not read")
    bands = [decode_point(profile, key, blocks) for key in BANDS]
    return Sample(
        register=register,
        power=decode_point(profile, "power", blocks),
        status=decode_status(profile, blocks),
        bands=None if all(band is None for band in bands) else tuple(band or 0 for band in bands),
        purchase_count=decode_point(profile, "purchase_count", blocks),
    )


def decode_point(profile: Profile, key: PointKey, blocks: Blocks) -> int | None:
    """One value as an integer in our unit; None if the meter has no such point or its block was not read."""
    point = profile.point_of(key)
    words = None if point is None else _words(blocks, point.address, point.width)
    if point is None or words is None:
        return None
    octets = _ordered(b"".join(word.to_bytes(2, "big") for word in words), profile)
    (number,) = struct.unpack(_FORMAT[point.type], octets)
    if not math.isfinite(number):
        raise UnreadableError(f"{key} is {number}")
    above, below = number.as_integer_ratio()
    value = (2 * above * point.scale + below) // (2 * below)
    if not -_INT64 <= value < _INT64:
        raise UnreadableError(f"{key} is {number}, beyond 64 bits")
    return int(value)


def decode_status(profile: Profile, blocks: Blocks) -> int | None:
    """The meter's bits as `words.Status`; None if the profile states none or their registers were not read."""
    rules = profile.status.stated()
    seen = {
        name: bits.match(words[0])
        for name, bits in rules.items()
        if (words := _words(blocks, bits.address, 1)) is not None
    }
    if not seen:
        return None
    on, off = seen.get("supply_on", False), seen.get("supply_off", False)
    supply = Status.SUPPLY_KNOWN * (on != off) | Status.SUPPLY_ON * (on and not off)
    flags = [Status[name.upper()] for name, is_set in seen.items() if is_set and not name.startswith("supply_")]
    return int(sum(flags, supply))


def _words(blocks: Blocks, address: int, width: int) -> Sequence[int] | None:
    for start, registers in blocks.items():
        if start <= address and address + width <= start + len(registers):
            return registers[address - start : address - start + width]
    return None


def _ordered(octets: bytes, profile: Profile) -> bytes:
    # Its own inverse, so that the simulator encodes with it. A single register is big-endian on every Modbus wire.
    if len(octets) == 2:
        return octets
    words = [octets[:2], octets[2:]]
    if profile.word_order == "little":
        words.reverse()
    return b"".join(word if profile.byte_order == "big" else word[::-1] for word in words)


def encode_point(profile: Profile, key: PointKey, value: int) -> list[int]:
    """The registers with which a meter shows `value` (Wh, litres, W or purchases): whole steps only; energy wraps at its modulus.

    Raises KeyError if the meter has no such point and ValueError if the value does not fit its type.
    """
    point = profile.point_of(key)
    if point is None:
        raise KeyError(f"{profile.name} has no {key}")
    wraps = profile.modulus > 0 and key in {"register", *BANDS}
    shown = value % profile.modulus if wraps else value
    number = shown / point.scale if point.type == "f32" else shown // point.scale
    try:
        octets = struct.pack(_FORMAT[point.type], number)
    except struct.error:
        raise ValueError(f"{key} = {value} does not fit {point.type} of {profile.name}") from None
    octets = _ordered(octets, profile)
    return [int.from_bytes(octets[index : index + 2], "big") for index in range(0, len(octets), 2)]


def encode_status(profile: Profile, status: int) -> dict[int, int]:
    """The status registers, by address, with which a meter shows `words.Status` bits."""
    supply = supply_of(status)
    wanted = {str(flag.name).lower(): bool(status & flag) for flag in Status}
    wanted |= {"supply_on": supply is Supply.ON, "supply_off": supply is Supply.OFF}
    registers: dict[int, int] = {}
    for name, bits in profile.status.stated().items():
        before = registers.setdefault(bits.address, 0)
        if wanted[name]:
            registers[bits.address] = before & ~bits.mask | bits.value
    return registers


def switch_write(profile: Profile, wanted: Supply) -> Write:
    """The write for a wanted supply; UNKNOWN gives the supply back to the meter's own rules.

    Raises ForbiddenWriteError if this meter is not to be switched, or not like that.
    """
    if profile.switch is None or not profile.switchable:
        raise ForbiddenWriteError(f"{profile.name} is not switchable")
    write = {Supply.ON: profile.switch.on, Supply.OFF: profile.switch.off}.get(wanted, profile.switch.automatic)
    if write is None:
        raise ForbiddenWriteError(f"{profile.name} has no automatic mode")
    return write


def check_write(profile: Profile, write: Write) -> None:
    """Raises ForbiddenWriteError unless the profile lists the write. Asked before each write, next to the wire."""
    first, last = write.address, write.address + len(write.values) - 1
    for area in profile.forbidden:
        if area.first <= last and first <= area.last:
            raise ForbiddenWriteError(f"0x{first:04X} of {profile.name} is forbidden: {area.why}")
    if profile.switchable and profile.switch is not None and write in profile.switch.writes():
        return
    if not any(area.first <= first and last <= area.last for area in profile.allowed):
        raise ForbiddenWriteError(f"0x{first:04X} of {profile.name} is not listed as a write")


__all__ = [
    "BANDS",
    "Block",
    "Blocks",
    "ForbiddenWriteError",
    "Point",
    "PointKey",
    "Profile",
    "Sample",
    "Switch",
    "UnknownProfileError",
    "UnreadableError",
    "Write",
    "builtin_profiles",
    "check_write",
    "decode",
    "decode_point",
    "decode_status",
    "encode_point",
    "encode_status",
    "load_profile",
    "supply_of",
    "switch_write",
]
