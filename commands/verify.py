"""`meterline verify`: hold a store against its own log and its own arithmetic, once or again and again."""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from commands.archive import place_in
from commands.endings import refused
from commands.settle import prepare_kernel
from commands.shared import DATA_DEFAULT, DataOption, store_url
from commands.stores import store_to_read
from commands.verifying import AUDITED_MAX, Archived, Entries, Heard, Proof, readings_in, verify_store
from connectors.archive.files import Archive
from connectors.redis.errors import StoreError
from connectors.redis.store import Store
from connectors.redis.streams import Streams
from domain.facts import ReadingBlock
from domain.units import HOUR_MS, money_text
from domain.verdict import Verdict
from domain.words import Check

NICENESS = 10
"""Verifying on a timer gives way to settling."""
CHECKED = {
    Check.LOG: "the log can be read to where the state stands",
    Check.CHAIN: "postings are numbered and chained without a break",
    Check.TRIAL_BALANCE: "debits are credits",
    Check.LEDGER: "the ledger adds up to the balances",
    Check.ENERGY: "closed and open hours are what meters used",
    Check.ORDERS: "no order is posted twice",
    Check.STATE: "rows and records are a fold of the log",
    Check.EFFECTS: "streams are what the log gives",
    Check.AUDIT: "the independent audit agrees",
}

AuditOption = Annotated[
    int, typer.Option("--audit-max", min=0, help="Readings up to which the slow, independent audit is made; 0: never.")
]
ArchiveOption = Annotated[
    str,
    typer.Option(
        help="Where the archive is; empty: the folder `archive` of the data directory, if there is one.",
        envvar="METERLINE_ARCHIVE",
    ),
]
EveryOption = Annotated[
    float, typer.Option("--every", min=0.0, help="Hours: verify again and again, for gauges; 0: once.")
]


def verify(
    data: DataOption = DATA_DEFAULT,
    every: EveryOption = 0.0,
    audited_max: AuditOption = AUDITED_MAX,
    archive: ArchiveOption = "",
    as_json: Annotated[bool, typer.Option("--json", help="End with one line of JSON.")] = False,
) -> None:
    """Check that nothing is lost and nothing doubled: chain, ledger, energy, orders, and all state against a fold of the log.

    Only reads, and may run beside everything else. Exit codes: 0 all agrees, 1 differences were found, 2 it cannot be checked.
    """
    place = archive_of(data, archive)
    try:
        if every:
            _again_and_again(store_url(data), audited_max, every, place)
        with store_to_read(data) as store:
            prepare_kernel()
            verdict, proof = _once(store, store_url(data), audited_max, place)
    except StoreError as error:
        raise refused(str(error)) from None
    _show(proof, verdict)
    if as_json:
        typer.echo(json.dumps(_figures(proof, verdict)))
    raise typer.Exit(0 if proof.findings.agree else 1)


def archive_of(data: Path, address: str) -> Archive | None:
    """The archive at an address, else that of the data directory; None if it has none. Ends the command for no address."""
    return place_in(data, address) if address or (data / "archive").is_dir() else None


def _again_and_again(url: str, audited_max: int, hours: float, place: Archive | None) -> None:
    """Verify until interrupted, out of the way of everything else.

    It ends at once, wherever it is: it only reads, and an exception that a signal raises can be lost inside compiled code.
    """
    os.nice(NICENESS)
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: os._exit(0))
    prepare_kernel()
    while True:
        store = Store.open(url)
        try:
            verdict, proof = _once(store, url, audited_max, place)
        finally:
            store.close()
        _log(_figures(proof, verdict))
        time.sleep(hours * HOUR_MS / 1000)


def _log(figures: dict[str, Any]) -> None:
    """A line in the one form of all processes, an error where anything differs."""
    say = structlog.get_logger()
    (say.info if figures["agrees"] else say.error)("verified", **figures)


def _once(store: Store, url: str, audited_max: int, place: Archive | None) -> tuple[Verdict, Proof]:
    begun, streams = time.monotonic(), Streams.open(url)
    with closing(streams), progress_of(readings_in(store)) as heard:
        proof = verify_store(store, audited_max, heard, Archived(place, streams) if place else None)
    took = round(1000 * (time.monotonic() - begun))
    verdict = Verdict(at=time.time_ns() // 1_000_000, took_ms=took, differences=dict(proof.findings.counts))
    store.keep_verdict(verdict)
    return verdict, proof


@contextmanager
def progress_of(readings: int) -> Iterator[Heard]:
    """A bar that moves with the readings of the log, on a terminal."""
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("folding the log", total=readings or None)

        def heard(entries: Entries) -> None:
            progress.advance(task, sum(len(fact) for _, fact in entries if isinstance(fact, ReadingBlock)))

        yield heard


def _figures(proof: Proof, verdict: Verdict) -> dict[str, Any]:
    findings = proof.findings
    return {
        "agrees": findings.agree,
        "checks": {check: findings.counts.get(check) for check in Check},
        "differences": {check: said for check, said in findings.said.items() if said},
        "notes": findings.notes,
        "entries": proof.entries,
        "readings": proof.readings,
        "postings": proof.postings,
        "ledger": {ledger.name.lower(): money_text(balance) for ledger, balance in sorted(proof.ledger.items())},
        "seconds": verdict.took_ms / 1000,
    }


def _show(proof: Proof, verdict: Verdict) -> None:
    """Each check with what it came to, the first differences of each, and what must be known besides."""
    findings, console = proof.findings, Console()
    table = Table("check", "holds that", "differences", box=None)
    for check, words in CHECKED.items():
        count = findings.counts.get(check)
        table.add_row(check, words, "not checked" if count is None else str(count))
    console.print(table)
    for check, said in findings.said.items():
        for sentence in said:
            console.print(f"{check}: {sentence}", style="red", highlight=False, markup=False, soft_wrap=True)
        if findings.counts[check] > len(said):
            typer.echo(f"{check}: and {findings.counts[check] - len(said):,} more")
    for note in findings.notes:
        console.print(note, highlight=False, markup=False, soft_wrap=True)
    went = f"{proof.entries:,} entries, {proof.readings:,} readings, {proof.postings:,} postings in {verdict.took_ms / 1000:.1f} s"
    typer.echo(f"{went}: {'nothing lost, nothing doubled' if findings.agree else 'DIFFERENCES WERE FOUND'}")
