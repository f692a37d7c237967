"""What callers write and what they read: two sets of models, and nothing that is read can be written.

Money is a decimal string, energy is a decimal string in kWh and water in m³, times are ISO 8601 in UTC. Fields that are
not known are refused.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import Path
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from ulid import ULID

from connectors.redis.formats import iso
from domain.ids import account_id, meter_number, order_id, order_time_ms
from domain.units import MINUTE_MS, MONEY_MAX_MICROS, money_micros, quantity_thousandths
from domain.words import Supply

FORCED_MINUTES_MAX = 366 * 24 * 60
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)


def order_text(order: bytes) -> str:
    """An order id as this API writes it: a ULID, also where the caller made a UUIDv7 of the same 128 bits."""
    return str(ULID.from_bytes(order))


def _order(text: str) -> str:
    return order_text(order_id(text))


def _amount(text: str) -> str:
    if abs(money_micros(text)) >= MONEY_MAX_MICROS:
        raise ValueError(f"amount {text!r} is beyond anything that an account can hold")
    return text


def _counted(text: str) -> str:
    if abs(quantity_thousandths(text)) > MONEY_MAX_MICROS:
        raise ValueError(f"quantity {text!r} is beyond anything that a meter can count")
    return text


def instant_ms(value: Any) -> int:
    """Ms UTC of a time with zone (RFC 3339). Raises ValueError."""
    text = value.upper() if isinstance(value, str) else ""
    try:
        instant = datetime.fromisoformat(text) if _RFC_3339.fullmatch(text) else None
    except ValueError:
        instant = None
    if instant is None or instant.year < 1971 or instant.year > 9998:
        raise ValueError("expected a time with zone such as 2026-01-01T08:00:00Z")
    return (instant - _EPOCH) // timedelta(milliseconds=1)


AccountPath = Annotated[str, Path(description="The operator's id of the account."), AfterValidator(account_id)]
MeterPath = Annotated[
    str, Path(description="Up to 12 digits."), AfterValidator(lambda text: f"{meter_number(text):012d}")
]
OrderPath = Annotated[str, Path(description="The caller's id, ULID or UUIDv7."), AfterValidator(_order)]
OrderId = Annotated[
    str, AfterValidator(_order), Field(description="Made by the caller, once per intent: a ULID or a UUIDv7.")
]
Amount = Annotated[
    str, AfterValidator(_amount), Field(description="Decimal text with at most 6 decimals.", examples=["50.00"])
]
Counted = Annotated[
    str,
    AfterValidator(_counted),
    Field(description="Decimal text in kWh or m³, at most 3 decimals.", examples=["1.250"]),
]
Instant = Annotated[
    int,
    BeforeValidator(instant_ms),
    PlainSerializer(iso, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
Money = Annotated[str, Field(description="Decimal text.", examples=["12.50"])]
Quantity = Annotated[str, Field(description="Decimal text in kWh or m³.", examples=["1.250"])]
ReasonWord = Literal["in_credit", "arrears", "forced", "protected", "safety", "load", "schedule", "no_trip", "closed"]
Time = Annotated[str, Field(description="ISO 8601, UTC.", examples=["2026-01-01T08:00:00.000Z"])]


class Write(BaseModel):
    """Base of what callers send."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def shown(*examples: dict[str, Any]) -> ConfigDict:
    """The examples of a model in the OpenAPI file."""
    return ConfigDict(json_schema_extra={"examples": list(examples)})


class OrderWrite(Write):
    """Base of every order. Its id is in the body, or in the header that `api.orders.route` puts there."""

    id: OrderId

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        found = handler.resolve_ref_schema(handler(schema))
        found["required"] = [name for name in found["required"] if name != "id"]
        return found


class MoneyOrder(OrderWrite):
    """A recharge, or a refund."""

    model_config = shown({"id": "01K5QYV3J8Z6M2T4W9X1C7B0ND", "amount": "50.00", "currency": "CNY", "channel": "cash"})

    amount: Amount
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    channel: Annotated[str, Field(max_length=64)] = ""
    note: Annotated[str, Field(max_length=500)] = ""

    @property
    def amount_micros(self) -> int:
        """The amount."""
        return money_micros(self.amount)


class DecisionOrder(OrderWrite):
    """A person's word on the readings of a meter that wait under a reason. `register` and `usage` belong to rebaseline."""

    model_config = shown(
        {
            "id": "01K5QYV3J8Z6M2T4W9X1C7B0ND",
            "reason": "jump",
            "decision": "accept",
            "operator": "li",
            "note": "went there",
        }
    )

    reason: Annotated[str, Field(min_length=1, max_length=64)]
    decision: Literal["accept", "rebaseline", "discard"]
    register_: Annotated[Counted | None, Field(alias="register")] = None
    usage: Counted = "0"
    operator: Annotated[str, Field(min_length=1, max_length=64)]
    note: Annotated[str, Field(max_length=500)]


