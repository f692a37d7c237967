"""Levels: the tiers of all components of a version as one ladder of edges, for one customer and one length of period.

Components may have limits of their own, so the ladder has an edge wherever any of them changes its price, and wherever
the total use would choose another schedule. Within a level every component has one price in every band.
"""

from dataclasses import dataclass
from fractions import Fraction

from tariffs.tariff import Cycle, Per, Plan, Premises, Season, Tiers, Version

NO_LIMIT = 2**62
"""Upper edge of the last level: more than any counter can reach."""
LEVELS_MAX = 64
"""A tariff with more is refused: no publication has a tenth of it."""
_LENGTHS = {
    Cycle.DAY: (1,),
    Cycle.MONTH: (28, 29, 30, 31),
    Cycle.TWO_MONTHS: (59, 60, 61, 62),
    Cycle.YEAR: (365, 366),
}
WATTS_PER_KILOWATT = 1000


@dataclass(frozen=True, slots=True)
class Levels:
    """`edges`: ascending upper edges in Wh or litres, inclusive, the last NO_LIMIT. `brackets[level]`: of a total use there.

    `schedules[bracket][component]`: index of the schedule that prices the whole period. `tiers[level][bracket][component]`:
    the tier, from 0, in that schedule.
    """

    edges: tuple[int, ...]
    brackets: tuple[int, ...]
    schedules: tuple[tuple[int, ...], ...]
    tiers: tuple[tuple[tuple[int, ...], ...], ...]

    def level_of(self, used: int) -> int:
        """The level of the last unit of a total use; level 0 for none."""
        return next(level for level, edge in enumerate(self.edges) if used <= edge)


def thresholds(plan: Plan) -> tuple[int, ...]:
    """Total uses of a period, in Wh or litres, beyond which some version of the plan would price all of it otherwise.

    Ascending, the last NO_LIMIT; (NO_LIMIT,) where tiers are graduated. A plan's brackets are numbered by them, whatever
    version or season rules, so that a period under two versions is priced by one total.
    """
    found = {NO_LIMIT}
    for stage in plan:
        for version in stage.tariff.versions:
            tops = {each.up_to for season in version.seasons for column in season.rates for each in column}
            for days in period_lengths(version.tiers):
                found |= {scaled((top,), (), version.tiers, stage.premises, days)[0] for top in tops if top is not None}
    return tuple(sorted(found))


def period_lengths(tiers: Tiers | None) -> tuple[int, ...]:
    """Every number of local days that a tier period can have, or just 0 where it does not matter."""
    return (0,) if tiers is None or tiers.per_days is None else _LENGTHS[tiers.cycle]


def levels(
    version: Version, season: Season, premises: Premises, period_days: int, tops: tuple[int, ...] = (NO_LIMIT,)
) -> Levels:
    """The ladder of one season. `tops`: the thresholds of the plan that it belongs to, or of this season alone.

    `period_days`: local days of the tier period; it matters only where the tiers scale by days.
    """

    def scale(limits: tuple[int, ...], adds: tuple[int, ...] = ()) -> tuple[int, ...]:
        return scaled(limits, adds, version.tiers, premises, period_days)

    limits = [[scale(schedule.limits, schedule.adds) for schedule in schedules] for schedules in season.rates]
    own = [
        [NO_LIMIT if schedule.up_to is None else scale((schedule.up_to,))[0] for schedule in schedules]
        for schedules in season.rates
    ]
    ends = sorted({*tops, *(top for column in own for top in column)})
    edges = sorted({*ends, *(limit for column in limits for each in column for limit in each if limit > 0)})
    schedules = tuple(tuple(next(n for n, top in enumerate(column) if top >= end) for column in own) for end in ends)
    return Levels(
        edges=tuple(edges),
        brackets=tuple(next(n for n, end in enumerate(ends) if edge <= end) for edge in edges),
        schedules=schedules,
        tiers=tuple(
            tuple(
                tuple(
                    sum(limit <= floor for limit in limits[component][schedule])
                    for component, schedule in enumerate(row)
                )
                for row in schedules
            )
            for floor in (0, *edges[:-1])
        ),
    )


def scaled(
    limits: tuple[int, ...], adds: tuple[int, ...], tiers: Tiers | None, premises: Premises, period_days: int
) -> tuple[int, ...]:
    """Limits in Wh or litres as they hold for this customer in a period of `period_days` local days."""
    if tiers is None:
        return limits
    bounds = [Fraction(limit) * _multiple(tiers, premises) for limit in limits]
    persons = 0 if tiers.persons_above is None else max(0, premises.persons - tiers.persons_above)
    times = persons if tiers.each_person else min(persons, 1)
    bounds = [bound + times * add for bound, add in zip(bounds, adds or (0,) * len(bounds), strict=True)]
    if tiers.per_days is not None:
        bounds = [bound * _days_factor(tiers, tiers.per_days, period_days) for bound in bounds]
    if tiers.limit_rounding is not None:
        bounds = [tiers.limit_rounding.of(bound / 1000) * 1000 for bound in bounds]
    return tuple(int(bound) for bound in bounds)


def _multiple(tiers: Tiers, premises: Premises) -> Fraction:
    match tiers.per:
        case Per.ACCOUNT:
            return Fraction(1)
        case Per.PERSON:
            return Fraction(premises.persons)
        case Per.KILOWATT:
            return Fraction(premises.capacity_w, WATTS_PER_KILOWATT)


def _days_factor(tiers: Tiers, per_days: int, period_days: int) -> Fraction:
    if tiers.unscaled_days is not None and tiers.unscaled_days[0] <= period_days <= tiers.unscaled_days[1]:
        return Fraction(1)
    factor = Fraction(period_days, per_days)
    return factor if tiers.factor_rounding is None else tiers.factor_rounding.of(factor)
