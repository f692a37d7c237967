"""Reading one meter: its blocks in as few requests as its profile allows, and the readings of a round as columns.

A block that the meter refuses (wrong map or value) is not asked for again for an hour. What it held is then missing from
the sample, or the meter is unreadable if that was the total. The time of a reading is event time when the answer with the
total arrived.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from time import monotonic

import numpy as np
import structlog

from connectors.files.site import SiteMeter
from connectors.modbus.bus import AcknowledgedError, Bus, MayI, RefusedError
from connectors.modbus.counters import Collected
from connectors.modbus.profile import Block, Sample, Write, decode
from connectors.modbus.uplink import Clock
from domain.facts import ReadingBlock

REFUSED_SECONDS = 3_600.0
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a meter said, and when."""

    meter: int
    time: int
    sample: Sample

    @property
    def shape(self) -> tuple[bool, bool, bool]:
        """Which of the optional columns it has."""
        return (self.sample.power is not None, self.sample.status is not None, self.sample.bands is not None)


class Reader:
    """The meters of one bus as their profiles have them read and written."""

    def __init__(self, bus: Bus, clock: Clock, counters: Collected, gap_ms: int | None = None) -> None:
        self._bus = bus
        self._clock = clock
        self._counters = counters
        self._gap_ms = gap_ms
        self._refused_until: dict[tuple[int, int], float] = {}

    async def reading(self, meter: SiteMeter) -> Reading:
        """All that the meter says. Raises BusError, or UnreadableError if the answer holds no total."""
        blocks: dict[int, list[int]] = {}
        time = self._clock.now_ms()
        total = meter.profile.point_of("register")
        assert total is not None, "a profile without a total does not load"
        for block in meter.profile.block:
            registers = await self._unless_refused(meter, block)
            if registers is not None:
                blocks[block.address] = registers
            if block.holds(total.address, total.width):
                time = self._clock.now_ms()
        return Reading(meter.number, time, decode(meter.profile, blocks))

    async def registers(self, meter: SiteMeter, block: Block) -> list[int]:
        """The registers of one block. A meter that says that it takes longer is asked once more. Raises BusError."""
        gap_ms, function = self._gap(meter), meter.profile.read_function
        try:
            return await self._bus.read(meter.unit, block, function=function, gap_ms=gap_ms)
        except AcknowledgedError:
            await asyncio.sleep(meter.profile.recheck_ms / 1000)
            return await self._bus.read(meter.unit, block, function=function, gap_ms=gap_ms)

    async def write(self, meter: SiteMeter, write: Write, may_i: MayI) -> bool:
        """Send a write, once, if `may_i` says so when the line is ready. Returns whether it was sent.

        Raises BusError; ForbiddenWriteError before anything is sent.
        """
        return await self._bus.write(meter.unit, meter.profile, write, gap_ms=self._gap(meter), may_i=may_i)

    def _gap(self, meter: SiteMeter) -> int:
        return meter.profile.min_gap_ms if self._gap_ms is None else self._gap_ms

    async def _unless_refused(self, meter: SiteMeter, block: Block) -> list[int] | None:
        place = (meter.number, block.address)
        if self._refused_until.get(place, 0.0) > monotonic():
            return None
        try:
            return await self.registers(meter, block)
        except RefusedError as error:
            self._counters.errors[error.kind] += 1
            self._refused_until[place] = monotonic() + REFUSED_SECONDS
            log.warning("a block was refused", meter=meter.number, address=block.address, code=error.code)
            return None


def as_blocks(readings: Iterable[Reading]) -> list[ReadingBlock]:
    """Readings as columns: one block, or one for each shape where meters of a bus say different things.

    An absent power or band is never made a 0.
    """
    by_shape = groupby(sorted(readings, key=lambda reading: reading.shape), key=lambda reading: reading.shape)
    return [_block(list(group), *shape) for shape, group in by_shape]


def _block(readings: list[Reading], has_power: bool, has_status: bool, has_bands: bool) -> ReadingBlock:  # noqa: FBT001 - a shape
    samples = [reading.sample for reading in readings]
    return ReadingBlock(
        meter=np.array([reading.meter for reading in readings], np.int64),
        time=np.array([reading.time for reading in readings], np.int64),
        register=np.array([sample.register for sample in samples], np.int64),
        power=np.array([sample.power for sample in samples], np.int64) if has_power else None,
        status=np.array([sample.status for sample in samples], np.int64) if has_status else None,
        bands=np.array([sample.bands for sample in samples], np.int64) if has_bands else None,
    )
