"""How meters are priced, controlled, protected and watched, and what hangs behind main meters: read, and set by order."""

import datetime as dt
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Response
from starlette.exceptions import HTTPException

from api.doors.dependencies import Manager, Reader, Settings, StoreDoor, Switcher
from api.doors.problems import RefusedError
from api.doors.reach import meter_of, meters_of
from api.models import MeterPath, OrderPath
from api.orders.placing import UNDECIDED, TermsOrder, decided, reply
from api.orders.route import OrderRoute
from api.settings import ApiSettings
from api.term_models import (
    AssignmentOrder,
    AssignmentRead,
    AssignmentTerms,
    ControlTermsOrder,
    ControlTermsRead,
    MainMeterOrder,
    MainMeterTermsRead,
    MeterControlRead,
    MeterWatchRead,
    ProtectionOrder,
    ProtectionRead,
    ProtectionTerms,
    ScheduledRead,
    SettingOutcome,
    WatchTermsOrder,
    WatchTermsRead,
)
from connectors.files.site_terms import EPOCH, minute_text, window_text
from connectors.redis.formats import iso
from connectors.redis.live import LiveStore
from domain.effects import Outcome
from domain.facts import (
    ControlTerms,
    ControlTermsSet,
    MainMeterSet,
    MeterWatchSet,
    ProtectionOrdered,
    TariffAssigned,
    WatchTerms,
)
from domain.ids import meter_text, order_id
from domain.state import Assignment, Protection
from domain.units import MINUTE_MS, quantity_text, quantity_thousandths
from domain.words import Refusal, Supply

router = APIRouter(tags=["terms"], route_class=OrderRoute)

_KINDS = {each.KIND for each in (TariffAssigned, ControlTermsSet, ProtectionOrdered, MeterWatchSet, MainMeterSet)}
_ORDERED: dict[str, Any] = {"status_code": 201, "response_model": SettingOutcome, "responses": UNDECIDED}


def assigned(meter: int, order: str, at: int, terms: AssignmentTerms) -> TariffAssigned:
    """A tariff for a meter as a fact."""
    return TariffAssigned(
        at=at, id=order, meter=meter, tariff=terms.tariff, starts_at=terms.from_, persons=terms.persons,
        capacity_w=terms.capacity_w, restart=terms.restart,
    )  # fmt: skip


def protection(meter: int, order: str, at: int, terms: ProtectionTerms) -> ProtectionOrdered:
    """Protection of a meter as a fact."""
    return ProtectionOrdered(
        at=at, id=order, meter=meter, protected=terms.protected, until=terms.until or 0, operator=terms.operator,
        note=terms.note,
    )  # fmt: skip


@router.get("/meters/{meter}/tariff_assignments")
async def list_assignments(meter: MeterPath, caller: Reader, store: StoreDoor) -> list[AssignmentRead]:
    """By which tariffs a meter is priced, from when on; the oldest first."""
    _, record = await meter_of(store, caller, meter)
    return [_assignment(each) for each in record.assignments]


@router.post("/meters/{meter}/tariff_assignments", **_ORDERED)
async def assign_tariff(
    meter: MeterPath, order: AssignmentOrder, caller: Manager, store: StoreDoor, settings: Settings
) -> Response:
    """Price a meter by another tariff from a time on, or from its last reading if that is later. What is priced stays priced."""
    shard, record = await meter_of(store, caller, meter)
    return await _set(store, shard, assigned(record.meter, order.id, settings.clock(), order), settings)


@router.get("/meters/{meter}/control_terms")
async def get_control_terms(meter: MeterPath, caller: Reader, store: StoreDoor) -> MeterControlRead:
    """What besides money and force bears on a meter's supply."""
    shard, record = await meter_of(store, caller, meter)
    control = await store.control(shard, record.meter)
    terms, protected = (control.terms, control.protection) if control else (None, None)
    return MeterControlRead(
        meter=meter, terms=_control(terms) if terms else None, protection=_protection(protected) if protected else None
    )


@router.put("/meters/{meter}/control_terms", **_ORDERED)
async def set_control_terms(
    meter: MeterPath, order: ControlTermsOrder, caller: Manager, store: StoreDoor, settings: Settings
) -> Response:
    """Control a meter's supply by these terms from now on, instead of those that it had."""
    shard, record = await meter_of(store, caller, meter)
    fact = ControlTermsSet(at=settings.clock(), id=order.id, meter=record.meter, terms=order.as_terms())
    return await _set(store, shard, fact, settings)


@router.post("/meters/{meter}/protections", **_ORDERED)
async def protect_supply(
    meter: MeterPath, order: ProtectionOrder, caller: Switcher, store: StoreDoor, settings: Settings
) -> Response:
    """Keep a meter's supply on whatever the balance or load (保电), or no longer."""
    shard, record = await meter_of(store, caller, meter)
    return await _set(store, shard, protection(record.meter, order.id, settings.clock(), order), settings)


@router.get("/meters/{meter}/watch")
async def get_watch(meter: MeterPath, caller: Reader, store: StoreDoor) -> MeterWatchRead:
    """What of a meter is worth an alarm besides its money."""
    _, record = await meter_of(store, caller, meter)
    return MeterWatchRead(meter=meter, terms=_watch(record.watch) if record.watch else None)


