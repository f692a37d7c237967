"""`meterline serve`: the HTTP API in one process, on loopback unless told otherwise."""

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from api.app import create_app
from api.doors.limits import parsed
from api.doors.security import WeakSecretError, check_secret
from api.settings import REQUESTS_DEFAULT, ApiSettings
from commands.endings import failed, refused
from commands.shared import DATA_DEFAULT, ClockOption, DataOption, clock_of, store_url
from connectors.archive.errors import ArchiveError
from connectors.archive.files import Archive
from connectors.redis.errors import StoreError
from connectors.redis.live import LiveStore
from domain.units import ORDER_MAX_MICROS, money_micros, money_text

NO_ARCHIVE = "none"
TOKEN_VARIABLE = "METERLINE_API_TOKEN"  # noqa: S105 - the variable's name
UVICORN_NOT_STARTED = 3
SHUTDOWN_SECONDS = 5
"""How long answers that are under way may still take after SIGTERM or SIGINT."""

HostOption = Annotated[str, typer.Option(help="Address to listen at; beyond loopback, put TLS in front.")]
PortOption = Annotated[int, typer.Option(min=1, max=65_535, help="Port to listen at.")]
DocsOption = Annotated[bool, typer.Option("--docs", help="Show /docs and /openapi.json to everybody who can reach us.")]

ApproveOption = Annotated[
    str,
    typer.Option(
        help="Refunds and adjustments of more than this, such as 500.00, at once or by one caller in a day, need a second person; empty: none do.",
        envvar="METERLINE_APPROVE_OVER",
    ),
]

RequestsOption = Annotated[
    str,
    typer.Option(help="How often one caller may ask, such as 500/second or 12000/minute; beyond it the answer is 429."),
]

ArchiveOption = Annotated[
    str,
    typer.Option(
        help="Where the archive is, for figures; empty: the folder `archive` of the data directory, if there is one; none: there is none.",
        envvar="METERLINE_ARCHIVE",
    ),
]


def serve(
    data: DataOption = DATA_DEFAULT,
    host: HostOption = "127.0.0.1",
    port: PortOption = 8080,
    clock: ClockOption = "",
    docs: DocsOption = False,
    approve_over: ApproveOption = "",
    requests: RequestsOption = REQUESTS_DEFAULT,
    archive: ArchiveOption = "",
) -> None:
    """Serve the API. Callers send the token of METERLINE_API_TOKEN; it is no option, for options are seen by all users."""
    event_clock = clock_of(clock)
    try:
        token = check_secret(os.environ.get(TOKEN_VARIABLE, ""))
    except WeakSecretError as error:
        raise refused(str(error)) from None
    limit = _limit(approve_over)
    _check_rate(requests)
    place = _archive(Path(data), archive)
    url = store_url(Path(data))
    try:
        asyncio.run(_check_store(url))
    except StoreError as error:
        raise failed(str(error)) from None
    settings = ApiSettings(
        redis_url=url,
        token=token,
        clock=event_clock.now_ms,
        docs=docs,
        approve_over=limit,
        requests=requests,
        archive=place,
    )
    app = create_app(settings)
    try:
        uvicorn.run(
            app,
            host=host,
            port=port,
            loop="uvloop",
            access_log=False,
            server_header=False,
            log_config=None,  # Its lines are ours (commands/logs.py).
            log_level="warning",
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        )
    except SystemExit as ended:
        raise (typer.Exit(1) if ended.code == UVICORN_NOT_STARTED else ended) from None


def _archive(data: Path, address: str) -> str:
    """Where the archive is; "": there is none. Ends the command for no address."""
    if address == NO_ARCHIVE or not (address or (data / "archive").is_dir()):
        return ""
    try:
        return Archive.at(address or data / "archive").address
    except ArchiveError as error:
        raise refused(str(error)) from None


def _limit(text: str) -> int | None:
    """Micros of an amount, or None for no text. Ends the command for what is none."""
    try:
        limit = money_micros(text) if text else None
    except ValueError as error:
        raise refused(f"--approve-over: {error}") from None
    if limit is not None and not 0 <= limit <= ORDER_MAX_MICROS:
        raise refused(f"--approve-over: expected 0 to {money_text(ORDER_MAX_MICROS)}, more than which no order may be")
    return limit


def _check_rate(text: str) -> None:
    """End the command for what is no rate."""
    try:
        parsed(text)
    except ValueError as error:
        raise refused(f"--requests: {error}") from None


async def _check_store(url: str) -> None:
    """Say in one line, before the server starts, why the store cannot be used."""
    store = await LiveStore.open(url)
    await store.close()
