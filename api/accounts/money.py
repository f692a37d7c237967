"""Money by order: recharges, refunds, adjustments and reversals, and what became of any order of an account."""

from http import HTTPStatus

from fastapi import APIRouter, Response
from starlette.exceptions import HTTPException

from api.accounts.money_models import AdjustmentOrder, ReversalOrder
from api.doors.dependencies import DeskDoor, Reader, Recharger, Refunder, StoreDoor
from api.doors.reach import account_of, check_account
from api.models import AccountPath, MoneyOrder, MoneyOutcome, OrderPath
from api.orders.approvals import order_alone_or_ask
from api.orders.placing import UNDECIDED, money_outcome, order_account
from api.orders.route import OrderRoute
from domain.facts import AdjustmentOrdered, RechargeOrdered, RefundOrdered, ReversalOrdered
from domain.ids import order_id

router = APIRouter(prefix="/accounts", tags=["accounts"], route_class=OrderRoute)


@router.post("/{account}/recharges", status_code=201, response_model=MoneyOutcome, responses=UNDECIDED)
async def recharge(account: AccountPath, order: MoneyOrder, caller: Recharger, desk: DeskDoor) -> Response:
    """Credit an account. The same order again has the same answer, and no other effect."""
    await check_account(desk.store, caller, account)
    fact = RechargeOrdered(
        at=desk.settings.clock(), id=order.id, account=account, amount_micros=order.amount_micros, currency=order.currency,
        channel=order.channel, note=order.note,
    )  # fmt: skip
    return await order_account(desk, fact, order.currency)


@router.post("/{account}/refunds", status_code=201, response_model=MoneyOutcome, responses=UNDECIDED)
async def refund(account: AccountPath, order: MoneyOrder, caller: Refunder, desk: DeskDoor) -> Response:
    """Pay out of an account's balance, never more than it holds. It may need a second person: 202, and where it waits."""
    await check_account(desk.store, caller, account)
    fact = RefundOrdered(
        at=desk.settings.clock(), id=order.id, account=account, amount_micros=order.amount_micros, currency=order.currency,
        channel=order.channel, note=order.note,
    )  # fmt: skip
    return await order_alone_or_ask(desk, caller, fact, fact.amount_micros, order.currency)


@router.post("/{account}/adjustments", status_code=201, response_model=MoneyOutcome, responses=UNDECIDED)
async def adjust(account: AccountPath, order: AdjustmentOrder, caller: Refunder, desk: DeskDoor) -> Response:
    """Give an account an amount, or take it where it is negative, below zero too. It may need a second person: 202, and where it waits."""
    await check_account(desk.store, caller, account)
    fact = AdjustmentOrdered(
        at=desk.settings.clock(), id=order.id, account=account, amount_micros=order.amount_micros, currency=order.currency,
        note=order.note, operator=caller.name, corrects=order.corrects or "",
    )  # fmt: skip
    return await order_alone_or_ask(desk, caller, fact, abs(fact.amount_micros), order.currency)


@router.post("/{account}/reversals", status_code=201, response_model=MoneyOutcome, responses=UNDECIDED)
async def reverse(account: AccountPath, order: ReversalOrder, caller: Refunder, desk: DeskDoor) -> Response:
    """Take back a whole recharge whose payment failed, once, below zero too."""
    view = await account_of(desk.store, caller, account)
    fact = ReversalOrdered(
        at=desk.settings.clock(), id=order.id, account=account, order=order.order, note=order.note, operator=caller.name
    )
    return await order_account(desk, fact, view.record.currency)


@router.get("/{account}/orders/{order}")
async def get_order(account: AccountPath, order: OrderPath, caller: Reader, store: StoreDoor) -> MoneyOutcome:
    """What became of any order of an account; kept for 90 days. 404: not decided, or never sent."""
    view = await account_of(store, caller, account)
    outcome = await store.outcome(account, order_id(order))
    if outcome is None or outcome.account != account:
        raise HTTPException(HTTPStatus.NOT_FOUND, "No order of this id has been decided for this account.")
    return money_outcome(outcome, view.record.currency)
