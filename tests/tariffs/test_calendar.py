"""Which days are not what their weekday says, and that a published tariff carries them itself."""

import json
import tomllib
from datetime import date

import pytest

from domain.documents import MistakesError
from tariffs.calendar import sealed
from tariffs.loader import is_self_contained, load_tariff
from tariffs.public_days import LAST_YEAR, public_days
from tariffs.tariff import Calendar

TARIFF = """\
tariff = "shop"
title = { zh = "商铺", en = "Shop" }
commodity = "electricity"
currency = "CNY"
zone = "Asia/Shanghai"
source = "contract of 2025"
[calendar]
holidays = "CN"
[[version]]
from = 2026-01-01
prices = { peak = "1", valley = "0.5" }
[version.days]
work = [["00:00", "valley"], ["08:00", "peak"]]
rest = [["00:00", "valley"]]
[version.week]
"mon-fri" = "work"
"sat,sun" = "rest"
holiday = "rest"
workday = "work"
"""
# 国务院办公厅关于2026年部分节假日安排的通知: first and last day of each holiday, and the days worked for it.
NOTICE_2026 = {
    "New Year": ("01-01", "01-03", ["01-04"]),
    "Spring Festival": ("02-15", "02-23", ["02-14", "02-28"]),
    "Qingming": ("04-04", "04-06", []),
    "Labour Day": ("05-01", "05-05", ["05-09"]),
    "Dragon Boat": ("06-19", "06-21", []),
    "Mid-Autumn": ("09-25", "09-27", []),
    "National Day": ("10-01", "10-07", ["09-20", "10-10"]),
}


def number(day: str) -> int:
    """Local day number of a date."""
    return (date.fromisoformat(day) - date(1970, 1, 1)).days


def calendar(tables: str) -> Calendar:
    """The calendar of the tariff with other tables in place of its country."""
    return load_tariff(TARIFF.replace('holidays = "CN"\n', tables)).calendar


def of_year(days: frozenset[int], year: int) -> set[int]:
    """Those of a year."""
    return {day for day in days if number(f"{year}-01-01") <= day < number(f"{year + 1}-01-01")}


def test_the_holidays_of_2026_are_those_of_the_state_council() -> None:
    """Each holiday is its whole run, weekends in it and beside it included, and each day worked for it is a working day."""
    found = load_tariff(TARIFF).calendar

    runs = {
        day
        for first, last, _ in NOTICE_2026.values()
        for day in range(number(f"2026-{first}"), number(f"2026-{last}") + 1)
    }
    worked = {number(f"2026-{day}") for _, _, days in NOTICE_2026.values() for day in days}
    assert of_year(found.holidays, 2026) == runs
    assert of_year(found.workdays, 2026) == worked


def test_a_weekend_day_in_a_holiday_is_a_holiday_and_a_worked_one_is_not() -> None:
    """Saturday 21 February 2026 is Spring Festival; Saturday the 28th is worked; Saturday 7 March is a Saturday."""
    tariff = load_tariff(TARIFF)
    (season,) = tariff.versions[0].seasons

    found = [season.profile_of(tariff.calendar, number(f"2026-{day}")) for day in ("02-21", "02-28", "03-07", "02-23")]
    assert found == [1, 0, 1, 1]


def test_what_is_decided_and_what_only_the_law_says() -> None:
    """A reader is told from when on holidays are a guess, and the years before it are not one."""
    tariff = load_tariff(TARIFF)
    known = tariff.calendar.known_until

    assert known is not None
    assert known >= number("2026-12-31")
    (note,) = tariff.notes
    assert note.startswith("public holidays and make-up working days are decided until 20")
    assert max(tariff.calendar.workdays) <= known
    assert max(tariff.calendar.holidays) >= number(f"{LAST_YEAR}-10-01")


def test_what_is_decided_does_not_depend_on_the_first_version() -> None:
    """A tariff that begins after the last notice still knows how far the notices reach."""
    assert public_days("CN", 2035).known_until == public_days("CN", 2012).known_until


def test_working_days_are_of_the_years_that_were_asked_for() -> None:
    """The package also tells some of 2001 and 2006; they are no days of a tariff of today."""
    assert min(public_days("CN", 2026).workdays) == date(2026, 1, 4)


def test_a_part_of_a_country_has_its_own_days() -> None:
    """California keeps Cesar Chavez Day; weekends beside holidays are a holiday in China only."""
    california, nation = public_days("US-CA", 2026), public_days("US", 2026)

    assert date(2026, 3, 31) in california.holidays - nation.holidays
    assert date(2026, 5, 24) not in nation.holidays  # The Sunday before Memorial Day.
    assert nation.known_until is None


