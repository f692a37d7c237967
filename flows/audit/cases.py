"""Quarantine, followed by the audit: what is held of each meter, what a decision makes of it, and usage that is given back.

Written again from docs/machine/decisions.md, like the rest of the audit.
"""

from dataclasses import dataclass, field

from domain.facts import QuarantineDecided
from domain.words import QUARANTINED, Decision, Metering, Refusal

_REASONS = {metering.name.lower() for metering in Metering if metering in QUARANTINED}
_WITH_A_TIME = {"jump", "decrease"}
_WITH_A_REGISTER = {*_WITH_A_TIME, "conflict"}


@dataclass(slots=True)
class Held:
    """The last reading of a case; `released`: its meter has been believed again since."""

    time: int
    register: int
    released: bool = False


@dataclass(slots=True)
class Cases:
    """Open cases by meter and reason, and the meters that have held readings since they were last believed."""

    of: dict[tuple[int, str], Held] = field(default_factory=dict)
    holding: set[int] = field(default_factory=set)

    def hold(self, meter: int, reason: str, time: int, register: int) -> None:
        """A reading, or what should have been one, was not believed."""
        self.of[meter, reason] = Held(time, register)
        if reason in _REASONS - {"unknown_meter"}:
            self.holding.add(meter)

    def believe(self, meter: int) -> None:
        """A meter's reading was believed: nothing of it is held back any more, but its cases stay."""
        if meter in self.holding:
            self.release(meter)

    def release(self, meter: int) -> None:
        """Whatever is held of a meter has lost its meaning."""
        self.holding.discard(meter)
        for reason in _REASONS:
            if (meter, reason) in self.of:
                self.of[meter, reason].released = True

    def close(self, meter: int, reason: str) -> None:
        """A person has decided."""
        del self.of[meter, reason]
        if not any(
            each in _REASONS and not held.released for (number, each), held in self.of.items() if number == meter
        ):
            self.holding.discard(meter)


@dataclass(frozen=True, slots=True)
class Baseline:
    """The last believed reading of a meter; `time` None: none yet."""

    time: int | None
    register: int
    modulus: int
    ratio: int


def belief(fact: QuarantineDecided, held: Held, before: Baseline) -> tuple[int, int, int] | Refusal:
    """Time, register and usage with which a meter goes on after a decision that is not to discard."""
    refused = Refusal.DECISION_NOT_POSSIBLE
    stale = held.released
    if fact.decision == Decision.ACCEPT:
        if fact.reason not in _WITH_A_TIME or stale or before.time is None or held.time <= before.time:
            return refused
        fell = held.register < before.register
        if fell and before.modulus == 0:
            return refused
        usage = (held.register - before.register + before.modulus * fell) * before.ratio
        return (held.time, held.register, usage) if usage <= 10**9 else refused
    time, register = fact.at, fact.register
    if register is None:
        if stale or fact.reason not in _WITH_A_REGISTER:
            return refused
        time, register = held.time, held.register
    if register not in range(before.modulus or 10**15):
        return refused
    time = max(time, -1 if before.time is None else before.time)
    if fact.usage and (before.time is None or time == before.time):
        return refused
    return time, register, fact.usage
