"""Orders of money, fees and allowances."""

from domain.facts import (
    AdjustmentOrdered,
    AllowanceSet,
    ChargeItemEnded,
    ChargeItemSet,
    RechargeOrdered,
    RefundOrdered,
    ReversalOrdered,
)
from domain.ids import order_id
from domain.units import DAY_MS, MONEY_MAX_MICROS, ORDER_MAX_MICROS, PICOS_PER_MICRO
from domain.words import AllowanceKind, Period, Refusal
from flows.audit.fees import Fees
from flows.audit.months import Allowance, day_of
from flows.audit.terms import YEAR_2100_MS, is_item_valid


class Money(Fees):
    """What comes into a wallet and goes from it other than by usage."""

    def _move(self, fact: RechargeOrdered | RefundOrdered) -> Refusal | None:
        account = self._accounts.get(fact.account)
        if account is None:
            return Refusal.UNKNOWN_ACCOUNT
        if fact.currency != account.currency:
            return Refusal.WRONG_CURRENCY
        if fact.account in self._closed:
            return Refusal.ACCOUNT_CLOSED
        if fact.amount_micros <= 0:
            return Refusal.AMOUNT_NOT_POSITIVE
        if fact.amount_micros > ORDER_MAX_MICROS:
            return Refusal.AMOUNT_TOO_LARGE
        amount, balance = fact.amount_micros * PICOS_PER_MICRO, self.balances[fact.account]
        if isinstance(fact, RefundOrdered):
            if amount > balance:
                return Refusal.INSUFFICIENT_BALANCE
            self.balances[fact.account] -= amount
            return None
        if (balance + amount) // PICOS_PER_MICRO > self._warned[fact.account].max_balance:
            return Refusal.ABOVE_MAX_BALANCE
        self.balances[fact.account] += amount
        self._recharges[order_id(fact.id)] = fact
        return None

    def _adjust(self, fact: AdjustmentOrdered) -> Refusal | None:
        account = self._accounts.get(fact.account)
        if account is None:
            return Refusal.UNKNOWN_ACCOUNT
        if fact.currency != account.currency:
            return Refusal.WRONG_CURRENCY
        if fact.account in self._closed:
            return Refusal.ACCOUNT_CLOSED
        if not fact.note.strip():
            return Refusal.NOTE_MISSING
        if fact.amount_micros == 0:
            return Refusal.AMOUNT_IS_ZERO
        after = self.balances[fact.account] // PICOS_PER_MICRO + fact.amount_micros
        if abs(fact.amount_micros) > ORDER_MAX_MICROS or abs(after) > MONEY_MAX_MICROS:
            return Refusal.AMOUNT_TOO_LARGE
        self.balances[fact.account] += fact.amount_micros * PICOS_PER_MICRO
        return None

    def _reverse(self, fact: ReversalOrdered) -> Refusal | None:
        """Only a recharge whose answer is still kept can be taken back, and only once."""
        if fact.account not in self._accounts:
            return Refusal.UNKNOWN_ACCOUNT
        try:
            key = order_id(fact.order)
        except ValueError:
            return Refusal.UNKNOWN_ORDER
        recharge = self._recharges.get(key)
        if key not in self._kept or recharge is None or recharge.account != fact.account:
            return Refusal.UNKNOWN_ORDER
        if key in self._reversed:
            return Refusal.ALREADY_REVERSED
        self._reversed.add(key)
        self.balances[fact.account] -= recharge.amount_micros * PICOS_PER_MICRO
        return None

    def _set_allowance(self, fact: AllowanceSet) -> Refusal | None:
        if fact.account not in self._accounts:
            return Refusal.UNKNOWN_ACCOUNT
        is_amount = 1 <= fact.amount <= ORDER_MAX_MICROS or fact.kind == AllowanceKind.NONE
        if not (is_amount and fact.from_day >= 0 and fact.from_day * DAY_MS < YEAR_2100_MS):
            return Refusal.TERMS_INVALID
        if before := self._allowances.get(fact.account):
            read = [meter.time or 0 for meter in self._meters.values() if meter.installed.account == fact.account]
            spent = fact.account, int(before.fact.kind)
            self._free_before[spent] = max(self._now, fact.at, self._free_before.get(spent, 0), *read)
        self._allowances[fact.account] = Allowance(fact)
        return None

    def _set_item(self, fact: ChargeItemSet) -> Refusal | None:
        if fact.account not in self._accounts:
            return Refusal.UNKNOWN_ACCOUNT
        if not is_item_valid(fact, max(self._now, fact.at)):
            return Refusal.TERMS_INVALID
        if fact.account in self._closed:
            return Refusal.ACCOUNT_CLOSED
        name = fact.account, fact.item
        free = self._charged_before.get(name, fact.starts)
        if fact.period == Period.ONCE and fact.starts < free:
            return Refusal.TERMS_INVALID
        since = self._pays_since.get(fact.account)
        moved_in = fact.starts if since is None else day_of(since, fact.zone)
        self._items[name] = fact, max(fact.starts, free, moved_in)
        self._forget_ended(name)
        return None

    def _end_item(self, fact: ChargeItemEnded) -> Refusal | None:
        if fact.account not in self._accounts:
            return Refusal.UNKNOWN_ACCOUNT
        name = fact.account, fact.item
        if name not in self._items:
            return Refusal.UNKNOWN_ITEM
        self._charge_items([name], max(self._now, fact.at))
        self._items.pop(name, None)
        return None
