"""Finance: orders, income, and what a payment provider's statement says otherwise. It reads the ledger, and moves no money."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Body, Query
from pydantic import AfterValidator
from starlette.exceptions import HTTPException

from api.accounts.routes import Limit
from api.doors.dependencies import Reader
from api.doors.direct import Direct
from api.figures.asking import NOT_REACHED, Directory, SourcesDoor, directory
from api.figures.finance_models import (
    ChannelFilter,
    ChannelIncomeRead,
    DifferenceRead,
    FeesRead,
    IncomeBy,
    IncomePeriodRead,
    IncomeRead,
    KindFilter,
    LedgerSumRead,
    OperatorFilter,
    OrderCursor,
    OrderPage,
    OrderRead,
    ReconciledOrderRead,
    ReconciliationRead,
    Site,
    StatedRead,
    Statement,
    TakenPage,
    TakenRead,
    statement_of_csv,
)
from api.figures.models import FirstDay, LastDay
from api.models import order_text
from connectors.archive.joined import Joined
from connectors.redis.formats import iso
from domain.ids import account_id, order_id
from domain.units import money_micros, money_text
from reports.days import By, day_text, period_text
from reports.ledger import CHANNELS, Booked, booked, income_of
from reports.orders import Order, Stated, by_channel, is_money, orders, reconciled

router = APIRouter(prefix="/finance", tags=["finance"], responses=dict(NOT_REACHED), route_class=Direct)

OfAccount = Annotated[
    str | None,
    Query(description="Of this account only.", max_length=64),
    AfterValidator(lambda text: text if text is None else account_id(text)),
]
Csv = Annotated[
    bytes,
    Body(
        media_type="text/csv",
        description="In UTF-8, with a heading: id (订单号), amount (金额), and perhaps time (时间).",
        examples=["id,amount,time\n01K5QYV3J8Z6M2T4W9X1C7B0ND,50.00,2026-01-05 10:00:00\n"],
    ),
]


@router.get("/orders")
async def list_orders(
    caller: Reader,
    sources: SourcesDoor,
    site: Site = None,
    account: OfAccount = None,
    kind: KindFilter = None,
    channel: ChannelFilter = None,
    operator: OperatorFilter = None,
    from_: FirstDay = None,
    until: LastDay = None,
    limit: Limit = 100,
    cursor: OrderCursor = None,
) -> OrderPage:
    """Recharges, refunds, adjustments, reversals, fees and settlements that were carried out, newest first. Unless said otherwise of the last 31 days."""
    whom = await directory(sources.store, caller, site, account)
    days = whom.days(from_, until, sources.now)
    wanted = {"kind": kind, "channel": channel, "operator": operator}
    before = tuple(map(int, cursor.split("-"))) if cursor else None
    found = [
        each
        for each in await _orders(sources.joined, whom, days)
        if all(value is None or getattr(each, name) == value for name, value in wanted.items())
        and (before is None or each.place < before)
    ]
    found.sort(key=lambda each: each.place, reverse=True)
    page = found[:limit]
    following = "-".join(map(str, page[-1].place)) if len(found) > limit else None
    currencies = whom.currencies
    return OrderPage(items=[_order_read(each, currencies[each.account]) for each in page], next=following)


async def _orders(joined: Joined, whom: Directory, days: tuple[int, int]) -> list[Order]:
    """All orders of some days, in no order."""
    return [
        each
        for shard, accounts in whom.accounts.items()
        for each in await orders(joined, shard, accounts, whom.zones_in(shard), days)
    ]


def _order_read(each: Order, currency: str) -> OrderRead:
    return OrderRead(
        order=order_text(each.id),
        kind=each.kind,
        account=each.account,
        at=iso(each.at),
        day=day_text(each.day),
        amount=money_text(each.micros),
        currency=currency,
        channel=each.channel,
        ledger=each.against.name.lower(),
        operator=each.operator,
        note=each.note,
        posting=each.sequence,
        corrects=each.corrects or None,
    )


@router.get("/income")
async def get_income(
    caller: Reader,
    sources: SourcesDoor,
    by: IncomeBy = None,
    site: Site = None,
    account: OfAccount = None,
    from_: FirstDay = None,
    until: LastDay = None,
) -> IncomeRead:
    """What came by each channel, what went, and what was charged for energy, water and fees, of which what was free. By currency."""
    whom = await directory(sources.store, caller, site, account)
    days = whom.days(from_, until, sources.now, by or By.YEAR)
    currencies = whom.currencies
    groups: dict[tuple[str, str], list[Booked]] = {}
    for shard, accounts in whom.accounts.items():
        rows, _ = await booked(sources.joined, shard, accounts, whom.zones_in(shard), days)
        for row in rows:
            period = period_text(by, row.day) if by else ""
            groups.setdefault((period, currencies[row.account]), []).append(row)
    items = [_income_read(period or None, currency, groups[period, currency]) for period, currency in sorted(groups)]
    return IncomeRead.model_validate({"from": day_text(days[0]), "until": day_text(days[1]), "items": items})


def _income_read(period: str | None, currency: str, rows: list[Booked]) -> IncomePeriodRead:
    found = income_of(rows)
    return IncomePeriodRead(
        period=period,
        currency=currency,
        received=money_text(sum(found.received.values())),
        refunded=money_text(sum(found.refunded.values())),
        reversed=money_text(sum(found.reversed_.values())),
        channels=[
            ChannelIncomeRead(
                channel=channel,
                received=money_text(found.received[channel]),
                refunded=money_text(found.refunded[channel]),
                reversed=money_text(found.reversed_[channel]),
            )
            for channel in CHANNELS.values()
        ],
        electricity=money_text(found.usage["electricity"]),
        water=money_text(found.usage["water"]),
        fees=[FeesRead(kind=kind, amount=money_text(amount)) for kind, amount in found.fees.items()],
        allowances=money_text(found.allowances),
        adjustments=money_text(found.adjustments),
        rounding=money_text(found.rounding),
        write_offs=money_text(found.write_offs),
        change=money_text(found.change),
        ledger=[
            LedgerSumRead(ledger=ledger.name.lower(), debit=money_text(debit), credit=money_text(credit))
            for ledger, (debit, credit) in sorted(found.ledger.items())
        ],
    )


@router.get("/reconciliations")
async def get_reconciliations(
    caller: Reader,
    sources: SourcesDoor,
    channel: ChannelFilter = None,
    site: Site = None,
    from_: FirstDay = None,
    until: LastDay = None,
) -> TakenPage:
    """How often and how much money came and went, by local day and channel: the sums of a provider's statement."""
    whom = await directory(sources.store, caller, site)
    days = whom.days(from_, until, sources.now)
    found = by_channel(await _orders(sources.joined, whom, days), whom.currencies)
    items = [
        TakenRead(
            day=day_text(each.day),
            channel=each.channel,
            currency=each.currency,
            received=money_text(each.received),
            received_count=each.received_count,
            paid=money_text(each.paid),
            paid_count=each.paid_count,
        )
        for each in found
        if channel in {None, each.channel}
    ]
    return TakenPage.model_validate({"from": day_text(days[0]), "until": day_text(days[1]), "items": items})


