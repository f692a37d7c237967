"""Hours: whether a window of the control terms holds at an instant, and when to look again.

Windows are wall-clock: on the day of 23 hours what was skipped is skipped, on the day of 25 hours what is repeated holds twice.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TypeVar

from domain.facts import ControlTerms, Window
from domain.units import MINUTE_MS
from tariffs.zones import zone

MINUTES_OF_DAY = 1440
HOLIDAYS = 128
"""The bit of a window's days that stands for holidays."""
_EDGES_OF_A_WEEK = 200
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_THURSDAY = 3
W = TypeVar("W", bound=Window)


def local_day(at: int, zone_name: str) -> int:
    """The local day number since 1970-01-01 at an instant in ms UTC."""
    return _local(at, zone_name).date().toordinal() - _EPOCH.date().toordinal()


def holding(windows: Sequence[W], terms: ControlTerms, at: int) -> W | None:
    """The first of `windows` that holds at `at` (ms UTC), by the zone and holidays of the terms; None: none does."""
    if not windows:
        return None
    local, today = _local(at, terms.zone), local_day(at, terms.zone)
    minute = local.hour * 60 + local.minute
    days = {today: minute, today - 1: minute + MINUTES_OF_DAY}
    kinds = {day: _kind(day, windows, terms.holidays) for day in days}
    return next(
        (each for each in windows if any(each.days & kinds[day] and _spans(each, days[day]) for day in days)), None
    )


def end_of_holding(terms: ControlTerms, at: int) -> int:
    """The first instant from `at` on (ms UTC) at which no no-trip window holds; `at` itself where none does now.

    At most so many edges are looked at as a week of windows has: windows that cover all of it never end, and then it is 0.
    """
    for _ in range(_EDGES_OF_A_WEEK):
        if holding(terms.no_trip, terms, at) is None:
            return at
        at = edge_after(terms, at)
    return 0


def _local(at: int, zone_name: str) -> datetime:
    return (_EPOCH + timedelta(milliseconds=at)).astimezone(zone(zone_name))


def _kind(day: int, windows: Sequence[Window], holidays: tuple[int, ...]) -> int:
    """The bit of a day: a holiday is a day of its own where any window names holidays."""
    if day in holidays and any(each.days & HOLIDAYS for each in windows):
        return HOLIDAYS
    return 1 << (day + _THURSDAY) % 7


def _spans(window: Window, minute: int) -> bool:
    """Whether a window covers a minute, counted from the midnight of the day to which it belongs."""
    over = window.until_minute <= window.from_minute
    return window.from_minute <= minute < window.until_minute + (MINUTES_OF_DAY if over else 0)


@lru_cache(maxsize=4096)
def edge_after(terms: ControlTerms, at: int) -> int:
    """The next instant (ms UTC) at which a window of the terms may begin or end; 0 where they have none.

    Never too late: a change of clocks counts as an edge. It may be one at which nothing changes.
    """
    windows = (*terms.no_trip, *terms.schedule)
    if not windows:
        return 0
    minutes = sorted({each.from_minute for each in windows} | {each.until_minute % MINUTES_OF_DAY for each in windows})
    local = _local(at, terms.zone)
    later = [minute for minute in minutes if minute > local.hour * 60 + local.minute]
    day = local if later else local + timedelta(days=1)
    hour, minute = divmod((later or minutes)[0], 60)
    edge = max(
        _instant(day.replace(hour=hour, minute=minute, second=0, microsecond=0)), at - at % MINUTE_MS + MINUTE_MS
    )
    return min(edge, _clocks_change(at, edge, terms.zone))


def _instant(local: datetime) -> int:
    return int((local - _EPOCH) // timedelta(milliseconds=1))


def _clocks_change(low: int, high: int, zone_name: str) -> int:
    """The first instant after `low` with the offset of `high`, where it is another than that of `low`; else `high`."""
    before = _local(low, zone_name).utcoffset()
    if _local(high, zone_name).utcoffset() == before:
        return high
    while high - low > 1:
        middle = (low + high) // 2
        if _local(middle, zone_name).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high
