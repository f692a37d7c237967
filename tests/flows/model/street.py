"""The model: takes a log one fact after the other, and says which alarms each fact raises, repeats, clears or notes."""

from collections.abc import Callable, Iterator
from typing import Any

from domain.effects import Alarm
from domain.facts import (
    CommandReported,
    Fact,
    PurchasesCounted,
    ReadingBlock,
    ReadingRefused,
    SubMetersCounted,
    Ticked,
    WatchTerms,
)
from domain.ids import EntryId
from domain.units import HOUR_MS, MINUTE_MS
from domain.words import AlarmKind, AlarmState, Metering, Status, Supply
from model import supply
from model.books import Books, Charged
from model.levels import Standing, judge, repeat
from model.mains import Main
from model.purchases import Purchases
from model.supply import Meter, local
from model.watch import Gauge, Watch
from tariffs.rating import moment_of

BELIEVED = {Metering.FIRST, Metering.NORMAL, Metering.ROLLOVER, Metering.VACANT}
SAYS_NOTHING = {Metering.LATE, Metering.DUPLICATE, Metering.UNKNOWN_METER}


class Model:
    """One shard. The first fact of a log must be a tick: windows are judged by its time.

    `orders`: what each order does besides moving money, as `model.orders.ORDERS`.
    """

    def __init__(self, orders: dict[type, Callable[["Model", Any], object]]) -> None:
        self._orders = orders
        self.books = Books()
        self.levels: dict[str, Standing] = {}
        self.to_be_cut: set[str] = set()
        self.meters: dict[int, Meter] = {}
        self.gauges: dict[int, Gauge] = {}
        self.watches: dict[int, Watch] = {}
        self.mains: dict[int, Main] = {}
        self.purchases: dict[int, Purchases] = {}
        self.ahead: dict[int, list[int]] = {}
        self.owners: dict[int, str] = {}
        self.said: list[Alarm] = []
        self._todo: list[Callable[[], object]] = []

    def take(self, entry: EntryId, fact: Fact) -> list[Alarm]:
        """Live through one fact. Returns what was said, without ids."""
        self.said, self.books.done = [], False
        self.books.charged.clear()
        match fact:
            case ReadingBlock():
                self.books.position = entry
                self._block(fact)
            case Ticked():
                self._tick(entry, fact)
            case CommandReported():
                if meter := self.meters.get(fact.meter):
                    supply.report(meter, fact)
                    self.look(meter, fact.at)
            case SubMetersCounted():
                self._counted(fact)
            case PurchasesCounted():
                self.books.take(entry, fact)
                self._count_purchases(fact)
            case _:
                before = self.books.standing()
                self.books.take(entry, fact)
                if isinstance(fact, ReadingRefused):
                    for case in self.books.standing() - before:
                        self.say_case(case, AlarmState.RAISED, self._believable(fact.at))
                elif self.books.done:
                    self._orders.get(type(fact), lambda _model, _fact: None)(self, fact)
        for meter in [*self.meters.values()]:
            self.said += meter.said
            meter.said = []
        return self.said

    @property
    def now(self) -> int:
        """What ticks have said."""
        return self.books._now

    def wanted(self, meter: Meter) -> tuple[Supply, Any]:
        """The supply that a meter should have now, and why: worked out anew."""
        nobody = ""
        if meter.account in self.books._prepared | self.books._closed:
            nobody = "cut" if meter.account in self.to_be_cut else "left"
        return supply.wish(meter, self.levels[meter.account], nobody, self.now)

    def of(self, account: str) -> Iterator[Meter]:
        """The meters of an account."""
        return (meter for meter in self.meters.values() if meter.account == account)

    def look(self, meter: Meter, at: int) -> None:
        """Act on what is wanted of a meter now."""
        supply.look(meter, self.wanted(meter), max(at, self.now), self.now)

    def look_at_all(self, account: str, at: int) -> None:
        """Act on what is wanted of every meter of an account."""
        for meter in self.of(account):
            self.look(meter, at)

    def judge(self, account: str, balance: int, at: int) -> bool:
        """Say what a balance has crossed. Returns whether anything of the account has changed."""
        alarms, has_changed = judge(self.levels[account], self.books._warned[account], balance, at)
        self.said += alarms
        return has_changed

    def judge_now(self, account: str, at: int) -> None:
        """Judge the balance as it is, and look at the meters where that changes anything."""
        if self.judge(account, self.books.whole(account), at):
            self.look_at_all(account, at)

    def _believable(self, at: int) -> int:
        return at if 0 < at <= self.books._time + HOUR_MS else self.now

    def say_case(self, case: tuple[int, str], state: AlarmState, at: int) -> None:
        """One event of the alarm of a quarantine case."""
        account = self.owners.get(case[0], "")
        self.said.append(
            Alarm(id="", kind=AlarmKind.QUARANTINE, state=state, at=at, account=account, meter=case[0], reason=case[1])
        )

    # Readings.

    def _block(self, block: ReadingBlock) -> None:
        """A block is read as a whole; then what it has shown is acted on, in its order."""
        classes, self._todo = [], []
        for i, (number, time, register) in enumerate(zip(block.meter, block.time, block.register, strict=True)):
            before = self._register(int(number))
            bands = () if block.bands is None else tuple(block.bands[i].tolist())
            note = self.books.read(int(number), int(time), int(register), bands)
            classes.append((note.meter, note.time, note.metering))
            watts = None if block.power is None else int(block.power[i])
            status = None if block.status is None else int(block.status[i])
            self.reading(note, int(register), before, watts, status)
        for act in self._todo:
            act()
        for number, time, metering in classes:
            self.clock(number, time, metering)

    def _register(self, number: int) -> int | None:
        """The last believed register, None before the first."""
        meter = self.books._meters.get(number)
        return None if meter is None or meter.time is None else meter.register

    def reading(self, note: Charged, register: int, before: int | None, watts: int | None, status: int | None) -> None:
        """What a reading has said and done. `before`: the register believed until then."""
        for case in note.raised:
            self.say_case(case, AlarmState.RAISED, self._believable(note.time))
        for case in note.cleared:
            self.say_case(case, AlarmState.CLEARED, note.time)
        if note.metering == Metering.DUPLICATE:
            self._hear_again(note, watts, status)
        if note.metering in SAYS_NOTHING:
            return
        meter, gauge = self.meters[note.meter], self.gauges[note.meter]
        meter.heard_last = note.metering in BELIEVED
        if meter.heard_last:
            self._believe(meter, note)
            gauge.moved_at = gauge.moved_at if before == register else note.time
            self._draw(meter, watts, note.time)
        meter.power, gauge.power = watts, watts or 0
        self._see(meter, status, note.time)

    def _hear_again(self, note: Charged, watts: int | None, status: int | None) -> None:
        """Of the same instant and register: only what it says of power and supply, and only where that is something else."""
        meter = self.meters[note.meter]
        if not meter.heard_last:
            return
        if watts is not None and watts != meter.power:
            self._draw(meter, watts, note.time)
            meter.power = self.gauges[note.meter].power = watts
        if status != meter.status:
            self._see(meter, status, note.time)

    def _draw(self, meter: Meter, watts: int | None, at: int) -> None:
        for reason, words in supply.power_cuts(meter, watts, meter.power) if watts is not None else ():
            self._todo.append(lambda reason=reason, words=words: self._cut(meter, reason, words, at))

    def _see(self, meter: Meter, status: int | None, at: int) -> None:
        if status is None:
            return
        seen, meter.status = meter.seen, status
        if status & Status.SUPPLY_KNOWN:
            meter.seen = Supply.ON if status & Status.SUPPLY_ON else Supply.OFF
        if not seen == meter.seen == meter.wanted[0]:
            self._todo.append(lambda: self.look(meter, at))

    def _believe(self, meter: Meter, note: Charged) -> None:
        if note.usage:
            self.gauges[note.meter].use(note.days)
            self.gauges[note.meter].total += note.usage
            if self.judge(note.account, note.balance, note.time):
                self._todo.append(lambda: self.look_at_all(note.account, note.time))
        if note.metering == Metering.VACANT:
            self.gauges[note.meter].vacant += note.counted
        if note.counted and meter.seen == meter.wanted[0] == Supply.OFF:
            self._todo.append(lambda: supply.note_use(meter, note.counted, note.time))

    def _cut(self, meter: Meter, reason: Any, words: str, at: int) -> None:
        if supply.cut(meter, reason, words, self.now):
            self.look(meter, at)

    def clock(self, number: int, time: int, metering: Metering | None) -> None:
        """Readings from more than ten minutes ahead after three different ticks are said; one that is not ahead clears it."""
        if metering in {Metering.DUPLICATE, Metering.UNKNOWN_METER}:
            return
        if time <= self.now + 10 * MINUTE_MS:
            self.forget_clock(number)
            return
        ticks = self.ahead.setdefault(number, [])
        if self.now in ticks:
            return
        ticks.append(self.now)
        if len(ticks) == 3:
            self._say_clock(number, AlarmState.RAISED)

    def forget_clock(self, number: int) -> None:
        """The clock is right again, or gone."""
        if len(self.ahead.pop(number, [])) >= 3:
            self._say_clock(number, AlarmState.CLEARED)

    def _say_clock(self, number: int, state: AlarmState) -> None:
        account, kind = self.owners[number], AlarmKind.CLOCK_DRIFT
        self.said.append(
            Alarm(id="", kind=kind, state=state, at=self.now, account=account, meter=number, reason="ahead")
        )

    # Time.

    def _tick(self, entry: EntryId, fact: Ticked) -> None:
        now = max(self.now, fact.at)
        for account, standing in self.levels.items():
            self.said += repeat(standing, self.books._warned[account], self.books.whole(account), now)
        self.books.take(entry, fact)
        for fee in self.books.charged:
            if self.judge(fee.account, fee.balance, now):
                self.look_at_all(fee.account, now)
        for number, gauge in self.gauges.items():
            if gauge.day is not None and gauge.day < self._local(number, now - HOUR_MS)[0]:
                gauge.close_day()
        for number, watch in self.watches.items():
            read_at = self.books._meters[number].time
            self.said += watch.look(self.gauges[number], read_at, now, *self._local(number, now))
        for number, main in self.mains.items():
            main.tick(now, self._local(number, now)[0], self._zone(number, now))
        for number, purchases in self.purchases.items():
            terms = self.watches[number].terms if number in self.watches else WatchTerms()
            self.said += purchases.repeat(terms, now)
        for meter in self.meters.values():
            self._let_time_pass(meter, now)

    def _counted(self, fact: SubMetersCounted) -> None:
        if main := self.mains.get(fact.meter):
            self.said += main.hear(fact, max(fact.at, self.now))
            if not main.subs:
                del self.mains[fact.meter]

    def _count_purchases(self, fact: PurchasesCounted) -> None:
        if meter := self.meters.get(fact.meter):
            first = Purchases(meter.account, meter.number, fact.count, fact.count)
            purchases = self.purchases.setdefault(fact.meter, first)
            purchases.counted = fact.count
            self.said += purchases.judge(max(fact.at, self.now))

    def _zone(self, number: int, at: int) -> str:
        plan = self.books._meters[number].plan
        return plan[moment_of(plan, at).stage].tariff.zone

    def _local(self, number: int, at: int) -> tuple[int, int]:
        """Day number and minute of the day in the zone of the meter's tariff."""
        clock = local(at, self._zone(number, at))
        return moment_of(self.books._meters[number].plan, at).day, clock.hour * 60 + clock.minute

    def _let_time_pass(self, meter: Meter, now: int) -> None:
        if meter.forced and meter.forced[1] <= now:
            meter.forced = None
        supply.restore(meter, now)
        if meter.protected_until is not None and meter.protected_until <= now:
            meter.protected_until = None
        self.look(meter, now)
        if meter.use and (self.books._meters[meter.number].time or 0) > meter.use.last:
            supply.end_use(meter, now)
        supply.try_again(meter, now)

    def hang_up(self, meter: Meter, moved_at: int) -> None:
        """Let a meter be there from now on."""
        self.meters[meter.number], self.gauges[meter.number] = meter, Gauge(moved_at=moved_at)
        self.owners[meter.number] = meter.account
