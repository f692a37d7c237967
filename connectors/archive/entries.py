"""A whole stream of a shard through one door: what is only archived, then what is live, without a gap and none twice."""

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


def raw_entries(
    archive: Archive, streams: Streams, shard: int, after: EntryId = LOG_START, stream: str = "log"
) -> Iterator[Entry]:
    """Entries of any archived stream as they are in it, byte for byte. Errors as of `entries`.

    What the server still has is taken from the server.
    """
    while True:
        while live := streams.following(stream, shard, after, count=_AT_ONCE):
            yield from live
            after = live[-1][0]
        if live is not None:
            return
        # Trimmed past `after`: then it is archived, up to and with what is now the oldest entry.
        begun, oldest = after, streams.oldest(stream, shard)
        for entry, fields in _archived(archive, stream, shard, after):
            yield entry, fields
            after = entry
            if oldest and entry >= oldest:
                break
        if after == begun:
            raise ArchiveGap(
                f"what followed {entry_text(after)} is neither in {key(stream, shard)} nor in the archive at {archive.address}: is this the archive that the {stream} was trimmed for?"
            )


def _archived(archive: Archive, stream: str, shard: int, after: EntryId) -> Iterator[Entry]:
    """What is archived after an entry."""
    while waiting := [found for found in archive.ranges(stream, shard) if found.last > after]:
        with suppress(FileNotFoundError):  # Merged since we looked: look again.
            for found in waiting:
                for entry, fields in archive.entries(found):
                    if entry > after:
                        yield entry, fields
                        after = entry
