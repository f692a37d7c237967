"""Accounts from their opening to their closing: opened or prepared, opened with one action, changed, passed on, closed.

An opening may bring its meters, fees, allowance and first recharge along. Each is an order of its own, whose id follows from that of the
opening: the same opening again completes what is missing and doubles nothing, and one that is refused says what was done before.
"""

import hashlib
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from ulid import ULID

from api.accounts.charge_items import allowance_set, item_set
from api.accounts.life_models import (
    AccountActivation,
    AccountChange,
    AccountClosure,
    AccountOpening,
    AccountTransfer,
    OpeningOutcome,
    PartRead,
)
from api.doors.dependencies import Desk, DeskDoor, Manager
from api.doors.problems import RefusedError
from api.doors.reach import account_of, check_place
from api.meters.life import check_free, decided_for, installed
from api.models import AccountPath, MoneyOutcome
from api.orders.approvals import given_up, order_alone_or_ask
from api.orders.placing import (
    UNDECIDED,
    AccountOrder,
    account_order_at,
    decided,
    money_outcome,
    order_account,
    outcome_fields,
    reply,
)
from api.orders.route import OrderRoute
from domain.effects import Outcome
from domain.facts import (
    AccountActivated,
    AccountClosed,
    AccountOpened,
    AccountTransferred,
    AccountUpdated,
    AlarmTerms,
    MeterInstalled,
    RechargeOrdered,
)
from domain.ids import order_id, shard_of
from domain.units import money_micros

router = APIRouter(prefix="/accounts", tags=["accounts"], route_class=OrderRoute)


@router.post("", status_code=201, response_model=OpeningOutcome, responses=UNDECIDED)
async def open_account(order: AccountOpening, caller: Manager, desk: DeskDoor) -> Response:
    """Open an account or prepare it, alone or with all that belongs to it. The same opening again changes nothing.

    A part that is refused ends it: the problem's `done` has what was carried out before, and the same opening without that part, or with another
    one in its place, under a new id goes on from there.
    """
    check_place(caller, order.account, order.place.site)
    facts = await _opening(desk, order)
    shard, done = shard_of(order.account, desk.store.shards), list[tuple[str, Outcome]]()
    for part, fact in facts:
        try:
            outcome = await _carried_out(desk, shard, fact)
        except RefusedError as error:
            detail = f"{part}: {error.detail}" if error.detail else part
            said = [_part(*each).model_dump() for each in done]
            raise RefusedError(error.refusal, detail, part=part, done=said) from None
        if outcome is None:
            return reply(None, order.id, account_order_at(order.account, fact.id))
        done.append((part, outcome))
    return _opened(order, [outcome for _, outcome in done], [_part(*each) for each in done[1:]])


def _opened(order: AccountOpening, outcomes: list[Outcome], parts: list[PartRead]) -> Response:
    first = money_outcome(outcomes[0], order.currency).model_dump()
    last = next(each for each in reversed(outcomes) if each.account == order.account)
    first["balance"] = money_outcome(last, order.currency).balance
    return JSONResponse(
        OpeningOutcome(**first, parts=parts).model_dump(), 201, {"Location": account_order_at(order.account, order.id)}
    )


def _part(part: str, outcome: Outcome) -> PartRead:
    return PartRead(**outcome_fields(outcome), part=part)


async def _carried_out(desk: Desk, shard: int, fact: AccountOrder | MeterInstalled) -> Outcome | None:
    if isinstance(fact, MeterInstalled):
        return await decided_for(desk, shard, fact, fact.meter)
    return await decided(desk.store, shard, fact, desk.settings.wait_seconds)


async def _opening(desk: Desk, order: AccountOpening) -> list[tuple[str, Any]]:
    """What an opening asks for, in its order, each with its name. Raises RefusedError for what can be known beforehand: then nothing is done."""
    at, shard = desk.settings.clock(), shard_of(order.account, desk.store.shards)
    facts: list[tuple[str, Any]] = [("account", _account_opened(order, at))]
    for meter in order.meters:
        part = f"meters/{meter.meter}"
        await check_free(desk.store, int(meter.meter), shard)
        facts.append((part, await installed(desk, meter, order.account, part_id(order.id, part))))
    for item in order.items:
        part = f"items/{item.item}"
        named = item_set(desk, order.account, item.item, item, part_id(order.id, part), order.place.site)
        facts.append((part, await named))
    if order.allowance:
        facts.append(("allowance", allowance_set(desk, order.account, order.allowance, part_id(order.id, "allowance"))))
    if order.recharge:
        facts.append(("recharge", _first_recharge(order, at)))
    return facts


