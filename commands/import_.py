"""`meterline import`: readings from a CSV or Parquet file into the log, with nothing dropped in silence."""

import json
import time
from pathlib import Path
from typing import Annotated, Any

import pydantic
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from commands.endings import failed, refused
from commands.import_meters import Importer, ImportReport, known_meters, named_meters
from commands.settle import prepare_kernel
from commands.shared import DATA_DEFAULT, DataOption
from commands.stores import store_to_fill
from connectors.files.readings import ImportOptions, ImportPlan, ImportProblem, load_options, plan_import, read_chunks
from connectors.redis.errors import StoreError
from connectors.redis.store import Store
from domain.documents import MistakesError
from domain.units import quantity_text
from domain.words import Commodity

REFUSALS_SHOWN = 20
TARIFF_DEFAULT = {Commodity.ELECTRICITY: "demo-electricity", Commodity.WATER: "demo-water"}


def import_(
    file: Annotated[Path, typer.Argument(help="CSV (any separator, also .gz) or Parquet; interval or register data.")],
    zone: Annotated[str | None, typer.Option(help="Zone of its times: Europe/London, UTC+10.")] = None,
    meter: Annotated[str | None, typer.Option(help="Column of the meter.")] = None,
    time_: Annotated[str | None, typer.Option("--time", help="Column of the time.")] = None,
    value: Annotated[str | None, typer.Option(help="Column of the value.")] = None,
    order: Annotated[str | None, typer.Option(help="Column to sort by first.")] = None,
    time_format: Annotated[str | None, typer.Option(help="Of its times: %d/%m/%Y %H:%M, epoch_s or epoch_ms.")] = None,
    commodity: Annotated[str | None, typer.Option(help="electricity or water.")] = None,
    kind: Annotated[str | None, typer.Option(help="interval or register.")] = None,
    unit: Annotated[str | None, typer.Option(help="kWh, Wh, m3 or l.")] = None,
    interval_minutes: Annotated[int | None, typer.Option(help="Length of an interval.")] = None,
    stamp: Annotated[str | None, typer.Option(help="Times stand at the start or the end of an interval.")] = None,
    repeats: Annotated[
        str | None, typer.Option(help="Intervals that occur twice: quarantine (default) or add.")
    ] = None,
    separator: Annotated[str | None, typer.Option(help="CSV separator.")] = None,
    options: Annotated[Path | None, typer.Option(help="TOML file with the same options (docs/import.md).")] = None,
    meters: Annotated[Path | None, typer.Option(help="CSV name,number: which meter a name in the file is.")] = None,
    tariff: Annotated[
        str | None,
        typer.Option(help="Open an account for each unknown meter, on this tariff: a file or a catalogue name."),
    ] = None,
    scratch: Annotated[
        bool, typer.Option("--scratch", help="Into a throw-away store: price it all and report.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="End with one line of JSON.")] = False,
    data: DataOption = DATA_DEFAULT,
) -> None:
    """Import readings from a file. Says what it guessed, prices what it can believe, lists what it refused and why.

    Meters are found by their 12-digit number, or by `--meters`. With `--scratch`, or with `--tariff`, accounts are opened
    for meters that are not known.
    """
    stated = {
        "zone": zone, "meter": meter, "time": time_, "value": value, "order": order, "kind": kind, "unit": unit,
        "time_format": time_format, "commodity": commodity, "interval_minutes": interval_minutes, "stamp": stamp, "repeats": repeats, "separator": separator,
    }  # fmt: skip
    try:
        plan = plan_import(file, _options(options, stated))
        numbers = named_meters(meters) if meters else {}
        with store_to_fill(data, scratch=scratch) as (store, is_own):
            report = _run(
                store, plan, numbers, _tariff_of(plan, tariff, scratch=scratch), is_own=is_own, is_scratch=scratch
            )
    except (ImportProblem, MistakesError, pydantic.ValidationError, OSError, ValueError) as error:
        raise refused(str(error)) from None
    except StoreError as error:
        raise failed(str(error)) from None
    _show(report)
    if as_json:
        typer.echo(json.dumps(_figures(report)))


def _options(file: Path | None, stated: dict[str, Any]) -> ImportOptions:
    base = load_options(file).model_dump(exclude_none=True) if file else {}
    return ImportOptions.model_validate(base | {key: value for key, value in stated.items() if value is not None})


def _tariff_of(plan: ImportPlan, tariff: str | None, *, scratch: bool) -> str | None:
    return tariff or (TARIFF_DEFAULT[plan.commodity] if scratch else None)


def _run(
    store: Store, plan: ImportPlan, names: dict[str, int], tariff: str | None, *, is_own: bool, is_scratch: bool
) -> ImportReport:
    console = Console(stderr=True)
    for sentence in plan.said:
        console.print(sentence, style="dim", highlight=False)
    begun = time.monotonic()
    importer = Importer(store, plan, names, known_meters(store), tariff)
    if is_own:
        prepare_kernel()
    with Progress(console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(f"reading {plan.path.name}", total=None)
        chunks = list(read_chunks(plan, importer.number_of))
        progress.update(task, description="into the log", total=sum(chunk.rows for chunk in chunks))
        importer.check(chunks)
        if is_own and not is_scratch:
            importer.tick()
        for chunk in chunks:
            importer.take(chunk)
            progress.advance(task, chunk.rows)
        progress.update(task, description="settling", total=None)
        report = importer.settle(is_own=is_own, is_scratch=is_scratch)
    report.seconds = time.monotonic() - begun
    return report


def _figures(report: ImportReport) -> dict[str, Any]:
    return {
        "wh_in_file": report.in_file,
        "wh_priced": report.priced,
        "wh_quarantined": report.quarantined,
        "rows": report.rows,
        "seconds": round(report.seconds, 2),
        "unit": "Wh" if report.commodity == Commodity.ELECTRICITY else "l",
        "cost": report.cost,
        "readings": report.readings,
        "refused": dict(report.refused),
        "classes": dict(report.classes),
        "negative_steps": sum(report.negative_steps.values()),
        "negative_steps_by_class": dict(report.negative_steps),
        "negative_charges": report.negative_charges,
    }


def _show(report: ImportReport) -> None:
    """Both figures, classes and refusals, for people."""
    console = Console(stderr=True)
    unit = "kWh" if report.commodity == Commodity.ELECTRICITY else "m³"
    table = Table("what", "how much", box=None)
    table.add_row("rows", f"{report.rows:,}")
    table.add_row("in the file", f"{quantity_text(report.in_file)} {unit}")
    table.add_row("priced", f"{quantity_text(report.priced)} {unit}")
    table.add_row("in quarantine", f"{quantity_text(report.quarantined)} {unit}")
    table.add_row("cost", report.cost)
    for name, count in sorted(report.classes.items()):
        table.add_row(f"readings {name}", f"{count:,}")
    for name, count in sorted(report.negative_steps.items()):
        table.add_row(f"register falls, {name}", f"{count:,}")
    console.print(table)
    for name, count in sorted(report.refused.items()):
        console.print(f"refused {count:,} rows: {name}", highlight=False)
    for row in report.refused_rows[:REFUSALS_SHOWN]:
        console.print(f"  line {row.line}: {row.reason}: {row.text}", highlight=False, markup=False)
    hidden = len(report.refused_rows) - REFUSALS_SHOWN
    if hidden > 0:
        console.print(f"  … and {hidden:,} more; all are in quarantine with their own words")
