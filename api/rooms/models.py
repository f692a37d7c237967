"""What operators ask for and see: rooms with their meters, sites, open commands, cases and alarms."""

import base64
import json
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from api.models import (
    Amount,
    CaseRead,
    CommandRead,
    DayRead,
    Instant,
    Money,
    PlaceRead,
    Quantity,
    Read,
    ReasonWord,
    SupplyRead,
    TextRead,
    Time,
    Write,
    shown,
)
from domain.alarm_message import AlarmLevel
from domain.ids import account_id, meter_number
from domain.words import AlarmKind, AlarmState, Severity, Stage

StateWord = Literal["prepared", "open", "closed"]
LevelWord = Literal["none", "low", "pretrip", "arrears", "limit"]
SupplyWord = Literal["unknown", "off", "on"]
CommodityWord = Literal["electricity", "water"]
Name = Annotated[str, Field(max_length=100)]
Text = Annotated[str, Field(min_length=1, max_length=100)]
AccountText = Annotated[str, AfterValidator(account_id), Field(examples=["A-101"])]
MeterText = Annotated[
    str,
    AfterValidator(lambda text: f"{meter_number(text):012d}"),
    Field(description="Up to 12 digits.", examples=["202600000001"]),
]
Limit = Annotated[int, Field(ge=1, le=500)]


def cursor_text(*parts: str) -> str:
    """A cursor that says after what to go on."""
    return base64.urlsafe_b64encode(json.dumps(parts, ensure_ascii=False).encode()).decode()


def cursor_parts(cursor: str) -> tuple[str, ...]:
    """What a cursor says, five or six texts. Raises ValueError."""
    try:
        parts = json.loads(base64.urlsafe_b64decode(cursor))
    except (ValueError, RecursionError):
        parts = None
    if not isinstance(parts, list) or len(parts) not in {5, 6} or not all(isinstance(part, str) for part in parts):
        raise ValueError("expected `next` of the page before")
    return tuple(parts)


def _checked(cursor: str) -> str:
    cursor_parts(cursor)
    return cursor


Cursor = Annotated[str, Field(max_length=4000, description="`next` of the page before."), AfterValidator(_checked)]
Next = Annotated[str | None, Field(description="Cursor of the next page; null: this was the last.")]


class Query(BaseModel):
    """Base of what is asked for. Parameters that are not known are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RoomFilter(Query):
    """Which rooms, or accounts. All that is said must hold; of the meters of a room, one is enough for `supply_wanted` and `supply_seen`."""

    site: Name | None = None
    building: Name | None = None
    floor: Name | None = None
    state: StateWord | None = None
    level: LevelWord | None = None
    low_balance: Annotated[bool | None, Field(description="Whether any balance alarm stands.")] = None
    balance_below: Amount | None = None
    online: bool | None = None
    supply_wanted: SupplyWord | None = None
    supply_seen: SupplyWord | None = None
    text: Annotated[Text | None, Field(description="Part of the account, name, room or a meter's number.")] = None


class RoomQuery(RoomFilter):
    """Which rooms, by pages."""

    limit: Limit = 100
    cursor: Cursor | None = None


class RoomEventsQuery(RoomFilter):
    """Which rooms to hear of; the first so many of them."""

    limit: Limit = 500


class AccountQuery(RoomFilter):
    """Which accounts, by pages."""

    limit: Limit = 100
    cursor: Annotated[str, Field(pattern=r"^[0-9]{1,4}-[0-9]{1,9}$", description="`next` of the page before.")] = "0-0"


class MeterQuery(Query):
    """Which meters, by pages."""

    site: Name | None = None
    building: Name | None = None
    commodity: CommodityWord | None = None
    online: bool | None = None
    supply_wanted: SupplyWord | None = None
    supply_seen: SupplyWord | None = None
    text: Annotated[Text | None, Field(description="Part of the number, account, name or room.")] = None
    limit: Limit = 100
    cursor: Annotated[MeterText | None, Field(description="`next` of the page before.")] = None


class CommandQuery(Query):
    """Which open commands, by pages."""

    site: Name | None = None
    account: AccountText | None = None
    meter: MeterText | None = None
    stage: Stage | None = None
    limit: Limit = 100
    cursor: Annotated[MeterText | None, Field(description="`next` of the page before.")] = None


class CaseQuery(Query):
    """Which open cases of quarantine, by pages."""

    site: Name | None = None
    account: AccountText | None = None
    meter: MeterText | None = None
    reason: Text | None = None
    limit: Limit = 100
    cursor: Annotated[str, Field(max_length=200, description="`next` of the page before.")] = ""


class AlarmFilter(Query):
    """Which alarms."""

    kind: AlarmKind | None = None
    severity: Severity | None = None
    site: Name | None = None
    account: AccountText | None = None
    meter: MeterText | None = None


class AlarmQuery(AlarmFilter):
    """Which alarm events, by pages. `from` and `until` are of event time."""

    state: AlarmState | None = None
    from_: Annotated[Instant | None, Field(alias="from")] = None
    until: Instant | None = None
    limit: Limit = 50
    cursor: Annotated[
        str | None,
        Field(pattern=r"^[0-9]{2,4}-[0-9]{1,16}-[0-9]{1,9}-[0-9]{1,9}$", description="`next` of the page before."),
    ] = None


class StandingQuery(AlarmFilter):
    """Which standing alarms, by pages."""

    limit: Limit = 100
    cursor: Cursor | None = None


class UseRead(Read):
    """What was used and what it cost."""

    usage: Quantity
    unit: Literal["kWh", "m³"]
    cost: Money


class RoomDay(Read):
    """The newest open day of a room's meters, by commodity. A commodity that has no meter is null."""

    date: str
    electricity: UseRead | None
    water: UseRead | None


