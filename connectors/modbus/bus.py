"""One bus: one connection to meters, over Modbus TCP, RTU over TCP or a serial line. The only file that knows pymodbus.

Promise: a request is sent at most once, and what `read` returns is the answer to that very request or an error. Nothing
is retried here, because a write that was retried may have been done twice. A write that raises may or may not have been
done; only reading back tells. One task at a time uses a bus.

RTU frames carry no number, so over `rtu-over-tcp` and `serial` a late answer looks like the answer to the next request to
the same meter, and pymodbus takes it for that. Therefore, after a request that was not answered properly, the connection
is closed, the line gets a quiet time, and that meter is first asked for a different number of registers than any
unanswered request: meters and gateways answer in order, so an answer of that very length proves that older ones have gone.
Modbus TCP numbers its frames, and pymodbus compares the numbers.

    BusError                     `except BusError` is always enough
    ├── LinkDownError            no connection to the gateway or the serial port
    ├── SilentMeterError         no answer in time
    ├── WrongReplyError          an answer that cannot be the one to this request
    └── ModbusError              the meter or the gateway answered with an exception code
        ├── RefusedError         01 02 03 and unknown ones: wrong map or value, do not ask again
        ├── AcknowledgedError    05: accepted, takes longer; ask again
        ├── BusyError            04 06: failed or busy; ask again later
        └── GatewayError         0A 0B: the gateway has no answer from the meter; as good as silent

A write that the profile does not list raises `profile.ForbiddenWriteError` before anything is sent. Making the line ready
for a write may take seconds, so its `may_i` is asked after that: between its yes and the first byte nothing is waited for.
"""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from pymodbus import FramerType
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.exceptions import ConnectionException, ModbusException

from connectors.cancellation import heed_cancellation
from connectors.modbus.profile import Block, Profile, Write, check_write
from connectors.modbus.wire import Wire

QUIET_SECONDS = 0.1
"""A 9600-baud line carries some 90 registers in this time: whatever was under way has passed."""
NEVER = 1_000_000_000
"""Unanswered requests after which pymodbus would close the link on its own: silent meters are our business."""
GRACE_SECONDS = 1.0
BARRIER_LENGTHS = range(1, 9)
"""Short, so that they fit every map; enough that an answer would have to be eight requests late to deceive."""
MayI = Callable[[], Awaitable[bool]]
"""Whether a write is still to be done, asked when the line is ready for it."""
_PARITY = {"none": "N", "even": "E", "odd": "O"}

_OPEN_ERRORS: tuple[type[Exception], ...] = (OSError, ValueError)
if sys.platform != "win32":
    import termios

    _OPEN_ERRORS += (termios.error,)  # A port that cannot do this parity or speed; no OSError, whatever one expects.

# Every failure is raised to the caller, who counts it; pymodbus would also print it, once per silent meter and round.
logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)


class BusError(Exception):
    """Something between us and a meter. `kind` is its name in metrics."""

    kind = "bus"


class LinkDownError(BusError):
    """No connection to the gateway or the serial port."""

    kind = "link_down"


class SilentMeterError(BusError):
    """No answer in time."""

    kind = "silent"


class WrongReplyError(BusError):
    """An answer that cannot be the one to this request."""

    kind = "wrong_reply"


