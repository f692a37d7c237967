import contextlib
import itertools
import json
import random
import signal
import subprocess
import time

import msgspec
import numpy as np
import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st
from log_samples import START, days, everything, options, order_text, settings

from connectors.redis.commit import Commit, commit_of, writes_of
from connectors.redis.errors import MovedOn, StoreRefused
from connectors.redis.keys import ALARM_CHANNEL, ALARM_MESSAGES, STREAMS, key
from connectors.redis.server import EmbeddedServer
from connectors.redis.store import Store
from domain.effects import Alarm, Effects, Outcome
from domain.facts import AccountOpened, AlarmTerms, Ticked
from domain.ids import LOG_START, shard_of
from domain.state import ACCOUNT, PAGES, RECORDS, Changes, KeptOutcome, RowChanges, ShardHeader
from flows.readings.changes import runs_of
from flows.settle import Batch, fold_batch, settle_once
from flows.state import ShardState

SHARDS = 2


@pytest.fixture
def client(server):
    """A plain client that sees every key."""
    client = redis.Redis.from_url(server.url, **options())
    yield client
    client.close()


@pytest.fixture
def store(server):
    """A fresh store of two shards with a street's settings and thirty facts in its log."""
    store = Store.open(server.url, SHARDS)
    store.append_many(settings(SHARDS))
    store.append_many(itertools.islice(days(SHARDS, random.Random(5)), 30))
    yield store
    store.close()


def first_commit(store, shard=0, count=100):
    """The commit of the next entries of a shard."""
    state = ShardState.of(store.load(shard))
    commit = fold_batch(state, Batch(shard, store.read(shard, state.position, count)))
    assert commit is not None
    return commit


def test_a_commit_told_twice_changes_nothing(store, client):
    """The same commit again is refused with MovedOn, and every key is as it was."""
    commit = first_commit(store)
    store.commit(commit)
    before = everything(client)

    with pytest.raises(MovedOn, match="MOVED_ON the position is"):
        store.commit(commit)

    assert everything(client) == before


def test_a_commit_that_failed_under_way_is_told_at_the_next(store, client):
    """A commit that was sent and not waited for is not forgotten: if it was refused, the next one is not even sent."""
    store.commit(first_commit(store, count=3))
    stale, good = Commit(0, (9, 9), (9, 10)), first_commit(store, count=3)
    store.begin_commit(stale)
    before = everything(client)

    with pytest.raises(MovedOn):
        store.begin_commit(good)

    store.finish_commit()
    assert everything(client) == before


def test_a_commit_from_another_position_changes_nothing(store, client):
    """A second writer that began elsewhere is refused before its first write."""
    late = first_commit(store)
    store.commit(first_commit(store, count=3))
    before = everything(client)

    with pytest.raises(MovedOn):
        store.commit(late)

    assert everything(client) == before
    assert store.position(0) < store.last(0)


def test_a_commit_moves_the_position(store):
    """After a commit the position is the last entry of its batch."""
    store.commit(first_commit(store))

    assert store.position(0) == store.last(0)
    assert store.position(1) == LOG_START


def test_a_forbidden_write_leaves_nothing_half_done(store, server):
    """A user without the right to publish is refused before the first write, not in the middle of a commit."""
    commit = first_commit(store)
    commit.publish(ALARM_CHANNEL, [b"{}"])
    folder = server.data / "redis"
    program = server.process.args[-2]
    server.stop()
    configuration = folder / "server.conf"
    text = configuration.read_text().replace("~* &* +@all", "~* resetchannels &others +@all")
    configuration.write_text(text)

    limited = EmbeddedServer(server.data, server.access, subprocess.Popen([program, configuration]))
    try:
        limited.wait_until_ready()
        with (
            contextlib.closing(redis.Redis.from_url(server.url, **options())) as client,
            contextlib.closing(Store.open(server.url)) as own,
        ):
            before = everything(client)
            with pytest.raises(StoreRefused, match="alarms"):
                own.commit(commit)
            after = everything(client)
    finally:
        limited.stop()

    assert after == before


