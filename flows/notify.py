"""Notify: read ▸ decide ▸ keep, and deliver. The dataflow from alarms to people.

    alarms:{07} ──read──▶ alarms ──decide──▶ notices ──keep──▶ notices:{notify}; position moved, in one step
                                                                     ▼
                     people ◀──send── messages ◀──plan── due ──▶ deliveries:{notify}

Reading has one partition per shard, delivering one for all, as rates hold for a person whatever shard an alarm is of. Guarantee: each alarm event is decided
once, by compare-and-set on the shard's position, together with what is to be told of it; and a notice waits in the store until its channel has taken
it. So through kills at any instruction nothing is lost, and only a message that was under way can come twice.

Sending waits for services, so it is done by threads beside the dataflow, a bounded number of them for each channel: one that hangs holds up no other.

On several hosts, as `flows.archive` (bytewax divides the shards; the contacts file is on each):

    METERLINE_STORE_URL=redis://… METERLINE_CONTACTS=contacts.toml python -m bytewax.run flows.notify:flow -i 0 -a "one:2103;two:2103"
"""

import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import bytewax.operators as op
import msgspec
import structlog
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.outputs import DynamicSink, FixedPartitionedSink, StatefulSinkPartition, StatelessSinkPartition

from connectors.clock import REAL_TIME, EventClock
from connectors.notifications.counters import Notified
from connectors.notifications.loaded import ContactsFile
from connectors.notifications.sending import NotSentError, send
from connectors.notifications.templates import Templates
from connectors.redis.formats import alarm_message
from connectors.redis.notices import Notices
from domain.effects import Alarm
from domain.ids import EntryId
from domain.notices import (
    OVERALL,
    Message,
    Notice,
    Now,
    Result,
    Settled,
    back_off_ms,
    notices_of,
    planned,
    said_once,
    settled,
)
from domain.state import AccountRecord

ENTRIES_AT_ONCE = 64
DUE_AT_ONCE = 5_000
"""Notices that are looked at together; a digest has no more."""
THREADS, CHANNEL_AT_ONCE = 64, 4
"""Messages that are sent at the same time: of all channels, and of each, so that one that hangs holds up no other."""
STUCK_SECONDS = 300.0
"""A message that has been under way for so long will not end: the process does, and is started again."""
IDLE = timedelta(seconds=0.25)
ALL = "all"

Opens = Callable[[], Notices]


@dataclass(frozen=True, slots=True)
class Span:
    """A shard's alarm events after one position up to another, with the records of their accounts, and sites' zones."""

    shard: int
    before: EntryId
    after: EntryId
    alarms: list[tuple[EntryId, list[Alarm]]]
    accounts: dict[str, AccountRecord]
    zones: dict[str, str]


@dataclass(frozen=True, slots=True)
class Decided:
    """What is to be told of a span."""

    span: Span
    notices: list[Notice]


@dataclass(frozen=True, slots=True)
class Terms:
    """What the dataflow runs by. `counted`: what it counts. `ending`: set it, and nothing more is begun; when what is under way has been recorded, the dataflow ends."""

    contacts: ContactsFile
    clock: EventClock = REAL_TIME
    counted: Notified = field(default_factory=Notified)
    ending: Event = field(default_factory=Event)


def build(notices: Opens, terms: Terms) -> Dataflow:
    """The dataflow over all shards of a store: one line here is one box in docs/notify.md."""
    flow = Dataflow("notify")
    spans = op.input("read", flow, Reads(notices, terms))
    decisions = op.map_value("decide", spans, lambda span: decided(span, terms))
    op.output("keep", decisions, Keeps(notices))
    delivered = op.input("deliver", flow, Delivers(notices, terms))
    op.output("tell", delivered, Tells(terms.counted))
    return flow


def flow() -> Dataflow:
    """The dataflow of `METERLINE_STORE_URL` by `METERLINE_CONTACTS`, for `python -m bytewax.run flows.notify:flow`."""
    url, path = os.environ.get("METERLINE_STORE_URL"), os.environ.get("METERLINE_CONTACTS")
    if not url or not path:
        raise SystemExit("set METERLINE_STORE_URL to the store's URL and METERLINE_CONTACTS to the contacts file")
    notices = Notices.open(url)
    notices.begin()
    notices.close()
    return build(lambda: Notices.open(url), Terms(ContactsFile(Path(path))))


