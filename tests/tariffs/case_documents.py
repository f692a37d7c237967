"""From bills that others computed to our own tariff documents: what the cases say in charges, said in the product's model.

A case names charges in order and quantities by name. Most become components and charges as they stand; those whose source
speaks in words ("the whole schedule depends on total use") are stated by hand in `case_statements.py`.
"""

import json
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from tariffs.bill import Bill, bills
from tariffs.loader import load_tariff
from tariffs.series import Series
from tariffs.tariff import Plan, Premises, plan_of

FOLDER = Path(__file__).parents[2].parent / "shared" / "tariff-cases"
HOUR_MS = 3_600_000
MARCH, APRIL, MAY = date(2025, 3, 1), date(2025, 4, 1), date(2025, 5, 1)
MINOR = {"AUD-cents": "AUD", "GBP-pence": "GBP"}
"""Currencies that a case counts in hundredths; the documents say whole units."""

Case = dict[str, Any]
Part = dict[str, Any]
_UNIT_PRICE = re.compile(r"qty\*Decimal\('([\d.]+)'\)(?:\*Decimal\('([\d.]+)'\))?")


@dataclass(frozen=True)
class Statement:
    """A case in our model. `version`: the body of its `[[version]]`. `edges`: first days of its bills, and the day after.

    `used`: (hours since the first edge, kWh or m³ in that hour). `lines`: what a charge of the case is called on our bill, where
    it has another name: lines that add up, "line:band" for one band of a line, "bill:0" for the whole of a bill.
    """

    version: Part
    edges: tuple[date, ...] = (MARCH, APRIL)
    used: tuple[tuple[int, str], ...] = ()
    premises: Premises = field(default_factory=Premises)
    lines: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def of(self, usage: Part) -> "Statement":
        """With the quantities of a case, one an hour from the first edge on, where the statement has none of its own."""
        names = [name for name in usage if name not in {"month", "days"}]
        return self if self.used else replace(self, used=tuple((hour, usage[name]) for hour, name in enumerate(names)))


def cases() -> list[Case]:
    """All cases, or none where this clone has no shared folder beside it."""
    file = FOLDER / "cases.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else []


def title(text: str) -> dict[str, str]:
    """One text for both languages."""
    return {"zh": text, "en": text}


def component(name: str, price: Any, **more: Any) -> Part:
    """A `[[version.component]]`; prices by band are a table."""
    return {"name": name, "title": title(name), "prices" if isinstance(price, dict) else "price": price, **more}


def charge(name: str, **what: Any) -> Part:
    """A `[[version.charge]]`."""
    return {"name": name, "title": title(name), **what}


def rounding(rule: Part | None) -> Part | None:
    """A case's rounding as ours; its floor is of positive amounts."""
    return rule and {"mode": {"floor": "down"}.get(rule["mode"], rule["mode"]), "step": rule["step"]}


def percent(rate: str) -> str:
    """0.037 is 3.7 %."""
    return f"{Decimal(rate) * 100:f}"


def by_hours(bands: list[str]) -> Part:
    """A day that has each band for an hour, the last until midnight: where the case only says how much was used in each."""
    return {"days": {"all": [[f"{hour:02d}:00", band] for hour, band in enumerate(bands)]}, "week": {"mon-sun": "all"}}


def stated(case: Case) -> Statement:
    """A case whose charges say all there is to say."""
    components, charges = [], []
    for part in case["tariff"]["charges"]:
        more = {"round": rounding(part["round"])} if "round" in part else {}
        match part["type"]:
            case "blocks":
                limits = [block["to"] for block in part["blocks"][:-1]]
                components.append(
                    component(part["id"], [block["rate"] for block in part["blocks"]], limits=limits, **more)
                )
            case "periods":
                components.append(component(part["id"], part["rates"], **more))
            case "per_unit":
                components.append(component(part["id"], part["rate"], **more))
            case "expr":
                components.append(_unit_price(part, more))
            case "fixed":
                charges.append(charge(part["id"], amount=part["amount"], every="bill", **more))
            case "percent":
                charges.append(charge(part["id"], percent=percent(part["rate"]), of=part["of"], **more))
    version: Part = {"component": components or [component("use", "0")], "charge": charges}
    if bands := [band for part in components for band in part.get("prices", ())]:
        version |= by_hours(bands)
    return Statement(version).of(case["usage"][0])


def _unit_price(part: Part, more: Part) -> Part:
    """Qty × price, or qty × factor × price."""
    found = _UNIT_PRICE.fullmatch(part["expr"])
    assert found is not None, f"{part['expr']} is to be stated by hand"
    first, second = found.groups()
    return component(part["id"], second or first, **({"factor": first} if second else {}), **more)


def counted(statement: Statement, **tiers: Any) -> Statement:
    """With a counter for its tiers, by the month unless it is stated."""
    return replace(statement, version={"tiers": {"cycle": "month", **tiers}, **statement.version})


def document(case: Case, statement: Statement) -> str:
    """The whole tariff document, as a program sends it."""
    currency = case["tariff"]["currency"] or "XXX"
    total = rounding(case["tariff"].get("total_round"))
    if total and currency in MINOR:
        total["step"] = f"{Decimal(total['step']) / 100:f}"
    rounds = {"round": {"bill": total}} if total else {}
    return json.dumps(
        {
            "tariff": re.sub("[^a-z0-9]+", "-", case["id"].lower()),
            "title": title(case["id"]),
            "commodity": "water" if case["commodity"] == "water" else "electricity",
            "currency": MINOR.get(currency, currency),
            "zone": "UTC",
            "source": case["source"] if isinstance(case["source"], str) else json.dumps(case["source"]),
            "version": [{"from": "2000-01-01", **rounds, **statement.version}],
        }
    )


def plan(case: Case, statement: Statement) -> Plan:
    """The loaded tariff, assigned to the case's premises."""
    return plan_of(load_tariff(document(case, statement), case["id"]), statement.premises)


def at_ms(day: date) -> int:
    """The instant at which a day begins, ms UTC."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000


def thousandths(quantity: str) -> int:
    """Wh or litres; the cases that state finer quantities are not bills."""
    exact = Fraction(quantity) * 1000
    assert exact.denominator == 1, f"{quantity} is finer than a Wh or litre"
    return int(exact)


def series(statement: Statement) -> Series:
    """Hour by hour from the first edge to the last."""
    begin, end = at_ms(statement.edges[0]), at_ms(statement.edges[-1])
    times = np.arange(begin, end + 1, HOUR_MS, dtype=np.int64)
    usage = np.zeros(len(times) - 1, np.int64)
    for hour, quantity in statement.used:
        usage[hour] = thousandths(quantity)
    return Series(times, usage)


def made(case: Case, statement: Statement) -> list[Bill]:
    """The bills of a case."""
    return list(bills(plan(case, statement), series(statement), [at_ms(edge) for edge in statement.edges]))


def days(first: date, count: int) -> tuple[date, date]:
    """The edges of one bill of so many days."""
    return first, first + timedelta(days=count)
