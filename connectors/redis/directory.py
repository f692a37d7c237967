"""A directory of a store: accounts, meters and what is open about them, kept unpacked in a process, in the order of their places.

Guarantee: **read your writes.** Each question is answered from state that was committed when it was asked, or later; never from
before. Where a shard's position is still what it was, so is all of the shard, because state changes by commits only and each moves the
position. So a question costs one round trip for the positions of all shards, which all who ask meanwhile share. Where a position has moved,
that shard's rows are read anew, and of its records those which the commits since then say to have changed (`changed:{07}`, written by
`connectors.redis.commit`). Rows and records of a shard are of one instant; two shards may be of two.

All of it lives in memory, and the first question reads the whole store: some 3 kB for each account with a meter.
"""

import asyncio
import gc
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from operator import attrgetter
from typing import Any, Generic, TypeVar

import msgspec

from connectors.redis.changed import read_changed
from connectors.redis.formats import key_value
from connectors.redis.keys import LISTED
from connectors.redis.live import LiveStore
from connectors.redis.together import Together
from domain.ids import meter_text, shard_of
from domain.standing import Standing, standing_of_meters
from domain.state import RECORDS, AccountRecord, MeterRecord, Rows

PlaceKey = tuple[str, str, str, str, str]
"""Site, building, floor, room and account, in the order of `natural`."""

_FEW = 50
"""So many changed items are put into their places one by one; after more, all are sorted."""
_DECODERS = {name: msgspec.msgpack.Decoder(RECORDS[name][1]).decode for name in LISTED}
_DIGITS = re.compile(r"[0-9]+")

T = TypeVar("T")


def natural(text: str) -> str:
    """Text as people sort it: floor 2 comes before floor 10."""
    return _DIGITS.sub(lambda digits: digits[0].zfill(12), text)


def place_key(record: AccountRecord) -> PlaceKey:
    """Where an account stands in the order of places."""
    place = record.place
    return natural(place.site), natural(place.building), natural(place.floor), natural(place.room), record.account


class Columns(dict[str, list[Any]]):
    """Columns of rows as plain numbers, each unpacked when it is first asked for."""

    def __init__(self, rows: Rows) -> None:
        super().__init__()
        self.rows = rows

    def __missing__(self, name: str) -> list[Any]:
        column: list[Any] = self.rows[name].tolist()
        self[name] = column
        return column


@dataclass(eq=False)
class Listed:
    """A shard at a position: rows of accounts and meters by column, records by the names in LISTED.

    `cursor`: the last entry of `changed:{07}` that is in it. `begun`: number of a look after which it was read. `answers`: what
    callers have made of it, and can use until there is a newer one.
    """

    shard: int
    position: bytes
    accounts: Columns
    meters: Columns
    records: dict[str, dict[Any, Any]]
    cursor: bytes
    begun: int
    answers: dict[Any, msgspec.Raw] = field(default_factory=dict)

    @cached_property
    def standing(self) -> dict[int, list[Standing]]:
        """Alarms that stand of meters, by number."""
        return standing_of_meters(self.records)

    @cached_property
    def by_row(self) -> list[AccountRecord]:
        """Accounts in the order in which they were opened."""
        return sorted(self.records["account_records"].values(), key=lambda record: record.row)


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """An account in the directory: its place, its shard and row, and in small letters all that it may be found by."""

    key: PlaceKey
    shard: int
    row: int
    record: AccountRecord
    text: str


by_key = attrgetter("key")


