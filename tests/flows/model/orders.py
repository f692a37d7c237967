"""What an order that was carried out does besides moving money."""

from collections.abc import Callable
from typing import Any

from domain.effects import Alarm
from domain.facts import (
    AccountActivated,
    AccountClosed,
    AccountOpened,
    AccountTransferred,
    AccountUpdated,
    AdjustmentOrdered,
    ChargeItemEnded,
    ControlOrdered,
    ControlTermsSet,
    LoadReleased,
    MainMeterSet,
    MeterInstalled,
    MeterRemoved,
    MeterReplaced,
    MeterWatchSet,
    PolicySet,
    ProtectionOrdered,
    PurchasesAccepted,
    QuarantineDecided,
    ReadingCorrected,
    RechargeOrdered,
    RefundOrdered,
    ReversalOrdered,
)
from domain.words import AlarmKind, AlarmState, Settlement, Supply
from model import supply
from model.levels import Standing, say
from model.mains import Main
from model.street import Model
from model.supply import Meter
from model.watch import Watch

FOR_EVER = 2**63


def opened(model: Model, fact: AccountOpened) -> None:
    """An account that nobody judges yet."""
    model.levels.setdefault(fact.account, Standing(fact.account))


def activated(model: Model, fact: AccountActivated) -> None:
    """Somebody has the account."""
    model.to_be_cut.discard(fact.account)
    model.look_at_all(fact.account, fact.at)


def updated(model: Model, fact: AccountUpdated) -> None:
    """New terms judge the balance at once."""
    if model.levels[fact.account].judged:
        model.judge_now(fact.account, fact.at)


def policy_set(model: Model, fact: PolicySet) -> None:
    """Everybody who follows it is judged by it at once, in the order of their opening."""
    for account, standing in model.levels.items():
        if model.books._followed.get(account) == fact.policy and standing.judged:
            model.judge_now(account, fact.at)


def recharged(model: Model, fact: RechargeOrdered) -> None:
    """The tenant is told."""
    balance = model.books.whole(fact.account)
    model.said.append(
        Alarm(
            id="", kind=AlarmKind.MONEY_ARRIVED, state=AlarmState.NOTED, at=fact.at, account=fact.account,
            balance=balance, amount=fact.amount_micros, reason=fact.channel,
        )
    )  # fmt: skip
    model.judge_now(fact.account, fact.at)


def moved(model: Model, fact: RefundOrdered | AdjustmentOrdered | ReversalOrdered) -> None:
    """The balance is judged."""
    model.judge_now(fact.account, fact.at)


def settle(model: Model, account: str, at: int) -> None:
    """A tenant has gone: levels are cleared, and the next one is judged from the first money on."""
    terms = model.books._warned[account]
    for level in range(model.levels[account].level, 0, -1):
        model.said.append(say(account, terms, level, AlarmState.CLEARED, 0, at))
    model.levels[account] = Standing(account)
    for meter in model.of(account):
        model.gauges[meter.number].close_day()


def transferred(model: Model, fact: AccountTransferred) -> None:
    """Another tenant has the account."""
    if fact.settlement != Settlement.CARRY:
        settle(model, fact.account, fact.at)
    model.look_at_all(fact.account, fact.at)


def closed(model: Model, fact: AccountClosed) -> None:
    """Nobody has the account."""
    settle(model, fact.account, fact.at)
    if fact.cut:
        model.to_be_cut.add(fact.account)
    for meter in model.of(fact.account):
        supply.let_go(meter, fact.at)
    model.look_at_all(fact.account, fact.at)


def fee_ended(model: Model, fact: ChargeItemEnded) -> None:
    """What was due of it is taken, and each time the balance is judged."""
    now = max(model.now, fact.at)
    for fee in model.books.charged:
        if model.judge(fee.account, fee.balance, now):
            model.look_at_all(fee.account, now)


def installed(model: Model, fact: MeterInstalled) -> None:
    """A meter; the same installation again is nothing new."""
    if fact.meter not in model.meters:
        opened = fact.opening_register is not None
        meter = Meter(fact.meter, fact.account, fact.commodity, fact.switchable)
        model.hang_up(meter, fact.at if opened else 0)
        model.look(meter, fact.at)


def take_down(model: Model, fact: MeterRemoved | MeterReplaced) -> int:
    """The closing register is a reading; then everything that hangs on the meter ends. Returns the time of the reading."""
    note, meter, model._todo = model.books.charged[0], model.meters[fact.meter], []
    model.reading(note, fact.closing_register, None, None, None)
    for act in model._todo:
        act()
    model.clock(note.meter, note.time, note.metering)
    supply.let_go(meter, note.time)
    supply.look(meter, (Supply.UNKNOWN, meter.wanted[1]), max(note.time, model.now), model.now)
    model.forget_clock(fact.meter)
    if watch := model.watches.pop(fact.meter, None):
        model.said += watch.end(note.time)
    if main := model.mains.pop(fact.meter, None):
        model.said += main.end(note.time)
    if purchases := model.purchases.pop(fact.meter, None):
        model.said += purchases.end(note.time)
    model.said += meter.said
    del model.meters[fact.meter], model.gauges[fact.meter]
    return note.time


