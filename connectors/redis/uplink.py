"""The collector's door to the log: readings and reports go to the shard of their meter, commands come from the machine.

Guarantee: a report that returns is in the log; one that raises may be, and may be made again. Commands are delivered at
least once, the open ones first after every start; their epochs tell repeats. A server that refuses (no permission, out of
memory, a full disk) is as good as one that does not answer: somebody repairs it, and until then the collector keeps its
reports.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import numpy as np

from connectors.redis.errors import StoreError, StoreMismatch
from connectors.redis.live import LiveStore
from connectors.redis.live_streams import last_commands, new_commands
from domain.effects import Command
from domain.facts import CommandReported, Fact, PurchasesCounted, ReadingBlock, ReadingRefused
from domain.ids import shard_of_unknown_meter
from domain.state import OpenCommand
from domain.words import Stage

COMMAND_POLL_SECONDS = 0.05
ASK_AGAIN_SECONDS = 5.0
"""How long a meter that no account owns is taken as unknown before it is looked up again."""
LOOK_AGAIN_SECONDS = 600.0
"""How long a meter is taken to be where it was: it may be removed and given to an account of another shard."""


class RedisUplink:
    """`connectors.modbus.uplink.Uplink` over a live store. Raises ConnectionError when the store does not answer or refuses.

    StoreMismatch stays what it is: a store that does not fit this release never will.
    """

    def __init__(self, store: LiveStore) -> None:
        self._store = store
        self._shards: dict[int, tuple[int, float]] = {}
        self._unknown: dict[int, float] = {}

    async def report_readings(self, block: ReadingBlock) -> None:
        """Append a round of readings: one block for each shard that has meters in it."""
        shards = np.array([await self._shard(int(number)) for number in block.meter])
        for shard in np.unique(shards).tolist():
            await self._append(shard, _part(block, shards == shard))

    async def report_refused(self, refused: ReadingRefused) -> None:
        """Append an answer that says no reading."""
        await self._append(await self._shard(refused.meter), refused)

    async def report_purchases(self, purchases: PurchasesCounted) -> None:
        """Append what a meter's purchase counter shows."""
        await self._append(await self._shard(purchases.meter), purchases)

    async def report_command(self, report: CommandReported) -> None:
        """Append how far a command has come."""
        await self._append(await self._shard(report.meter), report)

    async def commands(self) -> AsyncIterator[Command]:
        """Open commands that a meter has something to do about, then each that is decided."""
        with _as_connection_error():
            after = await last_commands(self._store)
            for waiting in await self._store.open_commands():
                if not waiting.retry_at and not waiting.waits_for_button:
                    yield _command(waiting)
        while True:
            with _as_connection_error():
                decided = await new_commands(self._store, after)
            for command in decided:
                yield command
            await asyncio.sleep(COMMAND_POLL_SECONDS)

    async def still_wanted(self, command: Command) -> bool:
        """Whether this attempt is the one that its meter waits for."""
        with _as_connection_error():
            waiting = await self._store.open_command(await self._shard(command.meter), command.meter)
        return waiting is not None and waiting.epoch == command.epoch and not waiting.retry_at

    async def _append(self, shard: int, fact: Fact) -> None:
        with _as_connection_error():
            await self._store.append(shard, fact)

    async def _shard(self, meter: int) -> int:
        shard, until = self._shards.get(meter, (0, 0.0))
        if time.monotonic() < until:
            return shard
        if self._unknown.get(meter, 0.0) < time.monotonic():
            with _as_connection_error():
                located = await self._store.locate_meter(meter)
            if located:
                self._shards[meter] = located[0], time.monotonic() + LOOK_AGAIN_SECONDS
                return located[0]
            self._unknown[meter] = time.monotonic() + ASK_AGAIN_SECONDS
        return shard_of_unknown_meter(meter, self._store.shards)


@contextmanager
def _as_connection_error() -> Iterator[None]:
    try:
        yield
    except StoreMismatch:
        raise
    except StoreError as error:
        raise ConnectionError(str(error)) from error


def _part(block: ReadingBlock, mask: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> ReadingBlock:
    columns = (block.meter, block.time, block.register, block.power, block.status, block.bands)
    meter, time_, register, power, status, bands = (None if column is None else column[mask] for column in columns)
    assert meter is not None
    assert time_ is not None
    assert register is not None
    return ReadingBlock(meter, time_, register, power, status, bands)


def _command(waiting: OpenCommand) -> Command:
    return Command(
        meter=waiting.meter,
        epoch=waiting.epoch,
        wanted=waiting.wanted,
        reason=waiting.reason,
        stage=Stage(waiting.stage),
        at=waiting.at,
        expires_at=waiting.expires_at,
        attempt=waiting.attempt,
        button=waiting.button,
    )
