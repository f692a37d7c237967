"""Streets in which one thing happens often: supplies switched, meters watched, main meters, fees, registers of their own for bands.

In a street of everything the third failed attempt in a row, or the end of a month, is too rare to be met by chance.
"""

from collections.abc import Callable, Sequence

import msgspec
from histories import Street, flat, readings, stepped, time_of_use

from domain.facts import (
    AccountOpened,
    AlarmTerms,
    CommandReported,
    Fact,
    MainMeterSet,
    MeterInstalled,
    MeterWatchSet,
    ReadingBlock,
    WatchTerms,
)
from domain.units import DAY_MS, HOUR_MS
from domain.words import Stage, Status, Supply


class _Plain(Street):
    """One price, and meters that are read from the beginning and mostly believed."""

    watts: Sequence[int] = (0, 300)

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.tariffs = ["one"]

    def _document(self, tariff: str) -> str:
        return flat(tariff, self.zone, ("2024-01-01", self.random.choice(["0.5", "3.21", "12"])))

    def _installed(self, number: int) -> MeterInstalled:
        installed = super()._installed(number)
        opening = self.registers[number]
        self.meters[number] = msgspec.structs.replace(installed, opening_register=opening, modulus=0, ratio=1)
        return self.meters[number]

    def _reading(self) -> tuple[int, int, int]:
        if self.random.random() < 0.1:
            return super()._reading()
        number = self.random.choice(list(self.meters))
        self.registers[number] += self.random.choice([0, 0, 40, 333, 1_999])
        self.last[number] = number, self.now, self.registers[number]
        return self.last[number]

    def _block(self) -> ReadingBlock:
        rows = [self._reading() for _ in range(self.random.randint(1, 3))]
        states = [Status.SUPPLY_KNOWN, Status.SUPPLY_KNOWN, Status.SUPPLY_KNOWN | Status.SUPPLY_ON, 0]
        status = [self.random.choice(states) for _ in rows] if self.random.random() < 0.6 else None
        power = [self.random.choice(self.watts) for _ in rows] if self.random.random() < 0.9 else None
        return readings(*rows, power=power, status=status)


class Switched(_Plain):
    """Supplies that are forced, protected, scheduled, cut for their load, and commanded with little success."""

    pauses = (1, 7, 15, 40, 40, 60, 150)
    watts = (0, 300, 900, 1_500, 1_500, 3_000, 4_500)

    def kinds(self) -> list[Callable[[], Fact]]:
        """What may happen."""
        often = (
            [self._block] * 9 + [self._tick] * 8 + [self._report] * 5 + [self._money] * 3 + [self._control_terms] * 4
        )
        return [*often, self._control, self._protection, self._release, self._tenancy, self._gone, self._item]

    def _report(self) -> CommandReported:
        stages = [Stage.SENT, Stage.ACKNOWLEDGED, Stage.VERIFIED, Stage.FAILED, Stage.FAILED, Stage.FAILED]
        stage, number, epoch = (
            self.random.choice(stages),
            self.random.choice(list(self.meters)),
            self.random.randint(1, 5),
        )
        seen = self.random.choice(list(Supply)) if stage == Stage.VERIFIED else Supply.UNKNOWN
        return CommandReported(at=self.now, meter=number, epoch=epoch, stage=stage, seen=seen)


class Watched(_Plain):
    """Meters that are watched over the end of a month, some of them silent, stuck or leaking, and corrected where it may have been free."""

    pauses = (15, 40, 60, 150, 150, 300, 600)
    watts = (-500, -150, 0, 300, 950, 1_500)

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.now += self.random.choice([0, 23, 24]) * DAY_MS
        self.start = self.now

    def kinds(self) -> list[Callable[[], Fact]]:
        """What may happen."""
        often = [self._block] * 10 + [self._tick] * 12 + [self._watch] * 5
        sold = [self._purchases_counted] * 6 + [self._purchases_accepted] * 3
        free = [self._allowance] * 8 + [self._corrected] * 14
        return [*often, *free, *sold, self._money, self._gone, self._tenancy, self._decided]

    def _watch(self) -> Fact:
        fact, choice = super()._watch(), self.random
        assert isinstance(fact, MeterWatchSet)
        every, most = choice.choice([HOUR_MS, 2 * HOUR_MS]), choice.choice([0, 1, 3])
        terms = msgspec.structs.replace(fact.terms, repeat_ms=every, repeat_max=most)
        self.orders[-1] = msgspec.structs.replace(fact, terms=terms)
        return self.orders[-1]


