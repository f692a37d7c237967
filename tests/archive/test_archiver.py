"""The archiver as a process: killed at random, twice by mistake, and as a user of the server with few rights."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from itertools import islice
from pathlib import Path

import pytest
import redis
from archiving import AT_ONCE, SHARDS, archive_once, archived_ids, everything_live, live
from log_samples import days, everything, options

from connectors.archive.entries import raw_entries
from connectors.archive.files import Archive
from connectors.metrics import Measures
from connectors.redis.errors import MovedOn, StoreMismatch
from connectors.redis.keys import key, ledger_key
from connectors.redis.streams import ARCHIVED, LEDGER_KEPT, Streams
from domain.effects import POSTING
from domain.metrics import Process
from flows.archive import Keeps, Reads, Terms, formed
from flows.settle import settle_once

ROOT = Path(__file__).parents[2]
KILLS = 12
SEED = int(os.environ.get("METERLINE_SEED", "20250101"))
FLOW = "flows.archive:flow(0.02, 0.0, 500)"
"""Files of a few entries, soon, so that there are many instants to be killed at."""


class Archiving:
    """An archive process of its own."""

    def __init__(self, url, address, said):
        self.said = said
        with said.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "bytewax.run", FLOW],
                cwd=ROOT,
                env=os.environ | {"METERLINE_STORE_URL": url, "METERLINE_ARCHIVE": str(address)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def wait_for(self, condition, what):
        """Poll until a condition holds while the process lives."""
        deadline = time.monotonic() + 60
        while not condition():
            assert self.process.poll() is None, f"archive ended: {self.said.read_text()[-3000:]}"
            assert time.monotonic() < deadline, f"no {what}: {self.said.read_text()[-3000:]}"
            time.sleep(0.002)


class Recording:
    """Everything that ever was in the streams, whoever trims them: it is a reader of them all, so nothing is trimmed that it has not seen."""

    def __init__(self, url, store):
        self.url, self.store = url, store
        self.seen = everything_live(url)

    def live_on(self, coming, count):
        """Append some facts, fold them, and remember what that put into the streams."""
        for (stream, shard), known in self.seen.items():
            read = known[-1][0] if known else (0, 0)
            self.store._at(shard).hset(key("readers", shard), f"{stream} recording", f"{read[0]}-{read[1]}")
        self.store.append_many(islice(coming, count))
        settle_once(self.store)
        for (stream, shard), known in self.seen.items():
            last = known[-1][0] if known else (0, 0)
            known += [entry for entry in live(self.url, stream, shard) if entry[0] > last]


def test_kills_at_random_lose_and_double_nothing(server, store, streams, archive, tmp_path):
    """An archiver that is killed again and again has in the end every entry of every stream in exactly one file, and trimmed."""
    print(f"METERLINE_SEED={SEED}")  # noqa: T201 - shown when it fails, to run it again
    chance = random.Random(SEED)
    coming = days(SHARDS, chance)
    recorded = Recording(server.url, store)
    said = tmp_path / "said.txt"
    for _ in range(KILLS):
        begun = [archived_ids(archive, "log", shard) for shard in range(SHARDS)]
        with Archiving(server.access.archiver_url, archive.address, said) as archiving:

            def goes_on(begun=begun):
                recorded.live_on(coming, 3)
                return [archived_ids(archive, "log", shard) for shard in range(SHARDS)] != begun

            archiving.wait_for(goes_on, "first file")
            recorded.live_on(coming, chance.randrange(1, 20))
            time.sleep(chance.uniform(0, 0.05))
            archiving.process.send_signal(signal.SIGKILL)
    with Archiving(server.access.archiver_url, archive.address, said) as archiving:
        archiving.wait_for(
            lambda: all(
                archived_ids(archive, stream, shard)[-1:] == [entry for entry, _ in known[-1:]]
                for (stream, shard), known in recorded.seen.items()
            ),
            "end of the streams",
        )

    for (stream, shard), known in recorded.seen.items():
        assert archived_ids(archive, stream, shard) == [entry for entry, _ in known], stream
    for shard in range(SHARDS):
        assert list(raw_entries(archive, streams, shard)) == recorded.seen["log", shard]
        assert len(live(server.url, "log", shard)) < len(recorded.seen["log", shard])
    names = [path.name for path in Path(archive.address).rglob("*") if path.is_file()]
    assert [name for name in names if not name.endswith(".parquet")] == []


def test_a_claimed_range_is_written_again_as_it_was(server, store, streams, archive):
    """Killed between claim and file, the next archiver writes the same range, though more has come since."""
    reader = Reads(lambda: Streams.open(server.url), archive, AT_ONCE).build_part("read", "00", None)
    first = reader.next_batch()[0][1].range
    reader.close()
    streams.claim(first.stream, 0, first.after, first.last)
    store.append_many(islice(days(SHARDS, random.Random(9)), 20))

    archive_once(lambda: Streams.open(server.url), archive)

    assert archive.ranges("log", 0)[0] == first
    assert len(archive.ranges("log", 0)) > 2


def test_of_two_archivers_by_mistake_one_is_refused(server, store, archive):
    """Two that have read differently far do not write overlapping files: the later one ends, and nothing was written by it."""
    opens = lambda: Streams.open(server.url)  # noqa: E731 - as the command gives it
    one = Reads(opens, archive, AT_ONCE).build_part("read", "00", None)
    other = Reads(opens, archive, Terms(0.0, 0.0, 10**6)).build_part("read", "00", None)
    keeps = [Keeps(opens, archive, AT_ONCE, Measures(Process.ARCHIVE)).build_part("keep", "00", None) for _ in range(2)]
    shorter, longer = (formed(reader.next_batch()[0][1]) for reader in (one, other))
    assert shorter.range != longer.range

    keeps[0].write_batch([shorter])
    with pytest.raises(MovedOn, match="log is claimed up to"):
        keeps[1].write_batch([longer])

    assert archive.ranges("log", 0) == [shorter.range]
    for each in (one, other, *keeps):
        each.close()


def entry_ids(url, stream, shard=0):
    """Ids in a stream."""
    return [entry for entry, _ in live(url, stream, shard)]


def test_what_is_not_folded_is_not_trimmed(server, store, archive):
    """A log is trimmed up to the folded position and no further, however far it is archived."""
    folded = store.position(0)
    store.append_many(islice(days(SHARDS, random.Random(9)), 30))
    before = entry_ids(server.url, "log")

    archive_once(lambda: Streams.open(server.url), archive)

    assert archived_ids(archive, "log", 0) == before
    assert entry_ids(server.url, "log") == [entry for entry in before if entry >= folded]
    assert settle_once(store) > 0


def test_what_another_reader_needs_is_not_trimmed(server, store, archive):
    """A reader in the table keeps what comes after it, in its stream only."""
    before = entry_ids(server.url, "commands") or entry_ids(server.url, "usage")
    usage = entry_ids(server.url, "usage")
    read = usage[len(usage) // 2]
    store._at(0).hset(key("readers", 0), "usage notify", f"{read[0]}-{read[1]}")

    archive_once(lambda: Streams.open(server.url), archive)

    assert before
    assert entry_ids(server.url, "usage") == [entry for entry in usage if entry >= read]
    assert len(entry_ids(server.url, "log")) == 1


def test_a_window_stays_live(server, store, archive):
    """What is younger than is to be kept before the last entry stays; alarms stay longer, for the API shows them."""
    for minutes in range(5):
        store._at(0).xadd("usage:{00}", {"v": "1", "b": b""}, id=f"{4_000_000_000_000 + minutes * 60_000}-0")
    alarms = entry_ids(server.url, "alarms")

    archive_once(lambda: Streams.open(server.url), archive, Terms(0.0, 120.0, 10**6))

    assert [entry[0] % 1_000_000 // 60_000 for entry in entry_ids(server.url, "usage")] == [2, 3, 4]
    assert entry_ids(server.url, "alarms") == alarms != []


def test_a_ledger_keeps_its_newest_postings(server, store, archive):
    """An account's list is cut to the newest; older ones are in the archive."""
    name = ledger_key(0, 0)
    before = store._at(0).lrange(name, 0, -1)
    store._at(0).lpush(name, *[bytes(POSTING.itemsize)] * LEDGER_KEPT)

    archive_once(lambda: Streams.open(server.url), archive)

    kept = store._at(0).lrange(name, 0, -1)
    assert len(kept) == LEDGER_KEPT
    assert kept[-len(before) :] == before


