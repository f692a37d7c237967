"""What a live store counts and how far behind it is, for gauges. Raises StoreError."""

from typing import Any

import msgspec

from connectors.redis.keys import VERDICT, key
from connectors.redis.live import LiveStore
from domain.ids import entry_id
from domain.state import ShardHeader
from domain.verdict import Verdict


async def committed_headers(store: LiveStore) -> list[ShardHeader]:
    """The committed header of every shard."""
    with store.answered():
        found = await store.of_every_shard(lambda pipe, shard: pipe.get(key("header", shard)))
    return [msgspec.msgpack.decode(each, type=ShardHeader) if each else ShardHeader() for each in found]


async def kept_tallies(store: LiveStore) -> list[dict[str, int]]:
    """What the commits of every shard have counted (`flows.tally`), and as `appended` how many entries its log has ever had."""
    with store.answered():
        tallies = await store.of_every_shard(lambda pipe, shard: pipe.hgetall(key("tallies", shard)))
        logs = await store.of_every_shard(lambda pipe, shard: pipe.xinfo_stream(key("log", shard)), is_strict=False)
    counts = [{name.decode(): int(count) for name, count in each.items()} for each in tallies]
    return [
        each | {"appended": 0 if isinstance(log, Exception) else log["entries-added"]}
        for each, log in zip(counts, logs, strict=True)
    ]


async def server_information(store: LiveStore) -> list[dict[str, Any]]:
    """What every server says of itself."""
    with store.answered():
        return [await client.info() for client in store.clients]


async def last_verdict(store: LiveStore) -> Verdict | None:
    """What the last verification came to; None before the first."""
    with store.answered():
        packed = await store.node_of(VERDICT).get(VERDICT)
    return msgspec.msgpack.decode(packed, type=Verdict) if packed else None


async def lags_ms(store: LiveStore) -> list[int]:
    """How long the oldest entry that is not yet folded has waited, for each shard, in ms of the server's time; 0: none waits."""
    with store.answered():
        positions = await store.of_every_shard(lambda pipe, shard: pipe.get(key("settled", shard)))
    return await _waited_ms(store, positions)


async def archive_lags_ms(store: LiveStore) -> list[int]:
    """As `lags_ms`, of the oldest entry that no archiver has claimed; empty if there never was an archiver."""
    with store.answered():
        claimed = await store.of_every_shard(lambda pipe, shard: pipe.hget(key("archived", shard), "log"))
    return await _waited_ms(store, claimed) if any(claimed) else []


async def _waited_ms(store: LiveStore, after: list[bytes | None]) -> list[int]:
    """How long the first entry after a position of each shard's log has waited."""
    asked = ["(" + (position or b"0-0").decode() for position in after]
    with store.answered():
        waiting = await store.of_every_shard(lambda pipe, shard: pipe.xrange(key("log", shard), asked[shard], "+", 1))
        seconds, microseconds = await store.at(0).time()
    now = seconds * 1000 + microseconds // 1000
    return [max(0, now - entry_id(found[0][0].decode())[0]) if found else 0 for found in waiting]
