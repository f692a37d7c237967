"""The clock that tells a log the time, on a real server."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from commands.clock import CLOCK_AHEAD_MAX_MS, Clockwork
from connectors.clock import REAL_TIME, EventClock
from connectors.redis.server import EmbeddedServer
from connectors.redis.store import Store
from domain.facts import Ticked
from domain.ids import LOG_START
from domain.units import DAY_MS, HOUR_MS

ROOT = Path(__file__).parents[2]
POLL = threading.Event()
LONGEST_SECONDS = 30.0


class MachineClock:
    """The clock of a machine, so far ahead until somebody sets it."""

    def __init__(self, ahead_ms: int) -> None:
        self.ahead_ms = ahead_ms

    def now_ns(self) -> int:
        """Ns UTC."""
        return time.time_ns() + self.ahead_ms * 1_000_000


@contextlib.contextmanager
def running(clockwork: Clockwork):
    """Let a clock run until the block ends."""
    stop = threading.Event()
    thread = threading.Thread(target=clockwork.run, args=[stop])
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def ticks(store: Store) -> list[int]:
    """The times that the first shard was told."""
    return [fact.at for _, fact in store.read(0, LOG_START, 10_000) if isinstance(fact, Ticked)]


def until(condition) -> None:
    """Wait for a condition, and fail where it does not come about."""
    deadline = time.monotonic() + LONGEST_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        POLL.wait(0.02)


def test_a_clock_that_is_ahead_of_the_servers_moves_no_time(store, store_url):
    """A machine comes up a day ahead: the log is told nothing, the operator is, once; when the clock is set it goes on."""
    machine, said = MachineClock(DAY_MS), []
    with running(Clockwork(store_url, REAL_TIME, said.append, machine.now_ns)):
        until(lambda: said)
        before = ticks(store)
        machine.ahead_ms = 0
        until(lambda: len(said) > 1)

    assert before == []
    ahead, again = said
    assert "s ahead of the Redis server's, more than 300 s" in ahead
    assert "Set the wrong one" in ahead
    assert again == "time passes in the log again"
    assert max(ticks(store)) <= time.time_ns() // 1_000_000


@pytest.mark.parametrize(
    "clock",
    [
        EventClock.from_now(speed=3_600),
        EventClock.from_now(1_764_979_200_000, 60),
        EventClock.from_now(4_000_000_000_000),
    ],
    ids=["faster than life", "in the past", "in the future"],
)
def test_event_time_may_be_any(store, store_url, clock):
    """A demo's street lives faster than life and at another time: its clock follows from this machine's, which is right."""
    said = []
    with running(Clockwork(store_url, clock, said.append)):
        until(lambda: ticks(store))

    assert said == []
    assert clock.epoch_event_ms <= ticks(store)[0] <= clock.now_ms()


def test_a_clock_that_is_a_little_ahead_or_behind_ticks(store, store_url):
    """Machines differ by seconds, and what is behind does no harm: time never goes back in a log."""
    for ahead_ms in (CLOCK_AHEAD_MAX_MS - 60_000, -HOUR_MS):
        before, machine = len(ticks(store)), MachineClock(ahead_ms)
        with running(Clockwork(store_url, REAL_TIME, lambda _: None, machine.now_ns)):
            until(lambda before=before: len(ticks(store)) > before)


@pytest.mark.parametrize("way", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_clock_on_each_of_two_hosts_ticks_and_either_may_be_killed(store, server, way):
    """`meterline clock` is a process of its own; a second one ticks too, and goes on when the first is gone."""
    words = [sys.executable, "-m", "meterline", "clock", "--data", str(server.data), "--clock", "0:1764979200000:3600"]
    pair = []
    try:
        for many in (5, 20):  # The first has begun before it is ended: until then Ctrl-C is Python's.
            pair.append(subprocess.Popen(words, cwd=ROOT, env=os.environ | {"REDIS_URL": ""}, stderr=subprocess.PIPE))
            until(lambda many=many: len(ticks(store)) > many)
        pair[0].send_signal(way)
        pair[0].communicate(timeout=LONGEST_SECONDS)
        before = len(ticks(store))
        until(lambda: len(ticks(store)) > before + 3)
    finally:
        for each in pair:
            each.kill()
            each.communicate()

    assert pair[0].returncode == (0 if way == signal.SIGINT else -way)


def test_a_server_that_goes_away_is_waited_for(store, store_url, server):
    """It is said once that time stands still, and ticks go on by themselves when the server is back."""
    said = []
    with running(Clockwork(store_url, EventClock.from_now(speed=3_600), said.append)):
        until(lambda: ticks(store))
        server.stop()
        until(lambda: said)
        again = EmbeddedServer.start(server.data)
        until(lambda: len(said) > 1)
        again.stop()

    assert said[0].startswith("no time passes in the log: the Redis server does not answer")
    assert said[1] == "time passes in the log again"
