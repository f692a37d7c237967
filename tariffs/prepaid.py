"""What a prepaid wallet can be charged: prices with the percentages that fall on them, and why some tariffs do not fit.

A wallet runs down with every reading, so it can be charged what depends on usage alone. What a bill works out at its end
(a minimum, a demand peak, a standing charge) cannot be in a price.
"""

from fractions import Fraction

from domain.units import PRICE_MAX_NANOS
from tariffs.tariff import Percentage, Tariff, Version


def weights(version: Version) -> tuple[Fraction, ...]:
    """By component: 1 and the percentages that fall on it, directly or through earlier percentages."""
    count = len(version.components)
    lines = {
        component.id: [Fraction(int(index == place)) for place in range(count)]
        for index, component in enumerate(version.components)
    }
    for charge in version.charges:
        known = [lines[name] for name in charge.of] if isinstance(charge, Percentage) else []
        rate = charge.rate if isinstance(charge, Percentage) else Fraction(0)
        lines[charge.id] = [rate * sum((line[place] for line in known), Fraction(0)) for place in range(count)]
    return tuple(sum((line[place] for line in lines.values()), Fraction(0)) for place in range(count))


def obstacles(tariff: Tariff) -> list[str]:
    """Why a wallet cannot be charged by this tariff to the last unit, in sentences; none: it can."""
    return list(dict.fromkeys(text for version in tariff.versions for text in _obstacles(version)))


def _obstacles(version: Version) -> list[str]:
    found = [
        f"charge {charge.id} is known only when a bill is made"
        for charge in version.charges
        if not isinstance(charge, Percentage)
    ]
    found += [
        f"component {component.id} rounds the usage of a whole bill"
        for component in version.components
        if component.usage_rounding is not None
    ]
    for component, prices, weight in zip(version.components, _prices(version), weights(version), strict=True):
        if any((price * weight).denominator != 1 for price in prices):
            found.append(f"percentages make the price of component {component.id} finer than 9 decimals")
    most = [
        max(map(abs, prices), default=0) * weight
        for prices, weight in zip(_prices(version), weights(version), strict=True)
    ]
    if sum(most) > PRICE_MAX_NANOS:
        found.append("its prices together may reach a million")
    return found


def _prices(version: Version) -> list[set[int]]:
    """Every price of each component, nanos."""
    return [
        {
            price
            for season in version.seasons
            for schedule in season.rates[index]
            for prices in schedule.prices
            for price in prices or ()
        }
        for index in range(len(version.components))
    ]
