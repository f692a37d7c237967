"""Tariffs and instants that the tests of this folder share."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import cache

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


# Strategies that stand here, or are kept, are looked through once and not for each draw.
BIT, ADDED, PRICE = st.booleans(), st.integers(1, 50_000), st.integers(-(10**9), 10**14)
MINUTES = st.one_of(st.integers(1, 23).map(lambda hour: hour * 60), st.integers(1, 1439))


@cache
def _profiles(bands: int):
    """One to three days, each of up to seven bands from minutes on."""
    band = st.integers(0, bands - 1)
    day = st.builds(
        lambda first, later: ((0, first), *sorted(later.items())), band, st.dictionaries(MINUTES, band, max_size=6)
    )
    return st.lists(day, min_size=1, max_size=3).map(tuple)


@cache
def _prices(bands: int, levels: int):
    return st.tuples(*[st.tuples(*[PRICE] * levels)] * bands)


@cache
def _days_of(profiles: int):
    """By week day, and for holidays, for days that are worked instead, and for fairs."""
    profile = st.integers(0, profiles - 1)
    none_or_one = st.none() | profile
    return st.tuples(
        st.tuples(*[profile] * 7),
        none_or_one,
        none_or_one,
        st.just(()) | profile.map(lambda number: (("fair", number),)),
    )


@st.composite
def _seasons(draw, name, ranges, bands, tiers, components):
    profiles = draw(_profiles(bands))
    rates = tuple(draw(_schedules(bands, tiers)) for _ in range(components))
    return Season(name, ranges, profiles, *draw(_days_of(len(profiles))), rates)


@st.composite
def _schedules(draw, bands, tiers):
    """One graduated schedule, or a few that the whole use of the period chooses from."""
    tops = sorted(draw(TOPS)) if tiers and draw(BIT) else []
    found = []
    for top in [*tops, None]:
        limits = tuple(sorted(draw(STEPS))) if tiers else ()
        adds = tuple(draw(ADDED) for _ in limits) if draw(BIT) else ()
        found.append(Schedule(top, limits, adds, draw(_prices(bands, len(limits) + 1))))
    return tuple(found)


LIMITS = st.integers(1, 400_000)
TOPS, STEPS = st.sets(LIMITS, max_size=2), st.sets(LIMITS, max_size=3)
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
RANGE_LISTS = st.lists(RANGES.map(lambda each: (each,)), max_size=2)
PREMISES = st.builds(Premises, st.integers(1, 6), st.integers(0, 9_000))
COMPONENTS, PERCENTS, BANDS = st.integers(1, 2), st.integers(-20, 25), st.integers(1, 4)
ZONE = st.sampled_from(ZONES)


@st.composite
def _versions(draw, from_ms, bands):
    tiers, count = draw(TIERS), draw(COMPONENTS)
    ranges = [*draw(RANGE_LISTS), ()]
    names = [f"c{number}" for number in range(count)]
    charges = (Percentage(id="vat", title={}, of=("c0",), rate=Fraction(draw(PERCENTS), 100)),)
    return Version(
        from_ms,
        tuple(draw(_seasons(str(n), each, bands, tiers, count)) for n, each in enumerate(ranges)),
        tiers,
        tuple(Component(name, {}) for name in names),
        charges if draw(BIT) else (),
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
    bands = draw(BANDS)
    minutes = st.integers(span[0] // MINUTE_MS, span[1] // MINUTE_MS)
    starts = draw(st.sets(minutes, min_size=1, max_size=3))
    versions = [draw(_versions(minute * MINUTE_MS, bands)) for minute in sorted(starts)]
    days = st.frozensets(st.integers(span[0] // DAY_MS, span[1] // DAY_MS), max_size=2)
    calendar = Calendar(draw(days), draw(days), {"fair": draw(days)})
    names = tuple(f"band_{n}" for n in range(bands))
    return tariff(draw(ZONE), *versions, bands=names, calendar=calendar)


@st.composite
def plans(draw, span) -> Plan:
    """Any plan of one to three stages, the later ones beginning within the span, at any minute."""
    starts = draw(st.sets(st.integers(span[0] // MINUTE_MS, span[1] // MINUTE_MS), max_size=2))
    return tuple(
        Stage(minute * MINUTE_MS, draw(tariffs(span)), draw(PREMISES), draw(BIT)) for minute in [0, *sorted(starts)]
    )
