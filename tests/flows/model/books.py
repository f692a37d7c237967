"""Books: the money of the model. It is the audit's, with a ledger beside the balances and a note of each thing that it charged."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from domain.facts import (
    AdjustmentOrdered,
    MeterInstalled,
    QuarantineDecided,
    RechargeOrdered,
    RefundOrdered,
    ReversalOrdered,
)
from domain.ids import order_id
from domain.units import PICOS_PER_MICRO
from domain.words import CASH_BY_CHANNEL, ITEM_REVENUE, REVENUE, Decision, Ledger, Metering, Settlement
from flows.audit import Audit
from flows.audit.book import advance_of, is_possible
from tariffs.rating import parts_of


@dataclass
class Charged:
    """A reading, a decision or a fee, with the wallet (micros, rounded down) just after it.

    `days`: usage by local day, in order. `raised`, `cleared`: quarantine cases. `believed`: whether a decision has the meter go
    on from somewhere else, and `before`: the register until then, None where there was none. `counted`: what the meter has
    counted since it was believed, whoever pays for it.
    """

    account: str
    meter: int = 0
    time: int = 0
    metering: Metering | None = None
    usage: int = 0
    days: list[tuple[int, int]] = field(default_factory=list)
    balance: int = 0
    raised: set[tuple[int, str]] = field(default_factory=set)
    cleared: set[tuple[int, str]] = field(default_factory=set)
    believed: bool = False
    before: int | None = None
    counted: int = 0


class Books(Audit):
    """One shard's money. `ledger`: exact picos that each ledger account has of each account; credit is positive.

    `charged`: what has been since somebody emptied it. `done`: whether an order was carried out since somebody said no.
    """

    def __init__(self) -> None:
        super().__init__(0)
        self.ledger: Counter[tuple[str, Ledger]] = Counter()
        self.charged: list[Charged] = []
        self.done = False
        self._costs: Counter[tuple[str, str]] = Counter()
        self._against = Ledger.CASH
        self._days: list[tuple[int, int]] = []
        self._installations: dict[str, MeterInstalled] = {}

    def whole(self, account: str) -> int:
        """The balance in micros, rounded down."""
        return self.balances[account] // PICOS_PER_MICRO

    def standing(self) -> set[tuple[int, str]]:
        """Meter and reason of each case whose alarm stands."""
        return {name for name, held in self._cases.of.items() if not held.released}

    def read(self, number: int, time: int, register: int, bands: tuple[int, ...]) -> Charged:
        """Take one reading of a block, and say what it has done."""
        self.classes[self._read(number, time, register, bands)] += 1
        return self.charged[-1]

    def _pay(self, account: str, against: Ledger, picos: int) -> None:
        self.ledger[account, Ledger.CUSTOMER] += picos
        self.ledger[account, against] -= picos

    def _read(self, number: int, time: int, register: int, bands: tuple[int, ...] = ()) -> Metering:
        meter, before = self._meters.get(number), self.standing()
        account = meter.installed.account if meter else ""
        used, self._days = self.priced.get(number, 0), []
        counted = _counted(meter, time, register) if meter else 0
        metering = super()._read(number, time, register, bands)
        after = self.standing()
        note = Charged(account, number, time, metering, self.priced.get(number, 0) - used, self._days)
        note.counted = counted
        note.balance, note.cleared, note.raised = self.whole(account) if account else 0, before - after, after - before
        self.charged.append(note)
        return metering

    def _price(
        self, meter: Any, span: tuple[int, int], register: int, usage: int, shares: tuple[int, ...] = ()
    ) -> None:
        account, hung = meter.installed.account, (meter.installed.account, meter.installed.id)
        balance, free = self.balances[account], self._free[hung]
        super()._price(meter, span, register, usage, shares)
        paid, given = balance - self.balances[account], self._free[hung] - free
        self._pay(account, REVENUE[meter.installed.commodity], -paid - given)
        self._pay(account, Ledger.ALLOWANCES, given)
        self._costs[hung] += paid + given
        if usage:
            days: Counter[int] = Counter()
            for part in parts_of(meter.plan, *span, usage, shares):
                days[part.moment.day] += part.usage
            self._days = list(days.items())

    def _correct(self, fact: Any) -> Any:
        meter = self._meters.get(fact.meter)
        balance = self.balances[meter.installed.account] if meter else 0
        refusal = super()._correct(fact)
        if meter and not refusal:
            account = meter.installed.account
            cost = balance - self.balances[account]
            self._pay(account, REVENUE[meter.installed.commodity], -cost)
            self._costs[account, meter.installed.id] += cost
        return refusal

    def _decide(self, fact: QuarantineDecided) -> Any:
        meter, used, standing = self._meters.get(fact.meter), self.priced.get(fact.meter, 0), self.standing()
        before = None if meter is None or meter.time is None else meter.register
        self._days = []
        refusal = super()._decide(fact)
        if not refusal:
            note = Charged(
                meter.installed.account if meter else "", fact.meter, fact.at, days=self._days, before=before
            )
            note.usage, note.cleared = self.priced.get(fact.meter, 0) - used, standing - self.standing()
            note.believed = fact.decision != Decision.DISCARD
            self.charged.append(note)
        return refusal

    def _charge_item(self, name: tuple[str, str]) -> None:
        account, kind = name[0], self._items[name][0].kind
        balance = self.balances[account]
        super()._charge_item(name)
        fee = balance - self.balances[account]
        self._pay(account, ITEM_REVENUE[kind], -fee)
        if fee:
            self.charged.append(Charged(account, balance=self.whole(account), usage=1))

    def _carried_out(self, fact: Any) -> Any:
        is_money = isinstance(fact, RechargeOrdered | RefundOrdered | ReversalOrdered | AdjustmentOrdered)
        account, against = getattr(fact, "account", ""), self._other_side(fact)
        before = self.balances.get(account, 0)
        refusal = super()._carried_out(fact)
        self.done = not refusal
        if self.done and is_money:
            self._pay(account, against, self.balances[account] - before)
        return refusal

    def _other_side(self, fact: Any) -> Ledger:
        """The ledger account that an order's money comes from or goes to."""
        if isinstance(fact, AdjustmentOrdered):
            return Ledger.ADJUSTMENTS
        channel = getattr(fact, "channel", "")
        if isinstance(fact, ReversalOrdered):
            channel = self._channel_of(fact.order)
        return CASH_BY_CHANNEL.get(channel, Ledger.CASH)

    def _channel_of(self, order: str) -> str:
        """The channel by which a recharge came."""
        try:
            return self._recharges[order_id(order)].channel
        except (KeyError, ValueError):
            return ""

    def _leave(self, fact: Any) -> Any:
        self._against = Ledger.WRITE_OFFS if fact.settlement == Settlement.WRITE_OFF else self._other_side(fact)
        return super()._leave(fact)

    def _round(self, account: str) -> None:
        """Whole micros are paid; the parts of a micro of wallet, usage and what was free go to ROUNDING."""
        whole, rest = divmod(self.balances[account], PICOS_PER_MICRO)
        self._pay(account, self._against, -whole * PICOS_PER_MICRO)
        self._pay(account, Ledger.ROUNDING, -rest)
        for meter in self._installations.values():
            if meter.account != account:
                continue
            cost = self._costs.pop((account, meter.id), 0) % PICOS_PER_MICRO
            free = self._free[account, meter.id] % PICOS_PER_MICRO
            self.ledger[account, REVENUE[meter.commodity]] -= cost
            self.ledger[account, Ledger.ALLOWANCES] += free
            self.ledger[account, Ledger.ROUNDING] += cost - free
        super()._round(account)

    def _begin(self, meter: Any) -> None:
        super()._begin(meter)
        self._installations[meter.installed.id] = meter.installed


def _counted(meter: Any, time: int, register: int) -> int:
    """Wh or litres since the believed reading, as far as the meter can have counted them."""
    if meter.time is None or time <= meter.time:
        return 0
    advance = advance_of(meter, register)
    return advance * meter.installed.ratio if advance > 0 and is_possible(meter, time - meter.time, advance) else 0
