"""What the tables of a version say together: ratios, adders, factors, tiers, schedules, seasons, components and charges."""

import json
import tomllib
from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.documents import MistakesError
from tariffs.loader import load_tariff
from tariffs.tariff import (
    Bound,
    Cycle,
    Demand,
    Every,
    Per,
    Percentage,
    Rounding,
    RoundingMode,
    Schedule,
    Standing,
    Tariff,
    Tiers,
)

HEAD = """\
tariff = "shop"
title = { zh = "商铺", en = "Shop" }
commodity = "electricity"
unit = "kWh"
currency = "CNY"
zone = "Asia/Shanghai"
source = "contract of 2025"
published = 2024-12-01
[[version]]
from = 2025-01-01
"""
DAYS = """
[version.days]
all = [["00:00", "valley"], ["08:00", "peak"]]
[version.week]
"mon-sun" = "all"
"""
TIERS = '[version.tiers]\ncycle = "month"\nlimits = ["260", "600"]\n'
SIX = Decimal("0.000001")
CENT = Rounding(Fraction("0.01"), RoundingMode.HALF_UP)


def rates(text: str, season: int = -1) -> tuple[tuple[Schedule, ...], ...]:
    """Schedules of each component of the only version, in its last season unless another is asked for."""
    return load_tariff(HEAD + text).versions[0].seasons[season].rates


def nanos(*rows: tuple[str, ...]) -> tuple[tuple[int, ...], ...]:
    """Prices of a table as people write them."""
    return tuple(tuple(int(Fraction(price) * 10**9) for price in row) for row in rows)


def mistakes(text: str) -> list[str]:
    """What is said to be wrong with a version; its first line is line 11."""
    with pytest.raises(MistakesError) as caught:
        load_tariff(HEAD + text)
    return [str(mistake) for mistake in caught.value.mistakes]


def test_tiers_are_prices_and_limits_in_watt_hours() -> None:
    """The ladder of Beijing households comes out as its publication prints it."""
    ((schedule,),) = rates('price = ["0.4883", "0.5383", "0.7883"]\n' + TIERS)

    assert schedule == Schedule(None, (260_000, 600_000), (), nanos(("0.4883", "0.5383", "0.7883")))


def test_adders_come_after_the_ratios() -> None:
    """0.5 yuan, 1.6 times at the peak and 0.4 in the valley, plus the tier's adder untouched by the ratio."""
    text = 'price = "0.5"\nratios = { peak = "1.6", valley = "0.4" }\nadders = ["0", "0.05", "0.30"]\n' + TIERS + DAYS

    assert rates(text)[0][0].prices == nanos(("0.8", "0.85", "1.1"), ("0.2", "0.25", "0.5"))


def test_ratios_may_touch_the_adders() -> None:
    """Where a publication multiplies the adder too, the file says so and it is."""
    text = 'price = "0.5"\nadders_float = true\nratios = { peak = "1.6", valley = "0.4" }\nadders = ["0", "0.05"]\n'
    text += TIERS.replace(', "600"', "") + DAYS

    assert rates(text)[0][0].prices == nanos(("0.8", "0.88"), ("0.2", "0.22"))


def test_one_price_in_a_band_counts_for_all_tiers() -> None:
    """A valley price that no tier changes is written once."""
    text = 'prices = { peak = ["0.6", "0.7", "0.9"], valley = "0.3" }\n' + TIERS + DAYS

    assert rates(text)[0][0].prices == nanos(("0.6", "0.7", "0.9"), ("0.3", "0.3", "0.3"))


def test_only_components_that_float_follow_the_ratios() -> None:
    """Hubei multiplies the price of energy and the losses, and adds network and funds as they are; losses are a factor."""
    text = (
        """
price = "0.4"
factor = "1.05"
ratios = { peak = "1.49", valley = "0.48" }
[[version.component]]
name = "loss"
title = { zh = "线损", en = "Losses" }
price = "0.02"
floats = true
[[version.component]]
name = "network"
title = { zh = "输配电价", en = "Network" }
price = "0.1"
"""
        + DAYS
    )
    tariff = load_tariff(HEAD + text)

    assert [component.id for component in tariff.versions[0].components] == ["energy", "loss", "network"]
    assert [component.factor for component in tariff.versions[0].components] == [Fraction("1.05"), 1, 1]
    assert [each[0].prices for each in tariff.versions[0].seasons[0].rates] == [
        nanos(("0.6258",), ("0.2016",)),
        nanos(("0.0298",), ("0.0096",)),
        nanos(("0.1",), ("0.1",)),
    ]


