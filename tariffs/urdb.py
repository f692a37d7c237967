"""Records of OpenEI's Utility Rate Database (URDB) read into tariff files of our own.

A record is hours, months and numbered periods; a tariff file is day profiles, seasons and named bands. What a file cannot
state exactly is told as a note and never dropped in silence; where that is the price itself, the record is refused.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from tariffs.urdb_periods import MONTHS, Months, months_of
from tariffs.urdb_shape import shape_mistakes
from tariffs.urdb_text import tariff_text
from tariffs.zones import zone

Record = dict[str, Any]
Document = dict[str, Any]

NANO = Decimal("1e-9")
TIER_UNITS: dict[str, Document] = {
    "kWh": {},
    "kWh daily": {"days": {"per": 1}},
    "kWh/kW": {"per": "kW"},
    "kWh/kW daily": {"per": "kW", "days": {"per": 1}},
}
"""How our tiers say a URDB tier's unit."""

_EVERY = {"$/month": "month", "$/day": "day", "$/year": "year"}
_WINDOWS = {5, 10, 15, 30, 60}
_UNSTATED = {
    "demandratchetpercentage": "a ratchet on demand",
    "lookbackpercent": "billed demand that looks back at earlier months",
    "lookbackrange": "billed demand that looks back at earlier months",
    "coincidentratestructure": "a charge for demand at the utility's own peak",
    "demandreactivepowercharge": "a charge for reactive power",
    "annualmincharge": "a minimum for a whole year, which no single bill can know",
    "annualminmonthlycharge": "a minimum for a whole year, which no single bill can know",
    "fixedchargeeaaddl": "a fixed charge for each further meter",
}
"""Keys of a record that a tariff file cannot state, and what they are."""


class ImportRefusedError(ValueError):
    """A record whose price cannot be stated; each argument is one reason, in a sentence."""

    def __str__(self) -> str:
        return "\n".join(map(str, self.args))


@dataclass(frozen=True, slots=True)
class Imported:
    """A tariff file's text, and what of the record is not in it or was decided; the text says the same at its top."""

    tariff: str
    text: str
    notes: tuple[str, ...]


@dataclass
class _Making:
    """A document in the making, and what there is to say about it."""

    record: Record
    notes: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def refuse(self, text: str) -> None:
        if text not in self.refusals:
            self.refusals.append(text)


def record_of(text: str, label: str | None = None) -> Record:
    """The record in a JSON text: a single one, or the one with this label of `{"items": […]}`. Raises ImportRefusedError."""
    try:
        found = json.loads(text, parse_float=Decimal)
    except json.JSONDecodeError as error:
        raise ImportRefusedError(f"line {error.lineno}: no JSON: {error.msg}") from None
    records = found.get("items", [found]) if isinstance(found, dict) else found
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise ImportRefusedError('expected a URDB record, or records as {"items": […]}')
    if label is not None:
        records = [record for record in records if record.get("label") == label]
    if len(records) != 1:
        labels = ", ".join(f"{record.get('label')} ({record.get('name')})" for record in records[:20])
        hint = f"say which with --label: {labels}" if records else "none has this label"
        raise ImportRefusedError(f"{len(records)} records; {hint}")
    record: Record = records[0]
    return record


def import_record(record: Record, zone_name: str, currency: str = "USD", tariff: str | None = None) -> Imported:
    """A tariff file that prices as a record does, in a zone that the record does not have.

    Raises ImportRefusedError with every reason why its price cannot be stated, ValueError for an unknown zone.
    """
    if mistakes := list(shape_mistakes(record)):
        raise ImportRefusedError(*mistakes)
    making = _Making(record)
    begins = _begins(making, zone_name)
    months = months_of(record, making.refuse)
    if making.refusals or months is None:
        raise ImportRefusedError(*making.refusals)
    names = [str(record.get(key) or "").strip() for key in ("utility", "name")]
    title = ", ".join(filter(None, names)) or "URDB record"
    tariff = tariff or _slug(title, str(record.get("label") or "urdb"))
    version: Document = {"from": begins, **_energy(making, months), **_fuel(making)}
    version |= _weeks(months, version)
    version["charge"] = [*_fixed(making), *_demand(making, months)]
    version["charge"] += _minimum(making, version)
    if making.refusals:
        raise ImportRefusedError(*making.refusals)
    _unstated(making)
    document: Document = {
        "tariff": tariff,
        "title": {"zh": title, "en": title},
        "commodity": "electricity",
        "currency": currency,
        "zone": zone_name,
        "source": _source(record),
        "version": [version],
    }
    return Imported(tariff, tariff_text(document, _heading(record, making.notes)), tuple(making.notes))


def _begins(making: _Making, zone_name: str) -> date:
    zone(zone_name)
    ends = making.record.get("enddate")
    if ends:
        making.note(f"the record ended on {_local_date(ends, zone_name)}; a tariff file has no end")
    begins = making.record.get("startdate")
    if not begins:
        making.note("the record has no startdate; it is taken to be in force since 2000-01-01")
        return date(2000, 1, 1)
    return _local_date(begins, zone_name)


