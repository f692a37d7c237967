"""Allowances: what an account has free each month."""

from typing import ClassVar

from domain.facts.record import Record
from domain.words import AllowanceKind


class AllowanceSet(Record, frozen=True, kw_only=True):
    """An account has `amount` free in each local month from now on: micros, Wh or litres, by `kind`. NONE ends what it has.

    `from_day`: local day number since 1970-01-01, in the zone of the tariffs, from which usage may be free. `partial`: the month with
    that day has its share by days, rounded down; else all of it. Setting it again gives the month of `from_day` anew.
    """

    KIND: ClassVar[str] = "allowance_set"
    id: str
    account: str
    kind: AllowanceKind
    amount: int = 0
    from_day: int = 0
    partial: bool = False
    operator: str = ""
