"""What a caller may know of: the one place where an account, a meter or an order is held against the caller's reach.

What is out of reach is answered as if it were not there: nobody learns of others' accounts by asking for them.
"""

from collections.abc import Iterable
from http import HTTPStatus

from starlette.exceptions import HTTPException

from api.doors.problems import RefusedError
from connectors.redis.live import AccountAndMeters, AccountView, LiveStore
from domain.access import Caller
from domain.ids import shard_of
from domain.state import AccountRecord, MeterRecord
from domain.words import Refusal


async def account_and_meters_of(store: LiveStore, caller: Caller, account: str) -> AccountAndMeters:
    """An account that the caller reaches, with its meters. Raises RefusedError."""
    found = await store.account_and_meters(account)
    if found is None or not caller.reach.has(found[0].record):
        raise RefusedError(Refusal.UNKNOWN_ACCOUNT)
    return found


async def account_of(store: LiveStore, caller: Caller, account: str) -> AccountView:
    """An account that the caller reaches. Raises RefusedError."""
    return (await account_and_meters_of(store, caller, account))[0]


async def check_account(store: LiveStore, caller: Caller, account: str) -> None:
    """That an order for this account is the caller's to give. Whether it exists is the machine's to say. Raises RefusedError."""
    if not caller.reach.everything:
        await account_of(store, caller, account)


def check_place(caller: Caller, account: str, site: str) -> None:
    """That the caller may let an account be in a site: within reach by its name or by the site. Raises HTTPException."""
    reach = caller.reach
    if not (reach.everything or account in reach.accounts or site in reach.sites):
        raise HTTPException(HTTPStatus.FORBIDDEN, "Neither this account nor this site is within your reach.")


async def meter_of(store: LiveStore, caller: Caller, meter: str) -> tuple[int, MeterRecord]:
    """The shard and record of a meter whose account the caller reaches. Raises RefusedError."""
    located = await store.locate_meter(int(meter))
    if located is None:
        raise RefusedError(Refusal.UNKNOWN_METER)
    if not caller.reach.everything:
        view = await store.account(located[1].account)
        if view is None or not caller.reach.has(view.record):
            raise RefusedError(Refusal.UNKNOWN_METER)
    return located


async def accounts_in(
    store: LiveStore, caller: Caller, site: str | None = None, account: str | None = None
) -> dict[int, list[AccountRecord]]:
    """Records of the accounts that the caller reaches, of one site or one account where that is said, by shard. Raises RefusedError."""
    if account is not None:
        view = await account_of(store, caller, account)
        found = {view.shard: [view.record]}
    elif not caller.reach.everything and not caller.reach.sites:
        records = await store.account_records(set(caller.reach.accounts))
        found = {}
        for record in records.values():
            found.setdefault(shard_of(record.account, store.shards), []).append(record)
    else:
        found = {shard: [view.record for view in await store.accounts(shard)] for shard in range(store.shards)}
    return {
        shard: kept
        for shard, some in sorted(found.items())
        if (kept := [each for each in some if caller.reach.has(each) and site in {None, each.place.site}])
    }


async def meters_of(store: LiveStore, caller: Caller, numbers: Iterable[int]) -> dict[int, tuple[int, MeterRecord]]:
    """The shard and record of those of some meters whose accounts the caller reaches."""
    located = await store.locate_meters(list(numbers))
    if caller.reach.everything:
        return located
    records = await store.account_records({record.account for _, record in located.values()})
    return {
        number: found
        for number, found in located.items()
        if found[1].account in records and caller.reach.has(records[found[1].account])
    }


async def accounts_of(store: LiveStore, caller: Caller, accounts: set[str]) -> set[str]:
    """Those of some accounts that are there and that the caller reaches."""
    records = await store.account_records(accounts)
    return {account for account, record in records.items() if caller.reach.has(record)}


async def check_site(store: LiveStore, caller: Caller, site: str, *, by_name: bool = True) -> None:
    """That a site is the caller's: within reach itself or, `by_name`, as that of an account within reach. Raises HTTPException."""
    if caller.reach.everything or site in caller.reach.sites:
        return
    records = await store.account_records(set(caller.reach.accounts)) if by_name else {}
    if not any(record.place.site == site for record in records.values()):
        raise HTTPException(HTTPStatus.NOT_FOUND, "There is no such site.")
