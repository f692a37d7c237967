"""Notices: what a contact is to be told of one alarm event over one channel, from the decision to what became of it.

Pure: which messages go out now is decided from notices, contacts, how much has been sent, and the time. A message is one notice, or a digest of many.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec

from domain.contacts import SEVERITIES, Channel, Contact, Contacts, Old
from domain.effects import Alarm
from domain.words import LEVEL_ALARM, SEVERITY, AlarmKind, Severity

BACK_OFF_FIRST_MS, BACK_OFF_MAX_MS = 10_000, 3_600_000
OVERALL = ""
"""The line whose mark is that of all messages together."""


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """`alarm`: as consumers get it (docs/alarms.md). `said_at`: when it happened, event time; `entered_at`: when the server took its log entry; both ms UTC.

    `zone`: of the alarm's site. `attempts`: how often it was tried; `problem`: how the last one failed, without addresses and secrets.
    """

    id: str
    contact: str
    channel: str
    alarm: dict[str, Any]
    zone: str
    said_at: int
    entered_at: int
    attempts: int = 0
    problem: str = ""

    @property
    def line(self) -> str:
        """What goes to one contact over one channel, one message after another."""
        return line_of(self.channel, self.contact)

    @property
    def severity(self) -> Severity:
        """How much it matters."""
        return SEVERITY[AlarmKind(self.alarm["kind"])]


class Result(StrEnum):
    """What became of a notice: it reached the channel, an attempt failed and another follows, it was given up, or nobody is to be told any more."""

    SENT = "sent"
    FAILED = "failed"
    DEAD = "dead"
    DROPPED = "dropped"


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """The record of what became of a notice at `at`, ms UTC of the real clock. `together`: how many notices were in the message."""

    notice: str
    alarm: str
    kind: AlarmKind
    account: str
    contact: str
    channel: str
    at: int
    result: Result
    attempt: int
    together: int = 1
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Settled:
    """A notice with what has become of it. `due`: when it is tried again, where an attempt failed, ms UTC."""

    notice: Notice
    delivery: Delivery
    due: int = 0


def settled(notice: Notice, result: Result, now: int, problem: str = "", together: int = 1, due: int = 0) -> Settled:
    """What has become of a notice at `now`, ms UTC of the real clock."""
    delivery = Delivery(
        notice=notice.id, alarm=notice.alarm["id"], kind=AlarmKind(notice.alarm["kind"]), account=notice.alarm["account"],
        contact=notice.contact, channel=notice.channel, at=now, result=result, attempt=notice.attempts, together=together,
        problem=problem,
    )  # fmt: skip
    return Settled(msgspec.structs.replace(notice, problem=problem), delivery, due)


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent at once. `is_late`: what it tells is old."""

    notices: tuple[Notice, ...]
    contact: Contact = field(repr=False)
    channel: Channel = field(repr=False)
    is_late: bool

    @property
    def line(self) -> str:
        """Where it goes."""
        return self.notices[0].line


@dataclass(slots=True)
class Plan:
    """What to do now: messages to send, notices that wait until then (ms UTC), and notices that are not sent any more, with what they end as and why."""

    messages: list[Message] = field(default_factory=list)
    later: dict[str, int] = field(default_factory=dict)
    ended: list[tuple[Notice, Result, str]] = field(default_factory=list)


def line_of(channel: str, contact: str) -> str:
    """The name of a line. A channel's name has no space in it."""
    return f"{channel} {contact}"


def notices_of(alarm: Alarm, message: dict[str, Any], contacts: Contacts, zone: str, entered_at: int) -> list[Notice]:
    """What is to be told of an alarm event, and to whom. The same event gives the same ids."""
    return [
        Notice(
            id=f"{alarm.id} {line_of(channel, contact.name)}", contact=contact.name, channel=channel, alarm=message, zone=zone,
            said_at=alarm.at, entered_at=entered_at,
        )
        for contact in contacts.told_of(alarm, message["site"])
        for channel in contact.addresses
    ]  # fmt: skip


def said_once(notices: Iterable[Notice]) -> list[Notice]:
    """What one log entry gives to tell, without levels of a balance that another one implies: of several that an account has reached, or left, a line is told the last.

    Levels are crossed in order, so who pays in arrears hears once that all is well, and who falls past several hears of the deepest.
    """
    kept: dict[tuple[str, ...], Notice] = {}
    for notice in notices:
        alarm = notice.alarm
        levels = (notice.line, alarm["account"], alarm["state"])
        kept[levels if alarm["kind"] in LEVEL_ALARM.values() else (notice.id,)] = notice
    return list(kept.values())