def _local_date(seconds: Any, zone_name: str) -> date:
    """Epoch seconds as a date: records write midnight either in UTC or at their own place."""
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(seconds))
    return at.date() if (at.hour, at.minute) == (0, 0) else at.astimezone(zone(zone_name)).date()


def _energy(making: _Making, months: Months) -> Document:
    """Prices by band and tier, and what tiers count; by season where seasons differ in their limits."""
    units = {str(tier.get("unit") or "kWh") for tiers in months.energy for tier in tiers}
    tables = [_table(making, months, season.periods) for season in months.seasons]
    last = len(tables) - 1
    same = len({limits for limits, _ in tables}) == 1
    prices = {band: row for _, rows in tables for band, row in rows.items()} if same else tables[last][1]
    limits = tables[last][0]
    made: Document = _priced(prices, months.bands)
    if limits or not same:
        unit = units.pop() if len(units) == 1 else ""
        if unit not in TIER_UNITS:
            making.refuse(f"energyratestructure: tiers in {unit or 'several units'}; expected {', '.join(TIER_UNITS)}")
        made["tiers"] = {"cycle": "month", "limits": [*limits], **TIER_UNITS.get(unit, {})}
        _tier_notes(making, months, unit)
    if not same:
        made["season_prices"] = [{"limits": [*limits], **_priced(rows, months.bands)} for limits, rows in tables[:last]]
    return made


def _tier_notes(making: _Making, months: Months, unit: str) -> None:
    making.note("tiers count the use of each calendar month; the record says the utility's billing period")
    if unit.startswith("kWh/kW"):
        making.note(
            "the record scales its tiers by each month's billed demand; here they are per kW of contracted capacity,"
            " so state that demand as the capacity"
        )
    if len(months.energy) > 1:
        making.note("tiers count the use of all periods together, in order of time; the record does not say how")


def _priced(rows: dict[str, tuple[str, ...]], bands: list[str]) -> Document:
    texts: dict[str, Any] = {band: row[0] if len(row) == 1 else [*row] for band, row in rows.items()}
    return {"price": texts[bands[0]]} if len(bands) == 1 else {"prices": texts}


def _table(making: _Making, months: Months, periods: set[int]) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """Limits of all of some periods, and the prices of their bands between them."""
    edges = sorted({top for period in periods for top in _tops(making, period, months.energy[period])})
    rows = {}
    for band, period in months.energy_of.items():
        if period in periods:
            tiers, tops = months.energy[period], _tops(making, period, months.energy[period])
            floors = [Decimal(0), *edges]
            rows[band] = tuple(_price(making, tiers[sum(top <= floor for top in tops)]) for floor in floors)
    return tuple(_plain(edge) for edge in edges), rows


def _tops(making: _Making, period: int, tiers: list[Record]) -> list[Decimal]:
    tops = [Decimal(str(tier["max"])) if tier.get("max") is not None else None for tier in tiers]
    where = f"energyratestructure[{period}]"
    known = [top for top in tops[:-1] if top is not None]
    if len(known) != len(tops) - 1 or known != sorted(set(known)):
        making.refuse(
            f"{where}: found tiers with max {[str(top) for top in tops]}; expected rising ones but for the last"
        )
    if tops[-1] is not None and tops[-1] < Decimal("1e9"):
        making.note(f"{where}: use beyond its last max of {_plain(tops[-1])} is priced as its last tier")
    return known


def _price(making: _Making, tier: Record) -> str:
    """`rate` and `adj` together."""
    if tier.get("sell"):
        making.note("sell rates (what is paid for energy fed in) are not stated: a tariff file prices use")
    exact = Decimal(str(tier.get("rate") or 0)) + Decimal(str(tier.get("adj") or 0))
    rounded = exact.quantize(NANO, ROUND_HALF_UP)
    if exact != rounded:
        making.note(f"the price {exact} has more than 9 decimals and is rounded to {_plain(rounded)}")
    return _plain(rounded)


def _fuel(making: _Making) -> Document:
    """`fueladjustmentsmonthly` as a component of its own; its seasons are months."""
    monthly = making.record.get("fueladjustmentsmonthly")
    if not monthly or not any(monthly):
        return {}
    if len(monthly) != len(MONTHS):
        making.refuse(f"fueladjustmentsmonthly: found {len(monthly)} values; expected 12")
        return {}
    return {"fuel_prices": [_price(making, {"rate": value}) for value in monthly]}


