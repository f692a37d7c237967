import json
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tariff_cases import ms

from tariffs.loader import load_tariff
from tariffs.quote import quote
from tariffs.rating import Counter, Tally, cost_of, moment_of
from tariffs.tariff import Plan, Premises, plan_of

NOON = ms("2025-06-10T12:00+08:00")
HOUR_MS = 3_600_000
LINE = {"zh": "项", "en": "Line"}


def plan(version: dict, commodity: str = "electricity", persons: int = 1) -> Plan:
    """The plan of a household under one version in Shanghai's time."""
    document = {
        "tariff": "t",
        "title": LINE,
        "commodity": commodity,
        "currency": "CNY",
        "zone": "Asia/Shanghai",
        "source": "test",
        "version": [{"from": "2025-01-01", **version}],
    }
    return plan_of(load_tariff(json.dumps(document)), Premises(persons, 2_000))


def tiers(*limits: str, **more: object) -> dict:
    """Monthly tiers."""
    return {"cycle": "month", "limits": [*limits], **more}


FLAT = {"price": "0.5"}
LADDER = {"price": ["0.5", "0.8", "1.1"], "tiers": tiers("200", "400")}
RISING = {"price": ["0.5", "0.6"], "tiers": tiers("100", mode="volume")}
FALLING = {"price": ["10", "5"], "tiers": tiers("15", mode="volume")}
CLIFF = {
    "tiers": {"cycle": "month"},
    "schedule": [{"up_to": "500", "limits": ["100"], "price": ["0", "4"]}, {"limits": ["100"], "price": ["0", "5"]}],
}
FREE_FIRST = {"price": ["0", "2"], "tiers": tiers("50")}
FREE_LAST = {"price": ["2", "0"], "tiers": tiers("50")}
REFUND_FIRST = {"price": ["-0.1", "0.5"], "tiers": tiers("10")}
BANDS = {
    "prices": {"valley": "0.3", "peak": "1.2"},
    "days": {"all": [["00:00", "valley"], ["12:00", "peak"]]},
    "week": {"mon-sun": "all"},
}
TAXED = {
    "price": "0.5",
    "component": [{"name": "fund", "title": LINE, "price": "0.1"}],
    "charge": [{"name": "vat", "title": LINE, "percent": "10", "of": ["energy"]}],
}

# What is charged, money in micros, counter, what is bought, (quantity, price, tier or 0 for a correction), what is left.
TABLE = [
    ("one price", FLAT, 50_000_000, 0, 100_000, [("100", "0.5", 1)], "0"),
    ("less than one Wh is left", FLAT, 50_000_400, 0, 100_000, [("100", "0.5", 1)], "0.0004"),
    ("the counter inside a tier", LADDER, 50_000_000, 250_000, 62_500, [("62.5", "0.8", 2)], "0"),
    ("a tier's edge", LADDER, 50_000_000, 150_000, 81_250, [("50", "0.5", 1), ("31.25", "0.8", 2)], "0"),
    (
        "two edges",
        LADDER,
        275_000_000,
        190_000,
        310_000,
        [("10", "0.5", 1), ("200", "0.8", 2), ("100", "1.1", 3)],
        "0",
    ),
    ("the counter on an edge", LADDER, 8_000_000, 200_000, 10_000, [("10", "0.8", 2)], "0"),
    ("money up to the edge exactly", LADDER, 100_000_000, 0, 200_000, [("200", "0.5", 1)], "0"),
    ("no money", LADDER, 0, 0, 0, [], "0"),
    ("money below zero", LADDER, -5_000_000, 0, 0, [], "-5"),
    ("money below zero, first units free", FREE_FIRST, -5_000_000, 0, 0, [], "-5"),
    ("no money, first units free", FREE_FIRST, 0, 20_000, 30_000, [("30", "0", 1)], "0"),
    ("free units, then money", FREE_FIRST, 10_000_000, 20_000, 35_000, [("30", "0", 1), ("5", "2", 2)], "0"),
    ("free at all", {"price": "0"}, 1_000_000, 0, None, [], "1"),
    ("free in the end", FREE_LAST, 120_000_000, 0, None, [("50", "2", 1)], "20"),
    ("free in the end, which is not reached", FREE_LAST, 80_000_000, 0, 40_000, [("40", "2", 1)], "0"),
    ("paid to use", {"price": "-0.1"}, 1_000_000, 0, None, [], "1"),
    ("paid to use at first", REFUND_FIRST, 4_000_000, 0, 20_000, [("10", "-0.1", 1), ("10", "0.5", 2)], "0"),
    ("whole use, in its tier", RISING, 20_000_000, 20_000, 40_000, [("40", "0.5", 1)], "0"),
    (
        "whole use that gets dearer",
        RISING,
        50_000_000,
        60_000,
        73_333,
        [("40", "0.5", 1), ("100", "0.1", 0), ("33.333", "0.6", 2)],
        "0.0002",
    ),
    ("whole use: the step is too dear", RISING, 25_000_000, 60_000, 40_000, [("40", "0.5", 1)], "5"),
    (
        "whole use that gets cheaper",
        FALLING,
        10_000_000,
        14_000,
        16_000,
        [("1", "10", 1), ("15", "-5", 0), ("15", "5", 2)],
        "0",
    ),
    ("a cliff", CLIFF, 445_000_000, 490_000, 11_000, [("10", "4", 2), ("400", "1", 0), ("1", "5", 3)], "0"),
    ("the peak's price at noon", BANDS, 12_000_000, 0, 10_000, [("10", "1.2", 1)], "0"),
    ("components and percentages", TAXED, 13_000_000, 0, 20_000, [("20", "0.65", 1)], "0"),
]