@dataclass(frozen=True, slots=True)
class Now:
    """The real time and the event time that it is, ms UTC, and how fast the latter runs."""

    real: int
    event: int
    speed: int = 1

    def real_at(self, event_ms: int) -> int:
        """The real time at a later event time, ms UTC."""
        return self.real + -(-(event_ms - self.event) // self.speed)

    def age(self, notice: Notice) -> int:
        """How old the news is, in real ms: since it happened or since it became known, whichever is longer."""
        return max(self.real - notice.entered_at, (self.event - notice.said_at) // self.speed)


def planned(due: Iterable[Notice], contacts: Contacts, marks: Mapping[str, int], busy: set[str], now: Now) -> Plan:
    """What to do with notices that are due. `marks` of the rates by line; `busy`: lines on which a message is under way, which are left alone.

    A line sends one message after another: what matters most first, then in the order of the alarms. When its rate, or that of all together, has
    room for one more only, all that wait on the line go as one digest; where there is no room they wait for it. So nothing is lost to a limit.
    """
    plan, lines = Plan(), dict[str, list[Notice]]()
    for notice in due:
        if notice.line not in busy:
            lines.setdefault(notice.line, []).append(notice)
    overall = contacts.limits.overall
    mark = marks.get(OVERALL, 0)
    room = overall.room(mark, now.real)
    for line, notices in lines.items():
        told = _told(notices, contacts, now, plan)
        if told is None:
            continue
        contact, channel, waiting = told
        own_mark = marks.get(line, 0)
        own_room = channel.rate.room(own_mark, now.real)
        if room and own_room:
            plan.messages.append(_message(waiting, contact, channel, contacts, min(room, own_room), now))
            room -= 1
        else:
            at = max(0 if room else overall.room_at(mark), 0 if own_room else channel.rate.room_at(own_mark))
            plan.later |= {notice.id: max(at, now.real + 1) for notice in waiting}
    return plan


def _told(
    notices: list[Notice], contacts: Contacts, now: Now, plan: Plan
) -> tuple[Contact, Channel, list[Notice]] | None:
    """Who is told of what on a line now, in the order in which it matters; what waits or is for nobody goes into the plan."""
    contact, channel = contacts.people.get(notices[0].contact), contacts.channels.get(notices[0].channel)
    if contact is None or channel is None or channel.name not in contact.addresses:
        why = "the contacts file has this contact or channel no more"
        plan.ended += [(notice, Result.DROPPED, why) for notice in notices]
        return None
    waiting = []
    for notice in notices:
        if contacts.limits.old == Old.DROP and now.age(notice) > contacts.limits.old_ms:
            plan.ended.append((notice, Result.DROPPED, "too old"))
        elif notice.attempts >= contacts.limits.attempts:
            plan.ended.append((notice, Result.DEAD, notice.problem or "the notifier ended at each attempt"))
        elif until := contact.quiet_until(notice.severity, now.event, notice.zone):
            plan.later[notice.id] = now.real_at(until)
        else:
            waiting.append(notice)
    waiting.sort(key=lambda notice: (-SEVERITIES.index(notice.severity), notice.entered_at, notice.id))
    return (contact, channel, waiting) if waiting else None


def _message(
    waiting: list[Notice], contact: Contact, channel: Channel, contacts: Contacts, fitting: int, now: Now
) -> Message:
    """The next message of a line that has room for `fitting`: the first that waits, all of them, or all that are old."""
    limits = contacts.limits
    old = [notice for notice in waiting if now.age(notice) > limits.old_ms]
    if fitting == 1:
        chosen = waiting
    elif waiting[0] in old and limits.old == Old.DIGEST:
        chosen = old
    else:
        chosen = waiting[:1]
    return Message(tuple(chosen), contact, channel, chosen[0] in old)


def back_off_ms(attempt: int, permille: int) -> int:
    """How long to wait after the `attempt`-th attempt failed: twice as long each time, up to an hour, of which chance takes `permille` (0 … 500) away."""
    longest: int = min(BACK_OFF_FIRST_MS << min(attempt - 1, 20), BACK_OFF_MAX_MS)
    return longest * (1000 - permille) // 1000
