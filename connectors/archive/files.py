"""The archive itself: its files, their names, what they hold, and how those of a day that is over become few.

    stream=log/date=2026-11-25/shard=07/1764028800000-0_1764032400123-4.parquet

A file holds the entries of one stream, UTC day and shard: those after the first id of its name, up to and with the last. So
the first id is where the file before it ends, and names alone show whether files follow each other. The folders are
partitions as polars and duckdb read them (`hive_partitioning`).

The files are the record of what is archived: there is no list beside them. A file whose range lies inside another's is what a merging
left behind when it was killed; it counts for nothing, and `tidy` deletes it.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import polars as pl

from connectors.archive.columns import entries_of, table_of, written
from connectors.archive.errors import ArchiveError, ArchiveGap
from connectors.archive.places import Place, place_of
from connectors.redis.streams import Entry
from domain.ids import LOG_START, EntryId, entry_id, entry_text

MERGED_BYTES = 16_000_000
"""Files of a day that is over are merged up to this size: it is what a reader holds in memory, packed."""
_ID = ("entry_ms", "entry_sequence")
_NAME = re.compile(r"stream=(\w+)/date=(\d{4}-\d\d-\d\d)/shard=(\d\d)/(\d+-\d+)_(\d+-\d+)\.parquet")


def date_of(entry: EntryId) -> str:
    """The UTC day of an entry: of when the server took it, not of what it says."""
    return datetime.fromtimestamp(entry[0] // 1000, UTC).date().isoformat()


@dataclass(frozen=True, slots=True)
class Range:
    """Entries of a shard's stream after `after`, up to and with `last`, which are all of one UTC day."""

    stream: str
    shard: int
    after: EntryId
    last: EntryId

    @property
    def date(self) -> str:
        """The day of all its entries."""
        return date_of(self.last)

    @property
    def name(self) -> str:
        """Its file."""
        ends = f"{entry_text(self.after)}_{entry_text(self.last)}"
        return f"stream={self.stream}/date={self.date}/shard={self.shard:02d}/{ends}.parquet"


def range_of(name: str) -> Range:
    """The range in a file's name. Raises ArchiveError for a file that is none of ours."""
    found = _NAME.fullmatch(name)
    if found is None:
        raise ArchiveError(f"{name} is no file of the archive: move it out of the archive's folder")
    stream, _, shard, after, last = found.groups()
    return Range(stream, int(shard), entry_id(after), entry_id(last))


