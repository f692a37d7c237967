"""Drills of backup and archive together: a store that is restored from an older backup beside an archive that has gone on."""

import contextlib
import random
import shutil
from itertools import islice

import pytest
import redis
from archiving import AT_ONCE, SHARDS, archive_once, archived_ids, everything_live
from log_samples import days, everything, options
from typer.testing import CliRunner

from commands.verifying import Archived, verify_store
from connectors.archive.entries import raw_entries
from connectors.archive.errors import ArchiveGap
from connectors.archive.files import Archive
from connectors.archive.places import Folder
from connectors.archive.restored import set_aside
from connectors.redis.server import EmbeddedServer
from connectors.redis.store import Store
from connectors.redis.streams import ARCHIVED, Streams
from domain.ids import LOG_START, entry_text
from flows.archive import Terms
from flows.settle import settle_once
from meterline import app_of

MERGED = Terms(every_seconds=0.0, kept_seconds=-1.0, file_bytes=10**6)
"""Everything that waits in one file."""


def run(*arguments):
    """A command, in this process."""
    done = CliRunner().invoke(app_of(["backup", "restore", "archive"]), [str(word) for word in arguments])
    assert done.exit_code == 0, done.output
    return done.output


class Site:
    """A site whose archive lies apart from its data, as it does on another disk."""

    def __init__(self, server, folder):
        self.server, self.data = server, server.data
        self.folder, self.archive = folder, Archive.at(folder)
        self.coming = days(SHARDS, random.Random(11))

    def lives(self, count, chance=None):
        """Some facts come in and are folded; `chance`: others than would have come."""
        coming = days(SHARDS, random.Random(chance)) if chance else self.coming
        with contextlib.closing(Store.open(self.server.url)) as store:
            store.append_many(islice(coming, count))
            settle_once(store)

    def archives(self, terms=AT_ONCE):
        """Everything there is goes into the archive, and out of the server."""
        archive_once(lambda: Streams.open(self.server.access.archiver_url), self.archive, terms)

    def loses_its_disk(self, backup):
        """The data directory is gone, and made again of a backup."""
        self.server.stop()
        shutil.rmtree(self.data)
        run("restore", backup, "--data", self.data)
        self.server = EmbeddedServer.start(self.data)

    def whole(self):
        """The bytes of every shard's log, archive and server together."""
        with contextlib.closing(Streams.open(self.server.url)) as streams:
            return [list(raw_entries(self.archive, streams, shard)) for shard in range(SHARDS)]

    def differences(self):
        """What a verification by log, archive and audit finds."""
        with (
            contextlib.closing(Store.open(self.server.url)) as store,
            contextlib.closing(Streams.open(self.server.url)) as streams,
        ):
            return verify_store(store, archived=Archived(self.archive, streams)).findings.said

    def state(self):
        """Every key but streams and what the archiver notes and cuts."""
        with contextlib.closing(redis.Redis.from_url(self.server.url, **options())) as client:
            found = everything(client)
        gone = {*ARCHIVED, "archived", "ledger", "changed"}
        return {name: value for name, value in found.items() if name.split(b":")[0].decode() not in gone}

    def aside(self):
        """Files that were set aside, by their names in the archive."""
        return {
            path.relative_to(self.folder).as_posix().split("/", 2)[2] for path in self.folder.glob("aside/**/*.parquet")
        }

    def kept(self):
        """Files that count, with their content."""
        return {
            path.relative_to(self.folder).as_posix(): path.read_bytes()
            for path in self.folder.glob("stream=*/**/*.parquet")
        }


@pytest.fixture(autouse=True)
def _no_server_of_ones_own(monkeypatch):
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.delenv("METERLINE_ARCHIVE", raising=False)


@pytest.fixture
def site(store, server, tmp_path):
    """A site with some days in its archive, trimmed, and some more in its server."""
    site = Site(server, tmp_path / "archive")
    site.archives()
    site.lives(20)
    yield site
    site.server.stop()


def test_a_copy_of_the_archive_from_before_the_backup_makes_the_whole(site, tmp_path):
    """The drill of docs/backup.md: copy, back up, go on, lose the disk, restore both: log, state and audit agree, and what the copy lacks is archived again, the same."""
    shutil.copytree(site.folder, tmp_path / "copy")
    run("backup", tmp_path / "one.backup", "--data", site.data)
    state, whole = site.state(), site.whole()
    site.archives(MERGED)
    then = site.kept()
    site.lives(15)
    site.archives()

    site.loses_its_disk(tmp_path / "one.backup")
    shutil.rmtree(site.folder)
    shutil.move(tmp_path / "copy", site.folder)
    restored = site.state(), site.whole()
    found = site.differences()
    site.archives(MERGED)

    assert restored == (state, whole)
    assert found == {}
    assert site.kept() == then
    assert site.differences() == {}


