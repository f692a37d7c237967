"""`meterline accounts …`: accounts in bulk."""

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from commands.account_opening import Known, Opening, plan_opening
from commands.endings import failed, refused
from commands.settle import prepare_kernel
from commands.shared import DATA_DEFAULT, DataOption
from commands.stores import store_to_fill, wait_until_folded
from connectors.files.accounts import read_table
from connectors.redis.errors import StoreError
from connectors.redis.store import Store
from domain.documents import MistakesError
from domain.ids import order_id
from domain.units import money_text
from flows.settle import settle_once

app = typer.Typer(help="Accounts in bulk.", no_args_is_help=True)
app.callback()(lambda: None)


@app.command("open")
def open_(
    file: Annotated[Path, typer.Argument(help="CSV or Excel (.xlsx), one row a meter (docs/machine/opening.md).")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done and what is wrong; do nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="End with one line of JSON.")] = False,
    data: DataOption = DATA_DEFAULT,
) -> None:
    """Open accounts with their meters and first recharges from a table. All mistakes are listed; with any, nothing is done.

    The same table again completes what was cut short and doubles nothing. Works beside a running `meterline up`.
    """
    try:
        rows = read_table(file)
        with store_to_fill(data, scratch=dry_run and not (data / "redis").is_dir()) as (store, is_own):
            _settle(store, is_own=is_own)
            opening = plan_opening(file.name, rows, Known.of(store), time.time_ns() // 1_000_000, file.parent)
            refusals = [] if dry_run else _carry_out(store, opening, is_own=is_own)
    except (MistakesError, OSError) as error:
        raise refused(str(error)) from None
    except StoreError as error:
        raise failed(str(error)) from None
    _say(opening, refusals, dry_run=dry_run, as_json=as_json)
    if refusals:
        raise typer.Exit(1)


def _settle(store: Store, *, is_own: bool) -> None:
    if not is_own:
        wait_until_folded(store)
        return
    if any(store.position(shard) < store.last(shard) for shard in range(store.shards)):
        prepare_kernel()
        settle_once(store)


def _carry_out(store: Store, opening: Opening, *, is_own: bool) -> list[str]:
    """Append all facts, have them folded, and return what the machine refused all the same, by row."""
    store.append_many((shard, fact) for _, shard, fact in opening.facts)
    _settle(store, is_own=is_own)
    kept = [store.load(shard).records["kept_outcomes"] for shard in range(store.shards)]
    outcomes = [(row, kept[shard][order_id(fact.id)].outcome) for row, shard, fact in opening.facts]
    return [f"row {row}: {each.kind}: {each.refusal} {each.detail}".rstrip() for row, each in outcomes if each.refusal]


def _say(opening: Opening, refusals: list[str], *, dry_run: bool, as_json: bool) -> None:
    for refusal in refusals:
        typer.echo(refusal, err=True)
    figures = {
        "accounts": opening.accounts,
        "meters": opening.meters,
        "recharged": money_text(opening.recharged),
        "refused": len(refusals),
        "dry_run": dry_run,
    }
    verb = "would be opened" if dry_run else "are open"
    typer.echo(
        f"{opening.accounts} accounts {verb}, with {opening.meters} meters and {money_text(opening.recharged)} paid first",
        err=True,
    )
    if as_json:
        typer.echo(json.dumps(figures))
