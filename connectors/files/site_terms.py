"""What a site file may say of meters and accounts besides being there: watching, control, fees and allowances.

Windows are text such as "mon-fri,holiday 22:00-06:00"; what they mean is in docs/machine/control.md.
"""

import datetime as dt
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from connectors.files.site_texts import Fee, Quantity, checked_text, thousandths
from domain.documents import Part
from domain.facts import ControlTerms, ScheduledSupply, StepRange, WatchTerms, Window
from domain.units import MINUTE_MS, money_micros
from domain.words import AllowanceKind, Supply

OFFLINE_MINUTES = 60
EPOCH = dt.date(1970, 1, 1)
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun", "holiday")
_WINDOW = re.compile(r"([a-z,-]+) (\d\d:\d\d)-(\d\d:\d\d)", re.ASCII)
_MINUTE = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00", re.ASCII)


def day_number(day: dt.date) -> int:
    """Days since 1970-01-01."""
    return (day - EPOCH).days


def _minute(text: str) -> int:
    match = _MINUTE.fullmatch(text)
    if match is None:
        raise ValueError(text)
    return int(text[:2]) * 60 + int(text[3:])


def _minute_of_day(text: str) -> None:
    if _minute(text) == 1440:
        raise ValueError(text)


def _days(text: str) -> int:
    """Bits of days such as `mon-fri,holiday`."""
    bits = 0
    for part in text.split(","):
        first, _, last = part.partition("-")
        begin, end = _DAYS.index(first), _DAYS.index(last or first)
        if begin > end or (last and "holiday" in {first, last}):
            raise ValueError(text)
        bits |= sum(1 << day for day in range(begin, end + 1))
    return bits


def window(text: str) -> Window:
    """The window that a text such as `mon-fri 22:00-06:00` states. Raises ValueError."""
    match = _WINDOW.fullmatch(text)
    if match is None:
        raise ValueError(text)
    begin, end = _minute(match[2]), _minute(match[3])
    if begin in {end, 1440}:
        raise ValueError(text)
    return Window(days=_days(match[1]), from_minute=begin, until_minute=end)


def window_text(of: Window) -> str:
    """The text that states a window; `window` reads it back."""
    days = [index for index in range(len(_DAYS)) if of.days >> index & 1]
    return f"{','.join(_runs(days))} {minute_text(of.from_minute)}-{minute_text(of.until_minute)}"


def _runs(days: list[int]) -> list[str]:
    """`mon-fri`, `sun`, `holiday`: days of the week that follow one another, joined."""
    found: list[list[int]] = []
    for day in days:
        if found and found[-1][-1] == day - 1 and day != _DAYS.index("holiday"):
            found[-1].append(day)
        else:
            found.append([day])
    return [_DAYS[run[0]] if len(run) == 1 else f"{_DAYS[run[0]]}-{_DAYS[run[-1]]}" for run in found]


def minute_text(minute: int) -> str:
    """`22:00` of a minute of the day."""
    return f"{minute // 60:02d}:{minute % 60:02d}"


Minute = Annotated[str, checked_text(_minute_of_day, 'a time of the day such as "02:00"')]
WindowText = Annotated[
    str,
    checked_text(window, 'days and hours such as "mon-fri,holiday 22:00-06:00"; 00:00-24:00 is a whole day'),
]
Day = Annotated[dt.date, Field(ge=dt.date(2000, 1, 1), lt=dt.date(2100, 1, 1))]
Watts = Annotated[int, Field(ge=0, le=1_000_000_000)]
Minutes = Annotated[int, Field(ge=0, le=576_000)]


def _ascends(steps: list[int]) -> list[int]:
    if steps[0] > steps[1]:
        raise ValueError("two numbers of W, the lower one first")
    return steps


Steps = Annotated[list[Watts], Field(min_length=2, max_length=2), AfterValidator(_ascends)]


