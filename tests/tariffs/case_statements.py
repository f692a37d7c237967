"""Cases whose source speaks in words, stated by hand in our model: whole-use schedules, brackets, demand, loads, shares of a year."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta

from case_documents import APRIL, MARCH, MAY, Case, Part, Statement, by_hours, charge, component, counted, days, stated

from tariffs.tariff import Premises

CENT = {"step": "0.01", "mode": "half_up"}
BIMONTHLY = {"edges": (MARCH, MAY)}
TWO_MONTHS = {"cycle": "two_months", "begin": "03-01"}
COUNTED_BY_TWO_MONTHS = ("TW-RES-NS-BIM-", "IN-KSEB-", "JP-MINOWA-", "JP-WATER-13MM-")
"""Cases whose blocks are for two months: the rest of those with blocks count by the month."""
SYABAS_TIERS = {"cycle": "month", "days": {"per": 30, "factor_round": CENT, "unscaled": [28, 33]}}


def clock(*windows: tuple[str, str]) -> Part:
    """One day profile for every day."""
    return {"days": {"all": [[*window] for window in windows]}, "week": {"mon-sun": "all"}}


GUANGZHOU_CLOCK = clock(
    ("00:00", "valley"), ("08:00", "flat"), ("10:00", "peak"), ("12:00", "flat"), ("14:00", "peak"), ("19:00", "flat")
)
GUANGZHOU_TIERS: Part = {
    "tiers": {"cycle": "month", "limits": ["200", "400"]},
    "season": [{"name": "summer", "months": [5, 6, 7, 8, 9, 10], "limits": ["260", "600"]}],
}
GUANGZHOU_STEP: Part = {"price": ["0.589", "0.639", "0.889"], **GUANGZHOU_TIERS}
GUANGZHOU_TOU: Part = {
    "price": "0.5802",
    "ratios": {"peak": "1.7", "flat": "1", "valley": "0.38"},
    "component": [component("fund", "0.00866875")],
    **GUANGZHOU_CLOCK,
}
TIER_ADDERS: Part = {"adders": ["0", "0.05", "0.30"], **GUANGZHOU_TIERS}
PERSONS = {"above": 4, "adds": ["100", "100"], "each": False}

TAMIL_NADU_2012: Part = {
    "tiers": TWO_MONTHS,
    "schedule": [
        {"up_to": "100", "price": "1"},
        {"up_to": "200", "price": "1.5"},
        {"up_to": "500", "limits": ["200"], "price": ["2", "3"]},
        {"limits": ["200", "500"], "price": ["3", "4", "5.75"]},
    ],
    "charge": [
        charge(
            "fixed",
            brackets=[{"up_to": "200", "amount": "20"}, {"up_to": "500", "amount": "30"}, {"amount": "40"}],
            every="bill",
        )
    ],
}
TAMIL_NADU_2022: Part = {
    "tiers": TWO_MONTHS,
    "schedule": [
        {"up_to": "500", "limits": ["100", "200", "400"], "price": ["0", "2.25", "4.5", "6"]},
        {
            "limits": ["100", "400", "500", "600", "800", "1000"],
            "price": ["0", "4.5", "6", "8", "9", "10", "11"],
        },
    ],
}


def two_rates(rates: tuple[str, str], first: str, **more: object) -> Part:
    """A part of the price that only one of two bands has, as invoices print it."""
    (name, price), other = rates, "p2" if rates[0] == "p1" else "p1"
    return component(first, {name: price, other: "0"}, round=CENT, **more)


def gst(*names: str) -> list[Part]:
    """10 % on each line apart."""
    return [charge(f"{name}_gst", percent="10", of=[name]) for name in names]


def evenly(total_hours: int, kwh: str, first: str = "") -> tuple[tuple[int, str], ...]:
    """The same in every hour, another in the first."""
    return tuple((hour, first if first and hour == 0 else kwh) for hour in range(total_hours))


def taipei_load() -> Iterator[tuple[int, str]]:
    """July 2024: on working days 2.5 kW from 9 o'clock on and 1 kW before, 1.5 kW at weekends."""
    for hour in range(31 * 24):
        weekday, clock_hour = (date(2024, 7, 1) + timedelta(hours=hour // 24 * 24)).weekday(), hour % 24
        yield hour, "1.5" if weekday >= 5 else "2.5" if clock_hour >= 9 else "1.0"


STATEMENTS: dict[str, Statement] = {
    "CN-GZ-STEP-SUMMER-600": Statement(GUANGZHOU_STEP, (date(2025, 7, 1), date(2025, 8, 1))),
    "CN-GZ-STEP-NONSUMMER-600": Statement(GUANGZHOU_STEP, (date(2025, 1, 1), date(2025, 2, 1))),
    "TW-TOU2-JUL2024": Statement(
        {
            "prices": {"off_peak": "2.06", "peak": "5.16"},
            "days": {"working": [["00:00", "off_peak"], ["09:00", "peak"]], "rest": [["00:00", "off_peak"]]},
            "week": {"mon-fri": "working", "sat,sun": "rest"},
        },
        days(date(2024, 7, 1), 31),
        tuple(taipei_load()),
    ),
    "TW-SURCHARGE-2000": Statement(
        {"tiers": {"cycle": "month"}, "component": [component("surcharge", ["0", "1.04"], limits=["2000"])]},
        days(date(2024, 7, 1), 31),
        evenly(744, "100"),
    ),
    "JP-MIDORI-WATER-55": Statement(
        {
            "tiers": {"cycle": "month", "limits": ["10", "20"]},
            "price": ["50", "130", "180"],
            "charge": [
                charge("base", amount="1650", every="month"),
                charge("vat", percent="8", of=["energy", "base"]),
            ],
        },
        used=((0, "27"), (31 * 24, "28")),
        **BIMONTHLY,
    ),
    "JP-CHIKUGO-WATER-51": Statement(
        {
            "tiers": {"cycle": "month", "limits": ["10"]},
            "price": ["0", "157.5"],
            "charge": [charge("base", amount="1785", every="bill"), charge("meter", amount="63", every="bill")],
            "round": {"bill": {"step": "10", "mode": "down"}},
        },
        (MARCH, APRIL, MAY),
        ((0, "26"), (31 * 24, "25")),
        lines={"m1": ("bill:0",), "m2": ("bill:1",)},
    ),
    "MY-SYABAS-34D-50": Statement({"tiers": SYABAS_TIERS}, days(MARCH, 34)),
    "MY-SYABAS-27D-40": Statement({"tiers": SYABAS_TIERS}, days(MARCH, 27)),
    "US-REOPT-FPL-24000": Statement(
        {
            "tiers": {"cycle": "month", "limits": ["1000"]},
            "price": ["0.07531", "0.09613"],
            "component": [component("adjustment", "0.0119")],
        },
        tuple(date(2025 + month // 12, month % 12 + 1, 1) for month in range(13)),
        tuple(((date(2025, month + 1, 1) - date(2025, 1, 1)).days * 24, "2000") for month in range(12)),
    ),
    "ES-PVPC-2020-30D": Statement(
        {
            "component": [
                two_rates(("p1", "0.062012"), "p1_toll"),
                two_rates(("p1", "0.049855"), "p1_energy"),
                two_rates(("p2", "0.002215"), "p2_toll"),
                two_rates(("p2", "0.043402"), "p2_energy"),
            ],
            "charge": [
                charge("power", amount="38.043426", every="year", per="kW", round=CENT),
                charge("margin", amount="0.008505", every="day", per="kW", round=CENT),
                charge(
                    "iee",
                    percent="5.11269632",
                    of=["power", "margin", "p1_toll", "p1_energy", "p2_toll", "p2_energy"],
                    round=CENT,
                ),
                charge("meter", amount="0.026667", every="day", round=CENT),
                charge(
                    "vat",
                    percent="21",
                    of=["power", "margin", "p1_toll", "p1_energy", "p2_toll", "p2_energy", "iee", "meter"],
                    round=CENT,
                ),
            ],
            **by_hours(["p1", "p2"]),
        },
        days(date(2020, 4, 1), 30),
        premises=Premises(capacity_w=4600),
    ),
    "BE-FLANDERS-2026-05": Statement(
        {
            "price": "0.012",
            "component": [component("market", "0.110"), component("distribution", "0.0505027")],
            "charge": [
                charge("capacity", amount="49.4036563", every="year", per="kW"),
                charge("reading", amount="17.85", every="year"),
                charge("fees", amount="353.812176", every="bill"),
                charge("vat", percent="6", of=["energy", "market", "distribution", "capacity", "reading", "fees"]),
            ],
        },
        days(date(2026, 5, 1), 31),
        evenly(744, "10"),
        Premises(capacity_w=10_000),
        {"supplier": ("energy", "market"), "distributor": ("distribution", "capacity", "reading")},
    ),
    "NO-GRID-2022-07": Statement(
        {
            "price": "0.06",
            "component": [component("fee", "0.1541", round=CENT)],
            "charge": [
                charge("peak", demand="40", minutes=60),
                charge("fixed", amount="340", every="month"),
            ],
        },
        days(date(2022, 7, 1), 31),
        (*evenly(743, "76.4", first="164.8"), (743, "74.4")),
    ),
    "AU-ERGON-T11-22D": Statement(
        {
            "component": [component("usage", "0.2461")],
            "charge": [charge("supply", amount="0.89572", every="day"), *gst("usage", "supply")],
        },
        days(MARCH, 22),
        lines={"supply": ("supply", "supply_gst"), "usage": ("usage", "usage_gst")},
    ),
    "AU-ERGON-T12-31D": Statement(
        {
            "component": [
                component("peak", {"pk": "0.55865", "off": "0"}),
                component("offpeak", {"pk": "0", "off": "0.19859"}),
            ],
            "charge": [charge("supply", amount="1.01306", every="day"), *gst("peak", "offpeak", "supply")],
            **by_hours(["pk", "off"]),
        },
        lines={name: (name, f"{name}_gst") for name in ("supply", "peak", "offpeak")},
    ),
    "AU-ERGON-T14-DEMAND": Statement(
        {"price": "0", "charge": [charge("demand", demand="61.79", minutes=30), *gst("demand")]},
        used=(*evenly(262, "0.7"), (262, "0.52")),
    ),
    "UK-OCTOPUS-FLAT": Statement(
        {"price": "0.50", "charge": [charge("standing", amount="0.02", every="day")]}, days(MARCH, 1), evenly(24, "2")
    ),
    "UK-OCTOPUS-TOU": Statement(
        {"prices": {"offpeak": "0.10", "peak": "0.50"}, **clock(("00:00", "offpeak"), ("05:00", "peak"))},
        days(MARCH, 1),
        evenly(24, "2"),
        lines={"offpeak": ("energy:offpeak",), "peak": ("energy:peak",)},
    ),
    "OCPI-7-FIRST-KWH-FREE": Statement(
        {
            "tiers": {"cycle": "month", "limits": ["1"]},
            "price": ["0", "0.20"],
            "charge": [charge("parking", amount="3.50", every="bill")],
        }
    ),
    "US-GRIDLABD-TEP-JAN": Statement(
        {
            "prices": {"off_peak": "0.097803", "peak": "0.104717"},
            "adders": ["0", "0.009", "0.0145"],
            "tiers": {"cycle": "month", "limits": ["500", "1000"]},
            "charge": [charge("fee", amount="10", every="month")],
            "days": {
                "working": [
                    ["00:00", "off_peak"],
                    ["06:00", "peak"],
                    ["09:00", "off_peak"],
                    ["18:00", "peak"],
                    ["21:00", "off_peak"],
                ],
                "rest": [["00:00", "off_peak"]],
            },
            "week": {"mon-fri": "working", "sat,sun": "rest"},
        },
        days(date(2006, 1, 1), 31),
        evenly(743, "2"),
    ),
}
"""The last: Tucson Electric Power's winter prices, as GridLAB-D's own models print them for January 2006. The exact total of the
case is that of 743 hours: the engine counts from the end of the first one."""


def statement(case: Case) -> Statement:
    """A case in our model: by hand where it stands above, else what its charges say, counted by the period they are for."""
    identity, usage = case["id"], case["usage"][0]
    if identity.startswith(("IN-TN-2012-", "IN-TN-2022-")):
        return Statement(TAMIL_NADU_2012 if "2012" in identity else TAMIL_NADU_2022, **BIMONTHLY).of(usage)
    if identity.startswith("MY-SYABAS-"):
        own = STATEMENTS[identity]
        return replace(own, version={**stated(case).version, **own.version}).of(usage)
    if identity in STATEMENTS:
        return STATEMENTS[identity].of(usage)
    if identity.startswith(COUNTED_BY_TWO_MONTHS):
        return replace(counted(stated(case), **TWO_MONTHS), **BIMONTHLY)
    return counted(stated(case))