ROUNDED = (
    """
price = "0.41237"
ratios = { peak = "1.4999", valley = "0.48" }
price_round = { step = "0.0001", mode = "half_up" }
[[version.component]]
name = "network"
title = { zh = "输配电价", en = "Network" }
price = "0.10003"
"""
    + DAYS
)


def test_the_sum_is_rounded_and_the_floating_component_carries_the_difference() -> None:
    """The printed price is the rounded sum; network keeps the price that its own publication gives."""
    energy, network = rates(ROUNDED)

    assert network[0].prices == nanos(("0.10003",), ("0.10003",))
    assert energy[0].prices == nanos(("0.61847",), ("0.19797",))


def test_a_price_finer_than_nanos_is_refused_with_the_way_out() -> None:
    """No price is rounded in silence: the line of the price is named, and the rule that would round it."""
    text = 'price = "0.123456789"\nratios = { peak = "1.5", valley = "1" }\n' + DAYS

    (mistake,) = mistakes(text)
    assert mistake.startswith("line 11: version[0].price: found '0.1851851835'; expected a price of at most 9 decimals")
    assert "price_round" in mistake


@given(
    st.integers(-(10**6), 10**6),
    st.integers(-(10**6), 10**6),
    st.integers(0, 10**4),
    st.sampled_from(sorted(RoundingMode)),
)
def test_rounded_components_add_up_to_the_rounded_sum(price: int, network: int, ratio: int, mode: RoundingMode) -> None:
    """For any prices, ratio and mode: what components come to together is the rounded sum, exactly."""
    text = ROUNDED.replace("0.41237", str(Decimal(price).scaleb(-6).quantize(SIX)))
    text = text.replace("0.10003", str(Decimal(network).scaleb(-6).quantize(SIX))).replace("half_up", mode)
    text = text.replace("1.4999", str(Decimal(ratio).scaleb(-4).quantize(SIX)))

    total = sum(each[0].prices[0][0] for each in rates(text) if each[0].prices[0] is not None)
    exact = Fraction(price, 10**6) * Fraction(ratio, 10**4) + Fraction(network, 10**6)
    assert Fraction(total, 10**9) == Rounding(Fraction("0.0001"), mode).of(exact)


def test_volume_tiers_become_a_schedule_for_each() -> None:
    """The whole use at the tier that it reaches: each tier is a schedule with one price and no limits."""
    text = 'price = ["0.5", "0.6", "0.9"]\n' + TIERS + 'mode = "volume"\n'

    assert rates(text)[0] == (
        Schedule(260_000, (), (), nanos(("0.5",))),
        Schedule(600_000, (), (), nanos(("0.6",))),
        Schedule(None, (), (), nanos(("0.9",))),
    )


def test_a_cliff_tariff_chooses_a_whole_schedule() -> None:
    """Tamil Nadu: up to 500 kWh the first 100 are free, beyond it they are not."""
    text = """
[version.tiers]
cycle = "two_months"
begin = "02-01"
[[version.schedule]]
up_to = "500"
limits = ["100", "200"]
price = ["0", "2.25", "4.5"]
[[version.schedule]]
limits = ["100"]
price = ["4.5", "8"]
"""
    tariff = load_tariff(HEAD + text)

    assert tariff.versions[0].tiers == Tiers(Cycle.TWO_MONTHS, month=2)
    assert rates(text)[0] == (
        Schedule(500_000, (100_000, 200_000), (), nanos(("0", "2.25", "4.5"))),
        Schedule(None, (100_000,), (), nanos(("4.5", "8"))),
    )


def test_what_a_file_says_of_tiers_is_kept() -> None:
    """Year's begin, restart, persons and days arrive as they stand."""
    text = """
price = ["1", "2", "3"]
[version.tiers]
cycle = "year"
begin = "12-15"
limits = ["2160", "4200"]
counter = "restart"
per = "account"
persons = { above = 4, adds = ["1200", "1200.5"], each = false }
days = { per = 365, factor_round = { step = "0.01" }, unscaled = [365, 366], limit_round = { step = "1", mode = "down" } }
"""
    tariff = load_tariff(HEAD + text)

    assert tariff.versions[0].tiers == Tiers(
        Cycle.YEAR,
        month=12,
        day=15,
        restart=True,
        per=Per.ACCOUNT,
        persons_above=4,
        each_person=False,
        per_days=365,
        factor_rounding=CENT,
        unscaled_days=(365, 366),
        limit_rounding=Rounding(Fraction(1), RoundingMode.DOWN),
    )
    assert rates(text)[0][0].adds == (1_200_000, 1_200_500)


