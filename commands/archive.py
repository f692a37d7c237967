"""`meterline archive`: streams into Parquet files, and out of the server's memory, until it is interrupted."""

import os
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from commands.dataflows import run
from commands.endings import failed, refused
from commands.metrics_door import MetricsOption, measured
from commands.shared import DATA_DEFAULT, DataOption
from commands.stores import store_to_read
from connectors.archive.errors import ArchiveError
from connectors.archive.files import Archive
from connectors.archive.restored import set_aside
from connectors.metrics import Measures
from connectors.redis.errors import StoreError
from connectors.redis.server import access_of
from connectors.redis.streams import Streams
from domain.metrics import Process
from flows.archive import EVERY_SECONDS, KEPT_SECONDS, Terms, build

ToOption = Annotated[
    str,
    typer.Option(
        help="Folder, or URL such as s3://bucket/folder; empty: the folder `archive` of the data directory.",
        envvar="METERLINE_ARCHIVE",
    ),
]
EveryOption = Annotated[
    float, typer.Option(min=0.0, help="Minutes that an entry waits at most before its file is written.")
]
AsideOption = Annotated[
    bool,
    typer.Option(
        "--set-aside",
        help="Only after a restore: move what the restored store does not know into a folder of the archive, and end (docs/backup.md).",
    ),
]
KeepOption = Annotated[float, typer.Option(min=0.0, help="Minutes of each stream that stay in the server.")]


def archive(
    data: DataOption = DATA_DEFAULT,
    to: ToOption = "",
    every_minutes: EveryOption = EVERY_SECONDS / 60,
    keep_minutes: KeepOption = KEPT_SECONDS / 60,
    aside: AsideOption = False,
    metrics: MetricsOption = "",
) -> None:
    """Archive log and streams as Parquet files, and trim them in the server (docs/archive.md). May be killed at any instant.

    Credentials of an object store come from the environment, such as AWS_ACCESS_KEY_ID, never from the address.
    """
    url = archiver_url(data)
    terms = Terms(60 * every_minutes, 60 * keep_minutes)
    place = place_in(data, to)
    if aside:
        _set_aside(data, place)
        return
    try:
        Streams.open(url).close()
        place.tidy("log")  # Says in one line, before anything is read, why the archive cannot be used.
    except (StoreError, ArchiveError) as error:
        raise failed(str(error)) from None
    measures = Measures(Process.ARCHIVE)
    with measured(measures.registry, metrics):
        run(build(lambda: Streams.open(url), place, terms, measures), "the archive")


def _set_aside(data: Path, place: Archive) -> None:
    """Move what a restored store does not know out of its archive. Ends the command with code 1 if it cannot."""
    try:
        with store_to_read(data), closing(Streams.open(archiver_url(data))) as streams:
            folder, moved = set_aside(place, streams)
    except (StoreError, ArchiveError) as error:
        raise failed(str(error)) from None
    if moved:
        typer.echo(f"{moved} files are in {place.address}/{folder} now; the archive ends where its store says")
    else:
        typer.echo(f"the archive at {place.address} has nothing that its store does not know")


def place_in(data: Path, address: str) -> Archive:
    """The archive at an address, else in the data directory. Ends the command if the address says none."""
    try:
        return Archive.at(address or data / "archive")
    except ArchiveError as error:
        raise refused(str(error)) from None


def archiver_url(data: Path) -> str:
    """Where the store is, for an archiver: `REDIS_URL`, else the embedded server. Ends the command if there is none."""
    try:
        return os.environ.get("REDIS_URL") or access_of(data).archiver_url
    except StoreError as error:
        raise refused(str(error)) from None
