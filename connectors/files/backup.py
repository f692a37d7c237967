"""A backup in one file: what it holds, the snapshot, and a digest of both, so that one damaged byte is noticed.

    METERLINE BACKUP 1                                  the format
    {"release":"0.1.0","made_ms":…,"shards":[…]}        what it holds: one line of JSON
    …                                                   the snapshot, `snapshot_bytes` long
    5f2c…                                               SHA-256 of all before, in hex

`head -n 2` shows what a file is. A file is written whole or not at all, readable by its owner only: it has names and balances.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec

from connectors.folders import sync_folder

FORMAT = 1
_MAGIC = b"METERLINE BACKUP "
_PIECE = 1 << 20
_LINE_MAX = 1 << 20
_DIGEST_BYTES = 65


class BackupError(Exception):
    """A file is no backup that can be used; the message says what was found and what to do."""


class Manifest(msgspec.Struct, frozen=True):
    """What a backup holds. `made_ms`: real time, UTC; `shards`: for each its position, and how much is under each name."""

    release: str
    made_ms: int
    store_format: str
    server: str
    snapshot_bytes: int
    shards: list[dict[str, int | str]]


def write_backup(file: Path, manifest: Manifest, snapshot: IO[bytes]) -> None:
    """Write a new file, whole and synced, or nothing. Raises FileExistsError or another OSError."""
    if file.exists():
        raise FileExistsError(f"{file} is there already")
    scratch = file.with_name(f".{file.name}.{os.getpid()}.new")
    try:
        _write(scratch, manifest, snapshot)
        os.link(scratch, file)  # Unlike a rename, this never replaces what somebody made meanwhile.
        sync_folder(file.parent)
    finally:
        scratch.unlink(missing_ok=True)


def _write(scratch: Path, manifest: Manifest, snapshot: IO[bytes]) -> None:
    digest = hashlib.sha256()
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as output:
        for piece in _pieces(manifest, snapshot):
            digest.update(piece)
            output.write(piece)
        output.write(digest.hexdigest().encode() + b"\n")
        output.flush()
        os.fsync(output.fileno())


def _pieces(manifest: Manifest, snapshot: IO[bytes]) -> Iterator[bytes]:
    yield _MAGIC + str(FORMAT).encode() + b"\n"
    yield msgspec.json.encode(manifest) + b"\n"
    while piece := snapshot.read(_PIECE):
        yield piece


@contextmanager
def read_backup(path: Path) -> Iterator[tuple[Manifest, IO[bytes]]]:
    """What a backup holds, and the file at the start of its snapshot, of which `snapshot_bytes` are to be read.

    Every byte has been checked before. Raises BackupError or OSError.
    """
    with path.open("rb") as file:
        _check_format(path, file.readline(100))
        _check_digest(path, file)
        file.seek(0)
        file.readline()
        try:
            manifest = msgspec.json.decode(file.readline(_LINE_MAX), type=Manifest)
        except msgspec.MsgspecError as error:
            raise BackupError(
                f"{path} is a backup of a form that this release does not know ({error}): use the one that made it"
            ) from None
        yield manifest, file


def _check_format(path: Path, first: bytes) -> None:
    number = first.removeprefix(_MAGIC).strip()
    if not first.startswith(_MAGIC) or not number.isdigit():
        raise BackupError(f"{path} is no backup of Meterline, or is damaged at its start: choose another file")
    if int(number) > FORMAT:
        raise BackupError(
            f"{path} has backup format {int(number)}, and this release reads up to {FORMAT}: restore it with the release that made it, or a later one"
        )


def _check_digest(path: Path, file: IO[bytes]) -> None:
    left = path.stat().st_size - _DIGEST_BYTES
    file.seek(0)
    digest = hashlib.sha256()
    while left > 0 and (piece := file.read(min(left, _PIECE))):
        digest.update(piece)
        left -= len(piece)
    if file.read() != digest.hexdigest().encode() + b"\n":
        raise BackupError(
            f"{path} is damaged or was cut short: its digest is not that of its content; choose another backup"
        )
