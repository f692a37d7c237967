"""Numbers of a file as whole Wh or litres, each rounded once, half away from zero.

Text is read digit by digit, so `0.2195` kWh is 220 Wh exactly by the rule. A float column holds only the nearest binary
number; it is multiplied first and rounded then, which gives the decimal that was meant as long as it had up to a dozen digits.
"""

import re
from fractions import Fraction
from math import floor

import polars as pl

AMOUNT_MAX = 10**15
"""Beyond ± this many Wh or litres a number is nonsense and counts as unreadable."""

_PLAIN = r"^([+-]?)([0-9]{1,15})(?:\.([0-9]*))?$"
_SCIENTIFIC = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)


def amounts(values: pl.Series, decimals: int) -> pl.Series:
    """`values` times 10**decimals as int64; null where there is no number, or one beyond AMOUNT_MAX."""
    if values.dtype.is_integer():
        scaled = values.cast(pl.Int64, strict=False)
        scaled = scaled.set(scaled.abs() > AMOUNT_MAX, None) * 10**decimals
    elif values.dtype.is_float():
        scaled = _float_amounts(values.cast(pl.Float64), decimals)
    else:
        scaled = _text_amounts(values.cast(pl.String).str.strip_chars(), decimals)
    return scaled.set(scaled.abs() > AMOUNT_MAX, None)


def _float_amounts(values: pl.Series, decimals: int) -> pl.Series:
    scaled = values * 10.0**decimals
    scaled = scaled.set(~(scaled.abs() <= AMOUNT_MAX).fill_null(value=False), None)
    return scaled.round(mode="half_away_from_zero").cast(pl.Int64)


def _text_amounts(texts: pl.Series, decimals: int) -> pl.Series:
    """Exact: the first digit after the last kept one decides the rounding, and no digit behind it can change that."""
    parts = texts.str.extract_groups(_PLAIN).struct.rename_fields(["sign", "whole", "fraction"]).struct.unnest()
    digits = pl.col("fraction").fill_null("").str.slice(0, decimals + 1).str.pad_end(decimals + 1, "0").cast(pl.Int64)
    magnitude = pl.col("whole").cast(pl.Int64) * 10**decimals + digits // 10 + (digits % 10 >= 5).cast(pl.Int64)
    scaled = parts.select(pl.when(pl.col("sign") == "-").then(-magnitude).otherwise(magnitude).alias("scaled"))[
        "scaled"
    ]
    rest = (scaled.is_null() & texts.is_not_null() & (texts != "")).arg_true()
    if rest.is_empty():
        return scaled
    return scaled.scatter(rest, [_exact_amount(text, decimals) for text in texts.gather(rest).to_list()])


def _exact_amount(text: str, decimals: int) -> int | None:
    """A number written as `2e+05` or `.5`; the few that the columns above do not know."""
    if _SCIENTIFIC.fullmatch(text) is None:
        return None
    value = Fraction(text) * 10**decimals
    rounded: int = floor(abs(value) + Fraction(1, 2))
    if rounded > AMOUNT_MAX:
        return None
    return rounded if value >= 0 else -rounded
