"""Watched meters, main meters with what the second stage counts, and counters of purchases."""

from datetime import datetime
from zoneinfo import ZoneInfo

from domain.facts import (
    Fact,
    MainMeterSet,
    MeterWatchSet,
    PurchasesAccepted,
    PurchasesCounted,
    SubMetersCounted,
    WatchTerms,
)
from domain.units import HOUR_MS
from histories.happenings import Happenings


class Watching(Happenings):
    """What of a meter is worth an alarm besides its money."""

    def _watch(self) -> Fact:
        choice = self.random
        terms = WatchTerms(
            day_usage=choice.choice([0, 400, -1]), month_usage=choice.choice([0, 3_000]), offline_ms=choice.choice([0, HOUR_MS]),
            stuck_ms=choice.choice([0, HOUR_MS]), stuck_w=choice.choice([0, 900]), reverse_w=choice.choice([0, 100]),
            night_usage=choice.choice([-1, 0, 333]), night_from=choice.choice([120, 1380, 240]), repeat_ms=2 * HOUR_MS,
            repeat_max=choice.choice([0, 2]),
        )  # fmt: skip
        return self._kept(
            MeterWatchSet(at=self.now, id=self._id(), meter=choice.choice([*self.meters, 99]), terms=terms)
        )

    def _main_meter(self) -> Fact:
        """One of the meters before the others, or before none, or before itself."""
        choice = self.random
        numbers = [*self.meters, 99] if choice.random() < 0.1 else [*self.meters]
        meter, *subs = choice.sample(numbers, choice.randint(1, len(numbers)))
        self.counted[meter] = tuple(sorted(subs)), [0]
        return self._kept(
            MainMeterSet(
                at=self.now, id=self._id(), meter=meter, subs=choice.choice([tuple(subs), tuple(subs), (meter,)]),
                loss_max_permille=choice.choice([0, 100, 1_001]), loss_min=choice.choice([0, 0, 500, -1]),
            )
        )  # fmt: skip

    def _counted(self) -> Fact:
        """What the second stage says of the last midnight; now and then again, or of a meter that was not heard."""
        choice = self.random
        meter = choice.choice([*self.counted, 99])
        subs, midnights = self.counted.get(meter, ((1,), [0]))
        today = datetime.fromtimestamp(self.now // 1000, ZoneInfo(self.zone)).replace(hour=0, minute=0, second=0)
        begins, ends, waits = choice.choice(midnights[-3:]), int(today.timestamp()) * 1000, choice.random() < 0.2
        midnights += [ends] * (ends > midnights[-1])
        return SubMetersCounted(
            at=self.now, meter=meter, subs=subs, begins=begins, ends=ends, used=choice.choice([0, 900, 10_000]),
            counted=choice.choice([0, 900, 9_000]), subs_now=choice.choice([subs, subs, subs, subs[1:]]),
            waits_for=subs[:1] if waits else (),
        )  # fmt: skip

    def _purchases_counted(self) -> Fact:
        """What a meter's purchase counter shows: mostly what it showed before, and now and then a purchase more."""
        number = self.random.choice([*self.meters, 99])
        count = (self.purchases.get(number, 0xFFFF) + self.random.choice([0, 0, 1, 1, -1])) % 0x10000
        self.purchases[number] = count
        return PurchasesCounted(at=self.now - self.random.choice([0, 90_000]), meter=number, count=count)

    def _purchases_accepted(self) -> Fact:
        """Of what was shown last, or of something else."""
        choice = self.random
        number = choice.choice([*self.purchases, *self.meters])
        count = self.purchases.get(number, 7) + choice.choice([0, 0, 0, 1])
        note = choice.choice(["a card of the old tenant"] * 5 + [" "])
        return self._kept(PurchasesAccepted(at=self.now, id=self._id(), meter=number, count=count, note=note))
