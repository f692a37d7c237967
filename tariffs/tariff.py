"""A tariff as plain values: what files are read into, and what the compiler, the slow rating, bills and explanations read.

Energy is priced by *components* (energy, network, fund …), each by band and tier; a bill adds *charges* (standing,
percentages, minimum, demand …) in the order in which the file states them. Everything is an integer or a Fraction.
"""

from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from fractions import Fraction

from domain.words import Commodity

DayProfile = tuple[tuple[int, int], ...]
"""Slots of a day: (minute since local midnight, band index), the first at minute 0, strictly increasing."""

Title = dict[str, str]
"""Text by language, `zh` and `en`."""


class RoundingMode(StrEnum):
    """Half up and up go away from zero, down goes towards it: a refund is rounded as the charge that it undoes."""

    HALF_UP = "half_up"
    HALF_EVEN = "half_even"
    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Rounding:
    """To a whole number of `step` (> 0): units of currency on a bill, kWh or m³ for a quantity, 1 for a factor."""

    step: Fraction
    mode: RoundingMode

    def of(self, value: Fraction) -> Fraction:
        """The rounded value, exact."""
        steps = value / self.step
        whole, rest = divmod(abs(steps.numerator), steps.denominator)
        twice = 2 * rest
        match self.mode:
            case RoundingMode.HALF_UP:
                away = twice >= steps.denominator
            case RoundingMode.HALF_EVEN:
                away = twice > steps.denominator or (twice == steps.denominator and whole % 2 == 1)
            case RoundingMode.UP:
                away = rest > 0
            case RoundingMode.DOWN:
                away = False
        rounded = (whole + away) * self.step
        return -rounded if steps < 0 else rounded


@dataclass(frozen=True, slots=True)
class Calendar:
    """Days that are not what their weekday says. Days are local day numbers since 1970-01-01.

    `holidays`: public holidays. `workdays`: make-up working days (调休), working although at a weekend. `sets`: other days by
    the name that the file gives them. `known_until`: the last day that the publisher of the holidays has decided on.
    """

    holidays: frozenset[int] = frozenset()
    workdays: frozenset[int] = frozenset()
    sets: dict[str, frozenset[int]] = field(default_factory=dict)
    known_until: int | None = None


class Cycle(StrEnum):
    """How long a tier counter runs before it begins anew."""

    DAY = "day"
    MONTH = "month"
    TWO_MONTHS = "two_months"
    YEAR = "year"


class Per(StrEnum):
    """What a limit or an amount is multiplied by (`Premises`)."""

    ACCOUNT = "account"
    PERSON = "person"
    KILOWATT = "kW"


@dataclass(frozen=True, slots=True)
class Premises:
    """What a tariff may ask about the customer: persons in the household, contracted capacity in W."""

    persons: int = 1
    capacity_w: int = 0


@dataclass(frozen=True, slots=True)
class Tiers:
    """How usage is counted for tiers, and how their limits are scaled; the limits are in the schedules.

    `cycle` begins at local midnight of `day` (1 … 28) of a month; a year in `month`, two months in `month` and every second
    after it. `restart`: the counter also begins anew where the version begins.
    A limit is multiplied for `per`; then, for `persons_above` = n, each person beyond n adds the schedule's `adds` (only once
    unless `each_person`). `per_days` = n: limits are stated for n days and scaled by days of the period / n, the factor
    rounded by `factor_rounding` and left at 1 for periods of `unscaled_days` (first, last), the limit rounded by
    `limit_rounding`, else down to whole Wh or litres.
    """

    cycle: Cycle
    month: int = 1
    day: int = 1
    restart: bool = False
    per: Per = Per.ACCOUNT
    persons_above: int | None = None
    each_person: bool = True
    per_days: int | None = None
    factor_rounding: Rounding | None = None
    unscaled_days: tuple[int, int] | None = None
    limit_rounding: Rounding | None = None


@dataclass(frozen=True, slots=True)
class Schedule:
    """Prices of a component by band and tier, for periods whose whole use is at most `up_to` Wh or litres (None: any).

    `limits`: upper limits of the tiers but the last, Wh or litres, strictly increasing; a limit itself is in the lower
    tier. `adds`: what a further person adds to each limit. `prices[band][tier]`: nanos per kWh or m³ of metered use (ratio,
    factor and price rounding already in them); None for a band that the version does not use.
    """

    up_to: int | None
    limits: tuple[int, ...]
    adds: tuple[int, ...]
    prices: tuple[tuple[int, ...] | None, ...]


