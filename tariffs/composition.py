"""What a version's tables say together: the price of each component by band and tier, in one season of the year.

Prices come as one price or by band, by tier or not, with ratios, adders and factors, in the version or in a season. Here
they become plain tables of nanos, or mistakes with their places. All arithmetic is exact.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from domain.documents import Path
from domain.units import NANOS_PER_UNIT, PRICE_MAX_NANOS
from tariffs.tariff import Component, Rounding
from tariffs.values import Found, TitlePart, listed, nanos_text, rule_of

if TYPE_CHECKING:
    from tariffs.model import SeasonPart, VersionPart

ENERGY = "energy"
_NO_TITLE: dict[str, str] = {}
"""Of the component at the top of a version: the commodity names it."""

Exact = dict[str, list[Fraction]]
"""Nanos by band and tier, not yet rounded."""


@dataclass(frozen=True, slots=True)
class NamedSchedule:
    """A `tariff.Schedule` whose bands still have their names."""

    up_to: int | None
    limits: tuple[int, ...]
    adds: tuple[int, ...]
    prices: dict[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Composed:
    """Components in order, the schedules of each, and what is wrong with them."""

    components: tuple[Component, ...]
    rates: tuple[tuple[NamedSchedule, ...], ...]
    mistakes: list[Found]


@dataclass(slots=True)
class _Table:
    """Exact prices of one schedule of a component. `at`: where the file gives them."""

    at: Path
    up_to: int | None
    limits: tuple[int, ...]
    adds: tuple[int, ...]
    prices: Exact


class _Source:
    """The tables that may speak for one component, the most particular first: each with its path."""

    def __init__(self, name: str, parts: list[tuple[Path, Any]], part: Any) -> None:
        self.name, self.parts, self.part = name, parts, part

    @property
    def is_top(self) -> bool:
        """Whether the price stands at the top of the version. A `[[component]]` may be called energy too, where none does."""
        return self.parts[-1][0] == ()

    def first(self, *keys: str) -> tuple[Path, Any]:
        """The first value that is given for any of the keys, and its path; None where there is none."""
        for path, part in self.parts:
            for key in keys:
                value = getattr(part, key, None)
                if value is not None:
                    return (*path, key), value
        return ((*self.parts[-1][0], keys[-1]), None)


def compose(version: "VersionPart", season: "SeasonPart | None") -> Composed:
    """The prices of a version in one of its seasons; None: in the rest of the year."""
    mistakes: list[Found] = []
    sources = list(_sources(version, season))
    if not sources:
        mistakes.append((("prices",), "either one price, or prices by band, and not both", None))
    tables = [_tables(version, season, source, mistakes) for source in sources]
    components = tuple(_component(version, source) for source in sources)
    if version.price_round is not None and not mistakes:
        _round_sums(version, sources, tables, mistakes)
    rates = tuple(tuple(_whole(table, mistakes) for table in each) for each in tables)
    return Composed(components, rates, mistakes)


def _sources(version: "VersionPart", season: "SeasonPart | None") -> Iterator[_Source]:
    at: Path = () if season is None else ("season", version.season.index(season))
    seasonal: list[tuple[Path, Any]] = [] if season is None else [(at, season)]
    if version.price or version.prices or version.schedule or (season and (season.price or season.prices)):
        yield _Source(ENERGY, [*seasonal, ((), version)], version)
    for index, part in enumerate(version.component):
        own = [
            ((*at, "component", place), other)
            for place, other in enumerate(season.component if season else ())
            if other.name == part.name
        ]
        yield _Source(part.name, [*own, (("component", index), part)], part)


def _component(version: "VersionPart", source: _Source) -> Component:
    part = source.part
    if source.is_top:
        return Component(ENERGY, _NO_TITLE, part.factor or Fraction(1), rule_of(version.round.line))
    title: TitlePart = part.title
    return Component(
        part.name,
        title.by_language(),
        part.factor or Fraction(1),
        rule_of(part.round) or rule_of(version.round.line),
        rule_of(part.usage_round),
    )


def _tables(
    version: "VersionPart", season: "SeasonPart | None", source: _Source, mistakes: list[Found]
) -> list[_Table]:
    """The schedules of a component with exact prices."""
    price_at, given = source.first("price", "prices")
    schedules = source.part.schedule
    if given is None and not schedules:
        mistakes.append((price_at[:-1], "a price, prices by band, or schedules", None))
        return []
    adders_at, adders = source.first("adders")
    convert = _Conversion(version, season, source, adders or (0,), source.is_top or source.part.floats)
    if schedules and (given is None or given in (source.part.price, source.part.prices)):
        for place, beside in ((price_at, given), (adders_at, adders)):
            if beside is not None:
                mistakes.append((place, "no such key beside schedules, which have prices of their own", beside))
        return _scheduled(convert, schedules, source, mistakes)
    limits, adds = _limits(version, season, source)
    count = _tiers_of(version, source, limits, ((adders_at, adders), (price_at, given)), mistakes)
    if count is None:
        return []
    prices = {band: [_at(row, tier) for tier in range(count)] for band, row in convert.of(given).items()}
    mistakes.extend(_uncovered(version, season, prices, price_at))
    if count == 1:
        return [_Table(price_at, None, (), (), prices)]
    if version.tiers is not None and version.tiers.mode == "volume":
        tops: list[int | None] = [*limits, None]
        return [
            _Table(price_at, top, (), (), {band: [row[tier]] for band, row in prices.items()})
            for tier, top in enumerate(tops)
        ]
    return [_Table(price_at, None, limits, adds, prices)]


def _tiers_of(
    version: "VersionPart",
    source: _Source,
    limits: tuple[int, ...],
    tables: tuple[tuple[Path, Any], ...],
    mistakes: list[Found],
) -> int | None:
    """In how many tiers a component is priced; None where its tables do not fit its limits."""
    counts = {len(row) for _, given in tables if given is not None for row in _rows(given)} - {1}
    if not counts and not source.is_top and source.first("limits")[1]:
        mistakes.append((source.first("limits")[0], "prices by tier where there are limits", None))
    if counts and (version.tiers is None or counts != {len(limits) + 1}):
        for place, given in tables:
            if given is not None and any(len(row) > 1 and len(row) != len(limits) + 1 for row in _rows(given)):
                mistakes.append((place, _tiers_expected(version, len(limits) + 1), _told(given)))
        if version.tiers is None and not mistakes:
            mistakes.append((tables[-1][0], _tiers_expected(version, 0), _told(tables[-1][1])))
        return None
    return max(counts, default=1)


def _rows(given: Any) -> list[tuple[int, ...]]:
    return list(given.values()) if isinstance(given, dict) else [given]


def _told(given: Any) -> str:
    """What is said to be found: how many prices there are, by band where they differ."""
    if isinstance(given, dict):
        return ", ".join(f"{band}: {len(row)} prices" for band, row in given.items())
    return f"{len(given)} prices"


def _tiers_expected(version: "VersionPart", count: int) -> str:
    if version.tiers is None:
        return "one price; prices by tier need [version.tiers] with a cycle and limits"
    return f"one price, or one for each of the {count} tiers that the limits make"


def _limits(
    version: "VersionPart", season: "SeasonPart | None", source: _Source
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The tier limits of a component and what a further person adds to each."""
    if not source.is_top and source.first("limits")[1] is not None:
        return tuple(source.first("limits")[1]), ()
    shared = version.tiers.limits if version.tiers else []
    limits = season.limits if season is not None and season.limits is not None else shared
    persons = version.tiers.persons if version.tiers else None
    return tuple(limits), tuple(persons.adds) if persons else ()