class Directory:
    """One for a process and its event loop. What a method returns is to be used before the next `await`. Raises StoreError."""

    def __init__(self, store: LiveStore) -> None:
        self._store = store
        self._kept: list[Listed | None] = [None] * store.shards
        self._locks = [asyncio.Lock() for _ in range(store.shards)]
        self._looks = 0
        self._together: Together[None, _Look] = Together(self._look)
        self.entries: dict[str, Entry] = {}
        self._places: _Sorted[Entry] = _Sorted(by_key)
        self._numbers: _Sorted[int] = _Sorted(None)
        self._homes: dict[int, int] = {}

    async def current(self, shards: Iterable[int] | None = None) -> list[Listed]:
        """Some shards, or all, as committed when this was called or later."""
        wanted = range(self._store.shards) if shards is None else sorted(set(shards))
        look = await self._together.of(None)
        stale = [shard for shard in wanted if self._is_stale(shard, look)]
        if stale:
            await asyncio.gather(*(self._refresh(shard, look) for shard in stale))
        return [kept for shard in wanted if (kept := self._kept[shard])]

    async def account(self, account: str) -> tuple[Listed, AccountRecord] | None:
        """An account and its shard, or None."""
        (listed,) = await self.current([shard_of(account, self._store.shards)])
        record = listed.records["account_records"].get(account)
        return (listed, record) if record else None

    async def meter(self, number: int) -> tuple[Listed, MeterRecord] | None:
        """A meter and its shard, or None. Of one that went to another account where it is; of one that is nowhere, where it was."""
        await self.current()
        return self.found(number)

    def found(self, number: int) -> tuple[Listed, MeterRecord] | None:
        """As `meter`, as of the last look."""
        shard = self._homes.get(number)
        listed = None if shard is None else self._kept[shard]
        return (listed, listed.records["meter_records"][number]) if listed else None

    def of(self, account: str) -> tuple[Listed, AccountRecord] | None:
        """As `account`, as of the last look."""
        entry = self.entries.get(account)
        listed = self._kept[entry.shard] if entry else None
        return (listed, entry.record) if listed and entry else None

    @property
    def places(self) -> list[Entry]:
        """All accounts in the order of their places."""
        return self._places.items

    @property
    def numbers(self) -> list[int]:
        """Every meter that is installed, ascending."""
        return self._numbers.items

    async def _look(self, asked: list[None]) -> "list[_Look]":
        """The positions of all shards, for all who have asked."""
        self._looks += 1
        look = _Look(self._looks, await self._store.positions())
        return [look for _ in asked]

    def _is_stale(self, shard: int, look: "_Look") -> bool:
        kept = self._kept[shard]
        return kept is None or (kept.begun < look.number and kept.position != look.positions[shard])

    async def _refresh(self, shard: int, look: "_Look") -> None:
        async with self._locks[shard]:
            if self._is_stale(shard, look):
                before = self._kept[shard]
                self._kept[shard] = await self._read(shard, before)
                if before is None:
                    gc.freeze()  # Its records stay: a full collection would look through all of them, while everybody waits.

    async def _read(self, shard: int, kept: Listed | None) -> Listed:
        """A shard as it is now, from what is kept of it."""
        begun, records = self._looks, kept.records if kept else {name: {} for name in LISTED}
        found = await read_changed(self._store, shard, LISTED, ("accounts", "meters"), kept.cursor if kept else None)
        for name, packed in found.records.items():
            self._enter(shard, name, records[name], packed.fields, whole=packed.whole)
        accounts, meters = Columns(found.rows["accounts"]), Columns(found.rows["meters"])
        return Listed(shard, found.position, accounts, meters, records, found.cursor, begun)

    def _enter(
        self, shard: int, name: str, records: dict[Any, Any], packed: Mapping[bytes, bytes | None], *, whole: bool
    ) -> None:
        kind, decode = RECORDS[name][0], _DECODERS[name]
        found: dict[Any, Any] = {key_value(kind, field): each and decode(each) for field, each in packed.items()}
        gone = [each for each in records if each not in found] if whole else []
        for each, record in [*found.items(), *((each, None) for each in gone)]:
            before = records.pop(each, None)
            if record is not None:
                records[each] = record
            if name == "account_records":
                self._enter_account(shard, each, record)
            elif name == "meter_records":
                self._enter_meter(shard, each, before, record)

    def _enter_account(self, shard: int, account: str, record: AccountRecord | None) -> None:
        if before := self.entries.pop(account, None):
            self._places.drop(before)
        if record:
            numbers = "\n".join(meter_text(meter) for meter in record.meters)
            text = f"{account}\n{record.name}\n{record.place.room}\n{numbers}".casefold()
            self.entries[account] = Entry(place_key(record), shard, record.row, record, text)
            self._places.put(self.entries[account])

    def _enter_meter(self, shard: int, number: int, before: MeterRecord | None, record: MeterRecord | None) -> None:
        if before and not before.removed_at:
            self._numbers.drop(number)
        if record and not record.removed_at:
            self._numbers.put(number)
            self._homes[number] = shard
        elif record:
            self._homes.setdefault(number, shard)
        elif self._homes.get(number) == shard:
            del self._homes[number]


class _Sorted(Generic[T]):
    """Items that are in order when somebody asks for them, by a key that no two have; None: by themselves."""

    def __init__(self, key: Callable[[T], Any] | None) -> None:
        self._key = key
        self._members: set[T] = set()
        self._changed: dict[T, bool] = {}
        self._items: list[T] = []

    def put(self, item: T) -> None:
        """One more."""
        self._members.add(item)
        self._changed[item] = True

    def drop(self, item: T) -> None:
        """One less."""
        self._members.discard(item)
        self._changed[item] = False

    @property
    def items(self) -> list[T]:
        """All of them, in order; not to be changed."""
        if len(self._changed) > _FEW:
            self._items = sorted(self._members, key=self._key)  # type: ignore[type-var,arg-type]  # a key, or items that compare
        else:
            for item, is_in in self._changed.items():
                self._place(item, is_in=is_in)
        self._changed.clear()
        return self._items

    def _place(self, item: Any, *, is_in: bool) -> None:
        at = bisect_left(self._items, self._key(item) if self._key else item, key=self._key)
        is_there = at < len(self._items) and self._items[at] == item
        if is_in and not is_there:
            self._items.insert(at, item)
        elif is_there and not is_in:
            del self._items[at]


@dataclass(frozen=True, slots=True)
class _Look:
    """The positions of all shards as they were at some time after look number `number` had begun."""

    number: int
    positions: list[bytes]
