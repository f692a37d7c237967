"""Policies and sites: names that hold for everybody, read from the first shard and told to all."""

from http import HTTPStatus

from fastapi import APIRouter, Response
from starlette.exceptions import HTTPException

from api.doors.dependencies import EveryoneDoor, Manager, Reader, Settings, StoreDoor
from api.doors.reach import check_site
from api.orders.everyone import UNDECIDED_BY_SOME, check_everything, told
from api.orders.route import OrderRoute
from api.term_models import PolicyOrder, PolicyPath, PolicyRead, ShardsOutcome, SitePath, SiteTermsOrder, SiteTermsRead
from domain.facts import PolicySet, SiteSet
from domain.state import PolicyRecord
from domain.units import MINUTE_MS, money_text

router = APIRouter(tags=["terms"], route_class=OrderRoute)


@router.get("/policies")
async def list_policies(caller: Reader, store: StoreDoor) -> list[PolicyRead]:  # noqa: ARG001 - the door is what counts
    """Alarm amounts under a name, by name. They are no account's, so every caller may read them."""
    return [_policy(each) for _, each in sorted((await store.policies()).items())]


@router.get("/policies/{policy}")
async def get_policy(policy: PolicyPath, caller: Reader, store: StoreDoor) -> PolicyRead:  # noqa: ARG001 - as above
    """One of them."""
    record = await store.policy(policy)
    if record is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "There is no such policy.")
    return _policy(record)


@router.put("/policies/{policy}", status_code=201, response_model=ShardsOutcome, responses=UNDECIDED_BY_SOME)
async def set_policy(
    policy: PolicyPath,
    order: PolicyOrder,
    caller: Manager,
    store: StoreDoor,
    everyone: EveryoneDoor,
    settings: Settings,
) -> Response:
    """Enter a policy, or change it: every account that follows it is judged by it at once."""
    check_everything(caller, "Policies")
    fact = PolicySet(at=settings.clock(), id=order.id, policy=policy, alarms=order.as_terms())
    return await told(store, everyone, f"policy {policy}", fact, settings)


@router.get("/sites/{site}/terms")
async def get_site_terms(site: SitePath, caller: Reader, store: StoreDoor) -> SiteTermsRead:
    """What a site is called, and its zone and currency."""
    await check_site(store, caller, site)
    record = await store.site(site)
    if record is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "There is no such site.")
    return SiteTermsRead(
        site=record.site, title_zh=record.title_zh, title_en=record.title_en, zone=record.zone, currency=record.currency
    )


@router.put("/sites/{site}/terms", status_code=201, response_model=ShardsOutcome, responses=UNDECIDED_BY_SOME)
async def set_site_terms(
    site: SitePath,
    order: SiteTermsOrder,
    caller: Manager,
    store: StoreDoor,
    everyone: EveryoneDoor,
    settings: Settings,
) -> Response:
    """Enter a site, or give it other titles or another zone; its currency stays."""
    await check_site(store, caller, site, by_name=False)
    fact = SiteSet(
        at=settings.clock(), id=order.id, site=site, title_zh=order.title_zh, title_en=order.title_en, zone=order.zone,
        currency=order.currency,
    )  # fmt: skip
    return await told(store, everyone, f"site {site}", fact, settings)


def _policy(record: PolicyRecord) -> PolicyRead:
    alarms = record.alarms
    amounts = ("low", "pretrip", "arrears", "hysteresis", "reconnect", "max_balance", "overdraft")
    return PolicyRead(
        policy=record.policy,
        repeat_minutes=alarms.repeat_ms // MINUTE_MS,
        repeat_max=alarms.repeat_max,
        **{name: money_text(getattr(alarms, name)) for name in amounts},
    )
