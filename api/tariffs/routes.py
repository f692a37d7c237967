"""Tariffs: published to every shard, checked before, and asked what money buys and what a bill comes to.

A document that somebody sends is read apart (`api/doors/apart.py`), in bounded time, and what is published has passed there.
"""

import asyncio
import calendar
from collections.abc import Callable
from datetime import date, timedelta
from fractions import Fraction
from http import HTTPStatus
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from api.doors.apart import Apart, TooLongError
from api.doors.dependencies import ApartDoor, EveryoneDoor, Manager, Reader, Settings, StoreDoor
from api.doors.problems import RefusedError, problem
from api.models import order_text
from api.orders.everyone import UNDECIDED_BY_SOME, check_everything, told
from api.orders.route import HEADER, OrderRoute
from api.settings import ApiSettings
from api.tariffs.models import (
    BillRead,
    LineRead,
    MistakeRead,
    PreviewAsk,
    PreviewRead,
    QuoteAsk,
    QuoteRead,
    TariffCheck,
    TariffChecked,
    TariffOrder,
    TariffPage,
    TariffRead,
    TariffSummary,
    TermRead,
    TitleRead,
    VersionRead,
)
from api.term_models import PremisesTerms, ShardsOutcome, TariffPath
from connectors.redis.everyone import Everyone
from connectors.redis.formats import iso
from connectors.redis.live import LiveStore
from domain.facts import TariffPublished
from domain.ids import order_id
from domain.units import money_micros, quantity_text, quantity_thousandths
from domain.words import Refusal
from tariffs.amounts import exact_text, term_figures
from tariffs.asking import Described, Preview, described, previewed, previewed_month, quoted
from tariffs.bill import Bill
from tariffs.charges import Line, Term
from tariffs.checking import Checked
from tariffs.publishing import Prepared, prepared
from tariffs.tariff import Premises

router = APIRouter(tags=["tariffs"], route_class=OrderRoute)

T = TypeVar("T")
TOML = "application/toml"
OrderQuery = Annotated[
    str, Query(max_length=36, description="Of a body that is TOML: the caller's id, which a JSON body has itself.")
]


_BARE: dict[str, Any] = {"requestBody": {"content": {TOML: {"schema": {"type": "string"}}}}}
"""What OpenAPI is told besides the JSON body: the document may come as it is."""


def _named(order: TariffOrder, id_: str, request: Request) -> str:
    """The id of an order, in its body, in the query or in the header. Raises RequestValidationError."""
    try:
        return order_text(order_id(order.id or id_ or request.headers.get(HEADER, "").strip('"')))
    except ValueError as error:
        raise RequestValidationError([{"loc": ("query", "id"), "msg": str(error)}]) from None


async def _apart(apart: Apart, work: Callable[..., T], *given: Any, **named: Any) -> T:
    """Work on a document. Raises HTTPException for what cannot be, and for what takes too long."""
    try:
        return await apart.run(work, *given, **named)
    except TooLongError as error:
        detail = f"This takes too long, or too much memory ({error}): a document of fewer versions, seasons and days does not."
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, detail) from None
    except ValueError as error:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from None


async def _asked(work: Callable[..., T], *given: Any, **named: Any) -> T:
    """What is asked of published tariffs, in a thread: they are within bounds. Raises HTTPException for what cannot be."""
    try:
        return await asyncio.to_thread(work, *given, **named)
    except ValueError as error:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from None


async def _document(store: LiveStore, tariff: str) -> str:
    record = await store.tariff(tariff)
    if record is None:
        raise RefusedError(Refusal.UNKNOWN_TARIFF)
    return record.document


@router.get("/tariffs")
async def list_tariffs(
    caller: Reader,  # noqa: ARG001 - the door is what counts
    store: StoreDoor,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    cursor: Annotated[str, Query(pattern=r"^[a-z0-9-]{0,64}$", description="`next` of the page before.")] = "",
) -> TariffPage:
    """Published tariffs by id. They are no account's, so every caller may read them."""
    records = await store.tariffs()
    found = sorted(name for name in records if name > cursor)[: limit + 1]
    read = await _asked(described, [records[name].document for name in found[:limit]])
    return TariffPage(items=[_summary(each) for each in read], next=found[limit - 1] if len(found) > limit else None)


