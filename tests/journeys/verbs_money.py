"""Verbs of money: payments, fees, and what is free."""

from datetime import date

from forms import Tells, Verb, Words
from household import Household

from domain.facts import (
    AdjustmentOrdered,
    AllowanceSet,
    ChargeItemEnded,
    ChargeItemSet,
    Fact,
    RechargeOrdered,
    RefundOrdered,
    ReversalOrdered,
)
from domain.units import money_micros, quantity_thousandths
from domain.words import AllowanceKind, ItemKind, Period

_PERIODS = {"once": Period.ONCE, "monthly": Period.MONTH, "quarterly": Period.QUARTER, "yearly": Period.YEAR}
_EPOCH = date(1970, 1, 1)


def _day(text: str) -> int:
    return (date.fromisoformat(text) - _EPOCH).days


def _money(kind: type[RechargeOrdered] | type[RefundOrdered]) -> Tells:
    def fact(home: Household, at: int, words: Words) -> Fact:
        return kind(
            at=at, id=home.order(at, words.get("order")), account=home.account(words),
            amount_micros=money_micros(words["amount"]), currency="CNY", channel=words.get("channel", ""),
        )  # fmt: skip

    return fact


def _adjusts(home: Household, at: int, words: Words) -> Fact:
    return AdjustmentOrdered(
        at=at, id=home.order(at, words.get("order")), account=home.account(words),
        amount_micros=money_micros(words["amount"]), currency="CNY", note=words["note"],
    )  # fmt: skip


def _takes_back(home: Household, at: int, words: Words) -> Fact:
    account, other = home.account(words), home.order(at, words["other"])
    return ReversalOrdered(at=at, id=home.order(at, words.get("order")), account=account, order=other)


def _charges(home: Household, at: int, words: Words) -> Fact:
    """An item is called what it is for; a household has one of each."""
    return ChargeItemSet(
        at=at, id=home.order(at, None), account=home.account(words), item=words["kind"], kind=ItemKind(words["kind"]),
        amount_micros=money_micros(words["amount"]), area=quantity_thousandths(words.get("area", "0")),
        period=_PERIODS[words["period"]], zone=home.zone.key, starts=_day(words["day"]),
        ends=_day(words["last"]) if "last" in words else -1, partial="days" in words,
    )  # fmt: skip


def _ends_fee(home: Household, at: int, words: Words) -> Fact:
    return ChargeItemEnded(at=at, id=home.order(at, None), account=home.account(words), item=words["kind"])


def _allows(home: Household, at: int, words: Words) -> Fact:
    """Without a day, from the beginning of time on, so that the month of the journey has all of it."""
    kind = AllowanceKind[words["free"].upper()]
    amount = money_micros(words["amount"]) if kind is AllowanceKind.MONEY else quantity_thousandths(words["amount"])
    return AllowanceSet(
        at=at, id=home.order(at, None), account=home.account(words), kind=kind, amount=amount,
        from_day=_day(words["day"]) if "day" in words else 0, partial="days" in words,
    )  # fmt: skip


def _allows_nothing(home: Household, at: int, words: Words) -> Fact:
    return AllowanceSet(at=at, id=home.order(at, None), account=home.account(words), kind=AllowanceKind.NONE)


MONEY = (
    Verb("tops up", "[ACCOUNT] AMOUNT [by CHANNEL] [order ORDER]", _money(RechargeOrdered)),
    Verb("refunds", "[ACCOUNT] AMOUNT [by CHANNEL] [order ORDER]", _money(RefundOrdered)),
    Verb("adjusts", "[ACCOUNT] AMOUNT [order ORDER] because NOTE", _adjusts),
    Verb("takes back", "[ACCOUNT] OTHER [order ORDER]", _takes_back),
    Verb(
        "charges",
        "[ACCOUNT] rent|property|service|other AMOUNT once|monthly|quarterly|yearly from DAY [until LAST] [for AREA m²] [by days]",
        _charges,
    ),
    Verb("charges no more", "[ACCOUNT] rent|property|service|other", _ends_fee),
    Verb("allows", "[ACCOUNT] AMOUNT of electricity|water|money a month [from DAY] [by days]", _allows),
    Verb("allows no more", "[ACCOUNT]", _allows_nothing),
)