class CorrectionOrder(OrderWrite):
    """Usage that was charged wrongly in a time: so much on top, or given back where it is negative."""

    model_config = shown(
        {
            "id": "01K5QYV3J8Z6M2T4W9X1C7B0ND",
            "from": "2026-01-01T08:00:00+08:00",
            "until": "2026-01-01T09:00:00+08:00",
            "usage": "-4.000",
            "operator": "li",
            "note": "misread",
        }
    )

    from_: Annotated[Instant, Field(alias="from")]
    until: Instant
    usage: Counted
    register_: Annotated[Counted | None, Field(alias="register")] = None
    operator: Annotated[str, Field(min_length=1, max_length=64)]
    note: Annotated[str, Field(max_length=500)]


class PurchasesOrder(OrderWrite):
    """A person knows why a meter's purchase counter shows this."""

    model_config = shown(
        {"id": "01K5QYV3J8Z6M2T4W9X1C7B0ND", "count": 7, "operator": "li", "note": "the old tenant's card"}
    )

    count: Annotated[int, Field(ge=0, le=65_535)]
    operator: Annotated[str, Field(min_length=1, max_length=64)]
    note: Annotated[str, Field(max_length=500)]


class ControlOrder(OrderWrite):
    """Force a meter's supply on or off, until a time or for some minutes, or give it back to automatic."""

    model_config = shown(
        {"id": "01K5QYV3J8Z6M2T4W9X1C7B0ND", "wanted": "off", "minutes": 60, "operator": "li", "note": "repair"}
    )

    wanted: Literal["on", "off", "automatic"]
    until: Instant | None = None
    minutes: Annotated[int, Field(ge=1, le=FORCED_MINUTES_MAX)] | None = None
    operator: Annotated[str, Field(min_length=1, max_length=64)]
    note: Annotated[str, Field(max_length=500)] = ""

    @model_validator(mode="after")
    def _one_end(self) -> "ControlOrder":
        ends = sum(end is not None for end in (self.until, self.minutes))
        if ends != (self.wanted != "automatic"):
            raise ValueError("on and off need either until or minutes; automatic needs neither")
        return self

    @model_validator(mode="after")
    def _ends_in_time(self) -> "ControlOrder":
        latest = order_time_ms(order_id(self.id)) + FORCED_MINUTES_MAX * MINUTE_MS
        if self.until is not None and self.until > latest:
            raise ValueError(f"until at most {FORCED_MINUTES_MAX} minutes after the time in the id")
        return self

    @property
    def supply(self) -> Supply:
        """The supply that is wanted; UNKNOWN is automatic."""
        return {"on": Supply.ON, "off": Supply.OFF, "automatic": Supply.UNKNOWN}[self.wanted]

    @property
    def until_ms(self) -> int:
        """When the wish ends, ms UTC. Minutes count from the time in the id, so that a repeat is the same order."""
        if self.minutes is not None:
            return order_time_ms(order_id(self.id)) + self.minutes * MINUTE_MS
        return self.until or 0


class Read(BaseModel):
    """Base of what callers get."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PlaceRead(Read):
    """Where an account's room is."""

    site: str
    building: str
    floor: str
    room: str


class AccountSummary(Read):
    """An account in a list. The balance is rounded down to a millionth."""

    account: str
    name: str
    place: PlaceRead
    balance: Money
    currency: str
    level: Literal["none", "low", "pretrip", "arrears", "limit"]
    tripped: bool


class AccountPage(Read):
    """Some accounts, and where to go on."""

    accounts: list[AccountSummary]
    next: str | None = Field(description="Cursor of the next page; null: this was the last.")


class SupplyRead(Read):
    """Wanted, and why; and what was last seen."""

    wanted: Literal["unknown", "off", "on"]
    reason: ReasonWord
    seen: Literal["unknown", "off", "on"]


class DayRead(Read):
    """A meter's open local day: the day of its last reading. Its cost is in the balance, and not yet in the ledger."""

    date: str
    usage: Quantity
    unit: Literal["kWh", "m³"]
    cost: Money


class AccountMeter(Read):
    """A meter of an account."""

    meter: str
    commodity: Literal["electricity", "water"]
    supply: SupplyRead
    day: DayRead | None


class AccountDay(Read):
    """The newest open day of an account's meters, summed. Commodities that have no meter are null."""

    date: str
    electricity_kwh: Quantity | None
    water_m3: Quantity | None
    cost: Money


