"""Alarms: the newest events, in the words of the channel `alarms` (docs/alarms.md)."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from api.dependencies import Reader, StoreDoor
from api.direct import Direct
from connectors.redis.formats import alarm_message

router = APIRouter(prefix="/alarms", tags=["alarms"], route_class=Direct)

_LOOKED_AT = 5_000
"""Newest events among which those of a reach are looked for."""


@router.get("")
async def list_alarms(
    caller: Reader, store: StoreDoor, limit: Annotated[int, Query(ge=1, le=500)] = 50
) -> list[dict[str, Any]]:
    """The newest alarm events that the caller reaches, newest first; of those with a reach, among the newest of the whole store."""
    alarms = await store.newest_alarms(limit if caller.reach.everything else _LOOKED_AT)
    records = await store.account_records({alarm.account for alarm in alarms if alarm.account})
    if not caller.reach.everything:
        alarms = [alarm for alarm in alarms if alarm.account in records and caller.reach.has(records[alarm.account])]
    return [alarm_message(alarm, records.get(alarm.account)) for alarm in alarms[:limit]]
