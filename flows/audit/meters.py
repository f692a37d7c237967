"""Tariffs and meters: what is published and assigned, what is installed, removed and replaced."""

import msgspec

from domain.documents import MistakesError
from domain.facts import MeterInstalled, MeterRemoved, MeterReplaced, TariffAssigned, TariffPublished
from domain.units import MINUTE_MS
from domain.words import QUARANTINED, Refusal
from flows.audit.book import Meter
from flows.audit.readings import Readings
from flows.audit.registers import Registers
from flows.audit.terms import REGISTER_UNBOUNDED, YEAR_2100_MS, are_premises_valid, is_meter_valid
from tariffs.levels import thresholds
from tariffs.loader import is_self_contained, load_tariff
from tariffs.prepaid import obstacles
from tariffs.rating import Counter as TierCounter
from tariffs.tariff import Premises, Stage


class Meters(Readings):
    """The meters that are there, each with the plan that it is priced by."""

    def _publish(self, fact: TariffPublished) -> Refusal | None:
        try:
            tariff = load_tariff(fact.document, fact.tariff)
        except MistakesError:
            return Refusal.TARIFF_INVALID
        before = self._tariffs.get(fact.tariff, tariff)
        if tariff.id != fact.tariff or not is_self_contained(fact.document) or obstacles(tariff):
            return Refusal.TARIFF_INVALID
        if before.commodity != tariff.commodity:
            return Refusal.WRONG_COMMODITY
        if before.currency != tariff.currency:
            return Refusal.WRONG_CURRENCY
        self._tariffs[fact.tariff] = tariff
        for _, meter in sorted(self._meters.items()):
            if any(stage.tariff.id == tariff.id for stage in meter.plan):
                self._plan(meter)
        return None

    def _plan(self, meter: Meter) -> None:
        """What a meter is priced by now, and the counter that its usage is counted in: one more where the thresholds are new.

        The new one knows what has been used, and nothing of what that has cost: it is paid.
        """
        stages: dict[int, MeterInstalled | TariffAssigned] = {0: meter.installed, **meter.assigned}
        meter.plan = tuple(
            Stage(
                start,
                self._tariffs[fact.tariff],
                Premises(fact.persons, fact.capacity_w),
                isinstance(fact, TariffAssigned) and fact.restart,
            )
            for start, fact in sorted(stages.items())
        )
        if meter.registers is None and any(stage.tariff.registers for stage in meter.plan):
            meter.registers = Registers()
        account, commodity = meter.installed.account, meter.installed.commodity
        before = self._counters.get((account, commodity, meter.counter), TierCounter())
        meter.counter = thresholds(meter.plan)
        self._counters.setdefault((account, commodity, meter.counter), before.carried_over())

    def _assign(self, fact: TariffAssigned) -> Refusal | None:
        meter, tariff = self._meters.get(fact.meter), self._tariffs.get(fact.tariff)
        if meter is None:
            return Refusal.UNKNOWN_METER
        if tariff is None:
            return Refusal.UNKNOWN_TARIFF
        if tariff.commodity != meter.installed.commodity:
            return Refusal.WRONG_COMMODITY
        if tariff.currency != self._accounts[meter.installed.account].currency:
            return Refusal.WRONG_CURRENCY
        if not (are_premises_valid(fact) and 0 < fact.starts_at <= YEAR_2100_MS):
            return Refusal.TERMS_INVALID
        begins = max(fact.starts_at, meter.time or 0)
        meter.assigned[begins + -begins % MINUTE_MS] = fact
        self._plan(meter)
        return None

    def _install(self, fact: MeterInstalled) -> Refusal | None:
        meter, account, tariff = (
            self._meters.get(fact.meter),
            self._accounts.get(fact.account),
            self._tariffs.get(fact.tariff),
        )
        if meter:
            before = meter.installed
            again = msgspec.structs.replace(fact, id=before.id, at=before.at)
            return None if again == before else Refusal.EXISTS_WITH_DIFFERENT_CONTENT
        if account is None:
            return Refusal.UNKNOWN_ACCOUNT
        if tariff is None:
            return Refusal.UNKNOWN_TARIFF
        if tariff.commodity != fact.commodity:
            return Refusal.WRONG_COMMODITY
        if tariff.currency != account.currency:
            return Refusal.WRONG_CURRENCY
        if not is_meter_valid(fact):
            return Refusal.TERMS_INVALID
        opening, gone = fact.opening_register, self._removed.get(fact.meter)
        if gone and (opening is None or msgspec.structs.replace(fact, id=gone.id, at=gone.at) == gone):
            return Refusal.METER_REMOVED
        self._begin(Meter(fact, None if opening is None else fact.at, opening or 0))
        return None

    def _begin(self, meter: Meter) -> None:
        number = meter.installed.meter
        self._removed.pop(number, None)
        self._meters[number] = meter
        self._plan(meter)
        self.priced.setdefault(number, 0)

    def _remove(self, fact: MeterRemoved) -> Refusal | None:
        if fact.meter not in self._meters:
            return Refusal.UNKNOWN_METER
        refusal = self._doubt(fact)
        if not refusal:
            self._take_down(fact)
        return refusal

    def _replace(self, fact: MeterReplaced) -> Refusal | None:
        if fact.new_meter in self._meters:
            return Refusal.EXISTS_WITH_DIFFERENT_CONTENT
        meter = self._meters.get(fact.meter)
        if meter is None:
            return Refusal.UNKNOWN_METER
        successor = msgspec.structs.replace(
            meter.installed, at=fact.at, id=fact.id, meter=fact.new_meter, profile=fact.profile, modulus=fact.modulus,
            rated_per_hour=fact.rated_per_hour, ratio=fact.ratio, opening_register=fact.opening_register,
            switchable=fact.switchable,
        )  # fmt: skip
        if not is_meter_valid(successor):
            return Refusal.TERMS_INVALID
        if refusal := self._doubt(fact):
            return refusal
        self._take_down(fact)
        self._begin(
            Meter(successor, meter.time, fact.opening_register, assigned=dict(meter.assigned), counter=meter.counter)
        )
        return None

    def _closed_at(self, fact: MeterRemoved | MeterReplaced) -> int:
        last = self._meters[fact.meter].time
        return max(fact.at, 0 if last is None else last + 1)

    def _doubt(self, fact: MeterRemoved | MeterReplaced) -> Refusal | None:
        """A closing register is a reading like any other; one that would be held is refused."""
        meter = self._meters[fact.meter]
        if not 0 <= fact.closing_register < (meter.installed.modulus or REGISTER_UNBOUNDED):
            return Refusal.TERMS_INVALID
        metering = self._class_of(meter, self._closed_at(fact), fact.closing_register)
        return Refusal.REGISTER_NOT_BELIEVED if metering in QUARANTINED else None

    def _take_down(self, fact: MeterRemoved | MeterReplaced) -> None:
        self.classes[self._read(fact.meter, self._closed_at(fact), fact.closing_register)] += 1
        self._removed[fact.meter] = self._meters.pop(fact.meter).installed
        self._purchases.pop(fact.meter, None)
