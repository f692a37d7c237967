"""The app: routes, doors and measures put together. A request passes measure ▸ gzip ▸ audit and headers ▸ gate ▸ size ▸ lane ▸ route."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.routing import Route

from api.access import routes as access
from api.accounts import charge_items, money
from api.accounts import life as account_life
from api.accounts import routes as accounts
from api.alarms import events
from api.alarms import routes as alarms
from api.alarms.events import AlarmEvents, Streams
from api.batches import routes as batches
from api.batches.models import BODY_BYTES_MAX
from api.batches.worker import BatchWorker
from api.doors.apart import Apart
from api.doors.gate import OPEN_PATHS, READINGS_PATH, Audited, Gate
from api.doors.lane import Lane
from api.doors.limits import Limits
from api.doors.problems import answer_problems
from api.doors.security import BodyLimit, Compressed, check_secret
from api.figures import finance, reports, usage
from api.figures.asking import answer_figures
from api.health import metrics
from api.health import routes as health
from api.health.metrics import Measured, Measures
from api.meters import cases, commands, decisions, readings
from api.meters import life as meter_life
from api.meters import orders as meter_orders
from api.meters import routes as meters
from api.meters import terms as meter_terms
from api.openapi.description import described, name_of
from api.openapi.page import PATHS, show_page
from api.orders import approvals, everyone
from api.rooms import events as room_events
from api.rooms import routes as rooms
from api.rooms import sites
from api.settings import ApiSettings
from api.tariffs import policies
from api.tariffs import routes as tariffs
from connectors.archive.files import Archive
from connectors.archive.joined import Joined
from connectors.redis.access import Access
from connectors.redis.batches import Batches
from connectors.redis.directory import Directory
from connectors.redis.everyone import Everyone
from connectors.redis.live import LiveStore
from connectors.redis.windows import Windows

API_VERSION = "0.1.0"
GARBAGE = 20_000, 20, 20
"""When Python looks for garbage that holds itself: a request leaves little of it, and looking after every 700 objects took a twentieth of the time."""


class Described(FastAPI):
    """An app whose OpenAPI file is `api.openapi.description`'s."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI file, made once."""
        if self.openapi_schema is None:
            self.openapi_schema = described(self)
        return self.openapi_schema


def create_app(settings: ApiSettings) -> FastAPI:
    """The app over one store, which it opens when it starts and closes when it ends. Raises WeakSecretError."""
    check_secret(settings.token)
    app = Described(
        title="Meterline",
        summary="Prepaid electricity and water",
        version=API_VERSION,
        generate_unique_id_function=name_of,
        lifespan=_lifespan,
        openapi_url="/openapi.json" if settings.docs else None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # What we measure is at /metrics.
    )
    app.state.settings = settings
    app.state.measures = Measures()
    answer_problems(app)
    answer_figures(app)
    for router in _routers():
        app.include_router(router)
    if settings.docs:
        show_page(app, "/openapi.json")
    _add_doors(app, settings)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    store = await LiveStore.open(app.state.settings.redis_url)
    app.state.store, app.state.access = store, Access(store)
    app.state.limits, app.state.events = Limits(app.state.settings, Windows(store)), AlarmEvents(store)
    app.state.room_streams = Streams(room_events.STREAMS_MAX, room_events.STREAMS_OF_A_CALLER)
    archive = app.state.settings.archive
    app.state.joined = Joined(store, Archive.at(archive) if archive else None)
    app.state.directory = Directory(store)
    app.state.everyone, app.state.batches = Everyone(store), Batches(store)
    app.state.apart = Apart(app.state.settings.apart_seconds)
    gc.collect()
    gc.freeze()  # Routes and models stay: a full collection would look through them for a tenth of a second, while all wait.
    gc.set_threshold(*GARBAGE)
    business = app.state.measures.business
    business.open(store)
    working = asyncio.create_task(BatchWorker(store, app.state.access, app.state.batches, app.state.settings).run())
    try:
        yield
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        await business.close()
        await asyncio.to_thread(app.state.apart.close)
        await store.close()


def _routers() -> list[APIRouter]:
    """Every router, in the order in which routes are tried."""
    parts = (
        sites, room_events, rooms, accounts, money, account_life, charge_items, approvals,
        meters, meter_life, meter_terms, commands, decisions, cases, meter_orders,
        tariffs, policies, everyone, batches, alarms, events, readings, access,
    )  # fmt: skip
    return [
        *(part.router for part in parts), usage.accounts, usage.meters, finance.router, reports.router,
        access.sessions, health.router, metrics.router,
    ]  # fmt: skip


def _add_doors(app: FastAPI, settings: ApiSettings) -> None:
    """Last added, first passed."""
    larger = {READINGS_PATH: readings.BYTES_MAX, "/batches": BODY_BYTES_MAX}
    routes = [route for router in _routers() for route in router.routes if isinstance(route, Route)]
    app.add_middleware(Lane, routes=routes, answers=app.exception_handlers)
    app.add_middleware(BodyLimit, bytes_max=settings.body_bytes_max, of_path=larger)
    app.add_middleware(
        Gate, settings=settings, open_paths=OPEN_PATHS + (("/openapi.json", *PATHS) if settings.docs else ())
    )
    app.add_middleware(Audited, settings=settings)
    app.add_middleware(Compressed)
    app.add_middleware(Measured, measures=app.state.measures)
