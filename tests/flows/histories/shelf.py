"""A store in memory, and the means to compare two machines that lived through a history."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np

from connectors.redis.commit import commit_of
from connectors.redis.formats import pack
from domain.effects import POSTING, Effects
from domain.ids import LOG_START, EntryId
from domain.state import PAGES, RECORDS, ROWS, Changes, ShardHeader, StoredShard, rows_of
from flows.machine import fold
from flows.state import ShardState
from histories.street import Entries


class Shelf:
    """A store in memory: takes what a commit would write, as bytes, and gives a shard back as a store does.

    Its records come back in no useful order, as those of a Redis hash do.
    """

    def __init__(self, shard: int = 0) -> None:
        self.shard = shard
        self.position: EntryId = LOG_START
        self.header = msgspec.msgpack.encode(ShardHeader())
        self.pages = {name: bytearray() for name in PAGES}
        self.records: dict[str, dict[Any, bytes]] = {name: {} for name in RECORDS}

    def keep(self, state: ShardState) -> None:
        """Write what has changed, and nothing else."""
        changes = state.take_changes()
        self.position, self.header = state.position, pack(changes.header)
        for name, kept in self.pages.items():
            written = changes.rows[name]
            size = written.rows.dtype.itemsize
            kept.extend(bytes(max(0, int(written.runs.max(initial=0)) * size - len(kept))))
            numbers = [number for first, end in written.runs.tolist() for number in range(first, end)]
            for index, row in zip(numbers, written.rows, strict=True):
                kept[index * size : (index + 1) * size] = row.tobytes()
        for name, records in changes.records.items():
            for key, record in records.items():
                if record is None:
                    self.records[name].pop(key, None)
                else:
                    self.records[name][key] = pack(record)

    def load(self) -> StoredShard:
        """The shard as it was kept."""
        rows = {name: rows_of(name, self.pages) for name in ROWS}
        records = {
            name: {
                key: msgspec.msgpack.decode(kept, type=RECORDS[name][1])
                for key, kept in sorted(self.records[name].items(), reverse=True)
            }
            for name in RECORDS
        }
        header = msgspec.msgpack.decode(self.header, type=ShardHeader)
        return StoredShard(self.shard, self.position, header, rows, records)

    def bytes(self) -> dict[str, Any]:
        """Everything kept, to be compared byte for byte."""
        rows = {name: bytes(kept) for name, kept in self.pages.items()}
        return {"position": self.position, "header": self.header, **rows, **self.records}


def lived(entries: Entries, cuts: Iterable[int] = (), *, reload: bool = False) -> tuple[Shelf, list[Effects]]:
    """Fold a history, cut before these entries, and keep what each cut ends with; `reload`: as after a crash at each cut."""
    shelf, effects = Shelf(), []
    state = ShardState.of(shelf.load())
    edges = [0, *sorted({cut for cut in cuts if 0 < cut < len(entries)}), len(entries)]
    for start, end in pairwise(edges):
        state, caused = fold(state, entries[start:end])
        effects += caused
        shelf.keep(state)
        if reload:
            state = ShardState.of(shelf.load())
    return shelf, effects


def effect_bytes(effects: Iterable[Effects]) -> list[list[Any]]:
    """What each entry's effects write to a store."""
    nothing = Changes(ShardHeader(), {}, {})
    return [commit_of(0, LOG_START, effect.entry, nothing, [effect]).arguments for effect in effects]


def all_postings(effects: Iterable[Effects]) -> np.ndarray:
    """The postings of all effects, in order."""
    found = [effect.postings for effect in effects if effect.postings is not None]
    return np.concatenate([np.empty(0, POSTING), *found])
