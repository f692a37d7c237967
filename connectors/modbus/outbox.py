"""Reports on their way to the log, kept while it cannot be reached.

Delivery guarantee: at least once and in order, as long as this process lives. A report whose delivery raised
ConnectionError is made again, although it may have arrived; the machine tells repeats. When more than `blocks_max` blocks of
readings wait, the oldest block is let go and counted: registers are cumulative, so a later reading has its energy, and only
its time is lost. What became of commands, refused answers and purchase counts are few and never let go. A process that ends loses what
waits: readings are taken again, and commands are open until somebody reports them.
"""

import asyncio
from collections import deque

import structlog

from connectors.modbus.counters import Collected
from connectors.modbus.uplink import Uplink
from domain.facts import CommandReported, PurchasesCounted, ReadingBlock, ReadingRefused

Report = ReadingBlock | CommandReported | ReadingRefused | PurchasesCounted
BLOCKS_MAX = 2_000
PAUSE_SECONDS_MAX = 5.0

log = structlog.get_logger(__name__)


class Outbox:
    """A queue that one task empties."""

    def __init__(self, uplink: Uplink, counters: Collected, blocks_max: int = BLOCKS_MAX) -> None:
        self._uplink = uplink
        self._counters = counters
        self._blocks_max = blocks_max
        self._blocks = 0
        self._waiting: deque[Report] = deque()
        self._filled = asyncio.Event()

    def put(self, report: Report) -> None:
        """Queue a report. Never waits, so that a bus does not stand still because the log does."""
        self._waiting.append(report)
        self._blocks += isinstance(report, ReadingBlock)
        if self._blocks > self._blocks_max:
            self._let_go_of_oldest_block()
        self._counters.reports_waiting = len(self._waiting)
        self._filled.set()

    async def run(self) -> None:
        """Deliver, until cancelled."""
        while True:
            await self._filled.wait()
            while self._waiting:
                report = self._waiting.popleft()
                self._blocks -= isinstance(report, ReadingBlock)
                await self._deliver(report)
                self._counters.reports_waiting = len(self._waiting)
            self._filled.clear()

    def _let_go_of_oldest_block(self) -> None:
        place = next(index for index, report in enumerate(self._waiting) if isinstance(report, ReadingBlock))
        del self._waiting[place]
        self._blocks -= 1
        self._counters.blocks_dropped += 1

    async def _deliver(self, report: Report) -> None:
        pause = 0.05
        while True:
            try:
                return await self._report(report)
            except ConnectionError as error:
                self._counters.errors["uplink"] += 1
                log.warning("the log cannot be reached", waiting=len(self._waiting) + 1, error=str(error))
            await asyncio.sleep(pause)
            pause = min(2 * pause, PAUSE_SECONDS_MAX)

    async def _report(self, report: Report) -> None:
        match report:
            case ReadingBlock():
                await self._uplink.report_readings(report)
            case CommandReported():
                await self._uplink.report_command(report)
            case ReadingRefused():
                await self._uplink.report_refused(report)
            case PurchasesCounted():
                await self._uplink.report_purchases(report)
