"""What callers ask of figures, and what they read of them: usage, finance, reports.

Money is a decimal string. A `cost` is exact, with as many as twelve decimals; what is in the ledger has at most six.
"""

from datetime import date
from typing import Annotated, Literal

from fastapi import Query
from pydantic import AfterValidator, Field

from api.models import Quantity, Read, instant_ms
from reports.days import By

_DAY_LENGTH = 10
YEARS = range(1971, 9_900)


def edge(text: str) -> int | date:
    """A local day, or an instant in ms UTC. Raises ValueError."""
    if len(text) != _DAY_LENGTH:
        return instant_ms(text)
    try:
        day = date.fromisoformat(text) if text.isascii() else None
    except ValueError:
        day = None
    if day is None or day.year not in YEARS:
        raise ValueError(
            "expected a local day such as 2026-01-31, or a time with zone such as 2026-01-31T08:00:00+08:00"
        )
    return day


def _edge_text(text: str) -> str:
    edge(text)
    return text


def _day(text: str) -> str:
    if not isinstance(edge(text), date):
        raise ValueError("expected a local day such as 2026-01-31")  # noqa: TRY004 - pydantic's word for a wrong value
    return text


def _month(text: str) -> str:
    edge(f"{text}-01")
    return text


From = Annotated[
    str | None,
    Query(alias="from", description="The first local day, or an instant with zone.", examples=["2026-01-01"]),
    AfterValidator(lambda text: text and _edge_text(text)),
]
Until = Annotated[
    str | None,
    Query(
        description="The last local day, which is included, or an instant with zone, which is not.",
        examples=["2026-01-31"],
    ),
    AfterValidator(lambda text: text and _edge_text(text)),
]
FirstDay = Annotated[
    str | None,
    Query(alias="from", description="The first local day.", examples=["2026-01-01"]),
    AfterValidator(lambda text: text and _day(text)),
]
LastDay = Annotated[
    str | None,
    Query(description="The last local day; it is included.", examples=["2026-01-31"]),
    AfterValidator(lambda text: text and _day(text)),
]
Month = Annotated[
    str, Query(description="A calendar month.", pattern=r"^\d{4}-\d{2}$", examples=["2026-01"]), AfterValidator(_month)
]
ByPeriod = Annotated[By, Query(description="What to sum up by.")]
Cost = Annotated[str, Field(description="Decimal text, exact: up to twelve decimals.", examples=["12.50"])]
CommodityWord = Literal["electricity", "water"]


class BandUsageRead(Read):
    """What was used in one band, and what it cost."""

    band: str
    usage: Quantity
    cost: Cost


class UsagePeriodRead(Read):
    """Usage of an hour, day, month or year. `period`: of an hour its begin, else `2026-01-31`, `2026-01` or `2026`.

    `cost`: what it is worth at its prices, free usage included. `estimated`: some of it is spread over an interval of more than two hours.
    `open`: more may come.
    """

    period: Annotated[str, Field(examples=["2026-01-31"])]
    usage: Quantity
    cost: Cost
    estimated: bool
    open: bool
    bands: list[BandUsageRead]


class UsageSeriesRead(Read):
    """Usage of one commodity: the sum, and each period with any."""

    commodity: CommodityWord
    unit: Literal["kWh", "m³"]
    usage: Quantity
    cost: Cost
    estimated: bool
    open: bool
    periods: list[UsagePeriodRead]


class UsageRead(Read):
    """What a meter, or all meters of an account, have used. `zone`: whose local days these are."""

    account: str
    meter: str | None
    currency: str
    zone: str
    by: By
    from_: Annotated[str, Field(alias="from", description="The first local day, or an instant.")]
    until: Annotated[str, Field(description="The last local day, which is included, or an instant, which is not.")]
    series: list[UsageSeriesRead]
