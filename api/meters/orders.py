"""What became of the orders of meters: one way to ask for every kind, by the table `api.orders.placing.OF_METERS`."""

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter
from starlette.exceptions import HTTPException

from api.doors.dependencies import Reader, StoreDoor
from api.doors.direct import Direct
from api.models import ControlOutcome, DecisionOutcome, MeterPath, OrderPath
from api.orders.placing import OF_METERS, OF_SUPPLY, MeterOrder, meter_outcome
from connectors.redis.live import LiveStore
from domain.access import Caller
from domain.effects import Outcome
from domain.ids import order_id, shard_of_unknown_meter

router = APIRouter(prefix="/meters", tags=["meters"], route_class=Direct)


def _add_read(name: str, kind: type[MeterOrder]) -> None:
    async def get_outcome(meter: MeterPath, order: OrderPath, caller: Reader, store: StoreDoor) -> Any:
        outcome = await _outcome(store, int(meter), order_id(order))
        if outcome is None or outcome.kind != kind.KIND or not await _is_reached(store, caller, outcome, order):
            raise HTTPException(HTTPStatus.NOT_FOUND, "No order of this id has been decided for this meter.")
        return await meter_outcome(store, outcome)

    words = name.replace("_", " ")
    router.add_api_route(
        f"/{{meter}}/{name}/{{order}}",
        get_outcome,
        response_model=ControlOutcome if kind.KIND in OF_SUPPLY else DecisionOutcome,
        name=f"get_{name}",
        summary=f"Get one of a meter's {words}",
        description=f"What became of one of a meter's {words}; kept for 90 days. 404: not decided, or never sent.",
    )


async def _outcome(store: LiveStore, meter: int, order: bytes) -> Outcome | None:
    outcome = await store.outcome_in(await _shard(store, meter, order), order)
    return outcome if outcome and outcome.meter == meter else None


async def _shard(store: LiveStore, meter: int, order: bytes) -> int:
    """Where an order is: in the shard that it was given in, wherever the meter is now; one that no API has given, where the meter is."""
    shard = await store.order_shard(order)
    if shard is not None:
        return shard
    located = await store.locate_meter(meter)
    return located[0] if located else shard_of_unknown_meter(meter, store.shards)


async def _is_reached(store: LiveStore, caller: Caller, outcome: Outcome, order: str) -> bool:
    """Whether the account that the order was about is within reach: the meter may have another one by now."""
    if caller.reach.everything:
        return True
    record = await store.meter_record(await _shard(store, outcome.meter, order_id(order)), outcome.meter)
    view = await store.account(outcome.account or (record.account if record else ""))
    return view is not None and caller.reach.has(view.record)


for _name, _kind in OF_METERS.items():
    _add_read(_name, _kind)
