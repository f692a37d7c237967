"""What callers write and read about terms: policies, sites, how meters are priced, controlled and watched, and what hangs behind a main meter.

Terms without an id stand for themselves: a single door adds one (`…Order`), a batch (`api/batches/models.py`) gives each of its items one.
"""

import datetime as dt
from typing import Annotated, Any, Literal

from fastapi import Path
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, WithJsonSchema, model_validator

from api.models import (
    FORCED_MINUTES_MAX,
    Counted,
    Instant,
    Money,
    OrderWrite,
    OutcomeRead,
    Pending,
    Quantity,
    Time,
    Write,
    shown,
)
from connectors.files.site_document import AmountsPart, alarm_terms
from connectors.files.site_terms import ControlPart, WatchPart
from connectors.files.site_texts import Zone
from domain.facts import AlarmTerms, ControlTerms, WatchTerms
from domain.ids import meter_number
from domain.units import MINUTE_MS, quantity_thousandths

REPEAT_MINUTES_MAX = 576_000
SUBS_MAX = 1_000
_CAPACITY_MAX_W = 10**12
_USED_MAX = 10**15


def _day(value: Any) -> Any:
    try:
        return dt.date.fromisoformat(value) if isinstance(value, str) and len(value) == len("2026-01-31") else value
    except ValueError:
        raise ValueError("expected a day such as 2026-01-31") from None


def _watts(text: str) -> str:
    if not 0 <= quantity_thousandths(text) <= _CAPACITY_MAX_W:
        raise ValueError("expected kW from 0 to 1000000000, such as 12.5")
    return text


def _not_negative(text: str) -> str:
    if not 0 <= quantity_thousandths(text) <= _USED_MAX:
        raise ValueError("expected a quantity that is not negative")
    return text


Day = Annotated[
    dt.date,
    BeforeValidator(_day),
    Field(ge=dt.date(2000, 1, 1), lt=dt.date(2100, 1, 1)),
    WithJsonSchema({"type": "string", "format": "date"}),
]
TariffId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$", examples=["garden-tou"])]
TariffPath = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$", description="The tariff's id.")]
PolicyPath = Annotated[str, Path(min_length=1, max_length=100, description="The policy's name.")]
SitePath = Annotated[str, Path(min_length=1, max_length=100, description="The site's name.")]
Kilowatts = Annotated[str, AfterValidator(_watts), Field(description="kW, at most 3 decimals.", examples=["8.000"])]
Used = Annotated[Counted, AfterValidator(_not_negative)]
Persons = Annotated[int, Field(ge=1, le=1000)]
MeterText = Annotated[str, AfterValidator(lambda text: f"{meter_number(text):012d}"), Field(examples=["202600000001"])]
Operator = Annotated[str, Field(max_length=64)]
Note = Annotated[str, Field(max_length=500)]
Title = Annotated[str, Field(min_length=1, max_length=100)]


class PremisesTerms(Write):
    """What a tariff may ask about the customer. `capacity`: contracted, kW."""

    persons: Persons = 1
    capacity: Kilowatts = "0"

    @property
    def capacity_w(self) -> int:
        """In W."""
        return quantity_thousandths(self.capacity)


class AssignmentTerms(PremisesTerms):
    """By which tariff a meter is priced from a time on. `restart`: its tier counter begins anew there."""

    tariff: TariffId
    from_: Annotated[Instant, Field(alias="from")]
    restart: bool = False


class AssignmentOrder(OrderWrite, AssignmentTerms):
    """A tariff for one meter."""

    model_config = shown(
        {"id": "01K5QYV3J8Z6M2T4W9X1C7B0ND", "tariff": "garden-tou", "from": "2026-10-01T00:00:00+08:00"}
    )