def decided(span: Span, terms: Terms) -> Decided:
    """Who is told what of a span's alarms."""
    contacts, notices = terms.contacts.now().contacts, list[Notice]()
    for entry, alarms in span.alarms:
        found = []
        for alarm in alarms:
            message = msgspec.to_builtins(alarm_message(alarm, span.accounts.get(alarm.account)))
            zone = span.zones.get(message["site"]) or next(iter(span.zones.values()), "UTC")
            found += notices_of(alarm, message, contacts, zone, entry[0])
        notices += said_once(found)
    return Decided(span, notices)


class Reads(FixedPartitionedSource[tuple[str, Span], None]):
    """The shards' alarms, each from where they have been decided."""

    def __init__(self, notices: Opens, terms: Terms) -> None:
        self._notices, self._terms = notices, terms

    def list_parts(self) -> list[str]:
        """One partition per shard, named by its number."""
        return _parts(self._notices)

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> "ReadPartition":  # noqa: ARG002 - bytewax's signature
        """A reader of one shard's alarms."""
        return ReadPartition(self._notices(), int(for_part), self._terms.ending)


class ReadPartition(StatefulSourcePartition[tuple[str, Span], None]):
    """Reads one shard's alarms onward; the place that counts is in the store."""

    def __init__(self, notices: Notices, shard: int, ending: Event) -> None:
        self._notices, self._shard, self._ending = notices, shard, ending
        self._after = notices.position(shard)
        self._is_behind = True

    def next_batch(self) -> list[tuple[str, Span]]:
        """A span, if there are alarms. Raises StopIteration at the end."""
        if self._ending.is_set():
            raise StopIteration
        entries = self._notices.alarms(self._shard, self._after, ENTRIES_AT_ONCE)
        self._is_behind = len(entries) == ENTRIES_AT_ONCE
        if not entries:
            return []
        named = {alarm.account for _, alarms in entries for alarm in alarms} - {""}
        accounts = self._notices.accounts(self._shard, sorted(named))
        zones = {site.site: site.zone for site in self._notices.sites(self._shard).values()}
        span = Span(self._shard, self._after, entries[-1][0], entries, accounts, zones)
        self._after = span.after
        return [(f"{self._shard:02d}", span)]

    def next_awake(self) -> datetime | None:
        """Look again at once where there is more, else soon."""
        return None if self._is_behind else datetime.now(UTC) + IDLE

    def snapshot(self) -> None:
        """Nothing: the store says how far it is."""

    def close(self) -> None:
        """Give the connection back."""
        self._notices.close()


class Keeps(FixedPartitionedSink[Decided, None]):
    """Where what was decided goes."""

    def __init__(self, notices: Opens) -> None:
        self._notices = notices

    def list_parts(self) -> list[str]:
        """One partition per shard."""
        return _parts(self._notices)

    def part_fn(self, item_key: str) -> int:
        """A shard's decisions go to its own partition."""
        return int(item_key)

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> "KeepPartition":  # noqa: ARG002 - bytewax's signature
        """A writer for one shard."""
        return KeepPartition(self._notices())


class KeepPartition(StatefulSinkPartition[Decided, None]):
    """Keeps what was decided, and moves the position. Another notifier of the same shard ends the process (MovedOn)."""

    def __init__(self, notices: Notices) -> None:
        self._notices = notices

    def write_batch(self, values: list[Decided]) -> None:
        """Each in one step."""
        for each in values:
            span = each.span
            self._notices.keep(span.shard, span.before, span.after, each.notices, _real_ms())

    def snapshot(self) -> None:
        """Nothing, as for reading."""

    def close(self) -> None:
        """Give the connection back."""
        self._notices.close()


class Delivers(FixedPartitionedSource[Settled, None]):
    """What becomes of the notices that wait."""

    def __init__(self, notices: Opens, terms: Terms) -> None:
        self._notices, self._terms = notices, terms

    def list_parts(self) -> list[str]:
        """One for all shards."""
        return [ALL]

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> "DeliverPartition":  # noqa: ARG002 - bytewax's signature
        """Whoever sends from now on."""
        return DeliverPartition(self._notices(), self._terms)


