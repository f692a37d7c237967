"""What an instant and an interval cost, worked out slowly with the calendar itself: the truth that audits and tests hold up.

It reads the wall clock minute by minute, keeps every piece of a period and adds up plainly. It shares no arithmetic with the
compiled timeline, so that a mistake in one is not a mistake in both.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise

from domain.units import MINUTE_MS
from tariffs.tariff import (
    Cycle,
    Per,
    Percentage,
    Plan,
    Premises,
    Schedule,
    Season,
    Stage,
    Tariff,
    Tiers,
    Version,
)
from tariffs.zones import zone

_EPOCH_DAY = date(1970, 1, 1).toordinal()
_KEPT_PERIODS = 2


@dataclass(frozen=True, slots=True)
class Moment:
    """What rules an instant: indexes of stage, version, season and band; local day since 1970-01-01.

    `period`: epoch minutes UTC at which the tier period began; `period_days`: its local days.
    """

    stage: int
    version: int
    season: int
    band: int
    day: int
    period: int
    period_days: int


@dataclass(frozen=True, slots=True)
class Part:
    """Usage (Wh or litres) of a part of an interval, [start_ms, end_ms) UTC, in which nothing about a price changes but the usage before."""

    start_ms: int
    end_ms: int
    moment: Moment
    usage: int


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an interval with one price, at most 60 minutes: [start_ms, end_ms) UTC.

    `usage` Wh or litres, after `before` of them in the tier period; `tiers` of each component from 1; `component_prices` and
    `price`, which has the percentages in it: nanos per kWh or m³; `cost_picos` = usage * price, exact.
    """

    start_ms: int
    end_ms: int
    moment: Moment
    before: int
    usage: int
    tiers: tuple[int, ...]
    component_prices: tuple[int, ...]
    price: int
    cost_picos: int


@dataclass(frozen=True, slots=True)
class Charge:
    """What an interval costs: its pieces, and what a tariff that prices the whole use of a period gives or takes for earlier ones."""

    pieces: list[Piece]
    correction_picos: int

    @property
    def cost_picos(self) -> int:
        """All of it, exact."""
        return sum(piece.cost_picos for piece in self.pieces) + self.correction_picos


@dataclass(slots=True)
class Tally:
    """What one period has used, part by part: (plan, moment, counter before, usage). A part of less than nothing was given back from
    the top of the counter down to `before`.
    """

    used: int = 0
    parts: list[tuple[Plan, Moment, int, int]] = field(default_factory=list)

    def add(self, plan: Plan, moment: Moment, usage: int) -> None:
        """Count a part; it goes on with the part before it where nothing but the day is another."""
        if self.parts:
            last_plan, last, before, used = self.parts[-1]
            if last_plan is plan and replace(last, day=moment.day) == moment and used > 0:
                self.parts.pop()
                self.parts.append((plan, moment, before, used + usage))
                self.used += usage
                return
        self.parts.append((plan, moment, self.used, usage))
        self.used += usage

    def give_back(self, plan: Plan, moment: Moment, usage: int) -> None:
        """Take a part off the top of the counter."""
        self.used -= usage
        self.parts.append((plan, moment, self.used, -usage))


@dataclass(slots=True)
class Counter:
    """What an account's meters of one commodity have used in the two latest tier periods, by the period's begin."""

    periods: dict[int, Tally] = field(default_factory=dict)

    def of(self, period: int) -> Tally:
        """The tally of a period; one that is older than both that are kept begins at nothing and is forgotten again."""
        if period not in self.periods:
            if len(self.periods) == _KEPT_PERIODS and period < min(self.periods):
                return Tally()
            self.periods[period] = Tally()
            if len(self.periods) > _KEPT_PERIODS:
                del self.periods[min(self.periods)]
        return self.periods[period]

    def has_forgotten(self, period: int) -> bool:
        """Whether a period is older than both that are kept."""
        return len(self.periods) == _KEPT_PERIODS and period < min(self.periods)

    def carried_over(self) -> "Counter":
        """A counter that has counted the same, and for which all of it is paid: only what comes is priced by the total."""
        return Counter({period: Tally(tally.used) for period, tally in self.periods.items()})


