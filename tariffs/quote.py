"""Money to energy: what an amount buys now, tier by tier, from where the counter of the tier period stands.

All of it is bought at the prices of the instant asked: its version, season and band. When the energy will be used nobody
knows, so no later band, month or version is looked at. Prices are what a wallet is charged: all components with the
percentages that fall on them. Where the whole use of a period chooses its price, use before the purchase counts at the
instant's prices too: reaching another tier takes, or gives back, the difference for all of it before the next unit.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from domain.units import MICROS_PER_UNIT, NANOS_PER_UNIT
from tariffs.bill import UNITS, WHOLE
from tariffs.charges import Term, multiple_of
from tariffs.levels import NO_LIMIT, Levels, levels
from tariffs.rating import Moment, moment_of, wallet_price
from tariffs.tariff import Every, Percentage, Plan, Premises, Season, Stage, Standing, Version
from tariffs.timeline import price_in

_PREPAID = {Every.BILL, Every.MONTH}
"""Standing amounts that a first purchase pays; those of a day or a year fall due as time goes on."""


@dataclass(frozen=True, slots=True)
class Quote:
    """What money buys. Amounts are exact, in units of `currency`: standing + sum of the terms' amounts + rest == money.

    `usage`: whole Wh or litres, rounded down; None: without end, since the last price that is reached is not above zero.
    `terms`: quantity × price by tier of all components together, from 1, in the order in which they are reached;
    corrections re-price what was used before. `standing`: what is paid before any energy. `rest`: too little for one unit.
    """

    at_ms: int
    currency: str
    band: str
    money: Fraction
    usage: int | None
    terms: tuple[Term, ...]
    standing: Fraction
    rest: Fraction


@dataclass(frozen=True, slots=True)
class _Step:
    """A stretch of the walk at one price, in nanos per kWh or m³, which are picos per Wh or litre; quantity None: endless."""

    quantity: int | None
    price: int
    tier: int
    is_correction: bool = False


@dataclass(frozen=True, slots=True)
class _Ladder:
    """The levels of the instant, and `prices[level][bracket]` of a wallet in nanos."""

    levels: Levels
    prices: tuple[tuple[int, ...], ...]

    def corrections(self, used: int, before: int, now: int) -> Iterator[_Step]:
        """What changes for use that was priced by another bracket: for each level, by how much its price is another."""
        floor = 0
        for edge, prices in zip(self.levels.edges, self.prices, strict=True):
            quantity = min(used, edge) - floor
            if quantity > 0 and prices[now] != prices[before]:
                yield _Step(quantity, prices[now] - prices[before], 0, is_correction=True)
            floor = edge


def quote(plan: Plan, at_ms: int, money_micros: int, used: int = 0, *, with_standing: bool = False) -> Quote:
    """What `money_micros` buys at `at_ms` (ms UTC), `used` Wh or litres of its tier period being used already.

    `with_standing`: as the first purchase of a bill, which pays its standing charges, by bill or month, and the percentages
    on them before any energy; where it does not reach for them, it buys nothing. Minimums and demand are known only at a
    bill's end and are left out. Money below zero buys nothing; none buys what is free.
    Raises ValueError, in words, for a negative counter and for a standing charge that depends on the whole use of a bill.
    """
    if used < 0:
        raise ValueError(f"the counter of a tier period is never negative; found {used}")
    moment = moment_of(plan, at_ms)
    stage = plan[moment.stage]
    version = stage.tariff.versions[moment.version]
    currency, band, unit = stage.tariff.currency, stage.tariff.bands[moment.band], UNITS[stage.tariff.commodity]
    money = Fraction(money_micros, MICROS_PER_UNIT)
    standing = _standing(version, stage.premises) if with_standing else Fraction(0)
    if money < 0 or money < standing:
        return Quote(at_ms, currency, band, money, 0, (), Fraction(0), money)
    ladder = _ladder(version, version.seasons[moment.season], stage, moment)
    steps = list(_walk(ladder, used, (money - standing) * NANOS_PER_UNIT * WHOLE))
    terms = tuple(_term(step, unit, band) for step in steps if step.quantity is not None)
    bought = [step.quantity for step in steps if not step.is_correction]
    return Quote(
        at_ms,
        currency,
        band,
        money,
        None if None in bought else sum(quantity or 0 for quantity in bought),
        terms,
        standing,
        money - standing - sum((term.amount for term in terms), Fraction(0)),
    )


def _term(step: _Step, unit: str, band: str) -> Term:
    quantity, price = Fraction(step.quantity or 0, WHOLE), Fraction(step.price, NANOS_PER_UNIT)
    return Term(quantity, unit, price, quantity * price, band, step.tier, step.is_correction)


def _walk(ladder: _Ladder, used: int, picos: Fraction) -> Iterator[_Step]:
    """What is bought, in order, until the next unit costs more than is left."""
    edges, brackets = ladder.levels.edges, ladder.levels.brackets
    bracket = brackets[ladder.levels.level_of(used)]
    for level in range(ladder.levels.level_of(used + 1), len(edges)):
        corrections = list(ladder.corrections(used, bracket, brackets[level]))
        picos -= sum((step.quantity or 0) * step.price for step in corrections)
        bracket = brackets[level]
        price, room = ladder.prices[level][bracket], edges[level] - used
        if picos < 0 or picos < price:
            return
        yield from corrections
        quantity = room if price <= 0 else int(min(room, picos // price))
        is_endless = price <= 0 and edges[level] == NO_LIMIT
        yield _Step(None if is_endless else quantity, price, level + 1)
        if quantity < room:
            return
        picos -= quantity * price
        used += quantity


def _ladder(version: Version, season: Season, stage: Stage, moment: Moment) -> _Ladder:
    ladder = levels(version, season, stage.premises, moment.period_days)

    def price(schedules: tuple[int, ...], tiers: tuple[int, ...]) -> int:
        places = enumerate(zip(schedules, tiers, strict=True))
        prices = (price_in(season, component, schedule, moment.band, tier) for component, (schedule, tier) in places)
        return wallet_price(version, tuple(prices))

    return _Ladder(
        ladder, tuple(tuple(price(*each) for each in zip(ladder.schedules, row, strict=True)) for row in ladder.tiers)
    )


def _standing(version: Version, premises: Premises) -> Fraction:
    """Standing amounts and the percentages on them: the lines of a bill without energy."""
    lines = {component.id: Fraction(0) for component in version.components}
    for charge in version.charges:
        amount = Fraction(0)
        if isinstance(charge, Standing) and charge.every in _PREPAID:
            if len(charge.amounts) > 1:
                raise ValueError(f"charge {charge.id} depends on the whole use of a bill, which a purchase cannot know")
            amount = charge.amounts[0][1] * multiple_of(charge.per, premises)
        elif isinstance(charge, Percentage):
            amount = charge.rate * sum((lines[name] for name in charge.of), Fraction(0))
        lines[charge.id] = amount
    return sum(lines.values(), Fraction(0))
