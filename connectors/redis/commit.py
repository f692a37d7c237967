"""The commit: state, effects and the new log position in one script call, or nothing.

Guarantee: each log entry's effects are applied exactly once to the store, whoever repeats what. The script compares the
stored position with the one the batch started from. An effect's stream id is the id of the log entry that caused it, so
even the streams refuse it a second time, and they are written first. Published messages (pub/sub) are at most once per commit; the streams are the record.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from itertools import chain
from types import MappingProxyType
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from connectors.redis.formats import alarm_message, key_bytes, pack
from connectors.redis.keys import ALARM_CHANNEL, ALARM_MESSAGES, LISTED, alarm_channel, key, ledger_key
from domain.effects import Effects
from domain.ids import EntryId, entry_text
from domain.state import Changes, RowChanges

SCRIPT = (files("connectors.redis") / "commit.lua").read_text()

OUTCOMES_KEPT = 100_000
"""Answers waiting to be fetched; orders' outcomes are also kept by id."""
MESSAGES_KEPT = 10_000
"""Log entries of a shard whose alarms are kept as messages, for foreign programs to catch up with; the record is the stream `alarms`."""
CHANGED_KEPT = 1_000
"""Commits that changed listed records, for directories to catch up with; one that is further behind reads all of a shard's records anew."""
KEYS_NAMED = 1_000
"""Records of a kind that a commit says by name to have changed; of more it says that any may have."""
_FIELDS_AT_ONCE = 1_000
_json = msgspec.json.Encoder()

Argument = bytes | memoryview | str | int


class Commit:
    """The writes of one batch: keys and arguments for `commit.lua`."""

    def __init__(self, shard: int, before: EntryId, after: EntryId) -> None:
        self.shard = shard
        self.rows = 0
        self._index: dict[str, int] = {}
        self.keys: list[str] = [key("settled", shard)]
        self.arguments: list[Argument] = [entry_text(before), entry_text(after)]

    def __getstate__(self) -> dict[str, Any]:
        """For another process of a cluster: views of rows as their bytes."""
        arguments = [bytes(each) if isinstance(each, memoryview) else each for each in self.arguments]
        return {**self.__dict__, "arguments": arguments}

    def write(self, command: str, name: str, *arguments: Argument) -> None:
        """Add one write to a key."""
        index = self._index.get(name)
        if index is None:
            self.keys.append(name)
            index = self._index[name] = len(self.keys)
        self.arguments += (command, index, len(arguments), *arguments)

    def publish(self, channel: str, messages: Sequence[bytes]) -> None:
        """Add messages to a channel, in order."""
        self.arguments += ("PUBLISH", 0, 1 + len(messages), channel, *messages)


def commit_of(
    shard: int,
    before: EntryId,
    after: EntryId,
    changes: Changes,
    effects: Iterable[Effects],
    tallies: Mapping[str, int] = MappingProxyType({}),
) -> Commit:
    """Everything that one batch writes. `tallies`: what to add to what commits have counted (`flows.tally`)."""
    commit = Commit(shard, before, after)
    for effect in effects:
        _write_effects(commit, effect)
    _write_state(commit, changes)
    for name, count in tallies.items():
        commit.write("HINCRBY", key("tallies", shard), name, count)
    return commit


def _write_state(commit: Commit, changes: Changes) -> None:
    if changed := {name: records for name in LISTED if (records := changes.records.get(name))}:
        _write_changed(commit, changed)
    commit.write("SET", key("header", commit.shard), pack(changes.header))
    for name, rows in changes.rows.items():
        commit.rows += len(rows.rows)
        for offset, packed in writes_of(rows):
            commit.write("SETRANGE", key(name, commit.shard), offset, packed)
    for name, records in changes.records.items():
        _write_records(commit, key(name, commit.shard), records)