def local_day(tariff: Tariff, utc_ms: int) -> int:
    """The local day number since 1970-01-01 at an instant."""
    return _local(tariff, utc_ms).toordinal() - _EPOCH_DAY


def cost_of(
    plan: Plan, start_ms: int, end_ms: int, usage: int, counter: Counter | None = None, registers: Sequence[int] = ()
) -> Charge:
    """The charge for [start_ms, end_ms), ms UTC, over which `usage` (Wh or litres) is spread evenly, in whole Wh or litres.

    Parts as in `parts_of`. `counter` goes on; without one the periods begin at nothing.
    """
    return cost_of_parts(plan, parts_of(plan, start_ms, end_ms, usage, registers), counter)


def parts_of(plan: Plan, start_ms: int, end_ms: int, usage: int, registers: Sequence[int] = ()) -> Iterator[Part]:
    """The parts of [start_ms, end_ms), ms UTC, over which `usage` (Wh or litres) is spread evenly; those without usage are left out.

    By time t, floor(usage * (t - start) / (end - start)) has been used, and a part has the difference between its ends, so the
    parts add up. `registers`: how the usage divides among the meter's own sharp, peak, flat, valley and deep valley; each is
    spread so, and where the tariff asks for the meter's bands, each is a part.
    """
    assert start_ms < end_ms
    assert usage >= 0
    assert sum(registers) in {0, usage}
    for begin, end in pairwise(_edges(plan, start_ms, end_ms)):
        used = [
            _used_by(end, start_ms, end_ms, each) - _used_by(begin, start_ms, end_ms, each)
            for each in registers or (usage,)
        ]
        if not any(used):
            continue
        moment = moment_of(plan, begin)
        bands = plan[moment.stage].tariff.registers
        if registers and bands:
            by_band = [(replace(moment, band=band), share) for band, share in zip(bands, used, strict=True) if share]
        else:
            by_band = [(moment, sum(used))]
        yield from (Part(begin, end, ruling, share) for ruling, share in by_band)


def cost_of_parts(plan: Plan, parts: Iterable[Part], counter: Counter | None = None) -> Charge:
    """The charge for these parts, one after the other; `counter` as in `cost_of`."""
    counter = counter if counter is not None else Counter()
    looks_at_total = _looks_at_total(plan)
    pieces: list[Piece] = []
    correction = 0
    for part in parts:
        tally = counter.of(part.moment.period)
        before = _whole_cost(tally) if looks_at_total else 0
        total = tally.used + part.usage
        new = list(_tiered(plan, part.moment, tally.used, part.usage, (part.start_ms, part.end_ms), total))
        tally.add(plan, part.moment, part.usage)
        pieces += new
        if looks_at_total:
            correction += _whole_cost(tally) - before - sum(piece.cost_picos for piece in new)
    return Charge(pieces, correction)


