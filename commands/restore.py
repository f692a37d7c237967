"""`meterline restore`: a data directory made of a backup, whole or not at all."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import IO, Annotated

import typer

from commands.endings import failed, refused
from commands.shared import DATA_DEFAULT, DataOption
from connectors.files.backup import BackupError, Manifest, read_backup
from connectors.folders import sync_folder
from connectors.redis.errors import StoreError
from connectors.redis.keys import STORE_FORMAT
from connectors.redis.server import EmbeddedServer
from connectors.redis.snapshot import counts_of, place_snapshot
from connectors.redis.upgrade import FORMAT_BEFORE


def restore(
    backup: Annotated[Path, typer.Argument(metavar="FROM", help="File that `meterline backup` wrote.")],
    data: DataOption = DATA_DEFAULT,
    rdb: Annotated[
        Path | None, typer.Option(help="Make no data directory: only take the RDB file out, for a server of your own.")
    ] = None,
) -> None:
    """Make a new data directory of a backup, open it and count what is in it. `meterline up` then goes on from there."""
    try:
        with read_backup(backup) as (manifest, snapshot):
            if rdb is not None:
                _take_out(snapshot, manifest, rdb)
                typer.echo(f"{rdb}: an RDB file of {manifest.server}, {manifest.snapshot_bytes:,} bytes")
                return
            _check(manifest, data)
            _restore(snapshot, manifest, data)
    except BackupError as error:
        raise refused(str(error)) from None
    except (StoreError, OSError) as error:
        raise failed(f"nothing was restored: {error}") from None
    entries = sum(int(shard["log"]) for shard in manifest.shards)
    typer.echo(f"{data}: {len(manifest.shards)} shards, {entries:,} log entries, as they were; opened and counted")


def _take_out(snapshot: IO[bytes], manifest: Manifest, rdb: Path) -> None:
    """Raises OSError."""
    descriptor = os.open(rdb, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as output:
        left = manifest.snapshot_bytes
        while left:
            left -= output.write(snapshot.read(min(left, 1 << 20)))
        output.flush()
        os.fsync(output.fileno())


def _check(manifest: Manifest, data: Path) -> None:
    """Raises BackupError."""
    if os.environ.get("REDIS_URL"):
        raise BackupError(
            "REDIS_URL is set, and a restore makes a data directory: unset it, or use --rdb (docs/backup.md)"
        )
    if manifest.store_format not in {FORMAT_BEFORE, STORE_FORMAT}:
        raise BackupError(
            f"the backup holds store format {manifest.store_format}, and this release reads {FORMAT_BEFORE} and {STORE_FORMAT}: restore it with release {manifest.release}, which made it"
        )
    if data.exists() and (not data.is_dir() or any(data.iterdir())):
        raise BackupError(f"{data} is not empty, and nothing is ever restored over something: choose a new --data")


def _restore(snapshot: IO[bytes], manifest: Manifest, data: Path) -> None:
    """Make it beside its place, and move it there when it has been opened. Raises StoreError or OSError."""
    data.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{data.name}.restoring-", dir=data.parent))
    try:
        place_snapshot(snapshot, manifest.snapshot_bytes, scratch)
        _compare(scratch, manifest)
        scratch.replace(data)
        sync_folder(data.parent)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def _compare(scratch: Path, manifest: Manifest) -> None:
    """Raises StoreError where what opens is not what was backed up."""
    try:
        server = EmbeddedServer.start(scratch)
    except StoreError as error:
        raise StoreError(f"{error}\nIt was made by {manifest.server}: it opens with that one or a later one") from error
    try:
        found = counts_of(server.url)
    finally:
        server.stop()
    if found[0] != manifest.store_format or list(map(_counted, found[1])) != list(map(_counted, manifest.shards)):
        raise StoreError(f"the server opened something else than was backed up: {found[1]}, not {manifest.shards}")


def _counted(shard: dict[str, int | str]) -> dict[str, int | str]:
    """What there is any of: a backup of an earlier release knows nothing of names that have come since."""
    return {name: count for name, count in shard.items() if count}
