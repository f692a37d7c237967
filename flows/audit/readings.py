"""Readings, decisions about those that were not believed, and corrections: what is used, and what that costs."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from domain.facts import QuarantineDecided, ReadingCorrected
from domain.units import HOUR_MS, MONEY_MAX_MICROS, PICOS_PER_MICRO
from domain.words import QUARANTINED, AllowanceKind, Decision, Metering, Refusal
from flows.audit.book import Book, Charged, Meter, Paid, advance_of, is_possible
from flows.audit.cases import Baseline, belief
from flows.audit.registers import are_believable
from flows.audit.terms import YEAR_2100_MS, is_correction_valid, is_decision_valid
from tariffs.rating import Charge, Part, cost_of, cost_of_parts, given_back, parts_of
from tariffs.rating import Counter as TierCounter


class Readings(Book):
    """Usage from registers, priced by the slow rating, free energy and money first."""

    def _read(self, number: int, time: int, register: int, bands: tuple[int, ...] = ()) -> Metering:
        """Class of a reading; what is believed is charged and becomes the baseline. `bands`: the meter's five own registers, if read."""
        meter = self._meters.get(number)
        metering = self._class_of(meter, time, register) if meter else Metering.UNKNOWN_METER
        if metering in QUARANTINED:
            self._cases.hold(number, metering.name.lower(), time, register)
        if meter is None:
            return metering
        shares: tuple[int, ...] = ()
        if metering in {Metering.NORMAL, Metering.ROLLOVER}:
            shares = self._divided(meter, advance_of(meter, register), bands)
            self._charge(meter, time, register, shares)
        if metering == Metering.LATE and register > meter.register:
            meter.time = time  # The clock of the believed reading was ahead: its register stands, its time does not.
        if metering == Metering.JUMP and meter.suspect is None:
            meter.suspect = register
        if metering in {Metering.FIRST, Metering.NORMAL, Metering.ROLLOVER, Metering.VACANT}:
            meter.time, meter.register, meter.suspect = time, register, None
            if meter.registers and are_believable(bands, meter.installed.modulus):
                meter.registers.follow(time, bands, shares, meter.installed.modulus)
            self._cases.believe(number)
        return metering

    def _divided(self, meter: Meter, total: int, bands: tuple[int, ...]) -> tuple[int, ...]:
        """How the meter's own registers divide what it has counted, before ratio; empty: by the clock."""
        own, installed = meter.registers, meter.installed
        if own is None or own.time is None or own.time != meter.time or not are_believable(bands, installed.modulus):
            return ()
        return own.shares(bands, total, installed.modulus, installed.rated_per_hour)

    def _class_of(self, meter: Meter, time: int, register: int) -> Metering:
        if self._time and time > self._time + HOUR_MS:
            return Metering.FUTURE
        modulus = meter.installed.modulus
        if not 0 < time <= YEAR_2100_MS or register < 0 or (modulus and register >= modulus):
            return Metering.OUT_OF_RANGE
        nobody = meter.installed.account in self._prepared | self._closed
        if meter.time is None:
            return Metering.VACANT if nobody else Metering.FIRST
        if time < meter.time:
            return Metering.LATE
        if time == meter.time:
            return Metering.DUPLICATE if register == meter.register else Metering.CONFLICT
        if nobody:
            return Metering.VACANT
        if abs(self.balances[meter.installed.account] // PICOS_PER_MICRO) > MONEY_MAX_MICROS:
            return Metering.OUT_OF_RANGE
        possible = is_possible(meter, time - meter.time, advance_of(meter, register))
        if register < meter.register:
            return Metering.ROLLOVER if possible and modulus else Metering.DECREASE
        held = meter.suspect is not None and register >= meter.suspect
        return Metering.NORMAL if possible and not held else Metering.JUMP

    def _charge(self, meter: Meter, time: int, register: int, shares: tuple[int, ...]) -> None:
        assert meter.time is not None
        ratio = meter.installed.ratio
        usage = advance_of(meter, register) * ratio
        self._price(meter, (meter.time, time), register, usage, tuple(share * ratio for share in shares))

    def _price(
        self, meter: Meter, span: tuple[int, int], register: int, usage: int, shares: tuple[int, ...] = ()
    ) -> None:
        """Charge what was used in a span of time, ms UTC, at whose end the meter showed a register."""
        installed = meter.installed
        if usage:
            counter = self._counters[installed.account, installed.commodity, meter.counter]
            paid = list(self._paid(meter, parts_of(meter.plan, *span, usage, shares), counter))
            self._take(meter, Charged(*span, meter.register, register, usage, paid))
        self.priced[installed.meter] += usage
        self._usage[installed.commodity] += usage

    def _take(self, meter: Meter, charged: Charged) -> None:
        """Take a charge from the wallet. Who explains charges listens here."""
        account = meter.installed.account
        self.balances[account] -= sum(each.picos for each in charged.paid)
        self._free[account, meter.installed.id] += sum(each.free_picos for each in charged.paid)

    def _paid(self, meter: Meter, parts: Iterable[Part], counter: TierCounter) -> Iterator[Paid]:
        """What an interval costs, part by part, the free energy of each part first."""
        allowance = self._allowances.get(meter.installed.account)
        kind = allowance.fact.kind if allowance else AllowanceKind.NONE
        for part in parts:
            day, free = part.moment.day, 0
            if allowance and kind == AllowanceKind.ELECTRICITY + meter.installed.commodity and allowance.begin(day):
                free = min(part.usage, allowance.left)
                allowance.left -= free
            given = cost_of_parts(meter.plan, [replace(part, usage=free)] if free else [], counter)
            rest = [replace(part, usage=part.usage - free)] if part.usage > free else []
            charge = cost_of_parts(meter.plan, rest, counter)
            free_picos, cost = given.cost_picos, charge.cost_picos
            if allowance and kind == AllowanceKind.MONEY and cost >= 0 and allowance.begin(day):
                free_picos = min(cost, allowance.left)
                allowance.left -= free_picos
            whole = Charge(given.pieces + charge.pieces, given.correction_picos + charge.correction_picos)
            yield Paid(day, part.usage, whole, free, free_picos)

    def _decide(self, fact: QuarantineDecided) -> Refusal | None:
        """A person closes a case: the meter goes on from what is believed now, or as if nothing had been held."""
        meter, held = self._meters.get(fact.meter), self._cases.of.get((fact.meter, fact.reason))
        if meter is None and fact.decision != Decision.DISCARD:
            return Refusal.UNKNOWN_METER
        if held is None:
            return Refusal.UNKNOWN_CASE
        modulus, ratio = (meter.installed.modulus, meter.installed.ratio) if meter else (0, 1)
        if not is_decision_valid(fact, modulus):
            return Refusal.TERMS_INVALID
        if not fact.note.strip():
            return Refusal.NOTE_MISSING
        if meter and fact.decision != Decision.DISCARD:
            if self._is_beyond(meter):
                return Refusal.AMOUNT_TOO_LARGE
            after = belief(fact, held, Baseline(meter.time, meter.register, modulus, ratio))
            if isinstance(after, Refusal):
                return after
            time, register, usage = after
            account = meter.installed.account
            if usage and (account in self._prepared | self._closed or time < self._pays_since.get(account, 0)):
                return Refusal.DECISION_NOT_POSSIBLE
            self._price(meter, (time if meter.time is None else meter.time, time), register, usage)
            meter.time, meter.register, meter.suspect = time, register, None
            self._cases.release(fact.meter)
        elif meter and fact.reason == "jump":
            meter.suspect = None
        self._cases.close(fact.meter, fact.reason)
        return None

    def _correct(self, fact: ReadingCorrected) -> Refusal | None:
        """Usage on top, or given back, at the prices of its time; the register as it should have been."""
        meter = self._meters.get(fact.meter)
        if meter is None:
            return Refusal.UNKNOWN_METER
        if not is_correction_valid(fact, meter):
            return Refusal.TERMS_INVALID
        if fact.usage_delta and meter.installed.account in self._closed:
            return Refusal.ACCOUNT_CLOSED
        if not fact.note.strip():
            return Refusal.NOTE_MISSING
        if self._is_beyond(meter):
            return Refusal.AMOUNT_TOO_LARGE
        if fact.usage_delta and (
            fact.from_ms < self._pays_since.get(meter.installed.account, 0) or self._may_be_free(meter, fact.from_ms)
        ):
            return Refusal.DECISION_NOT_POSSIBLE
        installed, span = meter.installed, (fact.from_ms, fact.until_ms)
        counter = self._counters[installed.account, installed.commodity, meter.counter]
        if fact.usage_delta:
            if fact.usage_delta > 0:
                charge = cost_of(meter.plan, *span, fact.usage_delta, counter)
            elif (back := given_back(meter.plan, *span, -fact.usage_delta, counter)) is None:
                return Refusal.CORRECTION_TOO_LARGE
            else:
                charge = back
            last = charge.pieces[-1].moment.day
            paid = [Paid(last, fact.usage_delta, charge)]
            self._take(meter, Charged(*span, meter.register, fact.register, fact.usage_delta, paid))
        self.priced[fact.meter] += fact.usage_delta
        self._usage[installed.commodity] += fact.usage_delta
        meter.register = meter.register if fact.register is None else fact.register
        return None

    def _may_be_free(self, meter: Meter, since: int) -> bool:
        """Something is free now that this may be part of, or was until later than `since`."""
        account = meter.installed.account
        allowance = self._allowances.get(account)
        for kind in (AllowanceKind.MONEY, AllowanceKind.ELECTRICITY + meter.installed.commodity):
            if (allowance and allowance.fact.kind == kind) or since < self._free_before.get((account, int(kind)), 0):
                return True
        return False
