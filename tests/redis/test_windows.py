"""How often somebody may come, whatever process they come to."""

import asyncio

import pytest

from connectors.redis.live import LiveStore
from connectors.redis.windows import Windows

HOUR = 3600


@pytest.fixture
def counted(store, store_url):
    """What each of some hits of `who` comes to, by two processes in turn."""

    def counted(*counts, who="li", name="orders", most=3, seconds=HOUR):
        async def hit():
            stores = [await LiveStore.open(store_url) for _ in range(2)]
            try:
                return [
                    await Windows(stores[turn % 2]).hit(name, who, most, seconds, count)
                    for turn, count in enumerate(counts)
                ]
            finally:
                for each in stores:
                    await each.close()

        return asyncio.run(hit())

    return counted


def test_processes_count_together(counted):
    """Whoever guesses gains nothing by coming to another process, or to one that has started again."""
    assert counted(1, 1, 1) == [0, 0, 0]

    (wait,) = counted(1)

    assert 0 < wait <= 2 * HOUR
    assert counted(1, who="wang") == [0]
    assert counted(1, name="logins") == [0]


def test_so_many_at_once_count_all_or_none(counted):
    """A batch that does not fit leaves the caller what it had."""
    assert counted(4)[0] > 0
    assert counted(3) == [0]
    assert counted(1)[0] > 0


def test_whoever_waits_may_come(counted):
    """Nobody is shut out for longer than was said."""
    assert counted(1, 1, most=2, seconds=1) == [0, 0]
    (wait,) = counted(1, most=2, seconds=1)
    assert 0 < wait <= 2

    assert asyncio.run(asyncio.sleep(wait)) is None
    assert counted(1, most=2, seconds=1) == [0]


def test_nothing_is_kept_for_long_nor_by_name(counted, store):
    """Strangers of many addresses are forgotten, and who they are is not kept at all."""
    client = store._nodes.of("window_orders:{access}:")
    assert counted(1, who="10.0.0.7\nÄ\ud800") == [0]

    (kept,) = client.keys("window_*")

    assert b"10.0.0.7" not in kept
    assert 0 < client.ttl(kept) <= 2 * HOUR
