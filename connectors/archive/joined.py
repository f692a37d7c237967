"""A shard's stream from archive and server as one table, each row once: what figures are made of.

Up to the archive's end rows are the archive's, after it the server's. The last archived entry always stays in its stream, so it is seen
whether the two follow each other; where the archiver has gone on meanwhile, or has merged files, both are looked at again.

Of the archive only files are read that can have a wanted row. What times and days a file has is in no name, as entries are filed by the day on which
the server took them: it is learnt once for each file, which never changes, and kept while the file is there.
"""

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

import polars as pl

from connectors.archive.columns import frame_of, schema_of
from connectors.archive.errors import ArchiveGap, PlaceUnusable
from connectors.archive.files import Archive, Range
from connectors.redis.formats import decode_fact
from connectors.redis.keys import key
from connectors.redis.live import LiveStore
from connectors.redis.streams import Entry
from domain.facts import Fact
from domain.ids import LOG_START, EntryId, entry_id, entry_text

AT_ONCE = 2
"""Questions that are worked on at once: polars takes all cores for each."""
WAIT_SECONDS = 20.0
"""How long a question waits for its turn."""
ROWS_MAX = 2_000_000
"""Rows that one question may give from one shard, after they are summed up."""
FILES_MAX = 4_000
"""Files that one question may read of one shard."""
PAGE = 1_000
_TRIES = 4
_ENTRY = {"entry_ms": pl.Int64, "entry_sequence": pl.Int64}
_LEARNT = {"usage": ("start", "day"), "postings": ("at", "day")}

Shape = Callable[[pl.LazyFrame], pl.LazyFrame]
Ask = Callable[[Any], object]


class FiguresError(Exception):
    """Base of what keeps a question about figures from being answered.

    FiguresError
    ├── TooMuch     more than is read at once: ask for less
    └── TooBusy     too many ask at once: ask again
    """


class TooMuch(FiguresError):  # noqa: N818 - named for what is the case
    """It would take more rows or files than are read at once; the message says what to ask instead."""


class TooBusy(FiguresError):  # noqa: N818 - as above
    """Others were asking for longer than a question waits."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a stream of rows: in every wanted row one of the columns of `within` is between its two values, both included.

    `shaped` filters and sums up, of the columns of `connectors.archive.columns`. It is applied to parts of the stream, so sums must be summed again.
    """

    stream: str
    within: tuple[tuple[str, int, int], ...]
    shaped: Shape

    @property
    def is_within(self) -> pl.Expr:
        """Whether a row, or a file by its extremes, may be wanted."""
        return reduce(or_, (pl.col(name).is_between(low, high) for name, low, high in self.within))


class Extremes:
    """The lowest and the highest value of some columns in each file of an archive."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._known: dict[tuple[str, int], dict[str, dict[str, int]]] = {}

    def reaching(self, question: Question, shard: int, ranges: Sequence[Range]) -> list[Range]:
        """Those of a stream's files that can have a wanted row."""
        known = self._known.get((question.stream, shard), {})
        known = self._learnt([each for each in ranges if each.name not in known]) | known
        known = {each.name: known[each.name] for each in ranges}
        self._known[question.stream, shard] = known
        return [each for each in ranges if _is_reached(question, known[each.name])]

    def _learnt(self, ranges: Sequence[Range]) -> dict[str, dict[str, int]]:
        if not ranges:
            return {}
        wanted = [pl.col(name) for name in _LEARNT[ranges[0].stream]]
        ends = [each.min().name.prefix("low_") for each in wanted] + [
            each.max().name.prefix("high_") for each in wanted
        ]
        found: dict[str, dict[str, int]] = {}
        by_path = {_path(self._archive, each): each.name for each in ranges}
        table = _scanned(list(by_path), "file").group_by("file").agg(ends).collect()
        for row in table.to_dicts():
            found[by_path[row.pop("file")]] = row
        return found


def _is_reached(question: Question, ends: dict[str, int]) -> bool:
    return any(ends[f"low_{name}"] <= high and ends[f"high_{name}"] >= low for name, low, high in question.within)


def _path(archive: Archive, found: Range) -> str:
    return f"{archive.address}/{found.name}"


def _scanned(paths: list[str], file_column: str | None = None) -> pl.LazyFrame:
    return pl.scan_parquet(paths, glob=False, hive_partitioning=False, include_file_paths=file_column)


