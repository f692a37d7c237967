"""Decisions and corrections: what a person says about readings that wait, usage that was charged wrongly, and purchase counts."""

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Response
from starlette.exceptions import HTTPException

from api.dependencies import Decider, Reader, Settings, StoreDoor
from api.direct import Direct
from api.models import CorrectionOrder, DecisionOrder, DecisionOutcome, MeterPath, OrderPath, PurchasesOrder
from api.orders import UNDECIDED, decided, reply
from api.problems import RefusedError
from api.reach import meter_of
from api.settings import ApiSettings
from connectors.redis.formats import iso
from connectors.redis.live import LiveStore
from domain.access import Caller
from domain.effects import Outcome
from domain.facts import PurchasesAccepted, QuarantineDecided, ReadingCorrected
from domain.ids import meter_text, order_id, shard_of_unknown_meter
from domain.units import money_text, quantity_thousandths
from domain.words import Decision, Metering, Refusal

router = APIRouter(prefix="/meters", tags=["meters"], route_class=Direct)

_KINDS = {
    "decisions": QuarantineDecided.KIND,
    "corrections": ReadingCorrected.KIND,
    "accepted_purchases": PurchasesAccepted.KIND,
}
_UNKNOWN = Metering.UNKNOWN_METER.name.lower()


@router.post("/{meter}/decisions", status_code=201, response_model=DecisionOutcome, responses=UNDECIDED)
async def decide(
    meter: MeterPath, order: DecisionOrder, caller: Decider, store: StoreDoor, settings: Settings
) -> Response:
    """Close the case of a meter and reason: the held register is true, it counts on from another, or it was nonsense."""
    if order.reason == _UNKNOWN and not caller.reach.everything:
        raise RefusedError(Refusal.UNKNOWN_METER)  # It is in nobody's reach.
    located = None if order.reason == _UNKNOWN else await meter_of(store, caller, meter)
    shard = located[0] if located else shard_of_unknown_meter(int(meter), store.shards)
    fact = QuarantineDecided(
        at=settings.clock(), id=order.id, meter=int(meter), reason=order.reason, decision=Decision(order.decision),
        register=_register(order.register_), usage=quantity_thousandths(order.usage), operator=order.operator, note=order.note,
    )  # fmt: skip
    return await _answered(store, shard, fact, settings, f"/meters/{meter}/decisions/{order.id}")


@router.post("/{meter}/corrections", status_code=201, response_model=DecisionOutcome, responses=UNDECIDED)
async def correct(
    meter: MeterPath, order: CorrectionOrder, caller: Decider, store: StoreDoor, settings: Settings
) -> Response:
    """Charge usage of a time on top, or give it back, at the prices of that time."""
    shard, _ = await meter_of(store, caller, meter)
    fact = ReadingCorrected(
        at=settings.clock(), id=order.id, meter=int(meter), from_ms=order.from_, until_ms=order.until,
        usage_delta=quantity_thousandths(order.usage), register=_register(order.register_), operator=order.operator, note=order.note,
    )  # fmt: skip
    return await _answered(store, shard, fact, settings, f"/meters/{meter}/corrections/{order.id}")


@router.post("/{meter}/accepted_purchases", status_code=201, response_model=DecisionOutcome, responses=UNDECIDED)
async def accept_purchases(
    meter: MeterPath, order: PurchasesOrder, caller: Decider, store: StoreDoor, settings: Settings
) -> Response:
    """Expect of a meter's purchase counter what it shows: a person knows where the purchases came from."""
    shard, _ = await meter_of(store, caller, meter)
    fact = PurchasesAccepted(
        at=settings.clock(), id=order.id, meter=int(meter), count=order.count, operator=order.operator, note=order.note
    )
    return await _answered(store, shard, fact, settings, f"/meters/{meter}/accepted_purchases/{order.id}")


@router.get("/{meter}/decisions/{order}")
async def get_decision(meter: MeterPath, order: OrderPath, caller: Reader, store: StoreDoor) -> DecisionOutcome:
    """What became of a decision; kept for 90 days. 404: not decided, or never sent."""
    return await _kept(store, caller, meter, order, "decisions")


@router.get("/{meter}/corrections/{order}")
async def get_correction(meter: MeterPath, order: OrderPath, caller: Reader, store: StoreDoor) -> DecisionOutcome:
    """What became of a correction; kept for 90 days. 404: not decided, or never sent."""
    return await _kept(store, caller, meter, order, "corrections")


@router.get("/{meter}/accepted_purchases/{order}")
async def get_accepted_purchases(
    meter: MeterPath, order: OrderPath, caller: Reader, store: StoreDoor
) -> DecisionOutcome:
    """What became of an order to accept a purchase count; kept for 90 days. 404: not decided, or never sent."""
    return await _kept(store, caller, meter, order, "accepted_purchases")


async def _answered(
    store: LiveStore,
    shard: int,
    fact: QuarantineDecided | ReadingCorrected | PurchasesAccepted,
    settings: ApiSettings,
    location: str,
) -> Response:
    outcome = await decided(store, shard, fact, settings.wait_seconds)
    return reply(await _said(store, outcome) if outcome else None, fact.id, location)


async def _kept(store: LiveStore, caller: Caller, meter: str, order: str, route: str) -> DecisionOutcome:
    located = await store.locate_meter(int(meter))
    if not caller.reach.everything:
        located = await meter_of(store, caller, meter)
    shards = {shard_of_unknown_meter(int(meter), store.shards), *(located[:1] if located else ())}
    for shard in sorted(shards):
        outcome = await store.outcome_in(shard, order_id(order))
        if outcome and outcome.meter == int(meter) and outcome.kind == _KINDS[route]:
            return await _said(store, outcome)
    raise HTTPException(HTTPStatus.NOT_FOUND, "No order of this id has been decided for this meter.")


def _register(text: str | None) -> int | None:
    return None if text is None else quantity_thousandths(text)


async def _said(store: LiveStore, outcome: Outcome) -> DecisionOutcome:
    """The outcome in the account's currency; a meter that nobody owns has neither."""
    view = await store.account(outcome.account) if outcome.account else None
    said: dict[str, Any] = {"account": outcome.account, "currency": view.record.currency} if view else {}
    return DecisionOutcome(
        id=outcome.id, kind=outcome.kind, at=iso(outcome.at), accepted=not outcome.refusal,
        refusal=outcome.refusal or None, detail=outcome.detail, meter=meter_text(outcome.meter),
        amount=money_text(outcome.amount_micros), balance=money_text(outcome.balance_micros),
        **{"account": None, "currency": None} | said,
    )  # fmt: skip
