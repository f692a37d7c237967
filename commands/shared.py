"""Options that several commands share, and how they find the store."""

import os
from pathlib import Path
from typing import Annotated

import typer

from commands.endings import refused
from connectors.clock import REAL_TIME, EventClock
from connectors.redis.errors import StoreError
from connectors.redis.server import access_of

DATA_DEFAULT = Path("data")

DataOption = Annotated[Path, typer.Option(help="Data directory; made if it is missing.", envvar="METERLINE_DATA")]
ClockOption = Annotated[str, typer.Option(help="Shared clock REAL_MS:EVENT_MS:SPEED; empty: real time.")]


def store_url(data: Path) -> str:
    """Where the store is: `REDIS_URL`, else the embedded server of a data directory. Ends the command if there is none."""
    try:
        return os.environ.get("REDIS_URL") or access_of(data).writer_url
    except StoreError as error:
        raise refused(str(error)) from None


def clock_of(text: str) -> EventClock:
    """The clock in an option. Ends the command if it says none."""
    try:
        return EventClock.from_text(text) if text else REAL_TIME
    except ValueError as error:
        raise refused(str(error)) from None
