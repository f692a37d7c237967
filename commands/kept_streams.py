"""The effect streams of a shard as they are kept, each held entry by entry against what a fold of the log gives."""

from collections.abc import Callable, Iterator

from connectors.redis.commit import stream_entries
from connectors.redis.keys import STREAMS
from connectors.redis.store import Store
from domain.effects import Effects
from domain.ids import LOG_START, EntryId, entry_text
from domain.words import Check
from flows.proof.findings import Findings

Fields = dict[bytes, bytes]
Entry = tuple[EntryId, Fields]
Taken = Callable[[EntryId, Fields], None]
_AT_ONCE = 500


def kept_entries(store: Store, name: str, shard: int, until: EntryId) -> Iterator[Entry]:
    """A stream's entries up to a position, as they are in the server."""
    after = LOG_START
    while found := store.stream(name, shard, after, _AT_ONCE):
        for entry, fields in found:
            if entry > until:
                return
            yield entry, fields
        after = found[-1][0]


class Kept:
    """One stream. Every entry that is kept is given to `taken`, once and in order. `whole`: it begins with its first entry."""

    def __init__(self, name: str, entries: Iterator[Entry], findings: Findings, taken: Taken, *, whole: bool) -> None:
        self._name, self._entries, self._findings, self._taken = name, entries, findings, taken
        self._next = next(self._entries, None)
        self._begin = LOG_START if whole or not self._next else self._next[0]

    def expect(self, entry: EntryId, fields: Fields) -> None:
        """The log gives this entry."""
        self._unexpected(entry)
        if self._next and self._next[0] == entry:
            if (kept := self._take()) != fields:
                names = ", ".join(sorted(each.decode(errors="replace") for each in self._unequal(fields, kept)))
                self._differ(entry, f"field {names} is not what the log gives")
        elif entry >= self._begin:
            self._differ(entry, "is missing; the log gives it")

    def finish(self) -> None:
        """The log gives no more."""
        self._unexpected(None)

    def drain(self) -> None:
        """Take what is kept, where there is no log to hold it against."""
        while self._next:
            self._take()

    def _unexpected(self, before: EntryId | None) -> None:
        while self._next and (before is None or self._next[0] < before):
            entry = self._next[0]
            self._take()
            self._differ(entry, "is there, and the log does not give it")

    def _take(self) -> Fields:
        assert self._next
        entry, fields = self._next
        self._taken(entry, fields)
        self._next = next(self._entries, None)
        return fields

    @staticmethod
    def _unequal(must: Fields, has: Fields) -> set[bytes]:
        return {name for name in {*must, *has} if must.get(name) != has.get(name)}

    def _differ(self, entry: EntryId, what: str) -> None:
        self._findings.differ(Check.EFFECTS, [f"{self._name} at {entry_text(entry)}: {what}"])


class KeptStreams:
    """All streams of a shard. `cut`: names of those whose beginning has been trimmed."""

    def __init__(
        self,
        entries: Callable[[str], Iterator[Entry]],
        shard: int,
        findings: Findings,
        taken: dict[str, Taken],
        cut: set[str],
    ) -> None:
        self._findings = findings
        self._streams = {
            name: Kept(
                f"{name}:{{{shard:02d}}}", entries(name), findings, taken.get(name, _nothing), whole=name not in cut
            )
            for name in STREAMS
        }

    def expect(self, effects: Effects) -> None:
        """The log gives these effects of one entry."""
        for name, fields in stream_entries(effects):
            self._streams[name].expect(effects.entry, fields)

    def finish(self) -> None:
        """The log gives no more."""
        self._findings.made(Check.EFFECTS)
        for stream in self._streams.values():
            stream.finish()

    def drain(self) -> None:
        """Take what is kept, where there is no log to hold it against."""
        for stream in self._streams.values():
            stream.drain()


def _nothing(_entry: EntryId, _fields: Fields) -> None:
    """Nobody asks for the entries of this stream."""
