"""Watching: what of a meter is worth an alarm besides its money. Written from docs/machine/watching.md."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date

from domain.effects import Alarm
from domain.facts import WatchTerms
from domain.units import quantity_text
from domain.words import AlarmKind, AlarmState, Commodity

EPOCH = date(1970, 1, 1).toordinal()


@dataclass
class Gauge:
    """What a meter has shown. `power`: W as last said, 0 where a reading said none. `day`: the local day that is open.

    `total`: what was used, and `vacant`: what was counted while nobody had the account.
    """

    power: int = 0
    moved_at: int = 0
    total: int = 0
    vacant: int = 0
    day: int | None = None
    day_usage: int = 0
    months: Counter[tuple[int, int]] = field(default_factory=Counter)

    def use(self, days: list[tuple[int, int]]) -> None:
        """Count usage in its days; the first piece of another day closes the one that is open."""
        for day, usage in days:
            if day != self.day:
                self.close_day()
            self.day, self.day_usage = day, self.day_usage + usage

    def close_day(self) -> None:
        """The open day is over; should more of it come, it is opened again with nothing in it."""
        if self.day is not None:
            self.months[month_of(self.day)] += self.day_usage
        self.day, self.day_usage = None, 0

    def month_usage(self, today: int) -> int:
        """Used in the month of the open day, or of today where none is open."""
        return self.months[month_of(today if self.day is None else self.day)] + self.day_usage


def month_of(day: int) -> tuple[int, int]:
    """Year and month of a local day number."""
    at = date.fromordinal(EPOCH + day)
    return at.year, at.month


@dataclass
class Raised:
    """An alarm that stands."""

    reason: str
    said_at: int
    repeats: int = 0


@dataclass
class Watch:
    """A watched meter. `night_total`: what the meter had counted when the night began; None: it is day.

    `today`: the day of the last look. `before_today`, `before_month`: what had been counted for nobody when they began.
    """

    account: str
    number: int
    commodity: Commodity
    terms: WatchTerms
    since: int
    night_total: int | None = None
    today: int = 0
    before_today: int = 0
    before_month: int = 0
    raised: dict[AlarmKind, Raised] = field(default_factory=dict)

    def look(self, gauge: Gauge, read_at: int | None, now: int, today: int, minute: int) -> list[Alarm]:
        """What a tick has to say: raised, cleared, and said again."""
        said = []
        for kind, reason in self._reasons(gauge, read_at, now, today, minute).items():
            if reason is not None and kind not in self.raised:
                self.raised[kind] = Raised(reason, now)
                said.append(self._say(kind, AlarmState.RAISED, now))
            elif reason is None and kind in self.raised:
                said.append(self._say(kind, AlarmState.CLEARED, now))
                del self.raised[kind]
        return said + self._repeat(now)

    def _reasons(
        self, gauge: Gauge, read_at: int | None, now: int, today: int, minute: int
    ) -> dict[AlarmKind, str | None]:
        """For each kind how much it is, "" where an amount says nothing, and None where there is nothing to say."""
        self._turn(gauge, today)
        day = gauge.day_usage + gauge.vacant - self.before_today
        month = gauge.month_usage(today) + gauge.vacant - self.before_month
        terms, unread = self.terms, now - max(read_at or 0, self.since)
        is_still = read_at is not None and terms.stuck_ms and read_at - gauge.moved_at >= terms.stuck_ms
        leaks = self._leaks(gauge, minute)
        return {
            AlarmKind.DAY_USAGE: self._amount(day) if 0 < terms.day_usage < day else None,
            AlarmKind.MONTH_USAGE: self._amount(month) if 0 < terms.month_usage < month else None,
            AlarmKind.OFFLINE: "" if 0 < terms.offline_ms < unread else None,
            AlarmKind.STUCK: f"{gauge.power} W" if is_still and gauge.power >= terms.stuck_w else None,
            AlarmKind.REVERSE_FLOW: f"{gauge.power} W" if 0 < terms.reverse_w <= -gauge.power else None,
            AlarmKind.NIGHT_FLOW: "" if leaks else None,
        }

    def _turn(self, gauge: Gauge, today: int) -> None:
        """On another day, and in another month, what nobody pays for is counted anew."""
        if month_of(today) != month_of(self.today):
            self.before_month = gauge.vacant
        if today != self.today:
            self.today, self.before_today = today, gauge.vacant

    def _amount(self, usage: int) -> str:
        return f"{quantity_text(usage)} {'m³' if self.commodity == Commodity.WATER else 'kWh'}"

    def _leaks(self, gauge: Gauge, minute: int) -> bool:
        """A night is judged once it is over; until then it is as it was."""
        terms, before, counted = self.terms, AlarmKind.NIGHT_FLOW in self.raised, gauge.total + gauge.vacant
        if terms.night_usage < 0:
            self.night_total = None
            return False
        hours = (terms.night_until - terms.night_from) % 1440
        if (minute - terms.night_from) % 1440 < hours:
            self.night_total = counted if self.night_total is None else self.night_total
            return before
        begun, self.night_total = self.night_total, None
        return before if begun is None else counted - begun > terms.night_usage

    def _repeat(self, now: int) -> list[Alarm]:
        said = []
        for kind, raised in self.raised.items():
            if raised.repeats < self.terms.repeat_max and now >= raised.said_at + self.terms.repeat_ms:
                raised.repeats, raised.said_at = raised.repeats + 1, now
                said.append(self._say(kind, AlarmState.REPEATED, now))
        return said

    def end(self, at: int) -> list[Alarm]:
        """The meter is gone."""
        return [self._say(kind, AlarmState.CLEARED, at) for kind in self.raised]

    def _say(self, kind: AlarmKind, state: AlarmState, at: int) -> Alarm:
        raised = self.raised[kind]
        return Alarm(
            id="", kind=kind, state=state, at=at, account=self.account, meter=self.number, repeat=raised.repeats,
            reason=raised.reason,
        )  # fmt: skip