def part_id(order: str, part: str) -> str:
    """The id of a part of an order: of the same time, and for ever the same."""
    key = order_id(order)
    return str(ULID.from_bytes(key[:6] + hashlib.blake2b(key + part.encode(), digest_size=10).digest()))


def _account_opened(order: AccountOpening, at: int) -> AccountOpened:
    return AccountOpened(
        at=at, id=order.id, account=order.account, currency=order.currency, name=order.name, place=order.place.place,
        alarms=order.alarms.terms if order.alarms else AlarmTerms(), prepared=order.prepared, policy=order.policy,
    )  # fmt: skip


def _first_recharge(order: AccountOpening, at: int) -> RechargeOrdered:
    assert order.recharge is not None
    return RechargeOrdered(
        at=at, id=part_id(order.id, "recharge"), account=order.account, amount_micros=money_micros(order.recharge.amount),
        currency=order.currency, channel=order.recharge.channel, note=order.recharge.note,
    )  # fmt: skip


@router.post("/{account}/activations", status_code=201, response_model=MoneyOutcome, responses=UNDECIDED)
async def activate_account(account: AccountPath, order: AccountActivation, caller: Manager, desk: DeskDoor) -> Response:
    """Open a prepared account, or a closed one again for a new tenant."""
    view = await account_of(desk.store, caller, account)
    fact = AccountActivated(
        at=desk.settings.clock(), id=order.id, account=account, name=order.name, operator=caller.name
    )
    return await order_account(desk, fact, view.record.currency)


@router.patch("/{account}", status_code=201, response_model=MoneyOutcome, responses=UNDECIDED)
async def change_account(account: AccountPath, order: AccountChange, caller: Manager, desk: DeskDoor) -> Response:
    """Change an account's name, place, alarm amounts or policy; its balance is judged by new amounts at once."""
    view = await account_of(desk.store, caller, account)
    if order.place:
        check_place(caller, account, order.place.site)
    fact = AccountUpdated(
        at=desk.settings.clock(), id=order.id, account=account, name=order.name, place=order.place.place if order.place else None,
        alarms=order.alarms.terms if order.alarms else None, policy=order.policy, operator=caller.name,
    )  # fmt: skip
    return await order_account(desk, fact, view.record.currency)


@router.post("/{account}/transfers", status_code=201, response_model=MoneyOutcome, responses=UNDECIDED)
async def transfer_account(account: AccountPath, order: AccountTransfer, caller: Manager, desk: DeskDoor) -> Response:
    """Pass an account on to another tenant. What pays much out or gives it up needs a second person: 202, and where it waits."""
    view = await account_of(desk.store, caller, account)
    fact = AccountTransferred(
        at=desk.settings.clock(), id=order.id, account=account, name=order.name, settlement=order.word, channel=order.channel,
        reason=order.reason, operator=caller.name,
    )  # fmt: skip
    return await order_alone_or_ask(desk, caller, fact, given_up(view, order.word), view.record.currency)


@router.post("/{account}/closures", status_code=201, response_model=MoneyOutcome, responses=UNDECIDED)
async def close_account(account: AccountPath, order: AccountClosure, caller: Manager, desk: DeskDoor) -> Response:
    """Settle an account to exactly zero and close it. What pays much out or gives it up needs a second person: 202, and where it waits."""
    view = await account_of(desk.store, caller, account)
    fact = AccountClosed(
        at=desk.settings.clock(), id=order.id, account=account, settlement=order.word, channel=order.channel, reason=order.reason,
        cut=order.cut, operator=caller.name,
    )  # fmt: skip
    return await order_alone_or_ask(desk, caller, fact, given_up(view, order.word), view.record.currency)
