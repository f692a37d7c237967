"""Money: what is paid in and out."""

from typing import ClassVar

from domain.facts.record import Record


class RechargeOrdered(Record, frozen=True, kw_only=True):
    """Somebody paid: credit the account. `id` is the caller's; `channel` as in `words.CASH_BY_CHANNEL`, or any other name."""

    KIND: ClassVar[str] = "recharge_ordered"
    id: str
    account: str
    amount_micros: int
    currency: str
    channel: str = ""
    note: str = ""
    operator: str = ""


class RefundOrdered(Record, frozen=True, kw_only=True):
    """Pay money back out of the account's balance. `id` is the caller's."""

    KIND: ClassVar[str] = "refund_ordered"
    id: str
    account: str
    amount_micros: int
    currency: str
    channel: str = ""
    note: str = ""
    operator: str = ""


class AdjustmentOrdered(Record, frozen=True, kw_only=True):
    """A person corrects a balance: `amount_micros` is given to the account, or taken where it is negative, below zero too.

    `note` says why and must be there; `corrects` may name the order that was wrong.
    """

    KIND: ClassVar[str] = "adjustment_ordered"
    id: str
    account: str
    amount_micros: int
    currency: str
    note: str
    operator: str = ""
    corrects: str = ""


class ReversalOrdered(Record, frozen=True, kw_only=True):
    """The payment behind a recharge failed after it was credited: take the whole amount back, even if the balance goes below zero.

    `order` is the recharge's id, which must still be kept.
    """

    KIND: ClassVar[str] = "reversal_ordered"
    id: str
    account: str
    order: str
    note: str = ""
    operator: str = ""
