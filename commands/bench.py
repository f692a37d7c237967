"""`meterline bench …`: measure, and say it in one line of JSON at the end."""

import json
import statistics
import sys
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench import fold as fold_bench
from bench import price as price_bench
from bench import settle as settle_bench

app = typer.Typer(help="Measure a hot path. Figures and what limits them: docs/performance.md.", no_args_is_help=True)
app.callback()(lambda: None)


Meters = Annotated[int, typer.Option(min=1)]
Sweeps = Annotated[int, typer.Option(min=1, help="Readings of each meter.")]
Runs = Annotated[int, typer.Option(min=1, help="The median run is reported.")]
AsJson = Annotated[bool, typer.Option("--json", help="Only the line of JSON.")]


@app.command()
def settle(
    meters: Meters = 100_000,
    sweeps: Sweeps = 10,
    block: Annotated[int, typer.Option(min=1, help="Readings in one log entry.")] = settle_bench.BLOCK,
    blocks_at_once: Annotated[int, typer.Option(min=1, help="Log entries in one commit.")] = 1,
    runs: Runs = 3,
    as_json: AsJson = False,
) -> None:
    """Readings through the log, the machine and the commit, synced to disk."""
    results = []
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        for _ in progress.track(range(runs), description=f"{runs} runs, each opening {meters:,} accounts first"):
            results.append(settle_bench.run(meters, sweeps, block, blocks_at_once))  # noqa: PERF401 - the bar moves after each
    _report(results, as_json)


@app.command()
def price(
    meters: Meters = 100_000,
    sweeps: Sweeps = 96,
    runs: Runs = 5,
    as_json: AsJson = False,
) -> None:
    """Intervals through the compiled pricing loop alone: time of use with tiers, one core."""
    _report([price_bench.run(price_bench.street(meters), sweeps) for _ in range(runs)], as_json)


@app.command()
def fold(
    meters: Meters = 100_000,
    sweeps: Sweeps = 96,
    block: Annotated[int, typer.Option(min=0, help="Readings in one log entry; 0: all of a sweep.")] = 0,
    runs: Runs = 5,
    as_json: AsJson = False,
) -> None:
    """Blocks of readings through the whole machine, without a store: time of use with tiers, alarms on, one core."""
    with Console(stderr=True).status(f"opens {meters:,} accounts first"):
        state = fold_bench.street(meters)
    _report([fold_bench.run(state, sweeps, block) for _ in range(runs)], as_json)


def _report(results: list[dict[str, Any]], as_json: bool) -> None:
    """The median run, with the readings per second of all."""
    median = statistics.median_low(result["readings_per_s"] for result in results)
    result = next(result for result in results if result["readings_per_s"] == median)
    result["readings_per_s_of_runs"] = [each["readings_per_s"] for each in results]
    if not as_json:
        table = Table("figure", "value")
        for name, value in result.items():
            table.add_row(name, str(value))
        Console().print(table)
    typer.echo(json.dumps(result))