def _weeks(months: Months, version: Document) -> Document:
    """Day profiles, the version's own week and components, and its seasons; takes up what `_energy` and `_fuel` left."""
    fuel, season_prices = version.pop("fuel_prices", None), version.pop("season_prices", None)
    made: Document = {}
    *seasons, own = months.seasons
    if fuel:
        title = {"zh": "燃料调整", "en": "Fuel adjustment"}
        made["component"] = [{"name": "fuel", "title": title, "price": fuel[own.months[0]]}]
    if len(months.bands) > 1:
        made["days"] = {name: [[f"{hour:02d}:00", band] for hour, band in slots] for name, slots in months.days.items()}
        made["week"] = own.week
    made["season"] = []
    for number, season in enumerate(seasons):
        part: Document = {"name": season.name, "months": [month + 1 for month in season.months]}
        part |= season_prices[number] if season_prices else {}
        if len(months.bands) > 1 and season.week != own.week:
            part["week"] = season.week
        if fuel:
            part["component"] = [{"name": "fuel", "price": fuel[season.months[0]]}]
        made["season"].append(part)
    return made


def _fixed(making: _Making) -> Iterator[Document]:
    record = making.record
    every = _EVERY.get(str(record.get("fixedchargeunits") or "$/month"))
    amount = record.get("fixedchargefirstmeter")
    if not amount and record.get("fixedmonthlycharge"):
        amount, every = record["fixedmonthlycharge"], "month"
    if not amount:
        return
    if every is None:
        making.refuse(f"fixedchargeunits: found {record['fixedchargeunits']!r}; expected {', '.join(_EVERY)}")
    title = {"zh": "基本费", "en": "Fixed charge"}
    yield {"name": "fixed", "title": title, "amount": _plain(Decimal(str(amount))), "every": every}


def _minimum(making: _Making, version: Document) -> Iterator[Document]:
    record = making.record
    every = _EVERY.get(str(record.get("minchargeunits") or "$/month"))
    amount = record.get("mincharge")
    if not amount and record.get("minmonthlycharge"):
        amount, every = record["minmonthlycharge"], "month"
    if not amount:
        return
    if every not in {"month", "day"}:
        making.note(f"mincharge of {amount} {record.get('minchargeunits')}: no single bill can know it")
        return
    lines = ["energy", *(part["name"] for part in [*version.get("component", []), *version["charge"]])]
    title = {"zh": "最低收费", "en": "Minimum charge"}
    making.note("the minimum is that of all lines together; the record does not say of which")
    yield {"name": "minimum", "title": title, "minimum": _plain(Decimal(str(amount))), "of": lines, "every": every}


def _demand(making: _Making, months: Months) -> Iterator[Document]:
    """A charge for each period of demand that costs anything."""
    kinds = (
        ("demand", "demandratestructure", months.demand, months.demand_of, ("分时需量电费", "Demand in period")),
        ("flat_demand", "flatdemandstructure", months.flat, months.flat_of, ("需量电费", "Demand")),
    )
    if not months.demand and not months.flat:
        return
    unit = str(making.record.get("demandrateunit") or making.record.get("flatdemandunit") or "kW")
    if unit != "kW":
        making.refuse(f"demandrateunit: found {unit!r}; expected kW, which is what demand is charged by here")
    window = making.record.get("demandwindow")
    if window is not None and window not in _WINDOWS:
        making.refuse(f"demandwindow: found {window}; expected one of {sorted(_WINDOWS)} minutes")
    minutes = int(window or 15)
    making.note(
        f"demand is the highest average of {minutes} minutes in a calendar month"
        + ("" if window else "; the record does not say of how many minutes")
    )
    for kind, key, structure, band_of, (zh, en) in kinds:
        for period, tiers in structure.items():
            bands = [band for band, where in band_of.items() if where == period]
            number = f" {period + 1}" if len(structure) > 1 or kind == "demand" else ""
            charge: Document = {
                "name": f"{kind}{number.replace(' ', '_')}",
                "title": {"zh": f"{zh}{number}", "en": f"{en}{number}"},
                "demand": [_plain(Decimal(_price(making, tier))) for tier in tiers],
                "minutes": minutes,
            }
            tops = [tier.get("max") for tier in tiers[:-1]]
            if any(top is None for top in tops):
                making.refuse(f"{key}[{period}]: a tier but the last has no max")
            elif tops:
                charge["limits"] = [_plain(Decimal(str(top))) for top in tops]
            if set(bands) != set(months.bands):
                charge["bands"] = bands
            yield charge


def _unstated(making: _Making) -> None:
    for key, what in _UNSTATED.items():
        value = making.record.get(key)
        if any(value) if isinstance(value, list) else value:
            making.note(f"{key} is not stated: {what}")
    making.note("a URDB record knows no public holidays; they are priced as their weekday")


def _source(record: Record) -> str:
    parts = [record.get("uri") or f"OpenEI URDB {record.get('label') or ''}".strip(), record.get("source")]
    return ", ".join(str(part) for part in parts if part)


def _heading(record: Record, notes: list[str]) -> list[str]:
    label = record.get("label") or "without label"
    return [
        f"Imported from the OpenEI URDB record {label}. Not in it, or decided here:",
        *(f"- {note}" for note in notes),
    ]


def _slug(title: str, otherwise: str) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:64].strip("-")
    return slug or re.sub(r"[^a-z0-9]+", "-", otherwise.lower()).strip("-") or "urdb"


def _plain(value: Decimal) -> str:
    """Decimal text without exponent or trailing zeros."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
