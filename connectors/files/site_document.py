"""The tables of a site file, key by key: what each may hold. Format: docs/site-file.md.

What no single key can show (names that nothing answers to, things that are there twice) is in `site_checks.py`.
"""

import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, TypeGuard

from pydantic import AfterValidator, Field

from connectors.modbus.wire import BusKind, Parity
from domain.documents import Part
from domain.facts import AlarmTerms
from domain.ids import account_id, meter_number
from domain.units import MINUTE_MS, MONEY_MAX_MICROS, money_micros

_QUANTITY = re.compile(r"(\d{1,12})(?:\.(\d{1,3}))?", re.ASCII)


def thousandths(text: str) -> int:
    """Wh in decimal kWh, or litres in decimal m³. Raises ValueError for more than 3 decimals or no number."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError("a decimal number of at most 3 decimals")
    return int(match[1]) * 1000 + int((match[2] or "").ljust(3, "0"))


def is_quantity(found: object) -> TypeGuard[str]:
    """Whether a key's value is text that `thousandths` reads."""
    return isinstance(found, str) and _QUANTITY.fullmatch(found) is not None


@cache
def _zones() -> frozenset[str]:
    # From the pinned package and never from the machine, as tariffs do.
    return frozenset(files("tzdata").joinpath("zones").read_text("utf-8").split())


def _zone(name: str) -> None:
    if name not in _zones():
        raise ValueError(name)


def _amount(text: str) -> None:
    if abs(money_micros(text)) >= MONEY_MAX_MICROS:
        raise ValueError(text)


def _twelve_digits(text: str) -> None:
    if len(text) != 12 or not meter_number(text):
        raise ValueError(text)


def _three_letters(text: str) -> None:
    if re.fullmatch(r"[A-Z]{3}", text) is None:
        raise ValueError(text)


def _text(check: Callable[[str], object], expected: str) -> AfterValidator:
    def checked(text: str) -> str:
        try:
            check(text)
        except ValueError:
            raise ValueError(expected) from None
        return text

    return AfterValidator(checked)


Money = Annotated[str, _text(_amount, 'an amount as text, such as "20.00", of at most 6 decimals')]
Quantity = Annotated[str, _text(thousandths, 'kWh or m³ as text, such as "1234.56", of at most 3 decimals')]
AccountName = Annotated[
    str, _text(account_id, "1 to 64 letters, digits, '.', '_' or '-', the first a letter or a digit")
]
Zone = Annotated[str, _text(_zone, "an IANA time zone such as Asia/Shanghai")]
MeterText = Annotated[str, _text(_twelve_digits, "the 12 digits on the meter, not all zero")]
Currency = Annotated[str, _text(_three_letters, "three capital letters, such as CNY")]
Name = Annotated[str, Field(min_length=1, max_length=100)]


class SitePart(Part):
    """`[site]`."""

    name: Name
    zone: Zone
    currency: Currency


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


class MeterPart(Part):
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


class SiteDocument(Part):
    """The whole file."""

    site: SitePart
    tariff: list[TariffPart] = Field(min_length=1)
    policy: list[PolicyPart] = Field(default=[], max_length=1_000)
    account: list[AccountPart] = Field(min_length=1)
    bus: list[BusPart] = Field(min_length=1)


def alarm_terms(row: Mapping[str, Any]) -> AlarmTerms:
    """The terms that an `[[account]]` or `[[policy]]` states, the rest as the domain has them. Raises ValueError for a bad amount."""
    amounts = ("low", "pretrip", "arrears", "hysteresis", "reconnect", "max_balance", "overdraft")
    stated = {key: money_micros(row[key]) for key in amounts if row.get(key) is not None}
    if row.get("repeat_minutes") is not None:
        stated["repeat_ms"] = row["repeat_minutes"] * MINUTE_MS
    if row.get("repeat_max") is not None:
        stated["repeat_max"] = row["repeat_max"]
    return AlarmTerms(**stated)
