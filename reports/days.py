"""Days, months and years of figures: numbers and texts of them, and where a local day begins."""

from collections.abc import Iterable
from datetime import date, timedelta
from enum import StrEnum
from functools import lru_cache, reduce

import polars as pl

from tariffs.periods import EPOCH, midnight_ms

FIRST_DAY, LAST_DAY = 0, 2_932_000
"""1970-01-01 and a day of the year 9997: no figure is of another."""


class By(StrEnum):
    """What figures are summed up by."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"
    YEAR = "year"


DAYS_MAX = {By.HOUR: 93, By.DAY: 1_100, By.MONTH: 3_700, By.YEAR: 36_600}
"""How many days a question may span: about a thousand or two of rows of a meter, but for its bands."""
_FORMS = {By.DAY: "%Y-%m-%d", By.MONTH: "%Y-%m", By.YEAR: "%Y"}


def day_number(day: date) -> int:
    """Days since 1970-01-01."""
    return (day - EPOCH).days


def day_text(day: int) -> str:
    """`2026-01-31` of a day number."""
    return (EPOCH + timedelta(days=day)).isoformat()


def period_text(by: By, day: int) -> str:
    """The day, month or year that a day number is in: `2026-01-31`, `2026-01`, `2026`."""
    return day_text(day)[: {By.DAY: 10, By.MONTH: 7, By.YEAR: 4}[by]]


def period_of(by: By, column: str) -> pl.Expr:
    """`period_text` of a column of day numbers."""
    return pl.from_epoch(pl.col(column).cast(pl.Int32), "d").dt.strftime(_FORMS[by])


def month_days(month: int) -> tuple[int, int]:
    """The first and the last day number of a month, 12 * year + month - 1."""
    first, following = (date(each // 12, each % 12 + 1, 1) for each in (month, month + 1))
    return day_number(first), day_number(following) - 1


def begin_ms(day: int, zones: Iterable[str]) -> int:
    """The earliest instant, ms UTC, at which a day begins in any of the zones."""
    return min(midnight_ms(EPOCH + timedelta(days=day), zone) for zone in zones)


def end_ms(day: int, zones: Iterable[str]) -> int:
    """The latest instant, ms UTC, at which the day after a day begins in any of the zones."""
    return max(midnight_ms(EPOCH + timedelta(days=day + 1), zone) for zone in zones)


def local_day_of(column: str, zones: Iterable[str], first: int, last: int) -> pl.Expr:
    """The local day number of a column of ms UTC, in the zone that the column `zone` says, one of `zones`.

    Before `first` it is `first - 1`, after `last` it is `last + 1`: what is asked for lies between.
    """
    nowhere = pl.lit(None, pl.Int32)
    return reduce(lambda other, zone: _in_zone(column, zone, first, last, other), sorted(set(zones)), nowhere)


def _in_zone(column: str, zone: str, first: int, last: int, other: pl.Expr) -> pl.Expr:
    begun = pl.lit(_midnights(zone, first, last)).search_sorted(pl.col(column), side="right")
    return pl.when(pl.col("zone") == zone).then(begun.cast(pl.Int32) + (first - 1)).otherwise(other)


@lru_cache(maxsize=64)
def _midnights(zone: str, first: int, last: int) -> pl.Series:
    """When the days from `first` to the one after `last` begin, ms UTC."""
    return pl.Series([midnight_ms(EPOCH + timedelta(days=day), zone) for day in range(first, last + 2)], dtype=pl.Int64)