class Empty(_Plain):
    """Rooms that nobody has, at first or for a while, whose meters are watched for use by day, by month and at night."""

    pauses = (40, 60, 60, 150, 300)

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.now += self.random.choice([0, 23, 24]) * DAY_MS
        self.start = self.now

    def opening(self) -> list[Fact]:
        """A street in which every meter is watched."""
        return [*super().opening(), *(self._watched(number) for number in self.meters)]

    def _opened(self, account: str, terms: AlarmTerms) -> AccountOpened:
        opened = super()._opened(account, terms)
        return msgspec.structs.replace(opened, prepared=self.random.random() < 0.6)

    def _watched(self, number: int) -> Fact:
        choice = self.random
        terms = WatchTerms(
            day_usage=choice.choice([0, 700, 2_000]), month_usage=choice.choice([0, 1_000, 3_000]),
            night_usage=choice.choice([-1, 0, 40]), night_from=choice.choice([120, 1380]), repeat_max=0,
        )  # fmt: skip
        return self._kept(MeterWatchSet(at=self.now, id=self._id(), meter=number, terms=terms))

    def kinds(self) -> list[Callable[[], Fact]]:
        """What may happen."""
        often = [self._block] * 10 + [self._tick] * 14 + [self._tenancy] * 2
        return [*often, self._watch, self._gone, self._money, self._decided]


class Interrupted(_Plain):
    """Hours without a tick, while meters are read, taken down and doubted; entries of the log say what has passed at the server."""

    pauses = (1, 15, 40, 60, 90, 150)
    is_live = True

    def kinds(self) -> list[Callable[[], Fact]]:
        """What may happen."""
        often = [self._block] * 12 + [self._gone] * 3 + [self._tick] * 2
        return [*often, self._money, self._refused, self._decided, self._tenancy]


class Housed(_Plain):
    """Main meters over several midnights, counted by a second stage that repeats itself, comes late and waits for meters."""

    pauses = (150, 300, 600, 900)

    def opening(self) -> list[Fact]:
        """A street with a main meter."""
        return [*super().opening(), self._main_meter()]

    def kinds(self) -> list[Callable[[], Fact]]:
        """What may happen."""
        often = [self._tick] * 20 + [self._counted] * 30 + [self._block] * 3
        return [*often, self._main_meter, self._gone, self._repeated]

    def _main_meter(self) -> Fact:
        fact, choice = super()._main_meter(), self.random
        assert isinstance(fact, MainMeterSet)
        subs = tuple(sorted({*fact.subs, choice.randint(5, 9)} - {fact.meter}))
        self.counted[fact.meter] = subs, [0]
        self.orders[-1] = msgspec.structs.replace(
            fact, subs=subs, loss_max_permille=choice.choice([0, 100]), loss_min=0
        )
        return self.orders[-1]


class Rented(_Plain):
    """Fees that are set, ended and set again while tenants come and go, over months."""

    pauses = (15, 60, 600, 1_500, 1_500, 10_000)

    def _opened(self, account: str, terms: AlarmTerms) -> AccountOpened:
        opened = super()._opened(account, terms)
        return msgspec.structs.replace(opened, prepared=self.random.random() < 0.5)

    def kinds(self) -> list[Callable[[], Fact]]:
        """What may happen."""
        often = [self._block] * 2 + [self._tick] * 8 + [self._item] * 8 + [self._tenancy] * 4
        return [*often, self._money, self._allowance, self._corrected, self._repeated]


class Banded(Street):
    """Meters whose own registers divide their total, in tariffs that ask for them and, for a while, in some that do not."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.tariffs = self.random.choice([["two"], ["two"], ["two", "three"]])

    def _document(self, tariff: str) -> str:
        by_meter = tariff == "two" or self.random.random() < 0.3
        starts = ["2024-01-01", *sorted({self._instant() for _ in range(self.random.randint(0, 1))})]
        if self.random.random() < 0.3:
            steps = [(start, *self._steps(by_bands=True)) for start in starts]
            return stepped(tariff, self.zone, *steps, by_meter=by_meter)
        versions = [(start, self._prices(), self._days()) for start in starts]
        return time_of_use(tariff, self.zone, *versions, by_meter=by_meter)

    def kinds(self) -> list[Callable[[], Fact]]:
        """What may happen."""
        often = [self._block] * 16 + [self._tick] * 3 + [self._money] * 2
        return [
            *often,
            self._assigned,
            self._decided,
            self._corrected,
            self._odd,
            self._tenancy,
            self._gone,
            self._allowance,
        ]
