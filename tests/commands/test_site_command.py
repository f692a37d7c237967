"""`meterline site`: a site file told to a store that others settle, as on several hosts."""

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_site_fees import RENT, SITE

from connectors.redis.errors import StoreError
from connectors.redis.store import Store
from domain.units import money_text

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 120
pytestmark = pytest.mark.timeout(300)


class Hosts:
    """Hosts that know a store by its address only, each with one process of ours."""

    def __init__(self, url, folder, endings):
        self.url, self.folder, self.endings = url, folder, endings

    def start(self, *arguments):
        """Start a process, to be killed when the test ends."""
        process = subprocess.Popen(
            [sys.executable, "-m", "meterline", *arguments],
            cwd=ROOT, env={**os.environ, "REDIS_URL": self.url},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.endings.callback(process.communicate)
        self.endings.callback(process.kill)
        return process

    def tells(self, text, *options):
        """Begin to tell a site file."""
        file = self.folder / "site.toml"
        file.write_text(text, "utf-8")
        return self.start("site", str(file), *options)


@pytest.fixture
def hosts(server, tmp_path):
    """Hosts with an empty server."""
    with contextlib.ExitStack() as endings:
        yield Hosts(server.url, tmp_path, endings)


def ended(process):
    """Its code and what it said, when it has ended."""
    said, wrong = process.communicate(timeout=PATIENCE_SECONDS)
    return process.returncode, said, wrong


def until(holds):
    """What something gives, as soon as that is something."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        with contextlib.suppress(StoreError):
            if found := holds():
                return found
        assert time.monotonic() < deadline
        time.sleep(0.05)


def balances(store):
    """Every wallet, in yuan."""
    return [money_text(int(row["balance"])) for n in range(store.shards) for row in store.load(n).rows["accounts"]]


def test_processes_that_know_an_address_only_make_a_whole_site(hosts, server):
    """The site file makes the store, two parts settle it, a clock lets rent fall due; and a file that is told again charges nothing again."""
    too_early = ended(hosts.start("settle"))
    telling = hosts.tells(SITE.format(fees=RENT), "--shards", "3")
    store = until(lambda: Store.open(server.url))
    for process in (("settle", "--part", "1/2"), ("settle", "--part", "2/2"), ("clock",)):
        hosts.start(*process)
    first = ended(telling)
    until(lambda: balances(store) != ["0.00"])
    paid = balances(store)
    again = ended(hosts.tells(SITE.format(fees=RENT)))

    assert too_early[0] == 1
    assert "the store is empty; start `meterline up`, `meterline site --shards`" in too_early[2]
    assert first == again == (0, "site Court: 1 accounts, 1 meters are in the store\n", "")
    assert balances(store) == paid
    assert store.shards == 3
    store.close()


def test_what_is_refused_is_said_and_is_an_error(hosts, store, settling):
    """A file whose meter belongs to another account already is told, all but that, and the code says that something is wrong."""
    first = ended(hosts.tells(SITE.format(fees="")))
    code, _, wrong = ended(hosts.tells(SITE.format(fees="").replace('"A-101"', '"B-101"')))

    assert (first[0], code) == (0, 1), first
    assert wrong.startswith("refused: meter_installed B-101: ")


def test_a_wrong_number_of_shards_is_refused(hosts, store):
    """The number of shards is fixed when a store is made, and nothing is told to a store of another."""
    code, _, wrong = ended(hosts.tells(SITE.format(fees=""), "--shards", "9"))

    assert code == 1
    assert "the store has 4 shards, not 9" in wrong
    assert store.last(0) == (0, 0)