class RoomMeter(Read):
    """A meter of a room in a list."""

    meter: str
    commodity: CommodityWord
    online: bool
    last_reading_at: Time | None
    supply: SupplyRead


class _Room(Read):
    """A room: an account at its place."""

    account: str
    name: str
    place: PlaceRead
    state: StateWord
    balance: Money
    currency: str
    level: LevelWord
    tripped: bool
    online: bool | None = Field(description="Whether all of its meters are; null: it has none.")
    last_reading_at: Time | None
    day: RoomDay | None


class RoomRead(_Room):
    """A room in a list. `alarms`: the kinds that stand of it and its meters."""

    meters: list[RoomMeter]
    alarms: list[AlarmKind]


class RoomPage(Read):
    """Some rooms, and where to go on."""

    items: list[RoomRead]
    next: Next


class AcknowledgementRead(Read):
    """Who has seen an alarm, when, and what they noted."""

    by: str
    at: Time
    note: str


class StandingRead(Read):
    """An alarm that stands: of an account, or of a meter. `since`: from when on what it is about has been so; null: not known."""

    id: str = Field(description="What it is about: the same from raising to clearing.", examples=["A-101:balance_low"])
    kind: AlarmKind
    severity: Severity
    account: str | None
    meter: str | None
    place: PlaceRead | None
    reason: str
    since: Time | None
    acknowledgement: AcknowledgementRead | None


class StandingPage(Read):
    """Some standing alarms, and where to go on."""

    items: list[StandingRead]
    next: Next


class LiveMeter(Read):
    """A meter of a room as committed: what it read last, and why its supply is as it is."""

    meter: str
    commodity: CommodityWord
    unit: Literal["kWh", "m³"]
    online: bool
    last_reading_at: Time | None
    register_: Annotated[Quantity | None, Field(alias="register")]
    power_w: int | None
    status: list[str]
    supply: SupplyRead
    reason: TextRead
    must_clear: list[TextRead]
    day: DayRead | None
    command: CommandRead | None


class RoomDetail(_Room):
    """A room with the values of its meters and all that stands."""

    opened_at: Time
    meters: list[LiveMeter]
    alarms: list[StandingRead]


class RoomCounts(Read):
    """Rooms by where their accounts are in their life."""

    prepared: int
    open: int
    closed: int


class FloorRead(Read):
    """A floor."""

    floor: str
    rooms: RoomCounts


class BuildingRead(Read):
    """A building."""

    building: str
    rooms: RoomCounts
    floors: list[FloorRead]


class SiteSummary(Read):
    """A site. Title, zone and currency are null where only accounts name it."""

    site: str
    title: TextRead | None
    zone: str | None
    currency: str | None
    rooms: RoomCounts
    meters: dict[CommodityWord, int]


class SiteRead(SiteSummary):
    """A site with what it is made of."""

    buildings: list[BuildingRead]


class MeterSummary(Read):
    """A meter in a list."""

    meter: str
    account: str
    name: str
    place: PlaceRead
    commodity: CommodityWord
    unit: Literal["kWh", "m³"]
    online: bool
    last_reading_at: Time | None
    register_: Annotated[Quantity | None, Field(alias="register")]
    power_w: int | None
    supply: SupplyRead
    day: DayRead | None
    alarms: list[AlarmKind]


class MeterPage(Read):
    """Some meters, and where to go on."""

    items: list[MeterSummary]
    next: Next


class OpenCommandRead(CommandRead):
    """A command that has not been verified, and whose it is."""

    meter: str
    account: str
    place: PlaceRead


class CommandPage(Read):
    """Some open commands, and where to go on."""

    items: list[OpenCommandRead]
    next: Next


class CommandEvent(Read):
    """What the machine said of a command: that it is to be carried out, was verified, failed, expired or is withdrawn."""

    epoch: int
    wanted: SupplyWord
    reason: ReasonWord
    stage: Stage
    at: Time
    expires_at: Time
    attempt: int


class CommandEventPage(Read):
    """What was said of a meter's commands, newest first, and where to go on. A page may be short, or empty, and not the last."""

    items: list[CommandEvent]
    next: Next


class OpenCaseRead(CaseRead):
    """Readings that wait for a person, and whose they are. `account` null: of a meter that nobody has. `released_at`: when the meter was believed again by itself."""

    meter: str
    account: str | None
    place: PlaceRead | None
    released_at: Time | None


class CasePage(Read):
    """Some open cases, and where to go on."""

    items: list[OpenCaseRead]
    next: Next


class AlarmRead(Read):
    """An alarm event, as on the channel `alarms`, and who has seen it."""

    v: int
    id: str
    about: str
    kind: AlarmKind
    level: AlarmLevel
    severity: Severity
    state: AlarmState
    at: Time
    recorded_at: Time
    site: str
    building: str
    room: str
    account: str
    meter: str
    currency: str
    balance: Money
    threshold: Money
    repeat: int
    reason: str
    amount: Money
    cleared: bool
    text: TextRead
    acknowledgement: AcknowledgementRead | None


class AlarmPage(Read):
    """Some alarm events, newest first, and where to go on. A page may be short, or empty, and not the last."""

    items: list[AlarmRead]
    next: Next


class AcknowledgementWrite(Write):
    """That somebody has seen an alarm, and sees to it."""

    model_config = shown({"note": "sent somebody to look"})

    note: Annotated[str, Field(max_length=500)] = ""
