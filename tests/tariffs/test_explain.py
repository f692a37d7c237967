"""Explanations: what a clerk reads out adds up, and says what the guide shows."""

import re
from datetime import datetime
from pathlib import Path

import msgspec
import pytest

from tariffs.explain import Explanation, Reading, explain
from tariffs.explain_text import explanation_text
from tariffs.loader import load_tariff
from tariffs.rating import Counter, moment_of
from tariffs.tariff import Premises, plan_of

GUIDE = (Path(__file__).parents[2] / "docs" / "tariffs.md").read_text(encoding="utf-8")
SECTION = GUIDE.split("## Why is it this much?\n", 1)[1].split("\n## ", 1)[0]


def blocks(language, text=GUIDE):
    """The guide's blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def ms(clock):
    """Milliseconds UTC of an ISO time with offset."""
    return int(datetime.fromisoformat(clock).timestamp()) * 1000


def told(name, since, until, registers, used=0, **meter):
    """The explanation of a charge by a tariff of the guide, after `used` Wh of the period."""
    document = next(text for text in blocks("toml") if f'tariff = "{name}"' in text)
    plan, counter = plan_of(load_tariff(document), Premises()), Counter()
    moment = moment_of(plan, ms(since))
    if used:
        counter.of(moment.period).add(plan, moment, used)
    first, last = (Reading(ms(at), register) for at, register in zip((since, until), registers, strict=True))
    return explain(plan, first, last, counter, **meter)


@pytest.mark.parametrize(("number", "language"), [(0, "zh"), (1, "en")])
def test_the_guide_shows_what_a_clerk_reads_out(number, language):
    """Both texts of docs/tariffs.md, to the letter."""
    explanation = told(
        "riverside-residential",
        "2026-01-20T20:30+08:00",
        "2026-01-20T23:00+08:00",
        (1_228_400, 1_230_900),
        228_400,
    )

    assert explanation_text(explanation, language) == blocks("text", SECTION)[number].splitlines()


def test_a_correction_is_a_line_of_its_own():
    """Beyond 500 units the whole two months are priced by the other list: 425 for what had been used before, 2,950 in all."""
    day = "2026-03-01T07:00+05:30", "2026-03-01T13:00+05:30"

    explanation = told("cliff-residential", *day, (0, 600_000))

    assert explanation_text(explanation, "en")[-3:] == [
        "  2026-03-01 12:00–13:00, after 500.000 kWh, flat, tier 3: 100 kWh × 8 = 800",
        "  The use so far changes the prices of the whole period; correction of what was used before: 425",
        "Total 2950 INR.",
    ]
    assert explanation_text(explanation, "zh")[-2:] == [
        "  累计用量改变了本期的价目，此前用量更正：425",
        "合计 2950 INR。",
    ]


def test_a_ratio_and_a_wrap_are_counted():
    """A meter behind transformers of 40 that wraps at a million: 6 units on the dial are 240."""
    hour = "2026-03-01T07:00+08:00", "2026-03-01T08:00+08:00"

    explanation = told("riverside-residential", *hour, (999_998, 4), ratio=40, modulus=1_000_000)

    assert explanation.usage == 240
    assert "999.998 → 0.004，倍率 40，用量 0.240 kWh" in explanation_text(explanation, "zh")[0]


def test_it_goes_through_json():
    """What a page gets is the same explanation."""
    hour = "2026-03-01T07:00+08:00", "2026-03-01T09:00+08:00"
    explanation = told("factory-components", *hour, (0, 600))

    assert msgspec.json.decode(msgspec.json.encode(explanation), type=Explanation) == explanation


@pytest.mark.parametrize(
    ("times", "registers", "words"),
    [
        (("08:00", "08:00"), (0, 1), "expected one after"),
        (("08:00", "07:00"), (0, 1), "expected one after"),
        (("07:00", "08:00"), (5, 4), "found a register that falls from 5 to 4"),
    ],
)
def test_readings_that_cannot_be_explained_are_named(times, registers, words):
    """No charge goes back in time, or down."""
    since, until = (f"2026-03-01T{time}+08:00" for time in times)

    with pytest.raises(ValueError, match=words):
        told("riverside-residential", since, until, registers)
