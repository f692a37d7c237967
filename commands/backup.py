"""`meterline backup`: the whole store as it is at one moment, in one checked file, while everything goes on."""

import os
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from commands.endings import failed
from commands.shared import DATA_DEFAULT, DataOption, store_url
from connectors.files.backup import Manifest, write_backup
from connectors.redis.errors import StoreError, StoreUnreachable
from connectors.redis.server import EmbeddedServer
from connectors.redis.snapshot import counts_of, opened, server_of, write_snapshot


def backup(
    to: Annotated[
        Path, typer.Argument(help="File to write, which must not exist; a folder gets one named by its time.")
    ],
    data: DataOption = DATA_DEFAULT,
) -> None:
    """Write log, state, ledger and effects of one moment into one file, and open it once to see that it can be restored.

    Runs beside `meterline up`, or alone. See docs/backup.md for what else to keep, and for the drill.
    """
    file = to / f"meterline-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.backup" if to.is_dir() else to
    try:
        manifest = _back_up(file, data, store_url(data))
    except (StoreError, OSError) as error:
        raise failed(f"no backup was made: {error}") from None
    entries = sum(int(shard["log"]) for shard in manifest.shards)
    typer.echo(
        f"{file}: {len(manifest.shards)} shards, {entries:,} log entries, {file.stat().st_size:,} bytes; opened and counted"
    )


def _back_up(file: Path, data: Path, url: str) -> Manifest:
    """Raises StoreError or OSError."""
    if file.exists():
        raise FileExistsError(f"{file} is there already; choose another name")
    with ExitStack() as stack:
        snapshot = stack.enter_context(tempfile.TemporaryFile(dir=file.parent))
        with ExitStack() as meanwhile:
            try:
                server = server_of(url)
            except StoreUnreachable:
                if os.environ.get("REDIS_URL"):
                    raise
                embedded = EmbeddedServer.start(data)  # Nothing runs: open the directory for as long as it takes.
                meanwhile.callback(embedded.stop)
                url = embedded.url
                server = server_of(url)
            made_ms = time.time_ns() // 1_000_000
            length = write_snapshot(url, snapshot)
        snapshot.seek(0)
        with opened(snapshot, length, file.parent) as copy:
            store_format, shards = counts_of(copy)
        snapshot.seek(0)
        manifest = Manifest(version("meterline"), made_ms, store_format, server, length, shards)
        write_backup(file, manifest, snapshot)
    return manifest
