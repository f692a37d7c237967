"""What callers write and read about tariffs: documents, checks, quotes and previews of bills.

Amounts of quotes and bills are exact: decimal text, or `5/14` where a number has no end (a third of a month).
"""

from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, model_validator

from api.models import Amount, Counted, Instant, OrderId, Quantity, Time, Write, shown
from api.term_models import PremisesTerms, Used
from domain.units import DAY_MS, ORDER_MAX_MICROS, USAGE_MAX, money_micros, quantity_thousandths

DOCUMENT_MAX = 60_000
ROWS_MAX = 2_000
DAYS_MAX = 400
FIRST_MS, LAST_MS = 946_684_800_000, 4_102_444_800_000
"""The begin of 2000 and of 2100, UTC: no bill is asked for outside."""

Document = Annotated[
    str, Field(min_length=1, max_length=DOCUMENT_MAX, description="A tariff file (docs/tariffs.md), TOML or JSON.")
]
Exact = Annotated[str, Field(description="Exact: decimal text, or a fraction.", examples=["12.50"])]
UsageText = Annotated[str, Field(max_length=20, description="kWh or m³, at most 3 decimals.", examples=["1.250"])]


class Sent(Write):
    """Base of what has a document: JSON, or the document as it is."""

    @model_validator(mode="before")
    @classmethod
    def _as_it_is(cls, body: Any) -> Any:
        """A body that is not JSON is a document."""
        if not isinstance(body, bytes):
            return body
        try:
            return {"document": body.decode("utf-8")}
        except UnicodeDecodeError:
            raise ValueError("expected UTF-8") from None


class TariffOrder(Sent):
    """A tariff to be published, or a new state of one with more versions. `id`: of a bare document it is in the query."""

    model_config = shown({"id": "01K5QYV3J8Z6M2T4W9X1C7B0ND", "document": 'tariff = "garden" …'})

    id: OrderId | None = None
    document: Document


class TariffCheck(Sent):
    """A tariff to be checked."""

    model_config = shown({"document": 'tariff = "garden" …'})

    document: Document


class QuoteAsk(PremisesTerms):
    """What an amount buys at `at`, or now. `used`: what the tier period has used before. `with_standing`: as a month's first purchase."""

    model_config = shown({"amount": "50.00", "used": "120.000"})

    amount: Amount
    at: Instant | None = None
    used: Used = "0"
    with_standing: bool = False

    @model_validator(mode="after")
    def _believable(self) -> "QuoteAsk":
        if not 0 <= money_micros(self.amount) <= ORDER_MAX_MICROS:
            raise ValueError("amount: expected from 0 to a thousand million")
        if self.at is not None and not FIRST_MS <= self.at <= LAST_MS:
            raise ValueError("at: expected a time from 2000 to 2100")
        return self


class UsageRow(Write):
    """What was used from the row before it (the first: from `begins`) until a time."""

    until: Instant
    usage: Counted


class PreviewAsk(PremisesTerms):
    """Usage to be billed: rows from `begins` on, or the usage of a whole `month`, as one quantity or by band.

    `used`: kWh or m³ that the tier period had used before.
    """

    model_config = shown({"month": "2026-01", "by_band": {"peak": "100", "valley": "40"}})

    begins: Instant | None = None
    rows: Annotated[list[UsageRow], Field(max_length=ROWS_MAX)] = Field(default=[])
    month: Annotated[str, Field(pattern=r"^20\d\d-(0[1-9]|1[0-2])$", examples=["2026-01"])] | None = None
    usage: Counted | None = None
    by_band: (
        Annotated[dict[Annotated[str, Field(max_length=32)], Counted], Field(min_length=1, max_length=36)] | None
    ) = None
    used: Used = "0"

    @model_validator(mode="after")
    def _one_kind(self) -> "PreviewAsk":
        by_rows = self.begins is not None and bool(self.rows)
        by_month = self.month is not None and (self.usage is None) != (self.by_band is None)
        given = [self.begins, self.month, self.usage, self.by_band, self.rows or None]
        if by_rows == by_month or sum(each is not None for each in given) != 2:
            raise ValueError("expected begins and rows, or month with either usage or by_band")
        if by_rows:
            self._rows_hold(self.begins or 0)
        if self._amounts and not all(0 <= amount <= USAGE_MAX for amount in [*self._amounts, sum(self._amounts)]):
            raise ValueError(f"usage: expected quantities from 0, of at most {USAGE_MAX // 1000} together")
        return self

    def _rows_hold(self, begins: int) -> None:
        times = [begins, *(row.until for row in self.rows)]
        if any(later <= earlier for earlier, later in pairwise(times)):
            raise ValueError("rows: expected times that rise, the first after begins")
        if times[-1] - begins > DAYS_MAX * DAY_MS or not FIRST_MS <= begins <= times[-1] <= LAST_MS:
            raise ValueError(f"rows: expected at most {DAYS_MAX} days, from 2000 to 2100")

    @property
    def _amounts(self) -> list[int]:
        texts = [row.usage for row in self.rows] + list((self.by_band or {}).values())
        return [quantity_thousandths(text) for text in texts + ([self.usage] if self.usage is not None else [])]

    @property
    def times_ms(self) -> list[int]:
        """Ends of the rows' intervals, with the begin of the first."""
        return [self.begins or 0, *(row.until for row in self.rows)]

    @property
    def amounts(self) -> list[int]:
        """Wh or litres of the rows."""
        return [quantity_thousandths(row.usage) for row in self.rows]

    @property
    def bands(self) -> dict[str, int]:
        """Wh or litres of the month by band; of one quantity, under no band's name."""
        return {band: quantity_thousandths(text) for band, text in (self.by_band or {"": self.usage or "0"}).items()}


