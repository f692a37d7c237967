"""What accounts would pay by another tariff: a table, a distribution, and every account as CSV or JSON. Amounts are exact integers."""

import csv
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from commands.explaining import day_text
from commands.replaying import replayed
from commands.verifying import Heard, WholeLog
from domain.ids import EntryId
from domain.units import MICROS_PER_UNIT, money_text, quantity_text
from domain.words import UNITS
from flows.what_if import Paid, WhatIf
from tariffs.amounts import money_text as padded_text
from tariffs.tariff import Rounding, RoundingMode, Tariff

QUANTILES = (5, 25, 50, 75, 95)
"""In percent of the accounts; each is the amount of one of them, by the nearest rank."""
FIRST_DAY, LAST_DAY = 0, 47_482
"""1970-01-01 and 2100-01-01: all days that a meter can have."""
_BINS, _BAR = 10, 40
_WIDE = 400
_CENT = MICROS_PER_UNIT // 100
_HUNDREDTH = Rounding(Fraction(1, 100), RoundingMode.HALF_UP)
"""To which people read amounts; files and `--json` have them in full."""
_COLUMNS = ("account", "usage", "was", "would", "difference")


@dataclass(frozen=True, slots=True)
class Asked:
    """By which tariff, its document with all of its days, and for the usage of which local days, both included."""

    tariff: Tariff
    document: str
    first: int = FIRST_DAY
    last: int = LAST_DAY


@dataclass(frozen=True, slots=True)
class Bin:
    """How many accounts have a difference from `low` on and below `high`, micros; None: without end."""

    low: int | None
    high: int | None
    accounts: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Accounts as they paid and would pay, and orders that would not have been carried out."""

    asked: Asked
    paid: list[Paid]
    unlike: list[str]

    def total(self, amount: Callable[[Paid], int]) -> int:
        """A figure of all accounts together."""
        return sum(map(amount, self.paid))


def priced_otherwise(
    log: WholeLog, shard: int, position: EntryId, until_ms: int | None, asked: Asked, heard: Heard
) -> WhatIf:
    """A shard's log, up to a position and a time, folded by its own tariffs and by another. Raises ValueError and what reading the log does."""
    what_if = WhatIf(shard, asked.tariff, asked.document, asked.first, asked.last)

    replayed(log, shard, position, until_ms, heard, what_if.follow)
    return what_if


