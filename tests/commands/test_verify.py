"""`meterline verify` on a real store: whole, and with one thing of it changed behind everybody's back."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from hashlib import blake2b
from itertools import islice
from pathlib import Path

import msgspec
import numpy as np
import pytest
import redis
from in_process import meterline
from log_samples import days, options, settings

from commands.verifying import verify_store
from connectors.redis.keys import VERDICT, key, ledger_key
from connectors.redis.store import Store
from domain.effects import POSTING, USAGE
from domain.state import PAGES, ROWS
from domain.verdict import Verdict
from domain.words import Check
from flows.settle import settle_once

ROOT = Path(__file__).parents[2]
SHARDS = 2
EVERYTHING = dict.fromkeys(Check, 0)


@pytest.fixture
def store(server):
    """A store of two shards that has lived through some days."""
    store = Store.open(server.url, SHARDS)
    store.append_many(settings(SHARDS))
    store.append_many(islice(days(SHARDS, random.Random(8)), 400))
    settle_once(store)
    yield store
    store.close()


@pytest.fixture
def client(server):
    """A plain client of its server, for changing what nobody should."""
    with contextlib.closing(redis.Redis.from_url(server.url, **options())) as client:
        yield client


def found(store) -> dict[Check, list[str]]:
    """What differs, in words."""
    return {check: said for check, said in verify_store(store).findings.said.items() if said}


def test_a_store_that_nobody_touched_agrees(store):
    """Every check is made, and none finds anything."""
    proof = verify_store(store)

    assert proof.findings.said == {}
    assert dict(proof.findings.counts) == EVERYTHING
    assert proof.findings.notes == []
    assert proof.entries > 400
    assert proof.postings > 20
    assert sum(proof.ledger.values()) == 0


def changed(packed, dtype, row, field, by=1):
    """Packed rows with one field of one row changed."""
    rows = np.frombuffer(packed, dtype).copy()
    rows[row][field] += by
    return rows.tobytes()


def rewrite(client, name, change):
    """Write a stream anew with its entries changed: `change(number, entry, fields)` gives (entry, fields) or None."""
    kept = [change(number, *each) for number, each in enumerate(client.xrange(name))]
    client.delete(name)
    for entry, fields in filter(None, kept):
        client.xadd(name, fields, id=entry)


def posting(number, **change):
    """Change a field of a posting in its stream."""
    ((field, by),) = change.items()
    name = key("postings", 0)

    def one(place, entry, fields):
        body = changed(fields[b"b"], POSTING, 0, field, by) if place == number else fields[b"b"]
        return entry, fields | {b"b": body}

    return lambda client: rewrite(client, name, one)


def rechained(client):
    """Change a posting and make the whole chain anew, as a forger who knows the format would."""
    posting(2, amount=1)(client)
    chain = bytes(32)

    def one(_, entry, fields):
        nonlocal chain
        chain = blake2b(chain + fields[b"b"], digest_size=32).digest()
        return entry, fields | {b"c": chain}

    rewrite(client, key("postings", 0), one)


def dropped(stream, number):
    """Delete an entry of a stream."""
    return lambda client: client.xdel(key(stream, 0), client.xrange(key(stream, 0))[number][0])


def doubled(client):
    """Post the first recharge once more, beside another posting."""
    name = key("postings", 0)
    bodies = [fields[b"b"] for _, fields in client.xrange(name)]
    recharge = next(body for body in bodies if np.frombuffer(body, POSTING)[0]["order_high"])

    def one(number, entry, fields):
        return entry, fields | ({b"b": fields[b"b"] + recharge[: POSTING.itemsize]} if number == 5 else {})

    rewrite(client, name, one)


def row(name, number, field):
    """Add 1 to a field of a state row, in whichever page it is kept."""
    dtype = ROWS[name]
    at = dtype.fields[field][1]
    page, part = next((page, part) for page, (of, part) in PAGES.items() if of == name and part.start <= at < part.stop)

    def change(client):
        packed = bytearray(client.get(key(page, 0)))
        place = number * (part.stop - part.start) + at - part.start
        packed[place] = (packed[place] + 1) % 256
        client.set(key(page, 0), bytes(packed))

    return change


def record(client):
    """Change a letter of an account's record."""
    field, packed = min(client.hgetall(key("account_records", 0)).items())
    client.hset(key("account_records", 0), field, packed.replace(b"CNY", b"CNZ"))


def order_forgotten(client):
    """Drop an order's kept outcome: it could be sent again, and would count again."""
    client.hdel(key("kept_outcomes", 0), min(client.hkeys(key("kept_outcomes", 0))))


