"""`meterline tariff list`: the tariffs that we ship."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tariffs.loader import catalogue, load_tariff
from tariffs.tariff import Tariff


def list_(as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False) -> None:
    """The tariffs of the catalogue: what they are of, since when, and where they come from."""
    tariffs = [load_tariff(text, name) for name, text in catalogue().items()]
    if as_json:
        typer.echo(json.dumps([_figures(tariff) for tariff in tariffs], ensure_ascii=False))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("tariff", no_wrap=True)
    table.add_column("what it is")
    for tariff in tariffs:
        titles = f"{tariff.title['zh']}\n{tariff.title['en']}\n"
        table.add_row(tariff.id, Text.assemble(titles, (_facts(tariff), "dim")))
    Console(highlight=False).print(table)


def _facts(tariff: Tariff) -> str:
    tiers = max(len(schedule.limits) + 1 for version in tariff.versions for season in version.seasons for column in season.rates for schedule in column)  # fmt: skip
    parts = [tariff.commodity.name.lower(), tariff.currency]
    parts += [f"{len(tariff.bands)} bands"] if len(tariff.bands) > 1 else []
    parts += [f"{tiers} tiers"] if tiers > 1 else []
    parts += [f"{len(tariff.versions)} versions"] if len(tariff.versions) > 1 else []
    return ", ".join(parts)


def _figures(tariff: Tariff) -> dict[str, object]:
    return {
        "tariff": tariff.id,
        "title": tariff.title,
        "commodity": tariff.commodity.name.lower(),
        "currency": tariff.currency,
        "zone": tariff.zone,
        "bands": tariff.bands,
        "versions": len(tariff.versions),
        "source": tariff.source,
    }
