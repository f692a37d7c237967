"""The whole store as it is at one moment, in a file, and a data directory made of such a file.

A snapshot is what the server gives a new replica: an RDB of all keys of all shards at one instant, written by a fork while the
server goes on. Nothing has to be stopped for it, and no commit is ever half in it. It ends with a checksum of the server's own.
A server reads the snapshots of its own and of older versions.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any, cast

import redis

from connectors.folders import sync_folder
from connectors.redis.errors import StoreRefused, StoreUnreachable
from connectors.redis.keys import SITE, STREAMS, key
from connectors.redis.server import EmbeddedServer
from connectors.redis.store import check_site, connection_options, translated, understood
from connectors.redis.upgrade import FORMAT_BEFORE, POSITION_BEFORE
from domain.state import RECORDS, ROWS

_PIECE = 1 << 20
_MARK_BYTES = 40
_MARKED = b"$EOF:"
_BASE = "appendonly.aof.1.base.rdb"
_ORDERS = (("REPLCONF", "capa", "eof"), ("REPLCONF", "rdb-only", "1"))
"""Send it as it is made, with a mark at its end and no file at the server; and nothing after it."""


def write_snapshot(url: str, file: IO[bytes]) -> int:
    """Write the store's snapshot into a file. Returns its length in bytes. Raises StoreError."""
    with understood():
        client = redis.Redis.from_url(url, **connection_options())
    with closing(client), translated():
        line: Any = client.connection_pool.get_connection()
        try:
            for order in _ORDERS:
                line.send_command(*order, check_health=False)
                line.read_response()
            line.send_command("SYNC", check_health=False)
            # What follows is no reply that the library knows, so it is read from the socket that the library opened.
            return _received(line._sock, file)  # noqa: SLF001
        except redis.ResponseError as error:
            raise _refused(str(error)) from error
        finally:
            line.disconnect()


def _received(socket: Any, file: IO[bytes]) -> int:
    stream = socket.makefile("rb")
    if (first := stream.readline()).startswith(b"-"):
        raise _refused(first[1:].decode(errors="replace").strip())
    while first == b"\n":  # So that nobody loses patience while it prepares.
        first = stream.readline()
    if not first.startswith(_MARKED):
        return _copied(stream, file, _length_in(first))
    mark = first[len(_MARKED) :].strip()
    length, tail = 0, b""
    while not tail.endswith(mark):
        if not (piece := stream.read1(_PIECE)):
            raise StoreUnreachable("the server ended in the middle of its snapshot: begin again")
        tail += piece
        length += file.write(tail[:-_MARK_BYTES])
        tail = tail[-_MARK_BYTES:]
    return length


def _refused(why: str) -> StoreRefused:
    return StoreRefused(f"the server gives no snapshot ({why}): its user must be allowed SYNC and REPLCONF")


def _length_in(first: bytes) -> int:
    if not first.startswith(b"$"):
        raise StoreUnreachable(f"the server ended before its snapshot ({first[:60]!r}): begin again")
    return int(first[1:])


def _copied(stream: IO[bytes], file: IO[bytes], length: int) -> int:
    left = length
    while left:
        if not (piece := stream.read(min(left, _PIECE))):
            raise StoreUnreachable("the snapshot ends in its middle: begin again")
        left -= file.write(piece)
    return length


def place_snapshot(snapshot: IO[bytes], length: int, data: Path) -> None:
    """Make the file of writes of a data directory, which has none, of the next `length` bytes. Raises StoreError or OSError."""
    folder = data / "redis" / "appendonlydir"
    folder.mkdir(mode=0o700, parents=True)
    with (folder / _BASE).open("wb") as base:
        _copied(snapshot, base, length)
        base.flush()
        os.fsync(base.fileno())
    with (folder / "appendonly.aof.manifest").open("w", encoding="ascii") as manifest:
        manifest.write(f"file {_BASE} seq 1 type b\n")
        manifest.flush()
        os.fsync(manifest.fileno())
    sync_folder(folder)


@contextmanager
def opened(snapshot: IO[bytes], length: int, beside: Path) -> Iterator[str]:
    """The URL of a throw-away server, in a folder beside others, that holds a snapshot: that it opens is the proof that it can.

    Raises StoreError or OSError.
    """
    with tempfile.TemporaryDirectory(prefix=".meterline-snapshot-", dir=beside) as folder:
        data = Path(folder) / "data"
        place_snapshot(snapshot, length, data)
        server = EmbeddedServer.start(data)
        try:
            yield server.url
        finally:
            server.stop()


def counts_of(url: str) -> tuple[str, list[dict[str, int | str]]]:
    """The store's format, and of each shard its position and how much there is under each name. Raises StoreError.

    What expires by itself is not counted: it may lapse between two counts.
    """
    with understood():
        client = redis.Redis.from_url(url, **connection_options())
    with closing(client), translated():
        site = cast("dict[bytes, bytes]", client.hgetall(SITE))
        found = site.get(b"format", b"").decode()
        if found == FORMAT_BEFORE:
            return found, [_counts(client, shard, POSITION_BEFORE) for shard in range(int(site[b"shards"]))]
        return found, [_counts(client, shard, "settled") for shard in range(check_site(site))]


def _counts(client: "redis.Redis[bytes]", shard: int, position: str) -> dict[str, int | str]:  # type: ignore[type-arg,unused-ignore]
    names = {
        **dict.fromkeys(("log", *STREAMS), "xlen"),
        **dict.fromkeys(ROWS, "strlen"),
        **dict.fromkeys(RECORDS, "hlen"),
    }
    pipe = client.pipeline(transaction=True)
    pipe.get(key(position, shard))
    for name, count in names.items():
        getattr(pipe, count)(key(name, shard))
    settled, *numbers = pipe.execute()
    return {"position": (settled or b"0-0").decode(), **dict(zip(names, numbers, strict=True))}


def server_of(url: str) -> str:
    """Name and version of a server, such as `valkey 9.1.2`."""
    with closing(redis.Redis.from_url(url, **connection_options())) as client, translated():
        said = cast("dict[str, str]", client.info("server"))
    name = said.get("server_name", "redis")
    return f"{name} {said.get(f'{name}_version') or said['redis_version']}"