def answer_changed(client):
    """Change what an order was answered, so that its caller is told that it was refused."""
    name = key("kept_outcomes", 0)
    field, packed = max(client.hgetall(name).items())
    client.hset(name, field, packed.replace(b"\xa7refusal\xa0", b"\xa7refusal\xa1x"))


def log_edited(client):
    """Write another amount into a recharge of the log."""

    def one(number, entry, fields):
        body = fields[b"b"].replace((5_000_000).to_bytes(4, "big"), (5_000_001).to_bytes(4, "big"))
        return entry, fields | {b"b": body}

    rewrite(client, key("log", 0), one)


def log_unreadable(client):
    """Damage an entry of the log."""
    rewrite(
        client, key("log", 0), lambda number, entry, fields: (entry, fields | ({b"b": b"\xc1"} if number == 3 else {}))
    )


def from_ledger(client):
    """Take a posting out of an account's list."""
    client.ltrim(ledger_key(0, 0), 1, -1)


def in_ledger(client):
    """Change a posting in an account's list."""
    packed = client.lindex(ledger_key(0, 0), 1)
    client.lset(ledger_key(0, 0), 1, changed(packed, POSTING, 0, "amount"))


def usage(client):
    """Let a closed hour have used more."""
    rewrite(
        client,
        key("usage", 0),
        lambda number, entry, fields: (
            entry,
            fields | ({b"b": changed(fields[b"b"], USAGE, 0, "usage")} if number == 1 else {}),
        ),
    )


def position_moved(client):
    """Let the state claim to stand at an entry that the log does not have."""
    position = client.get(key("settled", 0)).decode()
    client.set(key("settled", 0), position.split("-")[0] + "-77")


def truncated(client):
    """Lose the last byte of the meters' rows."""
    client.set(key("meters", 0), client.get(key("meters", 0))[:-1])


CHANGES = [
    ("a digit of a posting", posting(2, amount=1), {Check.CHAIN: "chain breaks", Check.EFFECTS: "field b", Check.LEDGER: "its ledger"}),
    ("a posting's ledger account", posting(2, debit=999), {Check.TRIAL_BALANCE: "the trial balance is", Check.CHAIN: "chain breaks"}),
    ("a posting's account", posting(2, account=9), {Check.LEDGER: "is of no account: row 9"}),
    ("a posting, and the chain made anew", rechained, {Check.CHAIN: "does not end with that of the header", Check.EFFECTS: "field b, c", Check.LEDGER: "its ledger"}),
    ("a posting dropped", dropped("postings", 3), {Check.CHAIN: "is expected and", Check.EFFECTS: "is missing", Check.LEDGER: "its ledger"}),
    ("an order posted twice", doubled, {Check.ORDERS: "is posted 2 times", Check.EFFECTS: "field b", Check.CHAIN: "chain breaks"}),
    ("a digit of a balance", row("accounts", 1, "balance"), {Check.STATE: "(account A", Check.LEDGER: "its ledger", Check.AUDIT: "must hold"}),
    ("a meter's register", row("meters", 0, "register"), {Check.STATE: "register is"}),
    ("a meter's usage", row("meters", 0, "closed_usage"), {Check.ENERGY: "add up to", Check.STATE: "closed_usage is"}),
    ("a letter of a record", record, {Check.STATE: "CNZ"}),
    ("an order forgotten", order_forgotten, {Check.STATE: "which its log gives"}),
    ("an answer changed", answer_changed, {Check.STATE: "'refusal': 'x'", Check.AUDIT: "is answered 'x'"}),
    ("an amount in the log", log_edited, {Check.STATE: "its log gives", Check.AUDIT: "must hold", Check.EFFECTS: "field"}),
    ("an entry of the log dropped", dropped("log", 2), {Check.STATE: "its log", Check.AUDIT: "must hold"}),
    ("the last entry of the log dropped", dropped("log", -1), {Check.LOG: "where the state stands"}),
    ("an entry of the log unreadable", log_unreadable, {Check.LOG: "damaged"}),
    ("the position moved", position_moved, {Check.LOG: "where the state stands"}),
    ("a list without a posting", from_ledger, {Check.LEDGER: "posting 1 is missing"}),
    ("a list with another posting", in_ledger, {Check.LEDGER: "is not as it is in postings"}),
    ("an hour of use", usage, {Check.ENERGY: "its closed hours and its open one add up to", Check.EFFECTS: "field b"}),
    ("an alarm dropped", dropped("alarms", 0), {Check.EFFECTS: "alarms:{00} at"}),
    ("a command dropped", dropped("commands", 0), {Check.EFFECTS: "commands:{00} at"}),
    ("a byte of rows", truncated, {Check.STATE: "cannot be read"}),
]  # fmt: skip