@router.post("/reconciliations")
async def reconcile(
    statement: Statement,
    caller: Reader,
    sources: SourcesDoor,
    channel: ChannelFilter = None,
    site: Site = None,
    from_: FirstDay = None,
    until: LastDay = None,
) -> ReconciliationRead:
    """Hold a payment provider's statement against our orders of some days and a channel. Nothing is kept of it."""
    whom = await directory(sources.store, caller, site)
    days = whom.days(from_, until, sources.now)
    return await _reconciled(sources.joined, whom, days, channel, statement)


@router.post("/reconciliations/csv")
async def reconcile_csv(
    body: Csv,
    caller: Reader,
    sources: SourcesDoor,
    channel: ChannelFilter = None,
    site: Site = None,
    from_: FirstDay = None,
    until: LastDay = None,
) -> ReconciliationRead:
    """As above, of a statement as a file of CSV."""
    try:
        statement = statement_of_csv(body)
    except ValueError as error:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, f"{error}.") from None
    return await reconcile(statement, caller, sources, channel, site, from_, until)


async def _reconciled(
    joined: Joined, whom: Directory, days: tuple[int, int], channel: str | None, statement: Statement
) -> ReconciliationRead:
    stated = _stated(statement)
    ours = [each for each in await _orders(joined, whom, days) if is_money(each) and channel in {None, each.channel}]
    found = reconciled(stated, ours)
    return ReconciliationRead.model_validate(
        {
            "from": day_text(days[0]),
            "until": day_text(days[1]),
            "channel": channel,
            "matched": len(found.matched),
            "matched_amount": money_text(sum(order.micros for _, order in found.matched)),
            "stated_amount": money_text(sum(line.micros for line in stated)),
            "our_amount": money_text(sum(order.micros for order in ours)),
            "missing_here": [_stated_read(line) for line in found.missing_here],
            "missing_there": [
                _reconciled_read(order) for order in sorted(found.missing_there, key=lambda each: each.place)
            ],
            "different": [
                DifferenceRead(
                    line=line.line,
                    order=order_text(order.id),
                    account=order.account,
                    stated=money_text(line.micros),
                    amount=money_text(order.micros),
                )
                for line, order in found.different
            ],
            "doubled": [_stated_read(line) for line in found.doubled],
        }
    )


def _stated(statement: Statement) -> list[Stated]:
    return [
        Stated(number, line.id, _order_of(line.id), money_micros(line.amount), line.time)
        for number, line in enumerate(statement.orders, start=1)
    ]


def _order_of(text: str) -> bytes | None:
    """The id that a provider was told; None where it is none that an order of ours can have."""
    try:
        return order_id(text)
    except ValueError:
        return None


def _stated_read(line: Stated) -> StatedRead:
    return StatedRead(line=line.line, id=line.id, amount=money_text(line.micros), time=line.time)


def _reconciled_read(order: Order) -> ReconciledOrderRead:
    return ReconciledOrderRead(
        order=order_text(order.id), account=order.account, at=iso(order.at), amount=money_text(order.micros)
    )
