"""The calendar of a tariff: which days are public holidays, which weekend days are worked, and days that the file names.

A package's next release may know more days than today's. A tariff that is published therefore carries its days with it
(`sealed`), so that the same log gives the same money with any release.
"""

import json
import re
from collections.abc import Iterable
from datetime import date
from itertools import groupby
from typing import Any

from domain import documents
from tariffs.model import CalendarPart, SealedPart, TariffPart
from tariffs.public_days import PublicDays, public_days
from tariffs.tariff import Calendar

_EPOCH = date(1970, 1, 1)
_SEALED = "sealed_calendar"
_SEAL = re.compile(rf"^\[{_SEALED}\][^\n]*(?:\n(?!\s*\[)[^\n]*)*\n?", re.MULTILINE)


def calendar_of(part: CalendarPart | None, seal: SealedPart | None, first_year: int) -> Calendar:
    """The days of a file's calendar: public ones from `first_year` on, with what the file adds and removes."""
    if part is None:
        return Calendar()
    public = PublicDays(frozenset())
    if part.holidays is not None:
        public = public_days(part.holidays, first_year) if seal is None else _unsealed(seal)
    holidays = (public.holidays | set(part.add)) - set(part.remove) - set(part.workdays)
    return Calendar(
        holidays=_numbers(holidays),
        workdays=_numbers((public.workdays | set(part.workdays)) - set(part.add)),
        sets={name: _numbers(day for days in ranges for day in days) for name, ranges in part.sets.items()},
        known_until=None if public.known_until is None else _number(public.known_until),
    )


def sealed(text: str) -> str:
    """The document with the days that its `holidays` stand for, in place of those that it had; as it was if it names none.

    It loads to the same tariff. Raises MistakesError where the document is not a tariff.
    """
    part = documents.load(TariffPart, text, "tariff")
    if part.calendar is None or part.calendar.holidays is None:
        return text
    public = public_days(part.calendar.holidays, first_year(part))
    if documents.is_json(text):
        return json.dumps(json.loads(text) | {_SEALED: _as_json(public)}, ensure_ascii=False, indent=2) + "\n"
    bare = _SEAL.sub("", text)
    if _SEALED in documents.parse(bare, "tariff"):  # Written by hand in another form: it is sealed as it is.
        return text
    return f"{bare.rstrip()}\n\n[{_SEALED}]\n{_as_toml(public)}"


def needs_sealing(tables: dict[str, Any]) -> bool:
    """Whether a document's holidays would come from a package."""
    return tables.get("calendar", {}).get("holidays") is not None and _SEALED not in tables


def first_year(part: TariffPart) -> int:
    """The year of the first version."""
    return min(version.from_.year for version in part.version)


def _unsealed(seal: SealedPart) -> PublicDays:
    return PublicDays(frozenset(seal.holidays), frozenset(seal.workdays), seal.known_until)


def _as_json(public: PublicDays) -> dict[str, Any]:
    known = {} if public.known_until is None else {"known_until": str(public.known_until)}
    return {name: [str(day) for day in sorted(getattr(public, name))] for name in ("holidays", "workdays")} | known


def _as_toml(public: PublicDays) -> str:
    """One line for each year, so that a reader finds a day and a comparison shows which year has changed."""
    lines = []
    for name in ("holidays", "workdays"):
        years = groupby(sorted(getattr(public, name)), key=lambda day: day.year)
        rows = [f"  {', '.join(map(str, days))},\n" for _, days in years]
        lines.append(f"{name} = [\n{''.join(rows)}]\n" if rows else f"{name} = []\n")
    if public.known_until is not None:
        lines.append(f"known_until = {public.known_until}\n")
    return "".join(lines)


def _numbers(days: Iterable[date]) -> frozenset[int]:
    return frozenset(_number(day) for day in days)


def _number(day: date) -> int:
    return (day - _EPOCH).days
