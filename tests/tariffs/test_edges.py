"""Edges at which several things about a price change, with answers worked out by hand and written down as numbers.

Each row is a tariff, intervals of use, and what they cost: interval by interval by the slow calendar, and by bills.
"""

import json
from collections import Counter as Sums
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from tariff_cases import ms

from tariffs.bill import bills
from tariffs.loader import load_tariff
from tariffs.periods import midnight_ms
from tariffs.quote import quote
from tariffs.rating import Counter, cost_of
from tariffs.series import Series
from tariffs.tariff import Plan, plan_of

TITLE = {"zh": "例", "en": "Example"}
PICOS = 10**12
HOUR_MS = 3_600_000


@dataclass(frozen=True)
class Edge:
    """`uses`: (begin, end, kWh, cost). `parts`: kWh by band and tier of all of them. `bills`: (first day, day after, total)."""

    name: str
    versions: list[dict]
    uses: list[tuple[str, str, str, str]]
    parts: dict[tuple[str, int], str]
    bills: list[tuple[str, str, str]]
    zone: str = "Asia/Shanghai"
    calendar: dict = field(default_factory=dict)

    def plan(self) -> Plan:
        """The tariff of the row, assigned."""
        document = {
            "tariff": "edge",
            "title": TITLE,
            "commodity": "electricity",
            "currency": "CNY",
            "zone": self.zone,
            "source": "worked out by hand",
            "calendar": self.calendar,
            "version": self.versions,
        }
        return plan_of(load_tariff(json.dumps(document)))


def clock(first: str, *rest: tuple[str, str]) -> dict:
    """The same day profile every day."""
    return {"days": {"all": [["00:00", first], *([at, band] for at, band in rest)]}, "week": {"mon-sun": "all"}}


def timed(start: str, peak: str, valley: str, **more: object) -> dict:
    """Peak from 8 to 22 o'clock, and 0.10 more for use beyond 100 kWh of a month."""
    version = {
        "from": start,
        "prices": {"peak": peak, "valley": valley},
        "adders": ["0", "0.1"],
        "tiers": {"cycle": "month", "limits": ["100"]},
        **clock("valley", ("08:00", "peak"), ("22:00", "valley")),
    }
    return version | more


def yearly(begin: str) -> dict:
    """0.50, and 0.60 beyond 100 kWh of a year."""
    return {
        "from": "2024-01-01",
        "price": ["0.5", "0.6"],
        "tiers": {"cycle": "year", "begin": begin, "limits": ["100"]},
    }


YEAR_COUNT = {"tiers": {"cycle": "year", "limits": ["100"]}}
RESTARTED = {"tiers": {"cycle": "year", "limits": ["100"], "counter": "restart"}}
OVER_MONTH_END = ("2025-06-30T21:00+08:00", "2025-07-01T01:00+08:00", "8")
JUNE_BEFORE = ("2025-06-01T00:00+08:00", "2025-06-01T01:00+08:00", "97", "38.8")
MONTHLY_BILLS = (("2025-06-01", "2025-07-01"), ("2025-07-01", "2025-08-01"))
NIGHT_AND_DAY = {
    "from": "2025-01-01",
    "prices": {"night": "0.1", "day": "0.3"},
    "adders": ["0", "1"],
    "tiers": {"cycle": "day", "limits": ["24"]},
    "charge": [{"name": "standing", "title": TITLE, "amount": "1", "every": "day"}],
    **clock("night", ("07:00", "day")),
}
LEAP = {
    "from": "2023-01-01",
    "price": "0.5",
    "season": [{"name": "leap", "dates": ["02-29"], "price": "2"}],
    "charge": [
        {"name": "monthly", "title": TITLE, "amount": "29", "every": "month"},
        {"name": "yearly", "title": TITLE, "amount": "366", "every": "year"},
    ],
}
WORKING = {
    "from": "2025-01-01",
    "prices": {"peak": "1", "valley": "0.4", "deep": "0.2"},
    "days": {
        "work": [["00:00", "valley"], ["08:00", "peak"], ["22:00", "valley"]],
        "rest": [["00:00", "valley"]],
        "fair": [["00:00", "valley"], ["12:00", "deep"]],
    },
    "week": {"mon-fri": "work", "sat,sun": "rest", "holiday": "rest", "workday": "work", "fair": "fair"},
}


