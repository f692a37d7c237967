import re
from datetime import datetime
from pathlib import Path

import pytest

from domain.documents import MistakesError
from domain.words import Commodity
from tariffs.loader import catalogue, load_tariff
from tariffs.tariff import (
    Schedule,
    Tariff,
)

HEAD = """\
tariff = "shop"
title = { zh = "商铺", en = "Shop" }
commodity = "electricity"
currency = "CNY"
zone = "Asia/Shanghai"
source = "contract of 2025"
"""
TOU = """
[[version]]
from = 2025-01-01
prices = { peak = "0.5583", valley = "0.3583" }
[version.days]
workday = [["00:00", "valley"], ["08:30", "peak"], ["22:00", "valley"]]
rest = [["00:00", "valley"]]
[version.week]
"mon-fri" = "workday"
"sat,sun" = "rest"
"""
GUIDE = Path(__file__).parents[2] / "docs" / "tariffs.md"
EXAMPLES = re.findall(r"^```toml\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def flat(start: str, price: str) -> str:
    """A version with one price."""
    return f'\n[[version]]\nfrom = {start}\nprice = "{price}"\n'


def ms(text: str) -> int:
    """Milliseconds UTC of an ISO time with offset."""
    return int(datetime.fromisoformat(text).timestamp()) * 1000


def energy(tariff: Tariff, version: int = 0, season: int = -1) -> tuple[Schedule, ...]:
    """Schedules of the first component of a version, in its last season unless another is asked for."""
    return tariff.versions[version].seasons[season].rates[0]


def only_prices(tariff: Tariff) -> list[tuple[int | None, ...]]:
    """By version: the one price of each band, of a tariff without tiers."""
    return [
        tuple(row[0] if row else None for row in energy(tariff, index)[0].prices)
        for index in range(len(tariff.versions))
    ]


def mistakes(text: str) -> list[str]:
    """What is said to be wrong with a file."""
    with pytest.raises(MistakesError) as caught:
        load_tariff(text, "shop.toml")
    return [str(mistake) for mistake in caught.value.mistakes]


def test_a_time_of_use_tariff_becomes_plain_numbers():
    """Prices in nanos, minutes, band and profile numbers, and the instant of the local midnight."""
    tariff = load_tariff(HEAD + TOU)

    (version,) = tariff.versions
    assert (tariff.id, tariff.currency, tariff.zone) == ("shop", "CNY", "Asia/Shanghai")
    assert tariff.title == {"zh": "商铺", "en": "Shop"}
    assert tariff.commodity is Commodity.ELECTRICITY
    assert tariff.bands == ("peak", "valley")
    assert version.from_ms == ms("2024-12-31T16:00Z")
    (season,) = version.seasons
    assert season.rates == ((Schedule(None, (), (), ((558_300_000,), (358_300_000,))),),)
    assert season.profiles == (((0, 1), (510, 0), (1320, 1)), ((0, 1),))
    assert season.week == (0, 0, 0, 0, 0, 1, 1)
    assert (season.name, season.ranges, season.holiday, season.workday, season.sets) == ("", (), None, None, ())
    assert [component.id for component in version.components] == ["energy"]


def test_a_flat_tariff_has_one_band_all_week():
    """One price is a band named flat, so that nothing after the loader knows two kinds of tariff."""
    tariff = load_tariff(HEAD.replace("electricity", "water") + flat("2025-01-01", "3.5"))

    assert tariff.commodity is Commodity.WATER
    assert tariff.bands == ("flat",)
    (season,) = tariff.versions[0].seasons
    assert only_prices(tariff) == [(3_500_000_000,)]
    assert season.profiles == (((0, 0),),)
    assert season.week == (0,) * 7


def test_versions_are_sorted_and_the_later_listed_wins_its_date():
    """Appending a version at the end of the file corrects one of the same date and never needs a sorted file."""
    text = HEAD + flat("2026-01-01", "3") + flat("2025-01-01", "1") + flat("2026-01-01", "4")

    tariff = load_tariff(text)
    assert [version.from_ms for version in tariff.versions] == [
        ms("2025-01-01T00:00+08:00"),
        ms("2026-01-01T00:00+08:00"),
    ]
    assert only_prices(tariff) == [(1_000_000_000,), (4_000_000_000,)]
    assert tariff.notes == (
        "version 1 of the file, from 2026-01-01, is replaced by version 3, which begins at the same time and stands later",
    )


def test_a_date_and_the_same_instant_with_offset_are_the_same_version():
    """The same beginning written in two ways is still one beginning, and the later listed wins."""
    text = HEAD + flat("2025-01-01", "1") + flat("2024-12-31T16:00:00Z", "2")

    assert only_prices(load_tariff(text)) == [(2_000_000_000,)]
    assert len(load_tariff(text).notes) == 1


def test_bands_are_numbered_by_first_appearance_over_all_versions():
    """A band keeps its number when versions come and go; a version without it has no price for it."""
    tariff = load_tariff(HEAD + TOU + flat("2026-01-01", "0.617"))

    assert tariff.bands == ("peak", "valley", "flat")
    assert only_prices(tariff) == [
        (558_300_000, 358_300_000, None),
        (None, None, 617_000_000),
    ]


@pytest.mark.parametrize(
    ("zone", "date", "expected"),
    [
        ("Asia/Kolkata", "2025-01-01", "2024-12-31T18:30Z"),
        ("Europe/London", "2025-06-01", "2025-05-31T23:00Z"),
        ("America/Havana", "2025-03-09", "2025-03-09T05:00Z"),  # midnight was skipped: the day began at 01:00
        ("America/Havana", "2025-11-02", "2025-11-02T04:00Z"),  # midnight came twice: the first
    ],
)
def test_a_date_begins_at_its_local_midnight(zone, date, expected):
    """Also where it is not a whole UTC hour, and where clocks change at midnight."""
    tariff = load_tariff(HEAD.replace("Asia/Shanghai", zone) + flat(date, "1"))

    assert tariff.versions[0].from_ms == ms(expected)


@pytest.mark.parametrize(
    ("week", "expected"),
    [
        ('"mon-sun" = "workday"', (0,) * 7),
        ('"fri-mon" = "rest"\n"tue-thu" = "workday"', (1, 0, 0, 0, 1, 1, 1)),
        ('"mon,wed-fri" = "workday"\n"tue, sat, sun" = "rest"', (0, 1, 0, 0, 0, 1, 1)),
    ],
)
def test_weekday_sets(week, expected):
    """Ranges, lists, both, and ranges over the weekend."""
    text = HEAD + TOU.partition('"mon-fri"')[0] + week

    assert load_tariff(text).versions[0].seasons[0].week == expected


@pytest.mark.parametrize(
    ("price", "nanos"),
    [
        ("0.558342001", 558_342_001),
        ("-0.05", -50_000_000),
        ("0", 0),
        ("999999.999999999", 999_999_999_999_999),
    ],
)
def test_prices_of_nine_decimals_negative_and_zero_are_prices(price, nanos):
    """Published prices have up to 8 decimals, and real bills have negative lines."""
    assert only_prices(load_tariff(HEAD + flat("2025-01-01", price))) == [(nanos,)]


HEAD_MISTAKES = {
    ('"shop"', '"Shop 1"'): "line 1: tariff: found 'Shop 1'; expected an id of at most 64 small letters, digits and -",
    ('"商铺"', '""'): "line 2: title.zh: found ''; expected some text",
    ('"electricity"', '"gas"'): "line 3: commodity: found 'gas'; expected 'electricity' or 'water'",
    ("CNY", "¥"): "line 4: currency: found '¥'; expected a currency of 3 capital letters such as CNY",
    ("Asia/Shanghai", "Beijing"): "line 5: zone: found 'Beijing'; expected an IANA time zone such as Asia/Shanghai",
    ("Asia/Shanghai", "../zones"): "line 5: zone: found '../zones'; expected an IANA time zone such as Asia/Shanghai",
    ("source =", "sauce ="): "line 6: sauce: found 'contract of 2025'; expected no such key here",
}
PRICE = 'a decimal number in quotes, with at most 9 decimals and less than a million, such as "0.5583"'
START = "a date such as 2025-01-01, or a time with offset such as 2025-01-01T00:30:00+08:00"
TOU_MISTAKES = {
    ("2025-01-01", '"1 January"'): f"line 9: version[0].from: found '1 January'; expected {START}",
    ("2025-01-01", "2025-01-01T00:00:00"): (
        f"line 9: version[0].from: found datetime.datetime(2025, 1, 1, 0, 0); expected {START}"
    ),
    ('"0.5583"', "0.5583"): f"line 10: version[0].prices.peak: found 0.5583; expected {PRICE}",
    ('"0.5583"', '"0.1234567891"'): f"line 10: version[0].prices.peak: found '0.1234567891'; expected {PRICE}",
    ('"0.5583"', '"-1000000"'): f"line 10: version[0].prices.peak: found '-1000000'; expected {PRICE}",
    ('"0.5583"', '"一毛"'): f"line 10: version[0].prices.peak: found '一毛'; expected {PRICE}",
    ('["08:30", "peak"]', '["08:30", "paek"]'): (
        "line 12: version[0].days.workday[1]: found 'paek'; expected a band that has a price: peak, valley"
    ),
    ('"22:00"', '"08:30"'): (
        "line 12: version[0].days.workday[2]: found ['08:30', 'valley'];"
        " expected a start time later than that of the slot before it"
    ),
    ('"22:00"', '"24:00"'): (
        "line 12: version[0].days.workday[2]: found ['24:00', 'valley'];"
        ' expected a local start time and a band, such as ["08:00", "peak"]'
    ),
    ('rest = [["00:00"', 'rest = [["06:00"'): (
        "line 13: version[0].days.rest: found [['06:00', 'valley']];"
        ' expected slots that begin with one at "00:00", so that the whole day has a band'
    ),
    ('"mon-fri"', '"mon-thu"'): (
        "line 14: version[0].week: found {'mon-thu': 'workday', 'sat,sun': 'rest'};"
        " expected every weekday once; missing: fri"
    ),
    ('"mon-fri"', '"mon-sat"'): (
        "line 16: version[0].week.sat,sun: found 'sat,sun'; expected each weekday once, but sat is in the week twice"
    ),
    ('= "rest"', '= "holiday"'): (
        "line 16: version[0].week.sat,sun: found 'holiday'; expected a day profile of this version: workday, rest"
    ),
    ("prices =", 'price = "1"\nprices ='): (
        "line 11: version[0].prices: found {'peak': '0.5583', 'valley': '0.3583'};"
        " expected either one price, or prices by band, and not both"
    ),
}


@pytest.mark.parametrize(("change", "expected"), HEAD_MISTAKES.items(), ids=lambda value: value[1])
def test_a_mistake_in_the_head_names_line_key_found_and_expected(change, expected):
    """Whoever wrote the file can mend it without reading our code."""
    assert expected in mistakes((HEAD + TOU).replace(*change))


@pytest.mark.parametrize(("change", "expected"), TOU_MISTAKES.items(), ids=lambda value: value[1])
def test_a_mistake_in_a_version_names_line_key_found_and_expected(change, expected):
    """The same for prices, days and weeks, down to the slot, and nothing else is blamed for it."""
    assert mistakes(HEAD + TOU.replace(*change)) == [expected]


def test_all_mistakes_are_told_at_once():
    """One round of corrections is enough: mistakes in the head, in prices, in slots and in the week together."""
    text = HEAD.replace("CNY", "yuan") + TOU.replace('"08:30", "peak"', '"08:30", "paek"').replace('"0.3583"', "1")
    text = text.replace('"22:00"', '"07:00"').replace('"mon-fri"', '"mon-friday"')

    found = mistakes(text)
    assert [mistake.partition(": found")[0] for mistake in found] == [
        "line 4: currency",
        "line 10: version[0].prices.valley",
        "line 12: version[0].days.workday[2]",
        "line 14: version[0].week",
        "line 15: version[0].week.mon-friday",
    ]


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("from = 2025-01-01", "prices: found None; expected either one price, or prices by band, and not both"),
        (
            'from = 2025-01-01\nprices = { peak = "1", valley = "2" }',
            "days: found {}; expected day profiles where there are prices by band, and none where there is one price",
        ),
        ('price = "1"', "from: found nothing; expected this key"),
        (
            'from = 2025-01-01\nprice = "1"\nweek = { "mon-sun" = "workday" }',
            "week.mon-sun: found 'workday'; expected a day profile of this version: none",
        ),
        (
            'from = 2025-01-01\nprices = { peak = "1" }\ndays = { all = [["00:00", "peak"]] }',
            "week: found {}; expected every weekday once; missing: mon, tue, wed, thu, fri, sat, sun",
        ),
    ],
)
def test_a_version_that_lacks_something_is_told_what(version, expected):
    """Half a version is a mistake, not a price of nothing."""
    assert any(mistake.endswith(f"version[0].{expected}") for mistake in mistakes(f"{HEAD}[[version]]\n{version}\n"))


