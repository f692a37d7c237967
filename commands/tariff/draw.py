"""Drawings of a tariff for the terminal: bars of days, the strip of a year, steps of prices.

Each band and season has a mark of its own besides its colour, so that a drawing is read without colours too. Widths are in
cells of the terminal, of which a Chinese character takes two.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from itertools import groupby

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from domain.units import NANOS_PER_UNIT, quantity_text
from tariffs.levels import NO_LIMIT
from tariffs.tariff import DayProfile, Season, Version

SHADES = "█▓▒░·"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
COLOURS = ("red", "yellow", "green", "cyan", "blue", "magenta")
HALF_HOURS = 48
LABEL = 24
STEP_BAR = 24
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH_CELLS = 4
_HALF_HOUR = 30
_LEAP_YEAR = 2024

Mark = tuple[str, str]
"""A character and its colour."""


def band_marks(version: Version) -> dict[int, Mark]:
    """A mark for each band of a version: the dearer, the darker; letters where there are more bands than shades."""
    dearest: dict[int, int] = {}
    for season in version.seasons:
        for band in {band for profile in season.profiles for _, band in profile}:
            price = sum((column[0].prices[band] or (0,))[0] for column in season.rates)
            dearest[band] = max(price, dearest.get(band, price))
    order = sorted(dearest, key=lambda band: (-dearest[band], band))
    marks = SHADES if len(order) <= len(SHADES) else LETTERS
    return {band: (marks[place], COLOURS[place % len(COLOURS)]) for place, band in enumerate(order)}


def season_marks(version: Version) -> list[Mark]:
    """A mark for each season, in their order: its number, or a dot for the rest of the year."""
    last = len(version.seasons) - 1
    return [
        ("·", "white") if place == last else (LETTERS[place % len(LETTERS)], COLOURS[place % len(COLOURS)])
        for place in range(last + 1)
    ]


def hours_axis() -> Text:
    """Above the bars of days: every third hour over its place."""
    return Text(" " * LABEL + "".join(f"{hour:<6}" for hour in range(0, 24, 3)) + "24", style="dim")


def day_bar(label: str, profile: DayProfile, marks: dict[int, Mark]) -> Text:
    """24 hours in half-hours; a half-hour with two bands shows the one that it begins with."""
    bar = Text(set_cell_size(label, LABEL - 1) + " ")
    cells = [marks[_band_at(profile, cell * _HALF_HOUR)] for cell in range(HALF_HOURS)]
    for (mark, colour), run in groupby(cells):
        bar.append(mark * len(list(run)), colour)
    return bar


def _band_at(profile: DayProfile, at: int) -> int:
    return next(band for minute, band in reversed(profile) if minute <= at)


def day_slots(profile: DayProfile, bands: Sequence[str]) -> str:
    """The same in words: `00:00 valley, 08:00 flat`."""
    return ", ".join(f"{minute // 60:02}:{minute % 60:02} {bands[band]}" for minute, band in profile)


def year_strip(version: Version) -> Iterator[Text]:
    """Twelve months in quarters, each marked with its season, and the names of the seasons."""
    marks = season_marks(version)
    yield Text(" " * (LABEL - 12) + "".join(f"{name:<{_MONTH_CELLS + 1}}" for name in MONTHS), style="dim")
    strip = Text(" " * (LABEL - 12))
    for month in range(1, 13):
        for quarter in range(_MONTH_CELLS):
            day = 4 + 8 * quarter  # 28 at most, which every month has
            number = next(n for n, each in enumerate(version.seasons) if each.covers(month, day))
            strip.append(*marks[number])
        strip.append(" ")
    yield strip
    for season, (mark, colour) in zip(version.seasons, marks, strict=True):
        yield Text(" " * (LABEL - 12)).append(mark, colour).append(f" {season_name(season)}: {season_days(season)}")


def season_name(season: Season) -> str:
    """Its name; the one that is without has what the others leave."""
    return season.name or "rest of the year"


def season_days(season: Season) -> str:
    """The days of a season as month-day, or that it has what no other has."""
    if not season.ranges:
        return "all days that no other season has"
    joined: list[list[tuple[int, int]]] = []
    for first, last in season.ranges:
        if joined and first == _following(joined[-1][1]):
            joined[-1][1] = last
        else:
            joined.append([first, last])
    return ", ".join(" to ".join(f"{month:02}-{min(day, _days(month)):02}" for month, day in each) for each in joined)


def _days(month: int) -> int:
    return (date(_LEAP_YEAR + month // 12, month % 12 + 1, 1) - timedelta(days=1)).day


def _following(last: tuple[int, int]) -> tuple[int, int]:
    after = date(_LEAP_YEAR, last[0], min(last[1], _days(last[0]))) + timedelta(days=1)
    return after.month, after.day


def tier_texts(limits: Sequence[int], unit: str) -> list[str]:
    """What each tier covers: `up to 260 kWh`, `up to 600 kWh`, `above`. One tier says nothing."""
    texts = [f"up to {plain_quantity(limit)} {unit}" for limit in limits if limit < NO_LIMIT]
    return [*texts, "above"] if texts else [""]


def plain_quantity(thousandths: int) -> str:
    """KWh or m³ without zeros that say nothing."""
    return quantity_text(thousandths).rstrip("0").rstrip(".")


def price_text(nanos: int) -> str:
    """A price with at least four decimals, exact."""
    whole, part = divmod(abs(nanos), NANOS_PER_UNIT)
    return f"{'-' if nanos < 0 else ''}{whole}.{f'{part:09}'.rstrip('0').ljust(4, '0')}"


def step_bar(nanos: int, most: int, mark: Mark) -> Text:
    """A price as a bar, the highest as long as there is room."""
    cells = round(max(nanos, 0) * STEP_BAR / most) if most > 0 else 0
    return Text(mark[0] * cells, mark[1])


def padded(text: str, cells: int) -> str:
    """Text with spaces to a width, and longer where it is longer."""
    return text + " " * max(0, cells - cell_len(text))
