"""Decisions and corrections: what a person says about readings that wait, usage that was charged wrongly, and purchase counts."""

from fastapi import APIRouter, Response

from api.doors.dependencies import Decider, DeskDoor
from api.doors.problems import RefusedError
from api.doors.reach import meter_of
from api.models import CorrectionOrder, DecisionOrder, DecisionOutcome, MeterPath, PurchasesOrder
from api.orders.placing import UNDECIDED, order_meter
from api.orders.route import OrderRoute
from domain.facts import PurchasesAccepted, QuarantineDecided, ReadingCorrected
from domain.ids import shard_of_unknown_meter
from domain.units import quantity_thousandths
from domain.words import Decision, Metering, Refusal

router = APIRouter(prefix="/meters", tags=["meters"], route_class=OrderRoute)

_UNKNOWN = Metering.UNKNOWN_METER.name.lower()


@router.post("/{meter}/decisions", status_code=201, response_model=DecisionOutcome, responses=UNDECIDED)
async def decide(meter: MeterPath, order: DecisionOrder, caller: Decider, desk: DeskDoor) -> Response:
    """Close the case of a meter and reason: the held register is true, it counts on from another, or it was nonsense."""
    if order.reason == _UNKNOWN and not caller.reach.everything:
        raise RefusedError(Refusal.UNKNOWN_METER)  # It is in nobody's reach.
    located = None if order.reason == _UNKNOWN else await meter_of(desk.store, caller, meter)
    shard = located[0] if located else shard_of_unknown_meter(int(meter), desk.store.shards)
    fact = QuarantineDecided(
        at=desk.settings.clock(), id=order.id, meter=int(meter), reason=order.reason, decision=Decision(order.decision),
        register=_register(order.register_), usage=quantity_thousandths(order.usage), operator=order.operator, note=order.note,
    )  # fmt: skip
    return await order_meter(desk, shard, fact)


@router.post("/{meter}/corrections", status_code=201, response_model=DecisionOutcome, responses=UNDECIDED)
async def correct(meter: MeterPath, order: CorrectionOrder, caller: Decider, desk: DeskDoor) -> Response:
    """Charge usage of a time on top, or give it back, at the prices of that time."""
    shard, _ = await meter_of(desk.store, caller, meter)
    fact = ReadingCorrected(
        at=desk.settings.clock(), id=order.id, meter=int(meter), from_ms=order.from_, until_ms=order.until,
        usage_delta=quantity_thousandths(order.usage), register=_register(order.register_), operator=order.operator, note=order.note,
    )  # fmt: skip
    return await order_meter(desk, shard, fact)


@router.post("/{meter}/accepted_purchases", status_code=201, response_model=DecisionOutcome, responses=UNDECIDED)
async def accept_purchases(meter: MeterPath, order: PurchasesOrder, caller: Decider, desk: DeskDoor) -> Response:
    """Expect of a meter's purchase counter what it shows: a person knows where the purchases came from."""
    shard, _ = await meter_of(desk.store, caller, meter)
    fact = PurchasesAccepted(
        at=desk.settings.clock(),
        id=order.id,
        meter=int(meter),
        count=order.count,
        operator=order.operator,
        note=order.note,
    )
    return await order_meter(desk, shard, fact)


def _register(text: str | None) -> int | None:
    return None if text is None else quantity_thousandths(text)
