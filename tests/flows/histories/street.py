"""A street: everything that may happen in it, one happening after the other, from a seed."""

from collections.abc import Callable, Iterable

import msgspec
from hypothesis import strategies as st

from domain.facts import (
    AdjustmentOrdered,
    AlarmTerms,
    Fact,
    PolicySet,
    RechargeOrdered,
    RefundOrdered,
    TariffPublished,
    Ticked,
)
from domain.ids import EntryId
from domain.units import DAY_MS, HOUR_MS, MINUTE_MS
from histories.control import Control
from histories.documents import order_text
from histories.happenings import YUAN
from histories.life import Life
from histories.money import Money
from histories.pricing import Pricing
from histories.reading import Reading
from histories.watching import Watching

Entries = list[tuple[EntryId, Fact]]


def numbered(facts: Iterable[Fact]) -> Entries:
    """Facts as the entries of a log."""
    return [(entry_of(number), fact) for number, fact in enumerate(facts)]


def entry_of(number: int) -> EntryId:
    """The id of a log's entry, counted from 0: three have one millisecond."""
    return 1 + number // 3, number % 3


class Street(Pricing, Life, Reading, Money, Watching, Control):
    """Makes one happening after the other. `now` is true time; the machine's clock follows it by ticks.

    `pauses`: minutes that may pass until something happens. `is_live`: the entries of its log have the times at which they were appended.
    """

    pauses = (1, 7, 15, 15, 40, 60, 150)
    is_live = False

    def opening(self) -> list[Fact]:
        """Tariffs, accounts and meters, some of them twice."""
        facts: list[Fact] = [
            TariffPublished(at=self.now, id=self._id(), tariff=tariff, document=self._document(tariff))
            for tariff in self.tariffs
        ]
        terms = AlarmTerms(
            low=20 * YUAN, pretrip=5 * YUAN, arrears=0, hysteresis=YUAN // 2, reconnect=2 * YUAN, max_balance=500 * YUAN,
            repeat_ms=HOUR_MS, repeat_max=2, overdraft=self.random.choice([0, 0, 3 * YUAN]),
        )  # fmt: skip
        facts.append(PolicySet(at=self.now, id=self._id(), policy="standard", alarms=terms))
        facts += [self._opened(account, terms) for account in self.accounts]
        for number in range(1, self.random.randint(2, 5)):
            facts.append(self._installed(number))
        self.orders += facts
        return [*facts, *(self._control_terms() for _ in range(self.random.randint(0, 3)))]

    def kinds(self) -> list[Callable[[], Fact]]:
        """What may happen; what is named more often does so more often."""
        kinds: list[Callable[[], Fact]] = [self._block] * 9 + [self._tick] * 4 + [self._money] * 4
        kinds += [
            self._assigned,
            self._repeated,
            self._contradicted,
            self._control,
            self._report,
            self._report,
            self._refused,
            self._decided,
            self._decided,
            self._corrected,
            self._odd,
            self._tenancy,
            self._tenancy,
            self._gone,
            self._site,
            self._policy,
            self._item,
            self._watch,
            self._main_meter,
            self._counted,
            self._purchases_counted,
            self._purchases_counted,
            self._purchases_accepted,
            self._allowance,
            self._control_terms,
            self._control_terms,
            self._protection,
            self._release,
        ]
        return kinds

    def happening(self) -> Fact:
        """What happens next."""
        kinds = self.kinds()
        if self.random.random() < 0.8:
            self.now += self.random.choice(self.pauses) * MINUTE_MS + self.random.randrange(60_000)
        return self.random.choice(kinds)()

    def _tick(self) -> Ticked:
        return Ticked(at=self.now - self.random.choice([0, 0, 0, 30 * MINUTE_MS]))

    def _repeated(self) -> Fact:
        return msgspec.structs.replace(self.random.choice(self.orders), at=self.now)

    def _contradicted(self) -> Fact:
        order = self.random.choice(self.orders)
        if isinstance(order, RechargeOrdered | RefundOrdered | AdjustmentOrdered):
            return msgspec.structs.replace(order, at=self.now, amount_micros=order.amount_micros + 1)
        return RechargeOrdered(at=self.now, id=order.id, account=self.accounts[0], amount_micros=1, currency="CNY")

    def _odd(self) -> Fact:
        """Ids that are too old, from the future or none; tariffs anew and broken; a meter that changes its terms."""
        order = RechargeOrdered(at=self.now, id="x", account=self.accounts[0], amount_micros=YUAN, currency="CNY")
        match self.random.randrange(6):
            case 0:
                return order
            case 1:
                return msgspec.structs.replace(order, id=order_text(self.now - 91 * DAY_MS, self.number))
            case 2:
                return msgspec.structs.replace(order, id=order_text(self.now + 2 * DAY_MS, self.number))
            case 3:
                installed = self.meters[1]
                return msgspec.structs.replace(installed, id=self._id(), at=self.now, ratio=self.random.choice([1, 40]))
            case 4:
                return TariffPublished(at=self.now, id=self._id(), tariff=self.tariffs[0], document="tariff = 1")
        tariff = self.random.choice(self.tariffs)
        return self._kept(TariffPublished(at=self.now, id=self._id(), tariff=tariff, document=self._document(tariff)))


def history(seed: int, length: int, kind: type[Street] = Street) -> Entries:
    """A street's opening and `length` happenings after it."""
    street = kind(seed)
    entries = numbered(street.opening())
    if street.is_live:
        entries = [((street.now, number), fact) for number, (_, fact) in enumerate(entries)]
    for _ in range(length):
        fact, number = street.happening(), len(entries)
        entries.append(((street.now, number) if street.is_live else entry_of(number), fact))
    return entries


def histories(longest: int = 60) -> st.SearchStrategy[Entries]:
    """Any history. Printed as the call that makes it."""
    return st.builds(history, st.integers(0, 2**32), st.integers(0, longest))
