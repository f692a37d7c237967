"""Orders for every shard: told to all, decided by each, and answered as one. What is for everybody asks for a reach of everything."""

import asyncio
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from api.doors.dependencies import Manager, StoreDoor
from api.doors.direct import Direct
from api.doors.problems import RefusedError
from api.models import OrderPath
from api.settings import ApiSettings
from api.term_models import ShardsOutcome, ShardsPending
from connectors.redis.everyone import OWNER, Everyone
from connectors.redis.formats import iso
from connectors.redis.live import LiveStore
from domain.access import Caller
from domain.effects import Outcome
from domain.facts import PolicySet, SiteSet, TariffPublished
from domain.ids import order_id
from domain.words import Refusal

router = APIRouter(prefix="/settings", tags=["settings"], route_class=Direct)

UNDECIDED_BY_SOME: dict[int | str, dict[str, Any]] = {
    HTTPStatus.ACCEPTED.value: {
        "model": ShardsPending,
        "description": "In every log, and not yet decided by all shards.",
    }
}
"""What a route of orders for everybody may answer besides 201."""
ForEveryone = TariffPublished | PolicySet | SiteSet
_KINDS = {TariffPublished.KIND, PolicySet.KIND, SiteSet.KIND}
_SUPERSEDED = "some shards have it, and a later order of the same name has been told since: send it as a new order"


def check_everything(caller: Caller, what: str) -> None:
    """That a caller may set what holds for everybody. Raises HTTPException."""
    if not caller.reach.everything:
        raise HTTPException(
            HTTPStatus.FORBIDDEN, f"{what} hold for everybody, so only who reaches everything sets them."
        )


async def told(store: LiveStore, everyone: Everyone, name: str, fact: ForEveryone, settings: ApiSettings) -> Response:
    """201 once every shard has carried it out, 202 while some have not decided. Raises RefusedError.

    `name`: of what is set; orders of one name are told one after the other.
    """
    order = order_id(fact.id)
    if await store.claim_order(order, OWNER) != OWNER:
        raise RefusedError(Refusal.EXISTS_WITH_DIFFERENT_CONTENT, "this id was used for an order of an account")
    entries = await everyone.tell(name, order, fact)
    if entries is None:
        return _answer(await _kept(store, order), fact.id, store.shards)
    answers = (store.answer(shard, entry, settings.wait_seconds) for shard, entry in enumerate(entries))
    return _answer(list(await asyncio.gather(*answers)), fact.id, store.shards)


async def _kept(store: LiveStore, order: bytes) -> list[Outcome | None]:
    """What each shard keeps of an order that is not told any more. Raises RefusedError where some never had it."""
    outcomes = await asyncio.gather(*(store.outcome_in(shard, order) for shard in range(store.shards)))
    if not all(outcomes):
        raise RefusedError(Refusal.EXISTS_WITH_DIFFERENT_CONTENT, _SUPERSEDED)
    return list(outcomes)


def _answer(outcomes: list[Outcome | None], order: str, shards: int) -> Response:
    location = f"/settings/{order}"
    refused = [shard for shard, outcome in enumerate(outcomes) if outcome and outcome.refusal]
    if refused:
        outcome = outcomes[refused[0]]
        assert outcome is not None
        some = "" if len(refused) == shards else f" (refused by {len(refused)} of {shards} shards: {refused})"
        raise RefusedError(Refusal(outcome.refusal), f"{outcome.detail}{some}".strip())
    waiting = [shard for shard, outcome in enumerate(outcomes) if outcome is None]
    if waiting:
        pending = ShardsPending(id=order, location=location, shards=shards, waiting=waiting)
        return JSONResponse(pending.model_dump(), HTTPStatus.ACCEPTED, {"Location": location})
    said = _read([outcome for outcome in outcomes if outcome], shards)
    return JSONResponse(said.model_dump(), HTTPStatus.CREATED, {"Location": location})


def _read(outcomes: list[Outcome], shards: int) -> ShardsOutcome:
    worst = next((outcome for outcome in outcomes if outcome.refusal), outcomes[0])
    return ShardsOutcome(
        id=worst.id, kind=worst.kind, at=iso(worst.at), accepted=not worst.refusal, refusal=worst.refusal or None,
        detail=worst.detail, shards=shards, decided=len(outcomes),
    )  # fmt: skip


@router.get("/{order}")
async def get_setting(order: OrderPath, caller: Manager, store: StoreDoor) -> ShardsOutcome:  # noqa: ARG001 - the door is what counts
    """What became of an order for everybody: a tariff, a policy or a site; kept for 90 days. `decided` below `shards`: send it again.

    404: not decided by any shard, or never sent.
    """
    found = await asyncio.gather(*(store.outcome_in(shard, order_id(order)) for shard in range(store.shards)))
    outcomes = [outcome for outcome in found if outcome and outcome.kind in _KINDS]
    if not outcomes:
        raise HTTPException(HTTPStatus.NOT_FOUND, "No order of this id has been decided for everybody.")
    return _read(outcomes, store.shards)
