"""Tallies against the streams: what commits have counted is what is there, however the log was cut and whoever was restarted."""

import random
from collections import Counter

import msgspec
import numpy as np
import pytest
from histories import history

from connectors.redis.keys import key
from domain.effects import POSTING, Alarm, Command, Effects
from domain.state import AccountRecord
from domain.words import Ledger, Reason, Stage, Supply
from flows.settle import Batch, fold_batch
from flows.state import ShardState
from flows.tally import Tally

MINUTE = 60_000


def tallies(store, shard=0):
    """What a shard's commits have counted."""
    return {name.decode(): int(count) for name, count in store._at(shard).hgetall(key("tallies", shard)).items()}


def settle(store, chance, *, restarts):
    """Fold and commit all of shard 0 in pieces, sometimes by a state that was loaded anew."""
    state = ShardState.of(store.load(0))
    while entries := store.read(0, state.position, chance.randrange(1, 15)):
        store.commit(fold_batch(state, Batch(0, entries)))
        if restarts and chance.random() < 0.3:
            state = ShardState.of(store.load(0))


def records(store, name, kind):
    """Every record of an effect stream."""
    return [each for _, fields in store.stream(name, 0, count=100_000) for each in msgspec.msgpack.decode(fields[b"b"], type=list[kind])]  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_tallies_are_the_sums_of_the_streams(store, seed):
    """Debits and credits by ledger account and currency, alarms and commands: each once, through restarts."""
    store.append_many((0, fact) for _, fact in history(seed, 200))
    settle(store, random.Random(seed), restarts=True)

    accounts = {record.row: record for record in store.load(0).records["account_records"].values()}
    expected = Counter(entries=store.length("log", 0))
    for _, fields in store.stream("postings", 0, count=100_000):
        for row in np.frombuffer(fields[b"b"], POSTING):
            currency, amount = accounts[int(row["account"])].currency, int(row["amount"])
            for side in ("debit", "credit"):
                expected[f"{side} {Ledger(int(row[side])).name.lower()} {currency}"] += amount
    for alarm in records(store, "alarms", Alarm):
        expected[f"alarm {alarm.kind} {alarm.state}"] += 1
    for command in records(store, "commands", Command):
        expected[f"command {command.wanted.name.lower()} {command.stage}"] += 1

    found = Counter()
    for name, count in tallies(store).items():
        if not name.startswith("trip"):  # An alarm's site is left aside here: accounts move.
            found[" ".join(name.split(" ")[:3])] += count
    assert found == expected
    assert {name.split()[0] for name in found} >= {"entries", "debit", "credit", "alarm"}


def test_cuts_do_not_show(store, store_url):
    """The same log in one piece and in many comes to the same, trips too."""
    facts = [fact for _, fact in history(3, 250)]
    store.append_many((0, fact) for fact in facts)
    settle(store, random.Random(1), restarts=False)
    pieces = tallies(store)
    for name in store._at(0).keys("*"):
        if not name.startswith(b"log:") and name != b"meterline":
            store._at(0).delete(name)
    state = ShardState.of(store.load(0))

    store.commit(fold_batch(state, Batch(0, store.read(0, state.position, 100_000))))

    assert tallies(store) == pieces
    assert pieces["entries"] == len(facts)


def command(stage, minute, *, wanted=Supply.OFF, reason=Reason.ARREARS, meter=7, attempt=1):
    """Something said of a command."""
    return Command(
        meter=meter, epoch=attempt, wanted=wanted, reason=reason, stage=stage, at=minute * MINUTE, expires_at=0, attempt=attempt
    )  # fmt: skip


def trips(tally, *commands):
    """What a tally counts of trips."""
    found = tally.of([Effects((1, 0), commands=list(commands))], 0, lambda _: "")
    return {name: count for name, count in found.items() if name.startswith("trip")}


