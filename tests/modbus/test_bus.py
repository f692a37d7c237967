import asyncio
import os
import pty
import socket
import threading
from contextlib import suppress

import pytest
from rtu_peer import RtuPeer, crc

from connectors.modbus.bus import (
    AcknowledgedError,
    Bus,
    BusError,
    BusyError,
    GatewayError,
    LinkDownError,
    RefusedError,
    SilentMeterError,
    WrongReplyError,
    exception_of,
)
from connectors.modbus.profile import Block, ForbiddenWriteError, Write, load_profile
from connectors.modbus.wire import Wire

FOUR = Block(address=0, count=4)


def rtu(peer, timeout_ms=150):
    """A bus to the peer."""
    return Bus(Wire(name="east", kind="rtu-over-tcp", host="127.0.0.1", port=peer.port, timeout_ms=timeout_ms))


def free_port():
    """A port of loopback on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_late_reply_is_never_the_answer_to_the_next_request():
    """An answer that comes after its timeout is not taken for the answer to a later request of the same length."""

    async def scene():
        async with RtuPeer().open() as peer:
            peer.put(5, 0, [1, 2, 3, 4, 5, 6, 7, 8, 9])
            peer.put(5, 100, [101, 102, 103, 104])
            bus = rtu(peer)
            taken = []
            for late in (0.2, 0.3, 0.45, 0.6):
                peer.delays[5] = [late]
                with pytest.raises(SilentMeterError):
                    await bus.read(5, FOUR)
                while True:
                    with suppress(BusError):
                        taken.append(await bus.read(5, Block(address=100, count=4)))
                        break
            bus.close()
            return taken

    taken = asyncio.run(scene())

    assert taken == [[101, 102, 103, 104]] * 4


def answer_the_fourth(door):
    """Drop three connections as they begin, then answer whatever is asked for four registers."""
    for _ in range(3):
        door.accept()[0].close()
    connection, _ = door.accept()
    with connection:
        while request := connection.recv(64):
            connection.sendall(request[:4] + bytes([0, 11, 5, 3, 8, 0, 1, 0, 2, 0, 3, 0, 4]))


def test_a_connection_that_ends_as_it_begins_is_made_again():
    """A gateway that takes a connection and drops it at once is connected to anew, and its meters are read when it lets us."""

    async def scene(port):
        bus = Bus(Wire(name="east", kind="tcp", host="127.0.0.1", port=port, timeout_ms=150))
        for _ in range(20):
            with suppress(BusError):
                return await bus.read(5, FOUR), bus.close()
        bus.close()
        return None

    with socket.create_server(("127.0.0.1", 0)) as door:
        threading.Thread(target=answer_the_fourth, args=(door,), daemon=True).start()
        found = asyncio.run(scene(door.getsockname()[1]))

    assert found == ([1, 2, 3, 4], None)


def test_a_late_echo_is_not_the_answer_to_a_read():
    """The echo of a write that was given up is recognised by its function and not read as registers."""

    async def scene():
        async with RtuPeer().open() as peer:
            peer.put(5, 0, [1, 2, 3, 4])
            peer.put(5, 0x1A, [0, 0, 0])
            bus = rtu(peer)
            peer.delays[5] = [0.3]
            with pytest.raises(SilentMeterError):
                await bus.write(5, load_profile("dds238-2-zn-sr"), Write(address=0x1A, values=(1,)))
            while True:
                with suppress(BusError):
                    return await bus.read(5, FOUR), peer.writes(), bus.close()

    registers, writes, _ = asyncio.run(scene())

    assert registers == [1, 2, 3, 4]
    assert writes == [(0x1A, 1)], "an unanswered write was sent again"


def test_a_reply_of_another_length_is_refused():
    """Fewer registers than asked for are no answer."""

    async def scene():
        async with RtuPeer().open() as peer:
            peer._answer = lambda _request: bytes([3, 4, 0, 1, 0, 2])
            bus = rtu(peer)
            with pytest.raises(WrongReplyError, match="2 registers"):
                await bus.read(5, FOUR)
            bus.close()

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (0x01, RefusedError),
        (0x02, RefusedError),
        (0x03, RefusedError),
        (0x04, BusyError),
        (0x05, AcknowledgedError),
        (0x06, BusyError),
        (0x0A, GatewayError),
        (0x0B, GatewayError),
        (0x63, RefusedError),
    ],
)
def test_exception_codes_have_a_meaning(code, error):
    """Each exception code says whether to ask never, again, or later."""
    assert type(exception_of(code)) is error


def test_an_exception_reply_is_raised_with_its_code():
    """What the meter or gateway says is what the caller gets."""

    async def scene():
        async with RtuPeer().open() as peer:
            peer.codes[5] = [0x0B]
            bus = rtu(peer)
            with pytest.raises(GatewayError) as caught:
                await bus.read(5, FOUR)
            bus.close()
            return caught.value.code

    assert asyncio.run(scene()) == 0x0B


def test_silent_meters_do_not_cost_a_tcp_connection():
    """Many unanswered requests in a row leave a Modbus TCP connection open, for the meters that do answer."""

    async def scene():
        connections = []

        async def talk(reader, writer):
            connections.append(writer)
            with suppress(asyncio.IncompleteReadError):
                while head := await reader.readexactly(12):
                    if head[6] == 1:
                        writer.write(head[:5] + bytes([5, 1, 3, 2, 0, 42]))
            writer.close()

        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        bus = Bus(Wire(name="east", kind="tcp", host="127.0.0.1", port=port, timeout_ms=50))
        for _ in range(8):
            with pytest.raises(SilentMeterError):
                await bus.read(2, FOUR)
        registers = await bus.read(1, Block(address=0, count=1))
        bus.close()
        server.close()
        await connections[0].wait_closed()
        return len(connections), registers

    assert asyncio.run(scene()) == (1, [42])


def test_a_forbidden_write_never_reaches_the_wire():
    """A write that the profile does not list is refused before a byte is sent."""

    async def scene():
        async with RtuPeer().open() as peer:
            bus = rtu(peer)
            with pytest.raises(ForbiddenWriteError, match="energy"):
                await bus.write(5, load_profile("dds238-2-zn-sr"), Write(address=0, values=(0,)))
            bus.close()
            return peer.requests, peer.connections

    assert asyncio.run(scene()) == ([], 0)


def test_a_write_uses_the_function_of_its_profile():
    """The valve is written with function 06, the relay of a DDS238 with 16."""

    async def scene():
        async with RtuPeer().open() as peer:
            bus = rtu(peer)
            await bus.write(5, load_profile("xintai-water"), Write(address=0x1C, values=(2,)))
            await bus.write(6, load_profile("dds238-2-zn-sr"), Write(address=0x1A, values=(0,)))
            bus.close()
            return [(each.unit, each.function, each.values) for each in peer.requests]

    assert asyncio.run(scene()) == [(5, 6, (2,)), (6, 16, (0,))]


def test_a_write_asks_leave_when_the_line_is_ready():
    """Leave is asked after the connection, the read that proves older answers gone and the gap; without it nothing is written."""
    gap_ms = 200

    async def scene(answer):
        async with RtuPeer().open() as peer:
            peer.put(5, 0, [1, 2, 3, 4])
            bus = rtu(peer)
            loop, asked = asyncio.get_running_loop(), []

            async def may_i():
                asked.append((len(peer.requests), loop.time()))
                return answer

            peer.silent = {5}
            with pytest.raises(SilentMeterError):
                await bus.read(5, FOUR)
            peer.silent = set()
            start = loop.time()
            profile, write = load_profile("dds238-2-zn-sr"), Write(address=0x1A, values=(0,))
            sent = await bus.write(5, profile, write, gap_ms=gap_ms, may_i=may_i)
            bus.close()
            ((requests, moment),) = asked
            return sent, peer.writes(), requests, moment - start >= 2 * gap_ms / 1000

    assert asyncio.run(scene(answer=True)) == (True, [(0x1A, 0)], 2, True)
    assert asyncio.run(scene(answer=False)) == (False, [], 2, True)


def test_nobody_listening_is_a_link_that_is_down():
    """A gateway that is off is told apart from a silent meter."""

    async def scene():
        bus = Bus(Wire(name="east", kind="tcp", host="127.0.0.1", port=free_port(), timeout_ms=200))
        with pytest.raises(LinkDownError, match="no connection"):
            await bus.read(1, FOUR)

    asyncio.run(scene())


def test_a_restarted_gateway_is_found_again():
    """After the connection was lost the next request opens a new one."""

    async def scene():
        async with RtuPeer().open() as peer:
            peer.put(5, 0, [1, 2, 3, 4])
            bus = rtu(peer)
            first = await bus.read(5, FOUR)
            peer._newest.close()
            while True:
                with suppress(BusError):
                    second = await bus.read(5, FOUR)
                    break
            bus.close()
            return first, second, peer.connections

    assert asyncio.run(scene()) == ([1, 2, 3, 4], [1, 2, 3, 4], 2)


def test_a_gap_is_kept_between_requests():
    """A meter that drops back-to-back requests gets the pause that its profile asks for."""

    async def scene():
        async with RtuPeer().open() as peer:
            peer.put(5, 0, [1, 2, 3, 4])
            bus = rtu(peer)
            loop = asyncio.get_running_loop()
            await bus.read(5, FOUR)
            start = loop.time()
            await bus.read(5, FOUR, gap_ms=80)
            bus.close()
            return loop.time() - start

    assert asyncio.run(scene()) >= 0.08


def test_a_serial_line_is_read():
    """The same bus over a serial device (a pseudo terminal)."""

    async def scene():
        ours, theirs = pty.openpty()
        reply = bytes([5, 3, 4, 0, 7, 0, 8])

        def answer():
            if len(os.read(ours, 256)) == 8:
                os.write(ours, reply + crc(reply))

        loop = asyncio.get_running_loop()
        loop.add_reader(ours, answer)
        bus = Bus(Wire(name="east", kind="serial", device=os.ttyname(theirs), timeout_ms=500))
        try:
            return await bus.read(5, Block(address=0, count=2))
        finally:
            bus.close()
            loop.remove_reader(ours)
            os.close(ours)
            os.close(theirs)

    assert asyncio.run(scene()) == [7, 8]


def test_a_serial_device_that_is_not_there_is_a_link_that_is_down(tmp_path):
    """An adapter that was pulled out does not end the collector."""

    async def scene():
        bus = Bus(Wire(name="east", kind="serial", device=str(tmp_path / "ttyUSB9"), timeout_ms=200))
        with pytest.raises(LinkDownError):
            await bus.read(1, FOUR)

    asyncio.run(scene())