def noon(day: str, cost: str) -> tuple[str, str, str, str]:
    """1 kWh from noon to one o'clock."""
    return f"{day}T12:00+08:00", f"{day}T13:00+08:00", "1", cost


EDGES = [
    # 21 to 22 h: 2 kWh at 1.00. 22 to 24 h: 1 kWh at 0.40 is the 100th, 3 kWh at 0.50. July: 2 kWh at 0.50 of the new version.
    Edge(
        "band, tier, month end and version in one interval",
        [timed("2025-01-01", "1", "0.4"), timed("2025-07-01", "1.2", "0.5")],
        [JUNE_BEFORE, (*OVER_MONTH_END, "4.9")],
        {("valley", 1): "100", ("peak", 1): "2", ("valley", 2): "3"},
        [(*MONTHLY_BILLS[0], "42.7"), (*MONTHLY_BILLS[1], "1")],
    ),
    # Before midnight 2 kWh at 1.00, the last of them the 100th; from then on valley, July, version two, tier one: 2 at 0.50.
    Edge(
        "band, tier, month end and version at one instant",
        [
            timed("2025-01-01", "1", "0.4", **clock("valley", ("08:00", "peak"))),
            timed("2025-07-01", "1.2", "0.5", **clock("valley", ("08:00", "peak"))),
        ],
        [
            ("2025-06-01T00:00+08:00", "2025-06-01T01:00+08:00", "98", "39.2"),
            ("2025-06-30T23:00+08:00", "2025-07-01T01:00+08:00", "4", "3"),
        ],
        {("valley", 1): "100", ("peak", 1): "2"},
        [(*MONTHLY_BILLS[0], "41.2"), (*MONTHLY_BILLS[1], "1")],
    ),
    # As the first, but the year's count goes on: July's 2 kWh are in tier two of version two, at 0.60.
    Edge(
        "a year's count goes on over month end and version",
        [timed("2025-01-01", "1", "0.4", **YEAR_COUNT), timed("2025-07-01", "1.2", "0.5", **YEAR_COUNT)],
        [JUNE_BEFORE, (*OVER_MONTH_END, "5.1")],
        {("valley", 1): "98", ("peak", 1): "2", ("valley", 2): "5"},
        [(*MONTHLY_BILLS[0], "42.7"), (*MONTHLY_BILLS[1], "1.2")],
    ),
    Edge(
        "a version that begins the year's count anew",
        [timed("2025-01-01", "1", "0.4", **YEAR_COUNT), timed("2025-07-01", "1.2", "0.5", **RESTARTED)],
        [JUNE_BEFORE, (*OVER_MONTH_END, "4.9")],
        {("valley", 1): "100", ("peak", 1): "2", ("valley", 2): "3"},
        [(*MONTHLY_BILLS[0], "42.7"), (*MONTHLY_BILLS[1], "1")],
    ),
    # 1 kWh an hour, 14 peak and 10 valley hours a day. Two days are 48 kWh: 18.00 each. On the third 2 valley kWh are in
    # tier one, 8 valley and 14 peak kWh in tier two: 0.80 + 4.00 + 15.40.
    Edge(
        "three days of silence, then one reading",
        [timed("2025-01-01", "1", "0.4", tiers={"cycle": "month", "limits": ["50"]})],
        [("2025-06-01T00:00+08:00", "2025-06-04T00:00+08:00", "72", "56.2")],
        {("peak", 1): "28", ("valley", 1): "22", ("peak", 2): "14", ("valley", 2): "8"},
        [
            ("2025-06-01", "2025-06-02", "18"),
            ("2025-06-02", "2025-06-03", "18"),
            ("2025-06-03", "2025-06-04", "20.2"),
        ],
    ),
    # 2 hours at 0.50, the 29th at 2.00, 2 hours at 0.50; two days of the month's 29 and of the year's 366.
    Edge(
        "the 29th of February",
        [LEAP],
        [("2024-02-28T22:00+08:00", "2024-03-01T02:00+08:00", "28", "50")],
        {("flat", 1): "28"},
        [("2024-02-28", "2024-03-01", "53")],
    ),
    # Four hours at 0.50. The bill's day is one of 28 and one of 365: 1 + 29/28 + 366/365 = 31053/10220.
    Edge(
        "no 29th of February",
        [LEAP],
        [("2025-02-28T22:00+08:00", "2025-03-01T02:00+08:00", "4", "2")],
        {("flat", 1): "4"},
        [("2025-02-28", "2025-03-01", "31053/10220")],
    ),
    # The hour before local midnight is in tier two, the hour after it in tier one; UTC's year ends eight hours later.
    Edge(
        "a year of tiers that begins at local midnight",
        [yearly("01-01")],
        [
            ("2025-12-01T00:00+08:00", "2025-12-01T01:00+08:00", "150", "80"),
            ("2025-12-31T23:00+08:00", "2026-01-01T01:00+08:00", "2", "1.1"),
        ],
        {("flat", 1): "101", ("flat", 2): "51"},
        [("2025-12-01", "2026-01-01", "80.6"), ("2026-01-01", "2026-02-01", "0.5")],
    ),
    Edge(
        "a year of tiers that begins in December",
        [yearly("12-01")],
        [
            ("2025-11-01T00:00+08:00", "2025-11-01T01:00+08:00", "150", "80"),
            ("2025-11-30T23:00+08:00", "2025-12-01T01:00+08:00", "2", "1.1"),
        ],
        {("flat", 1): "101", ("flat", 2): "51"},
        [("2025-11-01", "2025-12-01", "80.6"), ("2025-12-01", "2026-01-01", "0.5")],
    ),
    # From one o'clock it is two: 6 hours of night at 0.10 and 17 of day at 0.30, and 1.00 for the day.
    Edge(
        "a day of 23 hours",
        [NIGHT_AND_DAY],
        [("2025-03-30T00:00+00:00", "2025-03-31T00:00+01:00", "23", "5.7")],
        {("night", 1): "6", ("day", 1): "17"},
        [("2025-03-30", "2025-03-31", "6.7")],
        "Europe/London",
    ),
    # One o'clock comes twice: 8 hours of night, 17 of day, the last of which is the 25th kWh of its day: 1.00 more.
    Edge(
        "a day of 25 hours",
        [NIGHT_AND_DAY],
        [("2025-10-26T00:00+01:00", "2025-10-27T00:00+00:00", "25", "6.9")],
        {("night", 1): "8", ("day", 1): "16", ("day", 2): "1"},
        [("2025-10-26", "2025-10-27", "7.9")],
        "Europe/London",
    ),
    # The days of 2025 as the State Council announced them; the file itself takes one away and names another.
    Edge(
        "holidays, worked weekends and days of one's own",
        [WORKING],
        [
            noon("2025-09-27", "0.4"),  # a Saturday
            noon("2025-09-28", "1"),  # a Sunday that is worked
            noon("2025-10-01", "0.4"),  # Wednesday, the National Day
            noon("2025-10-07", "0.2"),  # Tuesday, a holiday, but the fair's day comes first
            noon("2025-10-08", "1"),  # Wednesday, a holiday that the file takes away
            noon("2025-10-09", "1"),  # a Thursday
            noon("2025-10-11", "1"),  # a Saturday that is worked
            noon("2025-10-12", "0.4"),  # a Sunday
        ],
        {("peak", 1): "4", ("valley", 1): "3", ("deep", 1): "1"},
        [("2025-09-27", "2025-10-01", "1.4"), ("2025-10-01", "2025-10-13", "4")],
        calendar={"holidays": "CN", "remove": ["2025-10-08"], "sets": {"fair": ["2025-10-07"]}},
    ),
    # From Friday 22 h to Sunday 9 h by the clock: Saturday is worked, so its 14 hours from 8 to 22 are the peak.
    Edge(
        "an interval into a worked weekend and out of it",
        [WORKING],
        [("2025-10-10T22:00+08:00", "2025-10-12T09:00+08:00", "35", "22.4")],
        {("peak", 1): "14", ("valley", 1): "21"},
        [("2025-10-10", "2025-10-13", "22.4")],
        calendar={"holidays": "CN", "sets": {"fair": []}},
    ),
]


