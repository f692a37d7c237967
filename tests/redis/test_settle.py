import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import pytest
import redis
from log_samples import days, everything, of_the_log, options, settings

from connectors.redis.keys import key
from connectors.redis.server import EmbeddedServer
from connectors.redis.store import Store
from flows.settle import settle_once

ROOT = Path(__file__).parents[2]
SHARDS = 2
KILLS = 5
SEED = int(os.environ.get("METERLINE_SEED", "20250101"))
pytestmark = pytest.mark.parametrize("server", ["bundled"], indirect=True)


@pytest.fixture
def store(server):
    """A fresh store of two shards with a street's settings in its log."""
    store = Store.open(server.url, SHARDS)
    store.append_many(settings(SHARDS))
    yield store
    store.close()


class Settling:
    """A settle process of its own, on two entries at a time, so that there are many commits to be killed between."""

    def __init__(self, url, said, *arguments):
        self.said = said
        with said.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "bytewax.run", "flows.settle:flow(2)", *arguments],
                cwd=ROOT,
                env=os.environ | {"METERLINE_STORE_URL": url},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def kill(self):
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait()

    def wait_for(self, condition, what):
        """Poll until a condition holds while the process lives."""
        deadline = time.monotonic() + 60
        while not condition():
            assert self.process.poll() is None, f"settle ended: {self.said.read_text()[-3000:]}"
            assert time.monotonic() < deadline, f"no {what}: {self.said.read_text()[-3000:]}"
            time.sleep(0.002)


def settled(store):
    """Whether every shard is folded to its end."""
    return all(store.position(shard) == store.last(shard) for shard in range(store.shards))


def contents(url):
    """Everything in a store that its log determines."""
    with contextlib.closing(redis.Redis.from_url(url, **options())) as client:
        return of_the_log(everything(client))


def uninterrupted(url, folder):
    """Everything in another store that was given the same log and folded it once, in one go."""
    server = EmbeddedServer.start(folder)
    copy = Store.open(server.url, SHARDS)
    with (
        contextlib.closing(redis.Redis.from_url(url, **options())) as source,
        contextlib.closing(redis.Redis.from_url(server.url, **options())) as target,
    ):
        for shard in range(SHARDS):
            for entry, fields in source.xrange(key("log", shard)):
                target.xadd(key("log", shard), fields, id=entry)
    settle_once(copy, 10_000)
    copy.close()
    found = contents(server.url)
    server.stop()
    return found


def test_kills_at_random_leave_no_trace(server, store, tmp_path):
    """Settle is killed at random while facts come in, and state, ledger and streams are those of one uninterrupted fold."""
    print(f"METERLINE_SEED={SEED}")  # noqa: T201 - shown when it fails, to run it again
    chance = random.Random(SEED)
    coming = days(SHARDS, chance)
    for number in range(KILLS):
        begun = store.position(0)
        with Settling(server.url, tmp_path / f"killed-{number}.txt") as settling:

            def begins(begun=begun):
                store.append_many(islice(coming, 1))
                return store.position(0) != begun

            store.append_many(islice(coming, 6))
            settling.wait_for(begins, "first commit")
            store.append_many(islice(coming, chance.randrange(1, 12)))
            time.sleep(chance.uniform(0, 0.02))
            settling.process.send_signal(signal.SIGKILL)
    store.append_many(islice(coming, 4))

    with Settling(server.url, tmp_path / "last.txt") as settling:
        settling.wait_for(lambda: settled(store), "end of the log")

    assert contents(server.url) == uninterrupted(server.url, tmp_path / "again")


def test_two_by_mistake_double_nothing(server, store, tmp_path):
    """Of two settle processes on one store one stops and says why, and nothing is doubled."""
    coming = days(SHARDS, random.Random(3))
    with Settling(server.url, tmp_path / "0.txt") as one, Settling(server.url, tmp_path / "1.txt") as two:
        deadline = time.monotonic() + 60
        while one.process.poll() is None and two.process.poll() is None:
            store.append_many(islice(coming, 2))
            assert time.monotonic() < deadline, "both go on"
            time.sleep(0.01)
        stopped, other = (one, two) if one.process.poll() is not None else (two, one)
        other.wait_for(lambda: settled(store), "end of the log")

    assert "MovedOn" in stopped.said.read_text()
    assert contents(server.url) == uninterrupted(server.url, tmp_path / "again")


def free_port():
    """A port of loopback that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_cluster_of_two_divides_the_shards(server, store, tmp_path):
    """Two processes that know of each other settle every shard, none twice."""
    store.append_many(islice(days(SHARDS, random.Random(4)), 30))
    addresses = ";".join(f"127.0.0.1:{free_port()}" for _ in range(2))

    with (
        Settling(server.url, tmp_path / "0.txt", "-i", "0", "-a", addresses) as one,
        Settling(server.url, tmp_path / "1.txt", "-i", "1", "-a", addresses) as two,
    ):
        one.wait_for(lambda: settled(store), "end of the log")
        assert two.process.poll() is None

    assert contents(server.url) == uninterrupted(server.url, tmp_path / "again")


def test_it_listens_on_no_port(server, store, tmp_path):
    """A settle process alone opens no door: bytewax's own interface on port 3030 stays shut."""
    with Settling(server.url, tmp_path / "said.txt") as settling:
        settling.wait_for(lambda: settled(store), "end of the log")
        listening = {line.split()[9] for line in tcp_lines() if line.split()[3] == "0A"}
        opened = {str(link.readlink()) for link in Path(f"/proc/{settling.process.pid}/fd").iterdir()}

    assert opened.isdisjoint({f"socket:[{inode}]" for inode in listening})
    with socket.socket() as door, pytest.raises(ConnectionRefusedError):
        door.connect(("127.0.0.1", 3030))


def tcp_lines():
    """The kernel's tables of TCP sockets."""
    for table in ("tcp", "tcp6"):
        yield from Path(f"/proc/net/{table}").read_text().splitlines()[1:]


def test_without_a_store_it_says_what_to_set(server):
    """Started without a store's URL, it names the variable instead of guessing a host."""
    environment = {name: value for name, value in os.environ.items() if name != "METERLINE_STORE_URL"}

    ended = subprocess.run(
        [sys.executable, "-m", "bytewax.run", "flows.settle:flow"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode != 0
    assert "set METERLINE_STORE_URL" in ended.stderr
