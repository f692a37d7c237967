"""Tariffs and instants that the tests of this folder share."""

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from domain.units import DAY_MS, HOUR_MS, MINUTE_MS
from domain.words import Commodity
from tariffs.loader import Tariff, Version

ZONES = (
    "Asia/Shanghai",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Europe/London",
    "America/New_York",
    "America/St_Johns",  # until 2011 its clocks changed one minute after midnight
    "America/Havana",  # skips and repeats midnight
    "Australia/Lord_Howe",  # half an hour of summer time
    "Antarctica/Troll",  # two hours of it
    "Africa/Casablanca",  # four changes a year
    "Pacific/Apia",  # had no 2011-12-30
)
CHANGES = (
    "2025-03-30T01:00Z",
    "2025-10-26T01:00Z",
    "2025-03-09T07:00Z",
    "2025-11-02T06:00Z",
    "2010-03-14T03:31Z",
    "2010-11-07T02:31Z",
    "2025-03-09T05:00Z",
    "2025-11-02T05:00Z",
    "2025-04-05T15:00Z",
    "2025-10-04T15:30Z",
    "2025-02-23T02:00Z",
    "2025-04-06T02:00Z",
    "2011-12-30T10:00Z",
)


def ms(text: str) -> int:
    """Milliseconds UTC of an ISO time with offset."""
    return (datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def clock(at: int) -> str:
    """UTC wall clock of ms UTC: day of the month and time."""
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%dT%H:%M")


def tariff(zone: str, *versions: Version, bands: tuple[str, ...] = ("peak", "valley")) -> Tariff:
    """A tariff of these versions."""
    return Tariff("test", {"zh": "测试", "en": "Test"}, Commodity.ELECTRICITY, "CNY", zone, bands, versions)


def _profiles(bands: int):
    minutes = st.one_of(st.integers(1, 23).map(lambda hour: hour * 60), st.integers(1, 1439))
    starts = st.sets(minutes, max_size=6).map(lambda later: [0, *sorted(later)])
    return starts.flatmap(
        lambda slots: st.tuples(*(st.integers(0, bands - 1).map(lambda band, at=at: (at, band)) for at in slots))
    )


def _versions(from_ms: int, bands: int):
    days = st.lists(_profiles(bands), min_size=1, max_size=3).map(tuple)
    prices = st.tuples(*[st.integers(-(10**9), 10**15 - 1)] * bands)
    return days.flatmap(
        lambda profiles: st.builds(
            Version,
            from_ms=st.just(from_ms),
            prices=prices,
            days=st.just(profiles),
            week=st.tuples(*[st.integers(0, len(profiles) - 1)] * 7),
        )
    )


@st.composite
def spans(draw):
    """A span [from, until) of up to three days, in ms, often around a change of clocks."""
    change = st.sampled_from(CHANGES).map(ms)
    any_time = st.integers(ms("2000-01-01T00:00Z") // MINUTE_MS, ms("2037-01-01T00:00Z") // MINUTE_MS)
    middle = draw(st.one_of(change, any_time.map(lambda minute: minute * MINUTE_MS)))
    start = middle - draw(st.integers(0, 36 * HOUR_MS))
    return start, start + draw(st.integers(1, 3 * DAY_MS))


@st.composite
def tariffs(draw, span):
    """Any tariff of one to three versions, the later ones beginning within the span, at any minute."""
    bands = draw(st.integers(1, 4))
    minutes = st.integers(span[0] // MINUTE_MS, span[1] // MINUTE_MS)
    starts = draw(st.sets(minutes, min_size=1, max_size=3))
    versions = [draw(_versions(minute * MINUTE_MS, bands)) for minute in sorted(starts)]
    return tariff(draw(st.sampled_from(ZONES)), *versions, bands=tuple(f"band_{n}" for n in range(bands)))
