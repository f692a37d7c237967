"""Purchases: what a meter that can be sold energy says of how often that was done."""

from typing import ClassVar

from domain.facts.record import Record


class PurchasesCounted(Record, frozen=True, kw_only=True):
    """A meter's own purchase counter shows `count`: how often somebody has written a purchase to the meter.

    It may be told again, however often: a count that is known changes nothing.
    """

    KIND: ClassVar[str] = "purchases_counted"
    meter: int
    count: int


class PurchasesAccepted(Record, frozen=True, kw_only=True):
    """A person knows why a meter's purchase counter shows `count`, and expects that from now on. `note` says why and must be there."""

    KIND: ClassVar[str] = "purchases_accepted"
    id: str
    meter: int
    count: int
    note: str
    operator: str = ""
