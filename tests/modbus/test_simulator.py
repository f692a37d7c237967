import asyncio
import inspect
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusIOException
from pymodbus.framer import FramerType

from commands.simulate import simulate
from connectors.clock import EventClock
from connectors.files.site import parse_site
from connectors.modbus.load import ConstantLoad
from connectors.modbus.profile import builtin_profiles, load_profile
from connectors.modbus.simulated_meter import Fault, SimulatedMeter, Works
from connectors.modbus.simulator import (
    DOINGS,
    Bus,
    Scene,
    Setting,
    Street,
    ask,
    build_street,
    fault_setting,
)
from domain.units import HOUR_MS
from domain.words import Supply
from tariffs.loader import catalogue

START_MS = 1_751_328_000_000
ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-c", "import typer; from commands.simulate import simulate; typer.run(simulate)")
needs_mbpoll = pytest.mark.skipif(
    shutil.which("mbpoll") is None, reason="mbpoll, a foreign Modbus master, is not installed"
)


class HandClock:
    """Event time that passes when a test says so."""

    def __init__(self):
        self.ms = START_MS

    def now_ms(self):
        """Event time."""
        return self.ms


def a_street(clock, *, kind="tcp", profile="acrel-ddsy1352", units=(1, 2), memory_file=None):
    """One bus on a free loopback port, whose meters count one kilowatt (or 1 m³/h) from 10 000 on."""
    meters = {}
    for unit in units:
        works = Works(ConstantLoad(1_000), clock.now_ms())
        works.set_register(10_000)
        meters[unit] = SimulatedMeter(100 + unit, load_profile(profile), works)
    return Street([Bus("127.0.0.1", 0, kind, meters, clock)], clock, memory_file)


@asynccontextmanager
async def a_master(bus, patience=0.3):
    """A connected client of that bus, which waits `patience` seconds for a reply and asks once."""
    framer = FramerType.RTU if bus.kind == "rtu-over-tcp" else FramerType.SOCKET
    client = AsyncModbusTcpClient("127.0.0.1", port=bus.port, framer=framer, timeout=patience, retries=0)
    assert await client.connect()
    try:
        yield client
    finally:
        client.close()


async def energy_wh(client, unit=1):
    """The total register of a DDSY1352."""
    high, low = (await client.read_holding_registers(0x0215, count=2, device_id=unit)).registers
    return (high << 16 | low) * 10


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


@pytest.mark.parametrize("door", ["port", "path"])
def test_the_control_door_shows_and_disturbs_the_street(tmp_path, door):
    """From another thread, as from another process: truth about relays and registers, faults, hands, and a freeze."""

    async def story():
        clock = HandClock()
        control = str(free_port()) if door == "port" else str(tmp_path / "door")
        async with a_street(clock).open(control):
            ask_ = lambda **setting: asyncio.to_thread(ask, control, **setting)  # noqa: E731 - shorter to read
            await ask_(do="turn", meter="101", on=False)
            await ask_(do="fault", meter="000000000102", fault="stuck")
            clock.ms += HOUR_MS
            frozen = await ask_(do="freeze")
            clock.ms += HOUR_MS
            return frozen, await ask_(do="relays"), await ask_(do="registers"), await ask_(do="faults")

    frozen, relays, registers, faults = asyncio.run(story())

    assert frozen == {"at": START_MS + HOUR_MS}
    assert relays["relays"] == {"000000000101": "off", "000000000102": "on"}
    assert registers["registers"] == {"000000000101": 10_000, "000000000102": 11_000}
    assert faults["faults"] == {"000000000102": {"stuck": 1}}


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ({"do": "explode"}, "expected one of fault, faults, relays"),
        ({"do": "fault", "fault": "gremlins"}, "expected one of silent, slow"),
        ({"do": "relays", "meter": "999"}, "not in this street"),
        ({"do": "relays", "colour": "red"}, "unknown field"),
    ],
)
def test_the_control_door_refuses_by_name(tmp_path, setting, reason):
    """A line that means nothing is answered with what was expected, and the door stays open."""

    async def story():
        control = str(tmp_path / "door")
        async with a_street(HandClock()).open(control):
            with pytest.raises(ValueError, match=reason):
                await asyncio.to_thread(ask, control, **setting)
            return await asyncio.to_thread(ask, control, do="faults")

    assert asyncio.run(story()) == {"faults": {}}


