"""Spans: the days of a bill, month by month and version by version, and how much of a monthly amount falls on them."""

from calendar import isleap, monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import groupby, pairwise

from tariffs.periods import midnight_ms
from tariffs.tariff import Every, Plan, Stage, Version
from tariffs.zones import zone

_MONTHLY_BILL_DAYS = 35
"""A bill of at most so many days is one month's bill, however the calendar cuts it."""


@dataclass(frozen=True, slots=True)
class Span:
    """The part of a bill under one version: [from_ms, until_ms) UTC, and the local days that begin in it, with the first one."""

    stage: int
    version: int
    from_ms: int
    until_ms: int
    days: tuple[date, ...]
    bill_days: int

    def share(self, every: Every) -> Fraction:
        """How many times an amount falls due in this span: months and years by their days, a bill by its own."""
        match every:
            case Every.DAY:
                return Fraction(len(self.days))
            case Every.MONTH:
                return sum((Fraction(len(days), monthrange(*key)[1]) for key, days in self.months()), Fraction(0))
            case Every.YEAR:
                return sum((Fraction(1, 366 if isleap(day.year) else 365) for day in self.days), Fraction(0))
            case Every.BILL:
                return Fraction(len(self.days), self.bill_days) if self.bill_days else Fraction(1)

    def months(self) -> Iterator[tuple[tuple[int, int], list[date]]]:
        """(year, month) and the days of the span in it."""
        for key, days in groupby(self.days, key=lambda day: (day.year, day.month)):
            yield key, list(days)

    def demand_periods(self) -> Iterator[tuple[tuple[date, ...], Fraction]]:
        """The days over which one highest power is billed, and how much of a month's price it is billed at."""
        if self.bill_days <= _MONTHLY_BILL_DAYS:
            yield self.days, Fraction(len(self.days), self.bill_days)
            return
        for key, days in self.months():
            yield tuple(days), Fraction(len(days), monthrange(*key)[1])


def spans(plan: Plan, from_ms: int, until_ms: int) -> list[Span]:
    """The versions in force over a bill, in order. A day belongs to the version in which it begins, the first to the first."""
    first, last = local_date(plan[0], from_ms), local_date(plan[-1], until_ms - 1)
    days = [date.fromordinal(number) for number in range(first.toordinal(), last.toordinal() + 1)]
    edges = [from_ms, *_changes(plan, from_ms, until_ms), until_ms]
    found = []
    for begin, end in pairwise(edges):
        number, version = ruling(plan, begin)
        starts = ((day, max(midnight_ms(day, plan[number].tariff.zone), from_ms)) for day in days)
        own = tuple(day for day, start in starts if begin <= start < end)
        found.append(Span(number, version, begin, end, own, len(days)))
    return found


def _changes(plan: Plan, from_ms: int, until_ms: int) -> list[int]:
    at = {stage.from_ms for stage in plan[1:]}
    at |= {version.from_ms for stage in plan for version in stage.tariff.versions[1:]}
    return sorted(each for each in at if from_ms < each < until_ms and ruling(plan, each) != ruling(plan, each - 1))


def ruling(plan: Plan, at_ms: int) -> tuple[int, int]:
    """Indexes of the stage and of its version in force at an instant; the first of each also rules before its own begin."""
    number = max(n for n, stage in enumerate(plan) if n == 0 or stage.from_ms <= at_ms)
    versions = plan[number].tariff.versions
    return number, max(n for n, version in enumerate(versions) if n == 0 or version.from_ms <= at_ms)


def version_of(plan: Plan, span: Span) -> Version:
    """The version of a span."""
    return plan[span.stage].tariff.versions[span.version]


def local_date(stage: Stage, at_ms: int) -> date:
    """The local date of an instant."""
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)
    return at.astimezone(zone(stage.tariff.zone)).date()