def _write_changed(commit: Commit, changed: dict[str, dict[Any, Any]]) -> None:
    """Say which records this commit changes, for whoever keeps them unpacked. Batches show in it, so it is no part of the state."""
    fields: list[Argument] = []
    for name, records in changed.items():
        named = [key_bytes(field) for field in records] if len(records) <= KEYS_NAMED else None
        fields += (name, pack(named))
    commit.write("XADD", key("changed", commit.shard), "MAXLEN", "~", CHANGED_KEPT, "*", *fields)


def _write_records(commit: Commit, name: str, records: dict[Any, Any]) -> None:
    kept: list[Argument] = []
    dropped: list[Argument] = []
    for field, record in records.items():
        if record is None:
            dropped.append(key_bytes(field))
        else:
            kept += (key_bytes(field), pack(record))
    for part in _parts(kept):
        commit.write("HSET", name, *part)
    for part in _parts(dropped):
        commit.write("HDEL", name, *part)


def _parts(arguments: Sequence[Argument]) -> Iterator[Sequence[Argument]]:
    """Cut a long argument list: a script call unpacks its arguments onto a stack of limited size."""
    for start in range(0, len(arguments), 2 * _FIELDS_AT_ONCE):
        yield arguments[start : start + 2 * _FIELDS_AT_ONCE]


def writes_of(changes: RowChanges) -> Iterator[tuple[int, memoryview]]:
    """Each run of rows as one piece: (byte offset, packed rows), which shares the memory of the rows."""
    if len(changes.rows) == 0:
        return
    size, begun = changes.rows.dtype.itemsize, 0
    packed = np.ascontiguousarray(changes.rows).view(np.uint8).reshape(-1).data
    for first, end in (size * changes.runs).tolist():
        yield first, packed[begun : begun + end - first]
        begun += end - first


def _write_effects(commit: Commit, effects: Effects) -> None:
    entry = entry_text(effects.entry)
    for name, fields in stream_entries(effects):
        kept = ("MAXLEN", "~", OUTCOMES_KEPT) if name == "outcomes" else ()
        commit.write("XADD", key(name, commit.shard), *kept, entry, *chain.from_iterable(fields.items()))
    if effects.postings is not None:
        _write_ledgers(commit, effects.postings)
    if effects.alarms:
        _write_messages(commit, entry, effects)


def _write_messages(commit: Commit, entry: str, effects: Effects) -> None:
    """Alarms for foreign programs, each made once: kept in a stream, then published to all and to who listens to its site."""
    published: dict[str, list[bytes]] = {ALARM_CHANNEL: []}
    for alarm in effects.alarms:
        message = alarm_message(alarm, effects.accounts.get(alarm.account))
        packed = _json.encode(message)
        published[ALARM_CHANNEL].append(packed)
        if message.site:
            published.setdefault(alarm_channel(message.site), []).append(packed)
    whole = b"[" + b",".join(published[ALARM_CHANNEL]) + b"]"
    commit.write("XADD", key(ALARM_MESSAGES, commit.shard), "MAXLEN", "~", MESSAGES_KEPT, entry, "messages", whole)
    for channel, messages in published.items():
        commit.publish(channel, messages)


def stream_entries(effects: Effects) -> Iterator[tuple[str, dict[bytes, bytes]]]:
    """What one log entry's effects are in the streams (`keys.STREAMS`): the stream's name, and the fields of an entry."""
    if effects.postings is not None:
        yield "postings", _body(effects.postings.tobytes()) | {b"c": effects.chain}
    for name, rows in (("usage", effects.usage), ("quarantined", effects.quarantined)):
        if rows is not None:
            yield name, _body(rows.tobytes())
    for name in ("refused", "alarms", "commands", "outcomes"):
        if values := getattr(effects, name):
            yield name, _body(pack(values))


def _body(body: bytes) -> dict[bytes, bytes]:
    return {b"v": b"1", b"b": body}


def _write_ledgers(commit: Commit, postings: NDArray[np.void]) -> None:
    first, begin = ledger_key(commit.shard, postings["account"][0]), ledger_key(commit.shard)
    commit.write("RPUSH", first, begin, postings["account"].astype("<u4").tobytes(), postings.tobytes())
