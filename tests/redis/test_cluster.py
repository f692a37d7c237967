import asyncio
import os
import random
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
import redis
from clusters import NODES, READY_SECONDS, Cluster
from log_samples import days, everything, of_the_log, settings

from connectors.redis.errors import StoreMismatch, StoreUnreachable
from connectors.redis.keys import SITE, STORE_FORMAT, key
from connectors.redis.live import LiveStore
from connectors.redis.live_counts import lags_ms
from connectors.redis.live_streams import newest_alarms
from connectors.redis.nodes import Range, ranges_of, seeds_of
from connectors.redis.server import EmbeddedServer
from connectors.redis.store import Store
from flows.settle import settle_once

ROOT = Path(__file__).parents[2]
SHARDS = 6


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Three real servers that know of each other."""
    with Cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def store(cluster):
    """A fresh store of six shards with a street's settings in its log."""
    for node in range(NODES):
        cluster.client(node).flushall()
    store = Store.open(cluster.url, SHARDS)
    store.append_many(settings(SHARDS))
    yield store
    store.close()


def kept(clients):
    """Everything that lies on some servers and that the log determines."""
    return of_the_log({name: found for client in clients for name, found in everything(client).items()})


def on_one_server(store, folder):
    """Everything in a store on one server that was given the same log and folded it in one go."""
    server = EmbeddedServer.start(folder / "one")
    single = Store.open(server.url, SHARDS)
    with redis.Redis.from_url(server.url) as target:
        for shard in range(SHARDS):
            for entry, fields in store._at(shard).xrange(key("log", shard)):
                target.xadd(key("log", shard), fields, id=entry)
        settle_once(single, 10_000)
        found = of_the_log(everything(target))
    single.close()
    server.stop()
    return found


def test_a_cluster_comes_to_what_one_server_does(cluster, store, tmp_path):
    """The same log, spread over three nodes, is settled to the same state, ledger and streams, byte for byte."""
    store.append_many(islice(days(SHARDS, random.Random(11)), 120))

    settle_once(store, 7)

    clients = [cluster.client(node) for node in range(NODES)]
    assert kept(clients) == on_one_server(store, tmp_path)
    assert sum(bool(client.keys("settled:*")) for client in clients) == NODES


def test_the_live_store_reads_every_node(cluster, store):
    """Accounts, meters, alarms and lags are found wherever they lie, and what is appended is answered."""
    store.append_many(islice(days(SHARDS, random.Random(12)), 60))
    settle_once(store, 100)

    async def read():
        live = await LiveStore.open(cluster.url)
        await live.ping()
        accounts = [view for shard in range(SHARDS) for view in await live.accounts(shard)]
        records = await live.account_records({view.record.account for view in accounts})
        meters = [await live.meter(number) for view in accounts for number in view.record.meters]
        found = (accounts, records, meters, await lags_ms(live), await newest_alarms(live, 1_000))
        await live.close()
        return found

    accounts, records, meters, lags, alarms = asyncio.run(read())

    assert len(accounts) == len(records) == 2 * SHARDS
    assert all(meters)
    assert lags == [0] * SHARDS
    assert alarms


def settling(url, part, said):
    """A settle process with a part of the shards."""
    with said.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "meterline", "settle", "--part", part],
            cwd=ROOT,
            env=os.environ | {"REDIS_URL": url},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )


def test_parts_settle_a_cluster_and_one_is_killed(cluster, store, tmp_path):
    """Two processes, each with half of the shards of three nodes: one is killed and started again, and nothing is lost or doubled."""
    coming = days(SHARDS, random.Random(14))
    store.append_many(islice(coming, 60))
    processes = {part: settling(cluster.url, part, tmp_path / "said.txt") for part in ("1/2", "2/2")}

    def is_settled():
        assert processes["2/2"].poll() is None, (tmp_path / "said.txt").read_text()[-2000:]
        return all(store.position(shard) == store.last(shard) for shard in range(SHARDS))

    try:
        cluster.until(lambda: store.position(0) > (0, 0), "first commit of a part")
        processes["1/2"].kill()
        processes["1/2"].wait()
        store.append_many(islice(coming, 60))
        processes["1/2"] = settling(cluster.url, "1/2", tmp_path / "said.txt")
        cluster.until(is_settled, "end of the log")
    finally:
        for process in processes.values():
            process.kill()
            process.wait()

    assert kept([cluster.client(node) for node in range(NODES)]) == on_one_server(store, tmp_path)


