"""A street of one bus to tell stories about: its clock, its meters, a master that asks them, and a free port."""

import socket
from contextlib import asynccontextmanager

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.framer import FramerType

from connectors.modbus.profile import load_profile
from connectors.modbus.street.load import ConstantLoad
from connectors.modbus.street.meter import SimulatedMeter
from connectors.modbus.street.servers import Bus
from connectors.modbus.street.street import Street
from connectors.modbus.street.works import Works

START_MS = 1_751_328_000_000


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


def free_port():
    """A loopback port that nothing listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]