@router.get("/tariffs/{tariff}")
async def get_tariff(tariff: TariffPath, caller: Reader, store: StoreDoor, settings: Settings) -> TariffRead:
    """A tariff: its document, versions and bands, and how many meters it prices."""
    document = await _document(store, tariff)
    (read,) = await _asked(described, [document])
    meters = await store.priced_by(tariff, settings.clock()) if caller.reach.everything else None
    return _tariff(read, meters, document)


@router.post(
    "/tariffs",
    status_code=201,
    response_model=ShardsOutcome,
    responses=UNDECIDED_BY_SOME,
    openapi_extra=_BARE,
)
async def publish_tariff(
    order: TariffOrder,
    request: Request,
    caller: Manager,
    store: StoreDoor,
    apart: ApartDoor,
    everyone: EveryoneDoor,
    settings: Settings,
    id: OrderQuery = "",  # noqa: A002 - the name in the query
) -> Response:
    """Publish a tariff that is not there yet."""
    check_everything(caller, "Tariffs")
    named = _named(order, id, request)
    found = await _apart(apart, prepared, order.document)
    name = found.found.tariff
    if name and await store.tariff(name) and not await store.outcome_in(0, order_id(named)):
        detail = f"The tariff {name} is published already: PUT /tariffs/{name} gives it a new state."
        raise HTTPException(HTTPStatus.CONFLICT, detail)
    return await _published(named, found, store, settings, everyone)


@router.put(
    "/tariffs/{tariff}",
    status_code=201,
    response_model=ShardsOutcome,
    responses=UNDECIDED_BY_SOME,
    openapi_extra=_BARE,
)
async def update_tariff(
    tariff: TariffPath,
    order: TariffOrder,
    request: Request,
    caller: Manager,
    store: StoreDoor,
    apart: ApartDoor,
    everyone: EveryoneDoor,
    settings: Settings,
    id: OrderQuery = "",  # noqa: A002 - the name in the query
) -> Response:
    """Publish a tariff, or a new state of it with more versions. What is priced stays priced."""
    check_everything(caller, "Tariffs")
    named = _named(order, id, request)
    found = await _apart(apart, prepared, order.document)
    if found.found.tariff not in {None, tariff}:
        detail = f"The document is of tariff {found.found.tariff}."
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, detail)
    return await _published(named, found, store, settings, everyone)


async def _published(
    order: str, found: Prepared, store: LiveStore, settings: ApiSettings, everyone: Everyone
) -> Response:
    if found.found.is_wrong:
        said = _checked(found.found)
        kind, name = f"urn:meterline:refusal:{Refusal.TARIFF_INVALID}", str(Refusal.TARIFF_INVALID)
        mistakes = [each.model_dump() for each in said.mistakes]
        detail = f"{len(mistakes) + len(said.examples)} mistakes in the document"
        return problem(422, detail, kind, refusal=name, mistakes=mistakes, examples=said.examples)
    if found.found.obstacles:
        reasons = "; ".join(found.found.obstacles)
        raise RefusedError(Refusal.TARIFF_INVALID, f"a wallet cannot be charged by it: {reasons}")
    assert found.found.tariff is not None
    fact = TariffPublished(at=settings.clock(), id=order, tariff=found.found.tariff, document=found.document)
    return await told(store, everyone, f"tariff {fact.tariff}", fact, settings)


@router.post("/tariff_checks", openapi_extra=_BARE)
async def check_tariff(sent: TariffCheck, caller: Manager, apart: ApartDoor) -> TariffChecked:  # noqa: ARG001 - as above
    """Every mistake of a document, each with its line, what was found and what is expected. Nothing is published."""
    return _checked((await _apart(apart, prepared, sent.document)).found)