def test_a_trip_is_timed_from_its_first_order_to_the_read_back():
    """However often it was tried again between, and in whatever batch."""
    tally = Tally()

    assert trips(tally, command(Stage.QUEUED, 1), command(Stage.FAILED, 2), command(Stage.QUEUED, 3, attempt=2)) == {}
    assert trips(tally, command(Stage.VERIFIED, 11, attempt=2)) == {"trip 600": 1, "trip_ms": 10 * MINUTE}
    assert trips(tally, command(Stage.QUEUED, 20), command(Stage.VERIFIED, 20)) == {"trip 1": 1, "trip_ms": 0}
    assert trips(tally, command(Stage.QUEUED, 30), command(Stage.VERIFIED, 9_000)) == {
        "trip inf": 1,
        "trip_ms": 8_970 * MINUTE,
    }


def test_what_is_no_trip_for_arrears_is_not_timed():
    """Neither a supply that comes back, nor one that a person cuts, nor a trip that was withdrawn."""
    tally = Tally()

    assert trips(tally, command(Stage.QUEUED, 1, wanted=Supply.ON), command(Stage.VERIFIED, 2, wanted=Supply.ON)) == {}
    assert trips(tally, command(Stage.QUEUED, 1, reason=Reason.FORCED), command(Stage.VERIFIED, 2, reason=Reason.FORCED)) == {}  # fmt: skip
    assert trips(tally, command(Stage.QUEUED, 1), command(Stage.WITHDRAWN, 4)) == {}
    assert trips(tally, command(Stage.QUEUED, 5), command(Stage.VERIFIED, 6)) == {"trip 60": 1, "trip_ms": MINUTE}


def test_less_than_nothing_is_as_much_the_other_way():
    """What Prometheus takes for a counter never falls: it would take that for a new beginning."""
    rows = np.zeros(3, POSTING)
    rows["debit"], rows["credit"], rows["amount"] = Ledger.CUSTOMER, Ledger.REVENUE_WATER, [5, -2, 4]
    rows["account"] = [0, 0, 1]

    found = Tally().of([Effects((1, 0), postings=rows)], 2, ["CNY", "EUR"].__getitem__)

    assert found == {
        "entries": 1,
        "debit customer CNY": 5,
        "credit revenue_water CNY": 5,
        "debit revenue_water CNY": 2,
        "credit customer CNY": 2,
        "debit customer EUR": 4,
        "credit revenue_water EUR": 4,
    }


def test_a_full_tally_keeps_no_commit(store):
    """What is for looking must never stand in the way of what counts."""
    store.append_many((0, fact) for _, fact in history(1, 80))
    store._at(0).hset(key("tallies", 0), "credit customer CNY", 2**63 - 1)

    settle(store, random.Random(1), restarts=False)

    assert store.position(0) == store.last(0)
    assert tallies(store)["credit customer CNY"] == 2**63 - 1
    assert tallies(store)["entries"] == store.length("log", 0)


def test_a_store_of_an_older_release_says_how_far_it_is(store):
    """Its entries were settled before anybody counted: they count as settled, those that wait do not."""
    store.append_many((0, fact) for _, fact in history(1, 120))
    state = ShardState.of(store.load(0))
    store.commit(fold_batch(state, Batch(0, store.read(0, state.position, 50))))
    store._at(0).delete(key("tallies", 0))

    store.begin_tally(0)
    store.begin_tally(0)

    assert tallies(store) == {"entries": 50}
    settle(store, random.Random(1), restarts=False)
    assert tallies(store)["entries"] == store.length("log", 0)


def test_an_alarm_is_counted_where_its_account_is():
    """A site's name may have blanks; an alarm of nobody's meter is at no site."""
    record = msgspec.convert({"row": 0, "account": "A", "currency": "CNY", "name": "", "place": {"site": "North Garden"}, "alarms": {}, "opened_at": 0}, AccountRecord)  # fmt: skip
    alarms = [Alarm(id="", kind="offline", state="raised", at=0, account=account) for account in ("A", "B")]

    found = Tally().of([Effects((1, 0), alarms=alarms, accounts={"A": record})], 0, lambda _: "")

    assert found == {"entries": 1, "alarm offline raised North Garden": 1, "alarm offline raised ": 1}
