"""What the keys of a URDB record must hold to be read at all: numbers, lists of numbers, tiers of numbers by period."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

_NUMBERS = (
    "startdate",
    "enddate",
    "fixedchargefirstmeter",
    "fixedmonthlycharge",
    "mincharge",
    "minmonthlycharge",
    "demandwindow",
)
_LISTS_OF_NUMBERS = ("fueladjustmentsmonthly", "flatdemandmonths")
_STRUCTURES = ("energyratestructure", "demandratestructure", "flatdemandstructure")
_OF_A_TIER = ("max", "rate", "adj", "sell")


def shape_mistakes(record: dict[str, Any]) -> Iterator[str]:
    """What of a record is of another kind: the key, what was found, what is expected. A key without a value is no mistake."""
    for key in _NUMBERS:
        if not _is_number(record.get(key)):
            yield f"{key}: found {record[key]!r}; expected a number"
    for key in _LISTS_OF_NUMBERS:
        found = record.get(key) or []
        if not isinstance(found, list) or not all(map(_is_number, found)):
            yield f"{key}: found {found!r}; expected a list of numbers"
    for key in _STRUCTURES:
        yield from _structure_mistakes(key, record.get(key) or [])
    if not isinstance(record.get("energytoulabels") or [], list):
        yield f"energytoulabels: found {record['energytoulabels']!r}; expected a list of names"


def _structure_mistakes(key: str, structure: Any) -> Iterator[str]:
    if not isinstance(structure, list) or not all(isinstance(tiers, list) and tiers for tiers in structure):
        yield f"{key}: found {structure!r}; expected a list of tiers for each period"
        return
    for period, tiers in enumerate(structure):
        for place, tier in enumerate(tiers):
            where = f"{key}[{period}][{place}]"
            if not isinstance(tier, dict):
                yield f"{where}: found {tier!r}; expected a tier with max and rate"
                continue
            for name in _OF_A_TIER:
                if not _is_number(tier.get(name)):
                    yield f"{where}.{name}: found {tier[name]!r}; expected a number"


def _is_number(found: Any) -> bool:
    """Whether a value is none, or a number that JSON can write; NaN, which some programs write, is none."""
    return found is None or (isinstance(found, int | Decimal) and not isinstance(found, bool))
