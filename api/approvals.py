"""Two persons for large refunds: who asks for one cannot approve it.

A refund beyond the limit is kept beside the log, and enters it when a second person approves: only then does the machine see it, with
both names as its operator. Approving appends first and forgets then: killed between the two, whoever speaks next hears
what became of it.
"""

from http import HTTPStatus

from fastapi import APIRouter, Response
from starlette.exceptions import HTTPException

from api.access_models import ApprovalOrder, ApprovalRead
from api.dependencies import AccessDoor, Approver, Settings, StoreDoor
from api.direct import Direct
from api.models import MoneyOrder, MoneyOutcome, OrderPath
from api.orders import UNDECIDED, decided, money_outcome, reply
from api.problems import RefusedError
from api.reach import check_account
from connectors.redis.access import Access
from connectors.redis.formats import iso
from connectors.redis.live import LiveStore
from domain.access import Approval, Caller
from domain.effects import Outcome
from domain.facts import RefundOrdered
from domain.ids import order_id, shard_of
from domain.units import money_text
from domain.words import Refusal

router = APIRouter(prefix="/approvals", tags=["approvals"], route_class=Direct)


async def asked(
    store: LiveStore, access: Access, caller: Caller, account: str, order: MoneyOrder, now: int
) -> Response:
    """Let a refund wait for a second person: 202, and where it waits. The same order again waits once, and has its answer once there is one."""
    approval = Approval(
        id=order.id, account=account, amount_micros=order.amount_micros, currency=order.currency, channel=order.channel,
        note=order.note, asked_by=caller.name, asked_at=now,
    )  # fmt: skip
    if outcome := await store.outcome(account, order_id(order.id)):
        return _answered(outcome, approval)
    kept = await access.ask_approval(order_id(order.id), approval)
    if _content(kept) != _content(approval):
        raise RefusedError(Refusal.EXISTS_WITH_DIFFERENT_CONTENT, "this id waits for an approval with other content")
    return reply(None, order.id, f"/approvals/{order.id}")


def _answered(outcome: Outcome, approval: Approval) -> Response:
    """What became of a refund that the machine has decided already. Raises RefusedError."""
    if (outcome.account, outcome.kind, abs(outcome.amount_micros)) != (
        approval.account,
        RefundOrdered.KIND,
        approval.amount_micros,
    ):
        raise RefusedError(Refusal.EXISTS_WITH_DIFFERENT_CONTENT, "this id was used for another order")
    if outcome.refusal:
        raise RefusedError.of(outcome)
    said = money_outcome(outcome, approval.currency)
    return reply(said, approval.id, f"/accounts/{approval.account}/orders/{approval.id}")


def _content(approval: Approval) -> tuple[str, int, str, str, str]:
    return approval.account, approval.amount_micros, approval.currency, approval.channel, approval.note


@router.get("")
async def list_approvals(caller: Approver, access: AccessDoor, store: StoreDoor) -> list[ApprovalRead]:
    """Refunds that wait for a second person, the oldest first."""
    waiting = await access.approvals()
    records = await store.account_records({each.account for each in waiting})
    return [_read(each) for each in waiting if each.account in records and caller.reach.has(records[each.account])]


@router.get("/{order}")
async def get_approval(order: OrderPath, caller: Approver, access: AccessDoor, store: StoreDoor) -> ApprovalRead:
    """A refund that waits. 404: it does not, or no longer."""
    return _read(await _waiting(access, store, caller, order))


@router.post("/{order}", status_code=201, response_model=MoneyOutcome, responses=UNDECIDED)
async def decide_approval(
    order: OrderPath, word: ApprovalOrder, caller: Approver, access: AccessDoor, store: StoreDoor, settings: Settings
) -> Response:
    """Approve a refund of somebody else, and answer with what the machine decides; or reject it (204)."""
    waiting = await _waiting(access, store, caller, order)
    if waiting.asked_by == caller.name:
        raise HTTPException(HTTPStatus.FORBIDDEN, "Who asks for a refund cannot approve it: a second person must.")
    if outcome := await store.outcome(waiting.account, order_id(order)):
        await access.drop_approval(order_id(order))
        return _answered(outcome, waiting)
    if word.decision == "reject":
        await access.drop_approval(order_id(order))
        return Response(status_code=HTTPStatus.NO_CONTENT)
    fact = RefundOrdered(
        at=settings.clock(), id=waiting.id, account=waiting.account, amount_micros=waiting.amount_micros,
        currency=waiting.currency, channel=waiting.channel, note=waiting.note, operator=f"{waiting.asked_by} + {caller.name}",
    )  # fmt: skip
    try:
        outcome = await decided(store, shard_of(waiting.account, store.shards), fact, settings.wait_seconds)
    except RefusedError:  # After another error it goes on waiting: it may have been ordered or not.
        await access.drop_approval(order_id(order))
        raise
    await access.drop_approval(order_id(order))
    said = money_outcome(outcome, waiting.currency) if outcome else None
    return reply(said, waiting.id, f"/accounts/{waiting.account}/orders/{waiting.id}")


async def _waiting(access: Access, store: LiveStore, caller: Caller, order: str) -> Approval:
    waiting = await access.approval(order_id(order))
    if waiting is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "No order of this id waits for an approval.")
    await check_account(store, caller, waiting.account)
    return waiting


def _read(approval: Approval) -> ApprovalRead:
    return ApprovalRead(
        id=approval.id, account=approval.account, amount=money_text(approval.amount_micros), currency=approval.currency,
        channel=approval.channel, note=approval.note, asked_by=approval.asked_by, asked_at=iso(approval.asked_at),
    )  # fmt: skip
