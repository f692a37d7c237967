"""Sites: what there is of each, down to floors, as far as the caller reaches."""

from collections import Counter
from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Path, Response
from starlette.exceptions import HTTPException

from api.doors.answers import answer
from api.doors.dependencies import DirectoryDoor, Reader
from api.doors.direct import Direct
from api.rooms.models import RoomFilter, SiteRead, SiteSummary
from api.rooms.selection import entries_of, place_tests_of
from api.rooms.views import COMMODITIES, Json
from connectors.redis.directory import Entry, Listed, natural
from domain.access import Reach
from domain.state import SiteRecord
from domain.words import AccountState, Commodity

router = APIRouter(prefix="/sites", tags=["sites"], route_class=Direct)

_STATES = {state: state.name.lower() for state in AccountState}


@router.get("", response_model=list[SiteSummary])
async def list_sites(caller: Reader, directory: DirectoryDoor) -> Response:
    """Sites by name, with what there is of each."""
    shards = await directory.current()
    rooms: dict[str, list[Entry]] = {}
    for entry in entries_of(directory, caller.reach, place_tests_of(caller.reach, None)):
        rooms.setdefault(entry.record.place.site, []).append(entry)
    records: Mapping[str, SiteRecord] = shards[0].records["site_records"]
    names = {*rooms, *(site for site in records if _is_reached(caller.reach, site))}
    found = [_summary(shards, site, rooms.get(site, [])) for site in sorted(names, key=natural)]
    return answer(found)


@router.get("/{site}", response_model=SiteRead)
async def get_site(
    site: Annotated[str, Path(max_length=100, examples=["Garden"])], caller: Reader, directory: DirectoryDoor
) -> Response:
    """A site with its buildings and floors, and how many rooms each has. 404: there is none of this name within reach."""
    shards, asked = await directory.current(), RoomFilter(site=site)
    rooms = list(entries_of(directory, caller.reach, place_tests_of(caller.reach, asked), asked))
    if not rooms and not (site in shards[0].records["site_records"] and _is_reached(caller.reach, site)):
        raise HTTPException(404, "There is no such site.")
    return answer(_summary(shards, site, rooms) | {"buildings": _buildings(shards, rooms)})


def _is_reached(reach: Reach, site: str) -> bool:
    return reach.everything or site in reach.sites


def _summary(shards: list[Listed], site: str, rooms: list[Entry]) -> Json:
    record: SiteRecord | None = shards[0].records["site_records"].get(site)
    meters = Counter(
        shards[entry.shard].records["meter_records"][number].commodity
        for entry in rooms
        for number in entry.record.meters
    )
    return {
        "site": site,
        "title": {"zh": record.title_zh, "en": record.title_en} if record else None,
        "zone": record.zone if record else None,
        "currency": record.currency if record else None,
        "rooms": _counts(shards, rooms),
        "meters": {COMMODITIES[commodity]: meters[commodity] for commodity in Commodity},
    }


def _counts(shards: list[Listed], rooms: list[Entry]) -> Json:
    counted = Counter(shards[entry.shard].accounts["state"][entry.row] for entry in rooms)
    return {word: counted[state] for state, word in _STATES.items()}


def _buildings(shards: list[Listed], rooms: list[Entry]) -> list[Json]:
    """Buildings and their floors, in the order of rooms."""
    buildings: dict[str, dict[str, list[Entry]]] = {}
    for entry in rooms:
        floors = buildings.setdefault(entry.record.place.building, {})
        floors.setdefault(entry.record.place.floor, []).append(entry)
    return [
        {
            "building": building,
            "rooms": _counts(shards, [entry for floor in floors.values() for entry in floor]),
            "floors": [{"floor": floor, "rooms": _counts(shards, found)} for floor, found in floors.items()],
        }
        for building, floors in buildings.items()
    ]
