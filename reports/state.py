"""What figures need of a shard's state, asked for in the same step as the last rows of a stream: so an hour that closes is counted once."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import polars as pl

from connectors.redis.keys import key
from connectors.redis.live import LiveStore
from domain.effects import USAGE
from domain.state import PAGES, AccountRecord, MeterRecord, Rows, SiteRecord, rows_of

_WHOLE = ("accounts", "meters", "meter_terms")
_RECORDS: tuple[tuple[str, type[Any]], ...] = (("account_records", AccountRecord), ("meter_records", MeterRecord))


def _pages(name: str) -> list[tuple[str, slice]]:
    return [(page, part) for page, (of, part) in PAGES.items() if of == name]


def ask_meters(shard: int, rows: Sequence[int]) -> Callable[[Any], None]:
    """Ask for the state of some meters, by their rows."""

    def ask(pipe: Any) -> None:
        for row in rows:
            for page, part in _pages("meters"):
                size = part.stop - part.start
                pipe.getrange(key(page, shard), row * size, (row + 1) * size - 1)

    return ask


def meters_of(answers: Sequence[bytes]) -> list[Any]:
    """The rows that `ask_meters` asked for, in its order."""
    pages = [page for page, _ in _pages("meters")]
    each = [answers[start : start + len(pages)] for start in range(0, len(answers), len(pages))]
    return [rows_of("meters", dict(zip(pages, packed, strict=True)))[0] for packed in each]


@dataclass(frozen=True, slots=True, eq=False)
class Shard:
    """All accounts and meters of a shard as they were at one moment."""

    accounts: Rows
    meters: Rows
    meter_terms: Rows
    account_records: Mapping[str, AccountRecord]
    meter_records: Mapping[int, MeterRecord]

    @classmethod
    def of(cls, answers: Sequence[Any]) -> "Shard":
        """What `ask_shard` asked for."""
        found, at = [], 0
        for name in _WHOLE:
            pages = [page for page, _ in _pages(name)]
            found.append(rows_of(name, dict(zip(pages, answers[at : at + len(pages)], strict=True))))
            at += len(pages)
        accounts, meters = (
            [msgspec.msgpack.decode(each, type=kind) for each in packed.values()]
            for packed, (_, kind) in zip(answers[at:], _RECORDS, strict=True)
        )
        return cls(
            found[0],
            found[1],
            found[2],
            {each.account: each for each in accounts},
            {each.meter: each for each in meters},
        )

    def on_ledger(self, record: AccountRecord) -> int:
        """Micros that the ledger has of an account: its balance, and what its meters have used that is not posted yet.

        The parts of a micro of wallet and meters come to a whole number, as a ledger has no others.
        """
        row = self.accounts[record.row]
        meters = self.meters[self.meter_terms["account"] == record.row]
        whole = int(row["balance"]) + int(meters["day_cost"].sum()) - int(meters["day_free"].sum())
        parts = int(row["balance_picos"]) + int(meters["day_picos"].sum()) - int(meters["day_free_picos"].sum())
        return whole + parts // 10**6


def ask_shard(shard: int) -> Callable[[Any], None]:
    """Ask for all accounts and meters of a shard."""

    def ask(pipe: Any) -> None:
        for name in _WHOLE:
            for page, _ in _pages(name):
                pipe.get(key(page, shard))
        for name, _ in _RECORDS:
            pipe.hgetall(key(name, shard))

    return ask


def open_hours(meters: Iterable[tuple[int, Any]]) -> pl.DataFrame:
    """Open windows of (number, row), as rows of usage that are not closed yet."""
    rows = [(number, row) for number, row in meters if row["window_start"] >= 0]
    found = np.zeros(len(rows), USAGE)
    for place, (number, row) in enumerate(rows):
        window = found[place]
        window["meter"], window["start"], window["day"] = number, row["window_start"], row["day"]
        window["usage"], window["cost_micros"], window["cost_picos"] = (
            row["window_usage"], row["window_cost"], row["window_picos"],
        )  # fmt: skip
        window["band"], window["estimated"] = row["window_band"], row["window_estimated"]
    names = [name for name in found.dtype.names or () if name != "pad"]
    return pl.DataFrame({name: found[name].copy() for name in names})


async def meter_records(store: LiveStore, shard: int, numbers: Sequence[int]) -> dict[int, MeterRecord]:
    """Records of some meters of a shard, by number, in the order that is asked for. Raises StoreError."""
    if not numbers:
        return {}
    name = key("meter_records", shard)
    with store.answered():
        found = await store.node_of(name).hmget(name, [str(number) for number in numbers])
    return {
        number: msgspec.msgpack.decode(packed, type=MeterRecord)
        for number, packed in zip(numbers, found, strict=True)
        if packed
    }


async def site_records(store: LiveStore) -> dict[str, SiteRecord]:
    """All sites, by name; every shard has the same. Raises StoreError."""
    name = key("site_records", 0)
    with store.answered():
        found = await store.node_of(name).hvals(name)
    records = [msgspec.msgpack.decode(packed, type=SiteRecord) for packed in found]
    return {record.site: record for record in records}
