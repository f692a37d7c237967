import contextlib
import itertools
import random
import select
import socket
import socketserver
import threading

import numpy as np
import pytest
import redis
from log_samples import MINUTE, START, days, everything, options, order_text, settings

from connectors.redis.errors import MovedOn, StoreMismatch, StoreRefused, StoreUnreachable
from connectors.redis.formats import FormatError
from connectors.redis.keys import SITE, key
from connectors.redis.store import Store
from domain.facts import MeterWatchSet, Ticked, WatchTerms
from domain.ids import LOG_START
from domain.state import RECORDS, ROWS
from flows.settle import Batch, fold_batch, settle_once
from flows.state import ShardState

SHARDS = 2
TERMS = WatchTerms(day_usage=400, night_usage=1)


class LosingProxy(socketserver.ThreadingUnixStreamServer):
    """Passes everything on to a server, but loses the answer to the first request that contains `lose`."""

    daemon_threads = True
    request_queue_size = 16

    def __init__(self, path, server, lose):
        self.server, self.lose, self.lost = server, lose, 0
        super().__init__(str(path), LosingHandler)


class LosingHandler(socketserver.BaseRequestHandler):
    """One connection of the proxy."""

    def handle(self):
        """Pass bytes on, both ways, until either end closes or an answer is lost."""
        with socket.socket(socket.AF_UNIX) as server:
            server.connect(self.server.server)
            losing = False
            while True:
                for ready in select.select([self.request, server], [], [])[0]:
                    content = ready.recv(1 << 20)
                    if not content:
                        return
                    if ready is server and losing:
                        self.server.lost += len(content)
                        return
                    (self.request if ready is server else server).sendall(content)
                    losing = losing or (ready is not server and self.server.lose in content and not self.server.lost)


@contextlib.contextmanager
def losing(server, path, lose):
    """A proxy before a server, and the URL of it."""
    with LosingProxy(path, server.access.socket, lose) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield proxy, f"unix://writer:{server.access.writer}@{path}"
        finally:
            proxy.shutdown()
            thread.join()


@pytest.fixture
def store(server):
    """A fresh store of two shards."""
    store = Store.open(server.url, SHARDS)
    yield store
    store.close()


def test_a_lost_answer_appends_once(server, store, tmp_path):
    """An append whose answer was lost raises, and is in the log exactly once: nothing repeats it behind our back."""
    with losing(server, tmp_path / "proxy.sock", b"XADD") as (proxy, url):
        cut_off = Store.open(url)

        with pytest.raises(StoreUnreachable):
            cut_off.append(0, Ticked(at=1))

        cut_off.close()
    assert proxy.lost > 0
    assert [fact for _, fact in store.read(0, LOG_START, 10)] == [Ticked(at=1)]


def test_a_lost_answer_appends_many_once(server, store, tmp_path):
    """A round trip of many appends whose answer was lost is not repeated either."""
    with losing(server, tmp_path / "proxy.sock", b"XADD") as (proxy, url):
        cut_off = Store.open(url)

        with pytest.raises(StoreUnreachable):
            cut_off.append_to_all(Ticked(at=1))

        cut_off.close()
    assert proxy.lost > 0
    assert [len(store.read(shard, LOG_START, 10)) for shard in range(SHARDS)] == [1, 1]


def test_a_lost_answer_commits_once(server, store, tmp_path):
    """A commit whose answer was lost is told by its position; saying it again raises MovedOn and changes nothing."""
    store.append_many(settings(SHARDS))
    settle_once(store)
    store.append_many(itertools.islice(days(SHARDS, random.Random(1)), 20))
    state = ShardState.of(store.load(0))
    commit = fold_batch(state, Batch(0, store.read(0, state.position, 100)))
    with losing(server, tmp_path / "proxy.sock", b"EVAL") as (proxy, url):
        cut_off = Store.open(url)

        with pytest.raises(StoreUnreachable):
            cut_off.commit(commit)

        cut_off.close()
    with contextlib.closing(redis.Redis.from_url(server.url, **options())) as client:
        before = everything(client)
        with pytest.raises(MovedOn):
            store.commit(commit)
        after = everything(client)

    assert proxy.lost > 0
    assert store.position(0) == store.last(0)
    assert after == before


NAMES = {
    "kept_outcomes": "outcomes", "open_commands": "commands", "charge_items": "items", "standing_alarms": "standing",
    "site_records": "sites", "policy_records": "policies",
}  # fmt: skip
"""What the state calls records that have a longer name in the store."""


def test_load_gives_what_was_committed(store):
    """What the machine has in memory after a log is what a worker loads, byte for byte, cut however it was."""
    store.append_many(settings(SHARDS))
    store.append_many(itertools.islice(days(SHARDS, random.Random(2)), 60))

    for shard, entries_at_once in ((0, 1), (1, 7)):
        state = ShardState.of(store.load(shard))
        while entries := store.read(shard, state.position, entries_at_once):
            store.commit(fold_batch(state, Batch(shard, entries)))

        loaded = ShardState.of(store.load(shard))
        assert (loaded.position, loaded.header) == (store.last(shard), state.header)
        for name in ROWS:
            assert getattr(loaded, name).rows.tobytes() == getattr(state, name).rows.tobytes()
        for name in RECORDS:
            table = NAMES.get(name, name)
            assert getattr(loaded, table).sorted() == getattr(state, table).sorted()
        assert state.meters.count == 2
        assert len(state.cases) > 0