def test_the_state_is_not_touched(server, store, archive):
    """Apart from streams, ledgers and its own note the archiver changes no key."""

    def state():
        with contextlib.closing(redis.Redis.from_url(server.url, **options())) as client:
            found = everything(client)
        return {
            name: value for name, value in found.items() if name.split(b":")[0].decode() not in {*ARCHIVED, "archived"}
        }

    before = state()

    archive_once(lambda: Streams.open(server.url), archive)

    assert state() == before


LIMITS = [
    ("XADD", "log:{00}", "*", "k", "ticked"),
    ("XDEL", "log:{00}", "1-0"),
    ("DEL", "log:{00}"),
    ("SET", "settled:{00}", "9-9"),
    ("HSET", "readers:{00}", "log x", "9-9"),
    ("XTRIM", "outcomes:{00}", "MAXLEN", "0"),
    ("RPUSH", "ledger:{00}:0", "x"),
    ("GET", "accounts:{00}"),
    ("HGETALL", "account_records:{00}"),
    ("EVAL", "return redis.call('XADD', KEYS[1], '*', 'k', 'x')", "1", "log:{00}"),
    ("PUBLISH", "alarms", "forged"),
    ("CONFIG", "GET", "dir"),
    ("CLIENT", "KILL", "TYPE", "normal"),
    ("FLUSHALL",),
    ("KEYS", "*"),
    ("SHUTDOWN",),
]


