"""Tariffs and instants that the tests of this folder share."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction

from hypothesis import strategies as st

from domain.units import DAY_MS, HOUR_MS, MINUTE_MS
from domain.words import Commodity
from tariffs.tariff import (
    Calendar,
    Component,
    Cycle,
    Per,
    Percentage,
    Plan,
    Premises,
    Schedule,
    Season,
    Stage,
    Tariff,
    Tiers,
    Version,
)

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


ENERGY = Component("energy", {"zh": "电费", "en": "Energy"})


def timed(from_ms: int, prices: tuple[int, ...], days=(((0, 0),),), week=(0,) * 7) -> Version:
    """A version of prices by band, without tiers."""
    rates = ((Schedule(None, (), (), tuple((price,) for price in prices)),),)
    return Version(from_ms, (Season("", (), days, week, None, None, (), rates),), None, (ENERGY,))


def tariff(zone: str, *versions: Version, bands: tuple[str, ...] = ("peak", "valley"), calendar=None) -> Tariff:
    """A tariff of these versions."""
    title = {"zh": "测试", "en": "Test"}
    return Tariff(
        "test",
        title,
        Commodity.ELECTRICITY,
        "CNY",
        zone,
        bands,
        versions,
        calendar or Calendar(sets={"fair": frozenset()}),
    )


def _profiles(bands: int):
    minutes = st.one_of(st.integers(1, 23).map(lambda hour: hour * 60), st.integers(1, 1439))
    starts = st.sets(minutes, max_size=6).map(lambda later: [0, *sorted(later)])
    return starts.flatmap(
        lambda slots: st.tuples(*(st.integers(0, bands - 1).map(lambda band, at=at: (at, band)) for at in slots))
    )


@st.composite
def _seasons(draw, name, ranges, bands, tiers, components):
    profiles = draw(st.lists(_profiles(bands), min_size=1, max_size=3).map(tuple))
    profile = st.integers(0, len(profiles) - 1)
    return Season(
        name,
        ranges,
        profiles,
        draw(st.tuples(*[profile] * 7)),
        draw(st.none() | profile),
        draw(st.none() | profile),
        draw(st.just(()) | profile.map(lambda number: (("fair", number),))),
        tuple(draw(_schedules(bands, tiers)) for _ in range(components)),
    )


@st.composite
def _schedules(draw, bands, tiers):
    """One graduated schedule, or a few that the whole use of the period chooses from."""
    tops = sorted(draw(st.sets(LIMITS, max_size=2))) if tiers and draw(st.booleans()) else []
    found = []
    for top in [*tops, None]:
        limits = tuple(sorted(draw(st.sets(LIMITS, max_size=3)))) if tiers else ()
        adds = tuple(draw(st.integers(1, 50_000)) for _ in limits) if draw(st.booleans()) else ()
        prices = st.tuples(*[st.integers(-(10**9), 10**14)] * (len(limits) + 1))
        found.append(Schedule(top, limits, adds, tuple(draw(prices) for _ in range(bands))))
    return tuple(found)


LIMITS = st.integers(1, 400_000)
RANGES = st.sampled_from(
    [((6, 16), (9, 30)), ((11, 1), (3, 31)), ((2, 29), (2, 29)), ((10, 26), (10, 26)), ((3, 1), (3, 31))]
)
TIERS = st.none() | st.builds(
    Tiers,
    cycle=st.sampled_from(Cycle),
    month=st.integers(1, 12),
    day=st.sampled_from([1, 1, 9, 26, 28]),
    restart=st.booleans(),
    per=st.sampled_from(Per),
    persons_above=st.none() | st.integers(0, 4),
    each_person=st.booleans(),
    per_days=st.sampled_from([None, None, 1, 30]),
    unscaled_days=st.none() | st.just((28, 30)),
)
PREMISES = st.builds(Premises, st.integers(1, 6), st.integers(0, 9_000))


@st.composite
def _versions(draw, from_ms, bands):
    tiers, count = draw(TIERS), draw(st.integers(1, 2))
    ranges = [*draw(st.lists(RANGES.map(lambda each: (each,)), max_size=2)), ()]
    names = [f"c{number}" for number in range(count)]
    charges = (Percentage(id="vat", title={}, of=("c0",), rate=Fraction(draw(st.integers(-20, 25)), 100)),)
    return Version(
        from_ms,
        tuple(draw(_seasons(str(n), each, bands, tiers, count)) for n, each in enumerate(ranges)),
        tiers,
        tuple(Component(name, {}) for name in names),
        charges if draw(st.booleans()) else (),
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
    days = st.frozensets(st.integers(span[0] // DAY_MS, span[1] // DAY_MS), max_size=2)
    calendar = Calendar(draw(days), draw(days), {"fair": draw(days)})
    names = tuple(f"band_{n}" for n in range(bands))
    return tariff(draw(st.sampled_from(ZONES)), *versions, bands=names, calendar=calendar)


@st.composite
def plans(draw, span) -> Plan:
    """Any plan of one to three stages, the later ones beginning within the span, at any minute."""
    starts = draw(st.sets(st.integers(span[0] // MINUTE_MS, span[1] // MINUTE_MS), max_size=2))
    return tuple(
        Stage(minute * MINUTE_MS, draw(tariffs(span)), draw(PREMISES), draw(st.booleans()))
        for minute in [0, *sorted(starts)]
    )
