"""Reports: the month of rooms, and their energy by day, month or year, as pages of JSON or whole as CSV, Excel or Parquet."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse
from starlette.exceptions import HTTPException

from api.doors.dependencies import Reader
from api.doors.direct import Direct
from api.figures.asking import NOT_REACHED, Directory, SourcesDoor, directory
from api.figures.finance import OfAccount
from api.figures.finance_models import Site
from api.figures.models import FirstDay, LastDay, Month
from api.figures.reports_models import (
    MEDIA,
    Accepted,
    ComparedRead,
    EnergyPage,
    EnergyPeriodRead,
    Format,
    FormatAsked,
    LanguageAsked,
    MonthlyPage,
    MonthMoneyRead,
    RegistersRead,
    ReportBy,
    ReportCursor,
    RoomEnergyRead,
    RoomMonthRead,
)
from api.figures.usage import bands_read
from api.models import PlaceRead
from api.views import commodity_word, unit_word
from connectors.archive.joined import Joined
from domain.ids import meter_text
from domain.state import AccountRecord
from domain.units import cost_text, money_text, quantity_text
from domain.words import Commodity
from reports import columns
from reports.days import By
from reports.files import Column, Language, Row, csv_of, parquet_of, xlsx_of
from reports.monthly import Energy, RoomMonth, change_percent, room_months
from reports.registers import Registers
from reports.state import meter_records
from reports.tenures import tenures
from reports.usage import Span, Used, used

router = APIRouter(prefix="/reports", tags=["reports"], route_class=Direct)

ROOMS_MAX = 20_000
"""In one file."""
ROWS_MAX = 200_000
"""In one file: an Excel sheet has room for a million, and memory for fewer."""
_FILES: Mapping[int | str, dict[str, Any]] = {
    **NOT_REACHED,
    HTTPStatus.OK.value: {"content": {media: {} for each, media in MEDIA.items() if each != Format.JSON}},
}
Rooms = Annotated[int, Query(alias="limit", ge=1, le=500, description="Rooms on a page of JSON.")]


@router.get("/monthly", response_model=MonthlyPage, responses=dict(_FILES))
async def get_monthly(
    caller: Reader,
    sources: SourcesDoor,
    month: Month,
    site: Site = None,
    account: OfAccount = None,
    format_: FormatAsked = None,
    accept: Accepted = "",
    lang: LanguageAsked = Language.EN,
    rooms: Rooms = 100,
    cursor: ReportCursor = "0-0",
) -> MonthlyPage | Response:
    """Each room's energy by commodity and band, beside the month before (环比) and the year before (同比), and its money from balance to balance."""
    whom, form = await directory(sources.store, caller, site, account), _format(format_, accept)
    page, following = _page(whom, form, rooms, cursor)
    number = int(month[:4]) * 12 + int(month[5:]) - 1
    found = [
        each
        for shard, accounts in page.items()
        for each in await room_months(sources.joined, shard, accounts, whom.zones_in(shard), whom.documents, number)
    ]
    if form == Format.JSON:
        return MonthlyPage(items=[_month_read(each, month) for each in found], next=following)
    bands = [(energy.commodity, band) for each in found for energy in each.energy for band in energy.now.bands]
    return await _file(
        form, lang, columns.monthly(bands), [_month_row(each, month) for each in found], f"monthly-{month}"
    )


@router.get("/energy", response_model=EnergyPage, responses=dict(_FILES))
async def get_energy(
    caller: Reader,
    sources: SourcesDoor,
    by: ReportBy = By.DAY,
    from_: FirstDay = None,
    until: LastDay = None,
    site: Site = None,
    account: OfAccount = None,
    format_: FormatAsked = None,
    accept: Accepted = "",
    lang: LanguageAsked = Language.EN,
    rooms: Rooms = 100,
    cursor: ReportCursor = "0-0",
) -> EnergyPage | Response:
    """Each room's energy by commodity and band for each day, month or year of some local days, those that are open included."""
    whom, form = await directory(sources.store, caller, site, account), _format(format_, accept)
    days = whom.days(from_, until, sources.now, by)
    page, following = _page(whom, form, rooms, cursor)
    found = [
        each
        for shard, accounts in page.items()
        for each in await _energy(sources.joined, shard, accounts, whom, days, by)
    ]
    if form == Format.JSON:
        return EnergyPage(items=[_energy_read(*each) for each in found], next=following)
    bands = {band for *_, each in found for band in each.bands}
    name = f"energy-{days_name(found)}" if found else "energy"
    return await _file(form, lang, columns.energy(bands), [_energy_row(*each) for each in found], name)


