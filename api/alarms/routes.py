"""Alarms: what has been said, in the words of the channel `alarms` (docs/alarms.md); what stands; and who has seen it.

That somebody has seen an alarm is kept beside the log, by what the alarm is about. It holds for what has been said until then: an alarm that
is said again is to be seen again.
"""

import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query, Response
from starlette.exceptions import HTTPException

from api.doors.answers import answer
from api.doors.dependencies import AccessDoor, Decider, DirectoryDoor, Reader, Settings, StoreDoor
from api.doors.direct import Direct
from api.rooms.models import (
    AcknowledgementRead,
    AcknowledgementWrite,
    AlarmFilter,
    AlarmPage,
    AlarmQuery,
    StandingPage,
    StandingQuery,
    cursor_parts,
    cursor_text,
)
from api.rooms.selection import entries_of, place_tests_of
from api.rooms.views import acknowledgement_read, standing_of, standing_read
from connectors.redis.directory import Directory, Listed
from connectors.redis.formats import alarm_message
from connectors.redis.live import LiveStore
from connectors.redis.live_streams import AlarmPlace, alarm_at, alarms_before
from domain.access import Acknowledgement, Reach
from domain.effects import Alarm
from domain.ids import entry_id, entry_text, shard_of
from domain.standing import Standing, key_of
from domain.state import AccountRecord
from domain.words import SEVERITY

router = APIRouter(prefix="/alarms", tags=["alarms"], route_class=Direct)

_LOOKED_AT = 100
"""Entries of each shard among which one request looks for what is asked for, where not all is."""
_EVENT = re.compile(r"([0-9]{2,4})-([0-9]{1,16}-[0-9]{1,9})-([0-9]{1,9})")
_NOWHERE = ("\U0010ffff", "", "", "", "")
"""Where alarms of meters stand that nobody has: after all places."""


@router.get("", response_model=AlarmPage)
async def list_alarms(
    asked: Annotated[AlarmQuery, Query()],
    caller: Reader,
    store: StoreDoor,
    directory: DirectoryDoor,
    access: AccessDoor,
) -> Response:
    """Alarm events, the last to enter the log first. One request looks through so many only: a page may be short, so go on while `next` is not null."""
    await directory.current()
    tests = _tests(asked, caller.reach, directory)
    shards = _shards(store, asked, caller.reach)
    count = max(_LOOKED_AT if tests else 0, asked.limit)
    found, stopped = await alarms_before(store, shards, _place(asked.cursor) if asked.cursor else None, count)
    wanted = [(place, alarm) for place, alarm in found if all(test(alarm) for test in tests)]
    if len(wanted) > asked.limit:
        wanted, stopped = wanted[: asked.limit], wanted[asked.limit - 1][0]
    seen = await access.acknowledgements(sorted({key_of(alarm) for _, alarm in wanted}))
    items = [_message(directory, alarm, seen) for _, alarm in wanted]
    return answer({"items": items, "next": _place_text(stopped) if stopped else None})


@router.get("/standing", response_model=StandingPage)
async def list_standing(
    asked: Annotated[StandingQuery, Query()], caller: Reader, directory: DirectoryDoor, access: AccessDoor
) -> Response:
    """Alarms that stand: raised and not cleared. In the order of places; those of meters that nobody has come last."""
    shards = await directory.current()
    page = list(islice(_standing(asked, caller.reach, directory, shards), asked.limit + 1))
    following = cursor_text(*page[-2][0], page[-2][1].id) if len(page) > asked.limit else None
    page = page[: asked.limit]
    seen = await access.acknowledgements([standing.id for _, standing, _ in page])
    items = [standing_read(standing, record, seen.get(standing.id)) for _, standing, record in page]
    return answer({"items": items, "next": following})


@router.post("/{alarm}/acknowledgement", status_code=201)
async def acknowledge(
    alarm: Annotated[
        str, Path(min_length=1, max_length=200, description="`id` of an event, or of an alarm that stands.")
    ],
    word: AcknowledgementWrite,
    caller: Decider,
    store: StoreDoor,
    directory: DirectoryDoor,
    access: AccessDoor,
    settings: Settings,
) -> AcknowledgementRead:
    """Say that somebody has seen what an alarm has said until now, and sees to it. The last to say so is shown. 404: there is no such alarm."""
    shards = await directory.current()
    event = await alarm_at(store, _place(alarm)) if _EVENT.fullmatch(alarm) else None
    about, said_at = (key_of(event), event.at) if event else (alarm, None)
    if event and not _is_reached(caller.reach, directory, event.account):
        said_at = None
    elif event is None:
        standing = _standing(AlarmFilter(), caller.reach, directory, shards)
        said_at = next((each.said_at for _, each, _ in standing if each.id == alarm), None)
    if said_at is None:
        raise HTTPException(404, "There is no such alarm: neither an event that is kept nor one that stands.")
    until = max(settings.clock(), said_at)
    seen = Acknowledgement(alarm=about, until=until, by=caller.name, at=settings.wall(), note=word.note)
    await access.acknowledge(seen)
    return AcknowledgementRead.model_validate(acknowledgement_read(seen, until))