@router.post("/tariffs/{tariff}/quotes")
async def quote_tariff(
    tariff: TariffPath,
    ask: QuoteAsk,
    caller: Reader,  # noqa: ARG001 - as above
    store: StoreDoor,
    settings: Settings,
) -> QuoteRead:
    """How much an amount buys at the prices of one instant, tier by tier. No later band, month or version is looked at."""
    document, at = await _document(store, tariff), settings.clock() if ask.at is None else ask.at
    amount, used = money_micros(ask.amount), quantity_thousandths(ask.used)
    unit, made = await _asked(quoted, document, _premises(ask), at, amount, used, with_standing=ask.with_standing)
    return QuoteRead.model_validate(
        {
            "tariff": tariff,
            "at": iso(made.at_ms),
            "currency": made.currency,
            "unit": unit,
            "band": made.band,
            "money": exact_text(made.money),
            "usage": None if made.usage is None else quantity_text(made.usage),
            "standing": exact_text(made.standing),
            "terms": [_term(each) for each in made.terms],
            "rest": exact_text(made.rest),
        }
    )


@router.post("/tariffs/{tariff}/previews")
async def preview_bills(
    tariff: TariffPath,
    ask: PreviewAsk,
    caller: Reader,  # noqa: ARG001 - as above
    store: StoreDoor,
) -> PreviewRead:
    """What usage would be billed by a tariff: a bill for each calendar month, every line with its arithmetic."""
    document, premises, used = await _document(store, tariff), _premises(ask), quantity_thousandths(ask.used)
    if ask.month is None:
        found = await _asked(previewed, document, premises, ask.times_ms, ask.amounts, used)
    else:
        found = await _asked(previewed_month, document, premises, ask.bands, *_days(ask.month), used)
    return _preview(tariff, found)


def _days(month: str) -> tuple[date, date]:
    """The first day of `2026-01`, and the day after its last."""
    first = date.fromisoformat(f"{month}-01")
    return first, first + timedelta(days=calendar.monthrange(first.year, first.month)[1])


def _premises(ask: PremisesTerms) -> Premises:
    return Premises(ask.persons, ask.capacity_w)


def _summary(each: Described) -> TariffSummary:
    return TariffSummary.model_validate(
        {
            "tariff": each.tariff,
            "title": each.title,
            "commodity": each.commodity,
            "currency": each.currency,
            "zone": each.zone,
            "bands": list(each.bands),
            "versions": len(each.versions),
        }
    )


def _tariff(each: Described, meters: int | None, document: str) -> TariffRead:
    versions = [
        VersionRead.model_validate(
            {
                "from": iso(version.from_ms),
                "seasons": list(version.seasons),
                "components": list(version.components),
                "charges": list(version.charges),
                "has_tiers": version.has_tiers,
            }
        )
        for version in each.versions
    ]
    return TariffRead.model_validate(
        _summary(each).model_dump()
        | {
            "source": each.source,
            "notes": list(each.notes),
            "versions": versions,
            "meters": meters,
            "document": document,
        }
    )


def _checked(found: Checked) -> TariffChecked:
    return TariffChecked(
        tariff=found.tariff,
        mistakes=[
            MistakeRead(line=each.line, key=each.key, found=each.found, expected=each.expected)
            for each in found.mistakes
        ],
        examples=list(found.examples),
        notes=list(found.notes),
        obstacles=list(found.obstacles),
        publishable=not (found.is_wrong or found.obstacles),
    )


def _term(term: Term) -> TermRead:
    return TermRead.model_validate(term_figures(term))


def _preview(tariff: str, found: Preview) -> PreviewRead:
    first = found.bills[0]
    return PreviewRead.model_validate(
        {
            "tariff": tariff,
            "currency": first.currency,
            "unit": first.unit,
            "usage": quantity_text(sum(each.usage for each in found.bills)),
            "total": exact_text(sum((each.total for each in found.bills), Fraction(0))),
            "bills": [_bill(each) for each in found.bills],
            "notes": list(found.notes),
        }
    )


def _bill(bill: Bill) -> BillRead:
    return BillRead(
        first=bill.first.isoformat(),
        last=bill.last.isoformat(),
        begins=iso(bill.from_ms),
        ends=iso(bill.until_ms),
        usage=quantity_text(bill.usage),
        lines=[_line(line) for line in bill.lines],
        exact=exact_text(bill.exact),
        rounding=exact_text(bill.rounding),
        total=exact_text(bill.total),
    )


def _line(line: Line) -> LineRead:
    return LineRead(
        id=line.id,
        title=TitleRead(**line.title),
        kind=line.kind,
        since=line.since.isoformat() if line.since else None,
        terms=[_term(term) for term in line.terms],
        exact=exact_text(line.exact),
        amount=exact_text(line.amount),
    )
