"""Drills: back up, wipe, restore, fold again, and every byte is what it was."""

import contextlib
import random
import shutil
import threading
from itertools import islice
from pathlib import Path

import msgspec
import pytest
import redis
from log_samples import days, everything, of_the_log, options, settings
from typer.testing import CliRunner

from connectors.files import backup as format_of_backups
from connectors.files.backup import read_backup
from connectors.redis.errors import StoreMismatch
from connectors.redis.keys import STORE_FORMAT
from connectors.redis.server import EmbeddedServer
from connectors.redis.store import Store
from connectors.redis.upgrade import FORMAT_BEFORE
from flows.audit import Audit, compare
from flows.settle import settle_once
from meterline import app_of

ROOT = Path(__file__).parents[2]
SHARDS = 2
SAMPLE = ROOT / "tests" / "samples" / "release-0.1.0.backup"
BALANCES = SAMPLE.with_suffix(".json")


@pytest.fixture(autouse=True)
def _no_server_of_ones_own(monkeypatch):
    monkeypatch.delenv("REDIS_URL", raising=False)


def run(*arguments):
    """A command, in this process."""
    return CliRunner().invoke(app_of(["backup", "restore", "verify"]), [str(word) for word in arguments])


def held_in(url):
    """Every key of a server with all that is in it."""
    with contextlib.closing(redis.Redis.from_url(url, **options())) as client:
        return everything(client)


def restored(data):
    """Every key of a data directory that nobody serves."""
    server = EmbeddedServer.start(data)
    try:
        return held_in(server.url)
    finally:
        server.stop()


def settle(url):
    """Fold what is in the log."""
    store = Store.open(url)
    settle_once(store)
    store.close()


def lived(url, entries=60):
    """Some days of a small street, folded but for a last few entries."""
    store = Store.open(url, SHARDS)
    facts = [*settings(SHARDS), *islice(days(SHARDS, random.Random(5)), entries)]
    store.append_many(facts)
    settle(url)
    store.append_many(islice(days(SHARDS, random.Random(6)), 9))
    store.close()


def forget(url):
    """Delete all that follows from the log."""
    with contextlib.closing(redis.Redis.from_url(url, **options())) as client:
        for name in client.scan_iter():
            if not name.startswith(b"log:") and name != b"meterline":
                client.delete(name)


@pytest.mark.parametrize("is_running", [True, False], ids=["running", "stopped"])
def test_backed_up_wiped_and_restored_every_byte_is_there_and_folds_to_the_same(server, tmp_path, is_running):
    """The drill of docs/backup.md: state, ledger and effects come back byte for byte, and again from the log alone."""
    lived(server.url)
    before, file = held_in(server.url), tmp_path / "one.backup"
    if not is_running:
        server.stop()
    backed_up = run("backup", file, "--data", server.data)
    server.stop()
    shutil.rmtree(server.data)

    done = run("restore", file, "--data", server.data)

    assert (backed_up.exit_code, done.exit_code) == (0, 0), backed_up.output + done.output
    assert restored(server.data) == before
    again = EmbeddedServer.start(server.data)
    settle(again.url)
    folded = of_the_log(held_in(again.url))
    forget(again.url)
    settle(again.url)
    assert of_the_log(held_in(again.url)) == folded
    again.stop()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "one.backup"]


def test_a_backup_of_a_busy_store_is_of_one_moment(store, store_url, settling, server, tmp_path):
    """While facts come in and are settled, each backup holds whole commits: its state is what its own log up to its position makes."""
    stop = threading.Event()

    def live():
        own = Store.open(store_url)
        for shard, fact in days(store.shards, random.Random(8)):
            if stop.is_set():
                break
            own.append(shard, fact)
        own.close()

    for shard, fact in settings(store.shards):
        store.append(shard, fact)
    living = threading.Thread(target=live)
    living.start()
    try:
        files = [tmp_path / f"{number}.backup" for number in range(3)]
        results = [run("backup", file, "--data", server.data) for file in files]
    finally:
        stop.set()
        living.join()

    for file, result in zip(files, results, strict=True):
        assert result.exit_code == 0, result.output
        assert run("restore", file, "--data", file.with_suffix("")).exit_code == 0
        assert differences(file.with_suffix("")) == []