def given_back(plan: Plan, start_ms: int, end_ms: int, usage: int, counter: Counter) -> Charge | None:
    """The charge, less than nothing where prices are not, for taking `usage` of [start_ms, end_ms) off its periods' counters again.

    `counter` then lacks it; each piece is what is taken off from the top down to its `before`, with a usage below nothing. None, and
    nothing is changed, where a counter has less, or is no longer kept and the prices have tiers.
    """
    looks_at_total = _looks_at_total(plan)
    parts = list(parts_of(plan, start_ms, end_ms, usage))
    for period in {part.moment.period for part in parts}:
        wanted = sum(part.usage for part in parts if part.moment.period == period)
        tiered = looks_at_total or any(_limits(plan, part.moment, 0) for part in parts if part.moment.period == period)
        if counter.has_forgotten(period):
            if tiered:
                return None
        elif period not in counter.periods or counter.periods[period].used < wanted:
            return None
    pieces: list[Piece] = []
    correction = 0
    for part in parts:
        moment, used = part.moment, part.usage
        tally = Tally(used) if counter.has_forgotten(moment.period) else counter.of(moment.period)
        before, total = _whole_cost(tally) if looks_at_total else 0, tally.used
        tally.give_back(plan, moment, used)
        taken = _tiered(plan, moment, tally.used, used, (part.start_ms, part.end_ms), total)
        back = [replace(piece, usage=-piece.usage, cost_picos=-piece.cost_picos) for piece in taken]
        pieces += back
        if looks_at_total:
            correction += _whole_cost(tally) - before - sum(piece.cost_picos for piece in back)
    return Charge(pieces, correction)


def _used_by(at_ms: int, start_ms: int, end_ms: int, usage: int) -> int:
    return usage * (at_ms - start_ms) // (end_ms - start_ms)


def _looks_at_total(plan: Plan) -> bool:
    """Whether any price of the plan is chosen by the whole use of a period."""
    versions = [version for stage in plan for version in stage.tariff.versions]
    return any(len(column) > 1 for version in versions for season in version.seasons for column in season.rates)


def _whole_cost(tally: Tally) -> int:
    """Picos of all parts of a period at the schedules that its total reaches."""
    return sum(
        piece.cost_picos * (1 if usage > 0 else -1)
        for plan, moment, before, usage in tally.parts
        for piece in _tiered(plan, moment, before, abs(usage), (0, 1), tally.used)
    )


def _tiered(plan: Plan, moment: Moment, before: int, usage: int, span: tuple[int, int], total: int) -> Iterator[Piece]:
    """A part of a period, from counter `before` on, cut at the limits of the schedules for a total use of `total`."""
    limits = _limits(plan, moment, total)
    cuts = sorted({before, before + usage, *(limit for limit in limits if before < limit < before + usage)})
    for low, high in pairwise(cuts):
        tiers, prices, price = _prices_at(plan, moment, low, total)
        yield Piece(*span, moment, low, high - low, tiers, prices, price, (high - low) * price)


def _limits(plan: Plan, moment: Moment, total: int) -> set[int]:
    return {limit for schedule in _schedules(plan, moment, total) for limit in _scaled_limits(plan, moment, schedule)}


def _prices_at(plan: Plan, moment: Moment, used: int, total: int) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """For the unit after `used`: tiers from 1, prices of the components, and the price that a wallet is charged, nanos."""
    schedules = _schedules(plan, moment, total)
    tiers = tuple(sum(limit <= used for limit in _scaled_limits(plan, moment, schedule)) for schedule in schedules)
    prices = tuple((schedule.prices[moment.band] or ())[tier] for schedule, tier in zip(schedules, tiers, strict=True))
    return tuple(tier + 1 for tier in tiers), prices, wallet_price(_version(plan, moment), prices)


def wallet_price(version: Version, prices: tuple[int, ...]) -> int:
    """Prices of the components with all percentages that fall on them: the bill's lines for one kWh or m³, added up."""
    lines = {component.id: Fraction(price) for component, price in zip(version.components, prices, strict=True)}
    for charge in version.charges:
        of = charge.of if isinstance(charge, Percentage) else ()
        rate = charge.rate if isinstance(charge, Percentage) else Fraction(0)
        lines[charge.id] = rate * sum((lines[name] for name in of), Fraction(0))
    exact = sum(lines.values(), Fraction(0))
    half_up = (abs(exact) * 2 + 1) // 2
    return int(half_up if exact >= 0 else -half_up)


