"""What a tariff's tiers, charges and roundings are, in a sentence each."""

from commands.tariff.draw import plain_quantity
from tariffs.charges import decimal_text
from tariffs.tariff import (
    Bound,
    Charge,
    Cycle,
    Demand,
    Every,
    Per,
    Percentage,
    Rounding,
    RoundingMode,
    Standing,
    Tariff,
    Tiers,
    Version,
)

_EVERY = {Every.DAY: "a day", Every.MONTH: "a month", Every.YEAR: "a year", Every.BILL: "a bill"}
_PER = {Per.ACCOUNT: "", Per.PERSON: " for each person", Per.KILOWATT: " for each kW of contracted capacity"}
_CYCLE = {Cycle.DAY: "day", Cycle.MONTH: "month", Cycle.TWO_MONTHS: "two months", Cycle.YEAR: "year"}
_MODE = {
    RoundingMode.HALF_UP: "to the nearest",
    RoundingMode.HALF_EVEN: "to the nearest (half to even)",
    RoundingMode.UP: "up to a whole",
    RoundingMode.DOWN: "down to a whole",
}


def rounding_text(rule: Rounding) -> str:
    """`rounded to the nearest 0.01`."""
    return f"rounded {_MODE[rule.mode]} {decimal_text(rule.step)}"


def tiers_text(tiers: Tiers, version: Version, unit: str) -> str:
    """How use is counted, and who has other limits."""
    begin = {Cycle.DAY: "", Cycle.MONTH: f" from day {tiers.day}"}.get(
        tiers.cycle, f" from {tiers.month:02}-{tiers.day:02}"
    )
    parts = [f"tiers count each {_CYCLE[tiers.cycle]}{begin}"]
    parts += [f"limits are{_PER[tiers.per]}"] if tiers.per is not Per.ACCOUNT else []
    if tiers.persons_above is not None:
        adds = {add for season in version.seasons for column in season.rates for each in column for add in each.adds}
        more = " or ".join(f"{plain_quantity(add)} {unit}" for add in sorted(adds))
        who = "each person" if tiers.each_person else "a household"
        parts.append(f"{who} above {tiers.persons_above} persons adds {more} to each limit")
    if tiers.per_days is not None:
        parts.append(f"limits are for {tiers.per_days} days")
    return "; ".join(parts)


def charge_text(charge: Charge, tariff: Tariff, unit: str) -> str:
    """A charge: its titles, and what it charges."""
    rule = f"; {rounding_text(charge.rounding)}" if charge.rounding else ""
    return f"{charge.title['zh']} · {charge.title['en']}: {_what(charge, tariff, unit)}{rule}"


def _what(charge: Charge, tariff: Tariff, unit: str) -> str:
    currency, of = tariff.currency, ", ".join(charge.of)
    match charge:
        case Standing():
            amounts = [
                f"{decimal_text(amount)} {currency}{f' up to {plain_quantity(top)} {unit}' if top is not None else ''}"
                for top, amount in charge.amounts
            ]
            beyond = " above" if len(amounts) > 1 else ""
            return f"{', '.join(amounts)}{beyond} {_EVERY[charge.every]}{_PER[charge.per]}"
        case Percentage():
            return f"{decimal_text(charge.rate * 100)} % of {of}{', unrounded' if charge.exact else ''}"
        case Bound():
            bounds = {"at least": charge.minimum, "at most": charge.maximum}
            said = [f"{word} {decimal_text(bound)} {currency}" for word, bound in bounds.items() if bound is not None]
            return f"{of} are {' and '.join(said)} {_EVERY[charge.every]}"
        case Demand():
            return _demand(charge, tariff)
    raise AssertionError(type(charge).__name__)


def _demand(charge: Demand, tariff: Tariff) -> str:
    tops = [f" up to {plain_quantity(limit)} kW" for limit in charge.limits]
    tops += [" above"] if tops else [""]
    prices = [f"{decimal_text(price)}{top}" for price, top in zip(charge.prices, tops, strict=True)]
    bands = f" in {', '.join(tariff.bands[band] for band in charge.bands)}" if charge.bands else ""
    least = f", at least {decimal_text(charge.least_share * 100)} % of the contracted capacity"
    return (
        f"{', '.join(prices)} {tariff.currency} per kW a month, of the highest {charge.minutes} minutes{bands}"
        f"{least if charge.least_share else ''}"
    )
