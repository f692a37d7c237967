"""The plain values of a tariff: rounding, seasons and kinds of days."""

from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, ROUND_UP, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tariffs.tariff import Calendar, Rounding, RoundingMode, Season

DECIMAL_MODES = {
    RoundingMode.HALF_UP: ROUND_HALF_UP,
    RoundingMode.HALF_EVEN: ROUND_HALF_EVEN,
    RoundingMode.UP: ROUND_UP,
    RoundingMode.DOWN: ROUND_DOWN,
}


@pytest.mark.parametrize(
    ("value", "step", "mode", "expected"),
    [
        ("2.345", "0.01", "half_up", "2.35"),
        ("2.345", "0.01", "half_even", "2.34"),
        ("2.355", "0.01", "half_even", "2.36"),
        ("-2.345", "0.01", "half_up", "-2.35"),
        ("2.341", "0.01", "up", "2.35"),
        ("-2.349", "0.01", "down", "-2.34"),
        ("28371.9", "10", "down", "28370"),
        ("12.42", "0.05", "half_up", "12.40"),
        ("12.425", "0.05", "half_up", "12.45"),
        ("20.45", "0.1", "up", "20.5"),
        ("0", "0.01", "up", "0"),
    ],
)
def test_an_amount_is_rounded_as_the_publisher_says(value: str, step: str, mode: str, expected: str) -> None:
    """Fen, five sen, whole won and tens of won come out as on paper, refunds as the charges they undo."""
    rounding = Rounding(Fraction(step), RoundingMode(mode))

    assert rounding.of(Fraction(value)) == Fraction(expected)


@given(st.decimals(-(10**9), 10**9, places=6), st.sampled_from(sorted(RoundingMode)), st.integers(-2, 4))
def test_rounding_agrees_with_the_decimal_module(value: Decimal, mode: RoundingMode, places: int) -> None:
    """For steps that are powers of ten, every mode is the one that Python's own decimals have under that name."""
    step = Decimal((0, (1,), -places))

    ours = Rounding(Fraction(step), mode).of(Fraction(value))

    assert ours == Fraction(value.quantize(step, rounding=DECIMAL_MODES[mode]))


def _season(*ranges: tuple[tuple[int, int], tuple[int, int]], **kinds: object) -> Season:
    profiles = (((0, 0),), ((0, 1),), ((0, 2),), ((0, 3),))
    values: dict[str, object] = {"holiday": None, "workday": None, "sets": (), **kinds}
    return Season("season", ranges, profiles, (0, 0, 0, 0, 0, 1, 1), rates=(), **values)  # type: ignore[arg-type]  # by name


def test_a_season_may_reach_over_new_year() -> None:
    """A winter from November to March holds on both sides of the year's end, its own first and last day included."""
    winter = _season(((11, 1), (3, 31)))

    assert [winter.covers(*at) for at in ((10, 31), (11, 1), (12, 31), (1, 1), (2, 29), (3, 31), (4, 1))] == [
        False,
        True,
        True,
        True,
        True,
        True,
        False,
    ]


def test_a_season_without_dates_is_the_whole_year() -> None:
    """The version's own tables rule whatever no season takes."""
    assert _season().covers(2, 29)


def test_a_named_day_beats_a_make_up_workday_beats_a_holiday_beats_the_weekday() -> None:
    """When a date is several things at once, the most particular of them decides the day profile."""
    calendar = Calendar(
        holidays=frozenset({2, 3, 4}), workdays=frozenset({3, 4}), sets={"festival": frozenset({4})}
    )  # Day 2 was Saturday, 3 January 1970.
    season = _season(holiday=1, workday=2, sets=(("festival", 3),))

    assert [season.profile_of(calendar, day) for day in (0, 1, 2, 3, 4)] == [0, 0, 1, 2, 3]
    assert _season().profile_of(calendar, 2) == 1
