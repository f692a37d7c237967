"""Bills: what a series of usage costs over a span of days, line by line, in exact arithmetic, rounded where the tariff says.

Energy lines come first, one for each component and version, each with its terms by band and tier; then the tariff's
charges in their order. Every line says its arithmetic. The lines and the bill's own rounding add up to the total.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from domain.words import Commodity
from tariffs.charges import Line, Measured, Term, charge_lines
from tariffs.levels import thresholds
from tariffs.periods import cycle_of, midnight_ms
from tariffs.series import Series, pieces
from tariffs.spans import Span, local_date, ruling, spans, version_of
from tariffs.tariff import Component, Plan, Title
from tariffs.timeline import Ruling, Timeline, compile_timeline

WHOLE = 1000
"""Wh in a kWh, litres in a m³."""
UNITS = {Commodity.ELECTRICITY: "kWh", Commodity.WATER: "m³"}
NANOS = 10**9


@dataclass(frozen=True, slots=True)
class Bill:
    """A bill for [from_ms, until_ms) UTC: local days `first` to `last`, both billed.

    sum(line.amount for line in lines) + rounding == total. `exact`: the same sum of unrounded lines. `usage`: Wh or litres.
    """

    tariff: str
    title: Title
    currency: str
    unit: str
    from_ms: int
    until_ms: int
    first: date
    last: date
    usage: int
    lines: tuple[Line, ...]
    exact: Fraction
    rounding: Fraction
    total: Fraction


def bill(plan: Plan, series: Series, from_ms: int, until_ms: int, used: int = 0) -> Bill:
    """The bill of a plan for [from_ms, until_ms). The series must cover it; what it has before counts for tiers and is not billed.

    `used`: Wh or litres that the first tier period of the series had used before it. Raises ValueError, in words, where the
    series is too short, or where the whole use of a period chooses its prices and `used` hides some of it.
    """
    return next(bills(plan, series, [from_ms, until_ms], used))


def bills(plan: Plan, series: Series, edges_ms: Sequence[int], used: int = 0) -> Iterator[Bill]:
    """Bills from each edge to the next; the work that they share is done once."""
    _check(plan, series, edges_ms, used)
    series = series.between(int(series.times[0]), edges_ms[-1]).cut_at(*edges_ms)
    scaled = any(
        version.tiers is not None and version.tiers.per_days is not None
        for stage in plan
        for version in stage.tariff.versions
    )
    whole = None if scaled else _Priced(plan, series, 0, used)
    for begin, end in pairwise(edges_ms):
        parts = spans(plan, begin, end)
        priced = whole or _Priced(plan, series.between(begin, end), parts[0].bill_days, 0)
        yield _bill(plan, priced, parts)


def _check(plan: Plan, series: Series, edges_ms: Sequence[int], used: int) -> None:
    begin, end = int(series.times[0]), int(series.times[-1])
    if edges_ms[0] < begin or edges_ms[-1] > end:
        had, asked = ((local_date(plan[0], at)) for at in (begin, edges_ms[0]))
        raise ValueError(
            f"the usage covers {had} to {local_date(plan[0], end - 1)} and the bill"
            f" {asked} to {local_date(plan[0], edges_ms[-1] - 1)}: give the usage of every billed day"
        )
    if used and len(thresholds(plan)) > 1:
        raise ValueError(
            "the whole use of a tier period chooses its prices: give the usage from the period's begin, not a counter"
        )


class _Priced:
    """A series cut and counted: its pieces, and what each period had used before each of them."""

    def __init__(self, plan: Plan, series: Series, billed_days: int, used: int) -> None:
        begin, end = int(series.times[0]), int(series.times[-1])
        self.series = series
        self.timeline: Timeline = compile_timeline([plan], begin, end, billed_days)
        self.pieces = pieces(self.timeline, 0, series, used)
        # Columns of their own: a search in a field of `pieces` would copy it first, for every line of every bill.
        self._starts, self._ends = self.pieces["start"].copy(), self.pieces["end"].copy()
        # Pieces are in order of time, so those of a period follow one another.
        period = self.pieces["period"]
        self._period_begins = np.flatnonzero(np.diff(period, prepend=period[:1] - 1))
        self._period_ends = np.append(self._period_begins[1:], len(period))

    def inside(self, from_ms: int, until_ms: int) -> NDArray[np.void]:
        """The pieces of [from_ms, until_ms), at whose ends the series is cut."""
        first, last = np.searchsorted(self._starts, from_ms), np.searchsorted(self._ends, until_ms, side="right")
        found: NDArray[np.void] = self.pieces[first:last]
        return found

    def brackets(self, until_ms: int) -> dict[int, int]:
        """By tier period: the bracket that its use until then has reached."""
        count = int(np.searchsorted(self._ends, until_ms, side="right"))
        last = np.minimum(self._period_ends[self._period_begins < count], count) - 1
        at = self.pieces[last]
        return dict(zip(at["period"].tolist(), self.timeline.bracket[at["rate"], at["level"]].tolist(), strict=True))


def _bill(plan: Plan, priced: _Priced, parts: list[Span]) -> Bill:
    first, last = parts[0], parts[-1]
    begin, end = first.from_ms, last.until_ms
    usage = int(priced.inside(begin, end)["usage"].sum())
    lines: list[Line] = []
    for part in parts:
        version, stage = version_of(plan, part), plan[part.stage]
        energy = [
            _energy_line(priced, part, index, component, part.days[0] if len(parts) > 1 and part.days else None)
            for index, component in enumerate(version.components)
        ]
        measured = Measured(usage, priced.series, priced.timeline, part, stage, UNITS[stage.tariff.commodity])
        lines += [*energy, *charge_lines(version, measured, energy)]
    exact, amount = sum((line.exact for line in lines), Fraction(0)), sum((line.amount for line in lines), Fraction(0))
    rule, tariff = version_of(plan, last).bill_rounding, plan[last.stage].tariff
    total = amount if rule is None else rule.of(amount)
    return Bill(
        tariff=tariff.id,
        title=tariff.title,
        currency=tariff.currency,
        unit=UNITS[tariff.commodity],
        from_ms=begin,
        until_ms=end,
        first=local_date(plan[first.stage], begin),
        last=local_date(plan[last.stage], end - 1),
        usage=usage,
        lines=tuple(lines),
        exact=exact,
        rounding=total - amount,
        total=total,
    )


def _energy_line(priced: _Priced, part: Span, index: int, component: Component, since: date | None) -> Line:
    """The line of a component in a span: a term for each band, tier and price, and corrections of earlier usage."""
    now = priced.brackets(part.until_ms)
    terms = list(_terms(priced, priced.inside(part.from_ms, part.until_ms), index, component, now))
    if priced.timeline.prices.shape[2] > 1:
        terms += _corrections(priced, part, index, component, now)
    terms += _rounded_up(terms, component)
    exact = sum((term.amount for term in terms), Fraction(0))
    amount = exact if component.rounding is None else component.rounding.of(exact)
    return Line(component.id, component.title, "energy", tuple(terms), exact, amount, since)


def _terms(
    priced: _Priced, found: NDArray[np.void], index: int, component: Component, now: dict[int, int]
) -> Iterator[Term]:
    """Usage summed by price: band, tier and version."""
    sums: dict[tuple[int, int, str, int], int] = {}
    keys = np.unique(found[["rate", "level", "period"]], return_inverse=True) if len(found) else None
    if keys is None:
        return
    totals = np.zeros(len(keys[0]), np.int64)
    np.add.at(totals, keys[1], found["usage"])
    for (rate, level, period), usage in zip(keys[0].tolist(), totals.tolist(), strict=True):
        rule = priced.timeline.rulings[rate]
        bracket = now[period]
        price = rule.component_prices[level][bracket][index]
        place = (rule.band, rule.levels.tiers[level][bracket][index], rule.tariff.bands[rule.band], price)
        sums[place] = sums.get(place, 0) + usage
    unit = UNITS[priced.timeline.rulings[0].tariff.commodity]
    for (_, tier, band, price), usage in sorted(sums.items()):
        yield _term(component, usage, unit, price, band, tier + 1)


def _term(component: Component, usage: int, unit: str, price: int, band: str, tier: int) -> Term:
    quantity = Fraction(usage, WHOLE) * component.factor
    unit_price = Fraction(price, NANOS) / component.factor
    return Term(quantity, unit, unit_price, quantity * unit_price, band, tier)


def _corrections(priced: _Priced, part: Span, index: int, component: Component, now: dict[int, int]) -> Iterator[Term]:
    """What the use of this span changes in the price of earlier usage of the same period."""
    before = priced.brackets(part.from_ms)
    earlier = priced.pieces[priced.pieces["end"] <= part.from_ms]
    for period, bracket in before.items():
        if now[period] == bracket:
            continue
        own = earlier[earlier["period"] == period]
        sums: dict[tuple[str, int], int] = {}
        for rate, level, usage in zip(own["rate"].tolist(), own["level"].tolist(), own["usage"].tolist(), strict=True):
            rule: Ruling = priced.timeline.rulings[rate]
            if index >= len(rule.component_prices[level][bracket]):
                continue
            prices = rule.component_prices[level]
            place = rule.tariff.bands[rule.band], prices[now[period]][index] - prices[bracket][index]
            sums[place] = sums.get(place, 0) + usage
        for (band, difference), usage in sorted(sums.items()):
            term = _term(component, usage, UNITS[priced.timeline.rulings[0].tariff.commodity], difference, band, 0)
            yield replace(term, is_correction=True)


def _rounded_up(terms: list[Term], component: Component) -> Iterator[Term]:
    """The rest of a metered use that is billed in whole steps, at the last price reached."""
    if component.usage_rounding is None or not terms:
        return
    metered = sum((term.quantity for term in terms if not term.is_correction), Fraction(0)) / component.factor
    more = component.usage_rounding.of(metered) - metered
    if more:
        last = terms[-1]
        quantity = more * component.factor
        yield replace(last, quantity=quantity, amount=quantity * last.price)


def month_edges(first: date, last: date) -> list[date]:
    """The first day, every first of a month after it, and the day after the last: the edges of monthly bills."""
    edges, day = [first], first
    while day <= last:
        day += timedelta(days=1)
        if day.day == 1 and day <= last:
            edges.append(day)
    return [*edges, last + timedelta(days=1)]


def monthly_edges(plan: Plan, from_ms: int, until_ms: int) -> list[int]:
    """Instants between which [from_ms, until_ms) is billed month by month: its ends, and every first of a month inside, by the first zone."""
    first, last = local_date(plan[0], from_ms), local_date(plan[0], until_ms - 1)
    inner = (midnight_ms(day, plan[0].tariff.zone) for day in month_edges(first, last)[1:-1])
    return [from_ms, *(at for at in inner if from_ms < at < until_ms), until_ms]


def assumptions(plan: Plan, series: Series, used: int) -> Iterator[str]:
    """What bills take for granted about the time before their usage begins, in sentences."""
    begin = int(series.times[0])
    tariff = plan[0].tariff
    tiers = tariff.versions[ruling(plan, begin)[1]].tiers
    if tiers is None or tiers.per_days is not None:
        return
    period = cycle_of(tiers, local_date(plan[0], begin))[0]
    if midnight_ms(period, tariff.zone) < begin and not used:
        yield (
            f"the tier period began on {period}, before the usage: it is priced as if nothing had been used until then;"
            " `used` says what was"
        )
