"""What must be true after any faults, worked out from the raw log by arithmetic that is not the machine's."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import msgspec
import numpy as np
import redis
from traffic import Traffic, said

from connectors.redis.keys import ledger_key
from connectors.redis.store import Store, connection_options
from domain.effects import POSTING, Command, Outcome
from domain.facts import CommandReported, ControlOrdered, Fact, ReadingBlock, RechargeOrdered
from domain.ids import LOG_START, EntryId, order_id
from domain.words import Stage, Status, Supply
from flows.audit import Audit, compare


@dataclass
class Verdict:
    """Sentences for what was lost, doubled or is otherwise wrong; none: all is as it must be."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    orders: int = 0
    readings: int = 0
    verified: int = 0

    def sentences(self) -> list[str]:
        """All of them."""
        return [*self.lost, *self.doubled, *self.wrong]


def verified(url: str, traffic: Traffic) -> Verdict:
    """Hold a settled store against its own log, and the log against what was sent and acknowledged."""
    verdict, in_log = Verdict(), Counter[tuple[object, ...]]()
    with closing(Store.open(url)) as store, closing(redis.Redis.from_url(url, **connection_options())) as client:
        for shard in range(store.shards):
            log = list(entries(store, shard))
            in_log.update(counted(shard, log))
            check_shard(store, client, shard, log, verdict)
    check_sent(traffic, in_log, verdict)
    return verdict


def entries(store: Store, shard: int) -> Iterator[tuple[EntryId, Fact]]:
    """The whole log of a shard."""
    after = LOG_START
    while found := store.read(shard, after, 1_000):
        yield from found
        after = found[-1][0]


def counted(shard: int, log: list[tuple[EntryId, Fact]]) -> Iterator[tuple[object, ...]]:
    """What each entry is counted by."""
    for _, fact in log:
        name = ("order", fact.id) if isinstance(fact, RechargeOrdered | ControlOrdered) else said(shard, fact)
        if name:
            yield name


def check_sent(traffic: Traffic, in_log: Counter[tuple[object, ...]], verdict: Verdict) -> None:
    """What was acknowledged is in the log, and nothing is there more often than it was sent."""
    for name, times in traffic.acknowledged.items():
        if in_log[name] < times:
            verdict.lost.append(f"{name} was acknowledged {times} times and is in the log {in_log[name]} times")
    for name, times in traffic.sent.items():
        if in_log[name] > times:
            verdict.doubled.append(f"{name} was sent {times} times and is in the log {in_log[name]} times")
        verdict.orders += name[0] == "order"


def check_shard(store: Store, client: Any, shard: int, log: list[tuple[EntryId, Fact]], verdict: Verdict) -> None:
    """Recompute a shard and compare balances, ledger, answers and commands."""
    audit, stored = Audit(shard), store.load(shard)
    for entry, fact in log:
        audit.take(entry, fact)
        verdict.readings += len(fact) if isinstance(fact, ReadingBlock) else 0
    if log and stored.position != log[-1][0]:
        verdict.lost.append(f"shard {shard} stands at {stored.position}, its log ends at {log[-1][0]}")
        return
    streamed = list(stream(store, "postings", shard))
    postings = np.frombuffer(b"".join(fields[b"b"] for _, fields in streamed), POSTING)
    verdict.wrong += compare(audit, stored, postings)
    check_ledger(client, shard, streamed, postings, stored, verdict)
    check_postings(log, postings, verdict)
    check_answers(store, shard, audit, verdict)
    check_commands(store, shard, dict(log), verdict)


def stream(store: Store, name: str, shard: int) -> Iterator[tuple[EntryId, dict[bytes, bytes]]]:
    """A whole effect stream."""
    after = LOG_START
    while found := store.stream(name, shard, after):
        yield from found
        after = found[-1][0]


def check_ledger(client: Any, shard: int, streamed: list[Any], postings: Any, stored: Any, verdict: Verdict) -> None:
    """Postings count 1, 2, 3 …, their chain recomputes, and each account's list is its part of them."""
    if postings["sequence"].tolist() != list(range(1, len(postings) + 1)):
        verdict.doubled.append(f"shard {shard}: postings are not numbered 1, 2, 3 …")
    chain = bytes(32)
    for entry, fields in streamed:
        chain = blake2b(chain + fields[b"b"], digest_size=32).digest()
        if chain != fields[b"c"]:
            verdict.wrong.append(f"shard {shard}: the chain breaks at {entry}")
            break
    if stored.header.chain != chain:
        verdict.wrong.append(f"shard {shard}: the state's chain is not that of its postings")
    for name, record in stored.records["account_records"].items():
        kept = b"".join(client.lrange(ledger_key(shard, record.row), 0, -1))
        if kept != postings[postings["account"] == record.row].tobytes():
            verdict.wrong.append(f"account {name}: its ledger is not its part of the postings")


def check_postings(log: list[tuple[EntryId, Fact]], postings: Any, verdict: Verdict) -> None:
    """Each recharge of the log is posted once, however often it is there."""
    posted = Counter((int(row["order_high"]) << 64) | int(row["order_low"]) for row in postings)
    for order in {fact.id for _, fact in log if isinstance(fact, RechargeOrdered)}:
        times = posted[int.from_bytes(order_id(order), "big")]
        if times != 1:
            (verdict.doubled if times else verdict.lost).append(f"order {order} is posted {times} times")


def check_answers(store: Store, shard: int, audit: Audit, verdict: Verdict) -> None:
    """Every order has one answer for each time that it is in the log, and it is the audit's."""
    given = [
        (outcome.id, str(outcome.refusal))
        for _, fields in stream(store, "outcomes", shard)
        for outcome in msgspec.msgpack.decode(fields[b"b"], type=list[Outcome])
    ]
    must = Counter(audit.answers)
    for answer, times in Counter(given).items():
        if times > must[answer]:
            verdict.doubled.append(f"answer {answer} is given {times} times instead of {must[answer]}")
    for answer, times in (must - Counter(given)).items():
        verdict.lost.append(f"answer {answer} is given {times} times too few")


def check_commands(store: Store, shard: int, log: dict[EntryId, Fact], verdict: Verdict) -> None:
    """A command is verified once, by an entry in which its meter was seen as wanted."""
    ended = Counter[str]()
    for entry, fields in stream(store, "commands", shard):
        for command in msgspec.msgpack.decode(fields[b"b"], type=list[Command]):
            if command.stage != Stage.VERIFIED:
                continue
            ended[command.id] += 1
            if command.wanted not in seen(log[entry], command.meter):
                verdict.wrong.append(f"command {command.id} is verified by {entry}, which shows no such supply")
    verdict.verified += len(ended)
    verdict.doubled += [f"command {name} is verified {times} times" for name, times in ended.items() if times > 1]


def seen(fact: Fact, meter: int) -> set[Supply]:
    """The supplies that an entry shows of a meter."""
    if isinstance(fact, CommandReported):
        return {fact.seen} if fact.meter == meter else set()
    if not isinstance(fact, ReadingBlock) or fact.status is None:
        return set()
    shown = [Status(int(status)) for status in fact.status[fact.meter == meter]]
    return {
        Supply.ON if Status.SUPPLY_ON in status else Supply.OFF for status in shown if Status.SUPPLY_KNOWN in status
    }
