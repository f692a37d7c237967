"""Twenty-four Chinese time tables in our model, each half hour of each kind of day against the table as a person reads it."""

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta, timezone
from fractions import Fraction

import numpy as np
import pytest
from chinese_tables import (
    AGENT_PRICE,
    COMPONENTS,
    EVENTS,
    FLOATING,
    MONTHS,
    PRICE_ROUND,
    SATURDAY,
    WEDNESDAY,
    Table,
    made_up_day,
    named_day,
    nth,
    plan,
    ratios_in,
    tables,
)

from domain.units import MINUTE_MS
from tariffs.rating import cost_of, moment_of
from tariffs.tariff import Rounding, RoundingMode
from tariffs.timeline import compile_timeline

TABLES = {table["region"]: table for table in tables()}
SHANGHAI = timezone(timedelta(hours=8))
HALF_HOURS = [time(half // 2, half % 2 * 30) for half in range(48)]
DAYS = {
    "working day": lambda month: nth(month, WEDNESDAY, 3),
    "Saturday": lambda month: nth(month, SATURDAY, 3),
    "make-up Saturday": made_up_day,
    "named day": named_day,
}

pytestmark = pytest.mark.skipif(not TABLES, reason="this clone has no shared time tables beside it")


def is_in(at: time, window: str) -> bool:
    """Whether a window such as 23:00-07:00 has this time; its end is not in it."""
    begin, end = window.split("-")
    clock = at.strftime("%H:%M")
    return begin <= clock < end if begin < end else clock >= begin or clock < end


def is_special(region: str, month: int, kind: str) -> bool:
    """Whether a kind of day meets the condition of the region's overlay, as its words say."""
    if region == "Shanghai two-part":  # Holidays, and rest days of February to June and September to November.
        return kind == "named day" or (kind == "Saturday" and month in {2, 3, 4, 5, 6, 9, 10, 11})
    return region in EVENTS and kind == "named day"


def read(table: Table, month: int, kind: str, at: time) -> str:
    """The band of a time as a person finds it: the last overlay that is for the day, else the window, else the rest."""
    found = ""
    for base in table["base"]:
        if month in base["months"]:
            found = next((band for band, windows in base["periods"].items() if windows == ["REST"]), "")
            for band, windows in base["periods"].items():
                if windows != ["REST"] and any(is_in(at, window) for window in windows):
                    found = band
    for overlay in table.get("overlay", []):
        by_month = month in overlay.get("months", [] if "when" in overlay else MONTHS)
        by_day = "when" in overlay and is_special(table["region"], month, kind)
        if (by_month or by_day) and any(is_in(at, window) for window in overlay["windows"]):
            found = overlay["period"]
    return found


def ms(day: date, at: time) -> int:
    """The instant of a local time in China, ms UTC."""
    return int(datetime.combine(day, at, SHANGHAI).astimezone(UTC).timestamp()) * 1000


@pytest.mark.parametrize("region", TABLES)
def test_every_half_hour_is_in_the_band_of_its_table(region: str) -> None:
    """12 months × working day, Saturday, worked Saturday, named day × 48, by the slow calendar and the compiled timeline."""
    table = TABLES[region]
    household = plan(table)
    bands = household[0].tariff.bands
    segments = compile_timeline([household], ms(date(2025, 1, 1), time()), ms(date(2026, 1, 1), time())).segments

    for month in MONTHS:
        for kind, day_of in DAYS.items():
            expected = [read(table, month, kind, at) for at in HALF_HOURS]
            instants = [ms(day_of(month), at) for at in HALF_HOURS]
            places = np.searchsorted(segments["start"], instants, side="right") - 1

            assert [bands[moment_of(household, at).band] for at in instants] == expected, (month, kind)
            assert [bands[band] for band in segments["band"][places].tolist()] == expected, (month, kind)


@pytest.mark.parametrize("region", TABLES)
def test_the_reading_has_the_hours_that_the_table_states(region: str) -> None:
    """Without its overlays, a table has as many hours of each band as it says: the reading above reads it right."""
    table = {**TABLES[region], "overlay": []}

    for base in table["base"]:
        for month in base["months"]:
            halves = Counter(read(table, month, "working day", at) for at in HALF_HOURS)
            assert {band: half / 2 for band, half in halves.items()} == base["hours"]


@pytest.mark.parametrize("region", TABLES)
def test_ratios_multiply_what_floats_in_each_month(region: str) -> None:
    """In every month each band costs its ratio times what floats, and the rest as it is, rounded where the table says so."""
    household = plan(TABLES[region])
    bands = household[0].tariff.bands
    floats = sum((Fraction(COMPONENTS[name]) for name in FLOATING.get(region, ())), Fraction(AGENT_PRICE))
    stays = sum((Fraction(price) for price in COMPONENTS.values()), Fraction(AGENT_PRICE)) - floats
    rule = Rounding(Fraction(PRICE_ROUND[region]["step"]), RoundingMode.HALF_UP) if region in PRICE_ROUND else None

    for month in MONTHS:
        for at in HALF_HOURS:
            begin = ms(named_day(month), at)
            (piece,) = cost_of(household, begin, begin + MINUTE_MS, 1).pieces
            exact = floats * Fraction(ratios_in(region, month)[bands[piece.moment.band]]) + stays
            assert Fraction(piece.price, 10**9) == (rule.of(exact) if rule else exact)


def test_all_tables_are_checked() -> None:
    """24 regions, of which five have overlays for days that somebody names or the state announces."""
    conditions = {
        region for region, table in TABLES.items() if any("when" in each for each in table.get("overlay", ()))
    }

    assert len(TABLES) == 24
    assert conditions == set(EVENTS)
