import asyncio
import inspect
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from practice_street import START_MS, HandClock, a_master, a_street, energy_wh, free_port

from commands.simulate import simulate
from connectors.clock import EventClock
from connectors.files.site import parse_site
from connectors.modbus.profile import builtin_profiles
from connectors.modbus.street.door import DOINGS, Setting, ask
from connectors.modbus.street.meter import Fault
from connectors.modbus.street.street import Scene, build_street
from domain.units import HOUR_MS
from tariffs.loader import catalogue

ROOT = Path(__file__).parents[3]
COMMAND = (sys.executable, "-c", "import typer; from commands.simulate import simulate; typer.run(simulate)")


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
