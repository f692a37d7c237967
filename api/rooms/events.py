"""Rooms as they change, for walls and pages that are watched: server-sent events, first of every room asked for, then of each that is otherwise.

The filters are those of `GET /rooms`, and are looked at again each time: a room that no longer fits is told of as `gone`. What is sent is a state, not
a history: after a lost connection everything is sent again, and nothing has to be remembered. A stream ends with its token.
"""

import asyncio
from collections.abc import AsyncIterator
from itertools import islice
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.sse import format_sse_event
from starlette.responses import StreamingResponse

from api.alarms.events import UNBUFFERED, Streams
from api.doors.dependencies import DirectoryDoor, Reader, Settings, kept
from api.doors.gate import holds
from api.rooms.models import RoomEventsQuery
from api.rooms.selection import entries_of, tests_of
from api.rooms.views import room_read
from connectors.redis.directory import Directory
from domain.access import Caller

router = APIRouter(prefix="/rooms", tags=["rooms"])

LOOKS_EVERY_SECONDS = 1.0
STREAMS_MAX, STREAMS_OF_A_CALLER = 100, 5
"""Fewer than of alarms: each looks through up to 500 rooms every second."""
RoomStreams = Annotated[Streams, kept("room_streams")]


@router.get("/events", response_class=StreamingResponse, responses={200: {"content": {"text/event-stream": {}}}})
async def room_events(
    request: Request,
    asked: Annotated[RoomEventsQuery, Query()],
    caller: Reader,
    directory: DirectoryDoor,
    settings: Settings,
    streams: RoomStreams,
) -> StreamingResponse:
    """Rooms as they change: events `room` with a room as `GET /rooms` has it, and `gone` with the `account` of one that is no longer among those asked for."""
    await (
        directory.current()
    )  # A store that does not answer is said as such, while there is still a status to say it with.
    streams.opened(caller)

    async def stream() -> AsyncIterator[bytes]:
        try:
            yield format_sse_event(retry=2_000, comment="rooms")
            known: dict[str, bytes] = {}
            loop = asyncio.get_running_loop()
            looks_at = loop.time() + settings.beat_seconds
            while True:
                rooms = await _rooms(directory, caller, asked, settings.clock())
                for event in _changes(known, rooms):
                    yield event
                known = rooms
                await asyncio.sleep(LOOKS_EVERY_SECONDS)
                if loop.time() >= looks_at:
                    looks_at = loop.time() + settings.beat_seconds
                    if not await holds(request, caller):
                        return
                    yield format_sse_event(comment="still here")
        finally:
            streams.closed(caller)

    return StreamingResponse(stream(), media_type="text/event-stream", headers=UNBUFFERED)


async def _rooms(directory: Directory, caller: Caller, asked: RoomEventsQuery, now: int) -> dict[str, bytes]:
    """Rooms that are asked for and within reach, as JSON."""
    shards = await directory.current()
    entries = entries_of(directory, caller.reach, tests_of(shards, caller.reach, asked, now), asked, None)
    return {
        entry.record.account: bytes(room_read(shards[entry.shard], entry.record, now))
        for entry in islice(entries, asked.limit)
    }


def _changes(before: dict[str, bytes], after: dict[str, bytes]) -> list[bytes]:
    gone = [msgspec.json.encode({"account": account}).decode() for account in before if account not in after]
    changed = [room.decode() for account, room in after.items() if before.get(account) != room]
    return [
        *(format_sse_event(data_str=each, event="gone") for each in gone),
        *(format_sse_event(data_str=each, event="room") for each in changed),
    ]
