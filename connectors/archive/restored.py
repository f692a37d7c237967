"""An archive beside a store that was restored from an older backup: what it holds of days that the store no longer knows.

Those days happened, and then did not: the store goes on from its backup, and writes the same ranges again with other content. Two histories in
one archive would be neither. So no archiver writes to an archive that goes further than its store says, until what is too much has been set aside. Readers are
not misled meanwhile: they take from an archive only what comes before the oldest entry in the server.
"""

from datetime import UTC, datetime

from connectors.archive.errors import ArchiveGap
from connectors.archive.files import Archive, Range
from connectors.redis.streams import ARCHIVED, Entry, Streams
from domain.ids import LOG_START, EntryId, entry_text


def check_history(archive: Archive, streams: Streams, stream: str, shard: int, end: EntryId) -> None:
    """Raise ArchiveGap if an archive's end is later than what its store says is archived. An archiver claims before it writes."""
    claimed = streams.claimed(shard)[stream]
    if end > claimed:
        raise ArchiveGap(
            f"the archive at {archive.address} has {stream} of shard {shard:02d} up to {entry_text(end)}, and its store knows of none after {entry_text(claimed)}: "
            "either it is another store's archive, or the store was restored from an older backup. In that case `meterline archive --set-aside` (docs/backup.md) moves what is too much out of the way"
        )


def set_aside(archive: Archive, streams: Streams) -> tuple[str, int]:
    """Let an archive end where its store says, in every stream and shard. Returns the folder in it that has the rest, and how many files moved there.

    Whole files are moved, and what the store knows of them is written again. Killed at any instruction it can be repeated. Raises ArchiveGap, and moves
    nothing, if the archive is not of this store.
    """
    aside = f"aside/{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    for shard in range(streams.shards):
        _check_same_store(archive, streams, shard)
    ends = [(stream, shard, end) for shard in range(streams.shards) for stream, end in streams.claimed(shard).items()]
    for stream in ARCHIVED:
        archive.tidy(stream)
    for where in ends:
        archive.check_cut(*where)
    return aside, sum(archive.cut(*where, aside) for where in ends)


def _check_same_store(archive: Archive, streams: Streams, shard: int) -> None:
    """Raise ArchiveGap unless the last entry that the store says is archived, or else the very first, is the same there and here."""
    claimed, ranges = streams.claimed(shard)["log"], archive.ranges("log", shard)
    if not ranges or ranges[-1].last <= claimed:
        return
    archived = _entry(archive, ranges, claimed)
    live = streams.read(shard, {"log": _before(archived[0])}, 1).get("log", []) if archived else []
    if live != [archived]:
        raise ArchiveGap(
            f"the archive at {archive.address} is not of this store: in shard {shard:02d} they do not have the same entry at {entry_text(claimed)}. Nothing was moved; name the right archive"
        )


def _entry(archive: Archive, ranges: list[Range], entry: EntryId) -> Entry | None:
    """An entry of an archived log; the first for LOG_START. None if it has none there."""
    holding = next(each for each in ranges if each.last >= entry)
    found = (each for each in archive.entries(holding) if entry in {LOG_START, each[0]})
    return next(found, None)


def _before(entry: EntryId) -> EntryId:
    """The id that comes just before an entry's."""
    return (entry[0], entry[1] - 1) if entry[1] else (entry[0] - 1, 2**63 - 1)
