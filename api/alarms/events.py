"""Alarms as they happen, for browsers and apps: server-sent events.

One task of the process looks for new entries of the alarm streams and hands them to everybody who listens. A listener gets every event of its reach,
after `Last-Event-ID` also those from a minute before that event on: an event may come twice, with the same id, and none is left out that is
still in the streams. A listener that does not keep up, or whose token no longer holds, is let go, and comes again.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from typing import Annotated

import msgspec
import structlog
from fastapi import APIRouter, Header, Request
from fastapi.sse import format_sse_event
from starlette.exceptions import HTTPException
from starlette.responses import StreamingResponse

from api.doors.dependencies import Reader, Settings, kept
from api.doors.gate import holds
from connectors.redis.errors import StoreError
from connectors.redis.formats import alarm_message
from connectors.redis.live import LiveStore
from connectors.redis.live_streams import last_alarms, new_alarms
from domain.access import Caller
from domain.effects import Alarm
from domain.ids import EntryId
from domain.state import AccountRecord
from domain.units import MINUTE_MS

router = APIRouter(prefix="/alarms", tags=["alarms"])

LOOKS_EVERY_SECONDS = 0.25
WAITING_MAX = 1_000
"""Events that a listener may be behind."""
LISTENERS_MAX, LISTENERS_OF_A_CALLER = 1_000, 20
_ID = r"^\d{2,4}-\d{1,16}-\d{1,9}-\d{1,9}$"
UNBUFFERED = {"X-Accel-Buffering": "no"}  # A proxy that collects answers would keep alarms to itself.
_log = structlog.get_logger("api")

Told = tuple[Alarm, AccountRecord | None]


class Streams:
    """How many streams of events are open, of each caller and of all."""

    def __init__(self, most: int, most_of_a_caller: int) -> None:
        self._most, self._most_of_a_caller = most, most_of_a_caller
        self._open: Counter[str] = Counter()

    def opened(self, caller: Caller) -> None:
        """Count one. Raises HTTPException where too many are open."""
        if self._open.total() >= self._most or self._open[caller.name] >= self._most_of_a_caller:
            raise HTTPException(HTTPStatus.TOO_MANY_REQUESTS, "Too many listen already; close some of your streams.")
        self._open[caller.name] += 1

    def closed(self, caller: Caller) -> None:
        """One is over."""
        self._open[caller.name] -= 1
        if not self._open[caller.name]:
            del self._open[caller.name]


class AlarmEvents:
    """New alarms, handed to every listener of this process. Nothing is looked for while nobody listens."""

    def __init__(self, store: LiveStore) -> None:
        self._store = store
        self._listeners: dict[asyncio.Queue[Told | None], Caller] = {}
        self._streams = Streams(LISTENERS_MAX, LISTENERS_OF_A_CALLER)
        self._looking: asyncio.Task[None] | None = None

    async def listen(self, caller: Caller) -> "asyncio.Queue[Told | None]":
        """A queue of events from now on, None at its end. Raises HTTPException where too many listen, StoreError."""
        self._streams.opened(caller)
        queue: asyncio.Queue[Told | None] = asyncio.Queue(WAITING_MAX)
        self._listeners[queue] = caller
        try:
            if self._looking is None or self._looking.done():
                self._looking = asyncio.create_task(self._look(await last_alarms(self._store)))
        except BaseException:
            self.leave(queue)
            raise
        return queue

    async def missed(self, caller: Caller, last: str) -> AsyncIterator[Told]:
        """Events within reach from a minute before the event `last` on, as far as the streams have them. Raises StoreError."""
        after = dict.fromkeys(range(self._store.shards), (max(0, int(last.split("-")[1]) - MINUTE_MS), 0))
        while found := await self._told(await new_alarms(self._store, after)):
            for told in found:
                if _reaches(caller, told):
                    yield told

    def leave(self, queue: "asyncio.Queue[Told | None]") -> None:
        """Hand this one nothing any more."""
        caller = self._listeners.pop(queue, None)
        if caller is not None:
            self._streams.closed(caller)

    async def _look(self, after: dict[int, EntryId]) -> None:
        while self._listeners:
            await asyncio.sleep(LOOKS_EVERY_SECONDS)
            try:
                found = await self._told(await new_alarms(self._store, after))
            except StoreError as error:
                _log.warning("alarm events", error=str(error))
                continue
            for told in found:
                for queue in list(self._listeners):
                    self._hand(queue, told)

    async def _told(self, alarms: list[Alarm]) -> list[Told]:
        records = await self._store.account_records({alarm.account for alarm in alarms if alarm.account})
        return [(alarm, records.get(alarm.account)) for alarm in alarms]

    def _hand(self, queue: "asyncio.Queue[Told | None]", told: Told) -> None:
        """Hand on an event within reach; let go of who is too far behind."""
        caller = self._listeners.get(queue)
        if caller is None or not _reaches(caller, told):
            return
        if queue.full():
            self.leave(queue)
            queue.get_nowait()
            queue.put_nowait(None)
        else:
            queue.put_nowait(told)


def _reaches(caller: Caller, told: Told) -> bool:
    return caller.reach.everything or (told[1] is not None and caller.reach.has(told[1]))


Events = Annotated[AlarmEvents, kept("events")]


@router.get("/events", response_class=StreamingResponse, responses={200: {"content": {"text/event-stream": {}}}})
async def alarm_events(
    request: Request,
    caller: Reader,
    events: Events,
    settings: Settings,
    last_event_id: Annotated[
        str | None, Header(pattern=_ID, description="The id of the last event that was heard.")
    ] = None,
) -> StreamingResponse:
    """Alarms as they happen: server-sent events `alarm`, each with the alarm's id and the message of docs/alarms.md."""
    queue = await events.listen(caller)  # First: what happens while the missed ones are sent waits in it.

    async def stream() -> AsyncIterator[bytes]:
        try:
            yield format_sse_event(retry=2_000, comment="alarms")
            if last_event_id is not None:
                async for told in events.missed(caller, last_event_id):
                    yield _event(told)
            async for heard in _until_it_ends(queue, settings.beat_seconds, lambda: holds(request, caller)):
                yield _event(heard) if heard else format_sse_event(comment="still here")
        finally:
            events.leave(queue)

    return StreamingResponse(stream(), media_type="text/event-stream", headers=UNBUFFERED)


async def _until_it_ends(
    queue: "asyncio.Queue[Told | None]", beat_seconds: float, still_holds: Callable[[], Awaitable[bool]]
) -> AsyncIterator[Told | None]:
    """The events of a queue, and None every while, until it ends or the token no longer holds."""
    loop = asyncio.get_running_loop()
    beats = loop.time() + beat_seconds
    while True:
        try:
            told = await asyncio.wait_for(queue.get(), max(0.0, beats - loop.time()))
        except TimeoutError:
            beats = loop.time() + beat_seconds
            if not await still_holds():
                return
            yield None
            continue
        if told is None:
            return
        yield told


def _event(told: Told) -> bytes:
    alarm, record = told
    data = msgspec.json.encode(alarm_message(alarm, record)).decode()
    return format_sse_event(data_str=data, event="alarm", id=alarm.id)
