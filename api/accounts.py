"""Accounts: their balances, their ledgers, and the orders that move their money."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Response
from starlette.exceptions import HTTPException

from api.approvals import asked
from api.dependencies import AccessDoor, Reader, Recharger, Refunder, Settings, StoreDoor
from api.direct import Direct
from api.models import (
    AccountPage,
    AccountPath,
    AccountRead,
    LedgerPage,
    MoneyOrder,
    MoneyOutcome,
    OrderPath,
    OutlookRead,
)
from api.orders import UNDECIDED, decided, money_outcome, reply
from api.outlooks import outlook_read
from api.reach import account_and_meters_of, account_of, check_account
from api.settings import ApiSettings
from api.views import account_read, account_summary, posting_read
from connectors.redis.live import AccountView, LiveStore
from domain.facts import RechargeOrdered, RefundOrdered
from domain.ids import order_id, shard_of

router = APIRouter(prefix="/accounts", tags=["accounts"], route_class=Direct)

Limit = Annotated[int, Query(ge=1, le=500)]
Cursor = Annotated[str, Query(pattern=r"^\d{1,4}-\d{1,9}$", description="`next` of the page before.")]


@router.get("")
async def list_accounts(caller: Reader, store: StoreDoor, limit: Limit = 100, cursor: Cursor = "0-0") -> AccountPage:
    """Accounts in a fixed order, by pages. An account that is opened meanwhile appears on a later page or in its place."""
    shard, row = map(int, cursor.split("-"))
    found: list[AccountView] = []
    while shard < store.shards and len(found) <= limit:
        views = await store.accounts(shard)
        found += [view for view in views if view.record.row >= row and caller.reach.has(view.record)]
        shard, row = shard + 1, 0
    following = f"{found[limit].shard}-{found[limit].record.row}" if len(found) > limit else None
    return AccountPage(accounts=[account_summary(view) for view in found[:limit]], next=following)


@router.get("/{account}")
async def get_account(account: AccountPath, caller: Reader, store: StoreDoor) -> AccountRead:
    """Balance, level, meters, and the open day."""
    return account_read(*await account_and_meters_of(store, caller, account))


@router.get("/{account}/outlook")
async def get_outlook(account: AccountPath, caller: Reader, store: StoreDoor, settings: Settings) -> OutlookRead:
    """When the money will have run down, and when the supply will be cut, if the meters go on using as they did."""
    view = await account_of(store, caller, account)
    documents = {name: record.document for name, record in (await store.tariffs()).items()}
    meters, counted = await store.meters_of(view), await store.counted(view)
    return outlook_read(view, meters, counted, await store.controls(view), documents, settings.clock())


@router.get("/{account}/ledger")
async def get_ledger(
    account: AccountPath,
    caller: Reader,
    store: StoreDoor,
    limit: Limit = 100,
    skip: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> LedgerPage:
    """Postings, newest first. The usage of a day is posted when the day is over; until then it is in the balance only."""
    view = await account_of(store, caller, account)
    postings = await store.ledger(view, limit, skip)
    return LedgerPage(
        account=account, currency=view.record.currency, postings=[posting_read(posting) for posting in postings]
    )


@router.post("/{account}/recharges", status_code=201, response_model=MoneyOutcome, responses=UNDECIDED)
async def recharge(
    account: AccountPath, order: MoneyOrder, caller: Recharger, store: StoreDoor, settings: Settings
) -> Response:
    """Credit an account. The same order again has the same answer, and no other effect."""
    await check_account(store, caller, account)
    return await _order_money(RechargeOrdered, account, order, store, settings)


@router.post("/{account}/refunds", status_code=201, response_model=MoneyOutcome, responses=UNDECIDED)
async def refund(
    account: AccountPath, order: MoneyOrder, caller: Refunder, access: AccessDoor, store: StoreDoor, settings: Settings
) -> Response:
    """Pay out of an account's balance, never more than it holds. A large refund may need a second person: 202, and where it waits."""
    await check_account(store, caller, account)
    if settings.approve_over is not None and order.amount_micros > settings.approve_over:
        return await asked(store, access, caller, account, order, settings.wall())
    return await _order_money(RefundOrdered, account, order, store, settings)


@router.get("/{account}/orders/{order}")
async def get_order(account: AccountPath, order: OrderPath, caller: Reader, store: StoreDoor) -> MoneyOutcome:
    """What became of a recharge or refund; kept for 90 days. 404: not decided, or never sent."""
    view = await account_of(store, caller, account)
    outcome = await store.outcome(account, order_id(order))
    if outcome is None or outcome.account != account or outcome.kind not in {RechargeOrdered.KIND, RefundOrdered.KIND}:
        raise HTTPException(HTTPStatus.NOT_FOUND, "No order of this id has been decided for this account.")
    return money_outcome(outcome, view.record.currency)


async def _order_money(
    kind: type[RechargeOrdered | RefundOrdered],
    account: str,
    order: MoneyOrder,
    store: LiveStore,
    settings: ApiSettings,
) -> Response:
    fact = kind(
        at=settings.clock(),
        id=order.id,
        account=account,
        amount_micros=order.amount_micros,
        currency=order.currency,
        channel=order.channel,
        note=order.note,
    )
    outcome = await decided(store, shard_of(account, store.shards), fact, settings.wait_seconds)
    said = money_outcome(outcome, order.currency) if outcome else None
    return reply(said, order.id, f"/accounts/{account}/orders/{order.id}")
