"""The work of one bus, round after round: read every meter, try a silent one, and carry out orders before anything else.

A meter that does not answer costs a whole timeout, so it is left out of the rounds; of those one is tried in each round,
and one more that has an order waiting. As long as they answer the next one is tried too: when a cable is plugged in
again, all its meters are back within a round. An order waits for the request that is under way, and for no other.
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from time import monotonic

import structlog

from connectors.files.site import SiteBus, SiteMeter
from connectors.modbus.bus import Bus, BusError, LinkDownError
from connectors.modbus.counters import Collected
from connectors.modbus.outbox import Outbox
from connectors.modbus.profile import UnreadableError
from connectors.modbus.purchases import PurchaseCounts
from connectors.modbus.reader import Reader, Reading, as_blocks
from connectors.modbus.silence import SilentMeters
from connectors.modbus.switching import Switching
from connectors.modbus.uplink import Clock, Uplink
from domain.effects import Command
from domain.facts import ReadingRefused

LINK_PAUSE_SECONDS_MAX = 30.0
log = structlog.get_logger(__name__)


class Line:
    """One bus at work."""

    def __init__(self, site: SiteBus, uplink: Uplink, outbox: Outbox, clock: Clock, counters: Collected) -> None:
        self._site = site
        self._bus = Bus(site.wire)
        self._reader = Reader(self._bus, clock, counters, site.gap_ms)
        self._outbox = outbox
        self._clock = clock
        self._counters = counters
        self._meters = {meter.number: meter for meter in site.meters}
        self._silent = SilentMeters(counters)
        self._unreadable: set[int] = set()
        self._readings: list[Reading] = []
        self._purchases = PurchaseCounts()
        self._ordered = asyncio.Event()
        self._switching = Switching(
            self._meters,
            self._reader,
            uplink,
            outbox,
            clock,
            counters,
            self._silent,
            self._report_now,
            self._reader.write,
        )

    def take(self, command: Command) -> None:
        """A command for one of this bus' meters, to be carried out before the next meter is read."""
        self._switching.orders.take(command, monotonic())
        self._ordered.set()

    async def run(self) -> None:
        """Rounds, until cancelled; then the connection is closed."""
        pause = 0.5
        try:
            while True:
                start = monotonic()
                try:
                    await self._round()
                    await self._rest(start + self._site.poll_seconds)
                    pause = 0.5
                except LinkDownError as error:
                    self._counters.errors[error.kind] += 1
                    log.warning("a bus has no connection", bus=self._site.wire.name, error=str(error))
                    self._report()
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, LINK_PAUSE_SECONDS_MAX)
        finally:
            self._bus.close()

    async def _round(self) -> None:
        start = monotonic()
        await self._poll_while_answered([meter for meter in self._meters.values() if meter.number not in self._silent])
        silent = list(self._silent)
        await self._try(meter for meter in silent if self._switching.orders.waits_for(meter.number))
        await self._try(meter for meter in silent if not self._switching.orders.waits_for(meter.number))
        self._report()
        name = self._site.wire.name
        self._counters.rounds[name] += 1
        self._counters.round_seconds[name] = monotonic() - start
        self._counters.bus_seconds[name] = self._bus.busy_seconds
        self._counters.silent_meters[name] = len(self._silent)

    async def _poll_while_answered(self, meters: Iterable[SiteMeter]) -> None:
        for meter in meters:
            await self._switching.serve()
            if meter.number not in self._silent:
                await self._poll(meter)

    async def _try(self, silent: Iterable[SiteMeter]) -> None:
        """Ask silent meters as long as they answer. One that does not goes to the end of the queue."""
        for meter in silent:
            await self._switching.serve()
            await self._poll(meter)
            if meter.number in self._silent:
                return

    async def _rest(self, until: float) -> None:
        """Until the next round: carry out orders as they come and as they fall due."""
        while True:
            self._ordered.clear()
            await self._switching.serve()
            wait = min(until, self._switching.next_due()) - monotonic()
            if monotonic() >= until:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(max(wait, 0)):
                    await self._ordered.wait()

    async def _poll(self, meter: SiteMeter) -> None:
        self._counters.polls += 1
        try:
            reading = await self._reader.reading(meter)
        except LinkDownError:
            raise
        except BusError as error:
            self._silent.lost(meter, error)
            return
        except UnreadableError as error:
            self._refuse(meter, error)
        else:
            self._unreadable.discard(meter.number)
            self._readings.append(reading)
            self._counters.readings += 1
            if news := self._purchases.news(reading):
                self._outbox.put(news)
        if self._silent.found(meter):
            self._switching.hasten(meter.number)

    def _refuse(self, meter: SiteMeter, error: UnreadableError) -> None:
        """An answer without a total, reported when it begins and not with every round."""
        self._counters.errors["unreadable"] += 1
        if meter.number in self._unreadable:
            return
        self._unreadable.add(meter.number)
        self._outbox.put(
            ReadingRefused(
                at=self._clock.now_ms(),
                source=f"modbus {self._site.wire.name}",
                line=meter.unit,
                text=str(error),
                reason="unreadable",
                meter=meter.number,
            )
        )

    def _report_now(self, reading: Reading) -> None:
        """A switch's own reading, behind those of the round so far: a meter's readings stay in their order."""
        self._readings.append(reading)
        self._report()

    def _report(self) -> None:
        for block in as_blocks(self._readings):
            self._outbox.put(block)
        self._readings = []
