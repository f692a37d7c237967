"""The store as the API and the collector use it: asynchronous, reading derived state and appending facts.

Read your writes: `append` returns the log position of a fact, and `answer` waits until the machine has decided it.
Reads are of committed state only. Guarantees of `append` are those of `store.Store`.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, cast

import msgspec
import numpy as np
import redis.asyncio

from connectors.cancellation import heed_cancellation
from connectors.redis import account_views
from connectors.redis.errors import StoreError, StoreMismatch, StoreUnreachable
from connectors.redis.formats import encode_fact
from connectors.redis.keys import SITE, held_meter_key, key, ledger_key, order_key
from connectors.redis.nodes import Nodes, connected_live, is_cluster
from connectors.redis.store import check_site, connection_options, translated, understood
from connectors.redis.together import Together
from domain.effects import POSTING, Outcome
from domain.facts import Fact
from domain.ids import LOG_START, EntryId, entry_id, entry_text, shard_of
from domain.state import (
    ACCOUNT,
    METER,
    PAGES,
    RECORDS,
    AccountRecord,
    ChargeItem,
    Control,
    Forced,
    KeptOutcome,
    MainMeter,
    MeterRecord,
    OpenCommand,
    PlanRecord,
    PolicyRecord,
    PurchaseCount,
    QuarantineCase,
    Rows,
    ShardHeader,
    SiteRecord,
    TariffRecord,
    rows_of,
)
from domain.words import Commodity

ORDER_CLAIM_SECONDS = 92 * 86_400
"""Two days longer than the machine accepts an id (`flows/orders/answers.py`)."""
_ACCOUNT_RECORD, _METER_RECORD = msgspec.msgpack.Decoder(AccountRecord), msgspec.msgpack.Decoder(MeterRecord)
_HOMES_MAX = 2_000_000
"""Meters of which the shard is remembered, at most: some 200 MB."""
METER_HELD_SECONDS = 86_400
"""How long a meter's number is held for an order of which nobody has heard."""
_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"
_SCANNED = 10_000
_WAITS = (0.002, 0.004, 0.008, 0.016, 0.03)


async def _opened(url: str) -> Nodes[Any]:
    """The servers at a store's URL. Raises StoreError."""
    with understood(), translated():
        return await connected_live(url, lambda each: redis.asyncio.Redis.from_url(each, **connection_options()))


def _pages_of(name: str) -> list[tuple[str, slice]]:
    return [(page, part) for page, (of, part) in PAGES.items() if of == name]


def ask_rows(pipe: Any, shard: int, *names: str) -> None:
    """Ask for every page of these kinds of rows, in the order that `rows_from` takes them in."""
    for name in names:
        for page, _ in _pages_of(name):
            pipe.get(key(page, shard))


def rows_from(name: str, packed: list[bytes | None]) -> Rows:
    """Rows of a kind from the answers to `ask_rows`."""
    return rows_of(name, dict(zip((page for page, _ in _pages_of(name)), packed, strict=True)))


def _row_of(dtype: np.dtype[np.void], packed: bytes) -> Any:
    """One row out of its bytes in all pages; an earlier release had no bytes for the last of them."""
    return np.frombuffer(packed.ljust(dtype.itemsize, b"\0"), dtype)[0]


def _later_tariffs(plan: PlanRecord, now: int) -> set[str]:
    """The tariffs that a plan prices by at a time, or after it."""
    stages = plan.assignments
    ends = [*(stage.starts_at for stage in stages[1:]), None]
    return {stage.tariff for stage, end in zip(stages, ends, strict=True) if end is None or end > now}


@dataclass(frozen=True, slots=True, eq=False)
class AccountView:
    """An account as committed: its record and its row (`domain.state.ACCOUNT`)."""

    shard: int
    record: AccountRecord
    row: Any


AccountAndMeters = tuple[AccountView, list[tuple[MeterRecord, Any]]]
"""An account, and record and row of each of its meters in the order in which they were installed, all of one commit."""


