"""`meterline tariff quote`: what money buys now."""

import json
from datetime import UTC, datetime
from typing import Annotated

import typer

from commands.endings import refused
from commands.tariff.files import (
    CapacityOption,
    PersonsOption,
    TariffArgument,
    UsedOption,
    premises_of,
    quantity_of,
    tariff_of,
)
from commands.tariff.times import instant, local_text
from domain.units import ORDER_MAX_MICROS, money_micros, quantity_text
from tariffs.amounts import exact_text, money_text, term_figures
from tariffs.bill import UNITS
from tariffs.quote import Quote
from tariffs.quote import quote as quote_of
from tariffs.tariff import Tariff, plan_of


def quote(
    tariff: TariffArgument,
    amount: Annotated[str, typer.Argument(help="Money, such as 50.00, in the tariff's currency.", metavar="AMOUNT")],
    at: Annotated[
        str | None, typer.Option(help="When; local unless it has an offset. Else now.", metavar="TIME")
    ] = None,
    used: UsedOption = "0",
    persons: PersonsOption = 1,
    capacity: CapacityOption = "0",
    with_standing: Annotated[
        bool, typer.Option("--with-standing", help="As a month's first purchase, which pays its standing charges.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document, amounts as exact texts.")] = False,
) -> None:
    """Say how much an amount buys at the prices of one instant, tier by tier.

    Nobody knows when it will be used, so no later band, month or version is looked at.
    """
    found = tariff_of(tariff)
    plan = plan_of(found, premises_of(persons, capacity))
    try:
        made = quote_of(
            plan, _instant(at, found), _micros(amount), quantity_of("--used", used), with_standing=with_standing
        )
    except ValueError as error:
        raise refused(str(error)) from None
    if as_json:
        typer.echo(json.dumps(_figures(made, found), ensure_ascii=False))
        return
    _show(made, found)


def _micros(amount: str) -> int:
    micros = money_micros(amount)
    if not 0 <= micros <= ORDER_MAX_MICROS:
        raise ValueError(f"amount {amount!r} is not from 0 to {ORDER_MAX_MICROS // 10**6}")
    return micros


def _instant(text: str | None, tariff: Tariff) -> int:
    try:
        at_ms = int(datetime.now(UTC).timestamp()) * 1000 if text is None else instant(text, tariff.zone)
    except ValueError as error:
        raise ValueError(f"--at: {error}") from None
    if at_ms < 0:
        raise ValueError(f"--at: found {text!r}; expected a time after 1970")
    return at_ms


def _show(made: Quote, tariff: Tariff) -> None:
    unit = UNITS[tariff.commodity]
    bought = (
        "without end, for its price is not above zero" if made.usage is None else f"{quantity_text(made.usage)} {unit}"
    )
    when = f"{local_text(made.at_ms, tariff.zone)} {tariff.zone}, in band {made.band.replace('_', ' ')}"
    typer.echo(f"{money_text(made.money, made.currency)} buys {bought}")
    typer.echo(f"  at {when}")
    if made.standing:
        typer.echo(f"  standing charges: {money_text(made.standing)}")
    for term in made.terms:
        typer.echo(f"  {term.text('en')}")
    if made.rest:
        typer.echo(f"  left: {money_text(made.rest)}")


def _figures(made: Quote, tariff: Tariff) -> dict[str, object]:
    return {
        "tariff": tariff.id,
        "at_ms": made.at_ms,
        "currency": made.currency,
        "unit": UNITS[tariff.commodity],
        "band": made.band,
        "money": exact_text(made.money),
        "usage": None if made.usage is None else quantity_text(made.usage),
        "standing": exact_text(made.standing),
        "terms": [term_figures(term) for term in made.terms],
        "rest": exact_text(made.rest),
    }