def replaced(model: Model, fact: MeterReplaced) -> None:
    """What somebody wants and watches goes on with the new meter; a cut for load does not."""
    old, watch, main = model.meters[fact.meter], model.watches.get(fact.meter), model.mains.get(fact.meter)
    forced, protected_until = old.forced, old.protected_until
    at = take_down(model, fact)
    meter = Meter(fact.new_meter, old.account, old.commodity, fact.switchable)
    if fact.switchable:
        meter.terms, meter.forced, meter.protected_until = old.terms, forced, protected_until
    model.hang_up(meter, at)
    if watch:
        since = max(model.now, at)
        model.watches[meter.number] = Watch(old.account, meter.number, old.commodity, watch.terms, since)
    if main:
        begun = Main(old.account, meter.number, old.commodity, main.subs, main.permille, main.least, main.day)
        model.mains[meter.number] = begun
    supply.look(meter, model.wanted(meter), at, model.now)


def main_named(model: Model, fact: MainMeterSet) -> None:
    """A main meter with sub-meters, or without any no longer."""
    meter = model.meters[fact.meter]
    if fact.subs:
        model.mains.setdefault(fact.meter, Main(meter.account, fact.meter, meter.commodity)).name(fact)
    elif main := model.mains.pop(fact.meter, None):
        model.said += main.end(max(fact.at, model.now))


def purchases_accepted(model: Model, fact: PurchasesAccepted) -> None:
    """What the meter shows is expected from now on."""
    purchases = model.purchases[fact.meter]
    purchases.accepted = fact.count
    model.said += purchases.judge(max(fact.at, model.now))


def watched(model: Model, fact: MeterWatchSet) -> None:
    """Other terms; what is raised stays so until a tick looks."""
    meter, since = model.meters[fact.meter], max(model.now, fact.at)
    watch = model.watches.setdefault(fact.meter, Watch(meter.account, fact.meter, meter.commodity, fact.terms, since))
    watch.terms = fact.terms
    if AlarmKind.OFFLINE not in watch.raised:  # Who is silent stays so, whoever says the terms again.
        watch.since = since


def controlled(model: Model, fact: ControlOrdered) -> None:
    """Forced, or given back."""
    meter = model.meters[fact.meter]
    meter.forced = None if fact.wanted == Supply.UNKNOWN else (fact.wanted, fact.until)
    model.look(meter, fact.at)


def bound(model: Model, fact: ControlTermsSet) -> None:
    """Other terms of control."""
    model.meters[fact.meter].terms = fact.terms
    model.look(model.meters[fact.meter], fact.at)


def protected(model: Model, fact: ProtectionOrdered) -> None:
    """Protected, or no longer."""
    meter = model.meters[fact.meter]
    meter.protected_until = (fact.until or FOR_EVER) if fact.protected else None
    model.look(meter, fact.at)


def released(model: Model, fact: LoadReleased) -> None:
    """A person has seen to the load."""
    supply.release(model.meters[fact.meter], fact.at)
    model.look(model.meters[fact.meter], fact.at)


def decided(model: Model, fact: QuarantineDecided) -> None:
    """A case is closed, and perhaps usage charged."""
    note = model.books.charged[0]
    for case in note.cleared:
        model.say_case(case, AlarmState.CLEARED, fact.at)
    if fact.meter not in model.gauges:
        return
    meter, gauge = model.books._meters[fact.meter], model.gauges[fact.meter]
    if note.believed and note.before != meter.register:
        gauge.moved_at = meter.time
    if note.usage:
        gauge.use(note.days)
        gauge.total += note.usage
        model.judge_now(note.account, fact.at)


def corrected(model: Model, fact: ReadingCorrected) -> None:
    """Usage on top, or given back."""
    model.gauges[fact.meter].total += fact.usage_delta
    if fact.usage_delta:
        model.judge_now(model.meters[fact.meter].account, fact.at)


ORDERS: dict[type, Callable[[Model, Any], object]] = {
    AccountOpened: opened,
    AccountActivated: activated,
    AccountUpdated: updated,
    PolicySet: policy_set,
    AccountTransferred: transferred,
    AccountClosed: closed,
    ChargeItemEnded: fee_ended,
    MeterInstalled: installed,
    MeterRemoved: take_down,
    MeterReplaced: replaced,
    RechargeOrdered: recharged,
    RefundOrdered: moved,
    AdjustmentOrdered: moved,
    ReversalOrdered: moved,
    MeterWatchSet: watched,
    MainMeterSet: main_named,
    PurchasesAccepted: purchases_accepted,
    ControlOrdered: controlled,
    ControlTermsSet: bound,
    ProtectionOrdered: protected,
    LoadReleased: released,
    QuarantineDecided: decided,
    ReadingCorrected: corrected,
}
"""What an order does besides moving money; the others do nothing else."""
