"""`meterline bench …`: measure, and say it in one line of JSON at the end."""

import json
import statistics
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from bench import api as api_bench
from bench import baseline as baseline_bench
from bench import fold as fold_bench
from bench import latency as latency_bench
from bench import memory as memory_bench
from bench import parts as parts_bench
from bench import price as price_bench
from bench import replay as replay_bench
from bench import scale as scale_bench
from bench import settle as settle_bench
from commands.endings import failed
from commands.verify import progress_of

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
    runs: Runs = 5,
    as_json: AsJson = False,
) -> None:
    """Readings through the log, the machine and the commit, synced to disk."""
    with Console(stderr=True).status(f"opens {meters:,} accounts first"):
        results = settle_bench.run(meters, sweeps, block, blocks_at_once, runs)
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
        state = fold_bench.opened_street(meters)
    _report([fold_bench.run(state, sweeps, block) for _ in range(runs)], as_json)


@app.command()
def parts(
    meters: Meters = 100_000,
    sweeps: Sweeps = 40,
    block: Annotated[int, typer.Option(min=1, help="Readings in one log entry.")] = 500,
    shards: Annotated[int, typer.Option(min=2)] = 16,
    parts: Annotated[int, typer.Option(min=2, help="Settle processes beside one.")] = 2,
    as_json: AsJson = False,
) -> None:
    """A backlog through one settle process and through several, each with a part of the shards."""
    with Console(stderr=True).status(f"opens {meters:,} accounts first, twice"):
        _report([parts_bench.run(meters, sweeps, block, shards, parts)], as_json)


@app.command()
def latency(
    meters: Meters = 100_000,
    rate: Annotated[int, typer.Option(min=1, help="Readings per second.")] = 20_000,
    block: Annotated[int, typer.Option(min=1, help="Readings in one log entry.")] = 200,
    seconds: Annotated[float, typer.Option(min=0.1)] = 20.0,
    shards: Annotated[int, typer.Option(min=1)] = 16,
    as_json: AsJson = False,
) -> None:
    """From an append to the log until the API's own read shows the balance: p50 and p99."""
    with Console(stderr=True).status(f"opens {meters:,} accounts first"):
        _report([latency_bench.run(meters, rate, block, seconds, shards)], as_json)


@app.command()
def memory(
    meters: Meters = 100_000,
    rate: Annotated[int, typer.Option(min=1, help="Readings per second.")] = 50_000,
    block: Annotated[int, typer.Option(min=1, help="Readings in one log entry.")] = 500,
    seconds: Annotated[float, typer.Option(min=0.1)] = 600.0,
    shards: Annotated[int, typer.Option(min=1)] = 16,
    keep_minutes: Annotated[float, typer.Option(min=0.0, help="Of the streams, kept in the server.")] = 1.0,
    every_minutes: Annotated[float, typer.Option(min=0.0, help="That an entry waits for its file at most.")] = 1.0,
    as_json: AsJson = False,
) -> None:
    """Readings at an even rate, settled and archived beside: the server's memory over time."""

    def say(look: dict[str, Any]) -> None:
        typer.echo("  ".join(f"{name} {value}" for name, value in look.items()), err=True)

    _report(
        [memory_bench.run(meters, rate, block, seconds, shards, keep_minutes, every_minutes, say)],
        as_json,
    )


@app.command()
def scale(
    meters: Annotated[list[int], typer.Option(help="Once for each size.")] = [10_000, 100_000, 1_000_000],  # noqa: B006 - typer only reads it
    as_json: AsJson = False,
) -> None:
    """Few and many meters in one process: CPU time of a reading, memory of a meter, seconds to load."""
    with Console(stderr=True).status(f"opens {sum(meters):,} accounts"):
        _report([scale_bench.run(sorted(meters))], as_json)


@app.command()
def replay(
    accounts: Annotated[int, typer.Option(min=1, help="Of one meter each.")] = 2_000,
    days: Annotated[int, typer.Option(min=1, help="Of hourly readings.")] = 30,
    block: Annotated[int, typer.Option(min=1, help="Readings in one log entry.")] = 200,
    shards: Annotated[int, typer.Option(min=1)] = 16,
    as_json: AsJson = False,
) -> None:
    """A month of hourly readings out of an archive: folded again, and folded twice to price it by another tariff."""
    with progress_of(2 * accounts * days * 24) as heard:
        _report([replay_bench.run(accounts, days, block, shards, heard)], as_json)


@app.command()
def api(
    accounts: Annotated[int, typer.Option(min=1, help="Of one meter each.")] = 10_000,
    shards: Annotated[int, typer.Option(min=1)] = 16,
    rounds: Annotated[int, typer.Option(min=1, help="Of three seconds for each question; medians are reported.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Requests a second of one process of the API, asked by wrk, beside a bare FastAPI app."""
    try:
        with Console(stderr=True).status(f"opens {accounts:,} accounts first"):
            result = api_bench.run(accounts, shards, rounds)
    except api_bench.ToolMissingError as error:
        raise failed(str(error)) from None
    _say(result, as_json)


@app.command()
def baseline(
    meters: Meters = 10_000,
    sweeps: Sweeps = 24,
    runs: Runs = 3,
    as_json: AsJson = False,
) -> None:
    """The same readings through a plain bytewax dataflow of Python objects, and the kernel's figures beside it."""
    _report([baseline_bench.run(meters, sweeps) for _ in range(runs)], as_json)


def _report(results: list[dict[str, Any]], as_json: bool) -> None:
    """The median run, with the readings per second of all."""
    median = statistics.median_low(result["readings_per_s"] for result in results)
    result = next(result for result in results if result["readings_per_s"] == median)
    result["readings_per_s_of_runs"] = [each["readings_per_s"] for each in results]
    _say(result, as_json)


def _say(result: dict[str, Any], as_json: bool) -> None:
    if not as_json:
        table = Table("figure", "value")
        for name, value in result.items():
            table.add_row(name, str(value))
        Console().print(table)
    typer.echo(json.dumps(result))
