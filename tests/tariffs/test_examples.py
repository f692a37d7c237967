import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import documents
from domain.documents import MistakesError
from tariffs.calendar import sealed
from tariffs.examples import example_bill, examples_mistakes
from tariffs.loader import load_tariff
from tariffs.model import TariffPart

HOME = """\
tariff = "home"
title = { zh = "家", en = "Home" }
commodity = "electricity"
currency = "CNY"
zone = "Asia/Shanghai"
source = "an example"

[[version]]
from = 2025-01-01
prices = { peak = "0.5", valley = "0.25", festive = "0.1" }
adders = ["0", "0.25"]

[version.tiers]
cycle = "year"
limits = ["100"]
persons = { above = 4, adds = ["50"] }

[version.days]
plain = [["00:00", "valley"], ["08:00", "peak"], ["20:00", "valley"]]
fair = [["00:00", "festive"]]

[version.week]
"mon-sun" = "plain"
fair = "fair"

[calendar.sets]
fair = [2025-05-01]
"""
CLIFF = (
    HOME[: HOME.index("prices =")].replace("home", "cliff")
    + """
[version.tiers]
cycle = "month"

[[version.schedule]]
up_to = "10"
price = "1"

[[version.schedule]]
price = "2"
"""
)


def example(**keys: str) -> str:
    """An `[[example]]` of a January, with these keys as TOML."""
    values = {
        "from": "2025-01-01",
        "until": "2025-02-01",
        "usage": '"10"',
        "total": '"0"',
        "source": '"by hand"',
    } | keys
    return "\n[[example]]\n" + "".join(f"{key} = {value}\n" for key, value in values.items())


@pytest.mark.parametrize(
    ("keys", "total"),
    [
        ({"usage": '{ peak = "10", valley = "20" }'}, "10"),  # 5 + 5
        ({"usage": '{ peak = "10", valley = "20" }', "used": '"90"'}, "15"),  # and 20 of them 0.25 more
        ({"usage": '{ valley = "20" }', "used": '"90"', "persons": "5"}, "5"),  # the limit is 150
        ({"usage": '{ festive = "7" }', "from": "2025-05-01", "until": "2025-05-02"}, "0.7"),
        ({"usage": '"24"', "until": "2025-01-02"}, "9"),  # spread evenly: 12 h of each band
    ],
)
def test_an_example_is_billed_as_it_says(keys, total):
    """Bands, a counter, persons and days of an example all reach the bill, to the last digit."""
    assert examples_mistakes(HOME + example(**keys, total=f'"{total}"')) == []


def test_an_example_that_does_not_hold_is_told_with_its_line_and_its_lines():
    """Whoever mistyped a price sees which example found it out, and what the bill is made of."""
    text = HOME + example(total='"3.75"', until="2025-01-02") + example(total='"3.76"', until="2025-01-02")
    line = text[: text.index('"3.76"')].count("\n") + 1

    assert examples_mistakes(text, "home.toml") == [
        f"line {line}: example[1].total: found 3.76; expected what the bill comes to, 3.75: 电费".replace(
            "电费", "Energy"
        )
        + " 3.75"
    ]


def test_usage_in_a_band_that_the_days_do_not_have_is_told():
    """Usage is never dropped without a word."""
    (mistake,) = examples_mistakes(HOME + example(usage='{ festive = "7" }'))

    assert (
        "example[0].usage: found festive; expected bands that the days from 2025-01-01 until 2025-02-01 have" in mistake
    )


def test_a_counter_that_hides_what_chooses_the_prices_is_told():
    """Where the whole use chooses the price list, an example cannot begin in the middle of it."""
    (mistake,) = examples_mistakes(CLIFF + example(used='"5"', total='"10"'))

    assert "example[0].usage" in mistake
    assert "not a counter" in mistake
    assert examples_mistakes(CLIFF + example(total='"10"')) == []


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        (
            {"usage": '{ noon = "7" }'},
            "example[0].usage.noon: found 'noon'; expected a band of this tariff: peak, valley, festive",
        ),
        ({"usage": "7"}, "example[0].usage: found 7; expected a number above zero in quotes"),
        (
            {"usage": '{ peak = "0.0001" }'},
            "example[0].usage.peak: found '0.0001'; expected a number above zero in quotes",
        ),
        (
            {"until": "2025-01-01"},
            "example[0].until: found datetime.date(2025, 1, 1); expected a date after from, 2025-01-01",
        ),
        ({"total": "7"}, "example[0].total: found 7; expected a decimal number in quotes"),
        ({"source": '" "'}, "example[0].source: found ' '; expected some text"),
        ({"bill": '"7"'}, "example[0].bill: found '7'; expected no such key here"),
    ],
)
def test_a_mistake_in_an_example_stands_where_it_was_made(keys, told):
    """An example is checked like every other table of a tariff file."""
    with pytest.raises(MistakesError) as caught:
        load_tariff(HOME + example(**keys), "home.toml")

    assert told in str(caught.value)


def test_a_country_is_two_capital_letters():
    """Catalogues are sorted by it, so China is not cn once and CHN another time."""
    with pytest.raises(MistakesError, match="expected a country of 2 capital letters"):
        load_tariff('country = "cn"\n' + HOME)


def test_examples_and_country_are_no_part_of_a_tariff():
    """The money path never sees them: with and without, a file is the same tariff; publishing keeps them in the text."""
    text = 'country = "CN"\n' + HOME + example()

    assert load_tariff(text) == load_tariff(HOME)
    assert "[[example]]" in sealed(text.replace("[calendar.sets]", '[calendar]\nholidays = "CN"\n[calendar.sets]'))


@given(st.dictionaries(st.sampled_from(["peak", "valley"]), st.integers(1, 10**9), min_size=1), st.integers(1, 27))
def test_usage_by_band_is_placed_whole(usage, day):
    """Every Wh of a band lands in that band, however its hours divide it."""
    bands = ", ".join(f'{band} = "{wh // 1000}.{wh % 1000:03}"' for band, wh in usage.items())
    text = HOME + example(usage=f"{{ {bands} }}", until=f"2025-01-{day + 1:02}")
    made = example_bill(load_tariff(text), documents.load(TariffPart, text, "home").example[0])

    placed = dict.fromkeys(usage, 0)
    for term in made.lines[0].terms:
        placed[term.band] += term.quantity * 1000
    assert placed == usage
    assert made.usage == int(np.sum(list(usage.values())))
