"""Orders: append the fact, wait for the machine, answer with what it decided."""

from http import HTTPStatus
from typing import Any

from fastapi import Response
from fastapi.responses import JSONResponse

from api.models import ControlOutcome, MoneyOutcome, OutcomeRead, Pending
from api.problems import RefusedError
from connectors.redis.formats import iso
from connectors.redis.live import LiveStore
from domain.effects import Outcome
from domain.facts import (
    ControlOrdered,
    PurchasesAccepted,
    QuarantineDecided,
    ReadingCorrected,
    RechargeOrdered,
    RefundOrdered,
)
from domain.ids import meter_text, order_id
from domain.units import money_text
from domain.words import Refusal

Order = RechargeOrdered | RefundOrdered | ControlOrdered | QuarantineDecided | ReadingCorrected | PurchasesAccepted

UNDECIDED: dict[int | str, dict[str, Any]] = {
    HTTPStatus.ACCEPTED.value: {"model": Pending, "description": "Taken, and not yet decided."}
}
"""What a route of orders may answer besides 201."""


async def decided(store: LiveStore, shard: int, fact: Order, seconds: float) -> Outcome | None:
    """What the machine decided about an order; None if it did not within `seconds`. Raises RefusedError.

    A shard's machine knows the ids of its own orders. That an id is not used for another shard's order is seen to here,
    before anything is in a log: the first order that comes with it owns it.
    """
    if await store.claim_order(order_id(fact.id), shard) != shard:
        raise RefusedError(Refusal.EXISTS_WITH_DIFFERENT_CONTENT, "this id was used for an order of another account")
    outcome = await store.answer(shard, await store.append(shard, fact), seconds)
    if outcome and outcome.refusal:
        raise RefusedError.of(outcome)
    return outcome


def reply(outcome: OutcomeRead | None, order: str, location: str) -> Response:
    """201 with the outcome, or 202 with the place where it will be."""
    headers = {"Location": location}
    if outcome is None:
        return JSONResponse(Pending(id=order, location=location).model_dump(), HTTPStatus.ACCEPTED, headers)
    return JSONResponse(outcome.model_dump(), HTTPStatus.CREATED, headers)


def money_outcome(outcome: Outcome, currency: str) -> MoneyOutcome:
    """The outcome of a recharge or refund."""
    return MoneyOutcome(
        id=outcome.id,
        kind=outcome.kind,
        at=iso(outcome.at),
        accepted=not outcome.refusal,
        refusal=outcome.refusal or None,
        detail=outcome.detail,
        account=outcome.account,
        amount=money_text(outcome.amount_micros),
        balance=money_text(outcome.balance_micros),
        currency=currency,
    )


def control_outcome(outcome: Outcome) -> ControlOutcome:
    """The outcome of a control order."""
    return ControlOutcome(
        id=outcome.id,
        kind=outcome.kind,
        at=iso(outcome.at),
        accepted=not outcome.refusal,
        refusal=outcome.refusal or None,
        detail=outcome.detail,
        meter=meter_text(outcome.meter),
    )
