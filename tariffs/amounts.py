"""Exact amounts as text: for people, and for the programs that read `--json`."""

from fractions import Fraction

from tariffs.charges import Term, decimal_text


def money_text(amount: Fraction, currency: str = "") -> str:
    """An amount for people: two decimals or as many as it has."""
    text = decimal_text(amount)
    whole, _, part = text.partition(".")
    padded = f"{whole}.{part.ljust(2, '0')}"
    return f"{padded} {currency}" if currency else padded


def exact_text(value: Fraction) -> str:
    """A number for programs, exact: a decimal number where it ends, else `numerator/denominator`."""
    twos, rest = 0, value.denominator
    while rest % 2 == 0:
        twos, rest = twos + 1, rest // 2
    fives = 0
    while rest % 5 == 0:
        fives, rest = fives + 1, rest // 5
    if rest != 1:
        return str(value)
    places = max(twos, fives)
    digits = f"{abs(value) * 10**places}".rjust(places + 1, "0")
    text = f"{digits[:-places]}.{digits[-places:]}" if places else digits
    return f"-{text}" if value < 0 else text


def term_figures(term: Term) -> dict[str, object]:
    """A term of a bill or a quote for programs; quantity × price is the amount."""
    return {
        "band": term.band,
        "tier": term.tier,
        "quantity": exact_text(term.quantity),
        "unit": term.unit,
        "price": exact_text(term.price),
        "amount": exact_text(term.amount),
        "is_correction": term.is_correction,
    }
