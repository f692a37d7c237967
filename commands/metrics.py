"""`meterline metrics`: the table of metrics, as docs/metrics.md has it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from domain.metrics import Kind, Metric, Process, of_process

_SAID = {
    Process.SERVE: "How the API answers; at `GET /metrics` of `meterline serve`.",
    Process.STATE: "What `meterline serve` reads from the store when it is scraped, at most once in 5 s and a twentieth of the time. It is what has been committed, "
    "whichever process was restarted when, and the same in every `serve`: several of them are not to be added up (`max without (instance, child) (…)`).",
    Process.SETTLE: "`meterline settle`, since it started. Measured once for a batch.",
    Process.COLLECT: "`meterline collect`, since it started.",
    Process.ARCHIVE: "`meterline archive`, since it started.",
    Process.CLOCK: "`meterline clock`, since it started.",
    Process.COUNT: "`meterline count`, since it started.",
    Process.NOTIFY: "`meterline notify`, since it started.",
    Process.UP: "`meterline up` and `meterline demo`, since they started.",
}
_HEAD = """\
# Metrics

Made by `meterline metrics --write-to docs` from `domain/metrics.py`; [monitoring](monitoring.md) says how to get at them, and what they are for.

Every process has besides them `process_*` of [prometheus-client](https://prometheus.github.io/client_python/): memory, CPU, open files, begin. Labels are words, numbers of
shards and servers, and names of sites and buses; never an id of an account or a meter.

**They are for looking, the ledger is for counting.** Prometheus keeps binary64 numbers: money is whole to a millionth up to some nine billion, and a sum of rates is none of
an accountant's. Income, statements and reconciliation are in the [API](api.md).
"""


def metrics(
    write_to: Annotated[Path | None, typer.Option(help="Folder to write metrics.md into; else it is printed.")] = None,
) -> None:
    """Print the table of metrics that our processes serve, as Markdown."""
    text = document()
    if write_to is None:
        typer.echo(text, nl=False)
    else:
        (write_to / "metrics.md").write_text(text, "utf-8")


def document() -> str:
    """The whole of docs/metrics.md."""
    return "\n".join([_HEAD, *(line for process in Process for line in _section(process))])


def _section(process: Process) -> Iterator[str]:
    yield f"## {process.capitalize()}\n\n{_SAID[process]}\n"
    yield "| metric | type | labels | unit | meaning |\n|---|---|---|---|---|"
    yield from map(_row, of_process(process))
    yield ""


def _row(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    edges = ", ".join(metric.buckets.split())
    buckets = f" Buckets up to {edges}." if metric.kind is Kind.HISTOGRAM else ""
    return f"| `{metric.name}` | {metric.kind} | {labels} | {metric.unit} | {metric.help}{buckets} |"
