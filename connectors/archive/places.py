"""Where an archive lies: a folder of this machine, or a bucket of an object store. Names are relative paths with `/`.

Guarantee: a file is there whole or not at all, and when `put` returns it stays: a folder syncs the file, and the folders that
name it; a bucket has answered that it keeps it. The same name put again replaces the file, whole.

Buckets (`s3://`, `gs://`, `az://` and what else obstore knows) take their credentials, region and endpoint from the environment
variables of their makers, as polars does when it reads the same address. An address that holds a password is refused, for
addresses are shown in lists of processes.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import from_url

from connectors.archive.errors import PlaceUnusable

_BESIDE = ".new"
"""What a file is called until it is whole."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A file of an archive: its name and how long it is."""

    name: str
    size: int


class Place(Protocol):
    """What an archive needs of the place where it lies. Raises PlaceUnusable."""

    address: str

    def files(self, under: str) -> list[Kept]:
        """All files below a folder, in no order."""

    def put(self, name: str, content: bytes) -> None:
        """Write a file, whole or not at all, for good."""

    def read(self, name: str) -> bytes:
        """A file's content. Raises FileNotFoundError if there is none."""

    def drop(self, name: str) -> None:
        """Delete a file; one that is not there is as good as deleted."""


def place_of(address: str | Path) -> Place:
    """The place that an address names: a path, `file://…`, or the URL of a bucket. Raises PlaceUnusable."""
    text = str(address)
    if "://" not in text:
        return Folder(Path(text))
    url = urlsplit(text)
    if url.scheme == "file":
        return Folder(Path(unquote(url.path)))
    if url.username or url.password or url.query:
        raise PlaceUnusable(
            "the archive's address holds a user, password or query: leave them out, and set the environment variables of the object store, such as AWS_ACCESS_KEY_ID"
        )
    try:
        return Bucket(from_url(text), text)
    except (BaseError, ValueError):
        raise PlaceUnusable(
            f"{text} is no address of an archive: expected a folder, or a URL such as s3://bucket/folder, gs://… or az://…"
        ) from None


class Folder:
    """A folder of this machine."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self.address = str(self._root)

    def files(self, under: str) -> list[Kept]:
        """All whole files below a folder; what a killed writer has left behind is not among them."""
        with _understood(self.address):
            if self._root.exists() and not self._root.is_dir():
                raise NotADirectoryError("it is a file, and no folder")
            found = [path for path in (self._root / under).rglob("*") if path.is_file() and path.suffix != _BESIDE]
            return [Kept(path.relative_to(self._root).as_posix(), path.stat().st_size) for path in found]

    def put(self, name: str, content: bytes) -> None:
        """Write it beside, sync it, and give it its name."""
        path = self._root / name
        beside = path.with_name(path.name + _BESIDE)
        with _understood(self.address):
            missing = [folder for folder in path.parents if not folder.exists()]
            path.parent.mkdir(parents=True, exist_ok=True)
            with beside.open("wb") as output:
                output.write(content)
                output.flush()
                os.fsync(output.fileno())
            beside.replace(path)
            for folder in (path.parent, *(each.parent for each in missing)):
                _sync(folder)

    def read(self, name: str) -> bytes:
        """A file's content."""
        with _understood(self.address):
            return (self._root / name).read_bytes()

    def drop(self, name: str) -> None:
        """Delete a file."""
        with _understood(self.address), suppress(FileNotFoundError):
            (self._root / name).unlink()


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Bucket:
    """A bucket of an object store, or a folder in one. A put of an object is whole or not at all."""

    def __init__(self, store: Any, address: str) -> None:
        self._store = store
        self.address = address.rstrip("/")

    def files(self, under: str) -> list[Kept]:
        """All objects below a prefix."""
        with _understood(self.address):
            return [Kept(each["path"], each["size"]) for page in obstore.list(self._store, under) for each in page]

    def put(self, name: str, content: bytes) -> None:
        """Put one object."""
        with _understood(self.address):
            obstore.put(self._store, name, content)

    def read(self, name: str) -> bytes:
        """An object's content."""
        with _understood(self.address):
            return bytes(obstore.get(self._store, name).bytes())

    def drop(self, name: str) -> None:
        """Delete an object."""
        with _understood(self.address), suppress(FileNotFoundError):
            obstore.delete(self._store, name)


@contextmanager
def _understood(address: str) -> Iterator[None]:
    """Turn errors into ours. Of an object store's only the first line is told: what follows shows the request."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise PlaceUnusable(f"the archive at {address} cannot be used: {error}") from error
    except BaseError as error:
        raise PlaceUnusable(f"the archive at {address} cannot be used: {str(error).splitlines()[0]}") from None
