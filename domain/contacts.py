"""Contacts: whom an alarm is told to, by which channels, and when they want to be left alone. Pure; the file that says them is read elsewhere.

Nothing of a contact is in the log or in the state: names, addresses and the secrets of channels stay in the operator's own file.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from zoneinfo import ZoneInfo

from domain.effects import Alarm
from domain.words import SEVERITY, AlarmKind, AlarmState, Severity

EVERYTHING = "*"
"""Instead of a site's name: alarms of every site, and of meters that nobody knows a site of."""
SEVERITIES = tuple(Severity)
"""From the least to the greatest."""
HOUSEHOLD_KINDS = frozenset({
    AlarmKind.BALANCE_LOW, AlarmKind.BALANCE_PRETRIP, AlarmKind.BALANCE_ARREARS, AlarmKind.BALANCE_LIMIT,
    AlarmKind.MONEY_ARRIVED, AlarmKind.DAY_USAGE, AlarmKind.MONTH_USAGE, AlarmKind.NIGHT_FLOW, AlarmKind.LOAD_LIMIT,
    AlarmKind.MALIGNANT_LOAD,
})  # fmt: skip
"""What a household is told unless its contact says otherwise: its money and its use, and nothing about our meters or of a suspicion."""

_QUIET = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", re.ASCII)
_RATE = re.compile(r"([1-9]\d{0,5})/(minute|hour|day)", re.ASCII)
_RATE_MS = {"minute": 60_000, "hour": 3_600_000, "day": 86_400_000}


@dataclass(frozen=True, slots=True)
class Quiet:
    """Hours of each local day, by minutes since midnight; `until` before `since` is the next morning's."""

    since: int
    until: int

    @classmethod
    def from_text(cls, text: str) -> "Quiet":
        """Of `22:00-07:00`. Raises ValueError."""
        found = _QUIET.fullmatch(text)
        if not found or found[1] + found[2] == found[3] + found[4]:
            raise ValueError("quiet hours such as 22:00-07:00, that do not end when they begin")
        return cls(60 * int(found[1]) + int(found[2]), 60 * int(found[3]) + int(found[4]))

    def ends_at(self, now_ms: int, zone: str) -> int:
        """When the quiet hours end that `now_ms` is in, ms UTC; 0: it is in none.

        Where clocks go forward over the end, it is the instant that the clock would have shown it at without that.
        """
        local = datetime.fromtimestamp(now_ms // 1000, UTC).astimezone(ZoneInfo(zone))
        minute = 60 * local.hour + local.minute
        over_midnight, is_evening = self.until < self.since, minute >= self.since
        if not (is_evening or minute < self.until if over_midnight else is_evening and minute < self.until):
            return 0
        day = local.date() + timedelta(days=over_midnight and is_evening)
        end = datetime(day.year, day.month, day.day, self.until // 60, self.until % 60, tzinfo=local.tzinfo)
        return max(int(end.timestamp() * 1000), now_ms + 1)


@dataclass(frozen=True, slots=True)
class Rate:
    """So many messages at once and again so many over `per_ms`, evenly (the generic cell rate algorithm, ITU-T I.371).

    What has been sent is one number, the `mark`: ms UTC up to which the messages so far use the rate up.
    """

    count: int
    per_ms: int

    @classmethod
    def from_text(cls, text: str) -> "Rate":
        """Of `10/hour`. Raises ValueError."""
        found = _RATE.fullmatch(text)
        if not found:
            raise ValueError("a rate such as 10/hour, 2/minute or 30/day")
        return cls(int(found[1]), _RATE_MS[found[2]])

    @property
    def step_ms(self) -> int:
        """What one message moves the mark by."""
        return max(1, self.per_ms // self.count)

    def room(self, mark: int, now: int) -> int:
        """How many messages may go out now."""
        return max(0, (now + self.count * self.step_ms - max(mark, now)) // self.step_ms)

    def after_one(self, mark: int, now: int) -> int:
        """The mark after another message."""
        return max(mark, now) + self.step_ms

    def without_one(self, mark: int) -> int:
        """The mark as if the last message had not been sent."""
        return mark - self.step_ms

    def room_at(self, mark: int) -> int:
        """When there is room for one, ms UTC."""
        return mark - (self.count - 1) * self.step_ms


class Old(StrEnum):
    """What is done with messages that are older than is useful, as after an outage."""

    SEND = "send"
    DIGEST = "digest"
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class Channel:
    """A way to people: the URL of a service, with `{address}` where a contact's own address belongs. `rate`: for each contact."""

    name: str
    url: str = field(repr=False)
    rate: Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """Somebody who is told. `addresses`: by the channel's name. `zone`: "": that of the alarm's site.

    `severity`: the least that is told; `breaks_quiet`: the least that is told in quiet hours too, None: nothing is.
    `repeats`: how many repeats of an alarm are passed on.
    """

    name: str
    language: str
    accounts: frozenset[str]
    sites: frozenset[str]
    addresses: Mapping[str, str] = field(repr=False)
    kinds: frozenset[AlarmKind]
    severity: Severity
    cleared: bool
    repeats: int
    quiet: Quiet | None
    breaks_quiet: Severity | None
    zone: str = ""

    def wants(self, alarm: Alarm) -> bool:
        """Whether this contact is told of such an alarm, if it is about them at all."""
        if alarm.kind not in self.kinds or not at_least(SEVERITY[alarm.kind], self.severity):
            return False
        if alarm.state == AlarmState.REPEATED:
            return alarm.repeat <= self.repeats
        return self.cleared or alarm.state != AlarmState.CLEARED

    def quiet_until(self, severity: Severity, now_ms: int, site_zone: str) -> int:
        """Until when (event time, ms UTC) a message of that severity waits; 0: it may go out."""
        if self.quiet is None or (self.breaks_quiet and at_least(severity, self.breaks_quiet)):
            return 0
        return self.quiet.ends_at(now_ms, self.zone or site_zone)


def at_least(severity: Severity, least: Severity) -> bool:
    """Whether one severity is as great as another."""
    return SEVERITIES.index(severity) >= SEVERITIES.index(least)


@dataclass(frozen=True, slots=True)
class Limits:
    """`overall`: messages of all contacts together. `attempts`: after so many a message is given up. `old_ms`: what is older is `old`."""

    overall: Rate
    attempts: int
    old_ms: int
    old: Old


class Contacts:
    """All contacts of a file, found by what they are told of."""

    def __init__(
        self,
        channels: Mapping[str, Channel],
        people: Mapping[str, Contact],
        limits: Limits,
        templates: Path | None = None,
    ) -> None:
        """`templates`: the folder of the words that they are told in; None: ours."""
        self.channels, self.people, self.limits, self.templates = channels, people, limits, templates
        self._of_account: dict[str, list[Contact]] = {}
        self._of_site: dict[str, list[Contact]] = {}
        for contact in people.values():
            for index, names in ((self._of_account, contact.accounts), (self._of_site, contact.sites)):
                for name in names:
                    index.setdefault(name, []).append(contact)

    def told_of(self, alarm: Alarm, site: str) -> Iterator[Contact]:
        """Who is told of an alarm of an account at a site, each once; "": a site that is not known."""
        about = (self._of_account.get(alarm.account), self._of_site.get(site), self._of_site.get(EVERYTHING))
        found = {contact.name: contact for contacts in about for contact in contacts or () if contact.wants(alarm)}
        yield from found.values()
