"""Years of hourly load, and the matrices of SAM read as a record of the utility rate database, which is what they are made from."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from itertools import groupby
from typing import Any

import numpy as np
from case_documents import FOLDER, HOUR_MS, Case, Part, Statement, at_ms, plan
from numpy.typing import NDArray

from tariffs.bill import Bill, bills
from tariffs.loader import load_tariff
from tariffs.series import Series
from tariffs.tariff import plan_of
from tariffs.urdb import import_record

YEAR = 2018
"""A year of 365 days that begins on a Monday; in UTC, which has no summer time."""
HOURS = 8760
EDGES = [at_ms(date(YEAR + month // 12, month % 12 + 1, 1)) for month in range(13)]
ENDLESS = 1e38
_UNITS = {0: "kWh", 2: "kWh daily"}
DEMAND_HOUR = 60


def load(name: str, finer: int = 1) -> Series:
    """Hours of a load in Wh / `finer`. What is cut off an hour is in the next one, so that nothing is lost."""
    kilowatts = [Fraction(line) for line in (FOLDER / name).read_text(encoding="ascii").split()]
    assert len(kilowatts) == HOURS
    totals, total = [0], Fraction(0)
    for each in kilowatts:
        total += each * 1000 * finer
        totals.append(int(total))
    times: NDArray[np.int64] = EDGES[0] + np.arange(HOURS + 1, dtype=np.int64) * HOUR_MS
    return Series(times, np.diff(np.array(totals, np.int64)))


def record(case: Case) -> dict[str, Any]:
    """SAM's matrices as the record that they come from: periods from 0 on, tiers with their maximum, months by hours."""
    matrices, numbers = case["tariff"]["ur_matrices"], case["tariff"]["ur_numbers"]
    found: dict[str, Any] = {
        "name": case["id"],
        "energyratestructure": _structure(matrices["ur_ec_tou_mat"], unit=3, rate=4),
        "energyweekdayschedule": _schedule(matrices["ur_ec_sched_weekday"]),
        "energyweekendschedule": _schedule(matrices["ur_ec_sched_weekend"]),
        "fixedchargefirstmeter": _decimal(numbers["ur_monthly_fixed_charge"]),
    }
    if numbers["ur_dc_enable"]:
        found |= {
            "demandratestructure": _structure(matrices["ur_dc_tou_mat"], unit=None, rate=3),
            "demandweekdayschedule": _schedule(matrices["ur_dc_sched_weekday"]),
            "demandweekendschedule": _schedule(matrices["ur_dc_sched_weekend"]),
            "demandwindow": DEMAND_HOUR,
        }
        assert not any(row[3] for row in matrices["ur_dc_flat_mat"])
    return found


def _decimal(value: float) -> Decimal:
    return Decimal(repr(value))


def _structure(rows: Sequence[Sequence[float]], unit: int | None, rate: int) -> list[list[Part]]:
    """Rows of (period, tier, maximum, …) by period."""
    return [[_tier(row, unit, rate) for row in tiers] for _, tiers in groupby(rows, key=lambda row: row[0])]


def _tier(row: Sequence[float], unit: int | None, rate: int) -> Part:
    top = {} if row[2] == ENDLESS else {"max": _decimal(row[2])}
    return {"rate": _decimal(row[rate]), "unit": "kW" if unit is None else _UNITS[int(row[unit])], **top}


def _schedule(rows: Sequence[Sequence[float]]) -> list[list[int]]:
    return [[int(period) - 1 for period in row] for row in rows]


def bills_of(case: Case) -> list[Bill]:
    """Twelve bills of a case of SAM's."""
    tariff = load_tariff(import_record(record(case), "UTC").text)
    return list(bills(plan_of(tariff), load(case["usage"][0]["load_8760_csv"]), EDGES))


def guangzhou_year(case: Case, prices: Part) -> list[Fraction]:
    """Twelve monthly totals over limits by month.

    The load has 17 decimals and a series whole Wh. So this is the year of a household with 100 000 times the use and the limits,
    which pays 100 000 times as much: an hour counts to 1e-8 kWh.
    """
    finer = 100_000
    limits = {
        int(month): [str(limit * finer) for limit in row] for month, row in case["tariff"]["tiers_by_month"].items()
    }
    seasons = [{"name": f"m{month}", "months": [month], "limits": limits[month]} for month in range(1, 12)]
    version = {**prices, "tiers": {"cycle": "month", "limits": limits[12]}, "season": seasons}
    household = plan(case, Statement(version))
    year = load(case["usage"][0]["load_8760_csv"], finer)
    return [bill.total / finer for bill in bills(household, year, EDGES)]