def test_a_node_that_dies_loses_nothing(cluster, store):
    """While a node is gone its shards wait, and say so; when it is back they go on where they were."""
    lost = next(shard for shard in range(SHARDS) if store._at(shard) is not store._nodes.of(SITE))
    port = store._at(lost).connection_pool.connection_kwargs["port"]
    settle_once(store, 100)
    before = store.position(lost)
    facts = [fact for fact in islice(days(SHARDS, random.Random(13)), 40) if fact[0] == lost]
    cluster.kill(cluster.ports.index(port))

    with pytest.raises(StoreUnreachable):
        store.append_many(facts)

    cluster.start(cluster.ports.index(port))
    cluster.until(cluster.is_whole, "whole cluster")
    again = Store.open(cluster.url)
    assert again.position(lost) == before
    again.append_many(facts)
    settle_once(again, 100)
    assert again.position(lost) == again.last(lost) > before
    again.close()


def test_a_shard_that_moves_is_found_again(cluster, store):
    """A shard that is given to another node is refused by the one that had it; whoever tries again finds it."""
    slot = cluster.client(0).execute_command("CLUSTER KEYSLOT", key("log", 0))
    owner = cluster.ports.index(store._at(0).connection_pool.connection_kwargs["port"])
    heir = (owner + 1) % NODES
    cluster.client(owner).flushall()
    ids = [cluster.client(node).execute_command("CLUSTER MYID") for node in range(NODES)]

    def give(slot, node):
        for each in sorted(range(NODES), key=lambda each: each != node):
            cluster.client(each).execute_command("CLUSTER SETSLOT", slot, "NODE", ids[node])

    async def read():
        live = await LiveStore.open(cluster.url)
        assert await live.accounts(0) == []
        give(slot, heir)
        deadline = asyncio.get_running_loop().time() + READY_SECONDS
        refused = 0
        while True:
            try:
                assert await live.accounts(0) == []
                break
            except StoreUnreachable:
                refused += 1
                assert asyncio.get_running_loop().time() < deadline, "no new owner"
                await asyncio.sleep(0.01)
        await live.close()
        return refused

    try:
        store._nodes.of(SITE).hset(SITE, mapping={"shards": SHARDS, "format": STORE_FORMAT})
        assert asyncio.run(read()) >= 1
        with pytest.raises(StoreUnreachable, match="given the shard to another node"):
            store.position(0)
        again = Store.open(cluster.url, SHARDS)
        assert again.position(0) == (0, 0)
        again.close()
    finally:
        give(slot, owner)


@pytest.mark.parametrize(
    ("url", "seeds"),
    [
        ("redis://me:secret@one:6379", ["redis://me:secret@one:6379"]),
        ("redis+cluster://me:secret@one:6379", ["redis://me:secret@one:6379"]),
        ("rediss+cluster://one:1,two:2", ["rediss://one:1", "rediss://two:2"]),
        ("redis+cluster://me:a%40b@[::1]:1,two:2/0", ["redis://me:a%40b@[::1]:1", "redis://me:a%40b@two:2"]),
    ],
)
def test_a_url_names_servers(url, seeds):
    """One server, or a cluster by some of its nodes, with the login at each."""
    assert seeds_of(url) == seeds


def test_nodes_say_who_has_what():
    """Ranges of slots with the node that serves each; one without a name is the one that was asked."""
    said = [[0, 8_000, [b"ten", 1, b"id"], [b"replica", 2, b"id"]], [8_001, 16_383, [b"", 7, b"id"]]]

    assert ranges_of("redis://me:secret@own:9", said) == [
        Range(0, 8_000, "redis://me:secret@ten:1"),
        Range(8_001, 16_383, "redis://me:secret@own:7"),
    ]


def test_a_cluster_with_a_hole_is_not_opened():
    """Where slots are served by nobody, nothing begins: a shard might lie there."""
    with pytest.raises(redis.exceptions.ClusterDownError, match="no node"):
        ranges_of("redis://own:9", [[0, 8_000, [b"ten", 1, b"id"]]])


def test_a_cluster_has_no_database_number():
    """A URL that a cluster cannot serve is refused with what is possible."""
    with pytest.raises(StoreMismatch, match=r"redis\+cluster"):
        Store.open("redis+cluster://one:1/3")