def test_a_fault_that_cannot_be_read_says_what_was_expected():
    """A mistyped fault option is refused before anything is served."""
    with pytest.raises(ValueError, match="expected METER:FAULT"):
        fault_setting("silent")


def test_an_acknowledged_order_is_in_the_memory_file(tmp_path):
    """When the acknowledgement arrives, a street made anew from the file already has the relay open."""

    async def story():
        clock, memory = HandClock(), tmp_path / "memory.json"
        async with a_street(clock, memory_file=memory).open() as street, a_master(street.buses[0]) as client:
            clock.ms += HOUR_MS
            await client.write_registers(0x0057, [1, 1], device_id=1)
            again = a_street(clock, memory_file=memory)
        clock.ms += HOUR_MS
        return again.do(Setting(do="relays"))["relays"], again.do(Setting(do="registers"))["registers"]

    relays, registers = asyncio.run(story())

    assert relays == {"000000000101": "off", "000000000102": "on"}
    assert registers == {"000000000101": 11_000, "000000000102": 12_000}


def site_text(buses):
    """A site whose rooms have electricity meters, one bus per (port, kind, meters)."""
    lines = [
        '[site]\nname = "street"\nzone = "Asia/Shanghai"\ncurrency = "CNY"\n[[tariff]]\nfile = "demo-electricity"\n'
    ]
    lines += [f'[[account]]\nid = "R{number}"\n' for _, _, numbers in buses for number in numbers]
    for port, kind, numbers in buses:
        lines.append(f'[[bus]]\nname = "b{port}"\nkind = "{kind}"\nhost = "127.0.0.1"\nport = {port}\n')
        lines += [
            f'[[bus.meter]]\nunit = {unit}\nnumber = "{number:012d}"\nprofile = "acrel-ddsy1352"\n'
            f'account = "R{number}"\ntariff = "demo-electricity"\n'
            for unit, number in enumerate(numbers, start=1)
        ]
    return "".join(lines)