class StuckError(Exception):
    """A message has been under way for too long."""


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A message that is being sent, since when, of the monotonic clock."""

    message: Message
    since: float


class DeliverPartition(StatefulSourcePartition[Settled, None]):
    """Takes what is due, has it sent by threads, and records what became of it, each in one step. Another notifier that starts ends this one (MovedOn)."""

    def __init__(self, notices: Notices, terms: Terms) -> None:
        self._notices, self._terms = notices, terms
        self._marks = notices.take_over()
        self._known: dict[str, Notice] = {}
        self._under_way: dict[Future[None], UnderWay] = {}
        self._threads = ThreadPoolExecutor(THREADS, "send")
        self._chance = random.Random()  # noqa: S311 - spreads attempts, guards nothing
        self._is_behind = True

    def next_batch(self) -> list[Settled]:
        """What has become of notices since the last time. Raises StopIteration at the end."""
        ended = self._finished()
        self._record(ended, {})  # Before anything is due: what has been sent is not.
        self._check_under_way()
        if self._terms.ending.is_set():
            if not ended and not self._under_way:
                raise StopIteration
            return ended
        due = self._due()
        plan = planned(due, self._terms.contacts.now().contacts, self._marks, self._busy(), self._now())
        dropped = [settled(notice, result, _real_ms(), why) for notice, result, why in plan.ended]
        dropped += [
            settled(notice, Result.DROPPED, _real_ms(), "too many were given up") for notice in self._surplus(ended)
        ]
        self._record(dropped, plan.later)
        self._begin(plan.messages)
        self._count(due)
        self._is_behind = bool(ended or dropped or plan.later)
        return ended + dropped

    def _due(self) -> list[Notice]:
        """What is due, unpacked once."""
        ids = self._notices.due(_real_ms(), DUE_AT_ONCE)
        unknown = [notice for notice in ids if notice not in self._known]
        self._known |= {notice.id: notice for notice in self._notices.notices(unknown)}
        return [self._known[notice] for notice in ids if notice in self._known]

    def _now(self) -> Now:
        return Now(_real_ms(), self._terms.clock.now_ms(), self._terms.clock.speed)

    def _busy(self) -> set[str]:
        return {each.message.line for each in self._under_way.values()}

    def _begin(self, messages: Iterable[Message]) -> None:
        """Have messages sent, as many as their channels may have under way. First the attempt is counted, in the store."""
        at_once = Counter(each.message.channel.name for each in self._under_way.values())
        chosen, marks, now = list[Message](), dict[str, int](), _real_ms()
        for message in messages:
            at_once[message.channel.name] += 1
            if at_once[message.channel.name] <= CHANNEL_AT_ONCE:
                chosen.append(_attempted(message))
                marks[message.line] = message.channel.rate.after_one(self._marks.get(message.line, 0), now)
        if not chosen:
            return
        overall = self._terms.contacts.now().contacts.limits.overall
        for _ in chosen:
            marks[OVERALL] = overall.after_one(marks.get(OVERALL, self._marks.get(OVERALL, 0)), now)
        self._notices.take([notice for message in chosen for notice in message.notices], marks)
        self._marks |= marks
        templates = self._terms.contacts.now().templates
        for message in chosen:
            self._under_way[self._threads.submit(_sent, message, templates)] = UnderWay(message, time.monotonic())

    def _finished(self) -> list[Settled]:
        """What has become of messages that are not under way any more."""
        done = {sending: each.message for sending, each in self._under_way.items() if sending.done()}
        for sending in done:
            del self._under_way[sending]
        return [found for sending, message in done.items() for found in self._outcome(message, sending.exception())]

    def _check_under_way(self) -> None:
        """Raises StuckError if a message never ends."""
        for each in self._under_way.values():
            if time.monotonic() - each.since > STUCK_SECONDS:
                channel = each.message.channel.name
                raise StuckError(f"a message over {channel} has been under way for {STUCK_SECONDS:.0f} s")

    def _outcome(self, message: Message, error: BaseException | None) -> list[Settled]:
        """What has become of a message's notices. One that did not go out uses no rate up."""
        now, problem, together = _real_ms(), _problem(error), len(message.notices)
        due = now + back_off_ms(message.notices[0].attempts, self._chance.randint(0, 500))
        limits = self._terms.contacts.now().contacts.limits
        if isinstance(error, NotSentError) and not error.may_have_come:
            self._marks[message.line] = message.channel.rate.without_one(self._marks[message.line])
            self._marks[OVERALL] = limits.overall.without_one(self._marks[OVERALL])
        found = []
        for notice in message.notices:
            failed = Result.DEAD if notice.attempts >= limits.attempts else Result.FAILED
            found.append(settled(notice, failed if problem else Result.SENT, now, problem, together, due))
        return found

    def _surplus(self, found: list[Settled]) -> list[Notice]:
        """Of the notices that were given up, those that are too many, if any was given up just now."""
        return self._notices.surplus() if any(each.delivery.result == Result.DEAD for each in found) else []

    def _record(self, found: list[Settled], later: dict[str, int]) -> None:
        lines = {each.notice.line for each in found} & self._marks.keys()
        marks = {line: self._marks[line] for line in (*lines, OVERALL)} if lines else {}
        self._notices.record(found, marks, later)
        for notice in (*(each.notice.id for each in found), *later):
            self._known.pop(notice, None)

    def _count(self, due: list[Notice]) -> None:
        counted = self._terms.counted
        counted.waiting, counted.dead_letters, first = self._notices.waiting()
        counted.lag_seconds = max(0, _real_ms() - first) / 1000 if due else 0.0

    def next_awake(self) -> datetime | None:
        """Look again at once while something happens, else soon."""
        return None if self._is_behind else datetime.now(UTC) + (IDLE / 10 if self._under_way else IDLE)

    def snapshot(self) -> None:
        """Nothing: the store says what waits."""

    def close(self) -> None:
        """Give threads and connection back."""
        self._threads.shutdown(wait=False)
        self._notices.close()


