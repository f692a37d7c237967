"""`meterline audit`: what was attempted and what was denied as lines of JSON, each held against the chain, for whoever ships it elsewhere."""

import json
import os
import time
from contextlib import closing
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from commands.endings import failed, refused
from commands.shared import DATA_DEFAULT, DataOption, store_url
from connectors.folders import sync_folder
from connectors.redis.audit_log import AuditLog, BrokenChainError, Position
from connectors.redis.errors import StoreError
from connectors.redis.formats import iso
from domain.access import AuditEvent
from domain.ids import entry_text

LOOK_SECONDS = 0.5

PositionOption = Annotated[
    Path | None,
    typer.Option(
        help="File that keeps up to where was shipped; made if it is missing, and written after the lines are out."
    ),
]
FollowOption = Annotated[bool, typer.Option("--follow", help="Go on as events come, until it is ended.")]


def audit(data: DataOption = DATA_DEFAULT, position: PositionOption = None, follow: FollowOption = False) -> None:
    """Print the audit log, the oldest event first, one line of JSON each; a log shipper takes them to another machine.

    With `--position FILE` it goes on where it ended, and after a kill may print the last lines again, with the same ids. An event that does not follow
    from the one before ends it with code 1: something was changed, taken away or put in. Only reads.
    """
    reached = _kept(position)
    try:
        with closing(AuditLog(store_url(data))) as log:
            while True:
                events = log.after(reached)
                for reached, event in events:
                    typer.echo(json.dumps(_shown(reached, event), ensure_ascii=False))
                if events and position:
                    _keep(position, reached)
                if not events and not follow:
                    return
                if not events:
                    time.sleep(LOOK_SECONDS)
    except (BrokenChainError, StoreError) as error:
        raise failed(str(error)) from None
    except KeyboardInterrupt:
        return


def _shown(position: Position, event: AuditEvent) -> dict[str, str | int | None]:
    """An event as `GET /audit` shows it."""
    return {
        "id": entry_text(position.entry),
        "at": iso(event.at),
        "caller": event.caller or None,
        "method": event.method,
        "path": event.path,
        "status": event.status,
        "client": event.client,
        "request": event.request,
        "chain": position.chain.hex(),
    }


def _kept(file: Path | None) -> Position:
    """Where to go on from. Ends the command for a file that says no position."""
    if file is None or not file.exists():
        return Position()
    try:
        return msgspec.json.decode(file.read_bytes(), type=Position)
    except (OSError, msgspec.DecodeError) as error:
        raise refused(
            f"{file} keeps no position in the audit log ({error}); name another file, or remove it to begin anew"
        ) from None


def _keep(file: Path, position: Position) -> None:
    """Replace the file in one step."""
    new = file.with_name(f"{file.name}.new")
    try:
        with new.open("wb") as written:
            written.write(msgspec.json.encode(position))
            written.flush()
            os.fsync(written.fileno())
        new.replace(file)
        sync_folder(file.parent)
    except OSError as error:
        raise failed(f"{file} cannot be written ({error}): what was printed will be printed again") from None
