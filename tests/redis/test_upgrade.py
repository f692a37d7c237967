"""A store of the release before: opened, it goes on as if this release had made it, and nobody of that release writes to it again."""

import asyncio
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import redis
from log_samples import options

from connectors.files.backup import read_backup
from connectors.redis.commit import SCRIPT
from connectors.redis.errors import StoreMismatch
from connectors.redis.keys import SITE, STORE_FORMAT, key
from connectors.redis.live import LiveStore
from connectors.redis.server import EmbeddedServer
from connectors.redis.snapshot import counts_of, place_snapshot
from connectors.redis.store import Store
from connectors.redis.upgrade import BETWEEN, FORMAT_BEFORE, _begin, _upgrade_shard, converted
from domain.state import COUNTER, METER, PAGES, rows_of
from flows.audit import Audit, compare
from flows.settle import settle_once

SAMPLE = Path(__file__).parents[1] / "samples" / "format-2.backup"
"""Sixteen shards, each of another street of `tests/flows/histories`, of which four fifths of the log were settled."""
SHARDS = 16


@pytest.fixture
def old(tmp_path):
    """A server with what the release before wrote, as it wrote it."""
    with read_backup(SAMPLE) as (manifest, snapshot):
        place_snapshot(snapshot, manifest.snapshot_bytes, tmp_path / "old")
    server = EmbeddedServer.start(tmp_path / "old")
    yield server
    server.stop()


@pytest.fixture
def client(old):
    """Its server, as it answers."""
    with closing(redis.Redis.from_url(old.url, **options())) as client:
        yield client


def meters_and_counters(store):
    """The bytes of all rows of meters and tier counters."""
    found = []
    for shard in range(store.shards):
        stored = store.load(shard)
        found.append((stored.position, stored.rows["meters"].tobytes(), stored.rows["counters"].tobytes()))
    return found


def fold_anew(old, client):
    """The same, of the log alone."""
    for name in client.scan_iter():
        if not name.startswith(b"log:") and name != SITE.encode():
            client.delete(name)
    with closing(Store.open(old.url)) as store:
        settle_once(store)
        return meters_and_counters(store)


def test_what_is_laid_out_anew_is_what_the_log_folds_to(old, client):
    """Not one byte of a meter or a tier counter is another than if this release had read every reading; the audit agrees."""
    with closing(Store.open(old.url)) as store:
        settle_once(store)
        upgraded = meters_and_counters(store)
        for shard in range(store.shards):
            audit = Audit(shard)
            for entry, fact in store.read(shard, (0, 0), 100_000):
                audit.take(entry, fact)
            assert list(compare(audit, store.load(shard))) == []

    assert client.hget(SITE, "format") == STORE_FORMAT.encode()
    assert upgraded == fold_anew(old, client)
    assert any(rows for _, rows, _ in upgraded)


def test_an_upgrade_that_was_cut_off_is_gone_on_with(old, client):
    """Some shards are laid out anew and the process is killed: whoever opens the store next does the others, and these no second time."""
    _begin(client)
    _upgrade_shard(client, 1)
    assert client.hget(SITE, "format") == BETWEEN.encode()

    with closing(Store.open(old.url)) as store:
        settle_once(store)
        upgraded = meters_and_counters(store)

    assert upgraded == fold_anew(old, client)


def test_a_settle_of_the_release_before_that_still_runs_changes_nothing(old, client):
    """Its next commit is refused, in a shard that it has folded and in one of which it has folded nothing."""
    expected = client.get("position:{00}").decode()
    client.delete("position:{01}")
    client.delete(key("header", 1), *(key(page, 1) for page in ("meters", "meters_rest", "counters")))
    Store.open(old.url).close()
    before = client.get(key("meters", 0))

    for shard, position in ((0, expected), (1, "0-0")):
        names = f"position:{{{shard:02d}}}", f"meters:{{{shard:02d}}}"
        with pytest.raises(redis.ResponseError, match="MOVED_ON the position is see settled"):
            client.eval(SCRIPT, 2, *names, position, "9-9", "SETRANGE", 1, 2, 0, b"old")
    assert client.get(key("meters", 0)) == before


def test_a_commit_of_the_release_before_is_laid_out_anew_with_the_rest(old, client):
    """What it commits while a shard is being converted is not lost: the shard is read again."""
    committed = client.get("position:{00}")

    class Meanwhile(redis.Redis):
        def pipeline(self, *options):
            pipe, read = super().pipeline(*options), []

            def get(name):
                if name == "counters:{00}" and not read:
                    read.append(name)
                    client.set("counters:{00}", np.array([(7, 0, 42, 0)], "<i4,<i4,<i8,<i8").tobytes())
                    client.set("position:{00}", committed)
                return redis.client.Pipeline.get(pipe, name)

            pipe.get = get
            return pipe

    with closing(Meanwhile.from_url(old.url, **options())) as late:
        _upgrade_shard(late, 0)

    assert np.frombuffer(client.get("counters:{00}"), "<i8").tolist() == [42]
    assert client.get("settled:{00}") == committed


def test_who_does_not_write_waits_for_who_does(old):
    """The API, a backup's count and other readers say what is to be done, and change nothing."""

    async def look():
        await LiveStore.open(old.url)

    with pytest.raises(
        StoreMismatch, match="`meterline up` or `meterline settle` brings it to format 3; back it up before"
    ):
        asyncio.run(look())
    found, shards = counts_of(old.url)

    assert (found, len(shards)) == (FORMAT_BEFORE, SHARDS)
    assert all(shard["position"] != "0-0" for shard in shards)


def test_a_meter_says_the_same_in_its_new_row():
    """What was used in all, and since when a register stands still, can be told from the new row as from the old."""
    old = np.zeros(3, [("first", "<i8", 8), ("mid", "<i4", 6), ("rest", "V56")])
    old["first"] = [
        #  time, register, window usage and cost, day usage and cost, total, moved at
        (900, 5, 1, 2, 30, 4, 130, 900),
        (900, 5, 1, 2, 0, 4, 100, 500),
        (-1, 0, 0, 0, 0, 0, 0, 0),
    ]
    packed = old.view(np.uint8).reshape(3, -1)
    pages = converted(packed[:, :88].tobytes(), packed[:, 88:].tobytes(), b"")
    rows = rows_of("meters", {page: pages.get(page) for page in PAGES})

    assert rows.dtype == METER
    assert rows[["time", "day_usage", "closed_usage", "still_since"]].tolist() == [
        (900, 30, 100, -1),
        (900, 0, 100, 500),
        (-1, 0, 0, 0),
    ]
    assert len(pages["counters"]) + len(pages["counters_rest"]) == 0 < COUNTER.itemsize