SEASONS = (
    """
price = "0.5"
ratios = { peak = "1.6", valley = "0.4" }
adders = ["0", "0.1"]
[[version.component]]
name = "fund"
title = { zh = "基金", en = "Fund" }
price = "0.03"
[[version.season]]
name = "summer"
months = [7, 8]
ratios = { sharp = "2", peak = "1.6", valley = "0.4" }
limits = ["400"]
week = { "mon-sun" = "hot" }
days.hot = [["00:00", "valley"], ["12:00", "sharp"]]
[[version.season.component]]
name = "fund"
price = "0.02"
[[version.season]]
name = "winter"
dates = ["11-15..03-15", "04-01"]
price = "0.6"
[version.tiers]
cycle = "month"
limits = ["200"]
"""
    + DAYS
)


def test_a_component_may_be_called_energy_and_keeps_what_it_states() -> None:
    """Without a price at the top, a component of that name has its own title, rounding, limits and season."""
    text = """
[version.tiers]
cycle = "month"
limits = ["100"]
[[version.component]]
name = "energy"
title = { zh = "电量电费", en = "Use" }
price = ["0.5", "0.6"]
limits = ["50"]
round = { step = "1", mode = "down" }
usage_round = { step = "0.1", mode = "up" }
[[version.season]]
name = "summer"
months = [7]
[[version.season.component]]
name = "energy"
price = ["0.7", "0.8"]
"""
    tariff = load_tariff(HEAD + text)
    (component,) = tariff.versions[0].components
    summer, rest = (season.rates[0][0] for season in tariff.versions[0].seasons)

    assert (component.id, component.title["en"]) == ("energy", "Use")
    assert component.rounding == Rounding(Fraction(1), RoundingMode.DOWN)
    assert component.usage_rounding == Rounding(Fraction(1, 10), RoundingMode.UP)
    assert (summer.limits, summer.prices) == ((50_000,), nanos(("0.7", "0.8")))
    assert (rest.limits, rest.prices) == ((50_000,), nanos(("0.5", "0.6")))


def test_a_season_changes_what_it_names_and_nothing_else() -> None:
    """Ratios, limits, week and a component in summer, a price in winter; the version's own tables for other days."""
    tariff = load_tariff(HEAD + SEASONS)
    summer, winter, rest = tariff.versions[0].seasons

    assert tariff.bands == ("peak", "valley", "sharp")
    assert [season.name for season in (summer, winter, rest)] == ["summer", "winter", ""]
    assert [season.ranges for season in (summer, winter, rest)] == [
        (((7, 1), (7, 31)), ((8, 1), (8, 31))),
        (((11, 15), (3, 15)), ((4, 1), (4, 1))),
        (),
    ]
    assert summer.rates[0][0].limits == (400_000,)
    assert summer.rates[0][0].prices == nanos(("0.8", "0.9"), ("0.2", "0.3"), ("1", "1.1"))
    assert winter.rates[0][0].prices == (*nanos(("0.96", "1.06"), ("0.24", "0.34")), None)
    assert rest.rates[0][0].limits == (200_000,)
    assert [season.rates[1][0].prices[0] for season in (summer, winter, rest)] == [
        (20_000_000,),
        (30_000_000,),
        (30_000_000,),
    ]
    assert summer.profiles[summer.week[0]] == ((0, 1), (720, 2))
    assert rest.profiles[rest.week[0]] == ((0, 1), (480, 0))


CHARGES = """
price = "0.5"
[version.round]
line = { step = "0.01", mode = "half_up" }
bill = { step = "10", mode = "down" }
[[version.charge]]
name = "standing"
title = { zh = "基本费", en = "Standing" }
brackets = [{ up_to = "200", amount = "910" }, { amount = "7300" }]
every = "month"
per = "kW"
round = { step = "1", mode = "down" }
[[version.charge]]
name = "tax"
title = { zh = "税", en = "Tax" }
percent = "-15"
of = ["energy", "standing"]
exact = true
[[version.charge]]
name = "least"
title = { zh = "最低", en = "Minimum" }
minimum = "10"
of = ["energy", "tax"]
[[version.charge]]
name = "peak"
title = { zh = "需量", en = "Demand" }
demand = ["30", "28"]
limits = ["100"]
bands = ["flat"]
minutes = 30
least_share = "0.4"
"""


