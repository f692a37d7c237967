"""What the benches measure with: a tariff with time of use and tiers, accounts of one meter each, and the machine's name."""

import os
import platform
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ulid import ULID

from domain.facts import AccountOpened, Fact, MeterInstalled, RechargeOrdered
from domain.units import MICROS_PER_UNIT, MINUTE_MS
from domain.words import Commodity

T0 = 1_767_225_600_000
SWEEP_MS = 15 * MINUTE_MS
TARIFF = "bench-residential"
DOCUMENT = """
tariff = "bench-residential"
title = { zh = "居民分时阶梯电价", en = "Residential time of use with tiers" }
commodity = "electricity"
currency = "CNY"
zone = "Asia/Shanghai"
source = "made for measuring"

[[version]]
from = 2025-01-01

[version.prices]
sharp = ["1.1283", "1.1783", "1.4283"]
peak = ["0.8683", "0.9183", "1.1683"]
flat = ["0.5683", "0.6183", "0.8683"]
valley = ["0.2883", "0.3383", "0.5883"]

[version.tiers]
cycle = "month"
limits = ["100", "240"]

[version.days]
all = [
  ["00:00", "valley"], ["08:00", "flat"], ["10:00", "peak"], ["12:00", "flat"],
  ["19:00", "sharp"], ["21:00", "peak"], ["22:00", "flat"],
]

[version.week]
"mon-sun" = "all"
"""
"""Four bands and three monthly tiers; in a day of `usages` some meters reach the second tier, in three days all three are used."""


def usages(meters: int) -> NDArray[np.int64]:
    """Wh of each meter in a sweep, of the meters 1 to `meters`: 250 to 1,749."""
    return usage_of(np.arange(1, meters + 1, dtype=np.int64))


def usage_of(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Wh of each of some meters in a sweep."""
    return 250 + (numbers - 1) % 1500


def opened(number: int, tariff: str, recharge: int) -> list[Fact]:
    """An account with `recharge` units of money and one meter, whose number is the account's."""
    account = f"bench-{number}"
    return [
        AccountOpened(at=T0, id=order(), account=account, currency="CNY"),
        RechargeOrdered(
            at=T0, id=order(), account=account, amount_micros=recharge * MICROS_PER_UNIT, currency="CNY"
        ),
        MeterInstalled(
            at=T0, id=order(), meter=number, account=account, commodity=Commodity.ELECTRICITY, tariff=tariff,
            modulus=42_949_672_960, rated_per_hour=20_000, opening_register=0,
        ),
    ]  # fmt: skip


def order() -> str:
    """An order's id."""
    return str(ULID.from_timestamp(T0 / 1000))


def figures(bench: str, meters: int, sweeps: int, seconds: float, cpu_seconds: float) -> dict[str, Any]:
    """What a run of `sweeps` readings of each meter is reported as. On a busy machine the time of the CPU says more."""
    readings = meters * sweeps
    return {
        "bench": bench,
        "meters": meters,
        "sweeps": sweeps,
        "seconds": round(seconds, 3),
        "cpu_seconds": round(cpu_seconds, 3),
        "readings_per_s": round(readings / seconds),
        "readings_per_cpu_s": round(readings / cpu_seconds),
        **machine(),
    }


def machine() -> dict[str, Any]:
    """On what was measured."""
    return {"cores": os.cpu_count(), "machine": platform.machine()}
