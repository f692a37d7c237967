"""Charge items: fees besides energy that are taken from a wallet, once or period by period."""

from typing import ClassVar

from domain.facts.record import Record
from domain.words import ItemKind, Period


class ChargeItemSet(Record, frozen=True, kw_only=True):
    """An account pays a fee from its wallet: a new item, or new terms for what an item charges from now on.

    `amount_micros` for each `period`, or once; with `area` in thousandths of a m² above 0 it is the amount for one m². Days are
    local day numbers since 1970-01-01 in `zone`. The first charge falls due when day `starts` begins, later ones on the first
    day of each calendar month, quarter or year; none after `ends` (-1: no end). `partial`: the first period is charged by its
    days; else whole.
    """

    KIND: ClassVar[str] = "charge_item_set"
    id: str
    account: str
    item: str
    kind: ItemKind
    amount_micros: int
    period: Period
    starts: int
    zone: str
    ends: int = -1
    area: int = 0
    partial: bool = False
    title: str = ""
    operator: str = ""


class ChargeItemEnded(Record, frozen=True, kw_only=True):
    """An account pays a fee no longer. What has been charged stays; an adjustment gives it back where it should not."""

    KIND: ClassVar[str] = "charge_item_ended"
    id: str
    account: str
    item: str
    operator: str = ""
