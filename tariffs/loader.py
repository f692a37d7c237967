"""Tariff files read into `Tariff`, the plain values that pricing works on, and the catalogue of files that we ship."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from fractions import Fraction
from importlib.resources import files

from domain import documents
from domain.documents import Mistake, MistakesError
from domain.words import Commodity
from tariffs import model
from tariffs.calendar import calendar_of, first_year, needs_sealing
from tariffs.composition import Composed, compose
from tariffs.levels import LEVELS_MAX, levels
from tariffs.meter_bands import registers_of
from tariffs.model import HOLIDAY, WORKDAY
from tariffs.periods import EPOCH, midnight_ms
from tariffs.tariff import (
    Bound,
    Charge,
    DayProfile,
    Demand,
    Every,
    Percentage,
    Premises,
    Schedule,
    Season,
    Standing,
    Tariff,
    Tiers,
    Version,
)
from tariffs.values import rule_of, weekdays

TOP_TITLE = {
    Commodity.ELECTRICITY: {"zh": "电费", "en": "Energy"},
    Commodity.WATER: {"zh": "水费", "en": "Water"},
}
"""What a bill calls the price at the top of a version."""
_WATT_HOURS = 1000
_HUNDRED = 100


def load_tariff(text: str, name: str = "tariff") -> Tariff:
    """Read a tariff file's text, TOML or JSON; `name` is what its mistakes call it.

    Raises documents.MistakesError with all of them.
    """
    part = documents.load(model.TariffPart, text, name)
    bands = _bands(part)
    placed = [(_from_ms(version.from_, part.zone), version) for version in part.version]
    latest = dict(placed)
    commodity = Commodity[part.commodity.upper()]
    versions = tuple(_version(from_ms, latest[from_ms], bands, commodity) for from_ms in sorted(latest))
    _check_levels(text, name, placed, versions)
    calendar = calendar_of(part.calendar, part.sealed_calendar, first_year(part))
    return Tariff(
        id=part.tariff,
        title=part.title.by_language(),
        commodity=commodity,
        currency=part.currency,
        zone=part.zone,
        bands=bands,
        versions=versions,
        calendar=calendar,
        source=part.source,
        published=part.published,
        notes=tuple(_notes(placed, calendar.known_until)),
        registers=registers_of(part, bands, versions, text, name),
    )


def catalogue() -> dict[str, str]:
    """The tariff files that we ship, as text, by tariff id."""
    folder = files("tariffs").joinpath("catalogue")
    ids = [file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml")]
    return {tariff: folder.joinpath(f"{tariff}.toml").read_text(encoding="utf-8") for tariff in sorted(ids)}


def is_self_contained(text: str) -> bool:
    """Whether a tariff document carries all of its days itself (see `calendar.sealed`), as one in a log must."""
    return not needs_sealing(json.loads(text) if documents.is_json(text) else documents.parse(text, "tariff"))


def _notes(placed: list[tuple[int, model.VersionPart]], known_until: int | None) -> Iterator[str]:
    for index, (from_ms, part) in enumerate(placed):
        later = [number for number, (other, _) in enumerate(placed) if other == from_ms and number > index]
        if later:
            yield (
                f"version {index + 1} of the file, from {part.from_}, is replaced by version {later[-1] + 1},"
                " which begins at the same time and stands later"
            )
    if known_until is not None:
        until = date.fromordinal(known_until + EPOCH.toordinal())
        yield f"public holidays and make-up working days are decided until {until}; later years have statutory days only"


def _check_levels(
    text: str, name: str, placed: list[tuple[int, model.VersionPart]], versions: tuple[Version, ...]
) -> None:
    """Refuse more tiers than any publication has: each costs memory for every price."""
    for version in versions:
        index = max(n for n, (from_ms, _) in enumerate(placed) if from_ms == version.from_ms)
        count = max(len(levels(version, season, Premises(1, _WATT_HOURS), 30).edges) for season in version.seasons)
        if count > LEVELS_MAX:
            expected = f"at most {LEVELS_MAX} different limits in a version"
            line = documents.lines_of(text).of(("version", index))
            raise MistakesError(name, [Mistake(line, f"version[{index}]", str(count), expected)])


def _version(from_ms: int, part: model.VersionPart, bands: tuple[str, ...], commodity: Commodity) -> Version:
    made = [(season, compose(part, season)) for season in (*part.season, None)]
    return Version(
        from_ms=from_ms,
        seasons=tuple(_season(part, season, each, bands) for season, each in made),
        tiers=_tiers(part.tiers),
        components=tuple(replace(each, title=each.title or TOP_TITLE[commodity]) for each in made[-1][1].components),
        charges=tuple(_charge(each, part, bands) for each in part.charge),
        line_rounding=rule_of(part.round.line),
        bill_rounding=rule_of(part.round.bill),
    )


def _season(
    part: model.VersionPart, season: model.SeasonPart | None, composed: Composed, bands: tuple[str, ...]
) -> Season:
    profiles, week = part.profiles(season), part.week_of(season)
    number = {name: index for index, name in enumerate(profiles)}
    by_weekday: dict[int, int] = {}
    for names, profile in week.items():
        if not _is_kind(names):
            by_weekday |= dict.fromkeys(weekdays(names), number[profile])
    return Season(
        name=season.name if season else "",
        ranges=season.ranges() if season else (),
        profiles=tuple(_profile(slots, bands) for slots in profiles.values()),
        week=tuple(by_weekday[day] for day in range(7)),
        holiday=number[week[HOLIDAY]] if HOLIDAY in week else None,
        workday=number[week[WORKDAY]] if WORKDAY in week else None,
        sets=tuple(
            (names, number[profile])
            for names, profile in week.items()
            if _is_kind(names) and names not in {HOLIDAY, WORKDAY}
        ),
        rates=tuple(
            tuple(
                Schedule(
                    schedule.up_to, schedule.limits, schedule.adds, tuple(schedule.prices.get(band) for band in bands)
                )
                for schedule in schedules
            )
            for schedules in composed.rates
        ),
    )


def _is_kind(names: str) -> bool:
    """Whether a key of a week is a kind of day and not a set of weekdays."""
    try:
        list(weekdays(names))
    except ValueError:
        return True
    return False


def _profile(slots: list[tuple[int, str]], bands: tuple[str, ...]) -> DayProfile:
    return tuple((minute, bands.index(band)) for minute, band in slots)


def _tiers(part: model.TiersPart | None) -> Tiers | None:
    if part is None:
        return None
    days, persons = part.days, part.persons
    month, day = part.begin or (1, 1)
    return Tiers(
        cycle=part.cycle,
        month=month or 1,
        day=day,
        restart=part.counter == "restart",
        per=part.per,
        persons_above=persons.above if persons else None,
        each_person=persons.each if persons else True,
        per_days=days.per if days else None,
        factor_rounding=rule_of(days.factor_round) if days else None,
        unscaled_days=(days.unscaled[0], days.unscaled[1]) if days and days.unscaled else None,
        limit_rounding=rule_of(days.limit_round) if days else None,
    )


def _charge(part: model.ChargePart, version: model.VersionPart, bands: tuple[str, ...]) -> Charge:
    name, title, of = part.name, part.title.by_language(), tuple(part.of)
    rounding = rule_of(part.round) or rule_of(version.round.line)
    every = part.every or Every.BILL
    match part.kind:
        case "amount" | "brackets":
            amounts = [(bracket.up_to, bracket.amount) for bracket in part.brackets or ()]
            amounts = amounts or [(None, part.amount or Fraction(0))]
            return Standing(id=name, title=title, rounding=rounding, amounts=tuple(amounts), every=every, per=part.per)
        case "percent":
            rate = (part.percent or Fraction(0)) / _HUNDRED
            return Percentage(id=name, title=title, rounding=rounding, of=of, rate=rate, exact=part.exact)
        case "demand":
            return Demand(
                id=name,
                title=title,
                rounding=rounding,
                prices=tuple(part.demand or ()),
                limits=tuple(part.limits),
                bands=tuple(bands.index(band) for band in part.bands),
                minutes=part.minutes,
                least_share=part.least_share or Fraction(0),
            )
        case _:
            return Bound(
                id=name, title=title, rounding=rounding, of=of, minimum=part.minimum, maximum=part.maximum, every=every
            )


def _bands(part: model.TariffPart) -> tuple[str, ...]:
    """In the file's order, not that of dates: a version that is appended never renumbers a band of an earlier one."""
    return tuple(dict.fromkeys(band for version in part.version for band in version.bands()))


def _from_ms(start: date, zone_name: str) -> int:
    """The instant of a local midnight or of a time with offset, ms UTC."""
    if isinstance(start, datetime):
        return int(start.timestamp()) * 1000
    return midnight_ms(start, zone_name)
