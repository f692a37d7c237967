"""Archive and live log are one log, whatever happens meanwhile."""

import contextlib

import pytest
from archiving import AT_ONCE, archive_once, archived_ids, everything_live, live
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from obstore.store import MemoryStore

from connectors.archive.entries import entries, raw_entries
from connectors.archive.errors import ArchiveGap
from connectors.archive.files import Archive
from connectors.archive.places import Bucket
from connectors.redis.formats import FormatError, encode_fact
from connectors.redis.store import Store
from connectors.redis.streams import Streams
from domain.facts import Ticked
from flows.archive import Terms
from flows.settle import settle_once

DAY = 86_400_000
HOUR = 3_600_000


class Crash(Exception):  # noqa: N818 - it is one
    """The archiver was killed."""


class Mortal(Bucket):
    """A bucket in memory whose writer dies at one of its writes, before or after it has an effect."""

    def __init__(self):
        super().__init__(MemoryStore(), "memory://")
        self.writes_left = None
        self.dies_after = False

    def put(self, name, content):
        """Put, or die."""
        self._survive(lambda: super(Mortal, self).put(name, content))

    def drop(self, name):
        """Drop, or die."""
        self._survive(lambda: super(Mortal, self).drop(name))

    def _survive(self, write):
        last = self.writes_left == 0
        self.writes_left = None if self.writes_left is None or last else self.writes_left - 1
        if last and not self.dies_after:
            raise Crash
        write()
        if last:
            raise Crash


class Life:
    """One shard's log that is appended to, folded, archived by mortals, trimmed, and read."""

    def __init__(self, url, kept_hours):
        self.url, self.kept_seconds = url, 3600.0 * kept_hours
        with contextlib.closing(Store.open(url, 1)) as old:
            old._at(0).delete(*old._at(0).keys("*"))
        self.store = Store.open(url, 1)
        self.streams = Streams.open(url)
        self.place = Mortal()
        self.archive = Archive(self.place)
        self.appended = []
        self.at = DAY
        self.reader, self.read = None, []

    def append(self, hours):
        """Append an entry, some hours after the last."""
        self.at += 1 + hours * HOUR
        fields = encode_fact(Ticked(at=self.at))
        self.store._at(0).xadd("log:{00}", fields, id=f"{self.at}-0")
        self.appended.append((self.at, 0))

    def archived(self, writes, dies_after):
        """Archive what is there; the archiver dies at a write, if it makes so many."""
        self.place.writes_left, self.place.dies_after = writes, dies_after
        with contextlib.suppress(Crash):
            archive_once(lambda: Streams.open(self.url), self.archive, Terms(0.0, self.kept_seconds, 30))
        self.place.writes_left = None

    def look(self, count):
        """A reader that began earlier goes on for some entries."""
        self.reader = self.reader or entries(self.archive, self.streams, 0)
        for _ in range(count):
            found = next(self.reader, None)
            if found is None:
                self.reader, self.read = None, []
                return
            self.read.append(found[0])
        assert self.read == self.appended[: len(self.read)]

    def close(self):
        """Give the connections back."""
        self.store.close()
        self.streams.close()


STEPS = st.one_of(
    st.tuples(st.just("append"), st.sampled_from([0, 0, 0, 1, 9])),
    st.tuples(st.just("append"), st.sampled_from([0, 0, 0, 1, 9])),
    st.tuples(st.just("fold")),
    st.tuples(st.just("archive"), st.none() | st.integers(0, 6), st.booleans()),
    st.tuples(st.just("look"), st.integers(1, 5)),
)


@given(steps=st.lists(STEPS, min_size=5, max_size=40), kept_hours=st.sampled_from([-1, 1]))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_archive_and_live_are_the_whole_log(server, steps, kept_hours):
    """Whatever is appended, folded, archived, trimmed, killed and read in whatever order: every entry once, in order, none missing."""
    life = Life(server.url, kept_hours)
    acts = {
        "append": life.append,
        "fold": lambda: settle_once(life.store),
        "archive": life.archived,
        "look": life.look,
    }
    for name, *how in steps:
        acts[name](*how)
        assert [entry for entry, _ in entries(life.archive, life.streams, 0)] == life.appended, name

    life.archived(None, dies_after=False)
    assert archived_ids(life.archive, "log", 0) == life.appended
    assert [fact.at for _, fact in entries(life.archive, life.streams, 0)] == [at for at, _ in life.appended]
    life.close()


def test_a_log_is_trimmed_and_whole(server, store, streams, archive):
    """The bytes of a log that was mostly trimmed are those that were appended, from any entry on."""
    before = live(server.url, "log", 0)

    archive_once(lambda: Streams.open(server.url), archive)

    assert len(live(server.url, "log", 0)) == 1
    assert list(raw_entries(archive, streams, 0)) == before
    for number in (0, 7, len(before) - 1):
        assert list(raw_entries(archive, streams, 0, before[number][0])) == before[number + 1 :]


def test_another_archive_is_a_gap(server, store, streams, archive, tmp_path):
    """Reading a trimmed log with an archive that is not its own is refused, not shortened."""
    archive_once(lambda: Streams.open(server.url), archive)

    with pytest.raises(ArchiveGap, match="is this the archive that the log was trimmed for"):
        list(entries(Archive.at(tmp_path / "other"), streams, 0))


def test_archiving_on_into_another_archive_is_refused(server, store, archive, tmp_path):
    """An archiver that is given another address would leave a gap there: it says so before it writes anything."""
    archive_once(lambda: Streams.open(server.url), archive)
    store.append(0, Ticked(at=1))
    before = everything_live(server.url)

    with pytest.raises(ArchiveGap, match="Name the archive that the store was archived to"):
        archive_once(lambda: Streams.open(server.url), Archive.at(tmp_path / "other"))
    assert everything_live(server.url) == before
    assert not (tmp_path / "other").exists()


def test_an_entry_that_cannot_be_read_is_named(server, store, streams, archive):
    """A fact of a later release stops the reader at its entry, archived or live."""
    entry = store._at(0).xadd("log:{00}", {"k": "later", "v": "2", "b": b""}).decode()

    for _ in range(2):
        with pytest.raises(FormatError, match=rf"log:\{{00\}} at {entry}: log entry of kind 'later' version 2"):
            list(entries(archive, streams, 0))
        archive_once(lambda: Streams.open(server.url), archive, AT_ONCE)
