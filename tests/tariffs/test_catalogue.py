"""The catalogue: what every file of it must have, and its page in the documents. Run as a program, it writes that page."""

from collections import Counter
from pathlib import Path

import pytest

from domain import documents
from tariffs.examples import examples_mistakes
from tariffs.loader import catalogue, load_tariff
from tariffs.model import TariffPart
from tariffs.tariff import Demand, Tariff

PAGE = Path(__file__).parents[2] / "docs" / "catalogue.md"
FILES = {name: documents.load(TariffPart, text, name) for name, text in catalogue().items()}
REAL = {name: part for name, part in FILES.items() if not part.source.startswith("made up")}
INTRODUCTION = """\
# Catalogue

Tariffs that come with Meterline: a site names one by its id. Each states where its figures come from and has
[worked examples](tariffs.md#worked-examples) that tests hold to the last digit: one that somebody published where there is one, else
one that says its arithmetic. Prices change: before charging anybody, compare a file with what is published today, and
[append a version](tariffs.md#a-price-that-changed).

This page is written from the files; `python tests/tariffs/test_catalogue.py` writes it anew.

| tariff | country | what | kind | source | published |
|---|---|---|---|---|---|
"""


def kinds(tariff: Tariff) -> list[str]:
    """In a few words: how it prices."""
    seasons = [season for version in tariff.versions for season in version.seasons]
    rates = [schedules for season in seasons for schedules in season.rates]
    found = {
        "steps": any(schedule.limits for schedules in rates for schedule in schedules),
        "price lists": any(len(schedules) > 1 for schedules in rates),
        "time of use": len(tariff.bands) > 1,
        "by month": any(season.ranges for season in seasons),
        "demand": any(isinstance(charge, Demand) for version in tariff.versions for charge in version.charges),
    }
    return [kind for kind, is_found in found.items() if is_found] or ["one price"]


def page() -> str:
    """The document: real tariffs by country, those with most of them first, then the names of the others."""
    counts = Counter(part.country for part in REAL.values())
    order = sorted(REAL, key=lambda name: (-counts[REAL[name].country], REAL[name].country or "", name))
    rows = []
    for name in order:
        part, tariff = REAL[name], load_tariff(catalogue()[name], name)
        kind = f"{tariff.commodity.name.lower()}: {', '.join(kinds(tariff))}"
        title = f"{part.title.en}<br>{part.title.zh}"
        rows.append(f"| `{name}` | {part.country} | {title} | {kind} | {part.source} | {part.published or ''} |\n")
    made_up = ", ".join(f"`{name}`" for name in FILES if name not in REAL)
    return f"{INTRODUCTION}{''.join(rows)}\nMade up, to show a shape: {made_up}.\n"


@pytest.mark.parametrize("name", FILES)
def test_every_example_holds_to_the_last_digit(name):
    """What a publication says that a bill comes to is what we bill."""
    assert examples_mistakes(catalogue()[name], name) == []


@pytest.mark.parametrize("name", [name for name in FILES if not name.startswith("demo-")])
def test_every_tariff_has_a_country_and_a_worked_example(name):
    """A price that nobody has worked with once is a price that nobody has checked."""
    assert FILES[name].country
    assert FILES[name].example


@pytest.mark.parametrize("name", REAL)
def test_examples_say_where_they_come_from(name):
    """Either somebody published the example, or its arithmetic is there to be done again."""
    for example in REAL[name].example:
        assert not example.source.startswith("worked by hand") or "×" in example.source or " + " in example.source


def test_there_are_enough_of_them():
    """Whoever starts finds something close to home: most are Chinese, and ten other countries show other shapes."""
    countries = Counter(part.country for part in REAL.values())

    assert len(REAL) >= 32
    assert len(countries) >= 10
    assert countries["CN"] > len(REAL) / 2


def test_the_chinese_ones_are_of_every_kind():
    """Steps, steps with time of use, industry whose hours depend on the month, and water steps."""
    found = Counter(
        (part.commodity, *kinds(load_tariff(catalogue()[name], name)))
        for name, part in REAL.items()
        if part.country == "CN"
    )

    assert found["electricity", "steps"] >= 4
    assert found["electricity", "steps", "time of use"] >= 5
    assert (
        found["electricity", "time of use", "by month"] + found["electricity", "time of use", "by month", "demand"] >= 8
    )
    assert found["water", "steps"] >= 4


def test_the_page_says_what_the_files_say():
    """A tariff that is added or changed is so in the documents too: run this file as a program."""
    assert PAGE.read_text(encoding="utf-8") == page()


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
