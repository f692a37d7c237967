"""Telling every shard the same: tariffs, policies and sites, which all shards must have in the same state.

Each shard's log takes the fact by itself, so two callers at once could leave one tariff in two states. Here one at a time tells: a lock, which
lapses with its holder, and for each name the order that was told last. An order is begun once, may be told again until all shards
have it, and is not told on once a later one of the same name has begun: what was told last holds everywhere.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from connectors.redis.errors import StoreUnreachable
from connectors.redis.keys import EVERYONE, EVERYONE_LOCK, told_key
from connectors.redis.live import ORDER_CLAIM_SECONDS, LiveStore
from domain.facts import Record
from domain.ids import EntryId

OWNER = -1
"""Who has an order's id that is told to every shard."""
LOCK_MS, TELL_SECONDS = 60_000, 20.0
WAIT_SECONDS = 5.0
_PAUSE = 0.02

# KEYS[1] the lock; ARGV who has it. Let it go, unless it has lapsed and is another's.
_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"


class Everyone:
    """All shards of a store, told as one. Raises StoreError."""

    def __init__(self, store: LiveStore) -> None:
        self._store = store

    async def tell(self, name: str, order: bytes, fact: Record) -> list[EntryId] | None:
        """Append a fact to every shard, unless a later order (16 bytes of its id) of this name has begun: None.

        Returns its entry in each shard. After a StoreError some shards may have it and others not: tell it again.
        """
        async with self._alone():
            last = await self._call("HGET", EVERYONE, name)
            is_new = await self._call("SET", told_key(order), 1, "NX", "EX", ORDER_CLAIM_SECONDS)
            if not is_new and last != order:
                return None
            await self._call("HSET", EVERYONE, name, order)
            try:
                async with asyncio.timeout(TELL_SECONDS):  # Long before the lock lapses.
                    return [await self._store.append(shard, fact) for shard in range(self._store.shards)]
            except TimeoutError:
                raise StoreUnreachable("not every shard could be told in time") from None

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        holder, deadline = secrets.token_hex(8), time.monotonic() + WAIT_SECONDS
        while not await self._call("SET", EVERYONE_LOCK, holder, "NX", "PX", LOCK_MS):
            if time.monotonic() > deadline:
                raise StoreUnreachable("somebody else is telling every shard something")
            await asyncio.sleep(_PAUSE)
        try:
            yield
        finally:
            await self._call("EVAL", _RELEASE, 1, EVERYONE_LOCK, holder)

    async def _call(self, command: str, *arguments: str | bytes | int) -> bytes | None:
        with self._store.answered():
            answer: bytes | None = await self._store.node_of(EVERYONE).execute_command(command, *arguments)
            return answer