def _place(event: str) -> AlarmPlace:
    """Where an event is, by its id."""
    found = _EVENT.fullmatch(event)
    assert found, "the query's pattern is the same"
    return entry_id(found[2]), int(found[1]), int(found[3])


def _place_text(place: AlarmPlace) -> str:
    entry, shard, number = place
    return f"{shard:02d}-{entry_text(entry)}-{number}"


def _message(directory: Directory, alarm: Alarm, seen: dict[str, Acknowledgement]) -> dict[str, Any]:
    found = directory.of(alarm.account)
    message = msgspec.structs.asdict(alarm_message(alarm, found[1] if found else None))
    return message | {"acknowledgement": acknowledgement_read(seen.get(key_of(alarm)), alarm.at)}


def _shards(store: LiveStore, asked: AlarmQuery, reach: Reach) -> list[int]:
    """The shards whose alarms may be asked for and reached."""
    if asked.account:
        return [shard_of(asked.account, store.shards)]
    if not reach.everything and not reach.sites:
        return sorted({shard_of(account, store.shards) for account in reach.accounts})
    return list(range(store.shards))


def _is_reached(reach: Reach, directory: Directory, account: str) -> bool:
    found = directory.of(account)
    return reach.everything or (found is not None and reach.has(found[1]))


def _tests(asked: AlarmQuery, reach: Reach, directory: Directory) -> list[Callable[[Alarm], bool]]:
    """What must hold of an event."""
    said: dict[str, Callable[[Alarm, Any], bool]] = {
        "kind": lambda alarm, kind: alarm.kind == kind,
        "severity": lambda alarm, severity: SEVERITY[alarm.kind] == severity,
        "state": lambda alarm, state: alarm.state == state,
        "account": lambda alarm, account: alarm.account == account,
        "meter": lambda alarm, meter: alarm.meter == int(meter),
        "site": lambda alarm, site: _site(directory, alarm.account) == site,
        "from_": lambda alarm, begin: alarm.at >= begin,
        "until": lambda alarm, end: alarm.at < end,
    }
    tests: list[Callable[[Alarm], bool]] = [
        lambda alarm, test=test, value=value: test(alarm, value)  # type: ignore[misc]  # bound here, not when called
        for name, test in said.items()
        if (value := getattr(asked, name)) is not None
    ]
    if not reach.everything:
        tests.append(lambda alarm: _is_reached(reach, directory, alarm.account))
    return tests


def _site(directory: Directory, account: str) -> str | None:
    found = directory.of(account)
    return found[1].place.site if found else None


Placed = tuple[tuple[str, ...], Standing, AccountRecord | None]


def _standing(asked: AlarmFilter, reach: Reach, directory: Directory, shards: list[Listed]) -> Iterator[Placed]:
    """What stands and is asked for and reached, with its place, after the cursor."""
    cursor = getattr(asked, "cursor", None)
    after = cursor_parts(cursor) if cursor else None
    for place, standing, record in _all_standing(asked, reach, directory, shards, after[:5] if after else None):
        is_wanted = (
            asked.kind in {None, standing.kind}
            and asked.severity in {None, SEVERITY[standing.kind]}
            and (asked.meter is None or standing.meter == int(asked.meter))
        )
        if is_wanted and (after is None or (*place, standing.id) > after):
            yield place, standing, record


def _all_standing(
    asked: AlarmFilter, reach: Reach, directory: Directory, shards: list[Listed], begin: Any
) -> Iterator[Placed]:
    for entry in entries_of(directory, reach, place_tests_of(reach, asked), asked, begin):
        for standing in standing_of(shards[entry.shard], entry.record):
            yield entry.key, standing, entry.record
    strays = sorted(
        ((standing, found) for listed in shards for standing, found in _strays(directory, listed)),
        key=lambda each: each[0].id,
    )
    for standing, stray in strays:
        is_reached = reach.everything if stray is None else reach.has(stray)
        said = (stray.place.site, stray.account) if stray else (None, None)
        if is_reached and asked.site in {None, said[0]} and asked.account in {None, said[1]}:
            yield _NOWHERE, standing, stray


def _strays(directory: Directory, listed: Listed) -> Iterator[tuple[Standing, AccountRecord | None]]:
    """What stands of meters that no account has, or none any more, with the account that had it."""
    for meter, standing in listed.standing.items():
        found = directory.found(meter)
        account = directory.of(found[1].account) if found else None
        if account is None or meter not in account[1].meters:
            yield from ((each, account[1] if account else None) for each in standing)
