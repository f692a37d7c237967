"""What docs/alarms.md promises to foreign programs, on real servers: catching up without loss, at most once and exactly once, the same ids."""

import contextlib
import itertools
import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
import redis
from log_samples import START, days, of_the_log, options, order_text, settings
from log_samples import everything as all_of

from connectors.redis import commit as commit_module
from connectors.redis.commit import commit_of
from connectors.redis.errors import MovedOn
from connectors.redis.keys import ALARM_MESSAGES, key
from connectors.redis.store import Store
from domain.effects import Alarm, Effects
from domain.facts import AccountOpened, AccountUpdated, AlarmTerms, Place, RechargeOrdered
from domain.ids import shard_of
from domain.state import Changes, ShardHeader
from flows.settle import settle_once

DOCUMENT = (Path(__file__).parents[2] / "docs" / "alarms.md").read_text(encoding="utf-8")
PROGRAM = DOCUMENT.split("```python\n", 1)[1].split("```", 1)[0]
SHARDS = 2


@pytest.fixture
def store(server):
    """A fresh store of two shards, with the account A-101 in the site Garden."""
    store = Store.open(server.url, SHARDS)
    place = Place(site="Garden", building="1", floor="1", room="101")
    terms = AlarmTerms(low=0, pretrip=0, arrears=0)  # Whoever pays has no other alarm than that.
    opened = AccountOpened(
        at=START, id=order_text(START, 1), account="A-101", currency="CNY", place=place, alarms=terms
    )
    store.append(shard_of("A-101", SHARDS), opened)
    settle_once(store)
    yield store
    store.close()


@pytest.fixture
def reader(server):
    """A foreign program's connection."""
    client = redis.Redis.from_url(server.access.listener_url, decode_responses=True)
    yield client
    client.close()


@contextlib.contextmanager
def listening(client, *channels):
    """Somebody who is connected."""
    listener = client.pubsub()
    listener.subscribe(*channels)
    for _ in channels:
        assert listener.get_message(timeout=5)["type"] == "subscribe"
    yield listener
    listener.close()


def heard(listener, count):
    """The next messages, and that there are no more."""
    found = [listener.get_message(timeout=5) for _ in range(count)]
    assert listener.get_message(timeout=0.2) is None
    return [json.loads(each["data"]) for each in found]


_numbers = itertools.count(2)


def arrives(store, amount="1.00", account="A-101"):
    """Money arrives, which is a notice of it."""
    order = order_text(START, next(_numbers))
    micros = int(amount.replace(".", "")) * 10_000
    paid = RechargeOrdered(at=START, id=order, account=account, amount_micros=micros, currency="CNY")
    store.append(shard_of(account, store.shards), paid)


def kept(client, account="A-101"):
    """All messages of an account's stream."""
    found = client.xrange(key(ALARM_MESSAGES, shard_of(account, SHARDS)))
    return [message for _, fields in found for message in json.loads(fields["messages"])]


def amounts(messages):
    """What arrived."""
    return [each["amount"] for each in messages if each["kind"] == "money_arrived"]


class Consumer:
    """The example of the document, as it stands, in a process and a folder of its own."""

    def __init__(self, server, folder):
        environment = {**os.environ, "REDIS_URL": server.access.listener_url}
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM], env=environment, cwd=folder, stdout=subprocess.PIPE, text=True
        )

    def hears(self, count):
        """Ids of the next events that it prints."""
        return [self.process.stdout.readline().split()[0] for _ in range(count)]

    def until_it_has_noted(self, folder, entry):
        """Wait until its place is on disk."""
        for _ in range(1_000):
            with contextlib.suppress(FileNotFoundError):
                if entry in (folder / "alarms_read.json").read_text():
                    return
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.01)
        raise AssertionError("it noted nothing")

    def kill(self):
        """An outage."""
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def test_the_consumer_of_the_document_loses_nothing(server, store, reader, tmp_path):
    """The example runs as it is printed: it has what was before it, what happens while it listens, and after an outage exactly what it missed."""
    assert len(PROGRAM.splitlines()) <= 22
    arrives(store)
    settle_once(store)
    first = Consumer(server, tmp_path)
    before = first.hears(1)
    arrives(store)
    settle_once(store)
    during = first.hears(1)
    first.until_it_has_noted(tmp_path, "-".join(during[0].split("-")[1:3]))
    first.kill()

    for _ in range(3):
        arrives(store)
    settle_once(store)
    again = Consumer(server, tmp_path)
    missed = again.hears(3)
    arrives(store)
    settle_once(store)
    after = again.hears(1)
    again.kill()

    assert before + during + missed + after == [each["id"] for each in kept(reader)]


def test_the_consumer_of_the_document_acts_again_on_what_it_had_not_noted(server, store, reader, tmp_path):
    """Killed between acting and noting, it acts once more on the same ids, and loses none."""
    for _ in range(3):
        arrives(store)
    settle_once(store)
    shard = shard_of("A-101", SHARDS)
    place = {f"{ALARM_MESSAGES}:{{{shard:02d}}}": reader.xrange(key(ALARM_MESSAGES, shard))[0][0]}
    (tmp_path / "alarms_read.json").write_text(json.dumps(place))

    consumer = Consumer(server, tmp_path)
    found = consumer.hears(2)
    consumer.kill()

    assert found == [each["id"] for each in kept(reader)[1:]]