def test_a_tariff_without_versions_has_no_price():
    """The list of versions is asked for."""
    assert mistakes(HEAD) == ["line 1: version: found nothing; expected this key"]
    assert mistakes(f"version = []\n{HEAD}") == ["line 1: version: found []; expected at least one [[version]]"]


def test_at_most_thirty_six_bands():
    """Bands are counted over all versions together, and the one of a single price is a band too."""
    prices = ", ".join(f'b{number} = "1"' for number in range(36))
    many = f'{HEAD}[[version]]\nfrom = 2025-01-01\nprices = {{ {prices} }}\ndays.d = [["00:00", "b0"]]\n'
    many += 'week = { "mon-sun" = "d" }\n'

    assert len(load_tariff(many).bands) == 36
    assert "at most 36 bands" in mistakes(many + flat("2026-01-01", "1"))[0]


@pytest.mark.parametrize("name", catalogue())
def test_every_tariff_of_the_catalogue_loads_and_is_filed_under_its_id(name):
    """What we ship is valid, and its file's name is its id."""
    assert load_tariff(catalogue()[name], name).id == name


def test_the_demo_has_its_tariffs():
    """The demo's street names these two."""
    assert {"demo-electricity", "demo-water"} <= catalogue().keys()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.split('"')[1])
def test_every_example_of_the_guide_loads(example):
    """What docs/tariffs.md shows can be copied."""
    assert load_tariff(example).versions


def test_the_guides_program_runs(capsys):
    """docs/tariffs.md prints the pieces of an evening in Shanghai, and then what 50 yuan buy there."""
    programs = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    exec("\n".join(programs), {})

    printed = capsys.readouterr().out.splitlines()
    assert (printed[0], printed[-1]) == ("peak 16 9872000000", "peak, tier 1: 81.037 kWh × 0.617 = 49.999829")


def test_the_guide_has_examples():
    """A guide whose examples are not found would pass the test above."""
    assert len(EXAMPLES) >= 3


@pytest.mark.parametrize(("tariff", "title"), [("beijing-residential", "电费"), ("beijing-residential-water", "水费")])
def test_a_bill_of_water_does_not_speak_of_electricity(tariff, title):
    """The price at the top of a version is called by what it buys."""
    version = load_tariff(catalogue()[tariff]).versions[0]

    assert version.components[0].title["zh"] == title