@dataclass(frozen=True, slots=True)
class _Conversion:
    """From what the file gives to exact nanos by band and tier."""

    version: "VersionPart"
    season: "SeasonPart | None"
    source: _Source
    adders: tuple[int, ...]
    floats: bool

    def of(self, given: Any) -> Exact:
        """Prices by band: those that are given, or one price in every band, by the ratios where it floats."""
        ratios = (self.season.ratios if self.season and self.season.ratios else self.version.ratios) or {}
        one = Fraction(1)
        if isinstance(given, dict):
            return {band: self._row(row, one) for band, row in given.items()}
        if self.floats and ratios:
            return {band: self._row(given, ratio) for band, ratio in ratios.items()}
        return {band: self._row(given, one) for band in self.version.bands()}

    def _row(self, prices: tuple[int, ...], ratio: Fraction) -> list[Fraction]:
        count = max(len(prices), len(self.adders))
        share = ratio if getattr(self.source.part, "adders_float", False) else Fraction(1)
        factor = self.source.part.factor or Fraction(1)
        return [
            (prices[min(tier, len(prices) - 1)] * ratio + self.adders[min(tier, len(self.adders) - 1)] * share) * factor
            for tier in range(count)
        ]


def _scheduled(convert: _Conversion, schedules: list[Any], source: _Source, mistakes: list[Found]) -> list[_Table]:
    """Tables of `[[schedule]]`s, with rising `up_to`, the last without one."""
    path = source.parts[-1][0]
    tops = [part.up_to for part in schedules]
    rising = [top for top in tops if top is not None]
    if tops[-1] is not None or len(rising) != len(tops) - 1 or rising != sorted(set(rising)):
        mistakes.append(((*path, "schedule"), "schedules with rising up_to, the last without one", len(tops)))
    if convert.version.tiers is None:
        mistakes.append(((*path, "schedule"), "[version.tiers] with a cycle, in which use is counted", "none"))
    tables = []
    for index, part in enumerate(schedules):
        given = part.price if part.price is not None else part.prices
        at = (*path, "schedule", index, "price" if part.price is not None else "prices")
        count = len(part.limits) + 1
        if any(len(row) not in {1, count} for row in _rows(given)):
            mistakes.append((at, _tiers_expected(convert.version, count), _told(given)))
            continue
        prices = {band: [_at(row, tier) for tier in range(count)] for band, row in convert.of(given).items()}
        tables.append(_Table(at, part.up_to, tuple(part.limits), (), prices))
        mistakes.extend(_uncovered(convert.version, convert.season, prices, at))
    return tables