def test_a_file_adds_and_removes_days() -> None:
    """What a utility announces for itself goes before what the country says."""
    found = calendar('holidays = "CN"\nadd = [2026-02-14]\nremove = [2026-02-15]\nworkdays = [2026-10-02]\n')

    assert {number("2026-02-14"), number("2026-02-16")} <= found.holidays
    assert {number("2026-02-15"), number("2026-10-02")}.isdisjoint(found.holidays)
    assert number("2026-10-02") in found.workdays
    assert number("2026-02-14") not in found.workdays


def test_days_that_the_file_names() -> None:
    """A set of dates, and of dates from .. to, both ends included."""
    found = calendar('[calendar.sets]\nfestival = ["2026-02-15..2026-02-17", 2027-02-06]\n')

    assert found.sets == {"festival": {number(day) for day in ("2026-02-15", "2026-02-16", "2026-02-17", "2027-02-06")}}
    assert (found.holidays, found.known_until) == (frozenset(), None)


MISTAKES = {
    ('"CN"', '"China"'): "line 8: calendar.holidays: found 'China'; expected a country such as \"CN\"",
    ('"CN"', '"ZZ"'): "line 8: calendar.holidays: found 'ZZ'; expected a country such as \"CN\"",
    ('"CN"', '"US-ZZ"'): "line 8: calendar.holidays: found 'US-ZZ'; expected a country such as \"CN\"",
    ('[calendar]\nholidays = "CN"\n', ""): (
        "line 16: version[0].week.holiday: found 'holiday'; expected weekdays such as mon-fri, or a kind of day"
    ),
    ("workday =", "festival ="): (
        "line 19: version[0].week.festival: found 'festival'; expected weekdays such as mon-fri, or a kind of day that"
        " [calendar] knows: holiday, workday"
    ),
    ('"CN"\n', '"CN"\nadd = [2026-13-01]\n'): "line 9: syntax: found",
    ('"CN"\n', '"CN"\nadd = ["1 May"]\n'): "line 9: calendar.add[0]: found '1 May'; expected a date such as 2025-01-01",
    (
        '"CN"\n',
        '"CN"\nsets.holiday = [2026-01-01]\n',
    ): "line 9: calendar.sets.holiday: found 'holiday'; expected a name other",
    ('"CN"\n', '"CN"\nsets.feast = ["2026-02-17..2026-02-15"]\n'): (
        "line 9: calendar.sets.feast[0]: found '2026-02-17..2026-02-15'; expected a date such as 2026-02-17, or dates"
    ),
}


@pytest.mark.parametrize(("change", "expected"), MISTAKES.items(), ids=lambda value: value[1].strip() or "-")
def test_a_mistake_in_a_calendar_is_told_where_it_stands(change: tuple[str, str], expected: str) -> None:
    """A country without holidays, a kind of day that nobody knows, and a date that is none."""
    with pytest.raises(MistakesError) as caught:
        load_tariff(TARIFF.replace(*change))

    found = [str(mistake) for mistake in caught.value.mistakes]
    assert found[0].startswith(expected)


def test_a_sealed_tariff_is_the_same_and_stays_so() -> None:
    """What is published says the days itself: the same tariff, and sealing it again changes nothing."""
    once = sealed(TARIFF)

    assert once.startswith(TARIFF)
    assert not is_self_contained(TARIFF)
    assert is_self_contained(once)
    assert load_tariff(once) == load_tariff(TARIFF)
    assert sealed(once) == once


def test_a_sealed_tariff_asks_no_package() -> None:
    """Its days are those that it carries, even if a later release of the package knows others."""
    seal = "[sealed_calendar]\nholidays = [\n  2026-03-03,\n]\nworkdays = []\nknown_until = 2026-06-30\n"

    found = load_tariff(TARIFF + seal)
    assert found.calendar == Calendar(frozenset([number("2026-03-03")]), frozenset(), {}, number("2026-06-30"))
    assert sealed(TARIFF + seal) == sealed(TARIFF)
    assert sealed(TARIFF.replace("[[version]]", f"{seal}[[version]]")) == sealed(TARIFF)


def test_a_tariff_without_public_holidays_is_not_touched() -> None:
    """Nothing is added to a file that asks no package, nor is it formatted anew."""
    text = TARIFF.replace('holidays = "CN"', "add = [2026-05-01]")

    assert sealed(text) == text
    assert is_self_contained(text)


def test_json_is_sealed_too() -> None:
    """What the API is sent is published under the same rule."""
    text = json.dumps(tomllib.loads(TARIFF), default=date.isoformat, ensure_ascii=False)
    once = sealed(text)

    assert load_tariff(once) == load_tariff(TARIFF)
    assert sealed(once) == once
    assert is_self_contained(once)


def test_what_is_no_tariff_cannot_be_sealed() -> None:
    """Its mistakes are told as when it is loaded."""
    with pytest.raises(MistakesError, match="version"):
        sealed(TARIFF.partition("[[version]]")[0])
