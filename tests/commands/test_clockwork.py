"""The clock that tells a log the time, on a real server."""

import threading
import time

import pytest

from commands.running import CLOCK_AHEAD_MAX_MS, Clockwork
from connectors.clock import REAL_TIME, EventClock
from connectors.redis.store import Store
from domain.facts import Ticked
from domain.ids import LOG_START
from domain.units import DAY_MS, HOUR_MS

POLL = threading.Event()
LONGEST_SECONDS = 30.0


class MachineClock:
    """The clock of a machine, so far ahead until somebody sets it."""

    def __init__(self, ahead_ms: int) -> None:
        self.ahead_ms = ahead_ms

    def now_ns(self) -> int:
        """Ns UTC."""
        return time.time_ns() + self.ahead_ms * 1_000_000


def ticks(store: Store) -> list[int]:
    """The times that the first shard was told."""
    return [fact.at for _, fact in store.read(0, LOG_START, 100) if isinstance(fact, Ticked)]


def until(condition) -> None:
    """Wait for a condition, and fail where it does not come about."""
    deadline = time.monotonic() + LONGEST_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        POLL.wait(0.02)


def test_a_clock_that_is_ahead_of_the_servers_moves_no_time(store, store_url):
    """A machine comes up a day ahead: the log is told nothing, the operator is, once; when the clock is set it goes on."""
    machine, said = MachineClock(DAY_MS), []
    clockwork = Clockwork(store_url, REAL_TIME, said.append, machine.now_ns)
    clockwork.start()
    try:
        until(lambda: said)
        before = ticks(store)
        machine.ahead_ms = 0
        until(lambda: ticks(store))
    finally:
        clockwork.stop()

    assert before == []
    ahead, again = said
    assert "s ahead of the Redis server's, more than 300 s" in ahead
    assert "Set the wrong one" in ahead
    assert "agree again" in again
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
    clockwork = Clockwork(store_url, clock, said.append)
    clockwork.start()
    try:
        until(lambda: ticks(store))
    finally:
        clockwork.stop()

    assert said == []
    assert clock.epoch_event_ms <= ticks(store)[0] <= clock.now_ms()


def test_a_clock_that_is_a_little_ahead_or_behind_ticks(store, store_url):
    """Machines differ by seconds, and what is behind does no harm: time never goes back in a log."""
    for ahead_ms in (CLOCK_AHEAD_MAX_MS - 60_000, -HOUR_MS):
        before, machine = len(ticks(store)), MachineClock(ahead_ms)
        clockwork = Clockwork(store_url, REAL_TIME, lambda _: None, machine.now_ns)
        clockwork.start()
        try:
            until(lambda before=before: len(ticks(store)) > before)
        finally:
            clockwork.stop()
