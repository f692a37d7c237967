"""Orders that move no money: only their answers are followed."""

from domain.facts import (
    ControlOrdered,
    ControlTermsSet,
    LoadReleased,
    MainMeterSet,
    MeterWatchSet,
    ProtectionOrdered,
    PurchasesAccepted,
    PurchasesCounted,
)
from domain.ids import METER_NUMBER_MAX
from domain.words import Refusal, Supply
from flows.audit.book import Book
from flows.audit.terms import is_control_valid, is_watch_valid


class Control(Book):
    """How meters are switched, watched and compared."""

    def _control(self, fact: ControlOrdered | ControlTermsSet | ProtectionOrdered | LoadReleased) -> Refusal | None:
        meter = self._meters.get(fact.meter)
        if meter is None:
            return Refusal.UNKNOWN_METER
        if isinstance(fact, ControlTermsSet) and not is_control_valid(fact.terms):
            return Refusal.TERMS_INVALID
        if not meter.installed.switchable:
            return Refusal.METER_HAS_NO_SWITCH
        match fact:
            case ControlOrdered():
                over = fact.wanted != Supply.UNKNOWN and fact.until <= max(self._now, fact.at)
            case ProtectionOrdered():
                over = fact.protected and 0 != fact.until <= max(self._now, fact.at)
            case _:
                over = False
        return Refusal.ALREADY_EXPIRED if over else None

    def _watch(self, fact: MeterWatchSet) -> Refusal | None:
        if fact.meter not in self._meters:
            return Refusal.UNKNOWN_METER
        return None if is_watch_valid(fact.terms) else Refusal.TERMS_INVALID

    def _name_main(self, fact: MainMeterSet) -> Refusal | None:
        if fact.meter not in self._meters:
            return Refusal.UNKNOWN_METER
        numbers = {fact.meter, *fact.subs}
        each_once = len(numbers) == len(fact.subs) + 1 <= 1_001 and all(
            0 < each <= METER_NUMBER_MAX for each in numbers
        )
        limits = 0 <= fact.loss_max_permille <= 1_000 and 0 <= fact.loss_min <= 10**15
        return None if each_once and limits else Refusal.TERMS_INVALID

    def _count(self, fact: PurchasesCounted) -> None:
        if fact.meter in self._meters:
            self._purchases[fact.meter] = fact.count

    def _accept(self, fact: PurchasesAccepted) -> Refusal | None:
        """Only what the meter shows can be accepted."""
        if fact.meter not in self._meters:
            return Refusal.UNKNOWN_METER
        if not fact.note.strip():
            return Refusal.NOTE_MISSING
        return None if self._purchases.get(fact.meter) == fact.count else Refusal.DECISION_NOT_POSSIBLE