class Joined:
    """Archive and server of one store, for one event loop. Raises FiguresError, ArchiveError and StoreError."""

    def __init__(self, store: LiveStore, archive: Archive | None) -> None:
        self.store, self.archive = store, archive
        self._extremes = Extremes(archive) if archive else None
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._hearing = asyncio.Lock()
        self._heard: dict[tuple[int, frozenset[str]], tuple[EntryId, list[Fact]]] = {}

    async def rows(self, question: Question, shard: int, ask: Ask = lambda _: None) -> tuple[pl.DataFrame, list[Any]]:
        """All wanted rows of a shard's stream, as shaped, and what `ask` asks for by a pipeline: as it was when the last row was read."""
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._turn.acquire()
        except TimeoutError:
            raise TooBusy("too many ask for figures at once: ask again") from None
        try:
            return await self._rows(question, shard, ask)
        finally:
            self._turn.release()

    async def _rows(self, question: Question, shard: int, ask: Ask) -> tuple[pl.DataFrame, list[Any]]:
        for _ in range(_TRIES):
            claimed = await self.claimed(question.stream, shard)
            try:
                cut, archived = await asyncio.to_thread(self._archived, question, shard, claimed)
            except FileNotFoundError:  # Merged since the files were listed.
                continue
            live = await self._live(question, shard, cut, ask)
            if live is not None:
                parts, answers = live
                return _limited(pl.concat([archived, *parts])), answers
        raise gap(self.archive, question.stream, shard)

    async def facts(self, shard: int, entries: Collection[EntryId]) -> dict[EntryId, Fact]:
        """The facts at some places of a shard's log, which must be there. Raises as `rows`."""
        for _ in range(_TRIES):
            try:
                archived = await asyncio.to_thread(self._archived_facts, shard, sorted(entries))
            except FileNotFoundError:  # Merged since the files were listed.
                continue
            live = await self._live_facts(shard, [entry for entry in entries if entry not in archived])
            if len(archived) + len(live) == len(entries):
                return archived | live
        raise gap(self.archive, "log", shard)

    def _archived_facts(self, shard: int, entries: list[EntryId]) -> dict[EntryId, Fact]:
        if self.archive is None or not entries:
            return {}
        with understood(self.archive):
            ranges = self.archive.ranges("log", shard)
            files = [each for each in ranges if bisect_right(entries, each.after) < bisect_right(entries, each.last)]
            if len(files) > FILES_MAX:
                raise TooMuch(f"{len(files)} files of the archive: ask for a shorter time")
            if not files:
                return {}
            wanted = pl.LazyFrame(entries, _ENTRY, orient="row")
            rows = _scanned([_path(self.archive, each) for each in files]).select(*_ENTRY, "fact", "version", "body")
            found = rows.filter(pl.col("body").is_not_null()).join(wanted, on=list(_ENTRY), how="semi").collect()
        return {
            (at, number): decode_fact({b"k": kind.encode(), b"v": version.encode(), b"b": body})
            for at, number, kind, version, body in found.iter_rows()
        }

    async def _live_facts(self, shard: int, entries: Sequence[EntryId]) -> dict[EntryId, Fact]:
        found: dict[EntryId, Fact] = {}
        for first in range(0, len(entries), PAGE):
            with self.store.answered():
                pipe = self.store.node_of(key("log", shard)).pipeline(transaction=False)
                for entry in entries[first : first + PAGE]:
                    pipe.xrange(key("log", shard), entry_text(entry), entry_text(entry))
                answers = await pipe.execute()
            found |= {entry_id(name.decode()): decode_fact(fields) for answer in answers for name, fields in answer}
        return found

    async def told(self, shard: int, kinds: frozenset[str]) -> list[Fact]:
        """All facts of some rare kinds that a shard's log has ever had, in order. Each entry is looked at once, as long as this lives. Raises as `rows`."""
        async with self._hearing:
            for _ in range(_TRIES):
                after, heard = self._heard.get((shard, kinds), (LOG_START, []))
                claimed = await self.claimed("log", shard)
                try:
                    last, archived = await asyncio.to_thread(self._archived_told, shard, kinds, after, claimed)
                except FileNotFoundError:  # Merged since the files were listed.
                    continue
                self._heard[shard, kinds] = last, heard + archived
                if await self._hear_on(shard, kinds):
                    return self._heard[shard, kinds][1]
        raise gap(self.archive, "log", shard)

    def _archived_told(
        self, shard: int, kinds: frozenset[str], after: EntryId, claimed: EntryId
    ) -> tuple[EntryId, list[Fact]]:
        """What the archive has after an entry, and up to which."""
        if self.archive is None:
            return after, []
        with understood(self.archive):
            ranges = self.archive.ranges("log", shard)
            last = min(ranges[-1].last, claimed) if ranges else after
            files = [each for each in ranges if after < each.last and each.after < last]
            if not files:
                return after, []
            rows = _scanned([_path(self.archive, each) for each in files]).select(*_ENTRY, "fact", "version", "body")
            wanted = pl.col("fact").is_in(sorted(kinds)) & ~up_to(after) & up_to(last)
            found = rows.filter(wanted).collect().sort(*_ENTRY)
        facts = [
            decode_fact({b"k": kind.encode(), b"v": version.encode(), b"b": body})
            for _, _, kind, version, body in found.iter_rows()
        ]
        return last, facts

    async def _hear_on(self, shard: int, kinds: frozenset[str]) -> bool:
        """Look at what the server has after what was heard. False if the log was trimmed past it."""
        names = {kind.encode() for kind in kinds}
        after, heard = self._heard[shard, kinds]
        async for entries, _ in pages(self.store, "log", shard, after):
            if entries is None:
                return False
            heard = heard + [decode_fact(fields) for _, fields in entries if fields[b"k"] in names]
            after = entries[-1][0] if entries else after
            self._heard[shard, kinds] = after, heard
        return True

    async def claimed(self, stream: str, shard: int) -> EntryId:
        """Up to where a stream is archived, by its store."""
        with self.store.answered():
            found = await self.store.node_of(key("archived", shard)).hget(key("archived", shard), stream)
        return entry_id(found.decode()) if found else LOG_START

    def _archived(self, question: Question, shard: int, claimed: EntryId) -> tuple[EntryId, pl.DataFrame]:
        """What the archive has up to where it ends, or its store says that it does: one that goes further is of another history."""
        empty = question.shaped(pl.LazyFrame(schema=schema_of(question.stream))).collect()
        if self.archive is None or self._extremes is None:
            return LOG_START, empty
        with understood(self.archive):
            ranges = self.archive.ranges(question.stream, shard)
            if not ranges or claimed == LOG_START:
                return LOG_START, empty
            cut = min(ranges[-1].last, claimed)
            files = self._extremes.reaching(question, shard, [each for each in ranges if each.after < cut])
            if len(files) > FILES_MAX:
                raise TooMuch(f"{len(files)} files of the archive: ask for a shorter time")
            if not files:
                return cut, empty
            rows = _scanned([_path(self.archive, each) for each in files])
            rows = rows if cut == ranges[-1].last else rows.filter(up_to(cut))
            return cut, _limited(question.shaped(rows.filter(question.is_within)).collect())

    async def _live(
        self, question: Question, shard: int, after: EntryId, ask: Ask
    ) -> tuple[list[pl.DataFrame], list[Any]] | None:
        """What the server has after an entry; None if the stream was trimmed past it."""
        parts: list[pl.DataFrame] = []
        count, last = 0, list[Any]()
        async for entries, answers in pages(self.store, question.stream, shard, after, ask):
            if entries is None:
                return None
            if entries:
                parts.append(await asyncio.to_thread(_shaped, question, entries))
                count += len(parts[-1])
            if count > ROWS_MAX:
                raise TooMuch("more rows than are read at once: ask for a shorter time, or for one site")
            last = answers
        return parts, last


