"""Orders that move no money: only their answers are followed."""

from domain.facts import ControlOrdered, ControlTermsSet, LoadReleased, MainMeterSet, MeterWatchSet, ProtectionOrdered
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
        named = [self._meters.get(number) for number in (fact.meter, *fact.subs)]
        if not all(named):
            return Refusal.UNKNOWN_METER
        if len({meter.installed.commodity for meter in named if meter}) != 1:
            return Refusal.WRONG_COMMODITY
        each_once = len({fact.meter, *fact.subs}) == len(named) <= 1_001
        limits = 0 <= fact.loss_max_permille <= 1_000 and 0 <= fact.loss_min <= 10**15
        return None if each_once and limits else Refusal.TERMS_INVALID
