"""Texts in a site file: amounts, quantities, names, each with what is expected where it is something else."""

import re
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Annotated, TypeGuard

from pydantic import AfterValidator, Field

from domain.ids import account_id, meter_number
from domain.units import MONEY_MAX_MICROS, ORDER_MAX_MICROS, money_micros

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


def _fee(text: str) -> None:
    if not 0 < money_micros(text) <= ORDER_MAX_MICROS:
        raise ValueError(text)


def _twelve_digits(text: str) -> None:
    if len(text) != 12 or not meter_number(text):
        raise ValueError(text)


def _three_letters(text: str) -> None:
    if re.fullmatch(r"[A-Z]{3}", text) is None:
        raise ValueError(text)


def checked_text(check: Callable[[str], object], expected: str) -> AfterValidator:
    """Text that `check` raises no ValueError for."""

    def checked(text: str) -> str:
        try:
            check(text)
        except ValueError:
            raise ValueError(expected) from None
        return text

    return AfterValidator(checked)


Money = Annotated[str, checked_text(_amount, 'an amount as text, such as "20.00", of at most 6 decimals')]
Fee = Annotated[str, checked_text(_fee, 'an amount above 0 as text, such as "20.00", of at most 6 decimals')]
Quantity = Annotated[str, checked_text(thousandths, 'kWh or m³ as text, such as "1234.56", of at most 3 decimals')]
AccountName = Annotated[
    str, checked_text(account_id, "1 to 64 letters, digits, '.', '_' or '-', the first a letter or a digit")
]
Zone = Annotated[str, checked_text(_zone, "an IANA time zone such as Asia/Shanghai")]
MeterText = Annotated[str, checked_text(_twelve_digits, "the 12 digits on the meter, not all zero")]
Currency = Annotated[str, checked_text(_three_letters, "three capital letters, such as CNY")]
Name = Annotated[str, Field(min_length=1, max_length=100)]