class Archive:
    """An archive at its place. Raises ArchiveError, and FormatError for files that this release cannot read."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.address = place.address

    @classmethod
    def at(cls, address: str | Path) -> "Archive":
        """The archive in a folder or at the URL of a bucket. Raises PlaceUnusable."""
        return cls(place_of(address))

    def ranges(self, stream: str, shard: int) -> list[Range]:
        """What is archived of a shard's stream, each entry once, in order. Raises ArchiveGap where files do not follow each other."""
        try:
            return self._following(stream, shard)
        except (
            ArchiveGap,
            FileNotFoundError,
        ):  # A listing is not of one instant: of a merging it may see neither side.
            return self._following(stream, shard)

    def _following(self, stream: str, shard: int) -> list[Range]:
        kept, _ = _uncovered(found for found in self._sizes(f"stream={stream}/") if found.shard == shard)
        if kept and kept[0].after != LOG_START:
            raise ArchiveGap(
                f"the archive at {self.address} begins with {kept[0].name}: the files before it are missing"
            )
        for one, other in pairwise(kept):
            if one.last != other.after:
                raise ArchiveGap(
                    f"the archive at {self.address} misses what was between {one.name} and {other.name}: restore it from a backup"
                )
        return kept

    def tidy(self, stream: str) -> dict[int, Range]:
        """Delete what killed mergings have left of a stream. Returns the last range of each shard.

        Raises ArchiveGap, and deletes nothing, where a file is not what the one that covers it holds: then it was left by no merging.
        """
        sizes = self._sizes(f"stream={stream}/")
        ends = {}
        for shard in {found.shard for found in sizes}:
            kept, covered = _uncovered(found for found in sizes if found.shard == shard)
            for part in covered:
                self._check_merged(part, next(each for each in kept if each.last >= part.last))
            self._drop(covered)
            ends[shard] = kept[-1]
        return ends

    def _check_merged(self, part: Range, whole: Range) -> None:
        if not _between(self.table(whole), part.after, part.last).equals(self.table(part)):
            raise ArchiveGap(
                f"{part.name} and {whole.name} in the archive at {self.address} hold different entries: two histories are mixed there. Move away the one that is not of this store"
            )

    def cut(self, stream: str, shard: int, last: EntryId, aside: str) -> int:
        """Let a shard's stream end with an entry: files that go further are moved to a folder, and what they hold up to it is written again.

        Returns how many were moved. The latest goes first, so that what is left follows each other whenever this is killed. Raises ArchiveGap.
        """
        self._put_beginning(self.check_cut(stream, shard, last), last)
        later = [found for found in self._sizes(f"stream={stream}/") if found.shard == shard and found.last > last]
        for each in sorted(later, key=lambda found: found.last, reverse=True):
            self._place.put(f"{aside}/{each.name}", self._place.read(each.name))
            self._drop([each])
        return len(later)

    def check_cut(self, stream: str, shard: int, last: EntryId) -> Range | None:
        """The file that holds an entry and goes on after it. Raises ArchiveGap if one goes over it and does not have it."""
        found = next((each for each in self.ranges(stream, shard) if each.after < last < each.last), None)
        if found and _between(self.table(found), found.after, last).select(pl.last(*_ID)).rows() != [last]:
            raise ArchiveGap(
                f"{found.name} in the archive at {self.address} does not have {entry_text(last)}: it is another store's archive"
            )
        return found

    def _put_beginning(self, found: Range | None, last: EntryId) -> None:
        """Write what a file holds up to an entry as a file of its own."""
        if found:
            beginning = Range(found.stream, found.shard, found.after, last)
            self.put(beginning, written(_between(self.table(found), found.after, last)))

    def put(self, found: Range, content: bytes) -> None:
        """Write a range's file. When it returns, the range is archived."""
        self._place.put(found.name, content)

    def table(self, found: Range) -> pl.DataFrame:
        """A range's file as a table (`connectors.archive.columns`). Raises FileNotFoundError if it was merged meanwhile."""
        return table_of(self._place.read(found.name), found.name)

    def entries(self, found: Range) -> Iterator[Entry]:
        """A range as the stream's entries, byte for byte. Raises FileNotFoundError as `table`."""
        return entries_of(found.stream, self.table(found))

    def scan(self, stream: str, shard: int) -> pl.LazyFrame:
        """All of a shard's stream for polars to read lazily, each entry once, with the columns `stream`, `date` and `shard`."""
        files = [f"{self.address}/{found.name}" for found in self.ranges(stream, shard)]
        if not files:
            raise ArchiveError(f"the archive at {self.address} holds nothing of {stream} of shard {shard:02d}")
        return pl.scan_parquet(files, hive_partitioning=True, glob=False)

    def merge(self, stream: str, shard: int, date: str) -> None:
        """Make few files of those of a day that is over: neighbours together, as long as they are small.

        A merged file is whole before those that it is made of are deleted. Until then `ranges` counts only the merged one.
        """
        sizes = self._sizes(f"stream={stream}/date={date}/shard={shard:02d}/")
        for run in _runs(_uncovered(sizes)[0], sizes):
            table = pl.concat([self.table(each) for each in run])
            self.put(Range(stream, shard, run[0].after, run[-1].last), written(table))
            self._drop(run)

    def _sizes(self, under: str) -> dict[Range, int]:
        return {range_of(each.name): each.size for each in self._place.files(under)}

    def _drop(self, ranges: Iterable[Range]) -> None:
        for each in ranges:
            self._place.drop(each.name)


def _between(table: pl.DataFrame, after: EntryId, last: EntryId) -> pl.DataFrame:
    """Rows of entries after one, up to and with another."""
    at, number = (pl.col(name) for name in _ID)
    is_later = (at > after[0]) | ((at == after[0]) & (number > after[1]))
    return table.filter(is_later & ((at < last[0]) | ((at == last[0]) & (number <= last[1]))))


def _uncovered(ranges: Iterable[Range]) -> tuple[list[Range], list[Range]]:
    """Ranges in order without those inside another, and those."""
    kept: list[Range] = []
    covered: list[Range] = []
    for each in sorted(ranges, key=lambda found: (found.after, (-found.last[0], -found.last[1]))):
        (covered if kept and each.last <= kept[-1].last else kept).append(each)
    return kept, covered


def _runs(ranges: Sequence[Range], sizes: dict[Range, int]) -> Iterator[list[Range]]:
    """Neighbours that are small enough together, two at least."""
    run: list[Range] = []
    for each in ranges:
        if run and (sum(sizes[part] for part in run) + sizes[each] > MERGED_BYTES or run[-1].last != each.after):
            yield from [run] if len(run) > 1 else []
            run = []
        run.append(each)
    yield from [run] if len(run) > 1 else []
