"""Recharges, refunds, adjustments, reversals, allowances and fees."""

from typing import Any

import msgspec

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
from domain.units import DAY_MS
from domain.words import (
    AllowanceKind,
    ItemKind,
    Period,
)
from histories.happenings import YUAN, Happenings


class Money(Happenings):
    """What comes into a wallet and goes from it other than by usage."""

    def _money(self) -> Fact:
        kind = self.random.choice([RechargeOrdered, RechargeOrdered, RefundOrdered, AdjustmentOrdered, ReversalOrdered])
        if kind is ReversalOrdered:
            return self._reversal()
        account = self.random.choice([*self.accounts, *self.accounts, "nobody"])
        amount = self.random.choice([1, 3 * YUAN, 20 * YUAN, 20 * YUAN + 7, 100 * YUAN, 0, 10**15 + 1])
        currency = self.random.choice(["CNY"] * 7 + ["EUR"])
        more: dict[str, Any] = {"channel": self.random.choice(["", "wechat", "bank"])}
        if kind is AdjustmentOrdered:
            amount, more = (
                amount * self.random.choice([1, -1]),
                {"note": self.random.choice(["goodwill", "miscounted", " "])},
            )
        order = kind(at=self.now, id=self._id(), account=account, amount_micros=amount, currency=currency, **more)
        return self._kept(order)

    def _allowance(self) -> Fact:
        choice = self.random
        amount = choice.choice([0, 700, 2_000, YUAN, 3 * YUAN + 1])
        return self._kept(
            AllowanceSet(
                at=self.now, id=self._id(), account=choice.choice([*self.accounts, "nobody"]),
                kind=choice.choice(list(AllowanceKind)), amount=amount,
                from_day=self.now // DAY_MS + choice.choice([-40, -1, 0, 0, 1]), partial=choice.random() < 0.5,
            )
        )  # fmt: skip

    def _item(self) -> Fact:
        """A fee; one of before, ended, or set again from another day on; or a new one."""
        before = [order for order in self.orders if isinstance(order, ChargeItemSet)]
        if before and self.random.random() < 0.5:
            return self._kept(self._of_before(self.random.choice(before)))
        return self._kept(self._fee())

    def _of_before(self, fee: ChargeItemSet) -> Fact:
        if self.random.random() < 0.4:
            return ChargeItemEnded(at=self.now, id=self._id(), account=fee.account, item=fee.item)
        starts = fee.starts + self.random.choice([-40, -1, 0, 0, 1, 20])
        changed: dict[str, Any] = self.random.choice([{}, {"partial": not fee.partial}, {"ends": starts + 20}])
        changed |= self.random.choice([{}, {}, {"period": self.random.choice(list(Period))}])
        return msgspec.structs.replace(fee, at=self.now, id=self._id(), starts=starts, **changed)

    def _fee(self) -> ChargeItemSet:
        choice = self.random
        account, item = choice.choice([*self.accounts, *self.accounts, "nobody"]), choice.choice(["rent", "lift"])
        starts = self.now // DAY_MS + choice.choice([-400, -40, -1, 0, 1, 2])
        return ChargeItemSet(
            at=self.now, id=self._id(), account=account, item=item, kind=choice.choice(list(ItemKind)),
            amount_micros=choice.choice([YUAN, YUAN, 123_456, 0]), period=choice.choice(list(Period)), starts=starts,
            zone=choice.choice([self.zone] * 5 + ["Mars/Base"]), ends=choice.choice([-1, starts - 1, starts, starts + 20]),
            area=choice.choice([0, 0, 87_450]), partial=choice.random() < 0.5,
        )  # fmt: skip

    def _reversal(self) -> Fact:
        """Of any order that was made, most of them recharges, or of none."""
        order = self.random.choice([*self.orders, None])
        account = getattr(order, "account", "") or self.random.choice([*self.accounts, "nobody"])
        named = order.id if order else self.random.choice(["x", self._id()])
        return self._kept(ReversalOrdered(at=self.now, id=self._id(), account=account, order=named))