@pytest.mark.parametrize(
    ("version", "money", "used", "usage", "terms", "rest"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_money_buys_tier_by_tier_at_the_prices_of_the_instant(version, money, used, usage, terms, rest) -> None:
    """Worked out by hand: quantities, prices, tiers, what each kind of tariff does at its edges, and what is left."""
    found = quote(plan(version), NOON, money, used)

    assert found.usage == usage
    assert [(term.quantity, term.price, 0 if term.is_correction else term.tier) for term in found.terms] == [
        (Fraction(quantity), Fraction(price), tier) for quantity, price, tier in terms
    ]
    assert found.rest == Fraction(rest)
    assert sum((term.amount for term in found.terms), found.standing + found.rest) == found.money


def test_the_instant_chooses_the_band() -> None:
    """A minute before noon it is still the valley, whatever comes after it."""
    before, after = (quote(plan(BANDS), at, 12_000_000) for at in (NOON - 1, NOON))

    assert (before.band, before.usage) == ("valley", 40_000)
    assert (after.band, after.usage) == ("peak", 10_000)


def test_limits_are_those_of_the_premises_and_the_period() -> None:
    """2 kWh a day for each of three persons is 180 kWh in June, so the counter is in the second tier."""
    version = {"price": ["1", "2"], "tiers": tiers("2", per="person", days={"per": 1})}

    found = quote(plan(version, persons=3), NOON, 50_000_000, 170_000)

    assert [(term.quantity, term.tier) for term in found.terms] == [(10, 1), (20, 2)]


def test_water_is_bought_in_litres() -> None:
    """The unit is the commodity's."""
    found = quote(plan({"price": "5"}, "water"), NOON, 1_000_000)

    assert (found.usage, found.terms[0].unit) == (200, "m³")


STANDING = {
    "price": "2",
    "charge": [
        {"name": "service", "title": LINE, "amount": "10", "every": "bill"},
        {"name": "capacity", "title": LINE, "amount": "5", "every": "month", "per": "kW"},
        {"name": "daily", "title": LINE, "amount": "1", "every": "day"},
        {"name": "vat", "title": LINE, "percent": "10", "of": ["energy", "service"]},
        {"name": "least", "title": LINE, "minimum": "100", "of": ["energy"]},
    ],
}


@pytest.mark.parametrize(
    ("money", "usage", "standing", "rest"),
    [(43_000_000, 10_000, "21", "0"), (21_000_000, 0, "21", "0"), (20_999_999, 0, "0", "20.999999")],
)
def test_a_first_purchase_pays_the_standing_charges_before_any_energy(money, usage, standing, rest) -> None:
    """10 for the bill and 1 of tax on it, 2 kW at 5 a month; a unit is 2.20 with its tax; too little buys nothing."""
    found = quote(plan(STANDING), NOON, money, with_standing=True)

    assert (found.usage, found.standing, found.rest) == (usage, Fraction(standing), Fraction(rest))


def test_what_a_purchase_cannot_know_is_said() -> None:
    """An amount by bracket of the bill's use, and a counter below zero."""
    bracket = {
        "name": "meter",
        "title": LINE,
        "every": "bill",
        "brackets": [{"up_to": "9", "amount": "1"}, {"amount": "2"}],
    }

    with pytest.raises(ValueError, match="charge meter depends on the whole use of a bill"):
        quote(plan({"price": "1", "charge": [bracket]}), NOON, 1, with_standing=True)
    with pytest.raises(ValueError, match="never negative; found -1"):
        quote(plan(FLAT), NOON, 1, -1)


PRICES = st.integers(1, 3_000).map(lambda thousandths: f"{thousandths // 1000}.{thousandths % 1000:03d}")


@given(
    st.lists(PRICES, min_size=1, max_size=4).map(sorted),
    st.sampled_from(["graduated", "volume"]),
    st.lists(st.integers(1, 40), min_size=4, max_size=4, unique=True).map(sorted),
    st.integers(0, 60_000),
    st.integers(0, 100_000_000),
)
def test_what_is_bought_costs_no_more_than_the_money_and_one_unit_more_does(prices, mode, limits, used, money) -> None:
    """The slow calendar charges the same counter for it: at most the money, and more than it for one Wh more."""
    version = {"price": prices, "tiers": tiers(*map(str, limits[: len(prices) - 1]), mode=mode)}
    household = plan(version)

    def cost(usage: int) -> int:
        counter, moment = Counter(), moment_of(household, NOON)
        counter.periods[moment.period] = Tally(used, [(household, moment, 0, used)])
        return cost_of(household, NOON, NOON + HOUR_MS, usage, counter).cost_picos

    usage = quote(household, NOON, money, used).usage

    assert usage is not None
    assert cost(usage) <= money * 10**6 < cost(usage + 1)
