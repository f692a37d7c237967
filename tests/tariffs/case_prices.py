"""Cases that state lines, limits or prices and no total: charging sessions, limits by days, and prices built of components."""

from case_documents import MARCH, Case, Part, Statement, by_hours, charge, component, days
from case_statements import CENT

VAT: dict[str, Part] = {
    "energy": charge("vat_energy", percent="10", of=["energy"]),
    "start": charge("vat_start", percent="20", of=["start"]),
}
START = charge("start", amount="0.50", every="bill")
ROUNDED: Part = {"round": {"bill": CENT}}
CAPPED: Part = {
    "price": "0.25",
    "charge": [
        START,
        charge("cap", maximum="10", of=["energy", "start"]),
        *VAT.values(),
        charge("cap_with_vat", maximum="11", of=["energy", "start", "cap", "vat_energy", "vat_start"]),
    ],
    **ROUNDED,
}
CAPPED_LINES = {"excl": ("energy", "start", "cap"), "incl": ("bill:0",)}

SESSIONS: dict[str, Statement] = {
    "OCPI-8-SIMPLE": Statement(
        {"price": "0.25", "charge": [VAT["energy"]], **ROUNDED},
        used=((0, "20"),),
        lines={"excl": ("energy",), "incl": ("bill:0",)},
    ),
    "OCPI-9-START": Statement(
        {"price": "0.25", "charge": [START, *VAT.values()], **ROUNDED},
        used=((0, "20"),),
        lines={"excl": ("energy", "start"), "incl": ("bill:0",)},
    ),
    "OCPI-12-MIN": Statement(
        {
            "price": "0.25",
            "charge": [
                charge("least", minimum="0.50", of=["energy"]),
                charge("vat", percent="10", of=["energy", "least"]),
            ],
            **ROUNDED,
        },
        used=((0, "1"),),
        lines={"excl": ("energy", "least"), "incl": ("bill:0",)},
    ),
    "OCPI-6-MAX-50": Statement(CAPPED, used=((0, "50"),), lines=CAPPED_LINES),
    "OCPI-6-MAX-30": Statement(CAPPED, used=((0, "30"),), lines=CAPPED_LINES),
    "OCPI-3-STEP-100WH-022": Statement(
        {
            "component": [component("energy", "0.22", usage_round={"step": "0.1", "mode": "up"})],
            "charge": [VAT["energy"]],
            **ROUNDED,
        },
        used=((0, "20.45"),),
        lines={"excl": ("energy",), "incl": ("bill:0",)},
    ),
}
"""Bills of a charging session, of which the cases state lines and no total."""

BOUNDS: dict[str, Statement] = {
    "IN-MSEDCL-31D-BOUNDS": Statement(
        {
            "price": ["1", "2", "3"],
            "tiers": {
                "cycle": "month",
                "limits": ["100", "200"],
                "days": {"per": 30, "limit_round": {"step": "1", "mode": "down"}},
            },
        },
        days(MARCH, 31),
        ((0, "500"),),
        lines={"b1": ("1",), "b2": ("1", "2")},
    ),
    # 22.1918 kWh a day, said for 60 days, since a limit has at most three decimals.
    "CA-BCHYDRO-THRESHOLD-58": Statement(
        {
            "price": ["1", "2"],
            "tiers": {"cycle": "month", "limits": ["1331.508"], "days": {"per": 60, "limit_round": {"step": "1"}}},
        },
        days(MARCH, 58),
        ((0, "2000"),),
        lines={"bound": ("1",)},
    ),
    "CA-HQ-D-62": Statement(
        {"price": ["1", "2"], "tiers": {"cycle": "month", "limits": ["40"], "days": {"per": 1}}},
        days(MARCH, 62),
        ((0, "3000"),),
        lines={"bound": ("1",)},
    ),
}
"""Limits that depend on the days of a bill; `lines`: the tiers that lie below each."""


def published_price(case: Case) -> Part:
    """Hubei's price as its publication builds it: agent price and losses follow the ratios, all together have 6 decimals."""
    parts = case["tariff"]["components"]
    return {
        "price": parts["agent_purchase"],
        "ratios": {"sharp": "2.0", "peak": "1.49", "flat": "1", "valley": "0.45"},
        "price_round": {"step": "0.000001", "mode": "half_up"},
        "component": [
            component("line_loss", parts["line_loss"], floats=True),
            component("system_operation", parts["system_operation"]),
            component("government_fund", parts["government_fund"]),
            component("network", case["tariff"]["t_and_d"]),
        ],
        **by_hours(["sharp", "peak", "flat", "valley"]),
    }
