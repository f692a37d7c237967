"""The periods of a URDB record as bands, day profiles and seasons.

A record has one table of 12 × 24 periods for energy, one for demand, and a list of 12 for demand at any hour. A band of ours
is what is the same in all three, so that a charge for demand can name the bands that it looks at.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Record = dict[str, Any]
Key = tuple[int, int | None, int | None]
"""Period of energy, of demand by the hour, of demand by the month; None where that costs nothing."""

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_JANUARY, _JULY = 0, 6
_HOURS = 24


@dataclass(frozen=True, slots=True)
class SeasonMonths:
    """Months (0 is January) with the same days, and the periods of energy in them; `week` names its day profiles."""

    name: str
    months: tuple[int, ...]
    week: dict[str, str]
    periods: set[int]


@dataclass
class Months:
    """What a record's tables say. The season that is the tariff's own, without months, is the last.

    `energy`: tiers by period; `demand`, `flat`: those that cost anything. `…_of`: the period of each band.
    """

    energy: list[list[Record]]
    demand: dict[int, list[Record]] = field(default_factory=dict)
    flat: dict[int, list[Record]] = field(default_factory=dict)
    bands: list[str] = field(default_factory=list)
    energy_of: dict[str, int] = field(default_factory=dict)
    demand_of: dict[str, int | None] = field(default_factory=dict)
    flat_of: dict[str, int | None] = field(default_factory=dict)
    days: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    seasons: list[SeasonMonths] = field(default_factory=list)


def months_of(record: Record, refuse: Callable[[str], None]) -> Months | None:
    """Bands, day profiles and seasons of a record. Calls `refuse` for every table that is not what it should be."""
    energy = record.get("energyratestructure")
    if not isinstance(energy, list) or not energy or not all(isinstance(tiers, list) and tiers for tiers in energy):
        refuse(
            "energyratestructure: found none; expected tiers for each period: without it there is no price of energy"
        )
        return None
    demand, flat = (record.get(key) or [] for key in ("demandratestructure", "flatdemandstructure"))
    made = Months(energy, _costly(demand), _costly(flat))
    tables = [
        (
            _schedule(record, f"energy{day}schedule", len(energy), refuse),
            _schedule(record, f"demand{day}schedule", len(demand), refuse) if made.demand else None,
        )
        for day in ("weekday", "weekend")
    ]
    monthly = _monthly(record, len(flat), refuse) if made.flat else [0] * 12
    if any(table is None for table, _ in tables) or monthly is None:
        return None
    rows = [
        tuple(_row(made, energy_table or [], demand_table, monthly, month) for energy_table, demand_table in tables)
        for month in range(12)
    ]
    names = _names(record, made, [key for row in rows for day in row for key in day])
    _seasons(made, rows, names, record.get("fueladjustmentsmonthly"))
    return made


def _costly(structure: list[list[Record]]) -> dict[int, list[Record]]:
    return {
        period: tiers
        for period, tiers in enumerate(structure)
        if any(float(tier.get("rate") or 0) + float(tier.get("adj") or 0) for tier in tiers)
    }


def _schedule(record: Record, key: str, periods: int, refuse: Callable[[str], None]) -> list[list[int]] | None:
    """A table of 12 rows of 24 periods; one that is missing has period 0 throughout, if there is only that."""
    table = record.get(key)
    if table is None and periods == 1:
        return [[0] * _HOURS] * len(MONTHS)
    is_table = isinstance(table, list) and len(table) == len(MONTHS)
    if not is_table or any(not isinstance(row, list) or len(row) != _HOURS for row in table or []):
        refuse(f"{key}: found {'nothing' if table is None else 'another shape'}; expected 12 rows of 24 periods")
        return None
    rows: list[list[int]] = table or []
    for month, row in enumerate(rows):
        for hour, period in enumerate(row):
            if not isinstance(period, int) or not 0 <= period < periods:
                refuse(f"{key}[{month}][{hour}]: found {period!r}; expected a period from 0 to {periods - 1}")
                return None
    return rows


def _monthly(record: Record, periods: int, refuse: Callable[[str], None]) -> list[int] | None:
    monthly = record.get("flatdemandmonths") or [0] * len(MONTHS)
    if len(monthly) != len(MONTHS) or any(not isinstance(p, int) or not 0 <= p < periods for p in monthly):
        refuse(f"flatdemandmonths: found {monthly}; expected 12 periods from 0 to {periods - 1}")
        return None
    return list(monthly)


def _row(
    made: Months, energy: list[list[int]], demand: list[list[int]] | None, monthly: list[int], month: int
) -> tuple[Key, ...]:
    flat = monthly[month] if monthly[month] in made.flat and len(set(monthly)) > 1 else None
    return tuple(
        (energy[month][hour], demand[month][hour] if demand and demand[month][hour] in made.demand else None, flat)
        for hour in range(_HOURS)
    )


def _names(record: Record, made: Months, keys: list[Key]) -> dict[Key, str]:
    """A band for each key: the record's own label of the period, else its number counted from 1, as OpenEI shows it."""
    labels = record.get("energytoulabels") or []
    words = [re.sub(r"\W+", "_", str(label)).strip("_").lower()[:16] for label in labels]
    is_named = len(words) == len(made.energy) == len(set(words)) and all(word.isidentifier() for word in words)
    names: dict[Key, str] = {}
    for key in sorted(set(keys), key=lambda key: (key[0], key[1] or 0, key[2] or 0)):
        period, demand, flat = key
        name = words[period] if is_named else f"period_{period + 1}"
        name += "" if demand is None else f"_demand{demand + 1}"
        name += "" if flat is None else f"_flat{flat + 1}"
        names[key] = name
        made.bands.append(name)
        made.energy_of[name], made.demand_of[name], made.flat_of[name] = period, demand, flat
    if all(flat is None for flat in made.flat_of.values()) and made.flat:
        made.flat_of = dict.fromkeys(made.bands, next(iter(made.flat)))
    return names


