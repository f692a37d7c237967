"""Meters: lists of them, their live values, and orders to force their supply."""

from bisect import bisect_right
from itertools import islice
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Response

from api.doors.answers import answer
from api.doors.dependencies import DeskDoor, DirectoryDoor, Reader, Settings, StoreDoor, Switcher
from api.doors.problems import RefusedError
from api.doors.reach import meter_of
from api.models import ControlOrder, ControlOutcome, MeterPath, MeterRead
from api.orders.placing import UNDECIDED, order_meter
from api.orders.route import OrderRoute
from api.rooms.models import MeterPage, MeterQuery
from api.rooms.selection import meter_tests_of, place_tests_of
from api.rooms.views import meter_summary
from api.views import meter_read
from domain.facts import ControlOrdered
from domain.ids import meter_text
from domain.words import Refusal

router = APIRouter(prefix="/meters", tags=["meters"], route_class=OrderRoute)


@router.get("", response_model=MeterPage)
async def list_meters(
    asked: Annotated[MeterQuery, Query()], caller: Reader, directory: DirectoryDoor, settings: Settings
) -> Response:
    """Meters that are installed, by number."""
    await directory.current()
    now = settings.clock()
    tests, of_meter = place_tests_of(caller.reach, asked), meter_tests_of(asked, now)
    items: list[msgspec.Raw] = []
    last: str | None = None
    numbers = directory.numbers
    for number in islice(numbers, bisect_right(numbers, int(asked.cursor or 0)), None):
        located = directory.found(number)
        assert located, "an installed meter is found"
        listed, meter = located
        entry = directory.entries[meter.account]
        if not all(test(listed, meter) for test in of_meter) or not all(test(entry) for test in tests):
            continue
        if len(items) == asked.limit:
            return answer({"items": items, "next": last})
        items.append(meter_summary(listed, entry.record, meter, now))
        last = meter_text(number)
    return answer({"items": items, "next": None})


@router.get("/{meter}")
async def get_meter(meter: MeterPath, caller: Reader, store: StoreDoor, settings: Settings) -> MeterRead:
    """Live values, the open hour and day, the open command, and readings that wait for a person."""
    view = await store.meter(int(meter))
    if view is None or not caller.reach.has(view.account.record):
        raise RefusedError(Refusal.UNKNOWN_METER)
    tariff = (await store.tariffs()).get(view.record.tariff)
    return meter_read(view, tariff.document if tariff else None, settings.clock())


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