class ScheduledPart(Part):
    """One window of a schedule."""

    when: WindowText
    supply: Literal["on", "off"]


class ControlPart(Part):
    """`[bus.meter.control]`."""

    no_trip: list[WindowText] = Field(default=[], max_length=100)
    schedule: list[ScheduledPart] = Field(default=[], max_length=100)
    power_limit_w: Watts = 0
    malignant_step_w: Watts = 0
    tolerated: list[Steps] = Field(default=[], max_length=100)
    whitelisted: bool = False
    restores: int = Field(default=3, ge=0, le=100)
    restore_minutes: int = Field(default=5, ge=1, le=1_440)
    button: bool = False

    def terms(self, zone: str, holidays: list[dt.date]) -> ControlTerms:
        """As the domain has them. Windows are by the clock of `zone`."""
        return ControlTerms(
            zone=zone,
            holidays=tuple(sorted({day_number(day) for day in holidays})),
            no_trip=tuple(window(text) for text in self.no_trip),
            schedule=tuple(_scheduled(each) for each in self.schedule),
            power_limit_w=self.power_limit_w,
            malignant_step_w=self.malignant_step_w,
            tolerated=tuple(StepRange(low_w=low, high_w=high) for low, high in self.tolerated),
            whitelisted=self.whitelisted,
            restores=self.restores,
            restore_wait_ms=self.restore_minutes * MINUTE_MS,
            button=self.button,
        )


def _scheduled(part: ScheduledPart) -> ScheduledSupply:
    when = window(part.when)
    return ScheduledSupply(
        days=when.days,
        from_minute=when.from_minute,
        until_minute=when.until_minute,
        supply=Supply.ON if part.supply == "on" else Supply.OFF,
    )


class WatchPart(Part):
    """What `[[bus.meter]]` says of watching."""

    offline_minutes: Minutes | None = None
    day_usage: Quantity | None = None
    month_usage: Quantity | None = None
    stuck_minutes: Minutes = 0
    stuck_w: Watts = 0
    reverse_w: Watts = 0
    night_usage: Quantity | None = None
    night_from: Minute = "02:00"
    night_until: Minute = "04:00"

    def watch(self, poll_seconds: float) -> WatchTerms:
        """As the domain has them. A meter is offline after an hour, or after three rounds where those take longer."""
        rounds = -(-3 * poll_seconds // 60)
        offline = max(OFFLINE_MINUTES, int(rounds)) if self.offline_minutes is None else self.offline_minutes
        return WatchTerms(
            day_usage=thousandths(self.day_usage or "0"),
            month_usage=thousandths(self.month_usage or "0"),
            offline_ms=offline * MINUTE_MS,
            stuck_ms=self.stuck_minutes * MINUTE_MS,
            stuck_w=self.stuck_w,
            reverse_w=self.reverse_w,
            night_usage=-1 if self.night_usage is None else thousandths(self.night_usage),
            night_from=_minute(self.night_from),
            night_until=_minute(self.night_until),
        )


class ItemPart(Part):
    """`[[account.item]]`: a fee."""

    item: str = Field(min_length=1, max_length=64)
    title: str = ""
    kind: Literal["property", "rent", "service", "other"]
    amount: Fee
    area: Quantity | None = None
    period: Literal["once", "month", "quarter", "year"]
    starts: Day
    ends: Day | None = None
    partial: bool = False


class AllowancePart(Part):
    """`[account.allowance]`: what is free each month."""

    kind: Literal["money", "electricity", "water"]
    amount: Fee
    starts: Day
    partial: bool = False

    @property
    def word(self) -> AllowanceKind:
        """What is free."""
        return AllowanceKind[self.kind.upper()]

    @property
    def micros_or_units(self) -> int:
        """How much: micros, Wh or litres. Raises ValueError for energy of more than 3 decimals."""
        return money_micros(self.amount) if self.kind == "money" else thousandths(self.amount)
