"""Archive: read ▸ form ▸ keep. The dataflow that turns streams into files, and lets the server forget what is in them.

    log:{07}, postings:{07}, … ──read──▶ spans ──form──▶ Parquet ──keep──▶ files; streams trimmed

One partition per shard. Guarantee: every entry of an archived stream is in exactly one file, through kills and restarts at any
instruction, and in no stream is an entry deleted before its file is on disk, its fact folded and its readers done.

How: a span begins where the newest file ends. Before its file is written, the span is claimed in the store; a worker that starts and
finds more claimed than is in files writes just that, again. What is not yet in a file is read again after a restart; it is
in the stream still.

On several hosts, as `flows.settle` (bytewax divides the shards among the processes):

    METERLINE_STORE_URL=redis://… METERLINE_ARCHIVE=s3://… python -m bytewax.run flows.archive:flow -i 0 -a "one:2102;two:2102"
"""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import bytewax.operators as op
import numpy as np
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from connectors.archive.columns import file_of
from connectors.archive.errors import ArchiveGap
from connectors.archive.files import Archive, Range, date_of
from connectors.archive.restored import check_history
from connectors.metrics import Measures
from connectors.redis.streams import ARCHIVED, Entry, Streams
from domain.effects import POSTING
from domain.ids import LOG_START, EntryId, entry_text
from domain.metrics import Process

ENTRIES_AT_ONCE = 64
FILE_BYTES = 8_000_000
"""Of entries in a file, before they are packed; more only if one entry is longer."""
EVERY_SECONDS = 600.0
"""How long an entry waits for others at most before its file is written."""
KEPT_SECONDS = 3_600.0
"""How much of a stream stays in the server, before its last archived entry."""
KEPT_LONGER_SECONDS = {"alarms": 30 * 86_400.0}
"""The API shows the newest alarms out of the server."""
IDLE = timedelta(seconds=0.25)

Opens = Callable[[], Streams]


@dataclass(frozen=True, slots=True)
class Terms:
    """When a file is written, and what stays in the server after that."""

    every_seconds: float = EVERY_SECONDS
    kept_seconds: float = KEPT_SECONDS
    file_bytes: int = FILE_BYTES

    def kept_ms(self, stream: str) -> int:
        """How much of a stream stays."""
        return round(1000 * max(self.kept_seconds, KEPT_LONGER_SECONDS.get(stream, self.kept_seconds)))


@dataclass(frozen=True, slots=True)
class Span:
    """Entries of one stream and day, all that there are in a range, enough for a file. `before`: the day of the file before."""

    range: Range
    before: str
    entries: list[Entry]


@dataclass(frozen=True, slots=True)
class File:
    """A span as it will be kept."""

    range: Range
    before: str
    entries: int
    content: bytes
    accounts: list[int]
    """Rows of the accounts that its postings are of."""


def build(streams: Opens, archive: Archive, terms: Terms, measures: Measures | None = None) -> Dataflow:
    """The dataflow over all shards of a store: one line here is one box in docs/archive.md."""
    flow = Dataflow("archive")
    spans = op.input("read", flow, Reads(streams, archive, terms))
    files = op.map_value("form", spans, formed)
    op.output("keep", files, Keeps(streams, archive, terms, measures or Measures(Process.ARCHIVE)))
    return flow


def flow(
    every_seconds: float = EVERY_SECONDS, kept_seconds: float = KEPT_SECONDS, file_bytes: int = FILE_BYTES
) -> Dataflow:
    """The dataflow from `METERLINE_STORE_URL` to `METERLINE_ARCHIVE`, for `python -m bytewax.run flows.archive:flow`."""
    url, address = os.environ.get("METERLINE_STORE_URL"), os.environ.get("METERLINE_ARCHIVE")
    if not url or not address:
        raise SystemExit("set METERLINE_STORE_URL to the store's URL and METERLINE_ARCHIVE to the archive's address")
    return build(lambda: Streams.open(url), Archive.at(address), Terms(every_seconds, kept_seconds, file_bytes))


def formed(span: Span) -> File:
    """A span's columns as Parquet."""
    accounts: list[int] = []
    if span.range.stream == "postings":
        bodies = b"".join(fields[b"b"] for _, fields in span.entries)
        accounts = np.unique(np.frombuffer(bodies, POSTING)["account"]).tolist()
    return File(span.range, span.before, len(span.entries), file_of(span.range.stream, span.entries), accounts)


class Filling:
    """One shard's stream, read onward, until there is enough for a file."""

    def __init__(self, stream: str, shard: int, end: Range | None, terms: Terms) -> None:
        self._stream, self._shard, self._terms = stream, shard, terms
        self._after = _last(end)
        self._before = end.date if end else ""
        self._entries: list[Entry] = []
        self._bytes = 0
        self._since = 0.0

    @property
    def reached(self) -> EntryId:
        """The last entry that was read."""
        return self._entries[-1][0] if self._entries else self._after

    def take(self, entries: list[Entry], now: float) -> Iterator[Span]:
        """Take entries, and give what is full. A file is of one day."""
        for entry, fields in entries:
            if self._entries and (self._bytes >= self._terms.file_bytes or date_of(entry) != date_of(self.reached)):
                yield self.cut()
            self._since = self._since if self._entries else now
            self._entries.append((entry, fields))
            self._bytes += sum(map(len, fields.values()))

    def is_due(self, now: float) -> bool:
        """Whether something waits that is enough, or has waited long."""
        waited = now - self._since >= self._terms.every_seconds
        return bool(self._entries) and (waited or self._bytes >= self._terms.file_bytes)

    def cut(self) -> Span:
        """What waits, as a span."""
        span = Span(Range(self._stream, self._shard, self._after, self.reached), self._before, self._entries)
        self._after, self._before, self._entries, self._bytes = span.range.last, span.range.date, [], 0
        return span