def test_charges_keep_their_order_and_what_they_look_at() -> None:
    """Every kind of line arrives, with the version's rounding where it states none."""
    version = load_tariff(HEAD + CHARGES).versions[0]
    standing, tax, least, peak = version.charges

    assert standing == Standing(
        id="standing",
        title={"zh": "基本费", "en": "Standing"},
        rounding=Rounding(Fraction(1), RoundingMode.DOWN),
        amounts=((200_000, Fraction(910)), (None, Fraction(7300))),
        every=Every.MONTH,
        per=Per.KILOWATT,
    )
    assert isinstance(tax, Percentage)
    assert (tax.rate, tax.exact, tax.of, tax.rounding) == (Fraction(-15, 100), True, ("energy", "standing"), CENT)
    assert isinstance(least, Bound)
    assert (least.minimum, least.maximum, least.every, least.of) == (10, None, Every.BILL, ("energy", "tax"))
    assert isinstance(peak, Demand)
    assert (peak.prices, peak.limits, peak.bands) == ((30, 28), (100_000,), (0,))
    assert (peak.minutes, peak.least_share) == (30, Fraction("0.4"))
    assert (version.line_rounding, version.components[0].rounding) == (CENT, CENT)
    assert version.bill_rounding == Rounding(Fraction(10), RoundingMode.DOWN)


def _as_json(text: str) -> str:
    return json.dumps(tomllib.loads(text), default=date.isoformat, ensure_ascii=False)


@pytest.mark.parametrize("text", [SEASONS, CHARGES, ROUNDED], ids=["seasons", "charges", "rounded"])
def test_json_says_the_same_as_toml(text: str) -> None:
    """The same keys sent through the API load to the same tariff, date for date."""
    tariff = load_tariff(HEAD + text)

    assert isinstance(tariff, Tariff)
    assert tariff.published == date(2024, 12, 1)
    assert load_tariff(_as_json(HEAD + text)) == tariff


def test_mistakes_in_json_have_keys_and_no_lines() -> None:
    """What a program sent is one long line: the key is what leads to the mistake."""
    text = _as_json(HEAD + CHARGES).replace('"-15"', "-15").replace('"CNY"', '"yuan"')

    with pytest.raises(MistakesError) as caught:
        load_tariff(text, "sent")
    assert [str(mistake).partition(": found")[0] for mistake in caught.value.mistakes] == [
        "currency",
        "version[0].charge[1].percent",
    ]
    with pytest.raises(MistakesError, match=r"line 1: syntax: .*expected JSON"):
        load_tariff('{"tariff": ')