def test_a_new_shard_is_empty(store):
    """A shard that was never committed loads as the beginning of everything."""
    loaded = store.load(1)

    assert loaded.position == store.last(1) == store.position(1) == LOG_START
    assert all(len(rows) == 0 and rows.dtype == ROWS[name] for name, rows in loaded.rows.items())
    assert loaded.records == {name: {} for name in RECORDS}


def test_reading_goes_on_after_a_position(store):
    """Entries come in log order, after a position and not again, up to a count."""
    entries = [store.append(0, Ticked(at=number)) for number in range(5)]

    assert [entry for entry, _ in store.read(0, LOG_START, 2)] == entries[:2]
    assert [entry for entry, _ in store.read(0, entries[1], 9)] == entries[2:]
    assert store.read(0, entries[4], 9) == []
    assert store.last(0) == entries[4]


def test_a_damaged_entry_is_named(store, server):
    """An entry that cannot be read stops the reader with the log's name, the entry's position and what to do."""
    store.append(1, Ticked(at=1))
    with contextlib.closing(redis.Redis.from_url(server.url, **options())) as client:
        damaged = client.xadd(key("log", 1), {"k": "ticked", "v": "1", "b": b"\xc1"}).decode()

    with pytest.raises(FormatError, match=rf"log:\{{01\}} at {damaged}: .*restore the shard's log from a backup"):
        store.read(1, LOG_START, 10)


def test_an_empty_store_says_who_makes_one(server):
    """A process that does not make stores says which commands do."""
    with pytest.raises(
        StoreMismatch, match="empty; start `meterline up`, `meterline site --shards` or `meterline import` first"
    ):
        Store.open(server.url)


def test_another_number_of_shards_is_refused(store, server):
    """The number of shards is fixed when a store is made; asking for another says which it has, and changes nothing."""
    with pytest.raises(StoreMismatch, match="has 2 shards, not 3: the number is fixed"):
        Store.open(server.url, 3)

    again = Store.open(server.url)
    again.close()
    assert again.shards == 2


def test_a_store_of_another_format_is_refused(store, server):
    """A store of a later release is not touched; the message names both formats."""
    with contextlib.closing(redis.Redis.from_url(server.url, **options())) as client:
        client.hset(SITE, "format", "9")

    with pytest.raises(StoreMismatch, match="has format 9, this release reads 3; use the release that wrote it"):
        Store.open(server.url, SHARDS)


def test_a_wrong_password_is_refused(server):
    """A wrong password is told as one, not as a server that does not answer."""
    with pytest.raises(StoreRefused, match="user or password"):
        Store.open(f"unix://writer:guess@{server.access.socket}")


def test_a_server_that_is_gone_is_unreachable(store, server):
    """Without a server every call says so in our words."""
    server.stop()

    with pytest.raises(StoreUnreachable, match="does not answer"):
        store.append(0, Ticked(at=1))
    with pytest.raises(StoreUnreachable, match="does not answer"):
        Store.open(server.url)


def test_watches_of_release_0_1_0_open_and_go_on(server, store):
    """A release that counted nothing for empty rooms has no second page of watches: it opens as zeros, and written on it stays whole."""
    store.append_many(settings(SHARDS))
    watched = [MeterWatchSet(at=START, id=order_text(START, 90 + meter), meter=meter, terms=TERMS) for meter in (1, 2)]
    store.append_many([(0, fact) for fact in [*watched, Ticked(at=START)]])
    settle_once(store)
    as_counted = store.load(0).rows["watches"]
    with contextlib.closing(redis.Redis.from_url(server.url, **options())) as client:
        client.delete(key("watches_rest", 0))

    as_before = store.load(0).rows["watches"]
    one_by_one = store.rows("watches", 0, [1, 0])
    store.append(0, Ticked(at=START + MINUTE))
    settle_once(store)

    assert as_before["day_usage"].tolist() == [400, 400]
    assert (as_counted["day"].tolist(), as_before["day"].tolist()) == ([20_089, 20_089], [0, 0])
    assert one_by_one.tobytes() == as_before[::-1].tobytes()
    assert store.load(0).rows["watches"].tobytes() == as_counted.tobytes()


def test_rows_are_loaded_as_they_are_packed(store):
    """A shard's rows come back as the structured arrays that the machine uses."""
    store.append_many(settings(SHARDS))

    settle_once(store)

    loaded = store.load(0)
    assert loaded.rows["accounts"]["balance"].tolist() == [5_000_000, 5_000_000]
    assert loaded.rows["meter_terms"]["number"].tolist() == [1, 2]
    assert np.array_equal(loaded.rows["meters"]["register"], [0, 0])
