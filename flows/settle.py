"""Settle: read ▸ fold ▸ commit. The dataflow that turns the log into state and effects.

    log:{07} ──read──▶ entries ──fold──▶ commit ──commit──▶ state, postings, usage, alarms, commands, outcomes + position

One partition per shard. A shard's position is stored with its state, so a worker begins where the last commit ended and
bytewax's own recovery is not used. Guarantee: every log entry is applied exactly once to the store, through kills and
restarts at any instruction; should two workers hold one shard by mistake, one of them stops.

Several processes, on one host or many: each takes a part of the shards, and knows nothing of the others (`meterline settle
--part 1/4`). Or bytewax divides the shards among processes that know of each other; they hand batches and commits to one
another, which costs more than it gives (docs/scaling.md):

    METERLINE_STORE_URL=redis://… python -m bytewax.run flows.settle:flow
    METERLINE_STORE_URL=redis://… python -m bytewax.run flows.settle:flow -i 0 -a "one:2101;two:2101"     # on `one`
    METERLINE_STORE_URL=redis://… python -m bytewax.run flows.settle:flow -i 1 -a "one:2101;two:2101"     # on `two`

The processes of a cluster find each other at these addresses, unencrypted: keep them on loopback or a private network.
When one of a cluster ends, end and start all of it.
"""

import gc
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import bytewax.operators as op
import structlog
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.operators import StatefulBatchLogic
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition
from prometheus_client import Histogram

from connectors.metrics import Measures
from connectors.redis.commit import Commit, commit_of
from connectors.redis.errors import StoreError
from connectors.redis.store import Store
from domain.effects import Effects
from domain.facts import Fact, ReadingBlock
from domain.ids import EntryId
from domain.metrics import Process
from flows.machine import fold
from flows.state import ShardState

ENTRIES_AT_ONCE = 64
"""Log entries in one batch, and so in one commit, at most."""
IDLE = timedelta(milliseconds=5)
IDLE_LONG = timedelta(milliseconds=20)
READS_UNTIL_IDLE = 100
_log = structlog.get_logger("settle")

Opens = Callable[[], Store]
Heard = Callable[[list[Fact], list[Effects]], None]


@dataclass(frozen=True, slots=True)
class Batch:
    """Entries of one shard's log, in order."""

    shard: int
    entries: list[tuple[EntryId, Fact]]


@dataclass(frozen=True, slots=True)
class Part:
    """The `number`-th of so many parts of a store's shards, from 1 on: every so manieth shard."""

    number: int = 1
    parts: int = 1

    def shards(self, shards: int) -> list[int]:
        """The shards of this part."""
        return list(range(shards))[self.number - 1 :: self.parts]


def build(
    store: Opens, entries_at_once: int = ENTRIES_AT_ONCE, part: Part = Part(), measures: Measures | None = None
) -> Dataflow:
    """The dataflow over a store's shards, or a part of them: one line here is one box in docs/architecture.md."""
    measures = measures or Measures(Process.SETTLE)
    settle = Dataflow("settle")
    batches = op.input("read", settle, Log(store, entries_at_once, part))
    commits = op.stateful_batch("fold", batches, lambda _: Fold(store, measures))
    op.output("commit", commits, Commits(store, part, measures))
    return settle


def flow(entries_at_once: int = ENTRIES_AT_ONCE) -> Dataflow:
    """The dataflow on the store at `METERLINE_STORE_URL`, for `python -m bytewax.run flows.settle:flow`."""
    url = os.environ.get("METERLINE_STORE_URL")
    if not url:
        raise SystemExit("set METERLINE_STORE_URL to the store's URL, such as redis://writer:password@host:6379")
    return build(lambda: Store.open(url), entries_at_once)


def fold_batch(state: ShardState, batch: Batch, heard: Heard | None = None) -> Commit | None:
    """Fold what is new in a batch, and gather everything that its commit writes; None if nothing is new.

    `heard` is told the facts with their effects, for reports that need more than is kept.
    """
    before = state.position
    new = [(entry, fact) for entry, fact in batch.entries if entry > before]
    if not new:
        return None
    state, effects = fold(state, new)
    if heard:
        heard([fact for _, fact in new], effects)
    tallies = state.tally.of(effects, state.accounts.count, lambda row: state.account_record(row).currency)
    return commit_of(state.shard, before, state.position, state.take_changes(), effects, tallies)


def settle_once(store: Store, entries_at_once: int = ENTRIES_AT_ONCE, heard: Heard | None = None) -> int:
    """Fold and commit all that waits in every shard, without bytewax: for imports into a store of their own, and for tests.

    Returns the number of entries.
    """
    count = 0
    for shard in range(store.shards):
        state = ShardState.of(store.load(shard))
        while entries := store.read(shard, state.position, entries_at_once):
            commit = fold_batch(state, Batch(shard, entries), heard)
            assert commit is not None
            store.commit(commit)
            count += len(entries)
    return count


def _names(opens: Opens, part: Part) -> list[str]:
    store = opens()
    names = [f"{shard:02d}" for shard in part.shards(store.shards)]
    store.close()
    return names


class Log(FixedPartitionedSource[tuple[str, Batch], None]):
    """The shards' logs, each from the position that its state was committed at."""

    def __init__(self, store: Opens, entries_at_once: int, part: Part) -> None:
        self._store = store
        self._entries_at_once = entries_at_once
        self._part = part

    def list_parts(self) -> list[str]:
        """One partition per shard, named by its number."""
        return _names(self._store, self._part)

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> "LogPartition":  # noqa: ARG002 - bytewax's signature
        """A reader of one shard."""
        return LogPartition(self._store(), int(for_part), self._entries_at_once)


