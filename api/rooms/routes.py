"""Rooms: accounts at their places with their meters, for those who watch over many of them."""

from itertools import islice
from typing import Annotated

from fastapi import APIRouter, Query, Response

from api.doors.answers import answer
from api.doors.dependencies import AccessDoor, DirectoryDoor, Reader, Settings
from api.doors.direct import Direct
from api.doors.problems import RefusedError
from api.models import AccountPath
from api.rooms.models import RoomDetail, RoomPage, RoomQuery, cursor_parts, cursor_text
from api.rooms.selection import after, entries_of, tests_of
from api.rooms.views import room_detail, room_read, standing_of, standing_read
from domain.words import Refusal

router = APIRouter(prefix="/rooms", tags=["rooms"], route_class=Direct)


@router.get("", response_model=RoomPage)
async def list_rooms(
    asked: Annotated[RoomQuery, Query()], caller: Reader, directory: DirectoryDoor, settings: Settings
) -> Response:
    """Rooms with balance, supply and use, in the order of site, building, floor and room. While pages are read, a room that keeps its place is on one of them."""
    shards, now = await directory.current(), settings.clock()
    tests = tests_of(shards, caller.reach, asked, now)
    entries = entries_of(
        directory, caller.reach, tests, asked, after(cursor_parts(asked.cursor)) if asked.cursor else None
    )
    page = list(islice(entries, asked.limit + 1))
    following = cursor_text(*page[-2].key) if len(page) > asked.limit else None
    items = [room_read(shards[entry.shard], entry.record, now) for entry in page[: asked.limit]]
    return answer({"items": items, "next": following})


@router.get("/{account}", response_model=RoomDetail)
async def get_room(
    account: AccountPath, caller: Reader, directory: DirectoryDoor, access: AccessDoor, settings: Settings
) -> Response:
    """A room with the live values of its meters, why its supply is as it is, and every alarm that stands."""
    found = await directory.account(account)
    if found is None or not caller.reach.has(found[1]):
        raise RefusedError(Refusal.UNKNOWN_ACCOUNT)
    listed, record = found
    standing = standing_of(listed, record)
    seen = await access.acknowledgements([each.id for each in standing])
    found = directory.of(account)
    assert found is not None, "an account is never taken away"
    alarms = [standing_read(each, record, seen.get(each.id)) for each in standing]
    return answer(room_detail(*found, alarms, settings.clock()))
