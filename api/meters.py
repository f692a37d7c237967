"""Meters: their live values, and orders to force their supply."""

from fastapi import APIRouter, Response

from api.dependencies import DeskDoor, Reader, StoreDoor, Switcher
from api.models import ControlOrder, ControlOutcome, MeterPath, MeterRead
from api.order_route import OrderRoute
from api.orders import UNDECIDED, order_meter
from api.problems import RefusedError
from api.reach import meter_of
from api.views import meter_read
from domain.facts import ControlOrdered
from domain.words import Refusal

router = APIRouter(prefix="/meters", tags=["meters"], route_class=OrderRoute)


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
async def force_supply(meter: MeterPath, order: ControlOrder, caller: Switcher, desk: DeskDoor) -> Response:
    """Force a meter's supply for a time. The answer says that it is wanted; `GET /meters/{meter}` says what is seen."""
    shard, record = await meter_of(desk.store, caller, meter)
    fact = ControlOrdered(
        at=desk.settings.clock(),
        id=order.id,
        meter=record.meter,
        wanted=order.supply,
        until=order.until_ms,
        operator=order.operator,
        note=order.note,
    )
    return await order_meter(desk, shard, fact)
