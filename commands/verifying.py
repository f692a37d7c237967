"""A store held against itself: its log folded and audited again, its ledger recomputed, and everything kept compared.

It only reads, and may run beside everything else: a shard's state and position are taken in one step, and log and streams are read
to just that position, before which nothing changes.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice, takewhile

import msgspec
import numpy as np
from numpy.typing import NDArray

from commands.kept_streams import Entry, KeptStreams, kept_entries
from connectors.archive.entries import entries, raw_entries
from connectors.archive.errors import ArchiveError
from connectors.archive.files import Archive
from connectors.redis.formats import FormatError
from connectors.redis.keys import ledger_key
from connectors.redis.store import Store
from connectors.redis.streams import ARCHIVED, LEDGER_KEPT, Streams
from domain.effects import POSTING
from domain.facts import Fact, ReadingBlock
from domain.ids import LOG_START, EntryId, entry_text
from domain.records import keys_by_row
from domain.state import StoredShard
from domain.words import Check, Ledger
from flows.audit import Audit, compare
from flows.audit.compare import ledger_wrong
from flows.machine import fold
from flows.proof.energy import Energy
from flows.proof.findings import Findings
from flows.proof.ledger import Postings, balances_of
from flows.proof.state import state_wrong
from flows.state import ShardState

AUDITED_MAX = 2_000_000
"""Readings of a store above which the audit, which takes one after the other, is left out unless asked for."""
_ENTRIES_AT_ONCE, _LEDGERS_AT_ONCE = 64, 1_000

Entries = list[tuple[EntryId, Fact]]
Heard = Callable[[Entries], None]
WholeLog = Callable[[int, EntryId], Iterator[Entries]]
"""A shard's log from its beginning up to and with an entry, in batches."""


@dataclass(slots=True)
class Proof:
    """What was held against what: findings, and how much there was. `ledger`: debits less credits, micros."""

    findings: Findings = field(default_factory=Findings)
    readings: int = 0
    entries: int = 0
    postings: int = 0
    ledger: dict[Ledger, int] = field(default_factory=dict)
    orders: dict[bytes, int] = field(default_factory=dict)


class Archived:
    """A store's streams with what is only in its archive. Raises ArchiveGap, ArchiveError, FormatError and StoreError as they are read."""

    def __init__(self, archive: Archive, streams: Streams) -> None:
        self._archive, self._streams = archive, streams

    def log(self, shard: int, until: EntryId) -> Iterator[Entries]:
        """A shard's log, as `WholeLog`."""
        found = takewhile(lambda each: each[0] <= until, entries(self._archive, self._streams, shard))
        while batch := list(islice(found, _ENTRIES_AT_ONCE)):
            yield batch

    def stream(self, name: str, shard: int, until: EntryId) -> Iterator[Entry]:
        """A shard's effect stream from its beginning up to a position."""
        found = raw_entries(self._archive, self._streams, shard, stream=name)
        return takewhile(lambda each: each[0] <= until, found)


def verify_store(
    store: Store, audited_max: int = AUDITED_MAX, heard: Heard = lambda _: None, archived: Archived | None = None
) -> Proof:
    """Hold every shard of a store against itself. `heard` is told the entries of the log as they are read.

    `archived` gives what is no longer in the server; None: logs that were trimmed are not folded. Raises StoreError.
    """
    proof = Proof()
    readings = readings_in(store)
    audits = readings <= audited_max
    if not audits:
        proof.findings.note(
            f"not audited: {readings:,} readings are more than {audited_max:,}; --audit-max {readings} audits them, one after the other"
        )
    for shard in range(store.shards):
        Verification(store, shard, proof, heard, archived).run(audits=audits)
    return proof


def log_to(store: Store, shard: int, until: EntryId) -> Iterator[Entries]:
    """A shard's log from its beginning up to and with an entry, in batches. Raises FormatError and StoreError."""
    after = LOG_START
    store.begin_read(shard, after, _ENTRIES_AT_ONCE)
    while batch := store.finish_read(shard):
        after = batch[-1][0]
        if after < until:
            store.begin_read(shard, after, _ENTRIES_AT_ONCE)  # The server answers while the caller folds.
        yield [(entry, fact) for entry, fact in batch if entry <= until]
        if after >= until:
            return


