import contextlib
import os
import signal
import subprocess

import pytest
import redis
from power_cut import file_of_writes, server_program

from connectors.redis.commit import commit_of
from connectors.redis.errors import StoreError
from connectors.redis.server import EmbeddedServer
from connectors.redis.store import Store, connection_options
from domain.effects import Effects, Outcome
from domain.facts import Ticked
from domain.state import Changes, ShardHeader


def everything(url):
    """What a commit writes, as it is kept."""
    with contextlib.closing(redis.Redis.from_url(url, **connection_options())) as client:
        return client.get("settled:{00}"), client.get("header:{00}"), client.xrange("outcomes:{00}")


def commit(number):
    """A small commit: an answer, a header, and the position."""
    effects = Effects((number, 0), outcomes=[Outcome(id=str(number), kind="k", at=number)])
    changes = Changes(ShardHeader(now=number), {}, {})
    return commit_of(0, (number - 1, 0), (number, 0), changes, [effects])


def test_a_commit_torn_at_any_byte_is_there_as_a_whole_or_not_at_all(server):
    """Cut at each byte of the last commit, in `make test` at some, the file of writes gives the state before it or after it."""
    store = Store.open(server.url, 1)
    store.commit(commit(1))
    before, begin = everything(server.url), file_of_writes(server.data).stat().st_size
    store.commit(commit(2))
    after = everything(server.url)
    store.close()
    server.stop(signal.SIGKILL)
    file = file_of_writes(server.data)
    whole = file.read_bytes()
    step = 1 if os.environ.get("METERLINE_EVERY_BYTE") else 61

    for length in [*range(begin, len(whole), step), len(whole) - 1, len(whole)]:
        file.write_bytes(whole[:length])
        again = EmbeddedServer.start(server.data)
        found = everything(again.url)
        again.stop(signal.SIGKILL)
        assert found == (after if length == len(whole) else before), f"cut at byte {length - begin} of the commit"


def until_refused(store):
    """Append until the server does not take any more. Returns the positions of what it has acknowledged."""
    acknowledged = []
    with contextlib.suppress(StoreError):
        while True:
            acknowledged.append(store.append(0, Ticked(at=len(acknowledged) + 1)))
    return acknowledged


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a file system of two megabytes; only root may make one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "meterline", str(folder)]
    try:
        made = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"a full disk needs mount: {error}")
    if made.returncode:
        pytest.skip(f"a full disk needs the right to mount a tmpfs: {made.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_loses_nothing_that_was_acknowledged(small_disk, tmp_path):
    """The server refuses or ends when its disk is full, and what it had acknowledged is there once there is room again."""
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(1_500_000))
    server = EmbeddedServer.start(small_disk / "data", server_program(tmp_path / "program"))
    store = Store.open(server.url, 1)
    acknowledged = until_refused(store)
    store.close()
    server.stop(signal.SIGKILL)
    ballast.unlink()

    again = EmbeddedServer.start(small_disk / "data")
    store = Store.open(again.url)
    kept = [entry for entry, _ in store.read(0, (0, 0), 10**6)]
    store.close()
    again.stop(signal.SIGKILL)

    assert kept[: len(acknowledged)] == acknowledged
    assert len(kept) <= len(acknowledged) + 1
