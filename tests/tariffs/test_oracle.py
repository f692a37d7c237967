"""A year of hourly load priced by us and by an independent program: NREL's `utilityrate5`, the engine of SAM (PyPI `nrel-pysam`).

SAM's year has 365 days, begins on a Monday and knows neither holidays nor daylight saving: 2018 in UTC is such a year. It
splits monthly tiers pro rata over its periods, which is the same money as ours, in order of time, where every period adds
the same amount in the same tier; so these are the tariffs that it can check. It counts in binary floating point.
"""

import json
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tariffs.bill import bills
from tariffs.loader import load_tariff
from tariffs.series import Series
from tariffs.tariff import plan_of

PySAM = pytest.importorskip("PySAM.Utilityrate5", reason="the oracle has no wheel for this machine")

HOURS = 8760
HOUR_MS = 3_600_000
YEAR = 2018
START_MS = int(datetime(YEAR, 1, 1, tzinfo=UTC).timestamp()) * 1000
MONTHS_MS = [int(datetime(YEAR + m // 12, m % 12 + 1, 1, tzinfo=UTC).timestamp()) * 1000 for m in range(13)]
KINDS = ("one price", "time of use", "tiers", "time of use and tiers", "demand", "everything")


@dataclass(frozen=True)
class Case:
    """A random tariff as both programs are told it. Prices in decimal strings, limits in kWh and kW."""

    kind: str
    weekday: list[list[int]]
    weekend: list[list[int]]
    prices: list[str]
    adders: list[str]
    limits: list[int]
    standing: str
    demand: list[str]
    demand_limits: list[int]
    band_demand: list[str]
    load_wh: NDArray[np.int64]


def _price(dice: random.Random, low: int, high: int, decimals: int) -> str:
    return f"{dice.randint(low, high) / 10**decimals:.{decimals}f}"


def _schedule(dice: random.Random, periods: int) -> list[list[int]]:
    """12 rows of 24 periods, 0-based; neighbouring months often share a row, as published tables do."""
    rows: list[list[int]] = []
    for month in range(12):
        if month and dice.random() < 0.7:
            rows.append(rows[-1])
            continue
        edges = sorted(dice.sample(range(1, 24), dice.randint(0, 4)))
        row: list[int] = []
        for begin, end in zip([0, *edges], [*edges, 24], strict=True):
            row += [dice.randrange(periods)] * (end - begin)
        rows.append(row)
    return rows


def _case(seed: int) -> Case:
    dice = random.Random(seed)
    kind = KINDS[seed % len(KINDS)]
    periods = dice.randint(2, 6) if "use" in kind or kind in {"demand", "everything"} else 1
    tiers = dice.randint(2, 4) if "tiers" in kind or kind == "everything" else 1
    has_demand = kind in {"demand", "everything"}
    weekday, weekend = _schedule(dice, periods), _schedule(dice, periods)
    steps = sorted(dice.sample(range(20, 900), tiers - 1))
    base = np.random.default_rng(seed).gamma(2.0, 400.0, HOURS) + 50.0
    return Case(
        kind=kind,
        weekday=weekday,
        weekend=weekend,
        prices=[_price(dice, 20_000, 1_500_000, 6) for _ in range(periods)],
        adders=["0", *(_price(dice, 1_000, 300_000, 6) for _ in steps)],
        limits=steps,
        standing=_price(dice, 0, 5_000, 2),
        demand=[_price(dice, 100, 3_000, 2) for _ in range(2)] if has_demand else [],
        demand_limits=[dice.randint(1, 3)] if has_demand else [],
        band_demand=[_price(dice, 0, 2_000, 2) for _ in range(periods)] if has_demand else [],
        load_wh=base.astype(np.int64),
    )


def _profile(row: list[int]) -> list[list[str]]:
    return [[f"{hour:02d}:00", f"p{band}"] for hour, band in enumerate(row) if hour == 0 or row[hour - 1] != band]


def _document(case: Case) -> str:
    """The case as one of our files, in its JSON form: a season for each month, a charge for each demand price."""
    days: dict[str, Any] = {}
    seasons = []
    for month in range(12):
        days[f"weekday_{month}"], days[f"weekend_{month}"] = (
            _profile(case.weekday[month]),
            _profile(case.weekend[month]),
        )
        week = {"mon-fri": f"weekday_{month}", "sat,sun": f"weekend_{month}"}
        seasons.append({"name": f"month_{month + 1}", "months": [month + 1], "week": week})
    title = {"zh": "每月基本费", "en": "Monthly charge"}
    charges: list[dict[str, Any]] = [{"name": "fixed", "title": title, "amount": case.standing, "every": "month"}]
    if case.demand:
        limits = [str(limit) for limit in case.demand_limits]
        charges.append({"name": "peak", "title": title, "demand": case.demand, "limits": limits, "minutes": 60})
        charges += [
            {"name": f"peak_{band}", "title": title, "demand": price, "bands": [f"p{band}"], "minutes": 60}
            for band, price in enumerate(case.band_demand)
        ]
    version: dict[str, Any] = {
        "from": "2018-01-01",
        "prices": {f"p{band}": price for band, price in enumerate(case.prices)},
        "days": days,
        "week": seasons[-1]["week"],
        "season": seasons[:-1],
        "charge": charges,
    }
    if case.limits:
        version["tiers"] = {"cycle": "month", "limits": [str(limit) for limit in case.limits]}
        version["adders"] = case.adders
    document = {
        "tariff": "oracle",
        "title": {"zh": "对照", "en": "Oracle"},
        "commodity": "electricity",
        "currency": "USD",
        "zone": "UTC",
        "source": "random",
        "version": [version],
    }
    return json.dumps(document, ensure_ascii=False)


def _ours(case: Case) -> list[Fraction]:
    """Twelve monthly bills."""
    times = START_MS + np.arange(HOURS + 1, dtype=np.int64) * HOUR_MS
    made = bills(plan_of(load_tariff(_document(case))), Series(times, case.load_wh), MONTHS_MS)
    return [bill.total for bill in made]


def _theirs(case: Case) -> list[float]:
    """The same twelve months by SAM."""
    rate = PySAM.new()
    terms = rate.ElectricityRates
    used = sorted({band for rows in (case.weekday, case.weekend) for row in rows for band in row})
    number = {band: index + 1 for index, band in enumerate(used)}  # SAM wants every period in its schedules, from 1 on.
    weekday = [[number[band] for band in row] for row in case.weekday]
    weekend = [[number[band] for band in row] for row in case.weekend]
    tops = [*map(float, case.limits), 1e38]
    settings = {
        "en_electricity_rates": 1,
        "ur_metering_option": 0,
        "ur_monthly_fixed_charge": float(case.standing),
        "ur_monthly_min_charge": 0,
        "ur_annual_min_charge": 0,
        "ur_en_ts_sell_rate": 0,
        "ur_ts_sell_rate": [0],
        "ur_en_ts_buy_rate": 0,
        "ur_ts_buy_rate": [0],
        "ur_sell_eq_buy": 0,
        "ur_nm_yearend_sell_rate": 0,
        "ur_nm_credit_month": 11,
        "ur_nm_credit_rollover": 0,
        "rate_escalation": [0],
        "ur_dc_enable": int(bool(case.demand)),
        "ur_ec_sched_weekday": weekday,
        "ur_ec_sched_weekend": weekend,
        "ur_ec_tou_mat": [
            [number[band], tier + 1, top, 0, float(case.prices[band]) + float(case.adders[tier]), 0]
            for band in used
            for tier, top in enumerate(tops)
        ],
    }
    if case.demand:
        settings |= {
            "ur_dc_sched_weekday": weekday,
            "ur_dc_sched_weekend": weekend,
            "ur_dc_tou_mat": [[number[band], 1, 1e38, float(case.band_demand[band])] for band in used],
            "ur_dc_flat_mat": [
                [month, tier + 1, top, float(case.demand[tier])]
                for month in range(12)
                for tier, top in enumerate([*map(float, case.demand_limits), 1e38])
            ],
        }
    for key, value in settings.items():
        setattr(terms, key, value)
    rate.Lifetime.analysis_period = 1
    rate.Lifetime.inflation_rate = 0
    rate.Lifetime.system_use_lifetime_output = 0
    rate.Load.load = [wh / 1000 for wh in case.load_wh.tolist()]
    rate.Load.load_escalation = [0]
    rate.SystemOutput.gen = [0] * HOURS
    rate.SystemOutput.degradation = [0]
    rate.execute(0)
    return list(rate.Outputs.utility_bill_wo_sys_ym[1])


@pytest.mark.parametrize("seed", range(30))
def test_a_year_of_bills_agrees_with_an_independent_program(seed: int) -> None:
    """Thirty random tariffs, five of each kind, come out as SAM has them, month for month, to its own precision."""
    case = _case(seed)

    ours, theirs = _ours(case), _theirs(case)

    assert [float(total) for total in ours] == pytest.approx(theirs, rel=1e-9)
