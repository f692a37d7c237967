"""The archive's files: their names say what they hold, missing ones are noticed, and those of past days become few."""

from itertools import pairwise

import pytest
from archiving import archive_once, archived_ids, everything_live
from obstore.store import MemoryStore

from connectors.archive.columns import file_of
from connectors.archive.errors import ArchiveError, ArchiveGap
from connectors.archive.files import Archive, Range, date_of, range_of
from connectors.archive.places import Bucket, Folder
from connectors.redis.streams import Streams
from flows.archive import Terms

DAY = 86_400_000
TICK = {b"k": b"ticked", b"v": b"1", b"b": b"\x81\xa2at\x01"}


@pytest.fixture(params=["folder", "bucket"])
def place(request, tmp_path):
    """A folder, and a bucket of an object store in memory."""
    return Folder(tmp_path / "archive") if request.param == "folder" else Bucket(MemoryStore(), "memory://")


def kept(archive, *ends, shard=0):
    """Files of a log with an entry each, from one end to the next."""
    ranges = [Range("log", shard, after, last) for after, last in pairwise(ends)]
    for each in ranges:
        archive.put(each, file_of("log", [(each.last, TICK)]))
    return ranges


def test_a_name_says_stream_day_shard_and_range():
    """Names are what everything else relies on."""
    found = Range("log", 7, (1764028800000, 0), (1764032400123, 4))

    assert found.name == "stream=log/date=2025-11-25/shard=07/1764028800000-0_1764032400123-4.parquet"
    assert range_of(found.name) == found


def test_a_foreign_file_is_named(place):
    """A file that somebody put into the archive is told, not read and not deleted."""
    place.put("stream=log/date=2025-11-25/shard=07/notes.txt", b"")

    with pytest.raises(ArchiveError, match=r"notes\.txt is no file of the archive"):
        Archive(place).ranges("log", 7)


def test_files_follow_each_other_or_it_is_said(place):
    """A missing file, first or in the middle, is an error with the names of its neighbours."""
    archive = Archive(place)
    first, second, third = kept(archive, (0, 0), (5, 0), (9, 1), (9, 2))
    assert archive.ranges("log", 0) == [first, second, third]
    assert archive.ranges("log", 1) == []

    place.drop(second.name)
    with pytest.raises(ArchiveGap, match=f"between {first.name} and {third.name}"):
        archive.ranges("log", 0)
    place.drop(first.name)
    with pytest.raises(ArchiveGap, match=f"begins with {third.name}"):
        archive.ranges("log", 0)


def test_small_files_of_a_day_are_merged(place, monkeypatch):
    """Neighbours become one file up to a size, other days and shards are left alone, and every entry stays."""
    archive = Archive(place)
    ends = [(0, 0), (5, 0), (6, 0), (7, 0), (8, 0), (9, 0), (DAY, 0)]
    parts = kept(archive, *ends)
    kept(archive, (0, 0), (3, 0), shard=1)
    size = {each.name: each.size for each in place.files("")}[parts[0].name]
    monkeypatch.setattr("connectors.archive.files.MERGED_BYTES", 2 * size + 50)

    archive.merge("log", 0, "1970-01-01")

    assert [(each.after, each.last) for each in archive.ranges("log", 0)] == [
        ((0, 0), (6, 0)), ((6, 0), (8, 0)), ((8, 0), (9, 0)), ((9, 0), (DAY, 0)),
    ]  # fmt: skip
    assert archived_ids(archive, "log", 0) == ends[1:]
    assert len(place.files("")) == 5


def test_a_killed_merging_counts_nothing_twice(place):
    """Parts that a merged file has made superfluous are not counted, and deleted at the next start."""
    archive = Archive(place)
    kept(archive, (0, 0), (5, 0), (6, 0), (7, 0))
    merged = Range("log", 0, (0, 0), (6, 0))
    archive.put(merged, file_of("log", [((5, 0), TICK), ((6, 0), TICK)]))
    assert archived_ids(archive, "log", 0) == [(5, 0), (6, 0), (7, 0)]

    ends = archive.tidy("log")

    assert ends == {0: Range("log", 0, (6, 0), (7, 0))}
    assert len(place.files("")) == 2


def test_every_entry_of_a_street_is_kept_once(server, store, place):
    """All streams of all shards, in a folder or a bucket; archiving again finds nothing new."""
    before = everything_live(server.url)
    archive = Archive(place)

    for _ in range(2):
        archive_once(lambda: Streams.open(server.url), archive, Terms(0.0, 10**9, 700))
        for (stream, shard), entries in before.items():
            assert archived_ids(archive, stream, shard) == [entry for entry, _ in entries], stream
    assert len(archive.ranges("log", 0)) > 3
    assert everything_live(server.url) == before


class Torn(Bucket):
    """A bucket in memory whose first listing was made while files were merged: it has neither the parts nor the whole."""

    def __init__(self, missing):
        super().__init__(MemoryStore(), "memory://")
        self.missing = missing

    def files(self, under):
        """All files, from the second time on."""
        found, missing = super().files(under), self.missing
        self.missing = set()
        return [each for each in found if each.name not in missing]


def test_a_listing_beside_a_merging_is_made_again():
    """A gap that is there only while files are merged is none; who reads at that moment sees all entries."""
    merged = Range("log", 0, (5, 0), (7, 0))
    archive = Archive(Torn({merged.name}))
    archive.put(merged, file_of("log", [((6, 0), TICK), ((7, 0), TICK)]))
    first, last = kept(archive, (0, 0), (5, 0))[0], kept(archive, (7, 0), (8, 0))[0]

    assert archive.ranges("log", 0) == [first, merged, last]


def test_a_file_is_of_one_day(server, store, archive):
    """However few entries there are, a file does not go on past midnight UTC: its folder says when they came."""
    store._at(0).delete("log:{00}")
    for number in range(6):
        store._at(0).xadd("log:{00}", TICK, id=f"{DAY - 3 + number}-1")

    archive_once(lambda: Streams.open(server.url), archive, Terms(0.0, 10**9, 10**6))

    assert [(each.date, each.last) for each in archive.ranges("log", 0)] == [
        ("1970-01-01", (DAY - 1, 1)),
        ("1970-01-02", (DAY + 2, 1)),
    ]


def test_a_new_day_merges_the_one_before(server, store, archive):
    """When a day's first file is written, the files of the day before become one."""
    store._at(0).delete("log:{00}")
    for number in range(8):
        store._at(0).xadd("log:{00}", TICK, id=f"{DAY - 4 + number}-1")

    archive_once(lambda: Streams.open(server.url), archive, Terms(0.0, 0.0, 1))

    ranges = archive.ranges("log", 0)
    assert [each.date for each in ranges] == ["1970-01-01", *["1970-01-02"] * 4]
    assert archived_ids(archive, "log", 0) == [(DAY - 4 + number, 1) for number in range(8)]
    assert date_of(ranges[0].last) == "1970-01-01"