_Periods = tuple[AccountRecord, Commodity, str, Used]


def days_name(found: Sequence[_Periods]) -> str:
    """The first and the last period of a report, for a file's name."""
    periods = {period for _, _, period, _ in found}
    return f"{min(periods)}_{max(periods)}"


async def _energy(
    joined: Joined, shard: int, accounts: Sequence[AccountRecord], whom: Directory, days: tuple[int, int], by: By
) -> list[_Periods]:
    numbers = [meter for each in accounts for meter in (*each.meters, *each.former)]
    meters = await meter_records(joined.store, shard, numbers)
    owned = [tenure for each in accounts for tenure in tenures(each, meters)]
    series = await used(joined, shard, owned, whom.documents, [Span("day", *days)], by)
    return [
        (record, commodity, period, periods[period])
        for record in accounts
        for commodity in Commodity
        for periods in (series.get((record.account, commodity), {}),)
        for period in sorted(periods)
    ]


def _format(asked: Format | None, accept: str) -> Format:
    """What `format` says; else the first of `Accept` that we have; else JSON."""
    accepted = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    return asked or next((each for media in accepted for each, name in MEDIA.items() if name == media), Format.JSON)


def _page(whom: Directory, form: Format, rooms: int, cursor: str) -> tuple[dict[int, list[AccountRecord]], str | None]:
    """The accounts of a page, by shard, and where to go on; all of them for a file. Raises HTTPException."""
    shard, row = map(int, cursor.split("-"))
    every = [
        (at, record)
        for at, records in whom.accounts.items()
        for record in sorted(records, key=lambda each: each.row)
        if form != Format.JSON or (at, record.row) >= (shard, row)
    ]
    if form != Format.JSON and len(every) > ROOMS_MAX:
        raise _too_much(f"{len(every)} rooms: a file has at most {ROOMS_MAX}. Ask for one site, or for pages of JSON.")
    kept = every[:rooms] if form == Format.JSON else every
    following = every[rooms] if form == Format.JSON and len(every) > rooms else None
    page: dict[int, list[AccountRecord]] = {}
    for at, record in kept:
        page.setdefault(at, []).append(record)
    return page, f"{following[0]}-{following[1].row}" if following else None


def _too_much(words: str) -> HTTPException:
    return HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, words)


async def _file(form: Format, language: Language, shown: Sequence[Column], rows: Sequence[Row], name: str) -> Response:
    """A table as a file to be kept. Raises HTTPException."""
    if len(rows) > ROWS_MAX:
        raise _too_much(f"{len(rows)} rows: a file has at most {ROWS_MAX}. Ask for fewer days, or one site.")
    headers = {"Content-Disposition": f'attachment; filename="{name}.{form}"'}
    if form == Format.CSV:
        return StreamingResponse(csv_of(shown, rows, language), media_type=MEDIA[form], headers=headers)
    content = await asyncio.to_thread(
        lambda: parquet_of(shown, rows) if form == Format.PARQUET else xlsx_of(shown, rows, language)
    )
    return Response(content, media_type=MEDIA[form], headers=headers)


def _place(record: AccountRecord) -> PlaceRead:
    place = record.place
    return PlaceRead(site=place.site, building=place.building, floor=place.floor, room=place.room)


def _month_read(each: RoomMonth, month: str) -> RoomMonthRead:
    return RoomMonthRead(
        account=each.record.account,
        name=each.record.name,
        place=_place(each.record),
        currency=each.record.currency,
        month=month,
        open=each.is_open,
        energy=[_room_energy_read(energy) for energy in each.energy],
        registers=[_registers_read(registers) for registers in each.registers],
        money=MonthMoneyRead(**_money(each)),
    )


def _registers_read(each: Registers) -> RegistersRead:
    return RegistersRead(
        meter=meter_text(each.record.meter),
        commodity=commodity_word(each.record.commodity),
        unit=unit_word(each.record.commodity),
        ratio=each.record.ratio,
        opening=None if each.opening is None else quantity_text(each.opening),
        closing=None if each.closing is None else quantity_text(each.closing),
    )


