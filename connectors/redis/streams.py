"""The streams of all shards as the archive sees them: read onward, claimed range by range, and trimmed.

`archived:{07}` holds, for each stream, up to where it is claimed: an archiver claims a range before it writes its file. So after a
kill the same range is written once more, and of two archivers by mistake one is refused. `readers:{07}` is a table
of whoever else reads a stream: field `STREAM READER`, value the last entry that it needs no more. Streams are trimmed past nobody.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from connectors.redis.errors import StoreError, StoreMismatch
from connectors.redis.keys import SITE, key, ledger_key
from connectors.redis.nodes import Nodes
from connectors.redis.store import check_site, close, is_trimmed, opened, translated
from domain.ids import LOG_START, EntryId, entry_id, entry_text

Fields = dict[bytes, bytes]
Entry = tuple[EntryId, Fields]

ARCHIVED = ("log", "postings", "usage", "quarantined", "refused", "alarms", "commands")
"""Streams that are archived. `outcomes` follow from the log, are kept by id for 90 days, and bound themselves."""
LEDGER_KEPT = 500
"""Postings of an account that stay in the server, the newest: more than a year of days, and the longest page of the API."""

# KEYS[1] archived:{07}; ARGV the stream, where the claimed range begins, where it ends.
_CLAIM = """\
local claimed = redis.call('HGET', KEYS[1], ARGV[1]) or '0-0'
if claimed ~= ARGV[2] and claimed ~= ARGV[3] then
  return redis.error_reply('MOVED_ON ' .. ARGV[1] .. ' is claimed up to ' .. claimed .. ', not ' .. ARGV[2])
end
return redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
"""


class Streams:
    """A connection to the streams of all shards. Not thread-safe. Raises StoreError."""

    def __init__(self, nodes: Nodes[Any], shards: int) -> None:
        self.shards = shards
        self._nodes = nodes

    @classmethod
    def open(cls, url: str) -> "Streams":
        """Connect to a store that exists."""
        nodes = opened(url)
        try:
            with translated():
                site = nodes.of(SITE).hgetall(SITE)
            if not site:
                raise StoreMismatch(
                    "the store is empty; start `meterline up`, `meterline site --shards` or `meterline import` first, they make it"
                )
            return cls(nodes, check_site(site))
        except StoreError:
            close(nodes)
            raise

    def close(self) -> None:
        """Give the connections back."""
        close(self._nodes)

    def _at(self, shard: int) -> Any:
        return self._nodes.of(key("log", shard))

    def read(self, shard: int, after: Mapping[str, EntryId], count: int) -> dict[str, list[Entry]]:
        """Up to `count` entries of each stream after a position; streams without any are left out."""
        asked = {key(stream, shard): entry_text(entry) for stream, entry in after.items()}
        with translated():
            found = self._at(shard).xread(asked, count)
        return {name.decode().partition(":")[0]: _entries(entries) for name, entries in found}

    def following(
        self, stream: str, shard: int, after: EntryId, *, last: EntryId | None = None, count: int | None = None
    ) -> list[Entry] | None:
        """Entries after another one, to `last` or the end; None if the stream was trimmed past it, and some may be missing.

        `after` is an entry of the stream, or LOG_START.
        """
        end = entry_text(last) if last else "+"
        with translated():
            found = _entries(self._at(shard).xrange(key(stream, shard), entry_text(after), end, count and count + 1))
        if after == LOG_START:
            return None if is_trimmed(self._at(shard), key(stream, shard)) else found[:count]
        return found[1:] if found and found[0][0] == after else None

    def oldest(self, stream: str, shard: int) -> EntryId | None:
        """The first entry that the stream has; None if it is empty."""
        with translated():
            found = _entries(self._at(shard).xrange(key(stream, shard), count=1))
        return found[0][0] if found else None

    def claimed(self, shard: int) -> dict[str, EntryId]:
        """Up to where each stream is claimed."""
        with translated():
            found = self._at(shard).hgetall(key("archived", shard))
        return dict.fromkeys(ARCHIVED, LOG_START) | {
            stream.decode(): entry_id(entry.decode()) for stream, entry in found.items()
        }

    def claim(self, stream: str, shard: int, after: EntryId, last: EntryId) -> None:
        """Say that the entries after `after` up to `last` are being archived; again changes nothing. Raises MovedOn if others are."""
        with translated():
            self._at(shard).eval(_CLAIM, 1, key("archived", shard), stream, entry_text(after), entry_text(last))

    def trim(self, stream: str, shard: int, archived: EntryId, kept_ms: int) -> None:
        """Delete what is archived, folded, read by all its readers, and older than `kept_ms` before the last archived entry.

        The entry at `archived` itself always stays: readers see by it that archive and stream follow each other.
        """
        with translated():
            pipe = self._at(shard).pipeline(transaction=False)
            pipe.get(key("settled", shard))
            pipe.hgetall(key("readers", shard))
            position, readers = pipe.execute()
            needed = [archived, (max(archived[0] - kept_ms, 0), 0)]
            needed += [entry_id((position or b"0-0").decode())] if stream == "log" else []
            needed += [
                entry_id(entry.decode()) for reader, entry in readers.items() if reader.split()[0] == stream.encode()
            ]
            self._at(shard).xtrim(key(stream, shard), minid=entry_text(min(needed)), approximate=False)

    def trim_ledgers(self, shard: int, rows: Iterable[int]) -> None:
        """Keep the newest postings of some accounts, by their rows, in the server."""
        with translated():
            pipe = self._at(shard).pipeline(transaction=False)
            for row in rows:
                pipe.ltrim(ledger_key(shard, row), -LEDGER_KEPT, -1)
            pipe.execute()


def _entries(found: list[Any]) -> list[Entry]:
    return [(entry_id(entry.decode()), fields) for entry, fields in found]
