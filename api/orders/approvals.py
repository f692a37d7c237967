"""Two persons for much money: who asks for it cannot approve it.

Refunds, adjustments, and closings and transfers that pay a balance out or give it up, need a second person where one is about more than the
limit, or where they add up to more with what the same caller ordered alone in the last 24 hours. Such an order is kept beside the log, and enters it when a second person
approves: only then does the machine see it, with both names as its operator. Approving appends first and forgets then: killed between
the two, whoever speaks next hears what became of it.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import APIRouter, Response
from starlette.exceptions import HTTPException

from api.access.models import ApprovalOrder, ApprovalRead
from api.doors.dependencies import AccessDoor, Approver, Desk, DeskDoor, StoreDoor
from api.doors.direct import Direct
from api.doors.problems import RefusedError
from api.doors.reach import check_account
from api.models import MoneyOutcome, OrderPath
from api.orders.placing import UNDECIDED, account_order_at, decided, money_outcome, order_account, reply
from connectors.redis.access import ALONE_MS, Access
from connectors.redis.formats import iso
from connectors.redis.live import AccountView, LiveStore
from domain.access import ROOT, Approval, Caller
from domain.effects import Outcome
from domain.facts import AccountClosed, AccountTransferred, AdjustmentOrdered, RefundOrdered
from domain.ids import order_id, shard_of
from domain.units import money_text
from domain.words import Refusal, Settlement

router = APIRouter(prefix="/approvals", tags=["approvals"], route_class=Direct)

Costly = RefundOrdered | AdjustmentOrdered | AccountTransferred | AccountClosed
KINDS: dict[str, type[Costly]] = {
    kind.KIND: kind for kind in (RefundOrdered, AdjustmentOrdered, AccountTransferred, AccountClosed)
}
"""What may need a second person."""
_OF_THE_APPROVAL = ("id", "account", "amount_micros", "currency", "channel", "note")


def given_up(view: AccountView, settlement: Settlement) -> int:
    """Micros that an account's settlement would pay out or write off as its balance is now."""
    gives = settlement in {Settlement.REFUND, Settlement.WRITE_OFF}
    return abs(int(view.row["balance"])) if gives else 0


async def order_alone_or_ask(desk: Desk, caller: Caller, fact: Costly, micros: int, currency: str) -> Response:
    """Give an order about so many micros; or let it wait for a second person: 202, and where it waits.

    The same order again waits once, counts once, and has its answer once there is one.
    """
    if desk.settings.approve_over is None:
        return await order_account(desk, fact, currency)
    approval = _approval(caller, fact, micros, currency, desk.settings.wall())
    if outcome := await desk.store.outcome(fact.account, order_id(fact.id)):
        return _answered(outcome, approval)
    waiting = await desk.access.approval(order_id(fact.id))
    if waiting is None and await _may_alone(desk, caller, fact.id, micros, desk.settings.approve_over):
        return await order_account(desk, fact, currency)
    kept = waiting or await desk.access.ask_approval(order_id(fact.id), approval)
    if _content(kept) != _content(approval):
        raise RefusedError(Refusal.EXISTS_WITH_DIFFERENT_CONTENT, "this id waits for an approval with other content")
    return reply(None, fact.id, f"/approvals/{fact.id}")


async def _may_alone(desk: Desk, caller: Caller, order: str, micros: int, most: int) -> bool:
    """Whether one person is enough: for nothing, and for what stays within the limit with all else of these hours, once a caller is no newcomer."""
    now = desk.settings.wall()
    if micros <= 0:
        return True
    if micros > most or _is_new(caller.since, now):
        return False
    return await desk.access.may_alone(caller.name, order_id(order), micros, most, now)


def _is_new(since: int, now: int) -> bool:
    return now - since < ALONE_MS


def _approval(caller: Caller, fact: Costly, micros: int, currency: str, now: int) -> Approval:
    said = msgspec.to_builtins(fact)
    terms = {name: value for name, value in said.items() if name not in {"at", "operator", *_OF_THE_APPROVAL}}
    return Approval(
        id=fact.id, account=fact.account, amount_micros=said.get("amount_micros", micros), currency=currency,
        channel=said.get("channel", ""), note=said.get("note", ""), asked_by=caller.name, asked_at=now, kind=fact.KIND,
        terms=terms, asked_since=caller.since, asked_made_by=caller.made_by,
    )  # fmt: skip


def _fact(approval: Approval, at: int, operator: str) -> Costly:
    """The order itself."""
    kind = KINDS[approval.kind]
    said = {name: getattr(approval, name) for name in _OF_THE_APPROVAL} | {"at": at, "operator": operator}
    fields: Sequence[str] = kind.__struct_fields__
    return msgspec.convert({name: said[name] for name in fields if name in said} | approval.terms, kind)


def _content(approval: Approval) -> tuple[Any, ...]:
    """What was asked for. What a settlement is about follows from the balance, and is no part of it."""
    amount = None if approval.kind in _SETTLING else approval.amount_micros
    return approval.kind, approval.account, amount, approval.currency, approval.channel, approval.note, approval.terms