def claimed_before(streams: Streams, stream: str, shard: int, end: Range | None, claimed: EntryId) -> Span:
    """The span that an archiver before us has claimed and not written. Raises ArchiveGap if it does not follow the archive's end."""
    last = _last(end)
    entries = streams.following(stream, shard, last, last=claimed) if last < claimed else None
    if not entries or entries[-1][0] != claimed:
        raise ArchiveGap(
            f"{stream} of shard {shard:02d} is archived up to {entry_text(claimed)}, and this archive ends at {entry_text(last)}: it is another one, or was restored from a backup. Name the archive that the store was archived to"
        )
    return Span(Range(stream, shard, last, claimed), end.date if end else "", entries)


def _last(end: Range | None) -> EntryId:
    return end.last if end else LOG_START


class Reads(FixedPartitionedSource[tuple[str, Span], None]):
    """The shards' streams, each from where its newest file ends."""

    def __init__(self, streams: Opens, archive: Archive, terms: Terms) -> None:
        self._streams, self._archive, self._terms = streams, archive, terms
        self._ends: dict[str, dict[int, Range]] = {}

    def list_parts(self) -> list[str]:
        """One partition per shard, named by its number."""
        return _parts(self._streams)

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> "ReadPartition":  # noqa: ARG002 - bytewax's signature
        """A reader of one shard's streams. Raises ArchiveGap if they do not go on where the archive ends."""
        shard = int(for_part)
        self._ends = self._ends or {stream: self._archive.tidy(stream) for stream in ARCHIVED}
        ends, streams = {stream: self._ends[stream].get(shard) for stream in ARCHIVED}, self._streams()
        for stream, end in ends.items():
            check_history(self._archive, streams, stream, shard, _last(end))
        return ReadPartition(streams, shard, ends, self._terms)


class ReadPartition(StatefulSourcePartition[tuple[str, Span], None]):
    """Reads one shard's streams onward; keeps its place in memory only."""

    def __init__(self, streams: Streams, shard: int, ends: dict[str, Range | None], terms: Terms) -> None:
        self._streams, self._shard = streams, shard
        self._claimed = [
            claimed_before(streams, stream, shard, ends[stream], claimed)
            for stream, claimed in streams.claimed(shard).items()
            if claimed != _last(ends[stream])
        ]
        ends = ends | {span.range.stream: span.range for span in self._claimed}
        self._fillings = {stream: Filling(stream, shard, end, terms) for stream, end in ends.items()}
        self._is_behind = True

    def next_batch(self) -> list[tuple[str, Span]]:
        """Spans that are full or have waited long enough."""
        spans, self._claimed = self._claimed, []
        reached = {stream: filling.reached for stream, filling in self._fillings.items()}
        found = self._streams.read(self._shard, reached, ENTRIES_AT_ONCE)
        self._is_behind = any(len(entries) == ENTRIES_AT_ONCE for entries in found.values())
        now = time.monotonic()
        for stream, entries in found.items():
            spans += self._fillings[stream].take(entries, now)
        spans += [filling.cut() for filling in self._fillings.values() if filling.is_due(now)]
        return [(f"{self._shard:02d}", span) for span in spans]

    def next_awake(self) -> datetime | None:
        """Look again at once where there is more, else soon."""
        return None if self._is_behind else datetime.now(UTC) + IDLE

    def snapshot(self) -> None:
        """Nothing: the files say how far they go."""

    def close(self) -> None:
        """Give the connection back."""
        self._streams.close()


class Keeps(FixedPartitionedSink[File, None]):
    """Where files go."""

    def __init__(self, streams: Opens, archive: Archive, terms: Terms, measures: Measures) -> None:
        self._streams, self._archive, self._terms, self._measures = streams, archive, terms, measures

    def list_parts(self) -> list[str]:
        """One partition per shard."""
        return _parts(self._streams)

    def part_fn(self, item_key: str) -> int:
        """A shard's files go to its own partition."""
        return int(item_key)

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> "KeepPartition":  # noqa: ARG002 - bytewax's signature
        """A writer for one shard."""
        return KeepPartition(self._streams(), self._archive, self._terms, self._measures)


class KeepPartition(StatefulSinkPartition[File, None]):
    """Writes one shard's files, and trims what they hold. Another archiver of the same shard ends the process (MovedOn)."""

    def __init__(self, streams: Streams, archive: Archive, terms: Terms, measures: Measures) -> None:
        self._streams, self._archive, self._terms, self._measures = streams, archive, terms, measures

    def write_batch(self, values: list[File]) -> None:
        """Claim, write, trim; and merge the files of the day before when a new day begins."""
        for file in values:
            stream, shard, last = file.range.stream, file.range.shard, file.range.last
            with self._measures["archive_write_seconds"].time():
                self._streams.claim(stream, shard, file.range.after, last)
                self._archive.put(file.range, file.content)
                self._streams.trim(stream, shard, last, self._terms.kept_ms(stream))
                self._streams.trim_ledgers(shard, file.accounts)
            self._measures["archive_files_total"].labels(stream).inc()
            self._measures["archive_entries_total"].labels(stream).inc(file.entries)
            self._measures["archive_bytes_total"].labels(stream).inc(len(file.content))
            if file.before not in {"", file.range.date}:
                self._archive.merge(stream, shard, file.before)

    def snapshot(self) -> None:
        """Nothing: the files say how far they go."""

    def close(self) -> None:
        """Give the connection back."""
        self._streams.close()


def _parts(streams: Opens) -> list[str]:
    """Names of the shards."""
    store = streams()
    store.close()
    return [f"{shard:02d}" for shard in range(store.shards)]