def _schedules(plan: Plan, moment: Moment, total: int) -> list[Schedule]:
    """The schedule of each component for a total use of the period."""
    return [
        next(each for each in column if each.up_to is None or total <= _scaled(plan, moment, each.up_to, 0))
        for column in _season(plan, moment).rates
    ]


def _scaled_limits(plan: Plan, moment: Moment, schedule: Schedule) -> list[int]:
    adds = schedule.adds or (0,) * len(schedule.limits)
    return [_scaled(plan, moment, limit, add) for limit, add in zip(schedule.limits, adds, strict=True)]


def _scaled(plan: Plan, moment: Moment, limit: int, add: int) -> int:
    """A limit in Wh or litres for these premises in this period."""
    tiers, premises = _version(plan, moment).tiers, plan[moment.stage].premises
    if tiers is None:
        return limit
    bound = Fraction(limit * _multiple(tiers.per, premises) + add * _further_persons(tiers, premises))
    if tiers.per_days is not None:
        factor = Fraction(moment.period_days, tiers.per_days)
        if tiers.factor_rounding is not None:
            factor = tiers.factor_rounding.of(factor)
        is_left = tiers.unscaled_days is not None and moment.period_days in range(
            tiers.unscaled_days[0], tiers.unscaled_days[1] + 1
        )
        bound *= 1 if is_left else factor
    if tiers.limit_rounding is not None:
        bound = 1000 * tiers.limit_rounding.of(bound / 1000)
    return bound.numerator // bound.denominator


def _multiple(per: Per, premises: Premises) -> Fraction:
    return {
        Per.ACCOUNT: Fraction(1),
        Per.PERSON: Fraction(premises.persons),
        Per.KILOWATT: Fraction(premises.capacity_w) / 1000,
    }[per]


def _further_persons(tiers: Tiers, premises: Premises) -> int:
    if tiers.persons_above is None or premises.persons <= tiers.persons_above:
        return 0
    return premises.persons - tiers.persons_above if tiers.each_person else 1