def _seasons(made: Months, rows: list[tuple[tuple[Key, ...], ...]], names: dict[Key, str], fuel: Any) -> None:
    """Group months that are alike; the longest season is the tariff's own and comes last."""
    alike: dict[Any, list[int]] = {}
    for month, row in enumerate(rows):
        alike.setdefault((row, str(fuel[month]) if fuel and len(fuel) == len(rows) else ""), []).append(month)
    profiles: dict[tuple[Key, ...], str] = {}
    groups = sorted(alike.items(), key=lambda item: (len(item[1]), -item[1][0]))
    for ((weekday, weekend), _), months in groups:
        name = season_name(months, len(groups))
        suffixes = ("", "") if weekday == weekend else ("_weekday", "_weekend")
        found = [
            profiles.setdefault(day, f"{name}{suffix}" if len(groups) > 1 else suffix.lstrip("_") or "every_day")
            for day, suffix in zip((weekday, weekend), suffixes, strict=True)
        ]
        week = {"mon-sun": found[0]} if found[0] == found[1] else {"mon-fri": found[0], "sat,sun": found[1]}
        periods = {period for day in (weekday, weekend) for period, _, _ in day}
        made.seasons.append(SeasonMonths(name, tuple(months), week, periods))
    made.days = {
        name: [(hour, names[key]) for hour, key in enumerate(day) if hour == 0 or day[hour - 1] != key]
        for day, name in profiles.items()
    }


def season_name(months: list[int], groups: int) -> str:
    """`summer` and `winter` where there are two, else the months themselves: `jun_to_sep`, `jan_feb_dec`."""
    if groups == 2 and (_JANUARY in months) != (_JULY in months):
        return "summer" if _JULY in months else "winter"
    if len(months) > 2 and months == list(range(months[0], months[-1] + 1)):
        return f"{MONTHS[months[0]]}_to_{MONTHS[months[-1]]}"
    if len(months) > 7:
        return "rest_of_year"
    return "_".join(MONTHS[month] for month in months)
