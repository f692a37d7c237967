"""A street of accounts with one meter each, as the machine leaves it after opening, made at once.

Opening a million accounts fact by fact takes longer than what is to be measured. So the machine opens one account, and its rows
and records are repeated with the numbers of the others. Postings and answers to orders are left out: they are no part of what a
reading meets, and answers are forgotten after ninety days.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np

from bench.scene import DOCUMENT, T0, TARIFF, opened, order
from connectors.redis.commit import commit_of
from connectors.redis.server import EmbeddedServer
from connectors.redis.store import Store
from domain.facts import Fact, TariffPublished
from domain.ids import LOG_START, shard_of
from domain.state import PAGES, RECORDS, ROWS, AccountRecord, Changes, RowChanges, Rows, StoredShard, part_of
from domain.units import MICROS_PER_UNIT
from flows.machine import fold
from flows.state import ShardState

RECHARGE, SMALL_RECHARGE = 5_000, 21
"""Units of money: enough for all runs, and, for one account in a thousand, for an hour or two."""
_ROWS_EACH = {
    "accounts": 1, "account_terms": 1, "meters": 1, "meter_terms": 1, "counters": 2, "watches": 0, "band_registers": 0
}  # fmt: skip


def numbers_of(meters: int, shards: int) -> list[list[int]]:
    """The meter numbers 1 to `meters` by the shard of their accounts."""
    numbers: list[list[int]] = [[] for _ in range(shards)]
    for number in range(1, meters + 1):
        numbers[shard_of(f"bench-{number}", shards)].append(number)
    return numbers


def street(numbers: Sequence[int], shard: int = 0) -> StoredShard:
    """A shard's state with an account for each meter number, at the log's entry 1-0."""
    facts: list[Fact] = [TariffPublished(at=T0, id=order(), tariff=TARIFF, document=DOCUMENT)]
    one, _ = fold(ShardState(shard), (((1, n), fact) for n, fact in enumerate(facts + opened(1, TARIFF, RECHARGE))))
    account, meter = one.account_records["bench-1"], one.meter_records[1]
    return StoredShard(
        shard=shard,
        position=(1, 0),
        header=msgspec.structs.replace(one.header, posting_sequence=len(numbers)),
        rows=_rows(one, np.array(numbers, np.int64)),
        records={name: {} for name in RECORDS}
        | {
            "account_records": {f"bench-{n}": _account(account, row, n) for row, n in enumerate(numbers)},
            "meter_records": {
                n: msgspec.structs.replace(meter, row=row, meter=n, account=f"bench-{n}")
                for row, n in enumerate(numbers)
            },
            "tariff_records": dict(one.tariff_records.sorted()),
            "plan_records": dict(one.plan_records.sorted()),
        },
    )


def _account(first: AccountRecord, row: int, number: int) -> AccountRecord:
    counters = (msgspec.structs.replace(first.counters[0], row=_ROWS_EACH["counters"] * row),)
    return msgspec.structs.replace(
        first, row=row, account=f"bench-{number}", meters=(number,), counters=counters, opening=number.to_bytes(16)
    )


def _rows(one: ShardState, numbers: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> dict[str, Rows]:
    """Every kind of row for all accounts; those of the first are what the machine made."""
    rows = {name: np.tile(getattr(one, name).rows, len(numbers)).view(dtype) for name, dtype in ROWS.items()}
    assert {name: len(each) // max(1, len(numbers)) for name, each in rows.items()} == _ROWS_EACH
    place = np.arange(len(numbers))
    terms = rows["meter_terms"]
    terms["number"], terms["account"], terms["counter"] = numbers, place, _ROWS_EACH["counters"] * place
    rows["accounts"]["balance"][numbers % 1000 == 0] = SMALL_RECHARGE * MICROS_PER_UNIT
    return rows


def enter(store: Store, stored: StoredShard) -> None:
    """Put a shard's state into a store that has none, as one commit."""
    rows = {
        page: RowChanges(np.array([[0, len(stored.rows[name])]]), part_of(stored.rows[name], part))
        for page, (name, part) in PAGES.items()
    }
    changes = Changes(stored.header, rows, {name: dict(each) for name, each in stored.records.items()})
    store.commit(commit_of(stored.shard, LOG_START, stored.position, changes, []))


@contextmanager
def thrown_away(shards: int) -> Iterator[tuple[str, Store]]:
    """The URL of an embedded server of our own and its store, gone when the context ends."""
    with tempfile.TemporaryDirectory(prefix="meterline-bench-") as folder:
        server = EmbeddedServer.start(Path(folder))
        try:
            yield server.url, Store.open(server.url, shards)
        finally:
            server.stop()
