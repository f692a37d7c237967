"""Alarms: the newest events, in the words of the channel `alarms` (docs/alarms.md)."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from api.dependencies import StoreDoor
from connectors.redis.formats import alarm_message

router = APIRouter(prefix="/alarms", tags=["alarms"])


@router.get("")
async def list_alarms(store: StoreDoor, limit: Annotated[int, Query(ge=1, le=500)] = 50) -> list[dict[str, Any]]:
    """The newest alarm events of the whole store, newest first."""
    alarms = await store.newest_alarms(limit)
    records = await store.account_records({alarm.account for alarm in alarms if alarm.account})
    return [alarm_message(alarm, records.get(alarm.account)) for alarm in alarms]