def test_an_entry_whose_effects_are_there_is_refused_as_a_whole(store, client):
    """Should a position be lost while the streams are kept, the streams refuse the entries again and state is not touched."""
    commit = first_commit(store)
    store.commit(commit)
    client.set(key("settled", 0), "0-0")
    client.set(key("header", 0), b"as it was")
    before = everything(client)

    with pytest.raises(StoreRefused, match="smaller than the target stream top item"):
        store.commit(commit)

    assert everything(client) == before


def test_long_lists_of_records_are_cut(store, client):
    """Thousands of records in one commit arrive, though a script's stack is small; so do as many removals."""
    kept = {
        number.to_bytes(16, "big"): KeptOutcome(content=b"", outcome=Outcome(id=str(number), kind="k", at=1))
        for number in range(10_500)
    }
    one, two = (1, 0), (2, 0)
    store.commit(commit_of(1, LOG_START, one, Changes(ShardHeader(), {}, {"kept_outcomes": kept}), []))
    loaded = store.load(1).records["kept_outcomes"]
    dropped = dict.fromkeys(list(kept)[:10_400])
    store.commit(commit_of(1, one, two, Changes(ShardHeader(), {}, {"kept_outcomes": dropped}), []))

    assert loaded == kept
    assert client.hlen(key("kept_outcomes", 1)) == 100


def test_no_write_has_more_arguments_than_a_script_may_unpack():
    """Every write of a long list stays below the size of a script's stack; the note of what has changed does not name so many."""
    changes = Changes(ShardHeader(), {}, {"cases": dict.fromkeys(map(str, range(30_000)))})

    commit = commit_of(0, LOG_START, (1, 0), changes, [])

    counts = [commit.arguments[at + 2] for at in writes(commit)]
    assert max(counts) <= 2_000
    assert sum(counts) == 30_000 + len(["header"]) + len(["MAXLEN", "~", 1000, "*", "cases", None])


def writes(commit):
    """Where each write of a commit begins in its arguments."""
    at = 2
    while at < len(commit.arguments):
        yield at
        at += 3 + commit.arguments[at + 2]


@given(st.sets(st.integers(0, 40)))
def test_runs_write_each_row_to_its_place(numbers):
    """Whatever rows have changed, the writes put exactly these where they belong, one for each run."""
    changed = np.zeros(48, np.uint8)
    changed[sorted(numbers)] = 1
    rows = np.zeros(len(numbers), ACCOUNT)
    rows["balance"] = np.array(sorted(numbers)) + 1
    page = bytearray(41 * ACCOUNT.itemsize)

    writes = list(writes_of(RowChanges(runs_of(changed, 1, 1), rows)))
    for offset, packed in writes:
        page[offset : offset + len(packed)] = packed

    assert np.frombuffer(page, ACCOUNT)["balance"].tolist() == [n + 1 if n in numbers else 0 for n in range(41)]
    assert len(writes) == len({number for number in numbers if number - 1 not in numbers})


def test_an_alarm_is_published_and_kept(store, client):
    """An alarm is on the channel `alarms` as JSON and in the stream, under the id of the entry that caused it."""
    account = next(name for name in map(str, range(99)) if shard_of(name, SHARDS) == 0)
    alarm = Alarm(id="00-1-0-0", kind="balance_low", state="raised", at=START, account=account, balance=1, threshold=2)
    settle_once(store)
    before = store.position(0)
    entry = (before[0] + 1, 0)
    effects = Effects(entry, alarms=[alarm, alarm])
    listener = client.pubsub(ignore_subscribe_messages=False)
    listener.subscribe(ALARM_CHANNEL)
    assert listener.get_message(timeout=5)["type"] == "subscribe"

    store.commit(commit_of(0, before, entry, Changes(ShardHeader(), {}, {}), [effects]))

    heard = [json.loads(listener.get_message(timeout=5)["data"]) for _ in range(2)]
    listener.close()
    kept = store.stream("alarms", 0, before)
    assert [message["kind"] for message in heard] == ["balance_low"] * 2
    assert [message["account"] for message in heard] == [account] * 2
    assert [entry_ for entry_, _ in kept] == [entry]
    assert msgspec.msgpack.decode(kept[0][1][b"b"], type=list[Alarm]) == [alarm, alarm]


