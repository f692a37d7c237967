"""How often somebody may come."""

import pytest

from api.doors import limits
from api.doors.limits import Window, parsed


@pytest.fixture
def clock(monkeypatch):
    """A clock that is set by hand."""
    now = [1_000_000.0]
    monkeypatch.setattr(limits.time, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize(
    ("rate", "expected"),
    [("500/second", (500, 1)), ("12000/minute", (12_000, 60)), ("10/15 minutes", (10, 900)), ("2/3hours", (2, 10_800))],
)
def test_a_rate_is_read(rate, expected):
    """As settings and `--requests` have it."""
    assert parsed(rate) == expected


@pytest.mark.parametrize("rate", ["", "5", "0/second", "5/0 seconds", "-1/minute", "1.5/minute", "5/fortnight"])
def test_what_is_no_rate_is_refused(rate):
    """A limit that would let everybody in, or nobody, is no limit."""
    with pytest.raises(ValueError, match="expected a rate such as"):
        parsed(rate)


def test_so_many_and_no_more(clock):
    """Whoever comes too often waits as long as it is told, and then may come; others are not held up."""
    window = Window("3/minute")

    assert [window.hit("li") for _ in range(3)] == [0, 0, 0]
    wait = window.hit("li")
    assert window.hit("wang") == 0
    clock[0] += wait
    assert (0 < wait <= 120, window.hit("li")) == (True, 0)


def test_the_edge_of_a_window_lets_nobody_come_twice_as_often(clock):
    """Three at the end of one minute and three at the beginning of the next would be six within seconds."""
    window = Window("3/minute")
    clock[0] = 60.0 * 20_000 - 1
    assert [window.hit("li") for _ in range(3)] == [0, 0, 0]

    clock[0] += 2

    assert window.hit("li") > 0


def test_an_even_pace_below_the_limit_is_never_stopped(clock):
    """An app that asks every second may do so for ever."""
    window = Window("60/minute")
    for _ in range(600):
        clock[0] += 1.05
        assert window.hit("app") == 0


def test_many_at_once_count_all_or_none(clock):
    """A batch that does not fit leaves the caller what it had."""
    window = Window("5/minute")

    assert window.hit("li", 6) > 0
    assert window.hit("li", 5) == 0
    assert window.hit("li") > 0


def test_addresses_of_long_ago_are_forgotten(clock, monkeypatch):
    """Strangers of many addresses take a bounded amount of memory."""
    monkeypatch.setattr(limits, "_KNOWN_MAX", 10)
    window = Window("5/second")
    for number in range(100):
        clock[0] += 1.0
        window.hit(str(number))

    assert len(window._counted) <= 10
