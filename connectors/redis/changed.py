"""Reading on: rows of a shard as they are now, and of its records those that commits since a known one say to have changed.

For whoever keeps what is in the store in a form of their own, and wants it anew without reading all of it again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from connectors.redis.keys import key
from connectors.redis.live import LiveStore, ask_rows, rows_from
from domain.state import PAGES, Rows

Named = dict[str, frozenset[bytes] | None]
"""Records by kind and key; None: all of a kind."""
_NOTHING: Named = {}
_NAMES = msgspec.msgpack.Decoder(list[bytes] | None).decode
_ATTEMPTS = 5
"""So often a shard is asked for what has changed while it was being asked; then for all of it at once."""


@dataclass(frozen=True, slots=True)
class Records:
    """Records of one kind by key, packed; None: it is there no longer. `whole`: these are all."""

    fields: Mapping[bytes, bytes | None]
    whole: bool


@dataclass(frozen=True, slots=True, eq=False)
class Changed:
    """A shard at a position: rows by kind, and records that have changed since what was known before. `cursor`: up to which commit that is."""

    position: bytes
    cursor: bytes
    rows: dict[str, Rows]
    records: dict[str, Records]


async def read_changed(
    store: LiveStore, shard: int, names: Sequence[str], rows: Sequence[str], cursor: bytes | None
) -> Changed:
    """Rows of these kinds, and records of these (among `keys.LISTED`) that have changed since `cursor`; None: all. Of one instant. Raises StoreError."""
    named, after = _NOTHING, cursor or b""
    for _ in range(_ATTEMPTS if cursor is not None else 0):
        found = await _ask(store, shard, named, rows, after)
        if [entry for entry, _ in found.changed[:1]] != ([after] if after else []):
            break
        if not found.changed[1:]:
            return _made(found, named, rows, after)
        named, after = _and(named, found.changed[1:], names), found.changed[-1][0]
    everything: Named = dict.fromkeys(names)
    found = await _ask(store, shard, everything, rows, None)
    return _made(found, everything, rows, found.changed[0][0] if found.changed else b"")


@dataclass(frozen=True, slots=True)
class _Found:
    """What a shard has answered: its position, entries of `changed:{07}`, pages of rows, and records in the order in which they were asked for."""

    position: bytes
    changed: list[tuple[bytes, dict[bytes, bytes]]]
    pages: list[bytes | None]
    records: list[Any]


async def _ask(store: LiveStore, shard: int, named: Named, rows: Sequence[str], after: bytes | None) -> _Found:
    """A shard's rows, its records of these names, and what has changed from an entry on (None: the last), all of one instant."""
    with store.answered():
        pipe = store.node_of(key("log", shard)).pipeline(transaction=True)
        pipe.get(key("settled", shard))
        if after is None:
            pipe.xrevrange(key("changed", shard), count=1)
        else:
            pipe.xrange(key("changed", shard), after.decode() or "-", "+")
        ask_rows(pipe, shard, *rows)
        for name, fields in named.items():
            if fields is None:
                pipe.hgetall(key(name, shard))
            else:
                pipe.hmget(key(name, shard), sorted(fields))
        position, changed, *found = await pipe.execute()
    pages = sum(_pages(name) for name in rows)
    return _Found(position or b"0-0", changed, found[:pages], found[pages:])


def _pages(name: str) -> int:
    return sum(of == name for of, _ in PAGES.values())


def _made(found: _Found, named: Named, rows: Sequence[str], cursor: bytes) -> Changed:
    pages = iter(found.pages)
    kept = {name: rows_from(name, [next(pages) for _ in range(_pages(name))]) for name in rows}
    records = {
        name: Records(answer, whole=True)
        if fields is None
        else Records(dict(zip(sorted(fields), answer, strict=True)), whole=False)
        for (name, fields), answer in zip(named.items(), found.records, strict=True)
    }
    return Changed(found.position, cursor, kept, records)


def _and(named: Named, changed: list[tuple[bytes, dict[bytes, bytes]]], names: Sequence[str]) -> Named:
    """These records, and all of the wanted kinds that some commits say to have changed."""
    found = dict(named)
    for _, fields in changed:
        for name, packed in fields.items():
            kind, keys = name.decode(), _NAMES(packed)
            before = found.get(kind, frozenset())
            if kind in names:
                found[kind] = None if keys is None or before is None else before | set(keys)
    return found
