"""The whole log of a shard through one door: what is archived, then what is live, without a gap and none twice."""

from collections.abc import Iterator
from contextlib import suppress

from connectors.archive.errors import ArchiveGap
from connectors.archive.files import Archive
from connectors.redis.formats import FormatError, decode_fact
from connectors.redis.keys import key
from connectors.redis.streams import Entry, Streams
from domain.facts import Fact
from domain.ids import LOG_START, EntryId, entry_text

_AT_ONCE = 500


def entries(
    archive: Archive, streams: Streams, shard: int, after: EntryId = LOG_START
) -> Iterator[tuple[EntryId, Fact]]:
    """Facts of a shard's log after one of its entries, to its end, also while others append, archive and trim.

    Raises ArchiveGap where entries are missing, FormatError for what this release cannot read, ArchiveError and StoreError.
    """
    for entry, fields in raw_entries(archive, streams, shard, after):
        try:
            yield entry, decode_fact(fields)
        except FormatError as error:
            raise FormatError(f"{key('log', shard)} at {entry_text(entry)}: {error}") from error


def raw_entries(archive: Archive, streams: Streams, shard: int, after: EntryId = LOG_START) -> Iterator[Entry]:
    """`entries` as they are in the stream, byte for byte."""
    missed: EntryId | None = None
    while True:
        for entry, fields in _archived(archive, shard, after):
            yield entry, fields
            after = entry
        if after == missed:
            raise ArchiveGap(
                f"what followed {entry_text(after)} is neither in {key('log', shard)} nor in the archive at {archive.address}: is this the archive that the log was trimmed for?"
            )
        while live := streams.following("log", shard, after, count=_AT_ONCE):
            yield from live
            after = live[-1][0]
        if live is not None:
            return
        missed = after  # Trimmed since we looked: then it is archived by now.


def _archived(archive: Archive, shard: int, after: EntryId) -> Iterator[Entry]:
    """What is archived after an entry."""
    while waiting := [found for found in archive.ranges("log", shard) if found.last > after]:
        with suppress(FileNotFoundError):  # Merged since we looked: look again.
            for found in waiting:
                for entry, fields in archive.log(found):
                    if entry > after:
                        yield entry, fields
                        after = entry