class ProtectionTerms(Write):
    """Keep a supply on whatever the balance or load (保电), until a time or until revoked; or no longer."""

    protected: bool
    until: Instant | None = None
    operator: Annotated[str, Field(min_length=1, max_length=64)]
    note: Note = ""

    @model_validator(mode="after")
    def _ends_where_it_begins(self) -> "ProtectionTerms":
        if self.until is not None and not self.protected:
            raise ValueError("until belongs to a protection: without one there is nothing to end")
        return self


class ProtectionOrder(OrderWrite, ProtectionTerms):
    """Protection of one meter."""

    model_config = shown({"id": "01K5QYV3J8Z6M2T4W9X1C7B0ND", "protected": True, "operator": "li", "note": "ward"})


class ControlTermsWrite(ControlPart):
    """By which terms a supply is cut and restored besides money (docs/machine/control.md). What is 0 or empty is not looked at.

    Windows are texts such as `mon-fri,holiday 22:00-06:00`, by the clock of `zone`.
    """

    zone: Annotated[Zone, Field(examples=["Asia/Shanghai"])]
    holidays: list[Day] = Field(default=[], max_length=4_000)

    def as_terms(self) -> ControlTerms:
        """As the domain has them."""
        return self.terms(self.zone, self.holidays)


class ControlTermsOrder(OrderWrite, ControlTermsWrite):
    """Control terms of one meter."""

    model_config = shown(
        {
            "id": "01K5QYV3J8Z6M2T4W9X1C7B0ND",
            "zone": "Asia/Shanghai",
            "no_trip": ["mon-fri,holiday 22:00-06:00"],
            "power_limit_w": 5000,
        }
    )


class WatchTermsWrite(WatchPart):
    """What of a meter is worth an alarm (docs/machine/watching.md). What is 0 or left out is not watched; `offline_minutes` left out: 60."""

    repeat_minutes: Annotated[int, Field(ge=1, le=REPEAT_MINUTES_MAX)] = 240
    repeat_max: Annotated[int, Field(ge=0, le=250)] = 3

    def as_terms(self) -> WatchTerms:
        """As the domain has them."""
        found = self.watch(0)
        return WatchTerms(
            **{name: getattr(found, name) for name in WatchTerms.__struct_fields__ if not name.startswith("repeat")},
            repeat_ms=self.repeat_minutes * MINUTE_MS,
            repeat_max=self.repeat_max,
        )


class WatchTermsOrder(OrderWrite, WatchTermsWrite):
    """Watch terms of one meter."""

    model_config = shown({"id": "01K5QYV3J8Z6M2T4W9X1C7B0ND", "offline_minutes": 120, "day_usage": "50.000"})

    operator: Operator = ""


class MainMeterOrder(OrderWrite):
    """What goes through a meter goes on through `subs`; none: it is a main meter no longer.

    More lost in a day than `loss_max_permille` of it, and than `loss_min` kWh or m³, is an alarm.
    """

    model_config = shown(
        {"id": "01K5QYV3J8Z6M2T4W9X1C7B0ND", "subs": ["202600000002"], "loss_max_permille": 50, "loss_min": "2.000"}
    )

    subs: Annotated[list[MeterText], Field(max_length=SUBS_MAX)]
    loss_max_permille: Annotated[int, Field(ge=0, le=1000)] = 0
    loss_min: Used = "0"
    operator: Operator = ""


class PolicyOrder(OrderWrite, AmountsPart):
    """Alarm amounts under a name, for all accounts that follow it. What is left out is as docs/machine/money.md has it by default."""

    model_config = shown(
        {"id": "01K5QYV3J8Z6M2T4W9X1C7B0ND", "low": "30.00", "pretrip": "10.00", "arrears": "0.00", "reconnect": "5.00"}
    )

    repeat_minutes: Annotated[int | None, Field(ge=1, le=REPEAT_MINUTES_MAX)] = None

    def as_terms(self) -> AlarmTerms:
        """As the domain has them."""
        return alarm_terms(self.model_dump(exclude={"id"}))


