import random
from collections.abc import Iterator
from itertools import islice

import pytest
from archiving import SHARDS
from log_samples import days, settings

from connectors.archive.files import Archive
from connectors.redis.store import Store
from connectors.redis.streams import Streams
from flows.settle import settle_once


@pytest.fixture
def store(server) -> Iterator[Store]:
    """A store of two shards with a street that has lived through sixty facts, all folded."""
    store = Store.open(server.url, SHARDS)
    store.append_many(settings(SHARDS))
    store.append_many(islice(days(SHARDS, random.Random(5)), 60))
    settle_once(store)
    yield store
    store.close()


@pytest.fixture
def streams(server, store) -> Iterator[Streams]:
    """The store's streams as an archiver has them."""
    streams = Streams.open(server.access.archiver_url)
    yield streams
    streams.close()


@pytest.fixture
def archive(tmp_path) -> Archive:
    """An archive in a folder that is not there yet."""
    return Archive.at(tmp_path / "archive")