def _sent(message: Message, templates: Templates) -> None:
    """Put a message into words and send it; in a thread, so that whatever goes wrong is of this message only. Raises NotSentError."""
    address = message.contact.addresses[message.channel.name]
    send(message.channel, address, message.notices[0].id, templates.words(message))


def _attempted(message: Message) -> Message:
    notices = tuple(msgspec.structs.replace(each, attempts=each.attempts + 1) for each in message.notices)
    return Message(notices, message.contact, message.channel, message.is_late)


def _problem(error: BaseException | None) -> str:
    """Why a message was not sent; "": it was. Of a mistake of ours only the kind: its text may have a secret in it."""
    if error is None:
        return ""
    return str(error) if isinstance(error, NotSentError) else f"a mistake of ours: {type(error).__name__}"


class Tells(DynamicSink[Settled]):
    """Where what became of notices is counted, and said where it is worth a line."""

    def __init__(self, counted: Notified) -> None:
        self._counted = counted

    def build(self, step_id: str, worker_index: int, worker_count: int) -> "TellPartition":  # noqa: ARG002 - bytewax's signature
        """Of one worker."""
        return TellPartition(self._counted)


class TellPartition(StatelessSinkPartition[Settled]):
    """Counts, and says what failed: a contact's name and channel, no address."""

    def __init__(self, counted: Notified) -> None:
        self._counted = counted
        self._log = structlog.get_logger()

    def write_batch(self, items: list[Settled]) -> None:
        """Each once."""
        for delivery in (each.delivery for each in items):
            self._counted.deliveries[delivery.channel, delivery.result] += 1
            if delivery.result != Result.SENT:
                self._log.warning(
                    f"message {delivery.result}", contact=delivery.contact, channel=delivery.channel, alarm=delivery.alarm,
                    attempt=delivery.attempt, problem=delivery.problem,
                )  # fmt: skip


def _parts(notices: Opens) -> list[str]:
    found = notices()
    try:
        return [f"{shard:02d}" for shard in range(found.shards)]
    finally:
        found.close()


def _real_ms() -> int:
    return time.time_ns() // 1_000_000