async def pages(
    store: LiveStore, stream: str, shard: int, after: EntryId, ask: Ask = lambda _: None
) -> AsyncIterator[tuple[list[Entry] | None, list[Any]]]:
    """Yield (entries, answers of `ask`) of a stream after one of its entries, page by page, each read in one step with the answers.

    The last page has all that there was. Entries are None if the stream was trimmed past `after`, and some may be missing.
    """
    client, name = store.node_of(key(stream, shard)), key(stream, shard)
    is_first = True
    while True:
        with store.answered():
            pipe = client.pipeline(transaction=True)
            pipe.xrange(name, entry_text(after), "+", PAGE + 1)
            ask(pipe)
            found, *answers = await pipe.execute()
            entries: list[Entry] = [(entry_id(each.decode()), fields) for each, fields in found]
            is_lost = after != LOG_START and (not entries or entries[0][0] != after)
            if is_lost or (is_first and after == LOG_START and await _is_trimmed(client, name)):
                yield None, answers
                return
        is_last = len(entries) <= PAGE
        yield [each for each in entries if each[0] != after], answers
        if is_last:
            return
        after, is_first = entries[-1][0], False


async def _is_trimmed(client: Any, name: str) -> bool:
    if not await client.exists(name):
        return False
    found = await client.xinfo_stream(name)
    return bool(found["entries-added"] > found["length"])


def _shaped(question: Question, entries: Sequence[Entry]) -> pl.DataFrame:
    rows = frame_of(question.stream, entries).lazy().filter(question.is_within)
    return question.shaped(rows).collect()


@contextmanager
def understood(archive: Archive) -> Iterator[None]:
    """Turn errors of reading files into ours. A file that is not there any more was merged: FileNotFoundError, look again."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (OSError, pl.exceptions.PolarsError) as error:
        raise PlaceUnusable(f"the archive at {archive.address} cannot be read: {str(error).splitlines()[0]}") from None


def _limited(rows: pl.DataFrame) -> pl.DataFrame:
    if len(rows) > ROWS_MAX:
        raise TooMuch(f"{len(rows)} rows: ask for a shorter time, or for one site")
    return rows


def up_to(last: EntryId) -> pl.Expr:
    """Rows of entries up to and with one."""
    at, number = pl.col("entry_ms"), pl.col("entry_sequence")
    return (at < last[0]) | ((at == last[0]) & (number <= last[1]))


def gap(archive: Archive | None, stream: str, shard: int) -> ArchiveGap:
    """What is wrong where the server has trimmed more than the archive has."""
    where = f"the archive at {archive.address}" if archive else "no archive"
    return ArchiveGap(
        f"the beginning of {key(stream, shard)} is in an archive, and {where} is known here: name it with `meterline serve --archive`"
    )
