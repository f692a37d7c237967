"""The store as `settle`, imports and benches use it: append facts, read the log, load a shard, commit.

Guarantees: an append that returns is on disk (the embedded server syncs its file before it answers). An append that
raises `StoreUnreachable` may have happened, and is never repeated here: orders carry ids and readings are de-duplicated
by the machine, so the caller may repeat it. redis-py's own retries are off for the same reason.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, cast

import msgspec
import redis
from redis.backoff import NoBackoff
from redis.connection import PythonRespSerializer
from redis.retry import Retry

from connectors.redis.commit import SCRIPT, Commit
from connectors.redis.errors import MovedOn, StoreError, StoreMismatch, StoreRefused, StoreUnreachable
from connectors.redis.formats import FormatError, decode_fact, encode_fact, key_bytes, key_value, pack
from connectors.redis.keys import SITE, STORE_FORMAT, VERDICT, key, ledger_key
from connectors.redis.nodes import Nodes, connected
from connectors.redis.upgrade import BETWEEN, FORMAT_BEFORE, upgrade
from domain.facts import Fact
from domain.ids import LOG_START, EntryId, entry_id, entry_text
from domain.records import Packed
from domain.state import PAGES, RECORDS, ROWS, Rows, ShardHeader, StoredShard, rows_of
from domain.verdict import Verdict

ANSWER_SECONDS = 30.0
_COUNTED_AT_ONCE = 100
_SENT_AS_THEY_ARE_BYTES = 16_384
"""Larger arguments are sent without being joined to others."""


@contextmanager
def translated() -> Iterator[None]:
    """Turn the client library's exceptions into ours."""
    try:
        yield
    except (redis.AuthenticationError, redis.exceptions.AuthorizationError) as error:
        raise StoreRefused(f"the Redis server refuses the user or password: {error}") from error
    except (redis.ConnectionError, redis.TimeoutError, OSError) as error:
        raise StoreUnreachable(f"the Redis server does not answer: {error}") from error
    except (redis.exceptions.AskError, redis.exceptions.ClusterDownError, redis.exceptions.TryAgainError) as error:
        raise StoreUnreachable(f"the cluster has given the shard to another node, or to none: {error}") from error
    except redis.ResponseError as error:
        raise (MovedOn(str(error)) if str(error).startswith("MOVED_ON") else StoreRefused(str(error))) from error
    except redis.RedisError as error:
        raise StoreRefused(str(error)) from error


@contextmanager
def understood() -> Iterator[None]:
    """Refuse a URL that the client library cannot read, without showing it: it may hold a password."""
    try:
        yield
    except ValueError:
        raise StoreMismatch(
            "REDIS_URL must be redis://…, rediss://… or unix://…, or redis+cluster://… for a cluster"
        ) from None


def connection_options() -> dict[str, Any]:
    """Options of every connection: no retries, an answer in bounded time, plain replies."""
    return {
        "retry": Retry(NoBackoff(), 0),
        "socket_timeout": ANSWER_SECONDS,
        "socket_connect_timeout": 5.0,
        "protocol": 2,
    }


def check_site(site: dict[bytes, bytes]) -> int:
    """The store's number of shards. Raises StoreMismatch for a format that this release does not know."""
    found = site.get(b"format", b"none").decode()
    if found in {FORMAT_BEFORE, BETWEEN}:
        raise StoreMismatch(
            f"the store is of an earlier release (format {found}): `meterline up` or `meterline settle` brings it to format {STORE_FORMAT}; back it up before"
        )
    if found != STORE_FORMAT:
        raise StoreMismatch(
            f"the store has format {found}, this release reads {STORE_FORMAT}; use the release that wrote it"
        )
    return int(site[b"shards"])


def is_trimmed(client: Any, name: str) -> bool:
    """Whether a stream has lost entries."""
    with translated():
        if not client.exists(name):
            return False
        found = client.xinfo_stream(name)
    return bool(found["entries-added"] > found["length"])


class _Asked(threading.local):
    """Answers to reads that this thread has asked for and not taken yet, by their connection; None: not whole yet.

    A socket holds some 64 kB, and the server writes the rest of a longer answer only after more of it has been taken in. So that is done
    before a commit keeps the server busy; else the answer would wait for the commit.
    """

    def __init__(self) -> None:
        self.answers: dict[Any, Any] = {}

    def take_in(self) -> None:
        """Take in what has come, without waiting."""
        for line, answer in self.answers.items():
            if answer is None:
                with suppress(redis.TimeoutError):
                    self.answers[line] = line.read_response(timeout=0, disconnect_on_error=False)


_asked = _Asked()


