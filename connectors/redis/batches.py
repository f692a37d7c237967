"""Batches as they are kept: what was asked for, its targets, how far each is, and who is at work on it. A backup has it.

Whoever carries a batch out claims it for a time; a claim lapses with its holder, and another goes on. Two at once do no harm: an item
is settled once, and its order has one id. An item begins only while its batch is not cancelled, in one step with the look.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from connectors.redis.keys import BATCH_ITEMS_KEPT, BATCHES, BATCHES_DUE, BATCHES_MADE, batch_key
from connectors.redis.live import LiveStore
from domain.batches import Batch, Item, Progress
from domain.ids import order_id
from domain.units import DAY_MS

OPEN_MAX, BATCHES_KEPT_MAX, ITEMS_KEPT_MAX = 1_000, 20_000, 1_000_000
"""Batches that are not over, all that are kept, and their items: some 200 MB at most."""
_AT_ONCE = 500
KEPT_MS = 92 * DAY_MS
"""From when it was due: two days longer than an id is accepted, so that nobody can ask for one again that is forgotten."""
CLAIM_MS = 30_000

# KEYS batches, due, made, items kept, targets; ARGV id, batch, due, made, count, most open, most kept, most items, targets … 1: made; 0: too many; else what is there.
_MAKE = """\
local there = redis.call('HGET', KEYS[1], ARGV[1])
if there then return there end
local items = tonumber(redis.call('GET', KEYS[4]) or '0') + tonumber(ARGV[5])
if items > tonumber(ARGV[8]) then return 0 end
if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[6]) or redis.call('ZCARD', KEYS[3]) >= tonumber(ARGV[7]) then return 0 end
for first = 9, #ARGV, 1000 do
  redis.call('RPUSH', KEYS[5], unpack(ARGV, first, math.min(first + 999, #ARGV)))
end
redis.call('INCRBY', KEYS[4], ARGV[5])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[3], ARGV[4], ARGV[1])
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
return 1
"""
# KEYS items, counts; ARGV places … Begin those that have not, unless the batch is cancelled: whether it is not.
_BEGIN = """\
if redis.call('HEXISTS', KEYS[2], 'cancelled_at') == 1 then return 0 end
for each = 1, #ARGV do
  redis.call('HINCRBY', KEYS[2], 'begun', redis.call('HSETNX', KEYS[1], ARGV[each], ''))
end
return 1
"""
# KEYS items, counts; ARGV place, state, item. Settle an item that has begun, once.
_SETTLE = """\
if redis.call('HGET', KEYS[1], ARGV[1]) == '' then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
  redis.call('HINCRBY', KEYS[2], ARGV[2], 1)
end
"""
# KEYS counts; ARGV when. Cancel what is not over: whether that was possible, or had been done.
_CANCEL = """\
if redis.call('HEXISTS', KEYS[1], 'finished_at') == 1 then return redis.call('HEXISTS', KEYS[1], 'cancelled_at') end
redis.call('HSETNX', KEYS[1], 'cancelled_at', ARGV[1])
return 1
"""
# KEYS the claim; ARGV who, for how long. Keep a claim that is ours.
_RENEW = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('PEXPIRE', KEYS[1], ARGV[2]) or 0"
# KEYS the claim; ARGV who. Give a claim back that is ours.
_RELEASE = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('DEL', KEYS[1]) or 0"


class Batches:
    """What is kept of batches. Raises StoreError."""

    def __init__(self, store: LiveStore) -> None:
        self._store = store

    async def make(self, batch: Batch, targets: Sequence[str]) -> Batch | None:
        """Keep a batch, unless one of its id is there. Returns the one that is; None: there are too many."""
        order = order_id(batch.id)
        keys = (BATCHES, BATCHES_DUE, BATCHES_MADE, BATCH_ITEMS_KEPT, batch_key("batch_targets", order))
        sizes = (batch.due_at, batch.asked_at, batch.count, OPEN_MAX, BATCHES_KEPT_MAX, ITEMS_KEPT_MAX)
        there = await self._eval(_MAKE, keys, order, msgspec.msgpack.encode(batch), *sizes, *targets)
        if there == 0:
            return None
        return batch if there == 1 else msgspec.msgpack.decode(there, type=Batch)

    async def batch(self, order: bytes) -> Batch | None:
        """A batch by the 16 bytes of its id, or None."""
        packed = await self._call("HGET", BATCHES, order)
        return msgspec.msgpack.decode(packed, type=Batch) if packed else None

    async def newest(self, after: bytes | None = None) -> AsyncIterator[Batch]:
        """All batches that are kept, the newest first; those after another one, by the 16 bytes of its id."""
        last = None if after is None else await self._call("ZREVRANK", BATCHES_MADE, after)
        first = 0 if after is None else BATCHES_KEPT_MAX if last is None else last + 1
        while orders := await self._call("ZREVRANGE", BATCHES_MADE, first, first + _AT_ONCE - 1):
            for batch in await self._batches(orders):
                yield batch
            first += _AT_ONCE

    async def _batches(self, orders: Sequence[bytes]) -> list[Batch]:
        packed = await self._call("HMGET", BATCHES, *orders) if orders else []
        return [msgspec.msgpack.decode(each, type=Batch) for each in packed if each]

    async def due(self, now: int) -> list[Batch]:
        """Batches that are due at `now` (ms UTC) and not over, the first due first; not all of very many."""
        return await self._batches(await self._call("ZRANGEBYSCORE", BATCHES_DUE, "-inf", now, "LIMIT", 0, _AT_ONCE))

    async def progress(self, batch: Batch) -> Progress:
        """How far a batch is."""
        counts = await self._call("HGETALL", batch_key("batch_counts", order_id(batch.id)))
        return Progress(**{name.decode(): int(count) for name, count in counts.items()})

    async def targets(self, batch: Batch, first: int = 0, last: int = -1) -> list[str]:
        """Targets from one place to another, both included."""
        found = await self._call("LRANGE", batch_key("batch_targets", order_id(batch.id)), first, last)
        return [target.decode() for target in found]

    async def items(self, batch: Batch, places: Sequence[int] | None = None) -> dict[int, Item | None]:
        """What became of some items, or of all, by their places; None: it has begun. What has not is left out."""
        name = batch_key("batch_items", order_id(batch.id))
        if places is None:
            found = {int(place): packed for place, packed in (await self._call("HGETALL", name)).items()}
        else:
            packed = await self._call("HMGET", name, *places) if places else []
            found = {place: each for place, each in zip(places, packed, strict=True) if each is not None}
        decoder = msgspec.msgpack.Decoder(Item)
        return {place: decoder.decode(packed) if packed else None for place, packed in found.items()}

    async def claim(self, batch: Batch, who: str) -> bool:
        """Take a batch for a while, unless somebody has it."""
        return bool(await self._call("SET", self._claim(batch), who, "NX", "PX", CLAIM_MS))

    async def renew(self, batch: Batch, who: str) -> bool:
        """Keep it for another while. Whether it was still ours."""
        return bool(await self._eval(_RENEW, (self._claim(batch),), who, CLAIM_MS))

    async def release(self, batch: Batch, who: str) -> None:
        """Give it back."""
        await self._eval(_RELEASE, (self._claim(batch),), who)

    async def begin(self, batch: Batch, places: Sequence[int]) -> bool:
        """Let items begin that have not. False: the batch is cancelled, and none has."""
        return bool(await self._eval(_BEGIN, self._parts(batch), *places))

    async def settle(self, batch: Batch, place: int, item: Item) -> None:
        """What became of an item that has begun. Again changes nothing."""
        await self._eval(_SETTLE, self._parts(batch), place, item.state, msgspec.msgpack.encode(item))

    async def finish(self, batch: Batch, at: int) -> None:
        """It is over at `at`, ms UTC."""
        order = order_id(batch.id)
        await self._call("HSETNX", batch_key("batch_counts", order), "finished_at", at)
        await self._call("ZREM", BATCHES_DUE, order)

    async def cancel(self, batch: Batch, at: int) -> bool:
        """Let nothing of it begin any more. False: it was over."""
        return bool(await self._eval(_CANCEL, (batch_key("batch_counts", order_id(batch.id)),), at))

    async def forget(self, now: int) -> int:
        """Forget batches that are over and were due long ago. Returns how many."""
        forgotten = 0
        for order in await self._call("ZRANGEBYSCORE", BATCHES_MADE, "-inf", now - KEPT_MS):
            batch = await self.batch(order)
            is_open = await self._call("ZSCORE", BATCHES_DUE, order) is not None
            if batch and (is_open or batch.due_at > now - KEPT_MS):
                continue
            names = [batch_key(name, order) for name in ("batch_targets", "batch_items", "batch_counts", "batch_claim")]
            await self._call("DEL", *names)
            await self._call("ZREM", BATCHES_MADE, order)
            if batch and await self._call("HDEL", BATCHES, order):
                await self._call("DECRBY", BATCH_ITEMS_KEPT, batch.count)
            forgotten += 1
        return forgotten

    def _claim(self, batch: Batch) -> str:
        return batch_key("batch_claim", order_id(batch.id))

    def _parts(self, batch: Batch) -> tuple[str, str]:
        order = order_id(batch.id)
        return batch_key("batch_items", order), batch_key("batch_counts", order)

    async def _eval(self, script: str, keys: Sequence[str], *arguments: str | bytes | int) -> Any:
        return await self._call("EVAL", script, len(keys), *keys, *arguments)

    async def _call(self, command: str, *arguments: str | bytes | int) -> Any:
        with self._store.answered():
            return await self._store.node_of(BATCHES).execute_command(command, *arguments)
