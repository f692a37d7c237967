"""The control door: where a running street is watched and disturbed from outside of Modbus.

One JSON object per line in, one out; docs/simulator.md has the words. It tells what no meter tells, the true positions of
relays and the true counts, so that a test can hold a bill against them. It has no lock, and listens on loopback or at a
unix socket only. What is refused is refused by name.
"""

import asyncio
import json
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import msgspec
import structlog

from connectors.clock import Clock
from connectors.modbus.street.meter import Fault, SimulatedMeter
from domain.ids import meter_text
from domain.words import Supply

PORT_MAX = 65_535
log = structlog.get_logger(__name__)


class Setting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line at the control door. `do` is one of `DOINGS`; the rest is for those that need it."""

    do: str
    meter: str = ""
    fault: str = ""
    on: bool = True
    value: int | None = None


class StreetBehind(Protocol):
    """What the door needs of the street behind it."""

    clock: Clock

    def chosen(self, setting: Setting) -> list[SimulatedMeter]:
        """The meter that a line names, or all of them. Raises ValueError for one that is not there."""

    def remember(self) -> None:
        """Keep what was done to meters over a restart."""


def fault_setting(text: str) -> Setting:
    """A fault as it is said on a command line: `METER:FAULT`, or `METER:FAULT=VALUE`. Raises ValueError."""
    meter, _, rest = text.partition(":")
    fault, _, value = rest.partition("=")
    if not meter or not fault or (value and not value.isdigit()):
        raise ValueError(f"fault {text!r}: expected METER:FAULT or METER:FAULT=NUMBER, such as 000000000101:slow=300")
    return Setting(do="fault", meter=meter, fault=fault, value=int(value) if value else None)


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


async def open_door(where: str, street: StreetBehind) -> asyncio.Server:
    """Listen at a loopback port or a unix socket, until the server is closed."""

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


def carry_out(street: StreetBehind, setting: Setting) -> dict[str, Any]:
    """Do what one line asks. Raises ValueError that says what was expected."""
    doing = DOINGS.get(setting.do)
    if doing is None:
        raise ValueError(f"do {setting.do!r}: expected one of {', '.join(DOINGS)}")
    return doing(street, setting)


def _control(street: StreetBehind, line: bytes) -> dict[str, Any]:
    try:
        return {"ok": True} | carry_out(street, msgspec.json.decode(line, type=Setting))
    except (ValueError, msgspec.MsgspecError) as error:
        return {"ok": False, "error": str(error)}


def _door_address(where: str) -> tuple[Path | None, tuple[str, int]]:
    """A path of a unix socket, or a loopback port: whatever is not all digits is a path. Raises ValueError."""
    if where.isdecimal():
        if not 1 <= int(where) <= PORT_MAX:
            raise ValueError(f"control {where}: expected a port from 1 to {PORT_MAX}, or the path of a unix socket")
        return None, ("127.0.0.1", int(where))
    return Path(where), ("", 0)


def _fault(street: StreetBehind, setting: Setting) -> dict[str, Any]:
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


def _faults(street: StreetBehind, setting: Setting) -> dict[str, Any]:
    """The faults that are on, by meter."""
    return {"faults": {meter_text(m.number): dict(m.faults) for m in street.chosen(setting) if m.faults}}


def _relays(street: StreetBehind, setting: Setting) -> dict[str, Any]:
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


def _registers(street: StreetBehind, setting: Setting) -> dict[str, Any]:
    """What each meter has truly counted, in Wh or litres, before any wrap or glitch."""
    now_ms = street.clock.now_ms()
    for meter in street.chosen(setting):
        meter.works.advance(now_ms)
    return {
        "at": now_ms,
        "registers": {meter_text(meter.number): meter.works.register() for meter in street.chosen(setting)},
    }


def _turn(street: StreetBehind, setting: Setting) -> dict[str, Any]:
    """Somebody in the room moves the breaker or the tap by hand; no order was given."""
    for meter in street.chosen(setting):
        meter.works.turn(Supply.ON if setting.on else Supply.OFF, street.clock.now_ms())
    street.remember()
    return {"meters": len(street.chosen(setting))}


def _freeze(street: StreetBehind, setting: Setting) -> dict[str, Any]:
    """Stop all consumption (`on` false: resume), so that registers can be compared with bills at leisure."""
    now_ms = street.clock.now_ms()
    for meter in street.chosen(setting):
        meter.works.freeze(now_ms, frozen=setting.on)
    return {"at": now_ms}


DOINGS: dict[str, Callable[[StreetBehind, Setting], dict[str, Any]]] = {
    "fault": _fault,
    "faults": _faults,
    "relays": _relays,
    "registers": _registers,
    "turn": _turn,
    "freeze": _freeze,
}
"""What the control door understands; docs/simulator.md."""
