"""Bills in order of time against plain arithmetic, where the whole use of a period chooses its prices."""

from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.units import DAY_MS
from tariffs.bill import bills
from tariffs.loader import load_tariff
from tariffs.periods import midnight_ms
from tariffs.series import Series
from tariffs.tariff import plan_of

CLIFF = """tariff = "cliff"
title = { zh = "分档电价表", en = "Price lists by use" }
commodity = "electricity"
currency = "INR"
zone = "Asia/Kolkata"
source = "an example"

[[version]]
from = 2025-01-01
prices = { day = ["1", "2"], night = ["0.5", "1.5"] }

[version.tiers]
cycle = "CYCLE"
limits = ["100"]
mode = "volume"

[version.days]
all = [["00:00", "night"], ["08:00", "day"]]

[version.week]
"mon-sun" = "all"
"""
PRICES = {False: (Fraction(1), Fraction(1, 2)), True: (Fraction(2), Fraction(3, 2))}
"""By whether a period has used more than 100 kWh: by day and by night."""


def owed_until(last, usage, months):
    """All that is owed for the days before day `last`: a third of a day's use is by night, rounded down to whole Wh."""
    periods = {}
    for day in range(last):
        at = date(2025, 1, 1) + timedelta(days=day)
        by_day, by_night = periods.get((at.month - 1) // months, (0, 0))
        night = usage[day] // 3
        periods[(at.month - 1) // months] = by_day + usage[day] - night, by_night + night
    return sum(
        Fraction(used, 1000) * price
        for both in periods.values()
        for used, price in zip(both, PRICES[sum(both) > 100_000], strict=True)
    )


@pytest.mark.parametrize(("cycle", "months"), [("month", 1), ("two_months", 2)])
@settings(max_examples=30)
@given(
    usage=st.lists(st.integers(0, 12_000), min_size=120, max_size=120), steps=st.sets(st.integers(1, 119), max_size=6)
)
def test_bills_of_any_length_add_up_to_what_is_owed(cycle, months, usage, steps):
    """However four months are cut into bills, each has what its own use changes in the price of the days before it."""
    tariff = load_tariff(CLIFF.replace("CYCLE", cycle))
    begin = midnight_ms(date(2025, 1, 1), tariff.zone)
    times = [begin + day * DAY_MS for day in range(121)]
    cuts = [0, *sorted(steps), 120]

    made = bills(plan_of(tariff), Series(np.array(times), np.array(usage)), [times[cut] for cut in cuts])

    owed = [owed_until(cut, usage, months) for cut in cuts]
    assert [bill.exact for bill in made] == [after - before for before, after in pairwise(owed)]