@dataclass(frozen=True, slots=True, eq=False)
class MeterView:
    """A meter as committed: its record, its row (`domain.state.METER`), its account, its unverified command, what people and
    terms want of its supply, its quarantine cases, its sub-meters, and its purchase count.
    """

    shard: int
    record: MeterRecord
    row: Any
    account: AccountView
    command: OpenCommand | None
    forced: Forced | None
    control: Control | None
    cases: list[QuarantineCase]
    main: MainMeter | None
    purchases: PurchaseCount | None


@dataclass(frozen=True, slots=True, eq=False)
class ShardView:
    """All rows and records of a shard that pages and gauges need, and how far it is."""

    shard: int
    header: ShardHeader
    position: EntryId
    last: EntryId
    accounts: Rows
    meters: Rows
    account_records: dict[str, AccountRecord]
    meter_records: dict[int, MeterRecord]
    commands: dict[int, OpenCommand]
    cases: dict[str, QuarantineCase]


def _account_and_meters(shard: int, packed: list[bytes]) -> AccountAndMeters:
    """An account out of what `account_views.SCRIPT` finds."""
    record, row, *meters = packed
    view = AccountView(shard, _ACCOUNT_RECORD.decode(record), _row_of(ACCOUNT, row))
    pairs = zip(meters[::2], meters[1::2], strict=True)
    return view, [(_METER_RECORD.decode(record), _row_of(METER, row)) for record, row in pairs]


