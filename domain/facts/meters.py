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
