import asyncio
import re
import shutil
import subprocess
import time

import pytest
from practice_street import HandClock, a_master, a_street, energy_wh
from pymodbus.exceptions import ModbusIOException

from connectors.modbus.street.door import Setting, fault_setting
from domain.units import HOUR_MS
from domain.words import Supply

needs_mbpoll = pytest.mark.skipif(
    shutil.which("mbpoll") is None, reason="mbpoll, a foreign Modbus master, is not installed"
)


async def mbpoll(bus, *arguments):
    """Run the foreign master once and return what it printed."""
    process = await asyncio.create_subprocess_exec(
        "mbpoll", "-m", "tcp", "-p", str(bus.port), "-0", "-1", "127.0.0.1", *arguments,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


@needs_mbpoll
def test_a_foreign_master_reads_the_block_and_switches_the_meter():
    """Debian's mbpoll reads 0x0200 x 48, trips by 0x0057 = [1,1], and the register then stands until it closes again."""

    async def story():
        clock = HandClock()
        async with a_street(clock).open() as street:
            bus = street.buses[0]
            block = await mbpoll(bus, "-a", "1", "-r", str(0x0200), "-c", "48", "-t", "4:hex")
            energy = ("-a", "1", "-r", str(0x0215), "-c", "1", "-t", "4:int", "-B")
            clock.ms += HOUR_MS
            first = await mbpoll(bus, *energy)
            await mbpoll(bus, "-a", "1", "-r", str(0x0057), "-t", "4", "--", "1", "1")
            clock.ms += HOUR_MS
            tripped = await mbpoll(bus, *energy)
            await mbpoll(bus, "-a", "1", "-r", str(0x0057), "-t", "4", "--", "1", "0")
            clock.ms += HOUR_MS
            return block, [shown(output) for output in (first, tripped, await mbpoll(bus, *energy))]

    def shown(output):
        return re.findall(r"^\[\d+\]:\s+(\S+)", output, re.MULTILINE)

    block, energies = asyncio.run(story())

    assert len(shown(block)) == 48
    assert shown(block)[0] == "0x0007"
    assert energies == [["1100"], ["1100"], ["1200"]]


@pytest.mark.parametrize("kind", ["tcp", "rtu-over-tcp"])
def test_both_kinds_of_bus_answer_reads_and_orders(kind):
    """A meter is read and tripped over Modbus TCP and over RTU frames alike; its neighbour is not touched."""

    async def story():
        clock = HandClock()
        async with a_street(clock, kind=kind).open() as street, a_master(street.buses[0]) as client:
            tripped = await client.write_registers(0x0057, [1, 1], device_id=1)
            clock.ms += HOUR_MS
            return tripped, await energy_wh(client, 1), await energy_wh(client, 2)

    tripped, one, two = asyncio.run(story())

    assert not tripped.isError()
    assert (one, two) == (10_000, 11_000)


def test_a_single_register_write_is_echoed_and_not_read_back():
    """A water valve acknowledges function 06 with the word that was written, though the register then shows valve bits."""

    async def story():
        street = a_street(HandClock(), profile="xintai-water")
        street.meters[101].works.travel_ms = HOUR_MS
        async with street.open(), a_master(street.buses[0]) as client:
            echo = await client.write_register(0x001C, 2, device_id=1)
            return echo.registers, (await client.read_holding_registers(0x001C, count=1, device_id=1)).registers

    assert asyncio.run(story()) == ([2], [0])


def test_a_refusal_arrives_as_a_modbus_exception():
    """Wrong address, function and value are told apart on the wire."""

    async def story():
        async with a_street(HandClock()).open() as street, a_master(street.buses[0]) as client:
            replies = [
                await client.read_holding_registers(0x3000, count=1, device_id=1),
                await client.read_input_registers(0x0200, count=1, device_id=1),
                await client.write_registers(0x0057, [7, 7], device_id=1),
                await client.read_coils(0, count=1, device_id=1),
            ]
            return [reply.exception_code for reply in replies]

    assert asyncio.run(story()) == [2, 1, 3, 1]


def test_a_function_that_nobody_knows_is_refused():
    """Acrel's vendor function 0x20, which these meters do not simulate, gets exception 1 and not silence."""

    async def story():
        async with a_street(HandClock()).open() as street:
            reader, writer = await asyncio.open_connection("127.0.0.1", street.buses[0].port)
            writer.write(bytes.fromhex("00070000000601200100 0004".replace(" ", "")))
            reply = await asyncio.wait_for(reader.readexactly(9), 2)
            writer.close()
            return reply

    assert asyncio.run(story()) == bytes.fromhex("000700000003 01a001".replace(" ", ""))


def test_pipelined_requests_are_each_answered_under_their_own_number():
    """Three requests in one packet get three answers, in order, with their transaction ids."""

    async def story():
        async with a_street(HandClock()).open() as street:
            reader, writer = await asyncio.open_connection("127.0.0.1", street.buses[0].port)
            for number in (1, 2, 3):
                writer.write(number.to_bytes(2, "big") + bytes.fromhex("0000000601030200 0001".replace(" ", "")))
            replies = [await asyncio.wait_for(reader.readexactly(11), 2) for _ in range(3)]
            writer.close()
            return replies

    replies = asyncio.run(story())

    assert [reply[1] for reply in replies] == [1, 2, 3]
    assert {reply[2:] for reply in replies} == {bytes.fromhex("00000005 01 03 02 0007".replace(" ", ""))}


@pytest.mark.parametrize("kind", ["tcp", "rtu-over-tcp"])
def test_a_silent_or_absent_meter_says_nothing_and_its_neighbour_answers(kind):
    """Silence costs the master its timeout, and nobody else anything."""

    async def story():
        street = a_street(HandClock(), kind=kind)
        street.do(Setting(do="fault", meter="101", fault="silent"))
        async with street.open(), a_master(street.buses[0], patience=0.15) as client:
            for unit in (1, 99):
                with pytest.raises(ModbusIOException, match="No response"):
                    await client.read_holding_registers(0x0200, count=1, device_id=unit)
            neighbour = await energy_wh(client, 2)
            street.do(Setting(do="fault", meter="101", fault="silent", on=False))
            return neighbour, await energy_wh(client, 1)

    assert asyncio.run(story()) == (10_000, 10_000)


def test_a_slow_meter_keeps_the_whole_bus_waiting():
    """While a slow meter thinks, its neighbour's answer to another master waits, as on one pair of wires."""

    async def story():
        street = a_street(HandClock())
        street.do(Setting(do="fault", meter="101", fault="slow", value=200))
        async with street.open(), a_master(street.buses[0], 2) as one, a_master(street.buses[0], 2) as two:
            slow = asyncio.create_task(energy_wh(one, 1))
            while not street.buses[0]._line.locked():  # noqa: ASYNC110 - the lock has no event to wait for
                await asyncio.sleep(0)
            began = time.monotonic()
            neighbour = await energy_wh(two, 2)
            return await slow, neighbour, time.monotonic() - began

    slow, neighbour, seconds = asyncio.run(story())

    assert (slow, neighbour) == (10_000, 10_000)
    assert seconds >= 0.15


def test_a_late_reply_over_rtu_is_taken_for_the_answer_to_the_next_request():
    """The field's false spike can be practised: one register asked for, forty-eight arrive, from the request before."""

    async def story():
        street = a_street(HandClock(), kind="rtu-over-tcp")
        street.do(Setting(do="fault", meter="101", fault="late", value=250))
        async with street.open(), a_master(street.buses[0], patience=0.2) as client:
            with pytest.raises(ModbusIOException, match="No response"):
                await client.read_holding_registers(0x0200, count=48, device_id=1)
            return (await client.read_holding_registers(0x0201, count=1, device_id=1)).registers

    registers = asyncio.run(story())

    assert len(registers) == 48
    assert registers[0] == 7


def test_a_late_reply_over_tcp_carries_its_own_number_and_is_not_believed():
    """Over Modbus TCP the same late reply is recognised by its transaction id and dropped."""

    async def story():
        street = a_street(HandClock())
        street.do(Setting(do="fault", meter="101", fault="late", value=250))
        async with street.open(), a_master(street.buses[0], patience=0.2) as client:
            with pytest.raises(ModbusIOException, match="No response"):
                await client.read_holding_registers(0x0200, count=48, device_id=1)
            return (await client.read_holding_registers(0x0200, count=2, device_id=2)).registers

    assert len(asyncio.run(story())) == 2


@pytest.mark.parametrize(("fault", "shown"), [("exception=6", "exception 6"), ("glitch", 0), ("reset", 0)])
def test_a_fault_from_the_command_line_is_seen_by_a_master(fault, shown):
    """A fault's name and number, as typed, is what the wire then shows."""

    async def story():
        street = a_street(HandClock())
        street.do(fault_setting(f"000000000101:{fault}"))
        async with street.open(), a_master(street.buses[0]) as client:
            reply = await client.read_holding_registers(0x0215, count=2, device_id=1)
            return f"exception {reply.exception_code}" if reply.isError() else sum(reply.registers)

    assert asyncio.run(story()) == shown


def test_a_stuck_relay_is_acknowledged_on_the_wire_and_counts_on():
    """The write succeeds and the energy goes on: only reading back tells."""

    async def story():
        clock = HandClock()
        street = a_street(clock)
        street.do(fault_setting("101:stuck"))
        async with street.open(), a_master(street.buses[0]) as client:
            echo = await client.write_registers(0x0057, [1, 1], device_id=1)
            clock.ms += HOUR_MS
            return echo.isError(), await energy_wh(client)

    assert asyncio.run(story()) == (False, 11_000)


def test_a_wrapped_counter_goes_on_from_zero_on_the_wire():
    """A counter 0.1 kWh below its width shows the top of the range, and an hour later 0.9 kWh."""

    async def story():
        clock = HandClock()
        street = a_street(clock)
        street.do(fault_setting("101:wrap=100"))
        async with street.open(), a_master(street.buses[0]) as client:
            before = await energy_wh(client)
            clock.ms += HOUR_MS
            return before, await energy_wh(client)

    assert asyncio.run(story()) == (42_949_672_860, 900)


def test_a_broadcast_is_obeyed_by_all_and_answered_by_none():
    """A write to unit 0 trips every meter of the bus without a reply."""

    async def story():
        street = a_street(HandClock())
        async with street.open(), a_master(street.buses[0]) as client:
            await client.write_registers(0x0057, [1, 1], device_id=0, no_response_expected=True)
            await energy_wh(client)
            return [meter.works.position for meter in street.meters.values()]

    assert asyncio.run(story()) == [Supply.OFF, Supply.OFF]
