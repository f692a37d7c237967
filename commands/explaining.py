"""What an account was charged for usage on some days, worked out a second time and held against the ledger."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
import polars as pl

from commands.replaying import replayed
from commands.verifying import Entries, Heard, WholeLog
from connectors.archive.files import Archive
from connectors.redis.store import Store
from domain.effects import POSTING, Effects
from domain.ids import meter_text
from domain.state import AccountRecord, StoredShard
from domain.units import PICOS_PER_MICRO
from flows.audit.explained import AccountAudit, Day, Explained
from flows.state import ShardState

_EPOCH = date(1970, 1, 1)
FIELDS = ("at", "debit", "credit", "amount", "meter", "day", "order_high", "order_low", "corrects")
"""Of a posting, what is compared with the ledger."""

Ledger = dict[int, dict[str, int]]
"""Postings of an account by their numbers: the values of `FIELDS`."""


@dataclass(frozen=True, slots=True)
class Days:
    """Local days from `first` to `last`, both included, since 1970-01-01; `posting`: the one that was asked for, 0: days were."""

    first: int
    last: int
    posting: int = 0

    def has(self, day: int) -> bool:
        """Whether a day is one of them."""
        return self.first <= day <= self.last


@dataclass(slots=True)
class Explanation:
    """Charges of an account on the days asked for. `wrong`: a sentence for each thing that does not come out; `notes`: what is not compared."""

    account: str
    currency: str
    days: list[Day]
    corrections: list[Explained]
    wrong: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def day_of(text: str) -> int:
    """The number of a day such as 2025-01-31. Raises ValueError."""
    return (date.fromisoformat(text) - _EPOCH).days


def day_text(day: int) -> str:
    """`2025-01-31`."""
    return (_EPOCH + timedelta(days=day)).isoformat()


def days_asked(text: str, ledger: Ledger) -> Days:
    """A day, days FROM..TO, or the day of a posting for usage. Raises ValueError, in words."""
    if re.fullmatch(r"\d{1,18}", text):
        return _days_of_posting(int(text), ledger)
    try:
        first, last = (day_of(each) for each in (*text.split(".."), text)[:2])
    except ValueError:
        raise ValueError(
            f"found {text!r}; expected a day such as 2025-01-31, days 2025-01-01..2025-01-31, or the number of a posting"
        ) from None
    if first > last:
        raise ValueError(f"found {text!r}; expected the earlier day first")
    return Days(first, last)


def _days_of_posting(number: int, ledger: Ledger) -> Days:
    posting = ledger.get(number)
    if posting is None:
        raise ValueError(f"found posting {number}, which is not in what the ledger has of this account")
    if not posting["meter"]:
        raise ValueError(f"found posting {number}, which is not for usage: it has no meter")
    return Days(posting["day"], posting["day"], number)


def ledger_of(store: Store, archive: Archive | None, shard: int, row: int) -> Ledger:
    """All postings of the account in a row that are still to be had. Raises StoreError and ArchiveError."""
    kept = np.frombuffer(store.ledgers(shard, [row])[0], POSTING)
    found = {int(each["sequence"]): {name: int(each[name]) for name in FIELDS} for each in kept}
    if archive and archive.ranges("postings", shard):
        rows = archive.scan("postings", shard).filter(pl.col("account") == row).select("sequence", *FIELDS).collect()
        found = {each.pop("sequence"): each for each in rows.to_dicts()} | found
    return found


def explained(
    log: WholeLog, stored: StoredShard, record: AccountRecord, days: Days, until_ms: int | None, heard: Heard
) -> tuple[Explanation, Ledger, ShardState]:
    """What the account of a record was charged on some days, and the postings of it that the log gives. Raises what reading the log does."""
    meters = {*record.meters, *record.former}
    audit, given = AccountAudit(stored.shard, record.account, meters, days.has), Ledger()

    def look(state: ShardState, entries: Entries, effects: list[Effects]) -> None:
        known = state.account_records.get(record.account)
        for (entry, fact), caused in zip(entries, effects, strict=True):
            audit.follow(entry, fact, caused, known.row if known else None)
            if known and caused.postings is not None:
                rows = caused.postings[caused.postings["account"] == known.row]
                given.update({int(each["sequence"]): {name: int(each[name]) for name in FIELDS} for each in rows})

    state = replayed(log, stored.shard, stored.position, until_ms, heard, look)
    found = Explanation(
        record.account,
        record.currency,
        [day for day in audit.days if days.has(day.day)],
        audit.corrections,
        list(_wrong(audit, state, record.account)),
    )
    return found, given, state


def _wrong(audit: AccountAudit, state: ShardState, account: str) -> Iterator[str]:
    """In what the explanation and the machine differ: on any day, for the explanation rests on all before it."""
    for day in audit.days:
        if not day.is_reproduced:
            where = f"meter {meter_text(day.meter)} on {day_text(day.day)}"
            yield f"{where}: what was posted leaves {day.carried_on.cost} picos of its cost, and {day.carried_on.free} of what was free; expected less than a micro"
    record = state.account_records.get(account)
    if record is None:
        return
    row, rows = state.accounts.rows[record.row], state.meters.rows
    balance = int(row.balance) * PICOS_PER_MICRO + int(row.balance_picos)
    if audit.balances.get(account) != balance:
        yield f"account {account} must hold {audit.balances.get(account)} picos and holds {balance}"
    for number, unposted in sorted(audit.unposted.items()):
        meter = rows[state.meter_records[number].row]
        cost = int(meter.day_cost) * PICOS_PER_MICRO + int(meter.day_picos)
        free = int(meter.day_free) * PICOS_PER_MICRO + int(meter.day_free_picos)
        if (unposted.cost, unposted.free) != (cost, free):
            yield f"meter {meter_text(number)} must have {unposted.cost} picos unposted, {unposted.free} of them free, and has {cost} and {free}"


def hold_against_ledger(found: Explanation, given: Ledger, kept: Ledger, days: Days, last: int, *, whole: bool) -> None:
    """Compare the postings of these days, up to number `last`, that the log gives with the ledger, which has all of them if it is `whole`."""
    asked = {
        number
        for number in {*given, *kept}
        if number <= last and any(each[number]["meter"] and days.has(each[number]["day"]) for each in (given, kept) if number in each)
    }  # fmt: skip
    for number in sorted(asked):
        if number not in kept:
            said = found.wrong if whole else found.notes
            said.append(f"posting {number} is not in the ledger{'' if whole else ' here: it is in an archive'}")
        elif given.get(number) != kept[number]:
            found.wrong.append(f"posting {number} of the ledger is not what the log gives")
