"""Purchase counts: what a meter shows against what is expected. Written from docs/machine/watching.md."""

from dataclasses import dataclass

from domain.effects import Alarm
from domain.facts import WatchTerms
from domain.words import AlarmKind, AlarmState
from model.watch import Raised


@dataclass
class Purchases:
    """A meter's purchase counter; `accepted` is what is expected of it."""

    account: str
    number: int
    counted: int
    accepted: int
    raised: Raised | None = None

    def judge(self, at: int) -> list[Alarm]:
        """Another count than expected is said once; the expected one ends that."""
        if self.counted == self.accepted:
            return self.end(at)
        reason = f"{self.counted} ≠ {self.accepted}"
        if self.raised:
            self.raised.reason = reason
            return []
        self.raised = Raised(reason, at)
        return [self._say(self.raised, AlarmState.RAISED, at)]

    def repeat(self, terms: WatchTerms, now: int) -> list[Alarm]:
        """Said again, as the alarms of a watched meter are."""
        raised = self.raised
        if raised is None or raised.repeats >= terms.repeat_max or now < raised.said_at + terms.repeat_ms:
            return []
        raised.repeats, raised.said_at = raised.repeats + 1, now
        return [self._say(raised, AlarmState.REPEATED, now)]

    def end(self, at: int) -> list[Alarm]:
        """The alarm is over, if there is one."""
        raised, self.raised = self.raised, None
        return [self._say(raised, AlarmState.CLEARED, at)] if raised else []

    def _say(self, raised: Raised, state: AlarmState, at: int) -> Alarm:
        return Alarm(
            id="", kind=AlarmKind.PURCHASE_COUNT_MISMATCH, state=state, at=at, account=self.account, meter=self.number,
            repeat=raised.repeats, reason=raised.reason,
        )  # fmt: skip