@pytest.mark.parametrize(("change", "expected"), [each[1:] for each in CHANGES], ids=[each[0] for each in CHANGES])
def test_whatever_is_changed_is_named(store, client, change, expected):
    """One thing is changed in a real store, and the report says which, by the check that is for it."""
    change(client)

    said = found(store)

    assert {check: any(words in sentence for sentence in said.get(check, [])) for check, words in expected.items()} == (
        dict.fromkeys(expected, True)
    ), said


def test_what_an_archive_has_is_said_to_be_unchecked(store, client):
    """Where the beginning has been trimmed, what is left is checked, and the report says what could not be."""
    for name in ("log", "postings"):
        middle = client.xrange(key(name, 0))[9][0]
        client.hset(key("archived", 0), name, middle)
        client.xtrim(key(name, 0), minid=middle, approximate=False)

    findings = verify_store(store).findings
    posting(2, amount=1)(client)

    assert findings.said == {}
    assert any("its log is in an archive" in note for note in findings.notes)
    assert "chain breaks" in found(store)[Check.CHAIN][0]


def test_a_log_that_was_trimmed_for_no_archive_is_a_difference(store, client):
    """Entries that nobody has archived are lost."""
    client.xtrim(key("log", 0), minid=client.xrange(key("log", 0))[9][0], approximate=False)

    assert found(store)[Check.STATE]


def test_it_may_run_beside_settlement(server, store):
    """While facts come in and are settled, a verification sees one instant of each shard, and agrees."""
    settling = Store.open(server.url, SHARDS)
    coming = days(SHARDS, random.Random(9))

    def go_on(_):
        settling.append_many(islice(coming, 5))
        settle_once(settling, 3)

    go_on(None)
    before = store.last(0)
    findings = verify_store(store, heard=go_on).findings
    settling.close()

    assert findings.said == {}
    assert store.last(0) > before


def test_a_store_too_large_for_the_audit_is_said_to_be(store):
    """The slow audit is left out where it would take hours, and the report says how to have it."""
    findings = verify_store(store, audited_max=10).findings

    assert Check.AUDIT not in findings.counts
    assert "--audit-max" in findings.notes[0]


def run(server, *arguments):
    """Run `meterline verify` on a server's data directory as its users do."""
    return meterline("verify", "--data", server.data, *arguments, REDIS_URL="")


def test_the_command_says_whether_all_agrees(server, store, client):
    """Exit code 0 and figures where it does, beside a running server and of one that is not running; 1 and the difference where not."""
    agrees = run(server, "--json")
    row("accounts", 1, "balance")(client)
    store.close()
    server.stop()
    differs = run(server, "--json")

    figures = json.loads(agrees.stdout.splitlines()[-1])
    assert (agrees.returncode, differs.returncode) == (0, 1)
    assert figures["agrees"]
    assert figures["checks"] == dict.fromkeys(Check, 0)
    assert json.loads(differs.stdout.splitlines()[-1])["checks"]["state"] == 1
    assert "balance is" in differs.stdout


@pytest.mark.timeout(400)  # It gives way to everything else, so on a busy machine it takes its time.
def test_again_and_again_it_keeps_what_it_found(server, store, client, tmp_path):
    """On a timer it keeps a verdict in the store, of each time, until it is ended."""
    row("accounts", 1, "balance")(client)
    with (tmp_path / "said.txt").open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "meterline", "verify", "--data", str(server.data), "--every", "0.0001"],
            cwd=ROOT, stdout=said, stderr=said, env={**os.environ, "REDIS_URL": ""},
        )  # fmt: skip
        verdicts = set()
        deadline = time.monotonic() + 300
        while len(verdicts) < 2:
            assert process.poll() is None, (tmp_path / "said.txt").read_text()
            assert time.monotonic() < deadline, "no two verdicts"
            verdicts |= {kept for kept in [client.get(VERDICT)] if kept}
        process.send_signal(signal.SIGTERM)
        code = process.wait(90)

    verdict = msgspec.msgpack.decode(verdicts.pop(), type=Verdict)
    assert code == 0
    assert verdict.unchecked == []
    assert {check for check, count in verdict.differences.items() if count} == {Check.STATE, Check.LEDGER, Check.AUDIT}