def quantile(ordered: list[int], percent: int) -> int:
    """The amount below or at which so many percent of the ordered amounts are: one of them."""
    return ordered[max(0, -(-percent * len(ordered) // 100) - 1)]


def bins(ordered: list[int]) -> list[Bin]:
    """Ordered amounts in steps of 1, 2 or 5 times a power of ten, of a hundredth at least; what is far out is in the first and the last."""
    low, high = quantile(ordered, QUANTILES[0]), quantile(ordered, QUANTILES[-1])
    step = next(step for step in _steps() if step * _BINS >= high - low)
    edges = [edge * step for edge in range(low // step, high // step + 2)]
    ends = [(None, edges[0]), *pairwise(edges), (edges[-1], None)]
    places = [0, *(bisect_left(ordered, edge) for edge in edges), len(ordered)]
    counted = [Bin(*each, until - since) for each, (since, until) in zip(ends, pairwise(places), strict=True)]
    return [each for each in counted if each.accounts or None not in {each.low, each.high}]


def _steps() -> Iterator[int]:
    size = _CENT
    while True:
        yield from (size, 2 * size, 5 * size)
        size *= 10


def show_comparison(found: Comparison) -> None:
    """Totals, quantiles, who pays more, and a histogram of the differences."""
    console, tariff = Console(highlight=False, markup=False, width=_WIDE), found.asked.tariff
    console.print(f"By {tariff.id} instead: {tariff.title['zh']} · {tariff.title['en']}")
    console.print(_of_what(found))
    if not found.paid:
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("", f"paid, {tariff.currency}", f"would pay, {tariff.currency}", "difference", "%"):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    for row in _rows(found):
        table.add_row(*row)
    console.print(table)
    differences = sorted(each.difference for each in found.paid)
    counts = [sum(holds(each) for each in differences) for holds in (_is_less, _is_same, _is_more)]
    console.print(f"{counts[0]:,} would pay less, {counts[1]:,} the same, {counts[2]:,} more")
    if len(differences) > 1:
        _show_bins(bins(differences), console)
    for sentence in found.unlike:
        console.print(sentence)


def _of_what(found: Comparison) -> str:
    asked, unit = found.asked, UNITS[found.asked.tariff.commodity]
    since = f" from {day_text(asked.first)}" if asked.first != FIRST_DAY else ""
    until = f" to {day_text(asked.last)}" if asked.last != LAST_DAY else ""
    usage = quantity_text(found.total(lambda each: each.usage))
    return f"Usage{since}{until}: {usage} {unit} of {len(found.paid):,} account{'s' if len(found.paid) != 1 else ''}"


def _is_less(difference: int) -> bool:
    return difference < 0


def _is_same(difference: int) -> bool:
    return difference == 0


def _is_more(difference: int) -> bool:
    return difference > 0


def _rows(found: Comparison) -> Iterator[tuple[str, ...]]:
    """All together, and the quantiles of each column by itself."""
    was, would = found.total(lambda each: each.was), found.total(lambda each: each.would)
    yield "all", _cents(was), _cents(would), _cents(would - was), percent_text(was, would)
    columns = [sorted(amount(each) for each in found.paid) for amount in _AMOUNTS]
    for percent in QUANTILES if len(found.paid) > 1 else ():
        yield f"{percent} % up to", *(_cents(quantile(column, percent)) for column in columns), ""


_AMOUNTS: tuple[Callable[[Paid], int], ...] = (
    lambda each: each.was,
    lambda each: each.would,
    lambda each: each.difference,
)


def _cents(micros: int) -> str:
    return padded_text(_HUNDREDTH.of(Fraction(micros, MICROS_PER_UNIT)))


def percent_text(was: int, would: int) -> str:
    """The difference as a percentage of what was, to the hundredth; nothing where that is nothing."""
    return padded_text(_HUNDREDTH.of(Fraction(100 * (would - was), abs(was)))) if was else ""


def _show_bins(found: list[Bin], console: Console) -> None:
    most = max(each.accounts for each in found)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("difference from", justify="right")
    table.add_column("below", justify="right")
    table.add_column("accounts", justify="right")
    table.add_column("")
    for each in found:
        ends = ["" if end is None else _cents(end) for end in (each.low, each.high)]
        table.add_row(*ends, f"{each.accounts:,}", "█" * -(-each.accounts * _BAR // most))
    console.print(table)


def comparison_figures(found: Comparison) -> dict[str, Any]:
    """The same as figures, with every account: amounts and quantities are texts, exact."""
    differences = sorted(each.difference for each in found.paid)
    was, would = found.total(lambda each: each.was), found.total(lambda each: each.would)
    return {
        "tariff": found.asked.tariff.id,
        "currency": found.asked.tariff.currency,
        "unit": UNITS[found.asked.tariff.commodity],
        "from": day_text(found.asked.first) if found.asked.first != FIRST_DAY else None,
        "to": day_text(found.asked.last) if found.asked.last != LAST_DAY else None,
        "usage": quantity_text(found.total(lambda each: each.usage)),
        "was": money_text(was),
        "would": money_text(would),
        "difference": money_text(would - was),
        "percent": percent_text(was, would) or None,
        "less": sum(map(_is_less, differences)),
        "same": sum(map(_is_same, differences)),
        "more": sum(map(_is_more, differences)),
        "quantiles": {str(each): money_text(quantile(differences, each)) for each in QUANTILES if differences},
        "bins": [_bin_figures(each) for each in bins(differences)] if differences else [],
        "accounts": [dict(zip(_COLUMNS, _texts(each), strict=True)) for each in found.paid],
        "unlike": found.unlike,
    }


def _bin_figures(found: Bin) -> dict[str, Any]:
    low, high = (None if end is None else money_text(end) for end in (found.low, found.high))
    return {"from": low, "below": high, "accounts": found.accounts}


def _texts(paid: Paid) -> tuple[str, ...]:
    amounts = (money_text(amount(paid)) for amount in _AMOUNTS)
    return paid.account, quantity_text(paid.usage), *amounts


def write_accounts(found: Comparison, path: Path) -> None:
    """Every account as a line of CSV. Raises OSError."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(_COLUMNS)
        rows.writerows(map(_texts, found.paid))