PRICED = 'price = "0.5"\n'
LINE = 'title = { zh = "项", en = "Line" }\n'
LADDER = 'price = ["1", "2", "3"]\n' + TIERS
MISTAKES = [
    (
        'price = ["1", "2"]\n',
        "line 11: version[0].price: found '2 prices'; expected one price; prices by tier need [version.tiers]",
    ),
    (
        'price = ["1", "2"]\n' + TIERS,
        "line 11: version[0].price: found '2 prices'; expected one price, or one for each of the 3 tiers",
    ),
    (
        'prices = { peak = ["1", "2", "3"], valley = ["1", "2"] }\n' + TIERS + DAYS,
        "line 11: version[0].prices: found 'peak: 3 prices, valley: 2 prices'; expected one price, or one for each of the 3",
    ),
    (
        'price = "1"\nadders = ["0", "1"]\n' + TIERS,
        "line 12: version[0].adders: found '2 prices'; expected one price, or one",
    ),
    ('price = ["1", 2, "3"]\n' + TIERS, "line 11: version[0].price[1]: found 2; expected a decimal number in quotes"),
    ("price = []\n", "line 11: version[0].price: found []; expected a price for each tier"),
    (
        LADDER.replace('"600"', '"260"'),
        "line 14: version[0].tiers.limits[1]: found 260.0; expected a limit higher than",
    ),
    (
        LADDER.replace('"600"', '"600.0001"'),
        "line 14: version[0].tiers.limits[1]: found '600.0001'; expected a number above zero",
    ),
    (
        LADDER.replace('"month"', '"week"'),
        "line 13: version[0].tiers.cycle: found 'week'; expected 'day', 'month', 'two_months'",
    ),
    (LADDER + 'begin = "29"\n', "line 15: version[0].tiers.begin: found '29'; expected month-day"),
    (
        LADDER + 'begin = "12-01"\n',
        "line 15: version[0].tiers.begin: found '12-01'; expected a day of the month such as",
    ),
    (
        LADDER.replace("month", "year") + 'begin = "15"\n',
        "line 15: version[0].tiers.begin: found '15'; expected month-day such as",
    ),
    (LADDER + 'counter = "reset"\n', "line 15: version[0].tiers.counter: found 'reset'; expected 'carry' or 'restart'"),
    (
        LADDER + 'persons = { above = 4, adds = ["100"] }\n',
        "line 15: version[0].tiers.persons.adds: found 1; expected as many as there are limits, 2",
    ),
    (
        LADDER + 'mode = "volume"\npersons = { above = 4, adds = ["1", "1"] }\n',
        "line 16: version[0].tiers.persons: found 'volume'; expected no such key",
    ),
    (
        'price = "1"\nprices = { a = "1" }\n',
        "line 12: version[0].prices: found {'a': '1'}; expected either one price, or prices by band",
    ),
    (
        'prices = { peak = "1", valley = "1" }\nratios = { peak = "2" }\n' + DAYS,
        "line 12: version[0].ratios: found 'peak'; expected either prices by band, or one price with ratios",
    ),
    (
        PRICED + '[[version.component]]\nname = "net"\n' + LINE + 'prices = { peak = "1" }\n' + "floats = true\n",
        "line 12: version[0].component[0]: found {",
    ),
    (
        PRICED + '[[version.component]]\nname = "energy"\n' + LINE + 'price = "1"\n',
        "line 13: version[0].component[0].name: found 'energy'; expected a name that no other line",
    ),
    (
        PRICED + '[[version.component]]\nname = "net"\n' + LINE,
        "line 12: version[0].component[0]: found None; expected a price",
    ),
    (
        PRICED + TIERS + '[[version.component]]\nname = "net"\n' + LINE + 'price = ["1", "2", "3"]\nlimits = ["50"]\n',
        "line 18: version[0].component[0].price: found '3 prices'; expected one price, or one for each of the 2 tiers",
    ),
    (
        PRICED + '[[version.season]]\nname = "s"\nmonths = [1]\n' * 2,
        "line 16: version[0].season[1].name: found 's'; expected a name that no other season",
    ),
    (
        PRICED + '[[version.season]]\nname = "s"\n',
        "line 12: version[0].season[0]: found {'name': 's'}; expected either months",
    ),
    (
        PRICED + '[[version.season]]\nname = "s"\nmonths = [13]\n',
        "line 14: version[0].season[0].months[0]: found 13; expected less than or equal to 12",
    ),
    (
        PRICED + '[[version.season]]\nname = "s"\ndates = ["02-30..03-01"]\n',
        "line 14: version[0].season[0].dates[0]: found '02-30..03-01'; expected days of a year",
    ),
    (
        PRICED + '[[version.season]]\nname = "s"\nmonths = [1]\nweek = { "mon-sun" = "none" }\n',
        "line 15: version[0].season[0].week.mon-sun: found 'none'; expected a day profile of this version: none",
    ),
    (
        PRICED + '[[version.season]]\nname = "s"\nmonths = [1]\n[[version.season.component]]\nname = "net"\n',
        "line 16: version[0].season[0].component[0].name: found 'net'; expected a component of this version: none",
    ),
    (
        '[[version.component]]\nname = "net"\n'
        + LINE
        + 'price = "1"\n[[version.season]]\nname = "s"\nmonths = [1]\nprice = "1"\n',
        "line 15: version[0].season[0]: found 's'; expected a price of the version itself too",
    ),
    (
        LADDER
        + 'persons = { above = 4, adds = ["1", "1"] }\n[[version.season]]\nname = "s"\nmonths = [1]\nprice = "1"\nlimits = []\n',
        "line 20: version[0].season[0].limits: found 0; expected as many limits as persons add to, 2",
    ),
    (
        'prices = { peak = "1", valley = "1" }\n[[version.season]]\nname = "s"\nmonths = [1]\nprices = { peak = "2" }\n'
        + DAYS,
        "line 15: version[0].season[0].prices: found 'peak'; expected a price for band valley, which the days use",
    ),
    (
        PRICED + '[[version.charge]]\nname = "tax"\n' + LINE + 'percent = "1"\nof = ["vat"]\n',
        "line 16: version[0].charge[0].of[0]: found 'vat'; expected an earlier line of this version: energy",
    ),
    (
        PRICED + '[[version.charge]]\nname = "tax"\n' + LINE + 'percent = "1"\n',
        "line 12: version[0].charge[0].of: found []; expected the names of the lines",
    ),
    (
        PRICED + '[[version.charge]]\nname = "tax"\n' + LINE + 'percent = "-101"\nof = ["energy"]\n',
        "line 15: version[0].charge[0].percent: found '-101'; expected a number from -100 to 1000",
    ),
    (
        PRICED + '[[version.charge]]\nname = "fee"\n' + LINE + 'amount = "1"\n',
        "line 12: version[0].charge[0].every: found None; expected how often it falls due: day, month, year, bill",
    ),
    (
        PRICED + '[[version.charge]]\nname = "fee"\n' + LINE + 'amount = "1"\npercent = "1"\n',
        "line 12: version[0].charge[0]: found {",
    ),
    (
        PRICED + '[[version.charge]]\nname = "fee"\n' + LINE + 'amount = "1"\nevery = "day"\nminutes = 15\n',
        "line 17: version[0].charge[0].minutes: found 15; expected no such key where a charge has amount",
    ),
    (
        PRICED
        + '[[version.charge]]\nname = "fee"\n'
        + LINE
        + 'every = "day"\nbrackets = [{ amount = "1" }, { amount = "2" }]\n',
        "line 16: version[0].charge[0].brackets: found [None, None]; expected brackets with rising up_to",
    ),
    (
        PRICED + '[[version.charge]]\nname = "kw"\n' + LINE + 'demand = "1"\nbands = ["peak"]\n',
        "line 16: version[0].charge[0].bands[0]: found 'peak'; expected a band of this version: flat",
    ),
    (
        PRICED + '[[version.charge]]\nname = "kw"\n' + LINE + 'demand = ["1", "2"]\n',
        "line 15: version[0].charge[0].demand: found 2; expected a price for each of 1 tiers of demand",
    ),
    (
        '[version.tiers]\ncycle = "month"\n[[version.schedule]]\nup_to = "5"\nprice = "1"\n',
        "line 13: version[0].schedule: found 1; expected schedules with rising up_to, the last without one",
    ),
    (
        '[[version.schedule]]\nprice = "1"\n',
        "line 11: version[0].schedule: found 'none'; expected [version.tiers] with a cycle",
    ),
    (
        PRICED + '[version.tiers]\ncycle = "month"\n[[version.schedule]]\nprice = "1"\n',
        "line 11: version[0].price: found (500000000,); expected no such key beside schedules",
    ),
    (
        PRICED + 'factor = "0"\n',
        "line 12: version[0].factor: found '0'; expected a decimal number in quotes above zero",
    ),
    (
        PRICED + 'price_round = { step = "0" }\n',
        "line 12: version[0].price_round.step: found '0'; expected a decimal number",
    ),
    (
        PRICED + 'price_round = { step = "1", mode = "nearest" }\n',
        "line 12: version[0].price_round.mode: found 'nearest'; expected 'half_up', 'half_even', 'up' or 'down'",
    ),
]