class Store:
    """A connection to the log and state of all shards. Not thread-safe."""

    def __init__(self, nodes: Nodes[Any], shards: int) -> None:
        self.shards = shards
        self._nodes = nodes
        self._lines: dict[tuple[str, int], Any] = {}
        self._under_way: Any = None

    @classmethod
    def open(cls, url: str, shards: int | None = None) -> "Store":
        """Connect, and make the store with `shards` shards if it is new. Raises StoreError.

        `shards` None takes what is there; a store that has another number than the one asked for is a StoreMismatch. One of the release before
        is upgraded (`connectors.redis.upgrade`).
        """
        nodes = opened(url)
        try:
            return cls(nodes, _shards_of(nodes, shards))
        except StoreError:
            close(nodes)
            raise

    def close(self) -> None:
        """Give the connections back; a commit that is under way stays so."""
        for line in self._lines.values():
            _asked.answers.pop(line, None)
            line.disconnect()
        close(self._nodes)

    def _at(self, shard: int) -> Any:
        """The client of the node that has a shard."""
        return self._nodes.of(key("log", shard))

    def _line(self, use: str, shard: int) -> Any:
        """A connection of its own to the node that has a shard, for one use."""
        client = self._at(shard)
        if (use, id(client)) not in self._lines:
            self._lines[use, id(client)] = client.connection_pool.get_connection()
        return self._lines[use, id(client)]

    def append(self, shard: int, fact: Fact) -> EntryId:
        """Append one fact to a shard's log. Returns its position."""
        with translated():
            return entry_id(self._at(shard).xadd(key("log", shard), encode_fact(fact)).decode())

    def append_many(self, facts: Iterable[tuple[int, Fact]]) -> None:
        """Append (shard, fact) pairs in one round trip to each node, in order for each shard."""
        pairs = list(facts)
        with translated():
            for client, places in self._nodes.together(key("log", shard) for shard, _ in pairs):
                pipe = client.pipeline(transaction=False)
                for place in places:
                    shard, fact = pairs[place]
                    pipe.xadd(key("log", shard), encode_fact(fact))
                pipe.execute()

    def append_to_all(self, fact: Fact) -> None:
        """Append a fact for everyone to every shard's log."""
        self.append_many((shard, fact) for shard in range(self.shards))

    def read(self, shard: int, after: EntryId, count: int) -> list[tuple[EntryId, Fact]]:
        """Up to `count` entries of a shard's log after a position. Raises FormatError for what this release cannot read."""
        with translated():
            found = cast("list[Any]", self._at(shard).xrange(key("log", shard), "(" + entry_text(after), "+", count))
        return [(entry_id(entry.decode()), _fact(shard, entry, fields)) for entry, fields in found]

    def begin_read(self, shard: int, after: EntryId, count: int) -> None:
        """Ask for what `read` gives; `finish_read` takes the answer. One at a time."""
        with translated():
            asked, line = "(" + entry_text(after), self._line("read", shard)
            line.send_command("XRANGE", key("log", shard), asked, "+", "COUNT", count, check_health=False)
        _asked.answers[line] = None

    def finish_read(self, shard: int) -> list[tuple[EntryId, Fact]]:
        """The entries that `begin_read` asked for."""
        line = self._line("read", shard)
        found = _asked.answers.pop(line, None)
        if found is None:
            with translated():
                found = line.read_response()
        named = ((entry, dict(zip(fields[::2], fields[1::2], strict=True))) for entry, fields in found)
        return [(entry_id(entry.decode()), _fact(shard, entry, fields)) for entry, fields in named]

    def last(self, shard: int) -> EntryId:
        """Position of the last entry of a shard's log."""
        with translated():
            found = cast("list[Any]", self._at(shard).xrevrange(key("log", shard), count=1))
        return entry_id(found[0][0].decode()) if found else LOG_START

    def position(self, shard: int) -> EntryId:
        """Position up to which a shard is folded and committed."""
        with translated():
            return entry_id((cast("bytes | None", self._at(shard).get(key("settled", shard))) or b"0-0").decode())

    def header(self, shard: int) -> ShardHeader:
        """What a shard's state holds once. Raises msgspec.MsgspecError if it is damaged."""
        with translated():
            return _header(cast("bytes | None", self._at(shard).get(key("header", shard))))

    def server_time_ms(self) -> int:
        """What the clock of the server's machine says, ms UTC; of several servers the one that is furthest behind."""
        with translated():
            said = [client.time() for client in self._nodes.clients.values()]
        return min(int(seconds) * 1_000 + int(micros) // 1_000 for seconds, micros in said)

    def server_cpu_seconds(self) -> float:
        """CPU time that the servers have used since they started."""
        with translated():
            said = [client.info("cpu") for client in self._nodes.clients.values()]
        return float(sum(each["used_cpu_user"] + each["used_cpu_sys"] for each in said))

    def server_memory_bytes(self) -> tuple[int, int]:
        """What the servers use for what they hold, and what the system has given them."""
        with translated():
            said = [client.info("memory") for client in self._nodes.clients.values()]
        return sum(each["used_memory"] for each in said), sum(each["used_memory_rss"] for each in said)

    def length(self, name: str, shard: int) -> int:
        """Number of entries in a stream."""
        with translated():
            return int(self._at(shard).xlen(key(name, shard)))

    def load(self, shard: int) -> StoredShard:
        """A shard's committed state, read in one transaction. Raises StoreMismatch if there is none and the log no longer begins at its beginning."""
        with translated():
            pipe = self._at(shard).pipeline(transaction=True)
            for name in ("settled", "header", *PAGES):
                pipe.get(key(name, shard))
            for name in RECORDS:
                pipe.hgetall(key(name, shard))
            position, header, *rest = pipe.execute()
        if position is None and is_trimmed(self._at(shard), key("log", shard)):
            raise StoreMismatch(
                f"the state of shard {shard:02d} is gone and its log is trimmed: folding what is left would be wrong. Restore the store from a backup, or fold the log from the archive (docs/archive.md)"
            )
        pages = dict(zip(PAGES, rest, strict=False))
        rows = {name: rows_of(name, pages) for name in ROWS}
        records = {name: _records(name, found) for name, found in zip(RECORDS, rest[len(PAGES) :], strict=True)}
        return StoredShard(
            shard=shard,
            position=entry_id((position or b"0-0").decode()),
            header=_header(header),
            rows=rows,
            records=records,
        )

    def begin_tally(self, shard: int) -> None:
        """Let the tallies of a shard whose state is of a release without them say how many entries are settled."""
        with translated():
            log, tallies, client = key("log", shard), key("tallies", shard), self._at(shard)
            position = (client.get(key("settled", shard)) or b"0-0").decode()
            if position == "0-0" or client.hexists(tallies, "entries"):
                return
            waiting, after = 0, position
            while found := client.xrange(log, "(" + after, "+", _COUNTED_AT_ONCE):
                waiting, after = waiting + len(found), found[-1][0].decode()
            client.hsetnx(tallies, "entries", client.xinfo_stream(log)["entries-added"] - waiting)

    def _of_every_shard(self, ask: Callable[[Any, int], Any]) -> list[Any]:
        """The answer to one question for each shard, in one round trip to each node."""
        answers: list[Any] = [None] * self.shards
        for client, shards in self._nodes.together(key("log", shard) for shard in range(self.shards)):
            pipe = client.pipeline(transaction=False)
            for shard in shards:
                ask(pipe, shard)
            for shard, answer in zip(shards, pipe.execute(), strict=True):
                answers[shard] = answer
        return answers

    def keep_for(self, reader: str, stream: str, after: EntryId | None) -> None:
        """Let no shard's stream be trimmed past `after` while this reader needs what follows; None: it needs nothing.

        Holds until it is said anew, whether the reader lives or not (`connectors.redis.streams.Streams.trim`).
        """
        field = f"{stream} {reader}"
        with translated():
            if after is None:
                self._of_every_shard(lambda pipe, shard: pipe.hdel(key("readers", shard), field))
            else:
                self._of_every_shard(lambda pipe, shard: pipe.hset(key("readers", shard), field, entry_text(after)))

    def headers(self) -> list[ShardHeader]:
        """The committed header of every shard."""
        with translated():
            found = self._of_every_shard(lambda pipe, shard: pipe.get(key("header", shard)))
        return [_header(packed) for packed in found]

    def records(self, name: str) -> list[Packed[Any, Any]]:
        """All committed records of a kind (`domain.state.RECORDS`), for every shard."""
        with translated():
            found = self._of_every_shard(lambda pipe, shard: pipe.hgetall(key(name, shard)))
        return [_records(name, fields) for fields in found]

    def records_of(self, name: str, keys: Sequence[Any]) -> list[list[Any]]:
        """The committed records of these keys, for every shard those that it has."""
        fields = [key_bytes(each) for each in keys]
        with translated():
            found = self._of_every_shard(lambda pipe, shard: pipe.hmget(key(name, shard), fields))
        decode = msgspec.msgpack.Decoder(RECORDS[name][1]).decode
        return [[decode(packed) for packed in shard if packed is not None] for shard in found]

    def rows(self, name: str, shard: int, numbers: Sequence[int]) -> Rows:
        """The committed rows of a kind (`domain.state.ROWS`) by these numbers, as they were at one instant."""
        pages = {page: part.stop - part.start for page, (of, part) in PAGES.items() if of == name}
        sizes = [size for size in pages.values() for _ in numbers]
        with translated():
            pipe = self._at(shard).pipeline(transaction=True)
            for page, size in pages.items():
                for number in numbers:
                    pipe.getrange(key(page, shard), number * size, (number + 1) * size - 1)
            found = pipe.execute()
        found = [part.ljust(size, b"\0") for part, size in zip(found, sizes, strict=True)]
        count = len(numbers)
        return rows_of(name, {page: b"".join(found[at * count : (at + 1) * count]) for at, page in enumerate(pages)})

    def commit(self, commit: Commit) -> None:
        """Apply a batch, or raise MovedOn and change nothing."""
        self.begin_commit(commit)
        self.finish_commit()

    def begin_commit(self, commit: Commit) -> None:
        """Send a batch to be applied while the caller goes on; the one before must have been applied, or this raises.

        The server syncs to disk while the next batch is folded. Nothing is acknowledged to anybody by this process:
        others see a commit when it is there, so not knowing its end yet cannot mislead.
        """
        self.finish_commit()
        with translated():
            _asked.take_in()
            line = self._line("commit", commit.shard)
            # Not the client's own packer, which would copy megabytes of rows once more.
            packer = PythonRespSerializer(_SENT_AS_THEY_ARE_BYTES, line.encoder.encode)
            command = "EVAL", SCRIPT, len(commit.keys), *commit.keys, *commit.arguments
            packed = packer.pack(*command)  # type: ignore[no-untyped-call]  # redis-py has no types here
            line.send_packed_command(packed, check_health=False)
        self._under_way = line

    def finish_commit(self) -> None:
        """Wait for the commit that is under way, if any. Raises MovedOn or another StoreError."""
        line, self._under_way = self._under_way, None
        if line:
            with translated():
                line.read_response()

    def stream(
        self, name: str, shard: int, after: EntryId = LOG_START, count: int = 1000
    ) -> list[tuple[EntryId, dict[bytes, bytes]]]:
        """Entries of an effect stream, as they are kept."""
        with translated():
            found = cast("list[Any]", self._at(shard).xrange(key(name, shard), "(" + entry_text(after), "+", count))
        return [(entry_id(entry.decode()), fields) for entry, fields in found]

    def ledgers(self, shard: int, rows: Iterable[int]) -> list[bytes]:
        """The packed postings that are kept of some accounts, by their rows, each oldest first."""
        with translated():
            pipe = self._at(shard).pipeline(transaction=False)
            for row in rows:
                pipe.lrange(ledger_key(shard, row), 0, -1)
            return [b"".join(found) for found in pipe.execute()]

    def is_cut(self, name: str, shard: int) -> bool:
        """Whether the beginning of a stream has been trimmed, because an archive has it."""
        with translated():
            claimed = self._at(shard).hget(key("archived", shard), name)
        return bool(claimed) and is_trimmed(self._at(shard), key(name, shard))

    def keep_verdict(self, verdict: Verdict) -> None:
        """Keep what the last verification came to, for gauges."""
        with translated():
            self._nodes.of(VERDICT).set(VERDICT, pack(verdict))


def close(nodes: Nodes[Any]) -> None:
    """Close every connection to them."""
    for client in nodes.clients.values():
        client.close()


def opened(url: str) -> Nodes[Any]:
    """The servers at a store's URL, each with a client. Raises StoreError."""
    with understood(), translated():
        return connected(url, lambda each: redis.Redis.from_url(each, **connection_options()))


def _shards_of(nodes: Nodes[Any], shards: int | None) -> int:
    """The number of shards of a store, which is made if it is new and a number is asked for, and upgraded if it is of the release before."""
    client = nodes.of(SITE)
    with translated():
        if shards is not None:
            client.hsetnx(SITE, "shards", str(shards))
            client.hsetnx(SITE, "format", STORE_FORMAT)
        site = cast("dict[bytes, bytes]", client.hgetall(SITE))
        if site.get(b"format", b"").decode() in {FORMAT_BEFORE, BETWEEN}:
            upgrade(nodes, int(site[b"shards"]))
            site[b"format"] = STORE_FORMAT.encode()
    if not site:
        raise StoreMismatch(
            "the store is empty; start `meterline up`, `meterline site --shards` or `meterline import` first, they make it"
        )
    found = check_site(site)
    if shards not in {None, found}:
        raise StoreMismatch(f"the store has {found} shards, not {shards}: the number is fixed when a store is made")
    return found


def _header(packed: bytes | None) -> ShardHeader:
    return msgspec.msgpack.decode(packed, type=ShardHeader) if packed else ShardHeader()


def _fact(shard: int, entry: bytes, fields: dict[bytes, bytes]) -> Fact:
    try:
        return decode_fact(fields)
    except FormatError as error:
        raise FormatError(f"{key('log', shard)} at {entry.decode()}: {error}") from error


def _records(name: str, found: dict[bytes, bytes]) -> Packed[Any, Any]:
    kind, record = RECORDS[name]
    return Packed({key_value(kind, field): packed for field, packed in found.items()}, record)


__all__ = ["Store", "StoreError", "check_site", "connection_options", "translated", "understood"]