@dataclass(frozen=True, slots=True)
class Season:
    """Part of the year with its days and prices. `ranges`: ((month, day), (month, day)), inclusive, may wrap; empty: always.

    `profiles`: its day profiles. `week`: the profile of each weekday, Monday first; `holiday`, `workday` (make-up) and `sets`
    (name, profile) override it: sets first, in order, then make-up workdays, then holidays.
    `rates[component]`: schedules with increasing `up_to`, the last None. One schedule: graduated tiers. Several: the whole
    use of the period is priced by the schedule that it reaches ("volume").
    """

    name: str
    ranges: tuple[tuple[tuple[int, int], tuple[int, int]], ...]
    profiles: tuple[DayProfile, ...]
    week: tuple[int, ...]
    holiday: int | None
    workday: int | None
    sets: tuple[tuple[str, int], ...]
    rates: tuple[tuple[Schedule, ...], ...]

    def covers(self, month: int, day: int) -> bool:
        """Whether a local date is in this season."""
        at = (month, day)
        return not self.ranges or any(
            first <= at <= last if first <= last else at >= first or at <= last for first, last in self.ranges
        )

    def profile_of(self, calendar: Calendar, day: int) -> int:
        """The day profile of a local day number."""
        for name, profile in self.sets:
            if day in calendar.sets[name]:
                return profile
        if self.workday is not None and day in calendar.workdays:
            return self.workday
        if self.holiday is not None and day in calendar.holidays:
            return self.holiday
        return self.week[(day + 3) % 7]  # 1970-01-01 was a Thursday.


@dataclass(frozen=True, slots=True)
class Component:
    """A part of the price that a bill shows apart. `factor`: of metered use that is billed (losses), in its prices already.

    `rounding`: of its line; `usage_rounding`: of the metered use on a bill, before it is priced.
    """

    id: str
    title: Title
    factor: Fraction = Fraction(1)
    rounding: Rounding | None = None
    usage_rounding: Rounding | None = None


class Every(StrEnum):
    """How often an amount falls due; parts of a month or year are charged by their days."""

    DAY = "day"
    MONTH = "month"
    YEAR = "year"
    BILL = "bill"


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """A line of a bill besides energy. `of`: ids of the lines it looks at, all of them earlier."""

    id: str
    title: Title
    rounding: Rounding | None = None
    of: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing(Charge):
    """A fixed amount, or one by bracket of the bill's whole use: (up to Wh or litres, units of currency), the last None."""

    amounts: tuple[tuple[int | None, Fraction], ...]
    every: Every
    per: Per = Per.ACCOUNT


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentage(Charge):
    """`rate` (0.15 is 15 %) of the sum of `of`: of their rounded amounts, or of the exact ones."""

    rate: Fraction
    exact: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound(Charge):
    """What lifts the sum of `of` to `minimum`, or lowers it to `maximum`; `every` as in Standing."""

    minimum: Fraction | None = None
    maximum: Fraction | None = None
    every: Every = Every.BILL


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand(Charge):
    """Money per kW and month of the highest average power of any `minutes` of the bill, in `bands` (empty: at any time).

    `prices`: units of currency per kW by tier of demand, whose upper limits are `limits` in W. `least_share`: of the
    contracted capacity, billed at least. A bill over several months has one peak in each.
    """

    prices: tuple[Fraction, ...]
    limits: tuple[int, ...] = ()
    bands: tuple[int, ...] = ()
    minutes: int = 15
    least_share: Fraction = Fraction(0)


@dataclass(frozen=True, slots=True)
class Version:
    """What a tariff is from `from_ms` (ms UTC) until its next version.

    `seasons`: the first that covers a date rules it; the last covers every date. `line_rounding` for lines that state none.
    """

    from_ms: int
    seasons: tuple[Season, ...]
    tiers: Tiers | None
    components: tuple[Component, ...]
    charges: tuple[Charge, ...] = ()
    line_rounding: Rounding | None = None
    bill_rounding: Rounding | None = None


@dataclass(frozen=True, slots=True)
class Tariff:
    """A tariff. `zone` an IANA name; `bands` in order of first appearance, at most 36 (SAM's and URDB's most).

    `versions` have strictly increasing `from_ms`; the first is also in force before its own. `notes`: what a reader of the
    file should know although it is no mistake, such as a version that another of the same time replaces.
    `registers`: where usage is by the meter's own bands, the band of its registers sharp, peak, flat, valley and deep valley;
    empty: by the clock.
    """

    id: str
    title: Title
    commodity: Commodity
    currency: str
    zone: str
    bands: tuple[str, ...]
    versions: tuple[Version, ...]
    calendar: Calendar = field(default_factory=Calendar)
    source: str = ""
    published: date | None = None
    notes: tuple[str, ...] = ()
    registers: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Stage:
    """From `from_ms` (ms UTC) on a meter is priced by this tariff; `restart`: its tier counter begins anew there."""

    from_ms: int
    tariff: Tariff
    premises: Premises = Premises()
    restart: bool = False


Plan = tuple[Stage, ...]
"""The tariffs that a meter is assigned to, by strictly increasing time; the first also rules before its own."""


def plan_of(tariff: Tariff, premises: Premises | None = None) -> Plan:
    """The plan of a meter that has had one tariff from the beginning."""
    return (Stage(0, tariff, premises or Premises()),)
