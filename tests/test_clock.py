import time

import pytest

from connectors.clock import REAL_TIME, EventClock


def test_event_time_runs_at_its_speed_from_its_epoch():
    """A second of life is an hour of event time at speed 3600, counted from the moment the clock was made."""
    clock = EventClock(epoch_real_ms=1_000, epoch_event_ms=1_700_000_000_000, speed=3_600)

    assert clock.at_ms(1_000 * 1_000_000) == 1_700_000_000_000
    assert clock.at_ms(2_000 * 1_000_000) == 1_700_000_000_000 + 3_600_000
    assert clock.at_ms(1_000 * 1_000_000 + 500_000) == 1_700_000_000_000 + 1_800


def test_two_processes_share_a_clock_by_its_text():
    """The text on a command line makes the same clock again."""
    clock = EventClock.from_now(event_ms=1_751_328_000_000, speed=60)

    again = EventClock.from_text(clock.to_text())

    assert again == clock
    assert again.at_ms(time.time_ns()) >= 1_751_328_000_000


@pytest.mark.parametrize("text", ["", "0:0", "0:0:1:2", "now:0:1", "0:0:-1", "0:0:1.5"])
def test_a_clock_that_cannot_be_read_says_what_was_expected(text):
    """A mistyped clock is refused with its own text and the format."""
    with pytest.raises(ValueError, match="expected REAL_MS:EVENT_MS:SPEED"):
        EventClock.from_text(text)


def test_a_clock_that_stands_still_is_refused():
    """Speed 0 would wait for ever."""
    with pytest.raises(ValueError, match="speed 0"):
        EventClock.from_text("0:0:0")


def test_real_time_is_the_machines_time():
    """The clock 0:0:1 is ordinary time, to the millisecond."""
    before = time.time_ns() // 1_000_000
    now = REAL_TIME.now_ms()
    after = time.time_ns() // 1_000_000

    assert before <= now <= after


def test_a_wait_is_in_real_seconds_and_never_negative():
    """An event hour ahead is a real second at speed 3600; what has passed needs no wait."""
    clock = EventClock.from_now(speed=3_600)

    assert 0.9 < clock.wait_seconds(clock.now_ms() + 3_600_000) <= 1.0
    assert clock.wait_seconds(clock.now_ms() - 1) == 0