class SiteTermsOrder(OrderWrite):
    """What a site is called, and its zone and currency. The currency of a site that is there stays."""

    model_config = shown(
        {
            "id": "01K5QYV3J8Z6M2T4W9X1C7B0ND",
            "title_zh": "花园",
            "title_en": "Garden",
            "zone": "Asia/Shanghai",
            "currency": "CNY",
        }
    )

    title_zh: Title
    title_en: Title
    zone: Annotated[Zone, Field(examples=["Asia/Shanghai"])]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]


class SettingOutcome(OutcomeRead):
    """What became of a setting of one meter."""

    meter: str


class ShardsOutcome(OutcomeRead):
    """What became of an order for everybody: `decided` of `shards` shards have it. Fewer than all: send it again with the same id."""

    shards: int
    decided: int


class ShardsPending(Pending):
    """The order is in every shard's log, and `waiting` shards have not decided it yet; ask at `location`."""

    shards: int
    waiting: list[int]


class TermsRead(BaseModel):
    """Base of terms as they are read."""


class AssignmentRead(TermsRead):
    """A tariff of a meter, from a time on; null: from the beginning."""

    tariff: str
    from_: Time | None = Field(alias="from")
    persons: int
    capacity: Quantity
    restart: bool


class ScheduledRead(TermsRead):
    """A window of a schedule."""

    when: str
    supply: Literal["on", "off"]


class ProtectionRead(TermsRead):
    """A supply that is kept on. `until` null: until revoked."""

    until: Time | None
    operator: str
    note: str


class ControlTermsRead(TermsRead):
    """Control terms of a meter, as they were written."""

    zone: str
    holidays: list[dt.date]
    no_trip: list[str]
    schedule: list[ScheduledRead]
    power_limit_w: int
    malignant_step_w: int
    tolerated: list[tuple[int, int]]
    whitelisted: bool
    restores: int
    restore_minutes: int
    button: bool


class MeterControlRead(TermsRead):
    """What besides money and force bears on a meter's supply. Null: nothing."""

    meter: str
    terms: ControlTermsRead | None
    protection: ProtectionRead | None


class WatchTermsRead(TermsRead):
    """Watch terms of a meter, as they were written."""

    offline_minutes: int
    day_usage: Quantity
    month_usage: Quantity
    stuck_minutes: int
    stuck_w: int
    reverse_w: int
    night_usage: Quantity | None
    night_from: str
    night_until: str
    repeat_minutes: int
    repeat_max: int


class MeterWatchRead(TermsRead):
    """How a meter is watched. Null: nobody watches it."""

    meter: str
    terms: WatchTermsRead | None


class MainMeterTermsRead(TermsRead):
    """What hangs behind a main meter, and what may be lost in a day."""

    meter: str
    subs: list[str]
    loss_max_permille: int
    loss_min: Quantity


class PolicyRead(TermsRead):
    """A policy."""

    policy: str
    low: Money
    pretrip: Money
    arrears: Money
    hysteresis: Money
    reconnect: Money
    max_balance: Money
    overdraft: Money
    repeat_minutes: int
    repeat_max: int


class SiteTermsRead(TermsRead):
    """A site's titles, zone and currency."""

    site: str
    title_zh: str
    title_en: str
    zone: str
    currency: str


class SupplyTerms(Write):
    """Force a supply on or off until a time or for some minutes from when the batch is due; or give it back to automatic."""

    wanted: Literal["on", "off", "automatic"]
    until: Instant | None = None
    minutes: Annotated[int, Field(ge=1, le=FORCED_MINUTES_MAX)] | None = None
    operator: Annotated[str, Field(min_length=1, max_length=64)]
    note: Note = ""

    @model_validator(mode="after")
    def _one_end(self) -> "SupplyTerms":
        ends = sum(end is not None for end in (self.until, self.minutes))
        if ends != (self.wanted != "automatic"):
            raise ValueError("on and off need either until or minutes; automatic needs neither")
        return self
