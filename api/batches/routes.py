"""Batches: made, looked at and cancelled. `api/batches/worker.py` carries them out.

A batch asks for the scope of its operation's single door, and its targets must be within the caller's reach, here and again when each is carried out.
It is seen by whoever made it, and by who reaches everything.
"""

import hashlib
import json
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse
from pydantic import AfterValidator
from starlette.exceptions import HTTPException

from api.batches.models import (
    OPERATIONS,
    TARGETS_MAX,
    BatchItemPage,
    BatchItemRead,
    BatchOrder,
    BatchPage,
    BatchRead,
    BatchWrite,
    CountsRead,
    PlaceTargets,
)
from api.doors.dependencies import ORDERS, BatchesDoor, LimitsDoor, Reader, Settings, StoreDoor, check_scope
from api.doors.limits import Limits
from api.doors.problems import RefusedError, TooOftenError
from api.doors.reach import accounts_of, meters_of
from api.models import OrderPath, order_text
from api.orders.route import OrderRoute
from connectors.redis.batches import Batches
from connectors.redis.formats import encode_fact, iso
from connectors.redis.live import LiveStore
from domain.access import Caller, Scope
from domain.batches import Batch, Item, ItemState, Progress, item_id
from domain.ids import meter_text, order_id, order_time_ms
from domain.units import DAY_MS
from domain.words import Commodity, Refusal

router = APIRouter(prefix="/batches", tags=["batches"], route_class=OrderRoute)

AHEAD_MAX_MS = 366 * DAY_MS
IDS_KEPT_MS, IDS_AHEAD_MS = 90 * DAY_MS, DAY_MS
"""As the machine has it for all orders (docs/api.md)."""
_NAMED = 5
"""Of targets that cannot be, so many are named."""