def test_a_refused_commit_publishes_nothing(store, client):
    """Nobody hears an alarm of a commit that was not applied."""
    listener = client.pubsub()
    listener.subscribe(ALARM_CHANNEL)
    assert listener.get_message(timeout=5)["type"] == "subscribe"
    commit = Commit(0, (9, 9), (9, 10))
    commit.publish(ALARM_CHANNEL, [b"{}"])

    with pytest.raises(MovedOn):
        store.commit(commit)

    client.publish(ALARM_CHANNEL, "last")
    assert listener.get_message(timeout=5)["data"] == b"last"
    listener.close()


def test_every_key_of_a_shard_has_its_tag(store, client):
    """All keys but the site's own carry the hash tag of their shard, and a commit names no key of another."""
    commits = [first_commit(store, shard) for shard in range(SHARDS)]

    settle_once(store)

    assert all(f"{{{shard:02d}}}" in name for shard in range(SHARDS) for name in commits[shard].keys)
    names = {name.decode() for name in client.scan_iter()} - {"meterline"}
    assert all("{00}" in name or "{01}" in name for name in names)
    kinds = {name.split(":")[0] for name in names}
    known = {"log", "changed", ALARM_MESSAGES, "settled", "header", "ledger", "tallies"}
    assert kinds <= {*known, *PAGES, *RECORDS, *STREAMS}
    assert {"postings", "quarantined", "refused", "outcomes", "ledger"} <= kinds


def test_effects_have_the_id_of_their_entry(store, client):
    """What is in a stream can be traced to the log entry that caused it."""
    settle_once(store)

    for shard in range(SHARDS):
        log = {entry for entry, _ in client.xrange(key("log", shard))}
        for name in STREAMS:
            assert {entry for entry, _ in client.xrange(key(name, shard))} <= log


def test_the_script_survives_a_flush_and_a_restart(store, server, client):
    """A server that has forgotten the script is given it again, and a commit is applied once."""
    store.commit(first_commit(store, count=3))
    client.script_flush()
    store.commit(first_commit(store, count=3))
    store.close()
    client.close()

    server.stop(signal.SIGKILL)
    again = EmbeddedServer.start(server.data, server.process.args[-2])

    own = Store.open(again.url)
    own.commit(first_commit(own, count=3))
    position = own.position(0)
    ninth = own.read(0, LOG_START, 9)[8][0]
    own.close()
    again.stop()
    assert position == ninth


def test_commits_survive_a_kill_and_a_rewritten_file(store, server, client):
    """Every key is as it was after SIGKILL and a new start, also when the file of writes was rewritten in between."""
    store.commit(first_commit(store))
    client.bgrewriteaof()
    deadline = time.monotonic() + 10
    while client.info("persistence")["aof_rewrite_in_progress"]:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    store.commit(first_commit(store, 1))
    before = everything(client)
    store.close()

    server.stop(signal.SIGKILL)
    again = EmbeddedServer.start(server.data, server.process.args[-2])

    with contextlib.closing(redis.Redis.from_url(again.url, **options())) as reader:
        after = everything(reader)
    again.stop()
    assert after == before


def test_an_opened_account_is_a_row_and_a_record(server):
    """What the machine entered is where the API looks for it."""
    store = Store.open(server.url, 1)
    opened = AccountOpened(at=START, id=order_text(START, 1), account="A1", currency="CNY", alarms=AlarmTerms())
    store.append(0, opened)
    store.append(0, Ticked(at=START + 1))

    settle_once(store)

    loaded = store.load(0)
    store.close()
    assert list(loaded.records["account_records"]) == ["A1"]
    assert len(loaded.rows["accounts"]) == len(loaded.rows["account_terms"]) == 1
    assert loaded.header.now == START + 1
