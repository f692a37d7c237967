"""Accounts: their balances, outlooks and ledgers."""

from bisect import bisect_left
from collections.abc import Iterator
from itertools import islice
from typing import Annotated

from fastapi import APIRouter, Query, Response

from api.accounts.outlooks import outlook_read
from api.doors.answers import answer
from api.doors.dependencies import DirectoryDoor, Reader, Settings, StoreDoor
from api.doors.direct import Direct
from api.doors.reach import account_and_meters_of, account_of
from api.models import (
    AccountPage,
    AccountPath,
    AccountRead,
    LedgerPage,
    OutlookRead,
)
from api.rooms.models import AccountQuery
from api.rooms.selection import tests_of
from api.rooms.views import account_summary
from api.views import account_read, posting_read
from connectors.redis.directory import Directory, Entry, Listed
from domain.access import Reach
from domain.state import AccountRecord

router = APIRouter(prefix="/accounts", tags=["accounts"], route_class=Direct)

Limit = Annotated[int, Query(ge=1, le=500)]


@router.get("", response_model=AccountPage)
async def list_accounts(
    asked: Annotated[AccountQuery, Query()], caller: Reader, directory: DirectoryDoor, settings: Settings
) -> Response:
    """Accounts in a fixed order, by pages. An account that is opened meanwhile appears on a later page or in its place."""
    shards = await directory.current()
    tests = tests_of(shards, caller.reach, asked, settings.clock())
    shard, row = map(int, asked.cursor.split("-"))
    entries = _entries(directory, shards[shard:], row, caller.reach)
    found = list(islice((entry for entry in entries if all(test(entry) for test in tests)), asked.limit + 1))
    following = f"{found[-1].shard}-{found[-1].row}" if len(found) > asked.limit else None
    accounts = [account_summary(shards[entry.shard], entry.record) for entry in found[: asked.limit]]
    return answer({"accounts": accounts, "next": following})


def _entries(directory: Directory, shards: list[Listed], row: int, reach: Reach) -> Iterator[Entry]:
    """Accounts that a reach may have in the order in which they were opened, of the first shard those from a row on."""
    for listed in shards:
        records = listed.by_row
        if not reach.everything and not reach.sites:
            named = (listed.records["account_records"].get(account) for account in reach.accounts)
            records = sorted((record for record in named if record), key=_row)
        for record in islice(records, bisect_left(records, row, key=_row), None):
            yield directory.entries[record.account]
        row = 0


def _row(record: AccountRecord) -> int:
    return record.row


@router.get("/{account}", response_model=AccountRead)
async def get_account(account: AccountPath, caller: Reader, store: StoreDoor) -> Response:
    """Balance, level, meters, and the open day."""
    return answer(account_read(*await account_and_meters_of(store, caller, account)))


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
