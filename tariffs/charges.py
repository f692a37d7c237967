"""The lines of a bill: their arithmetic as data and as text, and the charges that come after the energy."""

from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction

from tariffs.demand import highest_power
from tariffs.series import Series
from tariffs.spans import Span
from tariffs.tariff import (
    Bound,
    Charge,
    Demand,
    Per,
    Percentage,
    Premises,
    Rounding,
    Stage,
    Standing,
    Title,
    Version,
)
from tariffs.timeline import Timeline

_BAND_WORDS = {"sharp": "尖", "peak": "峰", "flat": "平", "valley": "谷", "deep_valley": "深谷"}
_HUNDRED = 100
_DECIMALS = 12


@dataclass(frozen=True, slots=True)
class Term:
    """quantity × price = amount, exact, in units of currency. `band`, `tier` (from 1): of energy; else empty and 0.

    `is_correction`: `price` is a difference, for usage that an earlier bill had at another.
    """

    quantity: Fraction
    unit: str
    price: Fraction
    amount: Fraction
    band: str = ""
    tier: int = 0
    is_correction: bool = False

    def text(self, lang: str) -> str:
        """`peak, tier 2: 3.25 kWh × 0.617 = 2.00525`."""
        band = band_text(self.band, lang)
        tier = {"zh": f"第{self.tier}档", "en": f"tier {self.tier}"}[lang] if self.tier else ""
        note = {"zh": "更正前期", "en": "correction of earlier usage"}[lang] if self.is_correction else ""
        place = {"zh": "，", "en": ", "}[lang].join(filter(None, (band, tier, note)))
        price = f"{decimal_text(self.price * _HUNDRED)} %" if self.unit == "%" else decimal_text(self.price)
        unit = f" {self.unit}" if self.unit not in {"", "%"} else ""
        sums = f"{decimal_text(self.quantity)}{unit} × {price} = {decimal_text(self.amount)}"
        return f"{place}{'：' if lang == 'zh' else ': '}{sums}" if place else sums


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a bill. `exact` before, `amount` after its rounding. `since`: where a bill has several versions, its first day."""

    id: str
    title: Title
    kind: str
    terms: tuple[Term, ...]
    exact: Fraction
    amount: Fraction
    since: date | None = None

    def text(self, lang: str) -> list[str]:
        """The line in words: what it is and its amount, then its arithmetic, a term a line."""
        since = {"zh": f"（自{self.since}）", "en": f" (from {self.since})"}[lang] if self.since else ""
        return [f"{self.title[lang]}{since}: {decimal_text(self.amount)}", *(term.text(lang) for term in self.terms)]


@dataclass(frozen=True, slots=True)
class Measured:
    """What charges look at: the bill's whole use in Wh or litres, its series, and the span that is charged."""

    usage: int
    series: Series
    timeline: Timeline
    span: Span
    stage: Stage
    unit: str
    lines: dict[str, Line] = field(default_factory=dict)


def band_text(band: str, lang: str) -> str:
    """The name of a band for people."""
    return _BAND_WORDS.get(band, band) if lang == "zh" else band.replace("_", " ")


def decimal_text(value: Fraction) -> str:
    """A number in full, or to 12 decimals with … where it has no end."""
    scaled = value * 10**_DECIMALS
    whole = int(scaled)
    digits = f"{abs(whole):0{_DECIMALS + 1}d}"
    text = f"{digits[:-_DECIMALS]}.{digits[-_DECIMALS:].rstrip('0')}".rstrip(".")
    return f"{'-' if value < 0 and whole else ''}{text}{'' if scaled == whole else '…'}"


def charge_lines(version: Version, measured: Measured, energy: list[Line]) -> list[Line]:
    """The lines of a version's charges, in order; each may look at those before it."""
    lines = {line.id: line for line in energy}
    found = []
    for charge in version.charges:
        terms, exact = _terms(charge, measured, lines)
        rounding: Rounding | None = charge.rounding
        amount = exact if rounding is None else rounding.of(exact)
        since = energy[0].since if energy else None
        lines[charge.id] = Line(charge.id, charge.title, _KINDS[type(charge)], tuple(terms), exact, amount, since)
        found.append(lines[charge.id])
    return found


_KINDS: dict[type[Charge], str] = {
    Standing: "standing",
    Percentage: "percentage",
    Bound: "bound",
    Demand: "demand",
}


def _terms(charge: Charge, measured: Measured, lines: dict[str, Line]) -> tuple[list[Term], Fraction]:
    match charge:
        case Standing():
            terms = [_standing(charge, measured)]
        case Percentage():
            base = sum(((lines[name].exact if charge.exact else lines[name].amount) for name in charge.of), Fraction(0))
            terms = [Term(base, "%", charge.rate, base * charge.rate)]
        case Bound():
            terms = _bound(charge, measured, lines)
        case Demand():
            terms = list(_demand(charge, measured))
        case _:
            raise AssertionError(type(charge).__name__)
    return terms, sum((term.amount for term in terms), Fraction(0))


def _standing(charge: Standing, measured: Measured) -> Term:
    amount = next(amount for top, amount in charge.amounts if top is None or measured.usage <= top)
    times = measured.span.share(charge.every) * multiple_of(charge.per, measured.stage.premises)
    return Term(times, "" if charge.per is Per.ACCOUNT else str(charge.per), amount, times * amount)


def multiple_of(per: Per, premises: Premises) -> Fraction:
    """How many times an amount for each `per` is charged to these premises."""
    match per:
        case Per.ACCOUNT:
            return Fraction(1)
        case Per.PERSON:
            return Fraction(premises.persons)
        case Per.KILOWATT:
            return Fraction(premises.capacity_w, 1000)


def _bound(charge: Bound, measured: Measured, lines: dict[str, Line]) -> list[Term]:
    base = sum((lines[name].amount for name in charge.of), Fraction(0))
    share = measured.span.share(charge.every)
    lift = max(Fraction(0), charge.minimum * share - base) if charge.minimum is not None else Fraction(0)
    cap = min(Fraction(0), charge.maximum * share - base) if charge.maximum is not None else Fraction(0)
    return [Term(Fraction(1), "", lift + cap, lift + cap)]


def _demand(charge: Demand, measured: Measured) -> list[Term]:
    terms = []
    for days, share in measured.span.demand_periods():
        if not days:
            continue
        peak = highest_power(charge, measured.series, measured.timeline, measured.span, days)
        watts = max(peak, charge.least_share * measured.stage.premises.capacity_w)
        floor = Fraction(0)
        tops = [*map(Fraction, charge.limits), None]
        for tier, (top, price) in enumerate(zip(tops, charge.prices, strict=True)):
            part = (watts if top is None else min(watts, top)) - floor
            if part > 0:
                kilowatts = part / 1000
                terms.append(
                    Term(
                        kilowatts, "kW", price * share, kilowatts * price * share, "", tier + 1 if len(tops) > 1 else 0
                    )
                )
            floor = top if top is not None else floor
    return terms