def differences(data):
    """What an audit of a directory's log up to its position finds of its state."""
    server = EmbeddedServer.start(data)
    store, found = Store.open(server.url), []
    for shard in range(store.shards):
        stored, audit = store.load(shard), Audit(shard)
        for entry, fact in store.read(shard, (0, 0), 100_000):
            if entry <= stored.position:
                audit.take(entry, fact)
        found += compare(audit, stored)
    store.close()
    server.stop()
    return found


@pytest.fixture
def backed_up(tmp_path):
    """A small backup."""
    server = EmbeddedServer.start(tmp_path / "source")
    lived(server.url, 8)
    server.stop()
    assert run("backup", tmp_path / "small.backup", "--data", tmp_path / "source").exit_code == 0
    return tmp_path / "small.backup"


def test_a_single_damaged_byte_is_refused_wherever_it_is(backed_up, tmp_path):
    """A flipped bit, a missing end or something more at the end: nothing of it is restored."""
    whole = backed_up.read_bytes()
    places = [0, 18, 20, 60, len(whole) // 2, len(whole) - 66, len(whole) - 40, len(whole) - 1]
    flipped = [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in places]
    for damaged in (*flipped, whole[:-1], whole[: len(whole) // 2], whole + b"\n", b""):
        backed_up.write_bytes(damaged)
        done = run("restore", backed_up, "--data", tmp_path / "new")

        assert done.exit_code == 2, done.output
        assert "choose another" in done.output or "backup format" in done.output
        assert not (tmp_path / "new").exists()


def test_nothing_is_restored_over_something(backed_up, tmp_path):
    """A directory with anything in it is left as it is."""
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "mine").touch()

    done = run("restore", backed_up, "--data", tmp_path / "new")

    assert done.exit_code == 2
    assert "is not empty" in done.output
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["mine"]


def rewritten(file, **changes):
    """The same backup with another manifest and a right digest."""
    with read_backup(file) as (manifest, snapshot):
        file.with_suffix(".next").unlink(missing_ok=True)
        length = manifest.snapshot_bytes
        content = snapshot.read(length)
    kept = file.with_suffix(".content")
    kept.write_bytes(content)
    with kept.open("rb") as snapshot:
        format_of_backups.write_backup(
            file.with_suffix(".next"), msgspec.structs.replace(manifest, **changes), snapshot
        )
    return file.with_suffix(".next")


def test_a_newer_format_is_refused_and_says_which_release_reads_it(backed_up, tmp_path, monkeypatch):
    """Neither a newer file nor a newer store in it is guessed at."""
    done = [run("restore", rewritten(backed_up, store_format="9", release="9.0"), "--data", tmp_path / "new")]
    with monkeypatch.context() as later:
        later.setattr(format_of_backups, "FORMAT", 2)
        newer_file = rewritten(backed_up)
    done.append(run("restore", newer_file, "--data", tmp_path / "new"))

    assert [each.exit_code for each in done] == [2, 2]
    assert (
        f"store format 9, and this release reads {FORMAT_BEFORE} and {STORE_FORMAT}: restore it with release 9.0"
        in done[0].output
    )
    assert "backup format 2, and this release reads up to 1" in done[1].output
    assert not (tmp_path / "new").exists()


def test_what_opens_must_be_what_was_backed_up(backed_up, tmp_path):
    """A snapshot that a server opens to something else is no restore: nothing is left of it."""
    with read_backup(backed_up) as (manifest, _):
        shards = [{**shard, "log": int(shard["log"]) + 1} for shard in manifest.shards]
    wrong = rewritten(backed_up, shards=shards)

    done = run("restore", wrong, "--data", tmp_path / "new")

    assert done.exit_code == 1
    assert "something else than was backed up" in done.output
    assert [path.name for path in tmp_path.iterdir() if "new" in path.name] == []


def test_a_backup_is_never_written_over_another(backed_up, tmp_path):
    """The file that is there stays as it is; a folder gets a file of its own, which nobody else may read."""
    before = backed_up.read_bytes()
    again = run("backup", backed_up, "--data", tmp_path / "source")
    (tmp_path / "many").mkdir()
    named = run("backup", tmp_path / "many", "--data", tmp_path / "source")
    [file] = (tmp_path / "many").iterdir()

    assert (again.exit_code, named.exit_code) == (1, 0)
    assert "is there already; choose another name" in again.output
    assert backed_up.read_bytes() == before
    assert file.stat().st_mode & 0o077 == 0
    assert file.suffix == ".backup"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("backup", "{}/x", "--data", "{}/nothing"), 2, "is no data directory of Meterline"),
        (("backup", "{}/no/x", "--data", "{}/source"), 1, "no backup was made: "),
        (("restore", "{}/source/access.json", "--data", "{}/new"), 2, "is no backup of Meterline"),
        (("restore", "{}/nothing", "--data", "{}/new"), 1, "nothing was restored: "),
    ],
)
def test_what_cannot_be_done_is_said(backed_up, tmp_path, arguments, code, said):
    """What is missing or is something else is named, and nothing is made."""
    before = sorted(tmp_path.iterdir())

    done = run(*(word.format(tmp_path) for word in arguments))

    assert done.exit_code == code
    assert said in done.output
    assert sorted(tmp_path.iterdir()) == before


