"""What callers write and read of the life of accounts and meters, and of what accounts pay and have free."""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from api.accounts.money_models import Currency
from api.models import Amount, Counted, Money, MoneyOutcome, OrderWrite, OutcomeRead, Quantity, Read, Time, Write, shown
from connectors.files.site_document import alarm_terms
from connectors.files.site_terms import day_number
from domain.facts import AlarmTerms, Place
from domain.ids import account_id, meter_number, meter_text
from domain.units import money_micros, quantity_thousandths
from domain.words import AllowanceKind, ItemKind, Period, Settlement

REPEAT_MINUTES_MAX = 1_000_000
_FIRST_YEAR, _LAST_YEAR = 2000, 2099


def _day(value: Any) -> int:
    try:
        day = date.fromisoformat(value) if isinstance(value, str) and len(value) == len("2026-01-31") else None
    except ValueError:
        day = None
    if day is None or not _FIRST_YEAR <= day.year <= _LAST_YEAR:
        raise ValueError("expected a day from 2000 to 2099 such as 2026-01-31")
    return day_number(day)


def _parts(most: int) -> Any:
    """A list of at most so many."""
    return Field(max_length=most, strict=False)


AccountText = Annotated[str, AfterValidator(account_id), Field(examples=["A-101"])]
MeterText = Annotated[
    str, AfterValidator(lambda text: meter_text(meter_number(text))), Field(examples=["202600000001"])
]
Day = Annotated[int, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]
Name = Annotated[str, Field(max_length=100)]
Word = Annotated[str, Field(max_length=64)]
Note = Annotated[str, Field(max_length=500)]
ItemName = Annotated[str, Field(min_length=1, max_length=64, examples=["rent"])]


class PlaceWrite(Write):
    """Where an account's room is."""

    site: Word = ""
    building: Word = ""
    floor: Word = ""
    room: Word = ""

    @property
    def place(self) -> Place:
        """As facts say it."""
        return Place(site=self.site, building=self.building, floor=self.floor, room=self.room)


class AlarmsWrite(Write):
    """When an account is warned, cut and restored; what is left out is as by default. docs/machine/money.md."""

    low: Amount | None = None
    pretrip: Amount | None = None
    arrears: Amount | None = None
    hysteresis: Amount | None = None
    reconnect: Amount | None = None
    max_balance: Amount | None = None
    overdraft: Amount | None = None
    repeat_minutes: Annotated[int, Field(ge=1, le=REPEAT_MINUTES_MAX)] | None = None
    repeat_max: Annotated[int, Field(ge=0, le=250)] | None = None

    @property
    def terms(self) -> AlarmTerms:
        """As facts say them."""
        return alarm_terms(self.model_dump())


class MeterTermsWrite(Write):
    """What is known of a kind of meter. A built-in `profile` says the rest; what is said beside it counts instead.

    `modulus`: the register begins anew at this many kWh or m³; 0: never. `rated_per_hour`: the most kWh or m³ that it can count in an hour, before ratio.
    """

    profile: Name | None = None
    modulus: Counted | None = None
    rated_per_hour: Counted | None = None
    ratio: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    switchable: bool | None = None


class MeterWrite(MeterTermsWrite):
    """A meter that an account gets, priced by a tariff. Without `opening_register` its first reading begins."""

    meter: MeterText
    tariff: Name
    commodity: Literal["electricity", "water"] | None = None
    opening_register: Counted | None = None
    persons: Annotated[int, Field(ge=1, le=1_000)] = 1
    capacity_w: Annotated[int, Field(ge=0, le=10**12)] = 0


class MeterInstallation(OrderWrite, MeterWrite):
    """An account gets a meter."""

    model_config = shown(
        {
            "id": "01K5QYV3J8Z6M2T4W9X1C7B0ND",
            "account": "A-101",
            "meter": "202600000001",
            "tariff": "beijing-residential",
            "opening_register": "12.000",
        }
    )

    account: AccountText