UNKNOWN_TARGETS: dict[int | str, dict[str, Any]] = {
    HTTPStatus.NOT_FOUND.value: {
        "description": "A target is not there, or not within the caller's reach; `detail` names it.",
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
}
"""What making a batch may answer besides."""

Limit = Annotated[int, Query(ge=1, le=500)]
BatchCursor = Annotated[
    str,
    Query(description="`next` of the page before."),
    AfterValidator(lambda text: text and order_text(order_id(text))),
]
ItemCursor = Annotated[int, Query(ge=0, le=TARGETS_MAX, description="`next` of the page before.")]


@router.post("", status_code=202, response_model=BatchRead, responses=UNKNOWN_TARGETS)
async def make_batch(
    body: BatchOrder, caller: Reader, store: StoreDoor, batches: BatchesDoor, limits: LimitsDoor, settings: Settings
) -> Response:
    """One order for many meters or accounts, now or at a time. 202: it is kept, and carried out item by item. The same again is the same batch."""
    order = body.root
    check_scope(caller, order.SCOPE)
    now = settings.clock()
    content = _content(order)
    there = await batches.batch(order_id(order.id))
    if there is None:
        due_at = _due_at(order, now)
        targets = await _targets(store, caller, order)
        await _count(limits, caller, order.SCOPE, len(targets))
        there = await batches.make(_batch(order, caller, targets, now, due_at, content), targets)
    if there is None:
        raise HTTPException(
            HTTPStatus.CONFLICT, "There are too many batches: wait until some are over, or cancel them."
        )
    if there.content != content or there.asked_by != caller.name:
        raise RefusedError(Refusal.EXISTS_WITH_DIFFERENT_CONTENT, "this id was used for another batch")
    read = _read(there, await batches.progress(there))
    return JSONResponse(read.model_dump(mode="json"), HTTPStatus.ACCEPTED, {"Location": f"/batches/{there.id}"})


@router.get("")
async def list_batches(caller: Reader, batches: BatchesDoor, limit: Limit = 100, cursor: BatchCursor = "") -> BatchPage:
    """Batches that the caller made, or all for who reaches everything; the newest first. Kept for 92 days after they were due."""
    found: list[Batch] = []
    async for batch in batches.newest(order_id(cursor) if cursor else None):
        if _is_seen(caller, batch):
            found.append(batch)
        if len(found) > limit:
            break
    page = found[:limit]
    read = [_read(batch, await batches.progress(batch)) for batch in page]
    return BatchPage(items=read, next=page[-1].id if len(found) > limit else None)


@router.get("/{batch}")
async def get_batch(batch: OrderPath, caller: Reader, batches: BatchesDoor) -> BatchRead:
    """A batch, and how many of its items are in which state."""
    found = await _seen(batches, caller, batch)
    return _read(found, await batches.progress(found))


@router.get("/{batch}/items")
async def list_batch_items(
    batch: OrderPath,
    caller: Reader,
    batches: BatchesDoor,
    limit: Limit = 100,
    cursor: ItemCursor = 0,
    state: ItemState | None = None,
) -> BatchItemPage:
    """What became of each target, in their order; only those of one `state` where it is said."""
    found = await _seen(batches, caller, batch)
    progress = await batches.progress(found)
    last = found.count - 1 if state else min(cursor + limit, found.count) - 1
    places = list(range(cursor, last + 1))
    targets = await batches.targets(found, cursor, last) if places else []
    items = await batches.items(found, places)
    read = [
        (place, _item(found, target, items, place, progress)) for place, target in zip(places, targets, strict=True)
    ]
    fitting = [(place, each) for place, each in read if state in {None, each.state}][:limit]
    following = fitting[-1][0] + 1 if len(fitting) == limit else found.count
    return BatchItemPage(items=[each for _, each in fitting], next=str(following) if following < found.count else None)


@router.delete("/{batch}")
async def cancel_batch(batch: OrderPath, caller: Reader, batches: BatchesDoor, settings: Settings) -> BatchRead:
    """Let nothing of a batch begin any more. What has begun is finished. 409: it is over."""
    found = await _seen(batches, caller, batch)
    check_scope(caller, OPERATIONS[found.operation].SCOPE)
    if not await batches.cancel(found, settings.clock()):
        raise HTTPException(HTTPStatus.CONFLICT, "Every item of this batch has been carried out.")
    return _read(found, await batches.progress(found))


def _due_at(order: BatchWrite, now: int) -> int:
    """When a batch is due, ms UTC. Raises RefusedError for an id that is too old or from the future, HTTPException for a time too far ahead."""
    made = order_time_ms(order_id(order.id))
    if made < now - IDS_KEPT_MS:
        raise RefusedError(Refusal.TOO_OLD)
    if made > now + IDS_AHEAD_MS:
        raise RefusedError(Refusal.ID_FROM_THE_FUTURE)
    due_at = max(now, order.at or now)
    if due_at > now + AHEAD_MAX_MS:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "at: expected a time within the next 366 days.")
    return due_at


async def _targets(store: LiveStore, caller: Caller, order: BatchWrite) -> list[str]:
    """Whom a batch is for. Raises RefusedError where one is not there or out of reach, and HTTPException for none or too many."""
    targets = order.targets
    if targets.place:
        found = await _at_place(store, caller, targets.place, order.OF)
        if not 0 < len(found) <= TARGETS_MAX:
            detail = f"At this place are {len(found)} {order.OF}s within reach: a batch has from 1 to {TARGETS_MAX}."
            raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, detail)
        return found
    if targets.meters is not None:
        known = {meter_text(number) for number in await meters_of(store, caller, map(int, targets.meters))}
        return _all_known(targets.meters, known, Refusal.UNKNOWN_METER)
    accounts = targets.accounts or []
    return _all_known(accounts, await accounts_of(store, caller, set(accounts)), Refusal.UNKNOWN_ACCOUNT)


def _all_known(targets: list[str], known: set[str], refusal: Refusal) -> list[str]:
    if unknown := [target for target in targets if target not in known]:
        more = f" and {len(unknown) - _NAMED} more" if len(unknown) > _NAMED else ""
        raise RefusedError(refusal, f"{', '.join(unknown[:_NAMED])}{more}")
    return targets


