"""The face of a simulated meter: what each kind shows in its registers besides the counters and the power.

Where energy, water and power are shown is the profile's word. The status bits and the live values around them are written
down here a second time, as in `controls.py` and for the same reason. A kind that is not known here shows its status as its
profile says.
"""

import struct
from dataclasses import dataclass
from datetime import UTC, datetime

from connectors.modbus.profile import Profile, encode_status
from domain.words import Status, Supply


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


def paint(profile: Profile, words: Words, view: View) -> None:
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
