"""Meters: their live values, and orders to force their supply."""

from http import HTTPStatus

from fastapi import APIRouter, Response
from starlette.exceptions import HTTPException

from api.dependencies import Reader, Settings, StoreDoor, Switcher
from api.direct import Direct
from api.models import ControlOrder, ControlOutcome, MeterPath, MeterRead, OrderPath
from api.orders import UNDECIDED, control_outcome, decided, reply
from api.problems import RefusedError
from api.reach import meter_of
from api.views import meter_read
from domain.facts import ControlOrdered
from domain.ids import order_id
from domain.words import Refusal

router = APIRouter(prefix="/meters", tags=["meters"], route_class=Direct)


@router.get("/{meter}")
async def get_meter(meter: MeterPath, caller: Reader, store: StoreDoor) -> MeterRead:
    """Live values, the open hour and day, the open command, and readings that wait for a person."""
    view = await store.meter(int(meter))
    if view is None or not caller.reach.has(view.account.record):
        raise RefusedError(Refusal.UNKNOWN_METER)
    tariff = (await store.tariffs()).get(view.record.tariff)
    return meter_read(view, tariff.document if tariff else None)


@router.post(
    "/{meter}/commands",
    status_code=201,
    response_model=ControlOutcome,
    responses=UNDECIDED,
)
async def force_supply(
    meter: MeterPath, order: ControlOrder, caller: Switcher, store: StoreDoor, settings: Settings
) -> Response:
    """Force a meter's supply for a time. The answer says that it is wanted; `GET /meters/{meter}` says what is seen."""
    shard, record = await meter_of(store, caller, meter)
    fact = ControlOrdered(
        at=settings.clock(),
        id=order.id,
        meter=record.meter,
        wanted=order.supply,
        until=order.until_ms,
        operator=order.operator,
        note=order.note,
    )
    outcome = await decided(store, shard, fact, settings.wait_seconds)
    return reply(control_outcome(outcome) if outcome else None, order.id, f"/meters/{meter}/commands/{order.id}")


@router.get("/{meter}/commands/{order}")
async def get_force(meter: MeterPath, order: OrderPath, caller: Reader, store: StoreDoor) -> ControlOutcome:
    """What became of an order to force the supply; kept for 90 days. 404: not decided, or never sent."""
    _, record = await meter_of(store, caller, meter)
    outcome = await store.outcome(record.account, order_id(order))
    if outcome is None or outcome.meter != record.meter or outcome.kind != ControlOrdered.KIND:
        raise HTTPException(HTTPStatus.NOT_FOUND, "No order of this id has been decided for this meter.")
    return control_outcome(outcome)