class ModbusError(BusError):
    """An exception code instead of an answer."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(f"Modbus exception {code:02X}")


class RefusedError(ModbusError):
    """01 function, 02 address, 03 value: it will never work, so it is not asked again."""

    kind = "refused"


class AcknowledgedError(ModbusError):
    """05: accepted, and takes longer."""

    kind = "acknowledged"


class BusyError(ModbusError):
    """04 failed, 06 busy."""

    kind = "busy"


class GatewayError(ModbusError):
    """0A no path, 0B no answer from the meter."""

    kind = "gateway"


_EXCEPTIONS: dict[int, type[ModbusError]] = {
    0x04: BusyError,
    0x05: AcknowledgedError,
    0x06: BusyError,
    0x0A: GatewayError,
    0x0B: GatewayError,
}


def exception_of(code: int) -> ModbusError:
    """The error that a Modbus exception code means."""
    return _EXCEPTIONS.get(code, RefusedError)(code)


@dataclass(slots=True)
class _Unanswered:
    """Where a meter was asked without an answer, and when last for each length that its answer may have."""

    address: int
    function: int
    asked_at: dict[int, float] = field(default_factory=dict)

    def other_length(self) -> int:
        """The shortest length that was not asked for, or else the one asked for longest ago."""
        return min(BARRIER_LENGTHS, key=lambda length: self.asked_at.get(length, 0.0))


async def always() -> bool:
    """Leave for a write that nothing can make superfluous."""
    return True


class Bus:
    """A line to meters that connects when it is first used, and again after it was closed.

    `busy_seconds` is the time that requests were under way.
    """

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.busy_seconds = 0.0
        self._client: Any = None
        self._answered_at = 0.0
        self._quiet_until = 0.0
        self._unanswered: dict[int, _Unanswered] = {}

    async def read(self, unit: int, block: Block, *, function: int = 3, gap_ms: int = 0) -> list[int]:
        """The registers of a block, exactly `block.count` of them. Raises BusError."""
        await self._barrier(unit, gap_ms)
        return await self._read(unit, block, function, gap_ms)

    async def write(self, unit: int, profile: Profile, write: Write, *, gap_ms: int = 0, may_i: MayI = always) -> bool:
        """Send a write that the profile lists, once. True when the meter has echoed it, which proves nothing about its relay.

        False when `may_i`, asked once the line is ready, said no: nothing was written. Raises ForbiddenWriteError before
        sending; after a BusError the write may or may not have been done if `may_i` said yes, and was not if it was not asked.
        """
        check_write(profile, write)
        assert 1 <= unit <= 247, "a broadcast switches every meter of the line"
        await self._barrier(unit, gap_ms)
        values = list(write.values)

        async def send(client: Any) -> Any:
            if profile.write_function == 6:
                return await client.write_register(write.address, values[0], device_id=unit)
            return await client.write_registers(write.address, values, device_id=unit)

        client = await self._connected(gap_ms)
        if not await may_i():
            return False
        reply = await self._ask(unit, _Unanswered(write.address, profile.read_function), client, send)
        echoed = (reply.function_code, reply.address)
        if echoed != (profile.write_function, write.address):
            raise self._wrong(unit, _Unanswered(write.address, profile.read_function), f"echo of {echoed}")
        return True

    def close(self) -> None:
        """Close the connection. The next request opens it again."""
        if self._client is not None:
            self._client.close()
            self._client = None

    async def _barrier(self, unit: int, gap_ms: int) -> None:
        """Prove that no older answer of this meter is still on its way."""
        older = self._unanswered.get(unit)
        if older is None:
            return
        try:
            await self._read(unit, Block(address=older.address, count=older.other_length()), older.function, gap_ms)
        except RefusedError:
            # A map with holes may not allow this length; then only a whole timeout of silence helps.
            await asyncio.sleep(self.wire.timeout_ms / 1000)
        self._unanswered.pop(unit, None)

    async def _read(self, unit: int, block: Block, function: int, gap_ms: int) -> list[int]:
        asked = _Unanswered(block.address, function, {block.count: monotonic()})

        async def send(client: Any) -> Any:
            ask = client.read_input_registers if function == 4 else client.read_holding_registers
            return await ask(block.address, count=block.count, device_id=unit)

        reply = await self._ask(unit, asked, await self._connected(gap_ms), send)
        if reply.function_code != function or len(reply.registers) != block.count:
            said = f"function {reply.function_code} with {len(reply.registers)} registers"
            raise self._wrong(unit, asked, f"{said} to function {function} for {block.count}")
        return list(reply.registers)

    async def _ask(self, unit: int, asked: _Unanswered, client: Any, send: Callable[[Any], Awaitable[Any]]) -> Any:
        """One request and its answer. The deadline is ours; pymodbus' own, a second earlier, should make it superfluous."""
        start = monotonic()
        try:
            async with asyncio.timeout(self.wire.timeout_ms / 1000 + GRACE_SECONDS):
                reply = await send(client)
            heed_cancellation()
        except ConnectionException:
            self.close()
            raise LinkDownError(f"{self.wire.name}: lost the connection to {self.wire.place}") from None
        except TimeoutError:
            self.close()
            raise self._silent(unit, asked) from None
        except ModbusException:
            raise self._silent(unit, asked) from None
        except asyncio.CancelledError:
            self.close()  # Its answer is still to come; nobody must read it.
            raise
        finally:
            self._answered_at = monotonic()
            self.busy_seconds += self._answered_at - start
        if reply.isError():
            raise exception_of(reply.exception_code)
        return reply

    async def _connected(self, gap_ms: int) -> Any:
        if self._client is None or not _is_open(self._client):
            await self._connect()
        # After a lost answer the new connection is quiet first: a transparent gateway may hand the old answer to it.
        await _until(max(self._answered_at + gap_ms / 1000, self._quiet_until))
        return self._client

    async def _connect(self) -> None:
        self.close()
        client = _client(self.wire)
        client.set_max_no_responses(NEVER)  # Has an effect before connect() only.
        try:
            is_open = await client.connect()
        except _OPEN_ERRORS as error:
            client.close()
            raise LinkDownError(f"{self.wire.name}: cannot open {self.wire.place}: {error}") from None
        self._client = client
        heed_cancellation()
        if not is_open:
            self.close()
            raise LinkDownError(f"{self.wire.name}: no connection to {self.wire.place}")

    def _silent(self, unit: int, asked: _Unanswered) -> SilentMeterError:
        """Also when the connection was closed meanwhile: some gateways do that to say that a meter is silent."""
        self._distrust(unit, asked)
        return SilentMeterError(f"{self.wire.name}: unit {unit} did not answer in {self.wire.timeout_ms} ms")

    def _wrong(self, unit: int, asked: _Unanswered, said: str) -> WrongReplyError:
        self._distrust(unit, asked)
        self.close()
        return WrongReplyError(f"{self.wire.name}: unit {unit} answered {said}")

    def _distrust(self, unit: int, asked: _Unanswered) -> None:
        if self.wire.kind == "tcp":
            return
        known = self._unanswered.setdefault(unit, asked)
        known.asked_at |= asked.asked_at
        self.close()
        self._quiet_until = monotonic() + QUIET_SECONDS


def _is_open(client: Any) -> bool:
    """Whether the connection is there. Of one that was lost while it was made, pymodbus alone says that it is, for ever."""
    return bool(client.connected and not client.ctx.transport.is_closing())


async def _until(moment: float) -> None:
    if (wait := moment - monotonic()) > 0:
        await asyncio.sleep(wait)


def _client(wire: Wire) -> Any:
    seconds = wire.timeout_ms / 1000
    if wire.kind == "serial":
        return AsyncModbusSerialClient(
            wire.device, baudrate=wire.baud, parity=_PARITY[wire.parity], timeout=seconds, retries=0, reconnect_delay=0
        )
    framer = FramerType.SOCKET if wire.kind == "tcp" else FramerType.RTU
    return AsyncModbusTcpClient(wire.host, port=wire.port, framer=framer, timeout=seconds, retries=0, reconnect_delay=0)
