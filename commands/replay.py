"""`meterline replay`: build state again from the log, in memory, look at it as it was, explain it, and hold it against what is kept."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from commands.endings import failed, refused
from commands.explained_text import explanation_figures, show_explanation
from commands.explaining import Explanation, day_of, days_asked, explained, hold_against_ledger, ledger_of
from commands.replay_tariff import (
    FIRST_DAY,
    LAST_DAY,
    Asked,
    Comparison,
    comparison_figures,
    priced_otherwise,
    show_comparison,
    write_accounts,
)
from commands.replaying import AccountThen, ShardThen, account_then, replayed, shard_then
from commands.settle import prepare_kernel
from commands.shared import DATA_DEFAULT, DataOption, store_url
from commands.stores import store_to_read
from commands.tariff.files import tariff_of, tariff_text
from commands.tariff.price import Language
from commands.tariff.times import instant
from commands.verify import ArchiveOption, archive_of, progress_of
from commands.verifying import Archived, WholeLog, log_to, readings_in
from connectors.archive.errors import ArchiveError
from connectors.archive.files import Archive
from connectors.redis.errors import StoreError
from connectors.redis.formats import FormatError, iso
from connectors.redis.store import Store
from connectors.redis.streams import Streams
from domain.ids import entry_text, meter_text, shard_of
from domain.state import StoredShard
from domain.units import money_text, quantity_text
from flows.proof.state import state_wrong
from tariffs.calendar import sealed


@dataclass(frozen=True, slots=True)
class Kept:
    """A store to replay, and where what it has no longer is. `until`: how far, as it was said."""

    store: Store
    place: Archive | None
    archived: WholeLog | None
    until: str

    def log(self, shard: int) -> WholeLog:
        """Where a shard's whole log is read. Ends the command where its beginning is not to be had."""
        log = self.archived if self.store.is_cut("log", shard) else partial(log_to, self.store)
        if log is None:
            raise refused(
                f"the beginning of the log of shard {shard:02d} is in an archive: say with --archive where it is"
            )
        return log

    def until_ms(self, stored: StoredShard) -> int | None:
        """The time in ms UTC; one without an offset is local to the site, or UTC where the store has none."""
        if not self.until:
            return None
        zones = [site.zone for site in stored.records["site_records"].values()]
        try:
            return instant(self.until, zones[0] if zones else "UTC")
        except ValueError as error:
            raise refused(f"--until: {error}") from None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a form of replay has come to: how to show it, its figures, and whether all of it is as it should be."""

    show: Callable[[], None]
    figures: dict[str, Any]
    agrees: bool = True


def replay(
    account: Annotated[str, typer.Argument(help="The account to show.", show_default=False)] = "",
    shard: Annotated[int | None, typer.Option(min=0, help="Show all of this shard instead of an account.")] = None,
    until: Annotated[
        str, typer.Option(help="As it was at this time: 2025-01-31 23:30, local to the site, or with an offset.")
    ] = "",
    diff: Annotated[
        bool, typer.Option("--diff", help="Hold the whole shard against what the store keeps, byte by byte.")
    ] = False,
    explain: Annotated[
        str,
        typer.Option(
            help="Charges of the account, down to readings and prices: a day, FROM..TO, or a posting's number."
        ),
    ] = "",
    tariff: Annotated[
        str, typer.Option(help="What would be paid by this tariff file, or id of the catalogue.", metavar="TARIFF")
    ] = "",
    first: Annotated[str, typer.Option("--from", help="With --tariff: the first day of usage.", metavar="DAY")] = "",
    last: Annotated[str, typer.Option("--to", help="With --tariff: the last day of usage.", metavar="DAY")] = "",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="With --tariff: a CSV file with a line for each account.")
    ] = None,
    lang: Annotated[Language, typer.Option(help="Language of an explanation.")] = Language.EN,
    as_json: Annotated[bool, typer.Option("--json", help="End with one line of JSON.")] = False,
    data: DataOption = DATA_DEFAULT,
    archive: ArchiveOption = "",
) -> None:
    """Fold the log again, in memory, and show an account or a shard as it is, as it was, or as it would be by another tariff.

    Only reads, and may run beside everything else. The exit code is 1 where, with `--diff`, the store keeps anything else, and where an
    explanation does not come out as the ledger has it.
    """
    if mistake := _mistake(account, shard, tariff, explain, until, (first, last, output), diff=diff):
        raise refused(mistake)
    asked = _tariff_asked(tariff, first, last) if tariff else None
    with _kept(data, archive, until) as kept:
        if shard is not None and shard >= kept.store.shards:
            raise refused(f"found shard {shard}; expected one of 0 to {kept.store.shards - 1}")
        number = shard_of(account, kept.store.shards) if account else shard
        if asked:
            answer = _otherwise(kept, asked, account, number, output)
        elif explain:
            answer = _explained(kept, account, explain, lang)
        else:
            assert number is not None
            answer = _then(kept, account, number, diff=diff)
    answer.show()
    if as_json:
        typer.echo(json.dumps(answer.figures, ensure_ascii=False))
    raise typer.Exit(0 if answer.agrees else 1)


def _mistake(
    account: str, shard: int | None, tariff: str, explain: str, until: str, of_tariff: tuple[Any, ...], *, diff: bool
) -> str:
    """Why these options do not go together; nothing where they do."""
    mistakes = {
        "name an ACCOUNT, or --shard with its number": not (account or tariff or shard is not None),
        "an ACCOUNT has its shard: leave out --shard": bool(account) and shard is not None,
        "--explain is for an ACCOUNT: name one": bool(explain) and not account,
        "--explain and --tariff are two questions: ask one": bool(explain and tariff),
        "--diff holds against what the store keeps now: leave out --until": bool(until) and diff,
        "--diff goes with an ACCOUNT or --shard alone": diff and bool(explain or tariff),
        "--from, --to and --output go with --tariff": any(of_tariff) and not tariff,
    }
    return next((words for words, is_so in mistakes.items() if is_so), "")


def _tariff_asked(name: str, first: str, last: str) -> Asked:
    tariff = tariff_of(name)
    days = _day("--from", first, FIRST_DAY), _day("--to", last, LAST_DAY)
    if days[0] > days[1]:
        raise refused(f"--from {first} is after --to {last}")
    return Asked(tariff, sealed(tariff_text(name)), *days)


def _day(option: str, text: str, otherwise: int) -> int:
    try:
        return day_of(text) if text else otherwise
    except ValueError:
        raise refused(f"{option}: found {text!r}; expected a day such as 2025-01-31") from None


@contextmanager
def _kept(data: Path, archive: str, until: str) -> Iterator[Kept]:
    """What is to be replayed. What cannot be read, there or while it is replayed, ends the command."""
    try:
        place = archive_of(data, archive)
        with store_to_read(data) as store, closing(Streams.open(store_url(data))) as streams:
            yield Kept(store, place, Archived(place, streams).log if place else None, until)
    except (FormatError, ArchiveError) as error:
        raise failed(str(error)) from None
    except StoreError as error:
        raise refused(str(error)) from None


def _then(kept: Kept, account: str, shard: int, *, diff: bool) -> Answer:
    """An account or a shard, as it was or is."""
    stored = kept.store.load(shard)
    until_ms, log = kept.until_ms(stored), kept.log(shard)
    prepare_kernel()
    with progress_of(sum(stored.header.classes)) as heard:
        state = replayed(log, shard, stored.position, until_ms, heard)
    differences = list(state_wrong(state, stored)) if diff else []
    found = account_then(state, account) if account else shard_then(state)
    if found is None:
        when = f" until {iso(until_ms)}" if until_ms is not None else ""
        raise refused(
            f"account {account!r} is not in the log{when} (shard {shard:02d}, up to {entry_text(state.position)})"
        )
    words, figures = _AS_TEXT[type(found)](found), _AS_FIGURES[type(found)](found)
    return Answer(
        lambda: typer.echo("\n".join([*words, *differences])),
        figures | {"differences": differences},
        agrees=not differences,
    )


def _explained(kept: Kept, account: str, text: str, lang: Language) -> Answer:
    """What an account was charged, and why."""
    shard = shard_of(account, kept.store.shards)
    stored = kept.store.load(shard)
    until_ms, log, record = kept.until_ms(stored), kept.log(shard), stored.records["account_records"].get(account)
    if record is None:
        raise refused(f"account {account!r} is not in the store (shard {shard:02d})")
    ledger = ledger_of(kept.store, kept.place, shard, record.row)
    try:
        days = days_asked(text, ledger)
    except ValueError as error:
        raise refused(f"--explain: {error}") from None
    prepare_kernel()
    with progress_of(sum(stored.header.classes)) as heard:
        found, given, state = explained(log, stored, record, days, until_ms, heard)
    whole = kept.place is not None or not kept.store.is_cut("postings", shard)
    hold_against_ledger(found, given, ledger, days, state.header.posting_sequence, whole=whole)
    return _of_explanation(found, lang)


def _of_explanation(found: Explanation, lang: Language) -> Answer:
    return Answer(lambda: show_explanation(found, lang), explanation_figures(found), agrees=not found.wrong)


def _otherwise(kept: Kept, asked: Asked, account: str, shard: int | None, output: Path | None) -> Answer:
    """What an account, a shard or all of them would have paid by another tariff."""
    shards = range(kept.store.shards) if shard is None else [shard]
    prepare_kernel()
    found, unlike = [], []
    with progress_of(readings_in(kept.store, shards)) as heard:
        for each in shards:
            stored = kept.store.load(each)
            try:
                what_if = priced_otherwise(kept.log(each), each, stored.position, kept.until_ms(stored), asked, heard)
            except ValueError as error:
                raise refused(f"--tariff: {error}") from None
            found += what_if.paid()
            unlike += what_if.unlike
    found = [paid for paid in found if account in {"", paid.account}]
    if not found:
        who, tariff = f"account {account!r}" if account else "no account", asked.tariff
        for_whom = f"{tariff.commodity.name.lower()}, paid in {tariff.currency}"
        raise refused(f"{who} has {'no' if account else 'a'} meter that this tariff is for: {for_whom}")
    comparison = Comparison(asked, found, unlike)
    if output:
        _write(comparison, output)
    return Answer(lambda: show_comparison(comparison), comparison_figures(comparison))


def _write(comparison: Comparison, output: Path) -> None:
    try:
        write_accounts(comparison, output)
    except OSError as error:
        raise failed(f"--output: {error}") from None


def _account_words(found: AccountThen) -> list[str]:
    meters = [
        f"meter {meter_text(meter)}: register {quantity_text(register) if register >= 0 else 'not read yet'}"
        for meter, register in found.registers.items()
    ]
    balance = f"balance {money_text(found.balance)} {found.currency}"
    return [
        f"account {found.account}: {found.state.name.lower()}, {balance}, level {found.level.name.lower()}",
        *meters,
    ]


def _account_figures(found: AccountThen) -> dict[str, Any]:
    return {
        "account": found.account,
        "currency": found.currency,
        "balance": money_text(found.balance),
        "level": found.level.name.lower(),
        "state": found.state.name.lower(),
        "registers": {meter_text(meter): register for meter, register in found.registers.items()},
    }


def _shard_words(found: ShardThen) -> list[str]:
    accounts = ", ".join(f"{count:,} {state.name.lower()}" for state, count in found.accounts.items() if count)
    balances = [f"balances {money_text(micros)} {currency}" for currency, micros in found.balances.items()]
    return [
        f"shard {found.shard:02d}: {sum(found.accounts.values()):,} accounts ({accounts or 'none'}), {found.meters:,} meters",
        *balances,
        f"{found.readings:,} readings, {found.postings:,} postings",
    ]


def _shard_figures(found: ShardThen) -> dict[str, Any]:
    return {
        "shard": found.shard,
        "accounts": {state.name.lower(): count for state, count in found.accounts.items()},
        "meters": found.meters,
        "balances": {currency: money_text(micros) for currency, micros in found.balances.items()},
        "readings": found.readings,
        "postings": found.postings,
    }


_AS_TEXT: dict[type, Callable[[Any], list[str]]] = {AccountThen: _account_words, ShardThen: _shard_words}
_AS_FIGURES: dict[type, Callable[[Any], dict[str, Any]]] = {AccountThen: _account_figures, ShardThen: _shard_figures}