def readings_in(store: Store, shards: Iterable[int] | None = None) -> int:
    """How many readings some shards, or all of them, have folded, as they say."""
    with suppress(msgspec.MsgspecError):  # A damaged header is reported when its shard is verified.
        return sum(sum(store.header(shard).classes) for shard in shards or range(store.shards))
    return 0


class Verification:
    """One shard."""

    def __init__(self, store: Store, shard: int, proof: Proof, heard: Heard, archived: Archived | None) -> None:
        self._store, self._shard, self._proof, self._heard = store, shard, proof, heard
        self._archived = archived
        self._findings = proof.findings
        self._name = f"shard {shard:02d}"

    def run(self, *, audits: bool) -> None:
        """Make every check that can be made."""
        try:
            stored = self._store.load(self._shard)
        except (ValueError, msgspec.MsgspecError) as error:
            self._findings.differ(Check.STATE, [f"{self._name}: what is kept of its state cannot be read: {error}"])
            return
        trimmed = {name for name in ARCHIVED if self._store.is_cut(name, self._shard)}
        cut = set() if self._archived else trimmed
        books = Postings(self._shard, self._findings, whole="postings" not in cut)
        energy = Energy(stored, self._findings)
        streams = KeptStreams(
            lambda name: self._kept(name, stored.position, is_trimmed=name in trimmed),
            self._shard,
            self._findings,
            {
                "postings": lambda entry, fields: books.take(entry, fields.get(b"b", b""), fields.get(b"c", b"")),
                "usage": lambda _, fields: energy.take(fields.get(b"b", b"")),
            },
            cut | {"outcomes"},
        )
        self._hold_against_log(stored, streams, audits=audits, is_trimmed="log" in trimmed)
        rows = books.close(stored.header)
        self._proof.postings += books.count
        self._close_ledger(stored, rows, whole="postings" not in cut)
        with self._readable(Check.ENERGY):
            energy.close(whole="usage" not in cut)
        self._close_orders(books.orders)

    def _kept(self, name: str, until: EntryId, *, is_trimmed: bool) -> Iterator[Entry]:
        """A stream's entries, also those that only the archive has; it ends where the archive does not go on."""
        if is_trimmed and self._archived:
            try:
                yield from self._archived.stream(name, self._shard, until)
            except (FormatError, ArchiveError) as error:
                self._findings.differ(Check.EFFECTS, [str(error)])
        else:
            yield from kept_entries(self._store, name, self._shard, until)

    def _hold_against_log(self, stored: StoredShard, streams: KeptStreams, *, audits: bool, is_trimmed: bool) -> None:
        """Fold the log to where the state stands, and compare state, effects and the audit's opinion."""
        if is_trimmed and self._archived is None:
            self._findings.note(
                f"{self._name}: the beginning of its log is in an archive: state, effects and audit are not checked, and the chain from the oldest posting that is here; --archive says where it is"
            )
            streams.drain()
            return
        log = self._archived.log if is_trimmed and self._archived else partial(log_to, self._store)
        state, audit = ShardState(self._shard), Audit(self._shard)
        try:
            for batch in log(self._shard, stored.position):
                state, folded = fold(state, batch)
                for effects in folded:
                    streams.expect(effects)
                if audits:
                    for entry, fact in batch:
                        audit.take(entry, fact)
                self._count(batch)
        except (FormatError, ArchiveError) as error:
            self._findings.differ(Check.LOG, [str(error)])
            streams.drain()
            return
        streams.finish()
        self._close_state(state, stored)
        if audits:
            with self._readable(Check.AUDIT):
                self._findings.differ(Check.AUDIT, compare(audit, stored))

    def _count(self, batch: Entries) -> None:
        self._proof.entries += len(batch)
        self._proof.readings += sum(len(fact) for _, fact in batch if isinstance(fact, ReadingBlock))
        self._heard(batch)

    def _close_state(self, state: ShardState, stored: StoredShard) -> None:
        self._findings.made(Check.LOG)
        if state.position != stored.position:
            sentence = f"log:{{{self._shard:02d}}} has no entry {entry_text(stored.position)}, where the state stands; the last before it is {entry_text(state.position)}"
            self._findings.differ(Check.LOG, [sentence])
        self._findings.differ(Check.STATE, state_wrong(state, stored))

    def _close_ledger(self, stored: StoredShard, rows: NDArray[np.void], *, whole: bool) -> None:
        """Σ ledger = Σ balances, and the accounts' lists are the postings."""
        for ledger, balance in balances_of(rows).items():
            self._proof.ledger[ledger] = self._proof.ledger.get(ledger, 0) + balance
        with self._readable(Check.LEDGER):
            if whole:
                self._findings.differ(Check.LEDGER, ledger_wrong(stored, rows))
            else:
                self._findings.note(f"{self._name}: old postings are in an archive: the ledger is not added up")
            self._findings.differ(Check.LEDGER, self._lists_wrong(stored, rows, whole=whole))

    def _lists_wrong(self, stored: StoredShard, rows: NDArray[np.void], *, whole: bool) -> Iterator[str]:
        accounts = keys_by_row(stored.records["account_records"])
        order = np.argsort(rows["account"], kind="stable")
        edges = np.searchsorted(rows["account"][order], np.arange(len(accounts) + 1))
        archived = self._store.is_cut("postings", self._shard)
        for first in range(0, len(accounts), _LEDGERS_AT_ONCE):
            numbers = range(first, min(first + _LEDGERS_AT_ONCE, len(accounts)))
            for number, packed in zip(numbers, self._store.ledgers(self._shard, numbers), strict=True):
                must = rows[order[edges[number] : edges[number + 1]]]
                wrong = _list_wrong(packed, must, stored.header.posting_sequence, whole=whole and not archived)
                if wrong:
                    yield f"{ledger_key(self._shard, number)} (account {accounts[number]}): {wrong}"

    def _close_orders(self, orders: set[bytes]) -> None:
        """An order moves money in one shard."""
        twice = sorted(order for order in orders if order in self._proof.orders)
        self._findings.differ(
            Check.ORDERS,
            (
                f"order {order.hex()} is posted in {self._name} and in shard {self._proof.orders[order]:02d}"
                for order in twice
            ),
        )
        self._proof.orders |= dict.fromkeys(orders, self._shard)

    @contextmanager
    def _readable(self, check: Check) -> Iterator[None]:
        """Say what is so damaged that a check cannot be finished."""
        try:
            yield
        except (LookupError, ValueError, msgspec.MsgspecError) as error:
            self._findings.differ(
                check, [f"{self._name}: rows or records are damaged, it cannot be checked: {error!r}"]
            )


def _list_wrong(packed: bytes, must: NDArray[np.void], last: int, *, whole: bool) -> str:
    """What is wrong with an account's list of postings; nothing: "". Later postings than `last` are of a later commit."""
    if len(packed) % POSTING.itemsize:
        return f"{len(packed)} bytes are no whole postings"
    kept = np.frombuffer(packed, POSTING)
    kept = kept[kept["sequence"] <= last]
    if len(kept) < (len(must) if whole else min(len(must), LEDGER_KEPT)):
        gone = sorted({*must["sequence"].tolist()} - {*kept["sequence"].tolist()})
        return f"{len(kept)} postings, expected {len(must)}: posting {gone[0] if gone else '?'} is missing"
    both = min(len(must), len(kept))
    if len(kept) > len(must) and whole:
        return f"{len(kept)} postings, expected {len(must)}"
    kept, must = kept[len(kept) - both :], must[len(must) - both :]
    if kept.tobytes() == must.tobytes():
        return ""
    first = next(number for number in range(both) if kept[number].tobytes() != must[number].tobytes())
    return f"posting {must[first]['sequence']} is not as it is in postings:{{…}}"
