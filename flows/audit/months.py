"""Months, quarters and years of local days, what a fee is for one of them, and what an account has free in one."""

from datetime import date, datetime
from fractions import Fraction

from domain.facts import AllowanceSet, ChargeItemSet
from domain.units import PICOS_PER_MICRO
from domain.words import AllowanceKind, Period
from tariffs.zones import zone


def date_of(day: int) -> date:
    """The date of a local day number, counted from 1970-01-01."""
    return date.fromordinal(date(1970, 1, 1).toordinal() + day)


def begin_of(day: int, zone_name: str) -> int:
    """Ms UTC of local midnight."""
    at = date_of(day)
    return int(datetime(at.year, at.month, at.day, tzinfo=zone(zone_name)).timestamp()) * 1000


def day_of(at: int, zone_name: str) -> int:
    """Local day number of an instant in ms UTC."""
    return datetime.fromtimestamp(at // 1000, zone(zone_name)).toordinal() - date(1970, 1, 1).toordinal()


def next_period(period: Period, day: int) -> int:
    """The day after, until it is the first of a month, of a quarter, of a year."""
    first_months = {Period.MONTH: range(1, 13), Period.QUARTER: (1, 4, 7, 10), Period.YEAR: (1,)}[period]
    day += 1
    while date_of(day).day != 1 or date_of(day).month not in first_months:
        day += 1
    return day


def fee(item: ChargeItemSet, day: int) -> int:
    """Picos of the charge for the period in which `day` is, from that day on; a hundredth of the currency is its smallest part."""
    amount = Fraction(item.amount_micros, 10_000) * (Fraction(item.area, 1000) if item.area else 1)
    if item.partial and item.period != Period.ONCE:
        following = next_period(item.period, day)
        first = max(back for back in range(following - 366, following) if next_period(item.period, back - 1) == back)
        amount *= Fraction(paid_before(item, day) - day, following - first)
    return (2 * amount.numerator + amount.denominator) // (2 * amount.denominator) * 10_000 * PICOS_PER_MICRO


def paid_before(item: ChargeItemSet, day: int) -> int:
    """The day after the last one that the charge on `day` pays."""
    if item.period == Period.ONCE:
        return day + 1
    following = next_period(item.period, day)
    return item.ends + 1 if item.partial and 0 <= item.ends < following else following


class Allowance:
    """What an account has free, and what is left of it in the latest month that any usage was in: picos, Wh or litres."""

    def __init__(self, fact: AllowanceSet) -> None:
        self.fact = fact
        self.month = date_of(fact.from_day).replace(day=1)
        self.left = self._whole()
        if fact.partial:
            following = next_period(Period.MONTH, fact.from_day)
            days = (date_of(following) - self.month).days
            share = fact.amount * (following - fact.from_day) // days
            self.left = share * PICOS_PER_MICRO if fact.kind == AllowanceKind.MONEY else share

    def _whole(self) -> int:
        return self.fact.amount * (PICOS_PER_MICRO if self.fact.kind == AllowanceKind.MONEY else 1)

    def begin(self, day: int) -> bool:
        """Give it anew in a later month. Whether usage of that day may have any."""
        month = date_of(day).replace(day=1)
        if day < self.fact.from_day:
            return False
        if month > self.month:
            self.month, self.left = month, self._whole()
        return month == self.month
