"""Bounds on a tariff document that a stranger sends: more than any publication has, and little enough to be priced at once.

A tariff is read again by whoever folds the log, shard by shard, so one that takes a minute to read must not get there. Files of a site are
their operator's own, and not held to these.
"""

import re
from collections.abc import Iterator
from typing import Any

from domain import documents
from domain.documents import Mistake, MistakesError, Path, key_text
from domain.units import USAGE_MAX
from tariffs.model import TariffPart
from tariffs.tariff import Tariff

LIST_MAX = 400
"""Of a list that has no bound of its own: limits, prices, slots, dates."""
LISTS = {
    "version": 250,
    "season": 24,
    "component": 40,
    "schedule": 64,
    "charge": 60,
    "example": 50,
    "bands": 36,
    "holidays": 4_000,
    "workdays": 4_000,
}
"""How many there may be, by the name of the list."""
TABLE_MAX = 64
"""Keys of one table, such as day profiles."""
DEPTH_MAX = 8
CELLS_MAX = 100_000
"""Prices of all versions, seasons, components, bands and tiers together."""
_LONG_KEY = re.compile(r"(?<![\w-])(?:[\w-]++\s*+\.\s*+){33}")
FIRST_YEAR, LAST_YEAR = 1900, 2100
EXAMPLE_DAYS_MAX = 800
EXAMPLE_FIRST_YEAR = 1971


def size_mistakes(text: str, name: str) -> list[Mistake]:
    """Lists, tables and nestings that are larger than allowed. Raises MistakesError where the text is neither TOML nor JSON."""
    if _LONG_KEY.search(text):  # Parsing one of thousands of parts takes minutes.
        raise MistakesError(name, [Mistake(1, "document", "a key of very many parts", f"at most {DEPTH_MAX} levels")])
    try:
        tables = documents.tables_of(text, name)
        found = list(_too_large((), tables))
    except RecursionError:
        raise MistakesError(
            name, [Mistake(1, "document", "deeply nested values", f"at most {DEPTH_MAX} levels")]
        ) from None
    lines = documents.lines_of(text) if found else None
    return [Mistake(lines.of(path) if lines else 0, key_text(path), what, most) for path, what, most in found]


def _too_large(path: Path, value: Any) -> Iterator[tuple[Path, str, str]]:
    if len(path) > 2 * DEPTH_MAX:
        yield path[:DEPTH_MAX], "deeply nested values", f"at most {DEPTH_MAX} levels"
        return
    if isinstance(value, dict):
        if len(value) > TABLE_MAX:
            yield path, f"{len(value)} keys", f"at most {TABLE_MAX}"
            return
        for key, each in value.items():
            yield from _too_large((*path, key), each)
    elif isinstance(value, list):
        most = LISTS.get(str(path[-1]), LIST_MAX) if path else LIST_MAX
        if len(value) > most:
            yield path, f"{len(value)} of them", f"at most {most}"
            return
        for index, each in enumerate(value):
            yield from _too_large((*path, index), each)


def year_mistakes(text: str, name: str) -> list[Mistake]:
    """Versions and examples at times that no bill is ever made for, and examples that are too long or too much."""
    part, lines = documents.load(TariffPart, text, name), documents.lines_of(text)
    found: list[tuple[Path, str, str]] = [
        (("version", index, "from"), str(version.from_), f"a year from {FIRST_YEAR} to {LAST_YEAR}")
        for index, version in enumerate(part.version)
        if not FIRST_YEAR <= version.from_.year <= LAST_YEAR
    ]
    for index, example in enumerate(part.example):
        if not EXAMPLE_FIRST_YEAR <= example.from_.year <= example.until.year <= LAST_YEAR:
            expected = f"days from {EXAMPLE_FIRST_YEAR} to {LAST_YEAR}"
            found.append((("example", index, "from"), str(example.from_), expected))
        elif (example.until - example.from_).days > EXAMPLE_DAYS_MAX:
            found.append((("example", index, "until"), str(example.until), f"at most {EXAMPLE_DAYS_MAX} days"))
        if sum(example.usage.values()) > USAGE_MAX:
            found.append((("example", index, "usage"), "more than any meter counts", f"at most {USAGE_MAX // 1000}"))
    return [Mistake(lines.of(path), key_text(path), what, expected) for path, what, expected in found]


def cells(tariff: Tariff) -> int:
    """How many prices a tariff has, in all of its versions, seasons, components, bands and tiers."""
    return sum(
        len(prices or ())
        for version in tariff.versions
        for season in version.seasons
        for column in season.rates
        for schedule in column
        for prices in schedule.prices
    )