def _edges(plan: Plan, start_ms: int, end_ms: int) -> Iterator[int]:
    """The start, every minute at which something changes, and the end."""
    yield start_ms
    begins = {stage.from_ms for stage in plan} | {each.from_ms for stage in plan for each in stage.tariff.versions}
    ruling = _ruling(plan, start_ms)
    for minute_ms in range(start_ms // MINUTE_MS * MINUTE_MS + MINUTE_MS, end_ms, MINUTE_MS):
        tariff = plan[ruling[0].stage].tariff
        now = _local(tariff, minute_ms)
        slots = {minute for profile in _season(plan, ruling[0]).profiles for minute, _ in profile}
        is_candidate = now.minute == 0 or now.hour * 60 + now.minute in slots
        if not (is_candidate or minute_ms in begins or now.utcoffset() != ruling[1]):
            continue
        before, ruling = ruling, _ruling(plan, minute_ms)
        if ruling != before or now.minute == 0:
            yield minute_ms
    yield end_ms


def _ruling(plan: Plan, utc_ms: int) -> tuple[Moment, timedelta | None]:
    """What rules an instant, and the UTC offset of the zone in which it does: another tariff may be in another zone."""
    moment = moment_of(plan, utc_ms)
    return moment, _local(plan[moment.stage].tariff, utc_ms).utcoffset()


def moment_of(plan: Plan, utc_ms: int) -> Moment:
    """All that a piece has one of."""
    stage = _stage(plan, utc_ms)
    tariff, index = stage.tariff, plan.index(stage) if len(plan) > 1 else 0
    number = _version_number(tariff, utc_ms)
    version, now = tariff.versions[number], _local(tariff, utc_ms)
    place = next(n for n, season in enumerate(version.seasons) if season.covers(now.month, now.day))
    season, day = version.seasons[place], now.toordinal() - _EPOCH_DAY
    minute = now.hour * 60 + now.minute
    profile = season.profiles[_profile(season, tariff, now.date(), day)]
    band = [band for start, band in profile if start <= minute][-1]
    first, following = _cycle(version.tiers, now.date())
    period = max(_midnight_minute(tariff.zone, first), _counted_from(plan, utc_ms) // MINUTE_MS)
    return Moment(index, number, place, band, day, period, (following - first).days)


def _profile(season: Season, tariff: Tariff, today: date, day: int) -> int:
    """The day profile: a named day's, else a make-up workday's, else a holiday's, else the weekday's."""
    named = [profile for name, profile in season.sets if day in tariff.calendar.sets[name]]
    if named:
        return named[0]
    if day in tariff.calendar.workdays and season.workday is not None:
        return season.workday
    if day in tariff.calendar.holidays and season.holiday is not None:
        return season.holiday
    return season.week[today.weekday()]


@lru_cache(maxsize=4096)
def _cycle(tiers: Tiers | None, today: date) -> tuple[date, date]:
    """First local day of the tier cycle, and of the next one, found by walking back and forth day by day."""
    if tiers is None:
        tiers = Tiers(Cycle.MONTH)
    first, following = today, today + timedelta(days=1)
    while not _is_first(tiers, first):
        first -= timedelta(days=1)
    while not _is_first(tiers, following):
        following += timedelta(days=1)
    return first, following


def _is_first(tiers: Tiers, day: date) -> bool:
    match tiers.cycle:
        case Cycle.DAY:
            return True
        case Cycle.MONTH:
            return day.day == tiers.day
        case Cycle.TWO_MONTHS:
            return day.day == tiers.day and (day.month - tiers.month) % 2 == 0
        case Cycle.YEAR:
            return (day.month, day.day) == (tiers.month, tiers.day)


@lru_cache(maxsize=4096)
def _midnight_minute(zone_name: str, day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=zone(zone_name)).timestamp()) // 60


def _counted_from(plan: Plan, utc_ms: int) -> int:
    """The latest time, ms UTC, at which a change of version or assignment until `utc_ms` began the count anew; 0: none did."""
    begins = sorted(
        {stage.from_ms for stage in plan[1:]} | {each.from_ms for stage in plan for each in stage.tariff.versions[1:]}
    )
    latest = 0
    for at in begins:
        if at > utc_ms:
            break
        stage, before = _stage(plan, at), _stage(plan, at - 1)
        version = stage.tariff.versions[_version_number(stage.tariff, at)]
        earlier = before.tariff.versions[_version_number(before.tariff, at - 1)]
        is_assigned = stage is not before and stage.restart
        is_version = version.from_ms == at and version is not stage.tariff.versions[0]
        restarts = is_version and version.tiers is not None and version.tiers.restart
        if is_assigned or restarts or _rhythm(version, stage.tariff) != _rhythm(earlier, before.tariff):
            latest = at
    return latest


def _rhythm(version: Version, tariff: Tariff) -> tuple[object, ...]:
    tiers = version.tiers or Tiers(Cycle.MONTH)
    return tiers.cycle, tiers.month, tiers.day, tariff.zone


def _season(plan: Plan, moment: Moment) -> Season:
    return _version(plan, moment).seasons[moment.season]


def _version(plan: Plan, moment: Moment) -> Version:
    return plan[moment.stage].tariff.versions[moment.version]


def _stage(plan: Plan, utc_ms: int) -> Stage:
    """The latest stage that has begun; before all of them, the first."""
    return [plan[0], *(stage for stage in plan[1:] if stage.from_ms <= utc_ms)][-1]


def _version_number(tariff: Tariff, utc_ms: int) -> int:
    """The latest version that has begun; before all of them, the first."""
    return max(n for n, version in enumerate(tariff.versions) if n == 0 or version.from_ms <= utc_ms)


def _local(tariff: Tariff, utc_ms: int) -> datetime:
    return datetime.fromtimestamp(utc_ms // 1000, UTC).astimezone(zone(tariff.zone))