class TitleRead(BaseModel):
    """What people call it."""

    zh: str
    en: str


class TariffSummary(BaseModel):
    """A tariff in a list."""

    tariff: str
    title: TitleRead
    commodity: Literal["electricity", "water"]
    currency: str
    zone: str
    bands: list[str]
    versions: int


class TariffPage(BaseModel):
    """Some tariffs by id, and where to go on."""

    items: list[TariffSummary]
    next: str | None


class VersionRead(BaseModel):
    """A version. The first is also in force before `from`."""

    from_: Time = Field(alias="from")
    seasons: list[str]
    components: list[str]
    charges: list[str]
    has_tiers: bool


class TariffRead(BaseModel):
    """A published tariff. `meters`: how many it prices now or will; null for whoever does not reach everything."""

    tariff: str
    title: TitleRead
    commodity: Literal["electricity", "water"]
    currency: str
    zone: str
    bands: list[str]
    source: str
    notes: list[str]
    versions: list[VersionRead]
    meters: int | None
    document: str


class MistakeRead(BaseModel):
    """One thing wrong in a document. `line` 0: none, as in JSON."""

    line: int
    key: str
    found: str
    expected: str


class TariffChecked(BaseModel):
    """What a document was found to be. `tariff`: its id; null where it has mistakes. `examples`: those that do not come out.

    `obstacles`: why a prepaid wallet cannot be charged by it. `publishable`: without mistakes, false examples and obstacles.
    """

    tariff: str | None
    mistakes: list[MistakeRead]
    examples: list[str]
    notes: list[str]
    obstacles: list[str]
    publishable: bool


class TermRead(BaseModel):
    """Quantity × price = amount."""

    band: str
    tier: int
    quantity: Exact
    unit: str
    price: Exact
    amount: Exact
    is_correction: bool


class QuoteRead(BaseModel):
    """What money buys at the prices of one instant. `usage` null: without end. `standing` is paid first; `rest` is too little for more."""

    tariff: str
    at: Time
    currency: str
    unit: Literal["kWh", "m³"]
    band: str
    money: Exact
    usage: Quantity | None
    standing: Exact
    terms: list[TermRead]
    rest: Exact


class LineRead(BaseModel):
    """A line of a bill with its arithmetic. `since`: of a bill with several versions, its first day."""

    id: str
    title: TitleRead
    kind: str
    since: str | None
    terms: list[TermRead]
    exact: Exact
    amount: Exact


class BillRead(BaseModel):
    """A bill for local days `first` to `last`."""

    first: str
    last: str
    begins: Time
    ends: Time
    usage: Quantity
    lines: list[LineRead]
    exact: Exact
    rounding: Exact
    total: Exact


class PreviewRead(BaseModel):
    """Bills, month by month."""

    tariff: str
    currency: str
    unit: Literal["kWh", "m³"]
    usage: Quantity
    total: Exact
    bills: list[BillRead]
    notes: list[str]