@pytest.mark.parametrize("terms", [AT_ONCE, MERGED], ids=["small files", "files that go over the backup"])
def test_an_archive_that_has_gone_on_is_refused_until_that_is_set_aside(site, tmp_path, terms):
    """The archive outlives the disk, and holds days that the backup does not know: nobody reads these or writes there until they are set aside, and then
    the site goes on with another history, of which everything is archived once and verified.
    """
    if terms is AT_ONCE:
        site.archives()
    run("backup", tmp_path / "one.backup", "--data", site.data)
    whole = site.whole()
    site.lives(15)
    site.archives(terms)
    site.archive.merge("log", 0, site.archive.ranges("log", 0)[0].date)  # As after the end of the day.
    lost = site.kept()
    site.loses_its_disk(tmp_path / "one.backup")

    with pytest.raises(ArchiveGap, match=r"restored from an older backup.*meterline archive --set-aside"):
        site.archives()
    assert site.kept() == lost
    assert (site.whole(), site.differences()) == (whole, {})
    said = run("archive", "--set-aside", "--to", site.folder, "--data", site.data)
    again = run("archive", "--set-aside", "--to", site.folder, "--data", site.data)
    assert site.whole() == whole
    site.lives(25, chance=12)
    seen = everything_live(site.server.url)
    site.archives()

    assert f"files are in {site.folder}/aside/" in said
    assert "has nothing that its store does not know" in again
    assert site.aside() <= set(lost)
    assert site.aside() | set(site.kept()) >= set(lost)
    assert site.differences() == {}
    for (stream, shard), entries in seen.items():
        ids = archived_ids(site.archive, stream, shard)
        assert ids == sorted(set(ids))
        assert [entry for entry, _ in entries if entry not in set(ids)] == []


def test_setting_aside_killed_at_any_write_is_finished_by_the_next(site, tmp_path):
    """Whatever was moved when it was killed, the second run ends as if nothing had been, and nothing is lost on the way."""

    class Killed(Exception):  # noqa: N818 - it is one
        """The command was killed."""

    class Mortal(Folder):
        """A folder whose writer dies before one of its writes."""

        left = 0

        def put(self, name, content):
            """Put, or die."""
            self.writes()
            super().put(name, content)

        def drop(self, name):
            """Drop, or die."""
            self.writes()
            super().drop(name)

        def writes(self):
            """One write less."""
            self.left -= 1
            if self.left < 0:
                raise Killed

    run("backup", tmp_path / "one.backup", "--data", site.data)
    whole = site.whole()
    site.lives(15)
    site.archives()
    site.archive.merge("log", 0, site.archive.ranges("log", 0)[0].date)
    site.archive.merge("usage", 1, site.archive.ranges("usage", 1)[0].date)
    site.loses_its_disk(tmp_path / "one.backup")
    gone_on = tmp_path / "gone-on"
    shutil.copytree(site.folder, gone_on)
    with contextlib.closing(Streams.open(site.server.url)) as streams:
        set_aside(site.archive, streams)
        must, moved = site.kept(), site.aside()
        for writes in range(0, 2 * len(moved) + 2, 5):
            shutil.rmtree(site.folder)
            shutil.copytree(gone_on, site.folder)
            mortal = Mortal(site.folder)
            mortal.left = writes
            with pytest.raises(Killed):
                set_aside(Archive(mortal), streams)
            set_aside(site.archive, streams)

            assert site.kept() == must
            assert site.aside() == moved
            assert site.whole() == whole


def test_another_stores_archive_is_left_alone(site, tmp_path):
    """Nothing is moved out of an archive by somebody who names the wrong one, whether his store has an archive or none yet."""
    site.archives()
    before = site.kept()
    other = EmbeddedServer.start(tmp_path / "other")
    store = Store.open(other.url, SHARDS)
    store.append_many(islice(days(SHARDS, random.Random(5)), 20))
    with contextlib.closing(Streams.open(other.url)) as streams:
        with pytest.raises(ArchiveGap, match="is not of this store"):
            set_aside(site.archive, streams)
        streams.claim("log", 0, LOG_START, store.read(0, LOG_START, 1)[0][0])
        with pytest.raises(ArchiveGap, match="is not of this store"):
            set_aside(site.archive, streams)
    store.close()
    other.stop()

    assert site.kept() == before
    assert site.aside() == set()


def test_two_histories_in_one_archive_are_found_and_nothing_of_them_is_deleted(site, tmp_path):
    """Somebody copies the lost days back: the archiver refuses, and the file of the living history that a lost one covers stays where it is."""
    run("backup", tmp_path / "one.backup", "--data", site.data)
    site.lives(30)
    site.archives(MERGED)
    site.loses_its_disk(tmp_path / "one.backup")
    run("archive", "--set-aside", "--to", site.folder, "--data", site.data)
    (aside,) = (site.folder / "aside").iterdir()
    lost = min(aside.glob("stream=log/*/shard=00/*.parquet"))
    site.lives(12, chance=12)
    site.archives(MERGED)
    begins = lost.name.split("_")[0]
    mine = next(each for each in site.archive.ranges("log", 0) if entry_text(each.after) == begins)
    # The lost days come back with a name that covers the new ones, as a longer history would.
    end = f"{begins}_{mine.last[0] + 60_000}-0.parquet"
    shutil.copy(lost, site.folder / lost.parent.relative_to(aside) / end)
    both = site.kept()

    with pytest.raises(ArchiveGap, match="hold different entries: two histories are mixed"):
        site.archives()

    assert site.kept() == both
    assert mine.name in both
