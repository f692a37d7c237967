"""A store to fill from files: the one of a running Meterline, or one that nobody else settles meanwhile."""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from connectors.redis.errors import StoreError
from connectors.redis.server import EmbeddedServer, ServerError, access_of
from connectors.redis.store import Store
from domain.ids import SHARDS_DEFAULT

SCRATCH_SHARDS = 4
SETTLED_SECONDS = 600.0


@contextmanager
def store_to_fill(data: Path, *, scratch: bool) -> Iterator[tuple[Store, bool]]:
    """The store to write into, and whether nobody else settles it. `scratch`: one that is thrown away. Raises StoreError."""
    with ExitStack() as stack:
        if (url := os.environ.get("REDIS_URL")) and not scratch:
            store = Store.open(url)
            stack.callback(store.close)
            yield store, False
            return
        if scratch:
            data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="meterline-scratch-")))
        is_new = not (data / "redis").is_dir()
        try:
            server = EmbeddedServer.start(data)
        except ServerError:
            if scratch or not (data / "access.json").is_file():
                raise
            store = Store.open(access_of(data).writer_url)  # A running `meterline up` holds the data directory.
            stack.callback(store.close)
            yield store, False
            return
        stack.callback(server.stop)
        store = Store.open(server.url, (SCRATCH_SHARDS if scratch else SHARDS_DEFAULT) if is_new else None)
        stack.callback(store.close)
        yield store, True


@contextmanager
def store_to_read(data: Path) -> Iterator[Store]:
    """The store to look into: that of `REDIS_URL`, or of a data directory, whose server is started meanwhile if it does not run.

    Raises StoreError; a ServerError if there is none.
    """
    with ExitStack() as stack:
        if not (url := os.environ.get("REDIS_URL")):
            access_of(data)  # So that none is made where there is none.
            with suppress(ServerError):  # A running `meterline up` holds the data directory.
                stack.callback(EmbeddedServer.start(data).stop)
            url = access_of(
                data
            ).writer_url  # A directory that was moved or restored is listened to elsewhere once it is served.
        store = Store.open(url)
        stack.callback(store.close)
        yield store


def wait_until_folded(store: Store) -> None:
    """Wait until the running settlement has folded all that is in the log now. Raises StoreError if it takes too long."""
    ends = [store.last(shard) for shard in range(store.shards)]
    deadline = time.monotonic() + SETTLED_SECONDS
    while any(store.position(shard) < end for shard, end in enumerate(ends)):
        if time.monotonic() > deadline:
            raise StoreError(
                "it is in the log, but nobody settles it: is `meterline up`, or `meterline settle` for each part, still running?"
            )
        time.sleep(0.05)
