"""Fixtures that several suites share: a real server in a throw-away directory, a store on it, and a settling thread."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from connectors.redis.server import EmbeddedServer
from connectors.redis.store import Store
from flows.settle import Batch, fold_batch
from flows.state import ShardState

SHARDS = 4

# No test asserts how long anything takes: a machine that is busy with something else has broken no law.
settings.register_profile("meterline", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("meterline")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    """A fresh embedded server."""
    server = EmbeddedServer.start(tmp_path / "data")
    yield server
    server.stop()


@pytest.fixture
def store_url(server: EmbeddedServer) -> str:
    """The URL of a fresh store's server."""
    return server.url


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """A fresh store with four shards."""
    store = Store.open(store_url, SHARDS)
    yield store
    store.close()


@pytest.fixture
def settling(store: Store, store_url: str) -> Iterator[threading.Event]:
    """Settle everything that is appended, in a thread, until the test ends or sets the event."""
    stop = threading.Event()
    own = Store.open(store_url, SHARDS)

    def settle() -> None:
        states = [ShardState.of(own.load(shard)) for shard in range(own.shards)]
        while not stop.wait(0.003):
            for state in states:
                while entries := own.read(state.shard, state.position, 64):
                    commit = fold_batch(state, Batch(state.shard, entries))
                    assert commit is not None
                    own.commit(commit)

    thread = threading.Thread(target=settle)
    thread.start()
    yield stop
    stop.set()
    thread.join()
    own.close()


@pytest.fixture
def free_port() -> int:
    """A port on loopback that nobody listens at just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
