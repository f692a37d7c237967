"""Meters: what belongs to which account."""

from typing import ClassVar

from domain.facts.record import Record
from domain.words import Commodity


class MeterInstalled(Record, frozen=True, kw_only=True):
    """A meter belongs to an account from `at` on, priced by `tariff`.

    `modulus`: the register wraps to 0 at this many Wh or litres; 0: it does not. `rated_per_hour`: the most Wh or litres it can truly count
    in an hour, before ratio; more is a jump. `ratio` = ct x pt. `opening_register` is its value at `at`; without one the
    first reading is the baseline. `switchable`: has a relay or valve that we may use. `persons` and `capacity_w` (contracted, W)
    are for tariffs that ask about the premises.
    """

    KIND: ClassVar[str] = "meter_installed"
    id: str
    meter: int
    account: str
    commodity: Commodity
    tariff: str
    profile: str = ""
    modulus: int
    rated_per_hour: int
    ratio: int = 1
    opening_register: int | None = None
    switchable: bool = True
    persons: int = 1
    capacity_w: int = 0


class MeterRemoved(Record, frozen=True, kw_only=True):
    """A meter is taken down at `at`, when it showed `closing_register` (before ratio). Its number is free again."""

    KIND: ClassVar[str] = "meter_removed"
    id: str
    meter: int
    closing_register: int
    operator: str = ""
    note: str = ""


class MeterReplaced(Record, frozen=True, kw_only=True):
    """`new_meter` takes the place of a meter at `at`: the old one showed `closing_register`, the new one shows `opening_register`.

    The new meter has the account, tariffs and premises of the old one. Its own terms are as in `MeterInstalled`.
    """

    KIND: ClassVar[str] = "meter_replaced"
    id: str
    meter: int
    closing_register: int
    new_meter: int
    opening_register: int
    modulus: int
    rated_per_hour: int
    ratio: int = 1
    profile: str = ""
    switchable: bool = True
    operator: str = ""
    note: str = ""
