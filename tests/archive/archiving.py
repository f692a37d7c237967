"""The archiver's three steps without bytewax, and what streams and archive hold, for the suites of this folder."""

import contextlib
from collections.abc import Callable

import redis
from log_samples import options

from connectors.archive.files import Archive
from connectors.metrics import Measures
from connectors.redis.keys import key
from connectors.redis.streams import ARCHIVED, Entry, Streams
from domain.ids import entry_id
from domain.metrics import Process
from flows.archive import Keeps, Reads, Terms, formed

SHARDS = 2
AT_ONCE = Terms(every_seconds=0.0, kept_seconds=-1.0, file_bytes=700)
"""Files of a few entries, and nothing stays in the server that need not, not even what came in the same millisecond."""


def archive_once(opens: Callable[[], Streams], archive: Archive, terms: Terms = AT_ONCE) -> None:
    """Archive all that is in the streams."""
    reads, keeps = Reads(opens, archive, terms), Keeps(opens, archive, terms, Measures(Process.ARCHIVE))
    for part in reads.list_parts():
        with (
            contextlib.closing(reads.build_part("read", part, None)) as reader,
            contextlib.closing(keeps.build_part("keep", part, None)) as keeper,
        ):
            while spans := reader.next_batch():
                keeper.write_batch([formed(span) for _, span in spans])


def live(url: str, stream: str, shard: int) -> list[Entry]:
    """What is in a stream."""
    with contextlib.closing(redis.Redis.from_url(url, **options())) as client:
        return [(entry_id(entry.decode()), fields) for entry, fields in client.xrange(key(stream, shard))]


def everything_live(url: str) -> dict[tuple[str, int], list[Entry]]:
    """What is in all archived streams."""
    return {(stream, shard): live(url, stream, shard) for stream in ARCHIVED for shard in range(SHARDS)}


def archived_ids(archive: Archive, stream: str, shard: int) -> list[tuple[int, int]]:
    """Ids of the entries in the files of a shard's stream, in order."""
    found: list[tuple[int, int]] = []
    for each in archive.ranges(stream, shard):
        table = archive.table(each)
        found += table.select("entry_ms", "entry_sequence").unique(maintain_order=True).rows()
    return found