class MeterReplacement(OrderWrite, MeterTermsWrite):
    """Another meter goes on in the place of one. What is not said of it is as of the old one, or as its built-in profile says."""

    model_config = shown(
        {
            "id": "01K5QYV3J8Z6M2T4W9X1C7B0ND",
            "closing_register": "5500.00",
            "new_meter": "202600000002",
            "opening_register": "78.00",
        }
    )

    closing_register: Counted
    new_meter: MeterText
    opening_register: Counted
    note: Note = ""


class MeterRemoval(OrderWrite):
    """A meter is taken down, when it showed this."""

    model_config = shown(
        {"id": "01K5QYV3J8Z6M2T4W9X1C7B0ND", "closing_register": "5500.00", "note": "the room is given up"}
    )

    closing_register: Counted
    note: Note = ""


class LoadRelease(OrderWrite):
    """Somebody has seen to a load that was too much."""

    model_config = shown({"id": "01K5QYV3J8Z6M2T4W9X1C7B0ND", "note": "the heater is gone"})

    note: Note = ""


class ItemWrite(Write):
    """A fee: an amount, or with `area` (m²) one for each m². `zone`: IANA; without it that of the account's site."""

    kind: Literal["property", "rent", "service", "other"]
    amount: Amount
    area: Annotated[Counted, Field(description="m², decimal text with at most 3 decimals.")] | None = None
    period: Literal["once", "month", "quarter", "year"]
    starts: Day
    ends: Day | None = None
    partial: bool = False
    title: Name = ""
    zone: Word | None = None

    @property
    def said(self) -> dict[str, Any]:
        """As `facts.ChargeItemSet` says it, without its zone."""
        return {
            "kind": ItemKind(self.kind), "amount_micros": money_micros(self.amount), "period": Period(self.period),
            "area": quantity_thousandths(self.area) if self.area else 0, "starts": self.starts,
            "ends": -1 if self.ends is None else self.ends, "partial": self.partial, "title": self.title,
        }  # fmt: skip


class NamedItem(ItemWrite):
    """A fee with its name."""

    item: ItemName


class ItemOrder(OrderWrite, ItemWrite):
    """An account pays a fee, or by other terms from now on."""

    model_config = shown(
        {
            "id": "01K5QYV3J8Z6M2T4W9X1C7B0ND",
            "kind": "rent",
            "amount": "3000.00",
            "period": "month",
            "starts": "2026-10-01",
        }
    )


class ItemEnd(OrderWrite):
    """An account pays a fee no longer."""

    model_config = shown({"id": "01K5QYV3J8Z6M2T4W9X1C7B0ND"})


class AllowanceWrite(Write):
    """What is free each local month: an amount of money, kWh or m³; `none` ends what was."""

    kind: Literal["none", "money", "electricity", "water"]
    amount: Amount = "0"
    starts: Day
    partial: bool = False

    @model_validator(mode="after")
    def _can_be_said(self) -> "AllowanceWrite":
        """Energy has at most 3 decimals."""
        assert self.said
        return self

    @property
    def said(self) -> dict[str, Any]:
        """As `facts.AllowanceSet` says it. Raises ValueError for energy of more than 3 decimals."""
        amount = money_micros(self.amount) if self.kind in {"none", "money"} else quantity_thousandths(self.amount)
        return {
            "kind": AllowanceKind[self.kind.upper()],
            "amount": amount,
            "from_day": self.starts,
            "partial": self.partial,
        }


class AllowanceOrder(OrderWrite, AllowanceWrite):
    """An account has this free from now on, instead of what it had."""

    model_config = shown(
        {"id": "01K5QYV3J8Z6M2T4W9X1C7B0ND", "kind": "electricity", "amount": "10.000", "starts": "2026-09-01"}
    )


class FirstRecharge(Write):
    """What was paid at the opening."""

    amount: Amount
    channel: Word = ""
    note: Note = ""