class LogPartition(StatefulSourcePartition[tuple[str, Batch], None]):
    """Reads one shard's log onward; keeps its place in memory only."""

    def __init__(self, store: Store, shard: int, entries_at_once: int) -> None:
        self._store, self._shard, self.entries_at_once = store, shard, entries_at_once
        self._after = store.position(shard)
        self._empty_reads = 0
        self._asked = False

    def next_batch(self) -> list[tuple[str, Batch]]:
        """The next entries of the log, as one item. After a full batch the one behind it is asked for at once: the server
        answers before it gets the commit, not after it has applied it.
        """
        entries = self._read()
        self._empty_reads = 0 if entries else self._empty_reads + 1
        if not entries:
            return []
        self._after = entries[-1][0]
        self._asked = len(entries) == self.entries_at_once
        if self._asked:
            self._store.begin_read(self._shard, self._after, self.entries_at_once)
        return [(f"{self._shard:02d}", Batch(self._shard, entries))]

    def _read(self) -> list[tuple[EntryId, Fact]]:
        if self._asked:
            self._asked = False
            return self._store.finish_read(self._shard)
        return self._store.read(self._shard, self._after, self.entries_at_once)

    def next_awake(self) -> datetime | None:
        """Look again at once after entries, soon after none, later after a while of none."""
        if self._empty_reads == 0:
            return None
        return datetime.now(UTC) + (IDLE if self._empty_reads < READS_UNTIL_IDLE else IDLE_LONG)

    def snapshot(self) -> None:
        """Nothing: the position lives with the state."""

    def close(self) -> None:
        """Give the connection back."""
        self._store.close()


class Fold(StatefulBatchLogic[Batch, Commit, None]):
    """One shard's machine, loaded from the store when its first entries arrive."""

    def __init__(self, store: Opens, measures: Measures) -> None:
        self._store, self._measures = store, measures
        self._state: ShardState | None = None

    def on_batch(self, values: list[Batch]) -> tuple[list[Commit], bool]:
        """Fold batches into commits."""
        commits = [self._folded(batch) for batch in values]
        return [commit for commit in commits if commit], StatefulBatchLogic.RETAIN

    def _folded(self, batch: Batch) -> Commit | None:
        state, begun = self._loaded(batch.shard), time.perf_counter()
        commit = fold_batch(state, batch)
        if commit:
            _measure(self._measures, batch, time.perf_counter() - begun)
        return commit

    def _loaded(self, shard: int) -> ShardState:
        if self._state is None:
            store = self._store()
            store.begin_tally(shard)
            self._state = ShardState.of(store.load(shard))
            store.close()
            gc.freeze()  # What was loaded stays: a collection would look through it for nothing.
        return self._state

    def snapshot(self) -> None:
        """Nothing: the state lives in the store."""


def _measure(measures: Measures, batch: Batch, seconds: float) -> None:
    """Once for a batch, so that it costs the readings nothing."""
    readings = sum(len(fact) for _, fact in batch.entries if isinstance(fact, ReadingBlock))
    measures["settle_batches_total"].inc()
    measures["settle_entries_total"].inc(len(batch.entries))
    measures["settle_readings_total"].inc(readings)
    measures["settle_batch_entries"].observe(len(batch.entries))
    measures["settle_batch_readings"].observe(readings)
    measures["settle_fold_seconds"].observe(seconds)
    (written_ms, _), _ = batch.entries[0]
    measures["settle_entry_age_seconds"].observe(max(0.0, time.time() - written_ms / 1000))


class Commits(FixedPartitionedSink[Commit, None]):
    """Where commits go: one connection per shard."""

    def __init__(self, store: Opens, part: Part, measures: Measures) -> None:
        self._store, self._part, self._measures = store, part, measures

    def list_parts(self) -> list[str]:
        """One partition per shard."""
        return _names(self._store, self._part)

    def part_fn(self, item_key: str) -> int:
        """A shard's commits go to its own partition."""
        return int(item_key) // self._part.parts

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> "CommitPartition":  # noqa: ARG002 - bytewax's signature
        """A writer for one shard."""
        return CommitPartition(self._store(), self._measures["settle_commit_seconds"])


class CommitPartition(StatefulSinkPartition[Commit, None]):
    """Commits one shard's batches, each in one step. A commit that finds another position ends the process."""

    def __init__(self, store: Store, seconds: Histogram) -> None:
        self._store, self._seconds = store, seconds

    def write_batch(self, values: list[Commit]) -> None:
        """Commit, in order; the last is under way while the next batch is folded."""
        for commit in values:
            with self._seconds.time():
                self._store.begin_commit(commit)

    def snapshot(self) -> None:
        """Nothing: the position is in the commit."""

    def finish(self) -> None:
        """Wait for the last commit."""
        self._store.finish_commit()

    def close(self) -> None:
        """Wait for the last commit, and give the connections back.

        A commit that is refused now is said and not raised: bytewax closes in a destructor, which would abort with the words of what ended the
        process.
        """
        try:
            self.finish()
        except StoreError as error:
            _log.error("last commit", error=repr(error))
        finally:
            self._store.close()