class AlarmsRead(Read):
    """When an account is warned, cut and restored."""

    low: Money
    pretrip: Money
    arrears: Money
    hysteresis: Money
    reconnect: Money
    max_balance: Money
    overdraft: Money
    repeat_minutes: int
    repeat_max: int


class AccountRead(AccountSummary):
    """An account with its meters. `policy`: whose `alarms` it has; null: its own."""

    opened_at: Time
    state: Literal["open", "prepared", "closed"]
    policy: str | None
    alarms: AlarmsRead
    meters: list[AccountMeter]
    day: AccountDay | None


class OutlookRead(Read):
    """An estimate from what the last days have used, at the prices of the hours and tiers to come. Null: not within sixty days.

    `spendable`: what is left until the supply is cut. `runs_down_at`: when it will have been used up. `trips_at`: when the supply will be cut,
    which no-trip windows put off.
    """

    account: str
    currency: str
    spendable: Money
    runs_down_at: Time | None
    trips_at: Time | None
    days_left: int | None


class PostingRead(Read):
    """One debit, one credit, one amount. `order` of what was ordered; `day` of usage and fees, `meter` of usage.

    `corrects`: sequence of the posting that this one corrects.
    """

    sequence: int
    at: Time
    debit: str
    credit: str
    amount: Money
    order: str | None
    day: str | None
    meter: str | None
    corrects: int | None


class LedgerPage(Read):
    """Postings, newest first."""

    account: str
    currency: str
    postings: list[PostingRead]


class WindowRead(Read):
    """The open hour, or the part of it that lies in one band."""

    start: Time
    band: str
    usage: Quantity
    cost: Money
    estimated: bool


class CommandRead(Read):
    """A command that has not been verified."""

    epoch: int
    wanted: Literal["unknown", "off", "on"]
    reason: ReasonWord
    stage: str
    at: Time
    expires_at: Time
    attempt: int
    retry_at: Time | None
    detail: str
    waits_for_button: bool


class TextRead(Read):
    """One sentence for people, in each language."""

    zh: str
    en: str


class CaseRead(Read):
    """Readings that wait for a person."""

    reason: str
    since: Time
    last: Time
    count: int
    baseline: Quantity | None
    register_: Quantity | None = Field(alias="register")
    usage: Quantity


class ComparisonRead(Read):
    """What a main meter used in a time, what its sub-meters counted of it, and what was lost in between."""

    begins: Time
    ends: Time
    used: Quantity
    counted: Quantity
    lost: Quantity


class MainMeterRead(Read):
    """What hangs behind a main meter. `waits_for`: meters without which its days cannot be compared."""

    subs: list[str]
    last: ComparisonRead | None
    waits_for: list[str]


class PurchasesRead(Read):
    """How often a meter's own counter says that it was sold energy, and what is expected of it."""

    counted: int
    accepted: int


class MeterRead(Read):
    """A meter as committed."""

    meter: str
    account: str
    commodity: Literal["electricity", "water"]
    unit: Literal["kWh", "m³"]
    tariff: str
    profile: str
    ratio: int
    switchable: bool
    installed_at: Time
    online: bool
    last_reading_at: Time | None
    register_: Quantity | None = Field(alias="register")
    power_w: int
    status: list[str]
    supply: SupplyRead
    reason: TextRead
    must_clear: list[TextRead]
    window: WindowRead | None
    day: DayRead | None
    command: CommandRead | None
    quarantine: list[CaseRead]
    main_meter: MainMeterRead | None
    purchases: PurchasesRead | None


class OutcomeRead(Read):
    """What became of an order. `id` is a ULID, also where the caller made a UUIDv7 of the same 128 bits."""

    id: str
    kind: str
    at: Time
    accepted: bool
    refusal: str | None
    detail: str


class MoneyOutcome(OutcomeRead):
    """What became of an order of an account, the amount that it moved, and the balance right after it.

    Of a closing or a transfer `amount` is what the tenant got, below zero where the tenant paid.
    """

    account: str
    amount: Money
    balance: Money
    currency: str


class ControlOutcome(OutcomeRead):
    """What became of an order about a supply. That it was accepted does not say that the supply has moved."""

    meter: str


class DecisionOutcome(OutcomeRead):
    """What became of an order about what a meter counts: what it charged, below zero where it gave back, and the balance right after it."""

    meter: str
    account: str | None
    amount: Money
    balance: Money
    currency: str | None


class Pending(Read):
    """The order is in the log and will be decided; ask at `location`."""

    id: str
    accepted: None = None
    location: str
