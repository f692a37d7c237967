"""Alarms and commands of a live store as they came: the newest first and on to older ones, or on from where somebody has come to. Raises StoreError."""

from collections.abc import Sequence
from operator import itemgetter

import msgspec

from connectors.redis.keys import key
from connectors.redis.live import LiveStore
from domain.effects import Alarm, Command
from domain.ids import LOG_START, EntryId, entry_id, entry_text

AlarmPlace = tuple[EntryId, int, int]
"""Where an alarm event is: its log entry, shard, and number among that entry's. Later events have greater ones."""


def _newest(shard: int, before: AlarmPlace | None) -> str:
    """The newest entry of a shard in which an event before a place may be."""
    if before is None:
        return "+"
    entry, of, number = before
    is_in_it = shard < of or (shard == of and number > 0)
    return entry_text(entry) if is_in_it else _behind(entry)


def _behind(entry: EntryId) -> str:
    """Where what is older than an entry begins; older than the first that could be there is nothing, and no server takes it."""
    return "(" + entry_text(entry) if entry > LOG_START else entry_text(entry)


async def newest_alarms(store: LiveStore, count: int) -> list[Alarm]:
    """The newest alarm events of all shards, the last to enter its log first."""
    found, _ = await alarms_before(store, range(store.shards), None, count)
    return [alarm for _, alarm in found[:count]]


async def alarms_before(
    store: LiveStore, shards: Sequence[int], before: AlarmPlace | None, count: int
) -> tuple[list[tuple[AlarmPlace, Alarm]], AlarmPlace | None]:
    """Alarm events of some shards before one of them, the last to enter its log first, and the place before which there may be more.

    At most `count` entries of each shard are read, and as many events are returned as can be put in order by them: at least
    `count` where there are more. An alarm may tell of a time long before its entry.
    """
    with store.answered():
        answers = await store.of_shards(
            shards, lambda pipe, shard: pipe.xrevrange(key("alarms", shard), _newest(shard, before), count=count)
        )
    streams = dict(zip(shards, answers, strict=True))
    found = [
        ((entry_id(entry.decode()), shard, number), alarm)
        for shard, entries in streams.items()
        for entry, fields in entries
        for number, alarm in enumerate(msgspec.msgpack.decode(fields[b"b"], type=list[Alarm]))
    ]
    cut = [(entry_id(entries[-1][0].decode()), shard, 0) for shard, entries in streams.items() if len(entries) == count]
    known_from = max(cut, default=None)
    found = [
        (place, alarm)
        for place, alarm in found
        if (before is None or place < before) and (known_from is None or place >= known_from)
    ]
    return sorted(found, key=itemgetter(0), reverse=True), known_from


async def alarm_at(store: LiveStore, place: AlarmPlace) -> Alarm | None:
    """The event at a place, or None."""
    entry, shard, number = place
    if shard >= store.shards:
        return None
    with store.answered():
        found = await store.at(shard).xrange(key("alarms", shard), entry_text(entry), entry_text(entry))
    alarms = msgspec.msgpack.decode(found[0][1][b"b"], type=list[Alarm]) if found else []
    return alarms[number] if number < len(alarms) else None


async def commands_before(
    store: LiveStore, shard: int, before: EntryId | None, count: int
) -> list[tuple[EntryId, list[Command]]]:
    """Up to `count` entries of what was said of a shard's commands before one of them, the newest first."""
    newest = _behind(before) if before else "+"
    with store.answered():
        found = await store.at(shard).xrevrange(key("commands", shard), newest, count=count)
    return [
        (entry_id(entry.decode()), msgspec.msgpack.decode(fields[b"b"], type=list[Command])) for entry, fields in found
    ]


async def new_alarms(store: LiveStore, after: dict[int, EntryId], count: int = 500) -> list[Alarm]:
    """Alarm events of all shards after the given positions, which are moved on; at most so many entries of a shard."""
    with store.answered():
        streams = await store.of_every_shard(
            lambda pipe, shard: pipe.xrange(key("alarms", shard), "(" + entry_text(after[shard]), "+", count)
        )
    alarms: list[Alarm] = []
    for shard, found in enumerate(streams):
        for entry, fields in found:
            after[shard] = entry_id(entry.decode())
            alarms += msgspec.msgpack.decode(fields[b"b"], type=list[Alarm])
    return alarms


async def last_alarms(store: LiveStore) -> dict[int, EntryId]:
    """Position of the newest entry of each shard's alarms."""
    with store.answered():
        streams = await store.of_every_shard(lambda pipe, shard: pipe.xrevrange(key("alarms", shard), count=1))
    return {shard: entry_id(found[0][0].decode()) if found else LOG_START for shard, found in enumerate(streams)}


async def new_commands(store: LiveStore, after: dict[int, EntryId], count: int = 500) -> list[Command]:
    """Commands of all shards after the given positions, which are moved on."""
    with store.answered():
        streams = await store.of_every_shard(
            lambda pipe, shard: pipe.xrange(key("commands", shard), "(" + entry_text(after[shard]), "+", count)
        )
    commands: list[Command] = []
    for shard, found in enumerate(streams):
        for entry, fields in found:
            after[shard] = entry_id(entry.decode())
            commands += msgspec.msgpack.decode(fields[b"b"], type=list[Command])
    return commands


async def last_commands(store: LiveStore) -> dict[int, EntryId]:
    """Position of the newest command of each shard."""
    with store.answered():
        streams = await store.of_every_shard(lambda pipe, shard: pipe.xrevrange(key("commands", shard), count=1))
    return {shard: entry_id(found[0][0].decode()) if found else LOG_START for shard, found in enumerate(streams)}
