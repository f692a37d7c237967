"""`meterline up`: everything on one machine, watched and kept running, until it is interrupted."""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, cast

import structlog
import typer

from api.doors.security import WeakSecretError, check_secret
from commands.archive import KeepOption, place_in
from commands.collect import site_of
from commands.endings import failed, refused
from commands.logs import LOG_VARIABLE, LogFormat, configure
from commands.metrics_door import FIRST_PORT, ports_of
from commands.notify import ContactsOption, check_contacts
from commands.ports import check_ports
from commands.running import Running
from commands.shared import DATA_DEFAULT, ClockOption, DataOption, clock_of
from connectors.processes import HeldError
from connectors.redis.errors import StoreError
from domain.ids import SHARDS_DEFAULT
from domain.metrics import Process
from flows.archive import KEPT_SECONDS

LogOption = Annotated[
    LogFormat, typer.Option(envvar=LOG_VARIABLE, help="Log lines as JSON or text; auto: text on a terminal, else JSON.")
]
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
    log: LogOption = LogFormat.AUTO,
    settle_parts: Annotated[
        int, typer.Option(min=1, max=99, help="Processes that settle, each a part of the shards: one for each core.")
    ] = 1,
    verify_every: Annotated[
        float, typer.Option(min=0.0, help="Hours between verifications (docs/verify.md); 0: none.")
    ] = 6.0,
    metrics_port: Annotated[
        int,
        typer.Option(
            min=0,
            max=65_000,
            help="Port of our own metrics, on loopback; those of our children follow (docs/monitoring.md). 0: any that are free.",
        ),
    ] = FIRST_PORT,
    contacts: ContactsOption = None,
) -> None:
    """Run a site: server, settlement, collector, API, archive, messages to people, verification and clock. Opens what the site file names. Ctrl-C ends all, in order.

    Needs METERLINE_API_TOKEN, the token that API callers present.
    """
    say = speak(log)
    loaded = site_of(site)
    try:
        token = check_secret(os.environ.get(TOKEN_VARIABLE, ""))
    except WeakSecretError as error:
        raise refused(str(error)) from None
    check_contacts(contacts)
    archiving = [] if archive == NO_ARCHIVE else ["--to", place_in(data, archive).address]
    stop_on_signals()
    check_ports([port])
    check_ports(ports_of(metrics_port, settle_parts), "--metrics-port, or 0 for any that are free")
    try:
        with Running(data, site, loaded, clock_of(clock), shards, say, metrics_port) as running:
            if settle_parts > running.store.shards:
                raise refused(
                    f"--settle-parts {settle_parts}: the store has {running.store.shards} shards, so at most so many parts"
                )
            say(f"opening site {loaded.name}: {len(loaded.accounts)} accounts, {len(loaded.meters)} meters")
            serving = ("--archive", archiving[1] if archiving else NO_ARCHIVE)
            running.begin(port, token, settle_parts=settle_parts, serving=serving)
            if archiving:
                kept = ("--keep-minutes", str(keep_minutes))
                door = running.doors.of(Process.ARCHIVE)
                running.start_beside("archive", "archive", "--data", str(data), *archiving, *kept, *door)
            if contacts:
                running.notify(contacts)
            if verify_every:
                where = ("--archive", archiving[1]) if archiving else ()
                running.start_beside("verify", "verify", "--data", str(data), "--every", str(verify_every), *where)
            say(f"running; API at http://127.0.0.1:{port}, logs in {data / 'logs'}; Ctrl-C ends it")
            while True:
                running.watch()
                time.sleep(0.5)
    except (StoreError, HeldError) as error:
        raise failed(str(error)) from None
    except KeyboardInterrupt:
        say("ended")


def speak(log: LogFormat) -> Callable[[str], None]:
    """Choose the form of our log lines, and of our children's. Returns how to say something in it."""
    configure("up", log, sys.stderr)
    if log != LogFormat.AUTO:
        os.environ[LOG_VARIABLE] = log
    return cast("Callable[[str], None]", structlog.get_logger().info)


def stop_on_signals() -> None:
    """Let SIGTERM end this process as Ctrl-C does, and let neither disturb the ending that the first has begun."""
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, _interrupt)


def _interrupt(*_: object) -> None:
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: None)  # Not SIG_IGN, which a child that is started now would inherit.
    raise KeyboardInterrupt
