"""Public holidays and make-up working days (调休) of a country, from the `holidays` package.

The package is imported where it is asked: that takes a quarter of a second, and most tariffs need no calendar.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Any

FIRST_YEAR, LAST_YEAR = 1970, 2040
"""Holidays are worked out for these years at most. Movable feasts need the moon: some 10 ms for each year of China."""
_CHINA = "CN"
_WEEKEND = (5, 6)


@dataclass(frozen=True, slots=True)
class PublicDays:
    """`known_until`: the last day that the government has decided on; later ones are what the law says in general."""

    holidays: frozenset[date]
    workdays: frozenset[date] = frozenset()
    known_until: date | None = None


def is_known(name: str) -> bool:
    """Whether a country such as `CN`, or a part of one such as `US-CA`, has holidays here."""
    import holidays  # noqa: PLC0415 - slow, see above

    country, _, part = name.partition("-")
    supported = holidays.list_supported_countries(include_aliases=False)
    return country in supported and (not part or part in supported[country])


def public_days(name: str, first_year: int) -> PublicDays:
    """The days of a country that `is_known`, from a year on until LAST_YEAR."""
    years = [_year(name, year) for year in range(max(first_year, FIRST_YEAR), LAST_YEAR + 1)]
    holidays = frozenset(day for found, _ in years for day in found)
    workdays = frozenset(day for _, found in years for day in found)
    if not name.startswith(_CHINA):
        return PublicDays(holidays - workdays, workdays)
    return PublicDays(_whole_runs(holidays, workdays), workdays, date(_decided_year(), 12, 31))


@cache
def _year(name: str, year: int) -> tuple[frozenset[date], frozenset[date]]:
    found = _country(name, year)
    # The package tells the working days that it met on its way, some of them in other years.
    worked = frozenset(day for day in getattr(found, "weekend_workdays", ()) if day.year == year)
    return frozenset(day for day in found if day.year == year), worked


def _country(name: str, year: int) -> Any:
    import holidays  # noqa: PLC0415 - slow, see above

    country, _, part = name.partition("-")
    return holidays.country_holidays(country, subdiv=part or None, years=year)


@cache
def _decided_year() -> int:
    """The last year for which the package has the State Council's notice: only with one are weekends worked."""
    noticed: list[int] = [
        year for year in _country(_CHINA, FIRST_YEAR).special_public_holidays if _year(_CHINA, year)[1]
    ]
    return max(noticed)


def _whole_runs(holidays: frozenset[date], workdays: frozenset[date]) -> frozenset[date]:
    """With the weekends inside and beside each run of holidays, which the State Council counts as part of it."""
    found, edge = set(holidays), set(holidays)
    while edge:
        beside = {day + timedelta(days=step) for day in edge for step in (-1, 1)}
        edge = {day for day in beside - found - workdays if day.weekday() in _WEEKEND}
        found |= edge
    return frozenset(found - workdays)
