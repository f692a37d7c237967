"""Worked examples of a tariff file, held against the bill that we compute: whether a file means what its publication says.

An example is evidence and no part of a tariff: nothing that prices reads it, and a published document may carry it.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from domain import documents
from domain.documents import Mistake
from tariffs.bill import Bill, bill
from tariffs.charges import decimal_text
from tariffs.loader import load_tariff
from tariffs.model import ExamplePart, TariffPart
from tariffs.periods import midnight_ms
from tariffs.series import Series
from tariffs.tariff import Plan, Premises, Tariff, plan_of
from tariffs.timeline import compile_timeline

EVENLY = ""
"""The band of usage that is spread over all times."""


def examples_mistakes(text: str, name: str = "tariff") -> list[str]:
    """A sentence for each example of a tariff file that does not hold, with its line; empty where all of them do.

    Raises documents.MistakesError where the file is no tariff.
    """
    tariff, lines = load_tariff(text, name), documents.lines_of(text)
    return [
        str(Mistake(lines.of(("example", index, key)), f"example[{index}].{key}", found, expected))
        for index, example in enumerate(documents.load(TariffPart, text, name).example)
        for key, found, expected in _mistakes(tariff, example)
    ]


def example_bill(tariff: Tariff, example: ExamplePart) -> Bill:
    """The bill that an example describes. Raises ValueError, in words, where its usage has no time to be in."""
    begin, end = (midnight_ms(day, tariff.zone) for day in (example.from_, example.until))
    plan = plan_of(tariff, Premises(example.persons, example.capacity or 0))
    return bill(plan, series_by_band(plan, example.usage, example.from_, example.until), begin, end, example.used or 0)


def _mistakes(tariff: Tariff, example: ExamplePart) -> Iterator[tuple[str, str, str]]:
    """Key, what was found, and what is expected."""
    try:
        made = example_bill(tariff, example)
    except ValueError as error:
        yield "usage", ", ".join(filter(None, example.usage)) or "a quantity", str(error)
        return
    if made.total != example.total:
        lines = ", ".join(f"{line.title['en']} {decimal_text(line.amount)}" for line in made.lines)
        rounding = f", rounding {decimal_text(made.rounding)}" if made.rounding else ""
        yield (
            "total",
            decimal_text(example.total),
            f"what the bill comes to, {decimal_text(made.total)}: {lines}{rounding}",
        )


def series_by_band(plan: Plan, usage: Mapping[str, int], first: date, until: date) -> Series:
    """Wh or litres of each band from day `first` up to `until`, spread evenly over the times of that band; of EVENLY, over all times.

    Raises ValueError, in words, where a band has no time to be in.
    """
    begin, end = (midnight_ms(day, plan[0].tariff.zone) for day in (first, until))
    if EVENLY in usage:
        return Series(np.array([begin, end], np.int64), np.array([usage[EVENLY]], np.int64))
    times, bands = _bands(plan, begin, end, (until - first).days)
    durations, used = np.diff(times), np.zeros(len(bands), np.int64)
    for name, amount in usage.items():
        place = np.flatnonzero(bands == plan[0].tariff.bands.index(name))
        if not len(place):
            raise ValueError(f"bands that the days from {first} until {until} have; none of them has {name}")
        used[place] = _shares(amount, durations[place].tolist())
    return Series(times, used)


def _bands(plan: Plan, begin: int, end: int, days: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Times from begin to end at which anything changes, ms UTC, and the band from each to the next."""
    timeline = compile_timeline([plan], begin, end, days)
    row = timeline.first[0]
    segments = timeline.segments[int(row[0]) : int(row[-1]) + 1]
    starts = segments["start"]
    times = np.unique(np.concatenate([[begin], starts[(starts > begin) & (starts < end)], [end]])).astype(np.int64)
    return times, segments["band"][np.searchsorted(starts, times[:-1], side="right") - 1]


def _shares(amount: int, durations: list[int]) -> list[int]:
    """An amount in whole Wh or litres by durations, all of it."""
    shares, elapsed, placed = [], 0, 0
    for duration in durations:
        elapsed += duration
        shares.append(int(Fraction(amount * elapsed, sum(durations))) - placed)
        placed += shares[-1]
    return shares