class LiveStore:
    """A pool of connections to each node for one event loop."""

    def __init__(self, url: str, nodes: Nodes[Any], shards: int) -> None:
        self.shards = shards
        self._url, self._nodes = url, nodes
        self._renewal: asyncio.Task[None] | None = None
        self._accounts = Together(self._read_accounts)
        self._homes: dict[int, int] = {}

    @classmethod
    async def open(cls, url: str) -> "LiveStore":
        """Connect to a store that exists. Raises StoreError."""
        nodes = await _opened(url)
        try:
            with translated():
                site = cast("dict[bytes, bytes]", await nodes.of(SITE).hgetall(SITE))
            if not site:
                raise StoreMismatch(
                    "the store is empty; start `meterline up`, `meterline site --shards` or `meterline import` first, they make it"
                )
            return cls(url, nodes, check_site(site))
        except StoreError:
            for client in nodes.clients.values():
                await client.aclose()
            raise

    @property
    def clients(self) -> list[Any]:
        """The client of every node."""
        return list(self._nodes.clients.values())

    def node_of(self, name: str) -> Any:
        """The client of the node that has a key."""
        return self._nodes.of(name)

    @contextmanager
    def answered(self) -> Iterator[None]:
        """Turn the client library's exceptions into ours, and end when told to.

        After an error of a cluster its nodes are asked anew who has what, so that who tries again finds a shard that has moved.
        """
        try:
            with translated():
                yield
        except StoreUnreachable:
            if is_cluster(self._url) and (self._renewal is None or self._renewal.done()):
                self._renewal = asyncio.create_task(self._renew())
            raise
        heed_cancellation()

    async def _renew(self) -> None:
        before = self._nodes
        with suppress(StoreError):
            self._nodes = await _opened(self._url)
            for client in before.clients.values():
                await client.aclose()

    async def close(self) -> None:
        """Close every connection."""
        for client in self._nodes.clients.values():
            await client.aclose()

    async def ping(self) -> None:
        """Raise StoreUnreachable unless every server answers."""
        with self.answered():
            for client in self._nodes.clients.values():
                await client.ping()

    def at(self, shard: int) -> Any:
        """The client of the node that has a shard."""
        return self._nodes.of(key("log", shard))

    async def of_every_shard(self, ask: Callable[[Any, int], Any], *, is_strict: bool = True) -> list[Any]:
        """The answer to one question for each shard, in one round trip to each node."""
        return await self.of_shards(range(self.shards), ask, is_strict=is_strict)

    async def of_shards(
        self, shards: Sequence[int], ask: Callable[[Any, int], Any], *, is_strict: bool = True
    ) -> list[Any]:
        """The answer to one question for each of some shards, in their order; what the server refuses is raised, or is the answer where it is not strict."""
        answers: list[Any] = [None] * len(shards)
        for client, places in self._nodes.together(key("log", shard) for shard in shards):
            pipe = client.pipeline(transaction=False)
            for place in places:
                ask(pipe, shards[place])
            for place, answer in zip(places, await pipe.execute(raise_on_error=is_strict), strict=True):
                answers[place] = answer
        return answers

    async def positions(self) -> list[bytes]:
        """Up to where each shard is folded and committed, as it is written there."""
        found = [b"0-0"] * self.shards
        with self.answered():
            for client, shards in self._nodes.together(key("log", shard) for shard in range(self.shards)):
                names = [key("settled", shard) for shard in shards]
                if is_cluster(self._url):  # There one command asks for keys of one slot only.
                    pipe = client.pipeline(transaction=False)
                    for name in names:
                        pipe.get(name)
                    positions = await pipe.execute()
                else:
                    positions = await client.mget(names)
                for shard, position in zip(shards, positions, strict=True):
                    found[shard] = position or b"0-0"
        return found

    async def append(self, shard: int, fact: Fact) -> EntryId:
        """Append one fact to a shard's log. Returns its position."""
        with self.answered():
            return entry_id((await self.at(shard).xadd(key("log", shard), encode_fact(fact))).decode())

    async def claim_order(self, order: bytes, shard: int) -> int:
        """Take an order's id (16 bytes) for a shard, unless another has it. Returns the shard that has it.

        A claim outlives the time in which ids are accepted, so that nothing is forgotten too early.
        """
        with self.answered():
            owner = await self._nodes.of(order_key(order)).set(
                order_key(order), str(shard), nx=True, get=True, ex=ORDER_CLAIM_SECONDS
            )
        return shard if owner is None else int(owner)

    async def order_shard(self, order: bytes) -> int | None:
        """The shard that has an order's id (16 bytes), or None."""
        with self.answered():
            owner = await self._nodes.of(order_key(order)).get(order_key(order))
        return None if owner is None else int(owner)

    async def hold_meter(self, number: int, order: bytes) -> bool:
        """Keep a meter's number for an order (16 bytes of its id) until it is decided. False: another order has it.

        A shard's machine knows its own meters: without this, two shards could take one meter at the same time.
        """
        name = held_meter_key(number)
        with self.answered():
            holder = await self._nodes.of(name).set(name, order, nx=True, get=True, ex=METER_HELD_SECONDS)
        return holder in {None, order}

    async def release_meter(self, number: int, order: bytes) -> None:
        """The order that a meter's number was held for is decided."""
        name = held_meter_key(number)
        with self.answered():
            await self._nodes.of(name).eval(_RELEASE, 1, name, order)

    async def answer(self, shard: int, entry: EntryId, seconds: float) -> Outcome | None:
        """The outcome of the fact at a log position; None if it is not decided within `seconds`."""
        deadline = time.monotonic() + seconds
        waits = iter(_WAITS)
        while True:
            with self.answered():
                found = await self.at(shard).xrange(key("outcomes", shard), entry_text(entry), entry_text(entry))
            if found:
                return msgspec.msgpack.decode(found[0][1][b"b"], type=list[Outcome])[0]
            if time.monotonic() >= deadline:
                return None
            await asyncio.sleep(next(waits, _WAITS[-1]))

    async def outcome(self, account: str, order: bytes) -> Outcome | None:
        """The kept outcome of an order, by the 16 bytes of its id."""
        return await self.outcome_in(shard_of(account, self.shards), order)

    async def outcome_in(self, shard: int, order: bytes) -> Outcome | None:
        """The kept outcome of an order that was appended to this shard."""
        with self.answered():
            packed = await self.at(shard).hget(key("kept_outcomes", shard), order)
        return msgspec.msgpack.decode(packed, type=KeptOutcome).outcome if packed else None

    async def account(self, account: str) -> AccountView | None:
        """An account, or None."""
        found = await self._accounts.of(account)
        return found and found[0]

    async def account_and_meters(self, account: str) -> AccountAndMeters | None:
        """An account with its meters, or None."""
        return await self._accounts.of(account)

    async def _read_accounts(self, accounts: list[str]) -> list[AccountAndMeters | None]:
        """Accounts with their meters, read in one round trip to each node."""
        shards: dict[int, list[str]] = {}
        for account in accounts:
            shards.setdefault(shard_of(account, self.shards), []).append(account)
        with self.answered():
            if is_cluster(self._url):  # There one command asks for keys of one slot only.
                answers = await self.of_shards(
                    list(shards),
                    lambda pipe, shard: pipe.execute_command(*account_views.question({shard: shards[shard]})),
                )
                found = [packed for answer in answers for packed in answer]
            else:
                found = await self.at(0).execute_command(*account_views.question(shards))
        asked = ((shard, account) for shard, names in shards.items() for account in names)
        views = {
            account: _account_and_meters(shard, packed) if packed else None
            for (shard, account), packed in zip(asked, found, strict=True)
        }
        return [views[account] for account in accounts]

    async def accounts(self, shard: int) -> list[AccountView]:
        """All accounts of a shard, in the order in which they were opened."""
        with self.answered():
            pipe = self.at(shard).pipeline(transaction=True)
            pipe.hgetall(key("account_records", shard))
            ask_rows(pipe, shard, "accounts")
            found, *pages = await pipe.execute()
        rows = rows_from("accounts", pages)
        records = [msgspec.msgpack.decode(record, type=AccountRecord) for record in found.values()]
        return [
            AccountView(shard, record, rows[record.row]) for record in sorted(records, key=lambda record: record.row)
        ]

    async def meters_of(self, view: AccountView) -> list[tuple[MeterRecord, Any]]:
        """Record and row of each meter of an account, in the order in which they were installed."""
        numbers = view.record.meters
        if not numbers:
            return []
        with self.answered():
            found = await self.at(view.shard).hmget(
                key("meter_records", view.shard), [str(number) for number in numbers]
            )
        records = [msgspec.msgpack.decode(packed, type=MeterRecord) for packed in found if packed]
        return [(record, await self._row("meters", view.shard, record.row)) for record in records]

    async def locate_meter(self, number: int) -> tuple[int, MeterRecord] | None:
        """The shard and record of a meter, or None: asks every shard.

        Of a meter that went from one account to another, the record of where it is; of one that is nowhere, where it was.
        """
        with self.answered():
            found = await self.of_every_shard(lambda pipe, shard: pipe.hget(key("meter_records", shard), str(number)))
        decoder = msgspec.msgpack.Decoder(MeterRecord)
        located = [(shard, decoder.decode(packed)) for shard, packed in enumerate(found) if packed]
        return min(located, key=lambda each: each[1].removed_at > 0, default=None)

    async def locate_meters(self, numbers: Collection[int]) -> dict[int, tuple[int, MeterRecord]]:
        """The shard and record of those meters that are there. Where a meter was found last is asked first, then every shard."""
        known: dict[int, list[int]] = {}
        for number in numbers:
            if number in self._homes:
                known.setdefault(self._homes[number], []).append(number)
        found = await self._meters_in(known)
        missing = sorted(set(numbers) - found.keys())
        if missing:
            found |= await self._meters_in(dict.fromkeys(range(self.shards), missing))
        if len(self._homes) > _HOMES_MAX:
            self._homes.clear()
        self._homes |= {number: shard for number, (shard, _) in found.items()}
        return found

    async def _meters_in(self, asked: dict[int, list[int]]) -> dict[int, tuple[int, MeterRecord]]:
        """Of some meters of each shard, those that are there: no meter is in two."""
        if not asked:
            return {}
        with self.answered():
            packed = await self.of_shards(
                list(asked), lambda pipe, shard: pipe.hmget(key("meter_records", shard), [str(n) for n in asked[shard]])
            )
        records = (
            (shard, _METER_RECORD.decode(each))
            for shard, found in zip(asked, packed, strict=True)
            for each in found
            if each
        )
        return {record.meter: (shard, record) for shard, record in records if not record.removed_at}

    async def meter_record(self, shard: int, number: int) -> MeterRecord | None:
        """What a shard has of a meter, also of one that went elsewhere; or None."""
        found: MeterRecord | None = await self._record("meter_records", shard, str(number))
        return found

    async def meter(self, number: int) -> MeterView | None:
        """A meter, or None."""
        located = await self.locate_meter(number)
        if located is None:
            return None
        shard, record = located
        account = await self.account(record.account)
        assert account is not None, "a meter's account is committed with it, or before"
        return MeterView(
            shard=shard,
            record=record,
            row=await self._row("meters", shard, record.row),
            account=account,
            command=await self._record("open_commands", shard, str(number)),
            forced=await self._record("forced", shard, str(number)),
            control=await self._record("controls", shard, str(number)),
            cases=[case for case in (await self._records("cases", shard)).values() if case.meter == number],
            main=await self._record("main_meters", shard, str(number)),
            purchases=await self._record("purchase_counts", shard, str(number)),
        )

    async def tariffs(self) -> dict[str, TariffRecord]:
        """All tariffs; they are the same in every shard."""
        return await self._records("tariff_records", 0)

    async def tariff(self, tariff: str) -> TariffRecord | None:
        """A tariff by its name, or None."""
        found: TariffRecord | None = await self._record("tariff_records", 0, tariff)
        return found

    async def site(self, site: str) -> SiteRecord | None:
        """A site by its name, or None."""
        found: SiteRecord | None = await self._record("site_records", 0, site)
        return found

    async def policy(self, policy: str) -> PolicyRecord | None:
        """A policy by its name, or None."""
        found: PolicyRecord | None = await self._record("policy_records", 0, policy)
        return found

    async def account_terms(self, view: AccountView) -> Any:
        """An account's terms: one row of `domain.state.ACCOUNT_TERMS`."""
        return await self._row("account_terms", view.shard, view.record.row)

    async def charge_items(self, view: AccountView) -> list[ChargeItem]:
        """Fees that an account pays, by name. The server looks through the shard's fees and sends the account's."""
        found: list[ChargeItem] = []
        decoder, name = msgspec.msgpack.Decoder(ChargeItem), key("charge_items", view.shard)
        with self.answered():
            async for _, packed in self.at(view.shard).hscan_iter(name, f"{view.record.account}:*", _SCANNED):
                found.append(decoder.decode(packed))
        return sorted(found, key=lambda item: item.item)

    async def policies(self) -> dict[str, PolicyRecord]:
        """All policies; they are the same in every shard."""
        return await self._records("policy_records", 0)

    async def control(self, shard: int, meter: int) -> Control | None:
        """What besides money and force bears on a meter's supply, or None."""
        found: Control | None = await self._record("controls", shard, str(meter))
        return found

    async def main_meter(self, shard: int, meter: int) -> MainMeter | None:
        """What hangs behind a main meter, or None."""
        found: MainMeter | None = await self._record("main_meters", shard, str(meter))
        return found

    async def priced_by(self, tariff: str, now: int) -> int:
        """How many meters a tariff prices at `now` (ms UTC) or will later: of each shard its plans and its rows of terms, no records."""
        count = 0
        for shard in range(self.shards):
            plans = await self._records("plan_records", shard)
            named = [row for row, plan in plans.items() if tariff in _later_tariffs(plan, now)]
            if not named:
                continue
            with self.answered():
                pipe = self.at(shard).pipeline(transaction=False)
                ask_rows(pipe, shard, "meter_terms")
                terms = rows_from("meter_terms", await pipe.execute())
            count += int((np.isin(terms["plan"], named) & (terms["removed"] == 0)).sum())
        return count

    async def counted(self, view: AccountView) -> dict[Commodity, dict[int, int]]:
        """Wh or litres that an account's meters of a commodity have used, by tier period (epoch minutes UTC of its begin)."""
        found: dict[Commodity, dict[int, int]] = {}
        for counter in view.record.counters:
            for row in range(counter.row, counter.row + 2 * len(counter.thresholds)):
                kept = await self._row("counters", view.shard, row)
                if kept["period"] >= 0:
                    found.setdefault(counter.commodity, {})[int(kept["period"])] = int(kept["used"])
        return found

    async def controls(self, view: AccountView) -> list[Control]:
        """Control of those of an account's meters that have any."""
        found = [await self._record("controls", view.shard, str(number)) for number in view.record.meters]
        return [control for control in found if control]

    async def ledger(self, view: AccountView, newest: int, skip: int = 0) -> Rows:
        """Up to `newest` postings of an account (`domain.effects.POSTING`), newest first, after skipping `skip`."""
        with self.answered():
            packed = await self.at(view.shard).lrange(
                ledger_key(view.shard, view.record.row), -(skip + newest), -(skip + 1)
            )
        return np.frombuffer(b"".join(packed), POSTING)[::-1]

    async def account_records(self, accounts: set[str]) -> dict[str, AccountRecord]:
        """Records of some accounts."""
        wanted: dict[int, list[str]] = {}
        for account in sorted(accounts):
            wanted.setdefault(shard_of(account, self.shards), []).append(account)
        found: dict[str, bytes | None] = {}
        for shard, names in wanted.items():
            with self.answered():
                packed = await self.at(shard).hmget(key("account_records", shard), names)
            found |= dict(zip(names, packed, strict=True))
        return {account: msgspec.msgpack.decode(each, type=AccountRecord) for account, each in found.items() if each}

    async def accounts_at(
        self, site: str, building: str | None = None, floor: str | None = None
    ) -> list[AccountRecord]:
        """Records of the accounts at a place. Looks at every account's."""
        asked = {"site": site, "building": building, "floor": floor}
        wanted = {name: value for name, value in asked.items() if value is not None}
        records = [
            record
            for shard in range(self.shards)
            for record in (await self._records("account_records", shard)).values()
        ]
        return [
            record for record in records if all(getattr(record.place, name) == value for name, value in wanted.items())
        ]

    async def shard(self, shard: int) -> ShardView:
        """A whole shard, for tables and gauges."""
        with self.answered():
            pipe = self.at(shard).pipeline(transaction=True)
            for name in ("header", "settled"):
                pipe.get(key(name, shard))
            pipe.xrevrange(key("log", shard), count=1)
            ask_rows(pipe, shard, "accounts", "meters")
            header, position, last, *pages = await pipe.execute()
        return ShardView(
            shard=shard,
            header=msgspec.msgpack.decode(header, type=ShardHeader) if header else ShardHeader(),
            position=entry_id((position or b"0-0").decode()),
            last=entry_id(last[0][0].decode()) if last else LOG_START,
            accounts=rows_from("accounts", pages[:2]),
            meters=rows_from("meters", pages[2:]),
            account_records=await self._records("account_records", shard),
            meter_records=await self._records("meter_records", shard),
            commands=await self._records("open_commands", shard),
            cases=await self._records("cases", shard),
        )

    async def open_commands(self) -> list[OpenCommand]:
        """Every command that is not verified, of all shards."""
        shards = [await self._records("open_commands", shard) for shard in range(self.shards)]
        return [command for records in shards for command in records.values()]

    async def open_command(self, shard: int, meter: int) -> OpenCommand | None:
        """The command that a meter waits for, or None."""
        found: OpenCommand | None = await self._record("open_commands", shard, str(meter))
        return found

    async def _row(self, name: str, shard: int, row: int) -> Any:
        """One row, in one transaction: a commit between two of its pages would show a row that never was."""
        with self.answered():
            pipe = self.at(shard).pipeline(transaction=True)
            for page, part in _pages_of(name):
                size = part.stop - part.start
                pipe.getrange(key(page, shard), row * size, (row + 1) * size - 1)
            return rows_from(name, await pipe.execute())[0]

    async def _record(self, name: str, shard: int, field: str) -> Any:
        with self.answered():
            packed = await self.at(shard).hget(key(name, shard), field)
        return msgspec.msgpack.decode(packed, type=RECORDS[name][1]) if packed else None

    async def _records(self, name: str, shard: int) -> dict[Any, Any]:
        kind, record = RECORDS[name]
        with self.answered():
            found = cast("dict[bytes, bytes]", await self.at(shard).hgetall(key(name, shard)))
        decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(record)
        return {
            kind(field.decode()) if kind is not bytes else field: decoder.decode(packed)
            for field, packed in found.items()
        }
