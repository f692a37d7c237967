"""A census of a store: rows of all shards as columns, with the site and currency of every account, for gauges.

Rows of accounts and meters are read anew where a shard's position has moved, and of records those that have changed. Terms, watches, tier counters
and plans are read once in `TERMS_SECONDS`: a meter that was installed since is not counted yet. Of records only what a gauge needs is kept.
Two shards may be of two instants. A million meters take some 500 MB.
"""

import time
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from connectors.redis.changed import Changed, Records, read_changed
from connectors.redis.keys import key
from connectors.redis.live import LiveStore, ask_rows, rows_from
from domain.standing import SOURCES, Standing
from domain.state import PAGES, RECORDS, AccountRecord, OpenCommand, PlanRecord, QuarantineCase, Rows

TERMS_SECONDS = 60.0
_KEPT = ("account_records", *SOURCES)
_DECODERS = {name: msgspec.msgpack.Decoder(RECORDS[name][1]).decode for name in SOURCES}
_ACCOUNT = msgspec.msgpack.Decoder(AccountRecord).decode
_TERMS = ("account_terms", "meter_terms", "watches", "counters")
_PLAN = msgspec.msgpack.Decoder(PlanRecord).decode


def _empty() -> NDArray[np.int32]:
    return np.zeros(0, np.int32)


@dataclass(eq=False)
class Counted:
    """A shard. `site`, `currency`: of each account's row, places in the census' lists. `rows`: by the names in `domain.state.ROWS`; `plans` by row."""

    position: bytes = b""
    cursor: bytes | None = None
    rows: dict[str, Rows] = field(default_factory=dict)
    plans: dict[int, PlanRecord] = field(default_factory=dict)
    site: NDArray[np.int32] = field(default_factory=_empty)
    currency: NDArray[np.int32] = field(default_factory=_empty)
    standing: dict[tuple[str, bytes], list[Standing]] = field(default_factory=dict)
    cases: dict[bytes, QuarantineCase] = field(default_factory=dict)
    commands: dict[bytes, OpenCommand] = field(default_factory=dict)
    terms_read: float = -TERMS_SECONDS


class Census:
    """One for a process and its event loop. Raises StoreError."""

    def __init__(self, store: LiveStore) -> None:
        self._store = store
        self.sites: list[str] = []
        self.currencies: list[str] = []
        self.shards = [Counted() for _ in range(store.shards)]

    async def take(self) -> list[Counted]:
        """All shards, as committed when this was called or later, but for their terms."""
        for shard, position in enumerate(await self._store.positions()):
            counted = self.shards[shard]
            if counted.cursor is None or counted.position != position:
                found = await read_changed(self._store, shard, _KEPT, ("accounts", "meters"), counted.cursor)
                self._enter(counted, found)
            if time.monotonic() - counted.terms_read >= TERMS_SECONDS:
                await self._read_terms(shard, counted)
        return self.shards

    async def _read_terms(self, shard: int, counted: Counted) -> None:
        with self._store.answered():
            pipe = self._store.node_of(key("log", shard)).pipeline(transaction=True)
            ask_rows(pipe, shard, *_TERMS)
            pipe.hgetall(key("plan_records", shard))
            *pages, plans = await pipe.execute()
        left = iter(pages)
        for name in _TERMS:
            counted.rows[name] = rows_from(name, [next(left) for of, _ in PAGES.values() if of == name])
        counted.plans = {int(row): _PLAN(packed) for row, packed in plans.items()}
        counted.terms_read = time.monotonic()

    def _enter(self, counted: Counted, found: Changed) -> None:
        counted.position, counted.cursor = found.position, found.cursor
        counted.rows |= found.rows
        self._enter_accounts(counted, found.records.get("account_records"), len(found.rows["accounts"]))
        for name in SOURCES:
            if records := found.records.get(name):
                _enter_standing(counted, name, records)

    def _enter_accounts(self, counted: Counted, records: Records | None, count: int) -> None:
        more = count - len(counted.site)
        counted.site = np.concatenate([counted.site, np.zeros(more, np.int32)])
        counted.currency = np.concatenate([counted.currency, np.zeros(more, np.int32)])
        for packed in (records.fields if records else {}).values():
            if packed:
                record = _ACCOUNT(packed)
                counted.site[record.row] = _place(self.sites, record.place.site)
                counted.currency[record.row] = _place(self.currencies, record.currency)


def _place(names: list[str], name: str) -> int:
    if name not in names:
        names.append(name)
    return names.index(name)


def _enter_standing(counted: Counted, name: str, records: Records) -> None:
    """Keep of changed records what stands, cases and commands."""
    tables: dict[str, dict[bytes, Any]] = {"cases": counted.cases, "open_commands": counted.commands}
    table = tables.get(name, {})
    if records.whole:
        table.clear()
        for gone in [each for each in counted.standing if each[0] == name]:
            del counted.standing[gone]
    for field_, packed in records.fields.items():
        table.pop(field_, None)
        counted.standing.pop((name, field_), None)
        if packed:
            record = _DECODERS[name](packed)
            if name in tables:
                table[field_] = record
            if found := list(SOURCES[name](record)):
                counted.standing[name, field_] = found