def _register_cells(each: RoomMonth, commodity: Commodity) -> dict[str, str | None]:
    """Registers of a room's meters of a commodity, in one order; "?" for what is not known."""
    word = commodity_word(commodity)
    shown = [_registers_read(registers) for registers in each.registers if registers.record.commodity == commodity]
    cells = {
        "meters": [read.meter for read in shown],
        "opening": [read.opening or "?" for read in shown],
        "closing": [read.closing or "?" for read in shown],
    }
    return {f"{word}_{name}": "; ".join(texts) or None for name, texts in cells.items()}


def _money(each: RoomMonth) -> dict[str, str]:
    income = each.income
    micros = {
        "opening_balance": each.opening,
        "received": sum(income.received.values()),
        "refunded": sum(income.refunded.values()),
        "reversed": sum(income.reversed_.values()),
        "adjusted": income.adjustments,
        "electricity": income.usage["electricity"],
        "water": income.usage["water"],
        "free": income.allowances,
        "fees": sum(income.fees.values()),
        "written_off": income.rounding + income.write_offs,
        "closing_balance": each.closing,
    }
    return {name: money_text(value) for name, value in micros.items()}


def _compared(now: Used, before: Used | None) -> ComparedRead:
    percent = change_percent(now.usage, before.usage) if before else None
    return ComparedRead(
        usage=quantity_text(before.usage) if before else None,
        percent=None if percent is None else _percent_text(percent),
    )


def _percent_text(hundredths: int) -> str:
    return f"{'-' if hundredths < 0 else ''}{abs(hundredths) // 100}.{abs(hundredths) % 100:02d}"


def _room_energy_read(energy: Energy) -> RoomEnergyRead:
    now = energy.now
    return RoomEnergyRead(
        commodity=commodity_word(energy.commodity),
        unit=unit_word(energy.commodity),
        usage=quantity_text(now.usage),
        cost=cost_text(now.cost_picos),
        estimated=now.is_estimated,
        open=now.is_open,
        bands=bands_read(now),
        mom=_compared(now, energy.month_before),
        yoy=_compared(now, energy.year_before),
    )


def _room_cells(record: AccountRecord) -> dict[str, str | None]:
    return {"account": record.account, "name": record.name, "currency": record.currency} | _place(record).model_dump()


def _marks(uses: Iterable[Used], *, is_open: bool) -> dict[str, str | None]:
    return {"estimated": "1" if any(each.is_estimated for each in uses) else "0", "open": "1" if is_open else "0"}


def _month_row(each: RoomMonth, month: str) -> Row:
    cells = _room_cells(each.record) | {"month": month} | _money(each)
    for energy in each.energy:
        word, read = commodity_word(energy.commodity), _room_energy_read(energy)
        cells |= {
            f"{word}_usage": read.usage,
            f"{word}_cost": read.cost,
            f"{word}_month_before": read.mom.usage,
            f"{word}_mom": read.mom.percent,
            f"{word}_year_before": read.yoy.usage,
            f"{word}_yoy": read.yoy.percent,
        }
        cells |= _register_cells(each, energy.commodity)
        cells |= {f"{word}_{band.band}_usage": band.usage for band in read.bands}
        cells |= {f"{word}_{band.band}_cost": band.cost for band in read.bands}
    return cells | _marks((energy.now for energy in each.energy), is_open=each.is_open)


def _energy_read(record: AccountRecord, commodity: Commodity, period: str, each: Used) -> EnergyPeriodRead:
    return EnergyPeriodRead(
        account=record.account,
        name=record.name,
        place=_place(record),
        period=period,
        commodity=commodity_word(commodity),
        unit=unit_word(commodity),
        usage=quantity_text(each.usage),
        cost=cost_text(each.cost_picos),
        currency=record.currency,
        estimated=each.is_estimated,
        open=each.is_open,
        bands=bands_read(each),
    )


def _energy_row(record: AccountRecord, commodity: Commodity, period: str, each: Used) -> Row:
    read = _energy_read(record, commodity, period, each)
    cells = _room_cells(record) | {"period": period, "commodity": read.commodity, "unit": read.unit}
    cells |= {"usage": read.usage, "cost": read.cost}
    cells |= {f"{band.band}_usage": band.usage for band in read.bands}
    cells |= {f"{band.band}_cost": band.cost for band in read.bands}
    return cells | _marks([each], is_open=each.is_open)
