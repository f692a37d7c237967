"""What an account pays besides usage, and what it has free: charge items and the allowance."""

from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Response
from starlette.exceptions import HTTPException

from api.accounts.life_models import (
    AllowanceOrder,
    AllowanceRead,
    AllowanceWrite,
    ItemEnd,
    ItemName,
    ItemOrder,
    ItemPage,
    ItemRead,
    ItemWrite,
)
from api.doors.dependencies import Desk, DeskDoor, Manager, Reader, StoreDoor
from api.doors.reach import account_of
from api.models import AccountPath, MoneyOutcome
from api.orders.placing import UNDECIDED, order_account
from api.orders.route import OrderRoute
from connectors.redis.formats import date_text, iso
from connectors.redis.live import AccountView
from domain.facts import AllowanceSet, ChargeItemEnded, ChargeItemSet
from domain.state import ChargeItem
from domain.units import money_text, quantity_text
from domain.words import UNITS, AllowanceKind, Commodity

router = APIRouter(prefix="/accounts", tags=["accounts"], route_class=OrderRoute)

ItemPath = Annotated[ItemName, Path(description="The fee's name within the account.")]


@router.get("/{account}/items")
async def list_items(account: AccountPath, caller: Reader, store: StoreDoor) -> ItemPage:
    """Fees that an account pays, by name. One that has ended is not among them; what it took is in the ledger."""
    view = await account_of(store, caller, account)
    return ItemPage(items=[_item_read(item) for item in await store.charge_items(view)])


@router.put("/{account}/items/{item}", status_code=201, response_model=MoneyOutcome, responses=UNDECIDED)
async def set_item(account: AccountPath, item: ItemPath, order: ItemOrder, caller: Manager, desk: DeskDoor) -> Response:
    """Let an account pay a fee, or by other terms from now on. What has been charged is never charged again."""
    view = await account_of(desk.store, caller, account)
    fact = await item_set(desk, account, item, order, order.id, view.record.place.site)
    return await order_account(desk, msgspec.structs.replace(fact, operator=caller.name), view.record.currency)


@router.post("/{account}/items/{item}/end", status_code=201, response_model=MoneyOutcome, responses=UNDECIDED)
async def end_item(account: AccountPath, item: ItemPath, order: ItemEnd, caller: Manager, desk: DeskDoor) -> Response:
    """Let a fee fall due no more. What has fallen due by then is taken."""
    view = await account_of(desk.store, caller, account)
    fact = ChargeItemEnded(at=desk.settings.clock(), id=order.id, account=account, item=item, operator=caller.name)
    return await order_account(desk, fact, view.record.currency)


@router.get("/{account}/allowance")
async def get_allowance(account: AccountPath, caller: Reader, store: StoreDoor) -> AllowanceRead:
    """What an account has free each local month."""
    view = await account_of(store, caller, account)
    return _allowance_read(view, await store.account_terms(view))


@router.put("/{account}/allowance", status_code=201, response_model=MoneyOutcome, responses=UNDECIDED)
async def set_allowance(account: AccountPath, order: AllowanceOrder, caller: Manager, desk: DeskDoor) -> Response:
    """Give an account something free each month instead of what it had. Another order for the same gives the month anew."""
    view = await account_of(desk.store, caller, account)
    fact = allowance_set(desk, account, order, order.id)
    return await order_account(desk, msgspec.structs.replace(fact, operator=caller.name), view.record.currency)


async def item_set(desk: Desk, account: str, item: str, terms: ItemWrite, order: str, site: str) -> ChargeItemSet:
    """The fact that lets an account pay a fee, by the clock of the zone that is said, or of the site. Raises HTTPException where there is neither."""
    zone = terms.zone
    if zone is None:
        known = await desk.store.site(site)
        if known is None:
            detail = f"Say the zone of the fee {item}: the account's site is not known."
            raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, detail)
        zone = known.zone
    return ChargeItemSet(at=desk.settings.clock(), id=order, account=account, item=item, zone=zone, **terms.said)


def allowance_set(desk: Desk, account: str, terms: AllowanceWrite, order: str) -> AllowanceSet:
    """The fact that gives an account something free."""
    return AllowanceSet(at=desk.settings.clock(), id=order, account=account, **terms.said)


def _item_read(item: ChargeItem) -> ItemRead:
    return ItemRead(
        item=item.item, title=item.title, kind=item.kind.value, amount=money_text(item.amount_micros),
        area=quantity_text(item.area) if item.area else None, period=item.period.value, starts=date_text(item.starts),
        ends=date_text(item.ends) if item.ends >= 0 else None, partial=item.partial, zone=item.zone, next=date_text(item.day),
        due_at=iso(item.due_at),
    )  # fmt: skip


def _allowance_read(view: AccountView, terms: Any) -> AllowanceRead:
    kind = AllowanceKind(int(terms["allowance_kind"]))
    of_money = kind in {AllowanceKind.NONE, AllowanceKind.MONEY}
    text = money_text if of_money else quantity_text
    month = int(view.row["allowance_month"])
    is_counted = kind is not AllowanceKind.NONE and month > 0
    return AllowanceRead.model_validate(
        {
            "kind": kind.name.lower(),
            "amount": text(int(terms["allowance"])),
            "unit": view.record.currency if of_money else UNITS[Commodity(kind - AllowanceKind.ELECTRICITY)],
            "starts": date_text(int(terms["allowance_from"])) if kind else None,
            "left": text(int(view.row["allowance"])) if is_counted else None,
            "month": f"{month // 12:04d}-{month % 12 + 1:02d}" if is_counted else None,
        }
    )
