"""Meters behind a transparent gateway, as a test peer: RTU frames over TCP, written from the standard and without pymodbus.

Like a real line it answers one request at a time, in order, and hands every answer to its newest connection, however late.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


def crc(frame: bytes) -> bytes:
    """Modbus CRC-16, low byte first."""
    value = 0xFFFF
    for octet in frame:
        value ^= octet
        for _ in range(8):
            value = value >> 1 ^ 0xA001 if value & 1 else value >> 1
    return value.to_bytes(2, "little")


@dataclass(frozen=True)
class Request:
    """One request as it came over the wire."""

    unit: int
    function: int
    address: int
    count: int
    values: tuple[int, ...] = ()

    @property
    def is_write(self) -> bool:
        """Whether it changes registers."""
        return self.function in {6, 16}


@dataclass
class RtuPeer:
    """What the meters hold and how they misbehave. `delays` and `codes` are used up, one for each request of a unit."""

    registers: dict[int, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))
    silent: set[int] = field(default_factory=set)
    delays: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    codes: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    on_write: Callable[[Request], None] = lambda _request: None
    on_request: Callable[[], None] = lambda: None
    requests: list[Request] = field(default_factory=list)
    port: int = 0
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)
    _newest: asyncio.StreamWriter | None = None
    _queue: asyncio.Queue[Request] = field(default_factory=asyncio.Queue)

    @asynccontextmanager
    async def open(self) -> AsyncIterator["RtuPeer"]:
        """Listen on loopback."""
        server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        line = asyncio.create_task(self._line())
        try:
            yield self
        finally:
            line.cancel()
            server.close()
            with suppress(asyncio.CancelledError):
                await line
            for writer in self._writers:
                writer.close()
                with suppress(ConnectionError):
                    await writer.wait_closed()

    @property
    def connections(self) -> int:
        """How many there have been."""
        return len(self._writers)

    def writes(self, unit: int | None = None) -> list[tuple[int, ...]]:
        """Address and values of every write so far."""
        return [(each.address, *each.values) for each in self.requests if each.is_write and unit in {None, each.unit}]

    def put(self, unit: int, address: int, values: list[int]) -> None:
        """Set registers."""
        self.registers[unit] |= {address + index: value for index, value in enumerate(values)}

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        self._newest = writer
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await self._queue.put(await self._request(reader))
        writer.close()

    async def _request(self, reader: asyncio.StreamReader) -> Request:
        head = await reader.readexactly(6)
        unit, function, address = head[0], head[1], int.from_bytes(head[2:4], "big")
        last = int.from_bytes(head[4:6], "big")
        if function != 16:
            assert crc(head) == await reader.readexactly(2)
            return Request(unit, function, address, 1 if function == 6 else last, (last,) if function == 6 else ())
        rest = await reader.readexactly(1 + 2 * last)
        assert crc(head + rest) == await reader.readexactly(2)
        values = tuple(int.from_bytes(rest[1 + 2 * i : 3 + 2 * i], "big") for i in range(last))
        return Request(unit, function, address, last, values)

    async def _line(self) -> None:
        while True:
            request = await self._queue.get()
            self.requests.append(request)
            self.on_request()
            delays = self.delays[request.unit]
            await asyncio.sleep(delays.pop(0) if delays else 0)
            if request.unit not in self.silent and self._newest is not None:
                frame = bytes([request.unit]) + self._answer(request)
                self._newest.write(frame + crc(frame))

    def _answer(self, request: Request) -> bytes:
        codes = self.codes[request.unit]
        if codes and (code := codes.pop(0)):
            return bytes([request.function | 0x80, code])
        registers = self.registers[request.unit]
        if request.is_write:
            self.on_write(request)
            last = request.values[0] if request.function == 6 else request.count
            return bytes([request.function]) + request.address.to_bytes(2, "big") + last.to_bytes(2, "big")
        words = [registers.get(request.address + index) for index in range(request.count)]
        if None in words:
            return bytes([request.function | 0x80, 2])
        return bytes([request.function, 2 * len(words)]) + b"".join((word or 0).to_bytes(2, "big") for word in words)