def bill_edges(edge: Edge) -> list[int]:
    """The instants at which the bills of a row begin and the last one ends; they follow one another."""
    days = [edge.bills[0][0], *(until for _, until, _ in edge.bills)]
    return [midnight_ms(date.fromisoformat(day), edge.zone) for day in days]


def series(edge: Edge) -> Series:
    """The uses of a row, with nothing used between them, from the first bill's begin to the last one's end."""
    marks = bill_edges(edge)[:: len(edge.bills)]
    uses = {ms(begin): (ms(end), int(Fraction(kwh) * 1000)) for begin, end, kwh, _ in edge.uses}
    ends = {end for end, _ in uses.values()}
    outside = {mark for mark in marks if not any(begin < mark < end for begin, (end, _) in uses.items())}
    times = sorted({*outside, *uses, *ends})
    usage = [uses[begin][1] if begin in uses else 0 for begin, _ in pairwise(times)]
    return Series(np.array(times, np.int64), np.array(usage, np.int64))


@pytest.mark.parametrize("edge", EDGES, ids=lambda edge: edge.name)
def test_the_slow_calendar_charges_what_was_worked_out_by_hand(edge: Edge) -> None:
    """Each interval its cost, and each band and tier its energy."""
    plan, counter, costs = edge.plan(), Counter(), []
    parts: Sums = Sums()

    for begin, end, kwh, _ in edge.uses:
        charge = cost_of(plan, ms(begin), ms(end), int(Fraction(kwh) * 1000), counter)
        costs.append(Fraction(charge.cost_picos, PICOS))
        for piece in charge.pieces:
            parts[plan[0].tariff.bands[piece.moment.band], piece.tiers[0]] += piece.usage

    assert costs == [Fraction(cost) for *_, cost in edge.uses]
    assert parts == {place: int(kwh) * 1000 for place, kwh in edge.parts.items()}