def test_a_server_of_ones_own_is_backed_up_by_its_url(server, tmp_path, monkeypatch):
    """With REDIS_URL the same is done over the wire; a restore there is refused, and the RDB file is taken out instead."""
    lived(server.url)
    monkeypatch.setenv("REDIS_URL", server.url)
    made = run("backup", tmp_path / "own.backup", "--data", tmp_path / "no")
    refused = run("restore", tmp_path / "own.backup", "--data", tmp_path / "new")
    taken = run("restore", tmp_path / "own.backup", "--rdb", tmp_path / "own.rdb")

    assert (made.exit_code, refused.exit_code, taken.exit_code) == (0, 2, 0), made.output + taken.output
    assert "unset it, or use --rdb" in refused.output
    assert (tmp_path / "own.rdb").read_bytes()[:5] in {b"REDIS", b"VALKE"}
    assert not (tmp_path / "new").exists()


def test_a_user_without_the_right_to_it_is_told(server, tmp_path, monkeypatch):
    """A server's user who may not take a snapshot learns which rights are missing."""
    lived(server.url, 8)
    monkeypatch.setenv("REDIS_URL", server.access.reader_url)

    done = run("backup", tmp_path / "own.backup")

    assert done.exit_code == 1
    assert "no backup was made" in done.output
    assert not (tmp_path / "own.backup").exists()


def balances(url):
    """Balances by shard and account, as whole micro-units and the exact rest in picos."""
    store = Store.open(url)
    found = {}
    for shard in range(store.shards):
        stored = store.load(shard)
        for account, record in stored.records["account_records"].items():
            row = stored.rows["accounts"][record.row]
            found[f"{shard} {account}"] = int(row["balance"]), int(row["balance_picos"])
    store.close()
    return found


def test_data_of_the_first_release_opens_and_folds_to_the_balances_it_had(tmp_path):
    """What release 0.1.0 wrote is restored, loaded and folded again by this one, to the last digit."""
    expected = msgspec.json.decode(BALANCES.read_bytes(), type=dict[str, tuple[int, int]])
    done = run("restore", SAMPLE, "--data", tmp_path / "old")
    assert done.exit_code == 0, done.output
    server = EmbeddedServer.start(tmp_path / "old")

    as_kept = balances(server.url)
    settle(server.url)
    forget(server.url)
    settle(server.url)
    as_folded = balances(server.url)
    server.stop()

    assert as_kept == expected
    assert as_folded == expected


def test_what_was_restored_can_be_verified_at_once(tmp_path):
    """A directory that nobody has served since it was made, and that an earlier release wrote, is opened for as long as it takes."""
    assert run("restore", SAMPLE.with_name("format-2.backup"), "--data", tmp_path / "old").exit_code == 0

    done = run("verify", "--data", tmp_path / "old")

    assert done.exit_code == 0, done.output
    assert "nothing lost, nothing doubled" in done.output


@pytest.mark.parametrize("server", ["bundled"], indirect=True)
def test_a_data_directory_of_a_newer_format_is_refused(server, store):
    """A directory that a later release has written is not opened, and the message says with what it can be."""
    store._at(0).hset("meterline", "format", "9")

    with pytest.raises(StoreMismatch, match=r"has format 9, this release reads .*use the release that wrote it"):
        Store.open(server.url)