def free_port():
    """A loopback port that nothing listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def test_two_hundred_meters_of_a_site_file_answer_from_one_process():
    """Four buses of fifty, both kinds, every meter with its own register, and the same seed gives them again."""

    async def story():
        kinds = ("tcp", "rtu-over-tcp", "tcp", "rtu-over-tcp")
        buses = [(free_port(), kind, range(1 + 50 * b, 51 + 50 * b)) for b, kind in enumerate(kinds)]
        site = parse_site(site_text(buses), "street.toml", Path(), catalogue())
        clock = EventClock.from_now(START_MS, speed=600)
        scene = Scene(seed=5, opened_ms=START_MS)
        async with build_street(site, clock, scene).open() as street:
            readings = [await read_all(bus) for bus in street.buses]
        return readings, build_street(site, clock, scene)

    async def read_all(bus):
        async with a_master(bus, patience=2) as client:
            return [await energy_wh(client, unit) for unit in bus.meters]

    readings, again = asyncio.run(story())

    registers = [register for bus in readings for register in bus]
    opened = [meter.works.register() for meter in again.meters.values()]
    assert len(registers) == 200
    assert len(set(registers)) > 190
    assert all(
        0 <= register - at_first // 10 * 10 < 50_000 for register, at_first in zip(registers, opened, strict=True)
    )


def test_a_bus_beyond_this_machine_is_refused_unless_it_is_asked_for():
    """Nobody serves make-believe meters to a real network by accident."""
    text = site_text([(15_502, "tcp", range(1, 2))]).replace("127.0.0.1", "192.168.1.10")
    site = parse_site(text, "street.toml", Path(), catalogue())

    with pytest.raises(ValueError, match=r"192\.168\.1\.10 is not this machine"):
        build_street(site, HandClock())
    assert build_street(site, HandClock(), Scene(bind="127.0.0.1")).buses[0].host == "127.0.0.1"


def started(arguments):
    """A `simulate` process, and what it printed until it was ready."""
    process = subprocess.Popen(
        [*COMMAND, *arguments], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=os.environ
    )
    lines = []
    while not lines or not lines[-1].startswith("ready"):
        line = process.stdout.readline()
        assert line, "the simulator ended before it was ready"
        lines.append(line)
    return process, lines


def test_a_killed_street_goes_on_as_if_it_had_not_been(tmp_path):
    """After kill -9 and a new start with the same clock and memory the relay is open and its register has not moved."""
    port = free_port()
    site, control = tmp_path / "street.toml", str(tmp_path / "door")
    site.write_text(site_text([(port, "tcp", range(101, 103))]))
    clock = EventClock.from_now(START_MS, speed=3_600).to_text()
    arguments = [str(site), "--clock", clock, "--control", control, "--memory", str(tmp_path / "memory.json")]

    process, lines = started(arguments)
    ask(control, do="turn", meter="101", on=False)
    before = ask(control, do="registers")["registers"]
    process.kill()
    process.communicate()
    process, _ = started([*arguments, "--fault", "102:slow=10"])
    relays, after = ask(control, do="relays")["relays"], ask(control, do="registers")["registers"]
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)

    assert lines[0] == f"listening tcp 127.0.0.1:{port} 2 meters\n"
    assert process.returncode == 0
    assert relays == {"000000000101": "off", "000000000102": "on"}
    assert after["000000000101"] == before["000000000101"]
    assert after["000000000102"] > before["000000000102"]


def test_a_command_line_that_makes_no_sense_ends_with_what_was_expected(tmp_path):
    """A bad fault is said on one line and the exit code is 2, without a traceback."""
    site = tmp_path / "street.toml"
    site.write_text(site_text([(free_port(), "tcp", range(101, 102))]))

    ended = subprocess.run(
        [*COMMAND, str(site), "--fault", "101:gremlins"], cwd=ROOT, text=True, capture_output=True, check=False
    )

    assert ended.returncode == 2
    assert "fault 'gremlins': expected one of silent, slow" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_on_a_terminal_the_meters_are_shown_as_a_table(tmp_path):
    """A person sees listener, meter, profile and faults; then it ends on SIGTERM as on Ctrl-C."""
    site = tmp_path / "street.toml"
    site.write_text(site_text([(free_port(), "tcp", range(101, 102))]))
    ours, theirs = pty.openpty()

    process = subprocess.Popen(
        [*COMMAND, str(site), "--fault", "101:slow"], cwd=ROOT, stdout=theirs, stderr=subprocess.DEVNULL
    )
    os.close(theirs)
    shown = b""
    while b"ready" not in shown:
        shown += os.read(ours, 4_096)
    process.terminate()

    assert process.wait(timeout=10) == 0
    assert all(word in shown for word in (b"listener", b"000000000101", b"acrel-ddsy1352", b"slow"))
    os.close(ours)


def test_the_documentation_names_every_fault_line_option_and_profile():
    """What can be said to the simulator is in docs/simulator.md, word for word."""
    text = (ROOT / "docs" / "simulator.md").read_text("utf-8")
    options = [f"`--{name.replace('_', '-')}" for name in inspect.signature(simulate).parameters if name != "site_file"]

    said = [f"| `{fault}` |" for fault in Fault] + [f'{{"do": "{line}"' for line in DOINGS] + options

    assert [words for words in said if words not in text] == []
    assert [name for name in builtin_profiles() if name not in text] == []
