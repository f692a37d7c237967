import contextlib
import json
from functools import partial
from pathlib import Path

import pytest
import redis
from in_process import meterline
from log_samples import START, options, order_text, settings, street

from commands.replaying import account_then, replayed
from commands.verifying import log_to
from connectors.redis.keys import key
from connectors.redis.store import Store
from domain.facts import RechargeOrdered, Ticked
from domain.units import MINUTE_MS
from flows.settle import settle_once

ROOT = Path(__file__).parents[2]
SHARDS = 2
SHARD, ACCOUNT = street(SHARDS, 2)[0]


@pytest.fixture
def store(server):
    """An account that is opened with 5.00 and is paid 1.00 in each of the nine minutes after that."""
    store = Store.open(server.url, SHARDS)
    store.append_many(settings(SHARDS))
    for minute in range(1, 10):
        at = START + minute * MINUTE_MS
        paid = RechargeOrdered(at=at, id=order_text(at, 9), account=ACCOUNT, amount_micros=1_000_000, currency="CNY")
        store.append_many([(SHARD, Ticked(at=at)), (SHARD, paid)])
    settle_once(store)
    yield store
    store.close()


@pytest.mark.parametrize(
    ("minutes", "balance"), [(-1, None), (0, 5_000_000), (0.99, 5_000_000), (1, 6_000_000), (5.5, 10_000_000), (99, 14_000_000), (None, 14_000_000)]
)  # fmt: skip
def test_a_balance_is_as_it_was(store, minutes, balance):
    """Until a time counts what facts say up to and with it, and no more; without a time, all."""
    until = None if minutes is None else START + round(minutes * MINUTE_MS)

    state = replayed(partial(log_to, store), SHARD, store.position(SHARD), until, lambda _: None)

    found = account_then(state, ACCOUNT)
    assert (found.balance if found else None) == balance


def replay(server, *arguments):
    """Run `meterline replay` on a server's data directory as its users do."""
    return meterline("replay", *arguments, "--data", server.data, REDIS_URL="")


def test_the_command_shows_an_account_then_and_now(server, store):
    """A time of the past gives the balance of then, with `--diff` the store is held against the replay."""
    then = replay(server, ACCOUNT, "--until", "2025-01-01T00:03:30+00:00", "--json")
    now = replay(server, ACCOUNT, "--diff", "--json")
    with contextlib.closing(redis.Redis.from_url(server.url, **options())) as client:
        packed = client.get(key("accounts", SHARD))
        client.set(key("accounts", SHARD), bytes([packed[0] ^ 1]) + packed[1:])
    differs = replay(server, ACCOUNT, "--diff")

    assert (then.returncode, now.returncode, differs.returncode) == (0, 0, 1), then.stderr + now.stderr
    assert json.loads(then.stdout.splitlines()[-1])["balance"] == "8.00"
    assert json.loads(now.stdout.splitlines()[-1])["balance"] == "14.00"
    assert "its log gives" in differs.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nobody"], "is not in the log"),
        ([ACCOUNT, "--until", "yesterday"], "found 'yesterday'"),
        ([ACCOUNT, "--until", "2024-12-31"], "until 2024-12-31T00:00:00.000Z"),
        ([ACCOUNT, "--until", "2025-01-02", "--diff"], "leave out --until"),
    ],
)
def test_what_cannot_be_replayed_is_refused(server, store, arguments, said):
    """A mistake is said in words, with code 2."""
    done = replay(server, *arguments)

    assert done.returncode == 2
    assert said in done.stderr
