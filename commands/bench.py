"""`meterline bench …`: measure, and say it in one line of JSON at the end."""

import json
import statistics
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench import settle as settle_bench

app = typer.Typer(help="Measure a hot path. Figures and what limits them: docs/performance.md.", no_args_is_help=True)
app.callback()(lambda: None)


@app.command()
def settle(
    meters: Annotated[int, typer.Option(min=1)] = 100_000,
    sweeps: Annotated[int, typer.Option(min=1, help="Readings of each meter.")] = 10,
    block: Annotated[int, typer.Option(min=1, help="Readings in one log entry.")] = settle_bench.BLOCK,
    blocks_at_once: Annotated[int, typer.Option(min=1, help="Log entries in one commit.")] = 1,
    runs: Annotated[int, typer.Option(min=1, help="The median run is reported.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Only the line of JSON.")] = False,
) -> None:
    """Readings through the log, the machine and the commit, synced to disk."""
    results = []
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        for _ in progress.track(range(runs), description=f"{runs} runs, each opening {meters:,} accounts first"):
            results.append(settle_bench.run(meters, sweeps, block, blocks_at_once))  # noqa: PERF401 - the bar moves after each
    median = statistics.median_low(result["readings_per_s"] for result in results)
    result = next(result for result in results if result["readings_per_s"] == median)
    result["readings_per_s_of_runs"] = [each["readings_per_s"] for each in results]
    if not as_json:
        table = Table("figure", "value")
        for name, value in result.items():
            table.add_row(name, str(value))
        Console().print(table)
    typer.echo(json.dumps(result))