@router.put("/meters/{meter}/watch", **_ORDERED)
async def set_watch(
    meter: MeterPath, order: WatchTermsOrder, caller: Manager, store: StoreDoor, settings: Settings
) -> Response:
    """Watch a meter by these terms from now on, instead of those that it had."""
    shard, record = await meter_of(store, caller, meter)
    fact = MeterWatchSet(
        at=settings.clock(), id=order.id, meter=record.meter, terms=order.as_terms(), operator=order.operator
    )
    return await _set(store, shard, fact, settings)


@router.get("/main_meters/{meter}")
async def get_main_meter(meter: MeterPath, caller: Reader, store: StoreDoor) -> MainMeterTermsRead:
    """What hangs behind a main meter, and what may be lost; `GET /meters/{meter}` has the last comparison. 404: it is none."""
    shard, record = await meter_of(store, caller, meter)
    main = await store.main_meter(shard, record.meter)
    if main is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "This is no main meter.")
    return MainMeterTermsRead(
        meter=meter, subs=[meter_text(each) for each in main.subs], loss_max_permille=main.loss_max_permille,
        loss_min=quantity_text(main.loss_min),
    )  # fmt: skip


@router.put("/main_meters/{meter}", **_ORDERED)
async def set_main_meter(
    meter: MeterPath, order: MainMeterOrder, caller: Manager, store: StoreDoor, settings: Settings
) -> Response:
    """Compare a meter with its sub-meters from the next local day on, by these limits; without any, no more."""
    shard, record = await meter_of(store, caller, meter)
    subs = tuple(int(each) for each in order.subs)
    if not caller.reach.everything and len(await meters_of(store, caller, subs)) < len(set(subs)):
        raise RefusedError(Refusal.UNKNOWN_METER, "a sub-meter is not known")
    fact = MainMeterSet(
        at=settings.clock(), id=order.id, meter=record.meter, subs=subs, loss_max_permille=order.loss_max_permille,
        loss_min=quantity_thousandths(order.loss_min), operator=order.operator,
    )  # fmt: skip
    return await _set(store, shard, fact, settings)


@router.get("/meters/{meter}/settings/{order}")
async def get_meter_setting(meter: MeterPath, order: OrderPath, caller: Reader, store: StoreDoor) -> SettingOutcome:
    """What became of a setting of a meter: tariff, control, protection, watch, sub-meters. 404: not decided, or never sent."""
    shard, record = await meter_of(store, caller, meter)
    outcome = await store.outcome_in(shard, order_id(order))
    if outcome is None or outcome.meter != record.meter or outcome.kind not in _KINDS:
        raise HTTPException(HTTPStatus.NOT_FOUND, "No setting of this id has been decided for this meter.")
    return _said(outcome)


async def _set(store: LiveStore, shard: int, fact: TermsOrder, settings: ApiSettings) -> Response:
    outcome = await decided(store, shard, fact, settings.wait_seconds)
    return reply(_said(outcome) if outcome else None, fact.id, f"/meters/{meter_text(fact.meter)}/settings/{fact.id}")


def _said(outcome: Outcome) -> SettingOutcome:
    return SettingOutcome(
        id=outcome.id, kind=outcome.kind, at=iso(outcome.at), accepted=not outcome.refusal,
        refusal=outcome.refusal or None, detail=outcome.detail, meter=meter_text(outcome.meter),
    )  # fmt: skip


def _assignment(each: Assignment) -> AssignmentRead:
    return AssignmentRead.model_validate(
        {
            "tariff": each.tariff,
            "from": iso(each.starts_at) if each.starts_at else None,
            "persons": each.persons,
            "capacity": quantity_text(each.capacity_w),
            "restart": each.restart,
        }
    )


def _protection(each: Protection) -> ProtectionRead:
    return ProtectionRead(until=iso(each.until) if each.until else None, operator=each.operator, note=each.note)


def _control(terms: ControlTerms) -> ControlTermsRead:
    return ControlTermsRead(
        zone=terms.zone,
        holidays=[EPOCH + dt.timedelta(days=day) for day in terms.holidays],
        no_trip=[window_text(each) for each in terms.no_trip],
        schedule=[
            ScheduledRead(when=window_text(each), supply="on" if each.supply == Supply.ON else "off")
            for each in terms.schedule
        ],
        power_limit_w=terms.power_limit_w,
        malignant_step_w=terms.malignant_step_w,
        tolerated=[(each.low_w, each.high_w) for each in terms.tolerated],
        whitelisted=terms.whitelisted,
        restores=terms.restores,
        restore_minutes=terms.restore_wait_ms // MINUTE_MS,
        button=terms.button,
    )


def _watch(terms: WatchTerms) -> WatchTermsRead:
    return WatchTermsRead(
        offline_minutes=terms.offline_ms // MINUTE_MS,
        day_usage=quantity_text(terms.day_usage),
        month_usage=quantity_text(terms.month_usage),
        stuck_minutes=terms.stuck_ms // MINUTE_MS,
        stuck_w=terms.stuck_w,
        reverse_w=terms.reverse_w,
        night_usage=None if terms.night_usage < 0 else quantity_text(terms.night_usage),
        night_from=minute_text(terms.night_from),
        night_until=minute_text(terms.night_until),
        repeat_minutes=terms.repeat_ms // MINUTE_MS,
        repeat_max=terms.repeat_max,
    )