async def _at_place(store: LiveStore, caller: Caller, place: PlaceTargets, of: str) -> list[str]:
    records = [
        record
        for record in await store.accounts_at(place.site, place.building, place.floor)
        if caller.reach.has(record)
    ]
    if of == "account" and place.commodity is None:
        return sorted(record.account for record in records)
    numbers = [number for record in records for number in record.meters]
    located = await store.locate_meters(numbers)
    fitting = [
        (number, record)
        for number, (_, record) in sorted(located.items())
        if place.commodity is None or Commodity[place.commodity.upper()] == record.commodity
    ]
    if of == "account":
        return sorted({record.account for _, record in fitting})
    return [meter_text(number) for number, _ in fitting]


async def _count(limits: Limits, caller: Caller, scope: Scope, items: int) -> None:
    """Count a batch as orders of its caller: each recharge is one. Raises TooOftenError, or HTTPException where it never could be."""
    orders = items if scope == Scope.RECHARGE else 1
    if orders > limits.orders_max:
        detail = f"Each recharge counts as an order, and a caller may give {limits.orders_max}: make smaller batches."
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, detail)
    if scope in ORDERS and (seconds := await limits.orders(caller.name, orders)):
        raise TooOftenError(seconds)


def _content(order: BatchWrite) -> bytes:
    return hashlib.blake2b(order.model_dump_json(by_alias=True).encode(), digest_size=16).digest()


def _batch(order: Any, caller: Caller, targets: list[str], now: int, due_at: int, content: bytes) -> Batch:
    fields = encode_fact(order.order(due_at, caller.name))
    return Batch(
        id=order.id, operation=order.operation, of=order.OF, kind=str(fields["k"]), version=str(fields["v"]),
        body=bytes(fields["b"]),  # type: ignore[arg-type]  # a body is bytes
        terms=order.terms.model_dump_json(by_alias=True), note=order.note, asked_by=caller.name, by_root=not caller.token,
        asked_at=now, due_at=due_at, count=len(targets), content=content,
    )  # fmt: skip


def _is_seen(caller: Caller, batch: Batch) -> bool:
    return caller.reach.everything or batch.asked_by == caller.name


async def _seen(batches: Batches, caller: Caller, batch: str) -> Batch:
    found = await batches.batch(order_id(batch))
    if found is None or not _is_seen(caller, found):
        raise HTTPException(HTTPStatus.NOT_FOUND, "There is no such batch.")
    return found


def _read(batch: Batch, progress: Progress) -> BatchRead:
    left = batch.count - progress.begun if progress.cancelled_at else 0
    return BatchRead(
        id=batch.id, operation=batch.operation, terms=json.loads(batch.terms), note=batch.note, asked_by=batch.asked_by,
        asked_at=iso(batch.asked_at), at=iso(batch.due_at), state=progress.state(), count=batch.count,
        counts=CountsRead(
            waiting=batch.count - progress.settled - left, done=progress.done, refused=progress.refused,
            failed=progress.failed, cancelled=left,
        ),
        cancelled_at=iso(progress.cancelled_at) if progress.cancelled_at else None,
        finished_at=iso(progress.finished_at) if progress.finished_at else None,
    )  # fmt: skip


def _item(batch: Batch, target: str, items: dict[int, Item | None], place: int, progress: Progress) -> BatchItemRead:
    order, item = order_text(item_id(batch, target)), items.get(place)
    if item is None:
        is_left = place not in items and progress.cancelled_at > 0
        state = ItemState.CANCELLED if is_left else ItemState.WAITING
        return BatchItemRead(target=target, order=order, state=state, at=None, refusal=None, detail="")
    return BatchItemRead(
        target=target, order=order, state=item.state, at=iso(item.at), refusal=item.refusal or None, detail=item.detail
    )