def _uncovered(version: "VersionPart", season: "SeasonPart | None", prices: Exact, at: Path) -> Iterator[Found]:
    """Bands that the days of a season use and that have no price."""
    profiles = version.profiles(season)
    used = {band for name in version.week_of(season).values() for _, band in profiles[name]}
    for band in sorted(used - prices.keys()):
        yield at, f"a price for band {band}, which the days use", listed(prices)


def _round_sums(
    version: "VersionPart", sources: list[_Source], tables: list[list[_Table]], mistakes: list[Found]
) -> None:
    """Round the sum of all components in each band and tier; the first that floats carries the difference."""
    assert version.price_round is not None
    rule = version.price_round.rule()
    if len({tuple(table.up_to for table in each) for each in tables}) > 1:
        mistakes.append((("price_round",), "components with the same schedules where sums are rounded", len(tables)))
        return
    for column in zip(*tables, strict=True):
        _round_column(rule, sources, list(column), mistakes)


def _round_column(rule: Rounding, sources: list[_Source], tables: list[_Table], mistakes: list[Found]) -> None:
    carrier = next((n for n, source in enumerate(sources) if source.is_top or source.part.floats), 0)
    target = tables[carrier]
    others = [table for n, table in enumerate(tables) if n != carrier]
    ladders = {table.limits: table.adds for table in (target, *others) if table.limits}
    if len(ladders) > 1:
        mistakes.append((("price_round",), "components with the same tier limits where sums are rounded", len(ladders)))
        return
    for target.limits, target.adds in ladders.items():
        target.prices = {
            band: [_at(row, tier) for tier in range(len(target.limits) + 1)] for band, row in target.prices.items()
        }
    for band, row in target.prices.items():
        for tier, price in enumerate(row):
            total = price + sum((_at(other.prices.get(band, [Fraction(0)]), tier) for other in others), Fraction(0))
            row[tier] = price + rule.of(total / NANOS_PER_UNIT) * NANOS_PER_UNIT - total


def _at(row: list[Fraction], tier: int) -> Fraction:
    return row[min(tier, len(row) - 1)]


def _whole(table: _Table, mistakes: list[Found]) -> NamedSchedule:
    """The table in whole nanos; a price finer than that is a mistake."""
    for band, row in table.prices.items():
        for price in row:
            if price.denominator != 1 or abs(price) > PRICE_MAX_NANOS:
                found = (
                    f"a price of at most 9 decimals and less than a million in band {band}, after ratio and factor;"
                    ' round it with price_round, such as { step = "0.000001" }'
                )
                mistakes.append((table.at, found, nanos_text(price)))
                break
    prices = {band: tuple(int(price) for price in row) for band, row in table.prices.items()}
    return NamedSchedule(table.up_to, table.limits, table.adds, prices)