class AccountOpening(OrderWrite):
    """An account is opened, or `prepared` for later; with its meters, fees, allowance and first recharge, if they are said.

    It follows a `policy`, or has amounts of its own (`alarms`).
    """

    model_config = shown(
        {
            "id": "01K5QYV3J8Z6M2T4W9X1C7B0ND",
            "account": "A-101",
            "currency": "CNY",
            "name": "Li",
            "place": {"site": "Garden", "room": "101"},
            "meters": [{"meter": "202600000001", "tariff": "beijing-residential", "opening_register": "12.000"}],
            "recharge": {"amount": "100.00", "channel": "wechat"},
        }
    )

    account: AccountText
    currency: Currency
    name: Name = ""
    place: PlaceWrite = PlaceWrite()
    prepared: bool = False
    policy: Name = ""
    alarms: AlarmsWrite | None = None
    meters: Annotated[tuple[MeterWrite, ...], _parts(20)] = ()
    items: Annotated[tuple[NamedItem, ...], _parts(20)] = ()
    allowance: AllowanceWrite | None = None
    recharge: FirstRecharge | None = None


class AccountActivation(OrderWrite):
    """A prepared account is opened, or a closed one again; with another name, if one is said."""

    model_config = shown({"id": "01K5QYV3J8Z6M2T4W9X1C7B0ND", "name": "Li"})

    name: Name | None = None


class AccountChange(OrderWrite):
    """What is to be otherwise about an account; what is left out stays. `alarms` are set as a whole, and end that it follows a policy."""

    model_config = shown({"id": "01K5QYV3J8Z6M2T4W9X1C7B0ND", "alarms": {"low": "30.00", "pretrip": "10.00"}})

    name: Name | None = None
    place: PlaceWrite | None = None
    alarms: AlarmsWrite | None = None
    policy: Name | None = None


class Leaving(OrderWrite):
    """A tenant goes. `channel`: by which money is paid out or in. `reason`: needed for a write-off."""

    channel: Word = ""
    reason: Note = ""


class AccountTransfer(Leaving):
    """Another tenant comes; the balance is settled with the old one, or carried over."""

    model_config = shown(
        {"id": "01K5QYV3J8Z6M2T4W9X1C7B0ND", "name": "Wang", "settlement": "refund", "channel": "bank"}
    )

    name: Name
    settlement: Literal["refund", "pay_up", "write_off", "carry"]

    @property
    def word(self) -> Settlement:
        """The settlement."""
        return Settlement(self.settlement)


class AccountClosure(Leaving):
    """The account is closed. `cut`: its supply is off until it is opened again."""

    model_config = shown(
        {
            "id": "01K5QYV3J8Z6M2T4W9X1C7B0ND",
            "settlement": "refund",
            "channel": "bank",
            "reason": "moves out",
            "cut": True,
        }
    )

    settlement: Literal["refund", "pay_up", "write_off"]
    cut: bool = False

    @property
    def word(self) -> Settlement:
        """The settlement."""
        return Settlement(self.settlement)


class PartRead(OutcomeRead):
    """What became of one part of an opening, such as `meters/202600000001`."""

    part: str


class OpeningOutcome(MoneyOutcome):
    """What became of an opening, and of each of its parts. `balance` is that after the last one."""

    parts: list[PartRead]


class ItemRead(Read):
    """A fee that an account pays. `next`: the local day on which it falls due next."""

    item: str
    title: str
    kind: Literal["property", "rent", "service", "other"]
    amount: Money
    area: Annotated[str, Field(description="m²", examples=["86.500"])] | None
    period: Literal["once", "month", "quarter", "year"]
    starts: str
    ends: str | None
    partial: bool
    zone: str
    next: str
    due_at: Time | None


class ItemPage(Read):
    """All fees of an account. `next` is there for pages to come, and null."""

    items: list[ItemRead]
    next: str | None = None


class AllowanceRead(Read):
    """What an account has free each month, and what of it was left when usage was charged last, in the month of `month`; null: nothing yet."""

    kind: Literal["none", "money", "electricity", "water"]
    amount: Quantity
    unit: str
    starts: str | None
    left: Quantity | None
    month: Annotated[str, Field(examples=["2026-09"])] | None
