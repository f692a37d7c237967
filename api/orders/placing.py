"""Orders: append the fact, wait for the machine, answer with what it decided, and say where that can be asked for again."""

from http import HTTPStatus
from typing import Any

from fastapi import Response
from fastapi.responses import JSONResponse

from api.doors.dependencies import Desk
from api.doors.problems import RefusedError
from api.models import ControlOutcome, DecisionOutcome, MoneyOutcome, OutcomeRead, Pending
from connectors.redis.formats import iso
from connectors.redis.live import LiveStore
from domain.effects import Outcome
from domain.facts import (
    AccountActivated,
    AccountClosed,
    AccountOpened,
    AccountTransferred,
    AccountUpdated,
    AdjustmentOrdered,
    AllowanceSet,
    ChargeItemEnded,
    ChargeItemSet,
    ControlOrdered,
    ControlTermsSet,
    LoadReleased,
    MainMeterSet,
    MeterInstalled,
    MeterRemoved,
    MeterReplaced,
    MeterWatchSet,
    ProtectionOrdered,
    PurchasesAccepted,
    QuarantineDecided,
    ReadingCorrected,
    RechargeOrdered,
    RefundOrdered,
    ReversalOrdered,
    TariffAssigned,
)
from domain.ids import meter_text, order_id, shard_of
from domain.units import money_text
from domain.words import Refusal

AccountOrder = (
    AccountOpened
    | AccountActivated
    | AccountUpdated
    | AccountTransferred
    | AccountClosed
    | RechargeOrdered
    | RefundOrdered
    | AdjustmentOrdered
    | ReversalOrdered
    | AllowanceSet
    | ChargeItemSet
    | ChargeItemEnded
)
MeterOrder = (
    MeterInstalled
    | MeterReplaced
    | MeterRemoved
    | LoadReleased
    | ControlOrdered
    | QuarantineDecided
    | ReadingCorrected
    | PurchasesAccepted
)
TermsOrder = TariffAssigned | ControlTermsSet | ProtectionOrdered | MeterWatchSet | MainMeterSet
Order = AccountOrder | MeterOrder | TermsOrder
OF_METERS: dict[str, type[MeterOrder]] = {
    "installations": MeterInstalled,
    "replacements": MeterReplaced,
    "removals": MeterRemoved,
    "load_releases": LoadReleased,
    "commands": ControlOrdered,
    "decisions": QuarantineDecided,
    "corrections": ReadingCorrected,
    "accepted_purchases": PurchasesAccepted,
}
"""Where what became of a meter's orders is asked for: `/meters/{meter}/<name>/{order}`. Those of an account are all at `/accounts/{account}/orders/{order}`."""
_NAMES = {kind: name for name, kind in OF_METERS.items()}
OF_SUPPLY = {ControlOrdered.KIND, LoadReleased.KIND}
"""Kinds of orders of meters that move no money."""

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


async def order_account(desk: Desk, fact: AccountOrder, currency: str) -> Response:
    """Give an order of an account whose money is in `currency`."""
    outcome = await decided(desk.store, shard_of(fact.account, desk.store.shards), fact, desk.settings.wait_seconds)
    said = money_outcome(outcome, currency) if outcome else None
    return reply(said, fact.id, account_order_at(fact.account, fact.id))


async def order_meter(desk: Desk, shard: int, fact: MeterOrder) -> Response:
    """Give an order of a meter of this shard."""
    outcome = await decided(desk.store, shard, fact, desk.settings.wait_seconds)
    return await reply_meter(desk.store, fact, outcome)


async def reply_meter(store: LiveStore, fact: MeterOrder, outcome: Outcome | None) -> Response:
    """Answer an order of a meter with what the machine decided, if it has."""
    said = await meter_outcome(store, outcome) if outcome else None
    return reply(said, fact.id, f"/meters/{meter_text(fact.meter)}/{_NAMES[type(fact)]}/{fact.id}")


def account_order_at(account: str, order: str) -> str:
    """Where what became of an order of an account is asked for."""
    return f"/accounts/{account}/orders/{order}"


def reply(outcome: OutcomeRead | None, order: str, location: str) -> Response:
    """201 with the outcome, or 202 with the place where it will be."""
    headers = {"Location": location}
    if outcome is None:
        return JSONResponse(Pending(id=order, location=location).model_dump(), HTTPStatus.ACCEPTED, headers)
    return JSONResponse(outcome.model_dump(), HTTPStatus.CREATED, headers)


def outcome_fields(outcome: Outcome) -> dict[str, Any]:
    """What every outcome says, by the fields of `OutcomeRead`."""
    return {
        "id": outcome.id,
        "kind": outcome.kind,
        "at": iso(outcome.at),
        "accepted": not outcome.refusal,
        "refusal": outcome.refusal or None,
        "detail": outcome.detail,
    }


def money_outcome(outcome: Outcome, currency: str) -> MoneyOutcome:
    """The outcome of an order of an account."""
    return MoneyOutcome(**outcome_fields(outcome), **_moved(outcome), account=outcome.account, currency=currency)


def _moved(outcome: Outcome) -> dict[str, Any]:
    return {"amount": money_text(outcome.amount_micros), "balance": money_text(outcome.balance_micros)}


async def meter_outcome(store: LiveStore, outcome: Outcome) -> ControlOutcome | DecisionOutcome:
    """The outcome of an order of a meter; of one that moves money in the account's currency, and a meter that nobody owns has neither."""
    meter = meter_text(outcome.meter)
    if outcome.kind in OF_SUPPLY:
        return ControlOutcome(**outcome_fields(outcome), meter=meter)
    view = await store.account(outcome.account) if outcome.account else None
    account, currency = (outcome.account, view.record.currency) if view else (None, None)
    return DecisionOutcome(
        **outcome_fields(outcome), **_moved(outcome), meter=meter, account=account, currency=currency
    )
