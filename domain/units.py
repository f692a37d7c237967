"""Units of money, energy and time, and the only doors between them and text.

Money is an integer of *micros* (1e-6 of the currency's unit); a price is an integer of *nanos* (1e-9 of the unit) per
kWh or per m³, which is finer than any published price. Energy is in Wh and water in litres, so that

    usage [Wh] * price [1e-9 units / 1000 Wh] = cost [1e-12 units] ("picos")

is an exact integer. Nothing here touches a float.
"""

import re

MICROS_PER_UNIT = 1_000_000
PICOS_PER_MICRO = 1_000_000
NANOS_PER_UNIT = 1_000_000_000

SECOND_MS = 1_000
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000

PRICE_MAX_NANOS = 1_000_000 * NANOS_PER_UNIT - 1
"""Highest price of a kWh or m³, in nanos. With `USAGE_MAX` it proves that a cost fits 64 bits (see `flows/readings/settling.py`)."""
USAGE_MAX = 1_000_000_000
"""Most Wh or litres that one reading may add, after ratio; more is a jump and goes to quarantine."""
MONEY_MAX_MICROS = 10**18
"""No balance beyond ± this many micros is charged on: with the two bounds above, no sum can leave 64 bits."""
ORDER_MAX_MICROS = 10**15
"""No single order is larger: a thousand million units."""

_DECIMAL = re.compile(r"([+-]?)(\d{1,18})(?:\.(\d+))?")


def _scaled(text: str, decimals: int, what: str) -> int:
    """The decimal number in `text` times 10**decimals, exactly; ValueError names `what` and what was expected."""
    match = _DECIMAL.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{what} {text!r} is not a decimal number such as 12.50")
    sign, whole, fraction = match[1], match[2], (match[3] or "").rstrip("0")
    if len(fraction) > decimals:
        raise ValueError(f"{what} {text!r} has more than {decimals} decimals")
    value = int(whole + fraction.ljust(decimals, "0"))
    return -value if sign == "-" else value


def money_micros(text: str) -> int:
    """Micros in a decimal string such as `"12.50"`. Raises ValueError for more than 6 decimals or no number."""
    return _scaled(text, 6, "amount")


def price_nanos(text: str) -> int:
    """Nanos per kWh or m³ in a decimal string such as `"0.55834200"`. Raises ValueError beyond 9 decimals."""
    return _scaled(text, 9, "price")


def quantity_thousandths(text: str) -> int:
    """Wh in a decimal string of kWh, or litres in one of m³. Raises ValueError for more than 3 decimals or no number."""
    return _scaled(text, 3, "quantity")


def _decimal_text(value: int, decimals: int, shown: int) -> str:
    sign, value = ("-", -value) if value < 0 else ("", value)
    whole, fraction = divmod(value, 10**decimals)
    digits = f"{fraction:0{decimals}d}".rstrip("0").ljust(shown, "0")
    return f"{sign}{whole}.{digits}"


def money_text(micros: int) -> str:
    """Decimal text of an amount, exact, with at least two decimals: `12.50`, `0.000001`."""
    return _decimal_text(micros, 6, 2)


def quantity_text(thousandths: int) -> str:
    """Decimal text in kWh of Wh, or in m³ of litres, exact, with three decimals: `1.250`."""
    return _decimal_text(thousandths, 3, 3)


def cost_text(picos: int) -> str:
    """Decimal text of a cost, exact, with at least two decimals: `0.000000558342`."""
    return _decimal_text(picos, 12, 2)