@pytest.mark.parametrize("command", LIMITS, ids=lambda command: " ".join(command[:2]))
def test_the_archiver_reads_and_trims_streams_only(server, store, command):
    """Its user can neither append a fact, change a balance, read accounts, nor say how far others have read."""
    with (
        contextlib.closing(redis.Redis.from_url(server.access.archiver_url, **options())) as archiver,
        pytest.raises(
            (redis.exceptions.NoPermissionError, redis.exceptions.ResponseError),
            match=r"permission|can't run this command",
        ),
    ):
        archiver.execute_command(*command)


def test_a_reader_beside_a_busy_archiver_misses_nothing(server, store, archive):
    """While one thread appends and archives and trims, readers see every entry of the log, once and in order."""
    coming = days(SHARDS, random.Random(3))
    recorded = Recording(server.url, store)
    stop = threading.Event()

    def live_and_archive():
        for _ in range(25):
            recorded.live_on(coming, 8)
            archive_once(lambda: Streams.open(server.url), archive)
        stop.set()

    thread = threading.Thread(target=live_and_archive)
    thread.start()
    seen = []
    with contextlib.closing(Streams.open(server.url)) as streams:
        while not stop.is_set():
            seen.append([entry for entry, _ in raw_entries(archive, streams, 0)])
    thread.join()

    whole = [entry for entry, _ in recorded.seen["log", 0]]
    assert len(seen) > 3
    assert all(each == whole[: len(each)] for each in seen)
    assert [len(each) for each in seen] == sorted(len(each) for each in seen)


def test_a_trimmed_log_is_not_folded_from_its_middle(server, store, archive):
    """A shard whose state was deleted is refused: its log begins in the archive, and half of it would give wrong balances."""
    archive_once(lambda: Streams.open(server.url), archive)
    store._at(0).delete(key("settled", 0))

    with pytest.raises(StoreMismatch, match="state of shard 00 is gone and its log is trimmed"):
        settle_once(store)


def meterline(server, *arguments, **environment):
    """Start a command of ours on a server's data directory, to be killed at the end of the block."""
    words = [sys.executable, "-m", "meterline", *arguments, "--data", str(server.data)]
    return subprocess.Popen(
        words, cwd=ROOT, env=os.environ | {"REDIS_URL": "", "METERLINE_ARCHIVE": ""} | environment,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def test_the_command_archives_into_the_data_directory(server, store):
    """`meterline archive` needs no more than a data directory, and ends quietly on Ctrl-C."""
    archive = Archive.at(server.data / "archive")
    ends = [store.last(shard) for shard in range(SHARDS)]
    deadline = time.monotonic() + 60

    process = meterline(server, "archive", "--every-minutes", "0", "--keep-minutes", "0")
    while [archived_ids(archive, "log", shard)[-1:] for shard in range(SHARDS)] != [[end] for end in ends]:
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=30)

    assert process.returncode == 0, said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("address", "code", "words"),
    [
        ("s3://key:hush@bucket", 2, "leave them out"),
        ("nonsense://x", 2, "expected a folder, or a URL"),
        ("{file}", 1, "cannot be used"),
    ],
)
def test_a_wrong_address_is_a_sentence(server, store, tmp_path, address, code, words):
    """An address that is none, or that cannot be used, ends the command with what to do, and shows no password."""
    (tmp_path / "file").touch()

    process = meterline(server, "archive", "--to", address.format(file=tmp_path / "file"))
    said, _ = process.communicate(timeout=60)

    assert process.returncode == code
    assert words in said
    assert "hush" not in said
    assert "Traceback" not in said
