"""`meterline tariff price`: the bills of a usage file, line by line with their arithmetic."""

import json
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

import typer

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
    TariffArgument,
    UsedOption,
    premises_of,
    quantity_of,
    tariff_of,
)
from domain.units import quantity_text
from tariffs.amounts import exact_text, money_text, term_figures
from tariffs.bill import Bill
from tariffs.charges import Line


class Language(StrEnum):
    """Of what people read."""

    ZH = "zh"
    EN = "en"


_WORDS = {
    Language.ZH: {"to": "至", "rounding": "尾差", "total": "合计", "all": "全部账单", "note": "注意"},
    Language.EN: {"to": "to", "rounding": "Rounding", "total": "Total", "all": "All bills", "note": "note"},
}


def price(
    tariff: TariffArgument,
    usage: UsageOption,
    first: FromOption = None,
    last: ToOption = None,
    persons: PersonsOption = 1,
    capacity: CapacityOption = "0",
    used: UsedOption = "0",
    stamp: StampOption = Stamp.START,
    rounds: RoundOption = False,
    lang: Annotated[Language, typer.Option(help="Language of the lines.")] = Language.EN,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document, amounts as exact texts.")] = False,
) -> None:
    """Price usage by a tariff: a bill for each month, every line with its arithmetic.

    Times without an offset are local times of the tariff's zone. What the file has before --from counts for tiers.
    """
    asked = Asked(usage, first, last, premises_of(persons, capacity), quantity_of("--used", used), stamp, rounds)
    found = billed(tariff_of(tariff), asked)
    if as_json:
        typer.echo(json.dumps(_figures(found), ensure_ascii=False))
        return
    typer.echo("\n".join(_text(found, lang)))
    for note in found.notes:
        typer.echo(f"{_WORDS[lang]['note']}: {note}", err=True)


def _text(found: Billed, lang: Language) -> Iterator[str]:
    for bill in found.bills:
        yield from _bill_text(bill, lang)
    if len(found.bills) > 1:
        unit, currency = found.bills[0].unit, found.bills[0].currency
        yield f"{_WORDS[lang]['all']}: {quantity_text(found.usage)} {unit}, {money_text(found.total, currency)}"


def _bill_text(bill: Bill, lang: Language) -> Iterator[str]:
    words = _WORDS[lang]
    yield f"{bill.title[lang]}, {bill.first} {words['to']} {bill.last}, {quantity_text(bill.usage)} {bill.unit}"
    for line in bill.lines:
        head, *terms = line.text(lang)
        yield f"  {head}"
        yield from (f"    {term}" for term in terms)
    if bill.rounding:
        yield f"  {words['rounding']}: {money_text(bill.rounding)}"
    yield f"  {words['total']}: {money_text(bill.total, bill.currency)}"
    yield ""


def _figures(found: Billed) -> dict[str, object]:
    return {
        "tariff": found.tariff.id,
        "title": found.tariff.title,
        "currency": found.tariff.currency,
        "zone": found.tariff.zone,
        "unit": found.bills[0].unit,
        "usage": quantity_text(found.usage),
        "total": exact_text(found.total),
        "notes": found.notes,
        "bills": [_bill_figures(bill) for bill in found.bills],
    }


def _bill_figures(bill: Bill) -> dict[str, object]:
    return {
        "first": bill.first.isoformat(),
        "last": bill.last.isoformat(),
        "from_ms": bill.from_ms,
        "until_ms": bill.until_ms,
        "usage": quantity_text(bill.usage),
        "lines": [_line_figures(line) for line in bill.lines],
        "exact": exact_text(bill.exact),
        "rounding": exact_text(bill.rounding),
        "total": exact_text(bill.total),
    }


def _line_figures(line: Line) -> dict[str, object]:
    return {
        "id": line.id,
        "title": line.title,
        "kind": line.kind,
        "since": line.since.isoformat() if line.since else None,
        "terms": [term_figures(term) for term in line.terms],
        "exact": exact_text(line.exact),
        "amount": exact_text(line.amount),
    }
