"""Supplies: forced, protected, scheduled, cut for their load, and commanded."""

from domain.facts import (
    CommandReported,
    ControlOrdered,
    ControlTerms,
    ControlTermsSet,
    Fact,
    LoadReleased,
    ProtectionOrdered,
    ScheduledSupply,
    StepRange,
    Window,
)
from domain.units import DAY_MS, HOUR_MS, MINUTE_MS
from domain.words import (
    Stage,
    Supply,
)
from histories.happenings import Happenings


class Control(Happenings):
    """What is wanted of supplies, and what became of it."""

    def _control(self) -> Fact:
        wanted, until = self.random.choice(list(Supply)), self.now + self.random.choice([-1, HOUR_MS, DAY_MS])
        number = self.random.choice([*self.meters, 99])
        return self._kept(ControlOrdered(at=self.now, id=self._id(), meter=number, wanted=wanted, until=until))

    def _window(self) -> dict[str, int]:
        choice = self.random
        days = choice.choice([0b1111111, 0b0011111, 0b1100000, 128, 255, choice.randrange(257)])
        minutes = [
            choice.choice([0, 480, 1320, choice.randrange(1440)]),
            choice.choice([360, 1440, choice.randrange(1441)]),
        ]
        return {"days": days, "from_minute": minutes[0], "until_minute": minutes[1]}

    def _control_terms(self) -> Fact:
        """Terms of control, now and then with a mistake."""
        choice, today = self.random, self.now // DAY_MS
        terms = ControlTerms(
            zone=choice.choice([self.zone] * 9 + ["Mars/Base"]),
            holidays=choice.choice([(), (today, today + 1), (today + 1, today)]) if choice.random() < 0.3 else (),
            no_trip=tuple(Window(**self._window()) for _ in range(choice.randrange(3))),
            schedule=tuple(
                ScheduledSupply(**self._window(), supply=choice.choice([Supply.ON, Supply.OFF]))
                for _ in range(choice.randrange(3))
            ),
            power_limit_w=choice.choice([0, 1_000, 4_000]),
            malignant_step_w=choice.choice([0, 500, 2_500]),
            tolerated=choice.choice([(), (), (StepRange(low_w=1_000, high_w=2_000),)]),
            whitelisted=choice.random() < 0.1,
            restores=choice.choice([0, 1, 3]),
            restore_wait_ms=choice.choice([MINUTE_MS, HOUR_MS]),
            button=choice.random() < 0.3,
        )
        number = choice.choice([*self.meters, 99])
        return self._kept(ControlTermsSet(at=self.now, id=self._id(), meter=number, terms=terms))

    def _protection(self) -> Fact:
        choice = self.random
        number, until = choice.choice([*self.meters, 99]), self.now + choice.choice([-1, HOUR_MS, DAY_MS])
        return self._kept(
            ProtectionOrdered(
                at=self.now,
                id=self._id(),
                meter=number,
                protected=choice.random() < 0.6,
                until=choice.choice([0, until]),
            )
        )

    def _release(self) -> Fact:
        return self._kept(LoadReleased(at=self.now, id=self._id(), meter=self.random.choice([*self.meters, 99])))

    def _report(self) -> CommandReported:
        stage = self.random.choice([Stage.SENT, Stage.ACKNOWLEDGED, Stage.VERIFIED, Stage.FAILED, Stage.EXPIRED])
        seen = self.random.choice(list(Supply)) if stage == Stage.VERIFIED else Supply.UNKNOWN
        number, epoch = self.random.choice([*self.meters, 99]), self.random.randint(1, 4)
        return CommandReported(at=self.now, meter=number, epoch=epoch, stage=stage, seen=seen)
