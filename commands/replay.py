"""`meterline replay`: build state again from the log, in memory, and look at it as it was, or hold it against what is kept."""

import json
from contextlib import closing
from functools import partial
from typing import Annotated, Any

import typer

from commands.endings import failed, refused
from commands.replaying import AccountThen, account_then, replayed
from commands.settle import prepare_kernel
from commands.shared import DATA_DEFAULT, DataOption, store_url
from commands.stores import store_to_read
from commands.tariff_times import instant
from commands.verify import ArchiveOption, archive_of, progress_of
from commands.verifying import Archived, WholeLog, log_to
from connectors.archive.errors import ArchiveError
from connectors.redis.errors import StoreError
from connectors.redis.formats import FormatError, iso
from connectors.redis.store import Store
from connectors.redis.streams import Streams
from domain.ids import entry_text, meter_text, shard_of
from domain.state import StoredShard
from domain.units import money_text, quantity_text
from flows.proof.state import state_wrong


def replay(
    account: Annotated[str, typer.Argument(help="The account to show.")],
    until: Annotated[
        str, typer.Option(help="As it was at this time: 2025-01-31 23:30, local to the site, or with an offset.")
    ] = "",
    diff: Annotated[
        bool, typer.Option("--diff", help="Hold the account's shard against what the store keeps, byte by byte.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="End with one line of JSON.")] = False,
    data: DataOption = DATA_DEFAULT,
    archive: ArchiveOption = "",
) -> None:
    """Fold the log of an account's shard again, in memory, and show the account as it is, or as it was at a time.

    Only reads, and may run beside everything else. With `--diff` the exit code is 1 where the store keeps anything else.
    """
    if until and diff:
        raise refused("--diff holds against what the store keeps now: leave out --until")
    try:
        place = archive_of(data, archive)
        with store_to_read(data) as store, closing(Streams.open(store_url(data))) as streams:
            archived = Archived(place, streams).log if place else None
            found, differences = _replay(store, archived, account, until, diff=diff)
    except (FormatError, ArchiveError) as error:
        raise failed(str(error)) from None
    except StoreError as error:
        raise refused(str(error)) from None
    for sentence in [*_words(found), *differences]:
        typer.echo(sentence)
    if as_json:
        typer.echo(json.dumps(_figures(found) | {"differences": differences}))
    raise typer.Exit(1 if differences else 0)


def _replay(
    store: Store, archived: WholeLog | None, account: str, until: str, *, diff: bool
) -> tuple[AccountThen, list[str]]:
    shard = shard_of(account, store.shards)
    stored = store.load(shard)
    until_ms = _until(stored, until)
    log = archived if store.is_cut("log", shard) else partial(log_to, store)
    if log is None:
        raise refused(f"the beginning of the log of shard {shard:02d} is in an archive: say with --archive where it is")
    prepare_kernel()
    with progress_of(sum(stored.header.classes)) as heard:
        state = replayed(log, shard, stored.position, until_ms, heard)
    found = account_then(state, account)
    if found is None:
        when = f" until {iso(until_ms)}" if until_ms is not None else ""
        raise refused(
            f"account {account!r} is not in the log{when} (shard {shard:02d}, up to {entry_text(state.position)})"
        )
    return found, list(state_wrong(state, stored)) if diff else []


def _until(stored: StoredShard, text: str) -> int | None:
    """The time in ms UTC; one without an offset is local to the site, or UTC where the store has none."""
    if not text:
        return None
    zones = [site.zone for site in stored.records["site_records"].values()]
    try:
        return instant(text, zones[0] if zones else "UTC")
    except ValueError as error:
        raise refused(f"--until: {error}") from None


def _words(found: AccountThen) -> list[str]:
    meters = [
        f"meter {meter_text(meter)}: register {quantity_text(register) if register >= 0 else 'not read yet'}"
        for meter, register in found.registers.items()
    ]
    balance = f"balance {money_text(found.balance)} {found.currency}"
    return [
        f"account {found.account}: {found.state.name.lower()}, {balance}, level {found.level.name.lower()}",
        *meters,
    ]


def _figures(found: AccountThen) -> dict[str, Any]:
    return {
        "account": found.account,
        "currency": found.currency,
        "balance": money_text(found.balance),
        "level": found.level.name.lower(),
        "state": found.state.name.lower(),
        "registers": {meter_text(meter): register for meter, register in found.registers.items()},
    }
