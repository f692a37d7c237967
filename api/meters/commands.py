"""Commands: those that are not verified yet, and what was said of a meter's."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from api.doors.answers import answer
from api.doors.dependencies import DirectoryDoor, Reader, StoreDoor
from api.doors.direct import Direct
from api.doors.reach import meter_of
from api.models import MeterPath
from api.rooms.models import CommandEventPage, CommandPage, CommandQuery
from api.rooms.selection import account_of_meter
from api.rooms.views import command_read, place_read, supply_words
from connectors.redis.formats import iso
from connectors.redis.live_streams import commands_before
from domain.effects import Command
from domain.ids import entry_id, entry_text, meter_text

router = APIRouter(tags=["commands"], route_class=Direct)

_LOOKED_AT = 1_000
"""Entries of a shard's commands among which one request looks for those of a meter."""


@router.get("/commands", response_model=CommandPage)
async def list_commands(asked: Annotated[CommandQuery, Query()], caller: Reader, directory: DirectoryDoor) -> Response:
    """Commands that have not been verified, by meter: how far each is, and when it is tried again."""
    shards = await directory.current()
    commands = sorted(
        (command for listed in shards for command in listed.records["open_commands"].values()),
        key=lambda each: each.meter,
    )
    items = []
    for command in commands:
        if asked.cursor and command.meter <= int(asked.cursor):
            continue
        record = account_of_meter(directory, caller.reach, asked, command.meter)
        if record is None or asked.stage not in {None, command.stage}:
            continue
        whose = {"meter": meter_text(command.meter), "account": record.account, "place": place_read(record.place)}
        items.append(command_read(command) | whose)
    following = items[asked.limit - 1]["meter"] if len(items) > asked.limit else None
    return answer({"items": items[: asked.limit], "next": following})


@router.get("/meters/{meter}/commands", response_model=CommandEventPage)
async def list_commands_of_meter(
    meter: MeterPath,
    caller: Reader,
    store: StoreDoor,
    limit: Annotated[int, Query(ge=1, le=500)] = 20,
    cursor: Annotated[
        str | None, Query(pattern=r"^[0-9]{1,16}-[0-9]{1,9}$", description="`next` of the page before.")
    ] = None,
) -> Response:
    """What was said of a meter's commands, newest first. Where there is an archive, the last hour of it; what is older is there.

    One request looks through a thousand entries of the shard, so a page may be short: go on while `next` is not null.
    """
    shard, record = await meter_of(store, caller, meter)
    entries = await commands_before(store, shard, entry_id(cursor) if cursor else None, _LOOKED_AT)
    items, following = [], entries[-1][0] if len(entries) == _LOOKED_AT else None
    for at, (entry, commands) in enumerate(entries):
        items += [_event(command) for command in reversed(commands) if command.meter == record.meter]
        if len(items) >= limit:
            following = entry if at + 1 < len(entries) else following
            break
    return answer({"items": items, "next": entry_text(following) if following else None})


def _event(command: Command) -> dict[str, object]:
    return supply_words(command.wanted, command.reason) | {
        "epoch": command.epoch,
        "stage": command.stage,
        "at": iso(command.at),
        "expires_at": iso(command.expires_at),
        "attempt": command.attempt,
    }
