"""`meterline tariff show`: a tariff drawn in the terminal."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from commands.endings import refused
from commands.tariff import draw
from commands.tariff.files import TariffArgument, tariff_of
from commands.tariff.times import local_text
from commands.tariff.words import charge_text, rounding_text, tiers_text
from tariffs.bill import UNITS
from tariffs.charges import decimal_text
from tariffs.periods import EPOCH, midnight_ms
from tariffs.spans import ruling
from tariffs.tariff import Component, Schedule, Season, Tariff, Version, plan_of
from tariffs.values import WEEKDAYS
from tariffs.zones import zone

Day = tuple[str, int]
"""A kind of day and its profile."""


def show(
    tariff: TariffArgument,
    day: Annotated[
        str | None, typer.Option("--date", help="Show what rules on it; else today.", metavar="DATE")
    ] = None,
) -> None:
    """Draw a tariff: its days in bands, its seasons, the steps of its prices, its charges and versions."""
    found = tariff_of(tariff)
    asked = _day(day, found)
    console = Console(highlight=False)
    for text in _drawing(found, asked):
        console.print(_hung(text))


def _hung(text: Text) -> Padding:
    """A line whose continuations are indented as it is."""
    indent = len(text.plain) - len(text.plain.lstrip(" "))
    return Padding(text[indent:], (0, 0, 0, indent), expand=False)


def _day(text: str | None, tariff: Tariff) -> date:
    try:
        return date.fromisoformat(text) if text else datetime.now(UTC).astimezone(zone(tariff.zone)).date()
    except ValueError:
        raise refused(f"--date: found {text!r}; expected a date such as 2025-01-31") from None


def _drawing(tariff: Tariff, day: date) -> Iterator[Text]:
    number = ruling(plan_of(tariff), max(0, midnight_ms(day, tariff.zone)))[1]
    version, unit = tariff.versions[number], UNITS[tariff.commodity]
    yield Text(tariff.title["zh"], "bold")
    yield Text(tariff.title["en"], "bold")
    yield Text(f"{tariff.id}, {tariff.commodity.name.lower()}, {tariff.currency} per {unit}, {tariff.zone}")
    yield Text(f"source: {tariff.source}", "dim")
    yield from (Text(f"note: {note}", "dim") for note in tariff.notes)
    yield from _versions(tariff, number)
    yield from _that_day(tariff, version, day)
    if len(version.seasons) > 1:
        yield _heading("The year")
        yield from draw.year_strip(version)
    if _has_bands(version):
        yield _heading("The day")
        yield from _days(tariff, version)
    yield _heading(f"The price, {tariff.currency} per {unit}")
    if version.tiers is not None:
        yield Text(f"  {tiers_text(version.tiers, version, unit)}")
    yield from _prices(tariff, version, unit)
    if version.charges or version.bill_rounding:
        yield _heading("Further lines of a bill")
        yield from (Text(f"  {charge_text(charge, tariff, unit)}") for charge in version.charges)
        if version.bill_rounding is not None:
            yield Text(f"  the total is {rounding_text(version.bill_rounding)}")


def _has_bands(version: Version) -> bool:
    return len({profile for season in version.seasons for profile in season.profiles}) > 1 or any(
        len(profile) > 1 for season in version.seasons for profile in season.profiles
    )


def _heading(text: str) -> Text:
    return Text(f"\n{text}", "bold")


def _versions(tariff: Tariff, shown: int) -> Iterator[Text]:
    if len(tariff.versions) == 1:
        yield Text(f"in force from {local_text(tariff.versions[0].from_ms, tariff.zone)}")
        return
    yield Text("versions")
    for index, version in enumerate(tariff.versions):
        begins = local_text(version.from_ms, tariff.zone)
        is_shown = index == shown
        yield Text(f"  {'→' if is_shown else ' '} from {begins}{', shown here' if is_shown else ''}")


def _that_day(tariff: Tariff, version: Version, day: date) -> Iterator[Text]:
    """What rules on the asked day, where days or seasons differ."""
    if len(version.seasons) == 1 and not _has_bands(version):
        return
    number = (day - EPOCH).days
    season = next(each for each in version.seasons if each.covers(day.month, day.day))
    kinds = [f"in {name}" for name, _ in season.sets if number in tariff.calendar.sets[name]]
    kinds += ["a make-up workday"] if number in tariff.calendar.workdays else []
    kinds += ["a public holiday"] if number in tariff.calendar.holidays else []
    words = [f"{day} is a {day:%A}", *kinds]
    words += [f"in season {season.name}"] if season.name else []
    profile = season.profiles[season.profile_of(tariff.calendar, number)]
    yield Text(f"{', '.join(words)}: {draw.day_slots(profile, tariff.bands)}")


def _days(tariff: Tariff, version: Version) -> Iterator[Text]:
    marks = draw.band_marks(version)
    yield draw.hours_axis()
    groups: list[tuple[list[Season], list[Day]]] = []
    for season in version.seasons:
        days = _kinds(season)
        same = next((g for g in groups if _look(g[0][0], g[1]) == _look(season, days)), None)
        if same:
            same[0].append(season)
        else:
            groups.append(([season], days))
    for seasons, days in groups:
        if len(groups) > 1:
            yield Text(", ".join(map(draw.season_name, seasons)), "underline")
        for label, profile in days:
            slots = seasons[0].profiles[profile]
            yield draw.day_bar(label, slots, marks)
            yield Text(f"  {draw.day_slots(slots, tariff.bands)}", "dim")
    legend = Text(" " * draw.LABEL)
    for band, (mark, colour) in marks.items():
        legend.append(mark * 2, colour).append(f" {tariff.bands[band]}  ")
    yield legend


def _look(season: Season, days: list[Day]) -> list[tuple[str, object]]:
    return [(label, season.profiles[profile]) for label, profile in days]


def _kinds(season: Season) -> list[Day]:
    """Kinds of days by profile: weekdays in runs, then holidays, make-up workdays and named days."""
    kinds: dict[int, list[str]] = {}
    for profile in dict.fromkeys(season.week):
        kinds[profile] = [_weekdays([day for day in range(7) if season.week[day] == profile])]
    for name, of in (("holidays", season.holiday), ("make-up workdays", season.workday), *season.sets):
        if of is not None:
            kinds.setdefault(of, []).append(name)
    return [(", ".join(names), profile) for profile, names in kinds.items()]


def _weekdays(days: list[int]) -> str:
    if len(days) == 7:
        return "every day"
    names = [WEEKDAYS[day].capitalize() for day in days]
    is_run = len(days) > 2 and days == list(range(days[0], days[-1] + 1))
    return f"{names[0]}-{names[-1]}" if is_run else ", ".join(names)


def _prices(tariff: Tariff, version: Version, unit: str) -> Iterator[Text]:
    groups: list[list[Season]] = []
    for season in version.seasons:
        same = next((group for group in groups if group[0].rates == season.rates), None)
        if same:
            same.append(season)
        else:
            groups.append([season])
    most = max(_all_prices(version), default=0)
    for seasons in groups:
        if len(groups) > 1:
            yield Text(f"  {', '.join(map(draw.season_name, seasons))}", "underline")
        for component, column in zip(version.components, seasons[0].rates, strict=True):
            yield from _component(tariff, version, component, column, most, unit)


def _all_prices(version: Version) -> Iterator[int]:
    for season in version.seasons:
        for column in season.rates:
            for schedule in column:
                yield from (price for row in schedule.prices for price in row or ())


def _component(
    tariff: Tariff, version: Version, component: Component, column: tuple[Schedule, ...], most: int, unit: str
) -> Iterator[Text]:
    """A line for each band and tier, with its price as a bar; one for all bands where they have one price."""
    factor = f", {decimal_text(component.factor)} of the metered use" if component.factor != 1 else ""
    rule = f", its line {rounding_text(component.rounding)}" if component.rounding else ""
    yield Text(f"  {component.title['zh']} · {component.title['en']}{factor}{rule}", "italic")
    marks = draw.band_marks(version)
    for schedule in column:
        if len(column) > 1:
            yield Text(
                f"    whole use {f'up to {draw.plain_quantity(schedule.up_to)} {unit}' if schedule.up_to else 'above'}"
            )
        rows = {band: row for band in marks if (row := schedule.prices[band]) is not None}
        is_same = len(set(rows.values())) == 1 and len(rows) > 1
        shown = dict(list(rows.items())[:1]) if is_same else rows
        for band, prices in shown.items():
            name = "all bands" if is_same else tariff.bands[band]
            mark = ("■", "white") if is_same or len(marks) == 1 else marks[band]
            for tier, price in zip(draw.tier_texts(schedule.limits, unit), prices, strict=True):
                label = draw.padded(name, 13) + " " + draw.padded(tier, 19)
                yield Text(f"    {label} {draw.price_text(price):>11} ").append_text(draw.step_bar(price, most, mark))
                name = ""
