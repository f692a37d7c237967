"""The tables of a site file, key by key: what each may hold. Format: docs/site-file.md.

What no single key can show (names that nothing answers to, things that are there twice) is in `site_checks.py`.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from connectors.files.site_terms import AllowancePart, ControlPart, Day, ItemPart, WatchPart
from connectors.files.site_texts import AccountName, Currency, MeterText, Money, Name, Quantity, Zone
from connectors.modbus.wire import BusKind, Parity
from domain.documents import Part
from domain.facts import AlarmTerms
from domain.units import MINUTE_MS, money_micros


class SitePart(Part):
    """`[site]`."""

    name: Name
    zone: Zone
    currency: Currency
    holidays: list[Day] = Field(default=[], max_length=4_000)


class TariffPart(Part):
    """`[[tariff]]`: a file beside the site file, or a name of the catalogue."""

    file: Name


class AmountsPart(Part):
    """What an account or a policy says of levels; the rest is as the domain has it."""

    low: Money | None = None
    pretrip: Money | None = None
    arrears: Money | None = None
    hysteresis: Money | None = None
    reconnect: Money | None = None
    max_balance: Money | None = None
    overdraft: Money | None = None
    repeat_minutes: int | None = Field(default=None, ge=1)
    repeat_max: int | None = Field(default=None, ge=0, le=250)


class PolicyPart(AmountsPart):
    """`[[policy]]`: amounts under a name, for the accounts that follow it."""

    name: Name


class AccountPart(AmountsPart):
    """`[[account]]`."""

    id: AccountName
    name: str = ""
    building: str = ""
    floor: str = ""
    room: str = ""
    policy: Name | None = None
    item: list[ItemPart] = Field(default=[], max_length=100)
    allowance: AllowancePart | None = None


class MeterPart(WatchPart):
    """`[[bus.meter]]`."""

    number: MeterText
    unit: int = Field(ge=1, le=247)
    profile: Name
    account: AccountName
    tariff: Name
    ct_ratio: int = Field(default=1, ge=1, le=100_000)
    pt_ratio: int = Field(default=1, ge=1, le=100_000)
    opening_register: Quantity | None = None
    rated_per_hour: int | None = Field(default=None, ge=1, le=1_000_000_000)
    modulus: int | None = Field(default=None, ge=0, le=10**15)
    switchable: bool | None = None
    control: ControlPart | None = None


class BusPart(Part):
    """`[[bus]]`."""

    name: Name
    kind: BusKind
    host: str = ""
    port: int = Field(default=502, ge=1, le=65_535)
    device: str = ""
    baud: int = Field(default=9600, ge=300, le=1_000_000)
    parity: Parity = "none"
    timeout_ms: int = Field(default=1_500, ge=50, le=60_000)
    poll_seconds: float = Field(default=60, ge=0.05, le=86_400)
    gap_ms: int | None = Field(default=None, ge=0, le=10_000)
    meter: list[MeterPart] = Field(min_length=1)


class MainMeterPart(Part):
    """`[[main_meter]]`."""

    meter: MeterText
    subs: list[MeterText] = Field(max_length=1_000)
    loss_max_permille: int = Field(default=50, ge=0, le=1_000)
    loss_min: Quantity = "1.000"


class SiteDocument(Part):
    """The whole file."""

    site: SitePart
    tariff: list[TariffPart] = Field(min_length=1)
    policy: list[PolicyPart] = Field(default=[], max_length=1_000)
    account: list[AccountPart] = Field(min_length=1)
    bus: list[BusPart] = Field(min_length=1)
    main_meter: list[MainMeterPart] = Field(default=[], max_length=10_000)


def alarm_terms(row: Mapping[str, Any]) -> AlarmTerms:
    """The terms that an `[[account]]` or `[[policy]]` states, the rest as the domain has them. Raises ValueError for a bad amount."""
    amounts = ("low", "pretrip", "arrears", "hysteresis", "reconnect", "max_balance", "overdraft")
    stated = {key: money_micros(row[key]) for key in amounts if row.get(key) is not None}
    if row.get("repeat_minutes") is not None:
        stated["repeat_ms"] = row["repeat_minutes"] * MINUTE_MS
    if row.get("repeat_max") is not None:
        stated["repeat_max"] = row["repeat_max"]
    return AlarmTerms(**stated)
