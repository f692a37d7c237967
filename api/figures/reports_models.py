"""What callers ask of reports, and what they read: a room's month, and energy by day, month or year."""

from enum import StrEnum
from typing import Annotated, Literal

from fastapi import Header, Query
from pydantic import Field

from api.figures.models import BandUsageRead, CommodityWord, Cost
from api.models import Money, PlaceRead, Quantity, Read
from reports.days import By
from reports.files import Language


class Format(StrEnum):
    """Of an answer."""

    JSON = "json"
    CSV = "csv"
    XLSX = "xlsx"
    PARQUET = "parquet"


MEDIA: dict[Format, str] = {
    Format.JSON: "application/json",
    Format.CSV: "text/csv",
    Format.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    Format.PARQUET: "application/vnd.apache.parquet",
}

FormatAsked = Annotated[
    Format | None, Query(alias="format", description="Unless said, what `Accept` asks for; else JSON.")
]
Accepted = Annotated[str, Header(alias="Accept", include_in_schema=False)]
LanguageAsked = Annotated[Language, Query(alias="lang", description="Of headings in CSV and Excel.")]
ReportCursor = Annotated[
    str, Query(pattern=r"^\d{1,4}-\d{1,9}$", description="`next` of the page before; of JSON only.")
]
ReportBy = Annotated[Literal[By.DAY, By.MONTH, By.YEAR], Query(description="What to sum up by.")]
Unit = Literal["kWh", "m³"]
Percent = Annotated[str, Field(description="Per cent with two decimals.", examples=["-3.25"])]


class ComparedRead(Read):
    """What was used in another month, and by how many per cent this one has more; null where there is nothing to compare with."""

    usage: Quantity | None
    percent: Percent | None


class RoomEnergyRead(Read):
    """What a room has used of a commodity. `mom` (环比): the month before; `yoy` (同比): the same month of the year before."""

    commodity: CommodityWord
    unit: Unit
    usage: Quantity
    cost: Cost
    estimated: bool
    open: bool
    bands: list[BandUsageRead]
    mom: ComparedRead
    yoy: ComparedRead


class RegistersRead(Read):
    """What a meter showed when the month began (期初) and when it ended (期末), before ratio; of a month that is not over, what it shows.

    null: not known, as the register has moved since by something else than usage.
    """

    meter: str
    commodity: CommodityWord
    unit: Unit
    ratio: int
    opening: Quantity | None
    closing: Quantity | None


class MonthMoneyRead(Read):
    """A room's money from balance to balance, by the ledger.

    opening_balance + received + adjusted + free - refunded - reversed - electricity - water - fees - written_off = closing_balance.
    """

    opening_balance: Money
    received: Money
    refunded: Money
    reversed: Money
    adjusted: Money
    electricity: Money
    water: Money
    free: Money
    fees: Money
    written_off: Money
    closing_balance: Money


class RoomMonthRead(Read):
    """A room's month. `open`: it is not over, or not all of it is known."""

    account: str
    name: str
    place: PlaceRead
    currency: str
    month: Annotated[str, Field(examples=["2026-01"])]
    open: bool
    energy: list[RoomEnergyRead]
    registers: list[RegistersRead]
    money: MonthMoneyRead


class MonthlyPage(Read):
    """Rooms in a fixed order, and where to go on."""

    items: list[RoomMonthRead]
    next: str | None = Field(description="Cursor of the next page; null: this was the last.")


class EnergyPeriodRead(Read):
    """What a room has used of a commodity in a day, month or year."""

    account: str
    name: str
    place: PlaceRead
    period: Annotated[str, Field(examples=["2026-01-31"])]
    commodity: CommodityWord
    unit: Unit
    usage: Quantity
    cost: Cost
    currency: str
    estimated: bool
    open: bool
    bands: list[BandUsageRead]


class EnergyPage(Read):
    """Energy of rooms in a fixed order, and where to go on."""

    items: list[EnergyPeriodRead]
    next: str | None = Field(description="Cursor of the next page; null: this was the last.")
