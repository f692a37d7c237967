"""`meterline up`: everything on one machine, watched and kept running, until it is interrupted."""

import errno
import os
import signal
import socket
import time
from pathlib import Path
from typing import Annotated

import typer

from api.security import WeakSecretError, check_secret
from commands.archive import KeepOption, place_in
from commands.collect import site_of
from commands.endings import failed, refused
from commands.running import Running
from commands.shared import DATA_DEFAULT, ClockOption, DataOption, clock_of
from connectors.redis.errors import StoreError
from domain.ids import SHARDS_DEFAULT
from flows.archive import KEPT_SECONDS

TOKEN_VARIABLE = "METERLINE_API_TOKEN"  # noqa: S105 - the name of a variable
NO_ARCHIVE = "none"
ArchiveOption = Annotated[
    str,
    typer.Option(
        help="Folder or URL of the archive (docs/archive.md); empty: `archive` in the data directory; none: no archive.",
        envvar="METERLINE_ARCHIVE",
    ),
]


def up(
    site: Annotated[Path, typer.Argument(help="Site file (docs/site-file.md).")],
    data: DataOption = DATA_DEFAULT,
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port of the API, on loopback.")] = 8080,
    shards: Annotated[int, typer.Option(min=1, max=99, help="Fixed when the data directory is made.")] = SHARDS_DEFAULT,
    clock: ClockOption = "",
    archive: ArchiveOption = "",
    keep_minutes: KeepOption = KEPT_SECONDS / 60,
    verify_every: Annotated[
        float, typer.Option(min=0.0, help="Hours between verifications (docs/verify.md); 0: none.")
    ] = 6.0,
) -> None:
    """Run a site: server, settlement, collector, API, archive, verification and clock. Opens what the site file names. Ctrl-C ends all, in order.

    Needs METERLINE_API_TOKEN, the token that API callers present.
    """
    loaded = site_of(site)
    try:
        token = check_secret(os.environ.get(TOKEN_VARIABLE, ""))
    except WeakSecretError as error:
        raise refused(str(error)) from None
    archiving = [] if archive == NO_ARCHIVE else ["--to", place_in(data, archive).address]
    stop_on_signals()
    check_port(port)
    try:
        with Running(data, site, loaded, clock_of(clock), shards, typer.echo) as running:
            typer.echo(f"opening site {loaded.name}: {len(loaded.accounts)} accounts, {len(loaded.meters)} meters")
            running.begin(port, token)
            if archiving:
                kept = ("--keep-minutes", str(keep_minutes))
                running.start_beside("archive", "archive", "--data", str(data), *archiving, *kept)
            if verify_every:
                running.start_beside("verify", "verify", "--data", str(data), "--every", str(verify_every))
            typer.echo(f"running; API at http://127.0.0.1:{port}, logs in {data / 'logs'}; Ctrl-C ends it")
            while True:
                running.watch()
                time.sleep(0.5)
    except StoreError as error:
        raise failed(str(error)) from None
    except KeyboardInterrupt:
        typer.echo("ended")


def check_port(port: int) -> None:
    """End the command if nobody can listen at that port of loopback, before anything is opened."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # As the API does: closed connections linger.
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            what = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be opened ({error.strerror})"
            raise failed(f"port {port} {what}: choose another --port") from None


def stop_on_signals() -> None:
    """Let SIGTERM end this process as Ctrl-C does."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
