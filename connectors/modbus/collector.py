"""The collector: meters read and switched over Modbus, one task for each bus.

Delivery guarantees. Readings: at least once from poll to log while this process lives (see `outbox.py`), one block for each
round of a bus. Commands: only the latest of a meter counts; it is written after the machine has said that it still wants
it, and VERIFIED only after it was read back (see `switching.py`). A command survives a silent meter, a bus without
connection, and a log that cannot be reached; a collector that ends leaves it open, and the next one takes it up.
"""

import asyncio
from collections.abc import Mapping

import structlog

from connectors.files.site import Site
from connectors.modbus.counters import Collected
from connectors.modbus.line import Line
from connectors.modbus.outbox import Outbox
from connectors.modbus.uplink import Clock, Uplink

RECONNECT_SECONDS = 1.0
log = structlog.get_logger(__name__)


async def collect(site: Site, uplink: Uplink, clock: Clock, counters: Collected | None = None) -> None:
    """Read and switch the site's meters until cancelled; then every connection is closed."""
    counters = counters or Collected()
    outbox = Outbox(uplink, counters)
    lines = [Line(bus, uplink, outbox, clock, counters) for bus in site.buses]
    of_meter = {meter.number: line for bus, line in zip(site.buses, lines, strict=True) for meter in bus.meters}
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(outbox.run())
        tasks.create_task(_hand_out(uplink, of_meter, counters))
        for line in lines:
            tasks.create_task(line.run())


async def _hand_out(uplink: Uplink, lines: Mapping[int, Line], counters: Collected) -> None:
    """Give every command to its meter's bus; ask for the open ones again whenever the log was out of reach."""
    while True:
        try:
            async for command in uplink.commands():
                if line := lines.get(command.meter):
                    line.take(command)
        except ConnectionError as error:
            counters.errors["uplink"] += 1
            log.warning("commands cannot be read", error=str(error))
        await asyncio.sleep(RECONNECT_SECONDS)


__all__ = ["Collected", "collect"]
