"""Health: `live` says that this process answers, `ready` that money moves: the store answers and every log is folded."""

import asyncio
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from api.doors.dependencies import Settings, StoreDoor
from api.doors.problems import problem
from connectors.redis.formats import iso
from connectors.redis.live_counts import lags_ms

router = APIRouter(tags=["health"])


@router.get("/health/live")
async def live() -> dict[str, str]:
    """This process answers."""
    return {"status": "live"}


@router.get("/health/ready", response_model=dict[str, Any])
async def ready(store: StoreDoor, settings: Settings) -> Response:
    """The store answers and no fact waits too long; 503 names the shards where one does, and for how long."""
    try:
        async with asyncio.timeout(settings.probe_seconds):
            found = await lags_ms(store)
    except TimeoutError:
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, f"The store did not answer in {settings.probe_seconds:g} s.")
    lags = {f"{shard:02d}": lag / 1000 for shard, lag in enumerate(found)}
    late = {shard: lag for shard, lag in lags.items() if lag > settings.lag_seconds_max}
    if late:
        words = ", ".join(f"shard {shard} by {lag:.1f} s" for shard, lag in late.items())
        detail = f"Facts wait to be settled: {words}. Is `meterline settle` running?"
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, lag_seconds=late)
    return JSONResponse({"status": "ready", "now": iso(settings.clock()), "lag_seconds_max": max(lags.values())})