def test_who_is_away_misses_the_channel_and_not_the_stream(server, store, reader):
    """A channel is at most once; the stream has all of it, with the same words and ids as were heard."""
    with listening(reader, "alarms", "alarms:Garden") as listener:
        arrives(store, "1.00")
        settle_once(store)
        first = heard(listener, 2)
    arrives(store, "2.00")
    settle_once(store)
    with listening(reader, "alarms") as listener:
        arrives(store, "3.00")
        settle_once(store)
        last = heard(listener, 1)

    found = kept(reader)
    assert amounts(found) == ["1.00", "2.00", "3.00"]
    assert first == [found[0], found[0]]
    assert last == [found[2]]


def test_a_commit_that_comes_twice_is_told_once(store, reader):
    """A commit that is sent again, because its answer was lost, neither publishes nor keeps anything again."""
    shard = shard_of("A-101", SHARDS)
    before = store.position(shard)
    entry = (before[0] + 1, 0)
    alarm = Alarm(id=f"{shard:02d}-{entry[0]}-0-0", kind="balance_low", state="raised", at=START, account="A-101")
    commit = commit_of(shard, before, entry, Changes(ShardHeader(), {}, {}), [Effects(entry, alarms=[alarm])])

    with listening(reader, "alarms") as listener:
        store.commit(commit)
        with pytest.raises(MovedOn):
            store.commit(commit)
        (message,) = heard(listener, 1)

    assert kept(reader) == [message]
    assert message["id"] == alarm.id


def test_folding_anew_gives_the_same_messages(server, store, reader):
    """A shard that is made anew from its log has the same messages under the same ids, however it is cut into batches."""
    store.append_many(settings(SHARDS))
    store.append_many(itertools.islice(days(SHARDS, random.Random(5)), 60))
    arrives(store)
    settle_once(store)
    with contextlib.closing(redis.Redis.from_url(server.url, **options())) as client:
        before = of_the_log(all_of(client))
        for name in client.scan_iter(count=1_000):
            if not name.startswith(b"log:") and name != b"meterline":
                client.delete(name)
        settle_once(store, entries_at_once=1)
        after = of_the_log(all_of(client))

    assert after == before
    assert len(before[key(ALARM_MESSAGES, shard_of("A-101", SHARDS)).encode()]) > 0


@pytest.mark.parametrize("at_once", [1, 64])
def test_a_message_says_where_it_was(store, reader, at_once):
    """An account that moves takes its later alarms along and not its earlier ones, also where all of it is one commit."""
    shard, place = shard_of("A-101", SHARDS), Place(site="Mall", building="9", floor="1", room="901")
    with listening(reader, "alarms:Garden", "alarms:Mall") as listener:
        arrives(store, "1.00")
        moved = AccountUpdated(at=START, id=order_text(START, next(_numbers)), account="A-101", place=place)
        store.append(shard, moved)
        arrives(store, "2.00")
        settle_once(store, at_once)
        found = [json.loads(listener.get_message(timeout=5)["data"]) for _ in range(2)]

    assert [(each["site"], each["room"], each["amount"]) for each in found] == [
        ("Garden", "101", "1.00"),
        ("Mall", "901", "2.00"),
    ]


def test_what_is_gone_from_a_stream_can_be_seen(store, reader, monkeypatch):
    """At least as many entries are kept as is promised; a consumer that was away for longer can tell that it has missed some."""
    promised = re.search(r"the last ([\d,]+) log entries", DOCUMENT)[1]
    assert int(promised.replace(",", "")) == commit_module.MESSAGES_KEPT
    monkeypatch.setattr(commit_module, "MESSAGES_KEPT", 20)
    shard = shard_of("A-101", SHARDS)
    arrives(store)
    settle_once(store)
    stream = key(ALARM_MESSAGES, shard)
    place = reader.xrange(stream)[0][0]
    arrives(store)
    settle_once(store)
    whole = reader.xrange(stream, min=place, count=1)[0][0]

    for _ in range(200):
        arrives(store)
    settle_once(store)

    assert whole == place
    assert reader.xrange(stream, min=place, count=1)[0][0] != place
    assert 20 <= reader.xlen(stream) < 200


def test_thousands_of_alarms_at_once_are_published_and_kept(store, reader):
    """A tick that finds thousands of meters silent is one commit, though a script's stack is small; nobody misses one of them."""
    shard, count = shard_of("A-101", SHARDS), 12_000
    before = store.position(shard)
    entry = (before[0] + 1, 0)
    alarms = [
        Alarm(id=f"{shard:02d}-{entry[0]}-0-{number}", kind="offline", state="raised", at=START, meter=number + 1)
        for number in range(count)
    ]
    with listening(reader, "alarms") as listener:
        store.commit(commit_of(shard, before, entry, Changes(ShardHeader(), {}, {}), [Effects(entry, alarms=alarms)]))
        found = [json.loads(listener.get_message(timeout=5)["data"])["id"] for _ in range(count)]

    assert found == [alarm.id for alarm in alarms] == [each["id"] for each in kept(reader)]


FORGERIES = [("PUBLISH", "alarms:Garden", "{}"), ("XADD", f"{ALARM_MESSAGES}:{{00}}", "*", "messages", "[]")]


@pytest.mark.parametrize("command", FORGERIES, ids=lambda command: command[0])
@pytest.mark.parametrize("user", ["reader", "archiver"])
def test_only_the_writer_tells(server, store, command, user):
    """Neither who listens nor the archiver can forge an alarm."""
    url = {"reader": server.access.listener_url, "archiver": server.access.archiver_url}[user]

    with (
        contextlib.closing(redis.Redis.from_url(url)) as client,
        pytest.raises((redis.exceptions.NoPermissionError, redis.exceptions.ResponseError), match="permission"),
    ):
        client.execute_command(*command)
