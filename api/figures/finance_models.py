"""What callers ask of the books, and what they read: orders, income, reconciliations. Money is a decimal string with its currency."""

import csv
import io
from typing import Annotated, Literal

from fastapi import Query
from pydantic import Field, ValidationError

from api.models import Amount, Money, Read, Time, Write, shown
from reports.days import By
from reports.orders import Kind

LINES_MAX = 2_000
"""Of a statement. A body may have 64 KiB, which are some 1,000 lines."""
_COLUMNS = {
    "id": ("id", "order", "order_id", "订单号", "商户订单号"),
    "amount": ("amount", "金额", "交易金额"),
    "time": ("time", "时间", "交易时间"),
}

Site = Annotated[str | None, Query(description="Accounts of this site only.", max_length=64)]
ChannelFilter = Annotated[
    str | None, Query(description="Money by this channel only.", max_length=64, examples=["wechat"])
]
OperatorFilter = Annotated[str | None, Query(description="What this person ordered.", max_length=64)]
KindFilter = Annotated[Kind | None, Query(description="Orders of this kind only.")]
OrderCursor = Annotated[
    str | None, Query(pattern=r"^\d{1,18}-\d{1,4}-\d{1,18}$", description="`next` of the page before.", max_length=42)
]
IncomeBy = Annotated[
    Literal[By.DAY, By.MONTH, By.YEAR] | None,
    Query(description="What to sum up by; unless said, all of it is one sum."),
]
Digits = Annotated[
    str,
    Field(
        description="The day that it is of: the local day of its time, of a fee that on which it fell due.",
        examples=["2026-01-31"],
    ),
]


class OrderRead(Read):
    """An order that was carried out. `amount`: what the account was given; below zero: what was taken.

    `posting`: its number in the account's ledger. `channel`: by which money came or went; "": none, or one without a name.
    """

    order: str
    kind: Kind
    account: str
    at: Time
    day: Digits
    amount: Money
    currency: str
    channel: str
    ledger: str
    operator: str
    note: str
    posting: int
    corrects: int | None


class OrderPage(Read):
    """Orders, newest first, and where to go on."""

    items: list[OrderRead]
    next: str | None = Field(description="Cursor of the next page; null: this was the last.")


class ChannelIncomeRead(Read):
    """Money through one channel: what came, what was paid out, and what was taken back because its payment had failed."""

    channel: str
    received: Money
    refunded: Money
    reversed: Money


class FeesRead(Read):
    """What fees of one kind have cost."""

    kind: str
    amount: Money


class LedgerSumRead(Read):
    """What was posted to one account of the ledger."""

    ledger: str
    debit: Money
    credit: Money


class IncomePeriodRead(Read):
    """What came, what went and what was charged. Every posting of the period is in it once.

    `change`: by how much what is owed to the tenants has changed: received + adjustments + allowances - refunded - reversed - electricity -
    water - fees - rounding - write_offs. `ledger`: the sums that it is made of; its debits are its credits.
    """

    period: str | None
    currency: str
    received: Money
    refunded: Money
    reversed: Money
    channels: list[ChannelIncomeRead]
    electricity: Money
    water: Money
    fees: list[FeesRead]
    allowances: Money
    adjustments: Money
    rounding: Money
    write_offs: Money
    change: Money
    ledger: list[LedgerSumRead]


class IncomeRead(Read):
    """Income by period and currency, those without a posting left out."""

    from_: Annotated[str, Field(alias="from")]
    until: str
    items: list[IncomePeriodRead]


class TakenRead(Read):
    """Money through one channel on one local day: sums and counts to be held against a provider's statement."""

    day: str
    channel: str
    currency: str
    received: Money
    received_count: int
    paid: Money
    paid_count: int


class TakenPage(Read):
    """Money by day and channel."""

    from_: Annotated[str, Field(alias="from")]
    until: str
    items: list[TakenRead]


class StatementLine(Write):
    """A line of a provider's statement: our order's id, its amount, below zero for money that went out, and its time in any form."""

    id: Annotated[str, Field(min_length=1, max_length=64, examples=["01K5QYV3J8Z6M2T4W9X1C7B0ND"])]
    amount: Amount
    time: Annotated[str, Field(max_length=40, examples=["2026-01-05 10:00:00"])] = ""


class Statement(Write):
    """A payment provider's statement."""

    model_config = shown(
        {"orders": [{"id": "01K5QYV3J8Z6M2T4W9X1C7B0ND", "amount": "50.00", "time": "2026-01-05 10:00:00"}]}
    )

    orders: Annotated[list[StatementLine], Field(max_length=LINES_MAX)]


class StatedRead(Read):
    """A line of the statement. `line`: 1 is the first order."""

    line: int
    id: str
    amount: Money
    time: str


class ReconciledOrderRead(Read):
    """An order of ours."""

    order: str
    account: str
    at: Time
    amount: Money


class DifferenceRead(Read):
    """A line that states another amount than our order has."""

    line: int
    order: str
    account: str
    stated: Money
    amount: Money


class ReconciliationRead(Read):
    """What statement and orders agree on, and what not. Sums are of the orders' amounts, less what was paid out.

    `missing_here`: lines that no order of ours is known for; `missing_there`: orders that no line names; `doubled`: lines that name an order again.
    """

    from_: Annotated[str, Field(alias="from")]
    until: str
    channel: str | None
    matched: int
    matched_amount: Money
    stated_amount: Money
    our_amount: Money
    missing_here: list[StatedRead]
    missing_there: list[ReconciledOrderRead]
    different: list[DifferenceRead]
    doubled: list[StatedRead]


def statement_of_csv(body: bytes) -> Statement:
    """A statement as CSV in UTF-8: a heading with `id` (订单号), `amount` (金额) and, if there is one, `time` (时间). Raises ValueError."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("expected CSV in UTF-8") from None
    try:
        heading, *lines = [line for line in csv.reader(io.StringIO(text), strict=True) if line] or [[]]
    except csv.Error as error:
        raise ValueError(f"expected CSV: {error}") from None
    columns = {name: _column(heading, words) for name, words in _COLUMNS.items()}
    if columns["id"] is None or columns["amount"] is None:
        raise ValueError("expected a heading with the columns id (订单号) and amount (金额), and perhaps time (时间)")
    if len(lines) > LINES_MAX:
        raise ValueError(f"{len(lines)} lines: expected at most {LINES_MAX}")
    return Statement(orders=[_line(number, line, columns) for number, line in enumerate(lines, start=1)])


def _column(heading: list[str], words: tuple[str, ...]) -> int | None:
    return next((place for place, name in enumerate(heading) if name.strip().lower() in words), None)


def _line(number: int, line: list[str], columns: dict[str, int | None]) -> StatementLine:
    cells = {name: line[place].strip() for name, place in columns.items() if place is not None and place < len(line)}
    try:
        return StatementLine.model_validate(cells)
    except ValidationError as error:
        mistakes = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise ValueError(f"line {number}: {mistakes}") from None