@pytest.mark.parametrize(("text", "expected"), MISTAKES, ids=lambda value: value.partition("; expected")[2][:60] or "-")
def test_a_mistake_is_told_where_it_stands(text: str, expected: str) -> None:
    """Line, key, what was found and what is expected, and nothing else is blamed for it."""
    (found,) = mistakes(text)

    assert found.startswith(expected)


def test_the_unit_is_that_of_the_commodity() -> None:
    """Electricity in m³ is a mistake of the head, not a price of nothing."""
    with pytest.raises(MistakesError, match=r"line 4: unit: found 'm3'; expected kWh"):
        load_tariff(HEAD.replace('"kWh"', '"m3"') + PRICED)


def test_mistakes_of_several_tables_are_told_together() -> None:
    """A wrong name, a wrong look, an unknown band and an unknown profile cost one round of corrections."""
    text = CHARGES.replace('"standing"]', '"standign"]').replace('bands = ["flat"]', 'bands = ["peak"]')
    text = text.replace('name = "least"', 'name = "tax"') + '[version.days]\nall = [["00:00", "flta"]]\n'

    assert [mistake.partition(": found")[0] for mistake in mistakes(text)] == [
        "line 9: version[0].week",
        "line 27: version[0].charge[1].of[1]",
        "line 30: version[0].charge[2].name",
        "line 39: version[0].charge[3].bands[0]",
        "line 43: version[0].days.all[0]",
    ]
