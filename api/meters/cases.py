"""Cases of quarantine: all readings that wait for a person. `POST /meters/{meter}/decisions` closes one (`api/meters/decisions.py`)."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from api.doors.answers import answer
from api.doors.dependencies import DirectoryDoor, Reader
from api.doors.direct import Direct
from api.rooms.models import CasePage, CaseQuery
from api.rooms.selection import account_of_meter
from api.rooms.views import Json, place_read
from connectors.redis.directory import Directory
from connectors.redis.formats import iso
from domain.access import Caller
from domain.ids import meter_text
from domain.state import AccountRecord, QuarantineCase
from domain.units import quantity_text

router = APIRouter(prefix="/cases", tags=["cases"], route_class=Direct)


@router.get("", response_model=CasePage)
async def list_cases(asked: Annotated[CaseQuery, Query()], caller: Reader, directory: DirectoryDoor) -> Response:
    """Open cases by meter and reason. Those of meters that nobody has are for callers who reach everything."""
    shards = await directory.current()
    cases = sorted((key, case) for listed in shards for key, case in listed.records["cases"].items())
    items: list[Json] = []
    following = None
    for key, case in cases:
        if key <= asked.cursor or asked.reason not in {None, case.reason}:
            continue
        is_theirs, record = _whose(directory, caller, asked, case.meter)
        if not is_theirs:
            continue
        if len(items) == asked.limit:
            following = f"{items[-1]['meter']}:{items[-1]['reason']}"
            break
        items.append(_read(case, record))
    return answer({"items": items, "next": following})


def _whose(directory: Directory, caller: Caller, asked: CaseQuery, meter: int) -> tuple[bool, AccountRecord | None]:
    """Whether a case is among those asked for and reached, and the account of its meter."""
    record = account_of_meter(directory, caller.reach, asked, meter)
    is_anybodys = asked.account is None and asked.site is None and asked.meter in {None, meter_text(meter)}
    nobodys = caller.reach.everything and is_anybodys and directory.found(meter) is None
    return record is not None or nobodys, record


def _read(case: QuarantineCase, record: AccountRecord | None) -> Json:
    return {
        "meter": meter_text(case.meter),
        "account": record.account if record else None,
        "place": place_read(record.place) if record else None,
        "reason": case.reason,
        "since": iso(case.since),
        "last": iso(case.last),
        "count": case.count,
        "baseline": quantity_text(case.baseline) if case.baseline >= 0 else None,
        "register": quantity_text(case.register) if case.register >= 0 else None,
        "usage": quantity_text(case.usage),
        "released_at": iso(case.released_at) if case.released_at else None,
    }
