"""`meterline tariff compare`: what one usage costs by two tariffs, month by month."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from commands.endings import refused
from commands.tariff.bills import (
    Asked,
    Billed,
    FromOption,
    RoundOption,
    Stamp,
    StampOption,
    ToOption,
    UsageOption,
    billed,
)
from commands.tariff.files import (
    CapacityOption,
    PersonsOption,
    UsedOption,
    premises_of,
    quantity_of,
    tariff_of,
)
from domain.units import quantity_text
from tariffs.amounts import exact_text, money_text
from tariffs.tariff import Rounding, RoundingMode, Tariff

_HUNDREDTH = Rounding(Fraction(1, 100), RoundingMode.HALF_UP)
"""To which a comparison is read; amounts in `--json` are in full."""


@dataclass(frozen=True, slots=True)
class Row:
    """A month, or all of them, by both tariffs: Wh or litres, and units of currency."""

    name: str
    usage: int
    a: Fraction
    b: Fraction

    @property
    def difference(self) -> Fraction:
        """By how much the second costs more."""
        return self.b - self.a

    @property
    def percent(self) -> Fraction | None:
        """The difference as a percentage of the first, to the hundredth; none where that costs nothing."""
        return _HUNDREDTH.of(100 * self.difference / abs(self.a)) if self.a else None


def compare(
    a: Annotated[str, typer.Argument(help="A tariff file, or an id of the catalogue.", metavar="A")],
    b: Annotated[str, typer.Argument(help="The tariff that is compared with it.", metavar="B")],
    usage: UsageOption,
    first: FromOption = None,
    last: ToOption = None,
    persons: PersonsOption = 1,
    capacity: CapacityOption = "0",
    used: UsedOption = "0",
    stamp: StampOption = Stamp.START,
    rounds: RoundOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document, amounts as exact texts.")] = False,
) -> None:
    """Price usage by two tariffs and show both bills of each month, with the difference.

    Both must be of one commodity, currency and time zone.
    """
    tariffs = tariff_of(a), tariff_of(b)
    _check(*tariffs)
    asked = Asked(usage, first, last, premises_of(persons, capacity), quantity_of("--used", used), stamp, rounds)
    found = [billed(tariff, asked) for tariff in tariffs]
    rows = list(_rows(*found))
    if as_json:
        typer.echo(json.dumps(_figures(found, rows), ensure_ascii=False))
        return
    _show(found, rows)


def _check(a: Tariff, b: Tariff) -> None:
    commodities = a.commodity.name.lower(), b.commodity.name.lower()
    for what, (expected, found) in {
        "commodity": commodities, "currency": (a.currency, b.currency), "zone": (a.zone, b.zone),
    }.items():  # fmt: skip
        if expected != found:
            raise refused(f"{b.id}: found {what} {found}; expected {expected}, as {a.id} has")


def _rows(a: Billed, b: Billed) -> Iterator[Row]:
    for one, other in zip(a.bills, b.bills, strict=True):
        yield Row(f"{one.first} … {one.last}", one.usage, one.total, other.total)
    yield Row("total", a.usage, a.total, b.total)


def _show(found: list[Billed], rows: list[Row]) -> None:
    a, b = found
    unit, currency = a.bills[0].unit, a.tariff.currency
    console = Console(highlight=False)
    for name, each in (("A", a), ("B", b)):
        console.print(f"{name}  {each.tariff.id}: {each.tariff.title['zh']} · {each.tariff.title['en']}", markup=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("days", no_wrap=True)
    for heading in (unit, f"A, {currency}", f"B, {currency}", "B - A", "%"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        figures = [money_text(_HUNDREDTH.of(amount)) for amount in (row.a, row.b, row.difference)]
        percent = "" if row.percent is None else money_text(row.percent)
        style = "bold" if row is rows[-1] else ""
        table.add_row(row.name, quantity_text(row.usage), *figures, percent, style=style)
    console.print(table)
    for note in dict.fromkeys(note for each in found for note in each.notes):
        typer.echo(f"note: {note}", err=True)


def _figures(found: list[Billed], rows: list[Row]) -> dict[str, object]:
    *_, total = rows
    a, b = found
    return {
        "a": a.tariff.id,
        "b": b.tariff.id,
        "currency": a.tariff.currency,
        "unit": a.bills[0].unit,
        "months": [
            {"first": bill.first.isoformat(), "last": bill.last.isoformat(), **_row_figures(row)}
            for bill, row in zip(a.bills, rows[:-1], strict=True)
        ],
        "total": _row_figures(total),
        "notes": list(dict.fromkeys(note for each in found for note in each.notes)),
    }


def _row_figures(row: Row) -> dict[str, object]:
    return {
        "usage": quantity_text(row.usage),
        "a": exact_text(row.a),
        "b": exact_text(row.b),
        "difference": exact_text(row.difference),
        "percent": None if row.percent is None else exact_text(row.percent),
    }