_SETTLING = {AccountTransferred.KIND, AccountClosed.KIND}


def _answered(outcome: Outcome, approval: Approval) -> Response:
    """What became of an order that the machine has decided already. Raises RefusedError."""
    same = (outcome.account, outcome.kind) == (approval.account, approval.kind)
    if not same or (approval.kind not in _SETTLING and outcome.amount_micros != approval.amount_micros):
        raise RefusedError(Refusal.EXISTS_WITH_DIFFERENT_CONTENT, "this id was used for another order")
    if outcome.refusal:
        raise RefusedError.of(outcome)
    return _reply(outcome, approval)


def _reply(outcome: Outcome | None, approval: Approval) -> Response:
    said = money_outcome(outcome, approval.currency) if outcome else None
    return reply(said, approval.id, account_order_at(approval.account, approval.id))


@router.get("")
async def list_approvals(caller: Approver, access: AccessDoor, store: StoreDoor) -> list[ApprovalRead]:
    """Orders that wait for a second person, the oldest first."""
    waiting = await access.approvals()
    records = await store.account_records({each.account for each in waiting})
    return [_read(each) for each in waiting if each.account in records and caller.reach.has(records[each.account])]


@router.get("/{order}")
async def get_approval(order: OrderPath, caller: Approver, access: AccessDoor, store: StoreDoor) -> ApprovalRead:
    """An order that waits. 404: it does not, or no longer."""
    return _read(await _waiting(access, store, caller, order))


@router.post("/{order}", status_code=201, response_model=MoneyOutcome, responses=UNDECIDED)
async def decide_approval(order: OrderPath, word: ApprovalOrder, caller: Approver, desk: DeskDoor) -> Response:
    """Approve an order of somebody else, and answer with what the machine decides; or reject it (204)."""
    access, store = desk.access, desk.store
    waiting = await _waiting(access, store, caller, order)
    if word.decision == "approve":
        _check_second(caller, waiting, desk.settings.wall())
    if outcome := await store.outcome(waiting.account, order_id(order)):
        await access.drop_approval(order_id(order))
        return _answered(outcome, waiting)
    if word.decision == "reject":
        await access.drop_approval(order_id(order))
        return Response(status_code=HTTPStatus.NO_CONTENT)
    await _check_amount(desk, waiting)
    fact = _fact(waiting, desk.settings.clock(), f"{waiting.asked_by} + {caller.name}")
    try:
        outcome = await decided(store, shard_of(waiting.account, store.shards), fact, desk.settings.wait_seconds)
    except RefusedError:  # After another error it goes on waiting: it may have been ordered or not.
        await access.drop_approval(order_id(order))
        raise
    await access.drop_approval(order_id(order))
    return _reply(outcome, waiting)


def _check_second(caller: Caller, waiting: Approval, now: int) -> None:
    """That a second person approves: one who signed in, and not a face of the first. Raises HTTPException.

    Whoever may make people can make a second self. It is of no use on its first day, and who made or changed whom is written down.
    """
    if caller.name == waiting.asked_by:
        raise HTTPException(HTTPStatus.FORBIDDEN, "Who asks for it cannot approve it: a second person must.")
    if not caller.is_person:
        raise HTTPException(
            HTTPStatus.FORBIDDEN, f"Neither a program nor {ROOT.name} approves: a person signs in for it."
        )
    if caller.name == waiting.asked_made_by:
        raise HTTPException(
            HTTPStatus.FORBIDDEN, "A program asked for it, and you made its token: somebody else must approve."
        )
    if _is_new(caller.since, now) or _is_new(waiting.asked_since, now):
        raise HTTPException(
            HTTPStatus.FORBIDDEN,
            "Who asked and who approves must both be known, and unchanged by others, for 24 hours.",
        )


async def _check_amount(desk: Desk, waiting: Approval) -> None:
    """That a settlement is still about what was asked for, or less. Raises HTTPException, and from then on the new amount waits."""
    if waiting.kind not in _SETTLING:
        return
    view = await desk.store.account(waiting.account)
    micros = given_up(view, Settlement(str(waiting.terms["settlement"]))) if view else 0
    if micros > waiting.amount_micros:
        changed = msgspec.structs.replace(waiting, amount_micros=micros)
        await desk.access.replace_approval(order_id(waiting.id), changed)
        detail = f"The balance has changed: it is about {money_text(micros)} now, which waits to be approved."
        raise HTTPException(HTTPStatus.CONFLICT, detail)


async def _waiting(access: Access, store: LiveStore, caller: Caller, order: str) -> Approval:
    waiting = await access.approval(order_id(order))
    if waiting is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "No order of this id waits for an approval.")
    await check_account(store, caller, waiting.account)
    return waiting


def _read(approval: Approval) -> ApprovalRead:
    return ApprovalRead(
        id=approval.id, kind=approval.kind, account=approval.account, amount=money_text(approval.amount_micros),
        currency=approval.currency, channel=approval.channel, note=approval.note or str(approval.terms.get("reason", "")),
        asked_by=approval.asked_by, asked_at=iso(approval.asked_at),
    )  # fmt: skip
