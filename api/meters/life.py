"""Meters come and go: installed, replaced, taken down, and released after a load.

A meter belongs to an account and lives in its shard. Whether its number is in use in another shard no machine knows, so that is seen to here:
the number is held for an order until it is decided.
"""

from functools import lru_cache
from typing import Any

from fastapi import APIRouter, Response

from api.accounts.life_models import (
    LoadRelease,
    MeterInstallation,
    MeterRemoval,
    MeterReplacement,
    MeterTermsWrite,
    MeterWrite,
)
from api.doors.dependencies import Desk, DeskDoor, Manager, Switcher
from api.doors.problems import RefusedError
from api.doors.reach import check_account, meter_of
from api.models import ControlOutcome, DecisionOutcome, MeterPath
from api.orders.placing import UNDECIDED, decided, order_meter, reply_meter
from api.orders.route import OrderRoute
from connectors.modbus.profile import builtin_profiles, load_profile
from connectors.redis.live import LiveStore
from domain.effects import Outcome
from domain.facts import LoadReleased, MeterInstalled, MeterRemoved, MeterReplaced
from domain.ids import meter_text, order_id, shard_of
from domain.state import MeterRecord
from domain.units import quantity_thousandths
from domain.words import RATED_PER_HOUR, Commodity, Refusal
from tariffs.loader import load_tariff

router = APIRouter(prefix="/meters", tags=["meters"], route_class=OrderRoute)


@router.post("", status_code=201, response_model=DecisionOutcome, responses=UNDECIDED)
async def install_meter(order: MeterInstallation, caller: Manager, desk: DeskDoor) -> Response:
    """Give an account a meter, priced by a tariff, from a register on. The same installation again changes nothing."""
    await check_account(desk.store, caller, order.account)
    fact = await installed(desk, order, order.account, order.id)
    outcome = await decided_for(desk, shard_of(order.account, desk.store.shards), fact, fact.meter)
    return await reply_meter(desk.store, fact, outcome)


@router.post("/{meter}/replacements", status_code=201, response_model=DecisionOutcome, responses=UNDECIDED)
async def replace_meter(meter: MeterPath, order: MeterReplacement, caller: Manager, desk: DeskDoor) -> Response:
    """Settle a meter up to its closing register, and let another one go on in its place with the same account, tariffs and wishes."""
    shard, record = await meter_of(desk.store, caller, meter)
    fact = MeterReplaced(
        at=desk.settings.clock(), id=order.id, meter=record.meter, closing_register=quantity_thousandths(order.closing_register),
        new_meter=int(order.new_meter), opening_register=quantity_thousandths(order.opening_register),
        operator=caller.name, note=order.note, **_terms_after(order, record),
    )  # fmt: skip
    outcome = await decided_for(desk, shard, fact, fact.new_meter)
    return await reply_meter(desk.store, fact, outcome)


@router.post("/{meter}/removals", status_code=201, response_model=DecisionOutcome, responses=UNDECIDED)
async def remove_meter(meter: MeterPath, order: MeterRemoval, caller: Manager, desk: DeskDoor) -> Response:
    """Settle a meter up to its closing register, and take it down. Its number is free again."""
    shard, record = await meter_of(desk.store, caller, meter)
    fact = MeterRemoved(
        at=desk.settings.clock(), id=order.id, meter=record.meter, closing_register=quantity_thousandths(order.closing_register),
        operator=caller.name, note=order.note,
    )  # fmt: skip
    return await order_meter(desk, shard, fact)


@router.post("/{meter}/load_releases", status_code=201, response_model=ControlOutcome, responses=UNDECIDED)
async def release_load(meter: MeterPath, order: LoadRelease, caller: Switcher, desk: DeskDoor) -> Response:
    """Give a supply back that was cut for its load, and count today's restores anew."""
    shard, record = await meter_of(desk.store, caller, meter)
    fact = LoadReleased(
        at=desk.settings.clock(), id=order.id, meter=record.meter, operator=caller.name, note=order.note
    )
    return await order_meter(desk, shard, fact)


async def installed(desk: Desk, part: MeterWrite, account: str, order: str) -> MeterInstalled:
    """The fact that gives an account this meter. Raises RefusedError where nobody has published its tariff."""
    tariff = await desk.store.tariff(part.tariff)
    if tariff is None:
        raise RefusedError(Refusal.UNKNOWN_TARIFF, f"no tariff {part.tariff} is published")
    commodity = _commodity(part, tariff.document)
    terms: dict[str, Any] = {
        "profile": "",
        "modulus": 0,
        "rated_per_hour": RATED_PER_HOUR[commodity],
        "switchable": False,
    }
    opening = None if part.opening_register is None else quantity_thousandths(part.opening_register)
    return MeterInstalled(
        at=desk.settings.clock(), id=order, meter=int(part.meter), account=account, commodity=commodity, tariff=part.tariff,
        opening_register=opening, persons=part.persons, capacity_w=part.capacity_w, **terms | {"ratio": 1} | _terms(part),
    )  # fmt: skip


def _commodity(part: MeterWrite, document: str) -> Commodity:
    """What a meter measures: as its profile knows, as is said, or as its tariff prices. Where they differ the machine refuses it."""
    word = load_profile(part.profile).commodity if part.profile in builtin_profiles() else part.commodity
    return Commodity[word.upper()] if word else _priced(document)


@lru_cache(maxsize=64)
def _priced(document: str) -> Commodity:
    return load_tariff(document).commodity


def _terms(part: MeterTermsWrite) -> dict[str, Any]:
    """What is said of a kind of meter, by the fields of facts: by its profile, and before that by itself."""
    said = part.model_dump(include={"profile", "ratio", "switchable"}, exclude_none=True)
    said |= {
        name: quantity_thousandths(text)
        for name in ("modulus", "rated_per_hour")
        if (text := getattr(part, name)) is not None
    }
    if part.profile not in builtin_profiles():
        return said
    profile = load_profile(str(part.profile))
    return {name: getattr(profile, name) for name in ("modulus", "rated_per_hour", "switchable")} | said


def _terms_after(part: MeterTermsWrite, before: MeterRecord) -> dict[str, Any]:
    """As `_terms`, of a meter that comes after another one: what nobody says is as it was."""
    names = ("profile", "modulus", "rated_per_hour", "ratio", "switchable")
    return {name: getattr(before, name) for name in names} | _terms(part)


async def check_free(store: LiveStore, number: int, shard: int) -> None:
    """That a meter is in no other shard than this, in which the machine sees to it. Raises RefusedError."""
    located = await store.locate_meter(number)
    if located and located[0] != shard and not located[1].removed_at:
        raise RefusedError(Refusal.EXISTS_WITH_DIFFERENT_CONTENT, f"meter {meter_text(number)} is in use")


async def decided_for(desk: Desk, shard: int, fact: MeterInstalled | MeterReplaced, number: int) -> Outcome | None:
    """As `decided`, of an order by which a meter comes to a shard: none takes the number elsewhere meanwhile. Raises RefusedError."""
    store, order = desk.store, order_id(fact.id)
    if not await store.hold_meter(number, order):
        said = f"meter {meter_text(number)} is held by another order, which is not decided yet"
        raise RefusedError(Refusal.EXISTS_WITH_DIFFERENT_CONTENT, said)
    try:
        await check_free(store, number, shard)
        outcome = await decided(store, shard, fact, desk.settings.wait_seconds)
    except RefusedError:
        await store.release_meter(number, order)
        raise
    if outcome:
        await store.release_meter(number, order)
    return outcome
