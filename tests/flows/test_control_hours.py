"""Windows by the clock on the wall, also on the days of 23 and 25 hours, held against a walk through every minute."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.facts import ControlTerms, Window
from domain.units import DAY_MS, HOUR_MS, MINUTE_MS
from tariffs.hours import edge_after, holding, local_day
from tariffs.zones import zone

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
STARTS = {
    "Asia/Shanghai": 1_764_979_200_000,
    "Europe/London": 1_743_285_600_000,  # three hours before the day of 23 hours
    "America/New_York": 1_762_045_200_000,  # … of 25 hours
    "Australia/Lord_Howe": 1_743_850_800_000,  # clocks go back by half an hour
}


def ms(text: str) -> int:
    """Ms UTC of `2025-03-30T01:00Z`."""
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(milliseconds=1)


def window(days: int, start: str, end: str) -> Window:
    """A window from clock to clock."""
    minutes = [60 * int(clock[:2]) + int(clock[3:]) for clock in (start, end)]
    return Window(days=days, from_minute=minutes[0], until_minute=minutes[1])


@pytest.mark.parametrize(
    ("days", "start", "end", "inside", "outside"),
    [
        (0b0000001, "08:00", "09:00", "2025-12-08T08:00", "2025-12-08T09:00"),
        (0b0000001, "08:00", "09:00", "2025-12-08T08:59", "2025-12-08T07:59"),
        (0b0000001, "22:00", "06:00", "2025-12-09T05:59", "2025-12-08T05:59"),
        (0b0000001, "22:00", "06:00", "2025-12-08T22:00", "2025-12-09T22:00"),
        (0b1000000, "00:00", "24:00", "2025-12-07T23:59", "2025-12-08T00:00"),
        (0b10000000, "00:00", "24:00", "2025-12-10T12:00", "2025-12-09T23:59"),
        (0b10000000, "22:00", "02:00", "2025-12-11T01:59", "2025-12-10T01:59"),
    ],
)
def test_a_window_belongs_to_the_day_on_which_it_begins(days, start, end, inside, outside):
    """Half open, over midnight if it ends before it begins; Wednesday the 10th is a holiday."""
    terms = ControlTerms(zone="Asia/Shanghai", holidays=(date(2025, 12, 10).toordinal() - 719_163,))
    windows = (window(days, start, end),)

    assert holding(windows, terms, ms(inside + "+08:00")) == windows[0]
    assert holding(windows, terms, ms(outside + "+08:00")) is None


def test_a_holiday_has_only_its_own_windows():
    """Where a list names holidays, a holiday's weekday counts for nothing; where it does not, a holiday is a day like others."""
    holiday = date(2025, 12, 10).toordinal() - 719_163
    terms = ControlTerms(zone="UTC", holidays=(holiday,))
    noon, weekdays = ms("2025-12-10T12:00Z"), window(0b1111111, "10:00", "14:00")

    assert holding((weekdays,), terms, noon) == weekdays
    assert holding((weekdays, window(0b10000000, "20:00", "21:00")), terms, noon) is None


@pytest.mark.parametrize(
    ("start", "end", "begins", "ends"),
    [
        ("01:30", "03:00", "2025-03-30T01:00Z", "2025-03-30T02:00Z"),
        ("00:30", "01:30", "2025-03-30T00:30Z", "2025-03-30T01:00Z"),
        ("01:30", "02:00", "2025-10-26T00:30Z", "2025-10-26T01:00Z"),
    ],
    ids=["begins in the hour that is skipped", "ends in it", "in the hour that comes twice"],
)
def test_the_day_on_which_clocks_change(start, end, begins, ends):
    """A timer is set to begin and end when the clock on the wall in London does, not an hour later."""
    terms = ControlTerms(zone="Europe/London", no_trip=(window(255, start, end),))

    assert edge_after(terms, ms(begins) - MINUTE_MS) == ms(begins)
    assert holding(terms.no_trip, terms, ms(begins))
    assert edge_after(terms, ms(ends) - MINUTE_MS) == ms(ends)
    assert holding(terms.no_trip, terms, ms(ends)) is None


def test_a_look_between_two_minutes_sees_the_edge_at_the_next():
    """A window that begins at 08:01 is not overslept by whoever looked just after 08:00."""
    terms = ControlTerms(zone="Asia/Shanghai", no_trip=(window(255, "08:01", "24:00"),))

    assert edge_after(terms, ms("2025-12-06T00:00Z") + 1) == ms("2025-12-06T00:01Z")


def by_hand(windows, terms, at):
    """The first window that holds, by walking back to where it began."""
    local = (EPOCH + timedelta(milliseconds=at)).astimezone(zone(terms.zone)).replace(tzinfo=None)
    for each in windows:
        for ago in (0, 1):
            day = local.date() - timedelta(days=ago)
            is_holiday = (day - date(1970, 1, 1)).days in terms.holidays and any(one.days >= 128 for one in windows)
            if not each.days >> (7 if is_holiday else day.weekday()) & 1:
                continue
            midnight = datetime.combine(day, datetime.min.time())
            begin = midnight + timedelta(minutes=each.from_minute)
            end = midnight + timedelta(minutes=each.until_minute, days=each.until_minute <= each.from_minute)
            if begin <= local < end:
                return each
    return None


minutes = st.sampled_from([0, 60, 90, 119, 120, 150, 180, 1_380, 1_439]) | st.integers(0, 1_439)
windows_of_any_kind = st.lists(
    st.builds(Window, days=st.integers(1, 255), from_minute=minutes, until_minute=minutes | st.just(1_440)).filter(
        lambda each: each.from_minute != each.until_minute
    ),
    min_size=1,
    max_size=4,
).map(tuple)


@settings(max_examples=200)
@given(st.sampled_from(sorted(STARTS)), windows_of_any_kind, st.integers(0, 3), st.integers(0, 2 * DAY_MS))
def test_between_two_looks_nothing_changes(place, windows, holiday, offset):
    """Whoever looks again only at the edges sees at every minute what a clerk with a calendar would see."""
    at = STARTS[place] + offset
    terms = ControlTerms(zone=place, holidays=(local_day(at, place) + holiday,), no_trip=windows)

    edge = edge_after(terms, at)

    held = holding(windows, terms, at)
    assert at < edge <= at + DAY_MS + HOUR_MS
    for moment in [at, *range(at - at % MINUTE_MS + MINUTE_MS, edge, MINUTE_MS), edge - 1]:
        assert holding(windows, terms, moment) == held == by_hand(windows, terms, moment)
