"""Money: what is paid in and out."""

from typing import ClassVar

from domain.facts.record import Record


class RechargeOrdered(Record, frozen=True, kw_only=True):
    """Somebody paid: credit the account. `id` is the caller's."""

    KIND: ClassVar[str] = "recharge_ordered"
    id: str
    account: str
    amount_micros: int
    currency: str
    channel: str = ""
    note: str = ""


class RefundOrdered(Record, frozen=True, kw_only=True):
    """Pay money back out of the account's balance. `id` is the caller's."""

    KIND: ClassVar[str] = "refund_ordered"
    id: str
    account: str
    amount_micros: int
    currency: str
    channel: str = ""
    note: str = ""