@pytest.mark.parametrize("edge", EDGES, ids=lambda edge: edge.name)
def test_bills_come_to_what_was_worked_out_by_hand(edge: Edge) -> None:
    """Each bill its total, on which nothing is rounded."""
    found = bills(edge.plan(), series(edge), bill_edges(edge))

    assert [bill.total for bill in found] == [Fraction(total) for *_, total in edge.bills]


def all_billed(edge: Edge) -> bool:
    """Whether the last bill ends after the last use."""
    return ms(edge.uses[-1][1]) <= midnight_ms(date.fromisoformat(edge.bills[-1][1]), edge.zone)


@pytest.mark.parametrize("edge", [*filter(all_billed, EDGES)], ids=lambda edge: edge.name)
def test_bills_have_the_energy_of_each_band_and_tier(edge: Edge) -> None:
    """Their terms add up to the parts of the row, also where a bill ends in the middle of an interval."""
    terms: Sums = Sums()

    for bill in bills(edge.plan(), series(edge), bill_edges(edge)):
        for term in bill.lines[0].terms:
            terms[term.band, term.tier] += term.quantity

    assert terms == {place: int(kwh) for place, kwh in edge.parts.items()}


def test_money_over_the_edge_of_a_tier_is_spent_by_what_it_buys() -> None:
    """97 kWh into June, 5.00 in the valley buys 3 kWh at 0.40 and 7.6 at 0.50; using them costs 5.00 again."""
    plan = Edge("", [timed("2025-01-01", "1", "0.4")], [], {}, []).plan()
    counter, start = Counter(), ms("2025-06-02T00:00+08:00")
    cost_of(plan, start - HOUR_MS, start, 97_000, counter)

    bought = quote(plan, start, 5_000_000, 97_000)
    used = cost_of(plan, start, start + HOUR_MS, 10_600, counter)
    times = np.array([start - HOUR_MS, start, start + HOUR_MS], np.int64)
    (bill,) = bills(plan, Series(times, np.array([97_000, 10_600], np.int64)), [start, start + HOUR_MS])

    assert [(term.quantity, term.price, term.tier) for term in bought.terms] == [
        (3, Fraction("0.4"), 1),
        (Fraction("7.6"), Fraction("0.5"), 2),
    ]
    assert (bought.usage, bought.rest) == (10_600, 0)
    assert (used.cost_picos, bill.total) == (5 * PICOS, 5)
