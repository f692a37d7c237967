"""The buses of a simulated street: Modbus TCP, or RTU frames over TCP as a transparent gateway sends them.

One listener is one bus. As on a real line one request is answered at a time, an absent or silent meter says nothing, and
broadcasts are obeyed without a reply. Promises: an order that was obeyed has been passed to `ordered` before it is
acknowledged. The frames and PDUs are pymodbus', the sockets are our own: pymodbus' server keeps one request per connection,
and would put a late answer under the number of the next request, which no meter does.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Literal

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
from connectors.modbus.street.meter import ExceptionCode, Fault, SimulatedMeter
from domain.ids import meter_text

log = structlog.get_logger(__name__)

Kind = Literal["tcp", "rtu-over-tcp"]
FRAMERS: dict[Kind, type[FramerBase]] = {"tcp": FramerSocket, "rtu-over-tcp": FramerRTU}

FRAME_GAP_SECONDS = 0.05
"""On an RTU line silence ends a frame; what came before it is not the beginning of the next."""
LONGEST_FRAME = 260
BROADCAST = 0
KNOWN_FUNCTIONS = frozenset({3, 4, 6, 16})


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
