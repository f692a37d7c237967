"""Accounts: their balances, outlooks and ledgers."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.dependencies import Reader, Settings, StoreDoor
from api.direct import Direct
from api.models import (
    AccountPage,
    AccountPath,
    AccountRead,
    LedgerPage,
    OutlookRead,
)
from api.outlooks import outlook_read
from api.reach import account_and_meters_of, account_of
from api.views import account_read, account_summary, posting_read
from connectors.redis.live import AccountView

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
