import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tariff_cases import ENERGY, clock, ms, plans, spans, tariff, timed

from domain.units import DAY_MS, HOUR_MS
from tariffs.levels import NO_LIMIT
from tariffs.loader import catalogue, load_tariff
from tariffs.rating import moment_of
from tariffs.tariff import Cycle, Per, Premises, Schedule, Season, Stage, Tiers, Version, plan_of
from tariffs.timeline import SEGMENT, Timeline, compile_timeline

PEAK, VALLEY = 0, 1
EIGHT_TO_TEN = ((0, VALLEY), (480, PEAK), (1320, VALLEY))
ALL_VALLEY = ((0, VALLEY),)
ALL_ONE = (((0, 0),),)
PRICES = (617_000_000, 307_000_000)


def version(start: str, prices=PRICES, days=(EIGHT_TO_TEN,), week=(0,) * 7) -> Version:
    """A version from an ISO time on, by default peak from 08:00 to 22:00 every day."""
    return timed(ms(start), prices, days, week)


def timeline_of(zone: str, start: str, until: str, *versions: Version) -> Timeline:
    """The timeline of one tariff."""
    plan = plan_of(tariff(zone, *(versions or (version("2020-01-01T00:00Z"),))))
    return compile_timeline([plan], ms(start), ms(until))


def rows(timeline: Timeline) -> list[tuple[str, int, int]]:
    """(start, band, day) of each segment but the sentinel."""
    return [(clock(int(s.start)), int(s.band), int(s.day)) for s in timeline.segments[:-1]]


def starts(timeline: Timeline) -> list[str]:
    """Where the segments start, and the end."""
    return [clock(int(segment.start)) for segment in timeline.segments]


def price_of(timeline: Timeline, segment: np.record, plan: int = 0) -> int:
    """The price of the first level of a segment."""
    return int(timeline.prices[timeline.rate[plan] + segment.rate, 0, 0])


def prices_in(timeline: Timeline) -> list[int]:
    """The price of each segment, the sentinel's too."""
    return [price_of(timeline, segment) for segment in timeline.segments]


def segment_at(timeline: Timeline, row: int, at: int) -> np.record:
    """The segment of an instant, found as the reading kernel finds it."""
    index = timeline.first[row, at // HOUR_MS - timeline.base_hour]
    while timeline.segments[index + 1].start <= at:
        index += 1
    return timeline.segments[index]


def test_a_segment_is_24_bytes_and_answers_to_its_names():
    """The kernel reads `segment.rate`, compiled or not, and no byte of a row is padding."""
    timeline = timeline_of("Asia/Shanghai", "2025-01-01T00:00Z", "2025-01-01T01:00Z")

    assert SEGMENT.itemsize == 24
    assert timeline.segments.dtype == SEGMENT
    assert price_of(timeline, timeline.segments[0]) == PRICES[PEAK]


def test_an_evening_is_cut_at_hours_band_and_midnight():
    """21:00 to 01:00 in Shanghai: peak until 22:00, then valley, and another day from 16:00 UTC."""
    timeline = timeline_of("Asia/Shanghai", "2025-01-01T13:00Z", "2025-01-01T17:00Z")

    first_of_january = 20_089
    assert rows(timeline) == [
        ("01T13:00", PEAK, first_of_january),
        ("01T14:00", VALLEY, first_of_january),
        ("01T15:00", VALLEY, first_of_january),
        ("01T16:00", VALLEY, first_of_january + 1),
    ]


def test_a_span_is_rounded_outward_to_whole_hours():
    """A reading at any ms of the span finds its hour in `first`, and so does the end."""
    timeline = timeline_of("Asia/Shanghai", "2025-01-01T13:59:59Z", "2025-01-01T15:00:01Z")

    assert (clock(timeline.from_ms), clock(timeline.until_ms)) == ("01T13:00", "01T16:00")
    assert timeline.base_hour == ms("2025-01-01T13:00Z") // HOUR_MS
    assert timeline.first.tolist() == [[0, 1, 2, 3]]
    assert timeline.first.dtype == np.int32


def test_the_sentinel_is_rated_like_any_instant():
    """A reading exactly at the end is priced as what begins there: midnight, so the next day."""
    timeline = timeline_of("Asia/Shanghai", "2025-01-01T15:00Z", "2025-01-01T16:00Z")

    last = timeline.segments[-1]
    assert (last.start, price_of(timeline, last)) == (ms("2025-01-01T16:00Z"), PRICES[VALLEY])
    assert (last.day, last.band) == (20_090, VALLEY)


def test_a_band_that_begins_at_a_half_hour_cuts_only_on_its_days():
    """08:30 starts peak on Wednesday 1 January; Thursday has no peak, so nothing is cut at 08:30."""
    half_past = ((0, VALLEY), (510, PEAK))
    only_wednesday = version("2020-01-01T00:00Z", days=(half_past, ALL_VALLEY), week=(1, 1, 0, 1, 1, 1, 1))
    wednesday = timeline_of("Asia/Shanghai", "2025-01-01T00:00Z", "2025-01-01T02:00Z", only_wednesday)
    thursday = timeline_of("Asia/Shanghai", "2025-01-02T00:00Z", "2025-01-02T02:00Z", only_wednesday)

    assert starts(wednesday) == ["01T00:00", "01T00:30", "01T01:00", "01T02:00"]
    assert starts(thursday) == ["02T00:00", "02T01:00", "02T02:00"]


def test_a_version_that_begins_within_an_hour_cuts_it():
    """The old price holds for the first 20 minutes, the new one for the other 40, with the band unchanged."""
    timeline = timeline_of(
        "Asia/Shanghai",
        "2025-01-01T00:00Z",
        "2025-01-01T02:00Z",
        version("2020-01-01T00:00Z"),
        version("2025-01-01T00:20Z", prices=(700_000_000, 1)),
    )

    assert starts(timeline) == ["01T00:00", "01T00:20", "01T01:00", "01T02:00"]
    assert prices_in(timeline) == [617_000_000, 700_000_000, 700_000_000, 700_000_000]


@pytest.mark.parametrize("start", ["2025-01-01T00:20Z", "2030-01-01T00:00Z"])
def test_before_the_first_version_its_prices_hold(start):
    """Readings older than the tariff are priced by its first version, and its own beginning cuts nothing."""
    timeline = timeline_of("Asia/Shanghai", "2025-01-01T00:00Z", "2025-01-01T01:00Z", version(start))

    assert starts(timeline) == ["01T00:00", "01T01:00"]
    assert price_of(timeline, timeline.segments[0]) == PRICES[PEAK]


def test_a_version_in_force_long_before_the_span_is_the_one_used():
    """Of three old versions, the latest before the span holds."""
    timeline = timeline_of(
        "Asia/Shanghai",
        "2025-01-01T00:00Z",
        "2025-01-01T01:00Z",
        version("2020-01-01T00:00Z"),
        version("2021-01-01T00:00Z"),
        version("2022-01-01T00:00Z", prices=(5, 6)),
        version("2026-01-01T00:00Z"),
    )

    assert prices_in(timeline) == [5, 5]


# Clocks: (zone, span, expected starts, hand-made from the zone's published change).
CLOCKS = {
    "London springs forward at 01:00 UTC: 08:00 local is 07:00 UTC, and midnight 23:00": (
        ("Europe/London", "2025-03-30T00:00Z", "2025-03-30T03:00Z"),
        [("30T00:00", VALLEY, 20_177), ("30T01:00", VALLEY, 20_177), ("30T02:00", VALLEY, 20_177)],
    ),
    "London's peak begins at 07:00 UTC on the first summer day": (
        ("Europe/London", "2025-03-30T06:00Z", "2025-03-30T08:00Z"),
        [("30T06:00", VALLEY, 20_177), ("30T07:00", PEAK, 20_177)],
    ),
    "London's peak begins at 08:00 UTC on the first winter day": (
        ("Europe/London", "2025-10-26T07:00Z", "2025-10-26T09:00Z"),
        [("26T07:00", VALLEY, 20_387), ("26T08:00", PEAK, 20_387)],
    ),
    "Lord Howe falls back half an hour at 15:00 UTC, 02:00 becomes 01:30": (
        ("Australia/Lord_Howe", "2025-04-05T14:00Z", "2025-04-05T17:00Z"),
        [
            ("05T14:00", VALLEY, 20_184),
            ("05T15:00", VALLEY, 20_184),
            ("05T15:30", VALLEY, 20_184),
            ("05T16:30", VALLEY, 20_184),
        ],
    ),
    "Lord Howe springs forward half an hour at 15:30 UTC, 02:00 becomes 02:30": (
        ("Australia/Lord_Howe", "2025-10-04T14:00Z", "2025-10-04T17:00Z"),
        [
            ("04T14:00", VALLEY, 20_366),
            ("04T14:30", VALLEY, 20_366),
            ("04T15:30", VALLEY, 20_366),
            ("04T16:00", VALLEY, 20_366),
        ],
    ),
    "Kolkata's hours, midnight and bands begin at half past": (
        ("Asia/Kolkata", "2025-01-01T18:00Z", "2025-01-01T20:00Z"),
        [("01T18:00", VALLEY, 20_089), ("01T18:30", VALLEY, 20_090), ("01T19:30", VALLEY, 20_090)],
    ),
    "Kolkata's peak begins at 02:30 UTC": (
        ("Asia/Kolkata", "2025-01-01T02:00Z", "2025-01-01T03:00Z"),
        [("01T02:00", VALLEY, 20_089), ("01T02:30", PEAK, 20_089)],
    ),
    "Samoa went from 29 to 31 December 2011 at 10:00 UTC": (
        ("Pacific/Apia", "2011-12-30T09:00Z", "2011-12-30T11:00Z"),
        [("30T09:00", VALLEY, 15_337), ("30T10:00", VALLEY, 15_339)],
    ),
}


@pytest.mark.parametrize(("span", "expected"), CLOCKS.values(), ids=CLOCKS.keys())
def test_clocks_that_change(span, expected):
    """Hours, bands and days follow the wall clock of the tariff's zone through every kind of change."""
    assert rows(timeline_of(*span)) == expected


@pytest.mark.parametrize(("day", "hours"), [("2025-03-30", 6), ("2025-06-01", 7), ("2025-10-26", 8)])
def test_economy_7_nights_have_six_seven_or_eight_hours(day, hours):
    """00:30 to 07:30 on the wall is an hour shorter or longer in the nights in which clocks change."""
    economy = load_tariff(catalogue()["economy-7-example"])
    noon = ms(f"{day}T12:00Z")
    segments = compile_timeline([plan_of(economy)], noon - DAY_MS, noon).segments

    night = np.diff(segments["start"])[segments["band"][:-1] == economy.bands.index("night")]
    assert night.sum() == hours * HOUR_MS


def test_tariffs_follow_one_another_and_keep_their_rows():
    """`first` of the second tariff points past the first one's sentinel."""
    pair = [tariff("Asia/Shanghai", version("2020-01-01T00:00Z")), tariff("Asia/Kolkata", version("2020-01-01T00:00Z"))]
    timeline = compile_timeline([plan_of(each) for each in pair], ms("2025-01-01T00:00Z"), ms("2025-01-01T02:00Z"))

    assert timeline.first.tolist() == [[0, 1, 2], [3, 4, 6]]
    assert starts(timeline) == [
        *["01T00:00", "01T01:00", "01T02:00"],
        *["01T00:00", "01T00:30", "01T01:30", "01T02:00"],
    ]


def test_no_tariffs_make_an_empty_timeline():
    """A machine that has not been told of any tariff still compiles."""
    timeline = compile_timeline([], 0, HOUR_MS)

    assert timeline.first.shape == (0, 2)
    assert timeline.segments.dtype == SEGMENT
    assert len(timeline.segments) == 0


def test_a_year_in_london_has_8760_local_hours_and_both_changes():
    """Every local hour of 2025 is one segment: 365 days of 24, one of 23 and one of 25 among them."""
    segments = timeline_of("Europe/London", "2025-01-01T00:00Z", "2026-01-01T00:00Z").segments

    per_day = np.bincount(segments["day"][:-1] - 20_089)
    assert len(segments) - 1 == 8760
    assert sorted(set(per_day)) == [23, 24, 25]


@settings(max_examples=150)
@given(st.data())
def test_the_timeline_says_what_the_calendar_says(data):
    """At any instant, and on both sides of every cut, all that a price depends on is what the plain calendar says."""
    span = data.draw(spans())
    plan = data.draw(plans(span))
    timeline = compile_timeline([plan], *span)

    cuts = data.draw(st.lists(st.sampled_from(timeline.segments["start"][:-1].tolist()), max_size=12))
    instants = data.draw(st.lists(st.integers(timeline.from_ms, timeline.until_ms - 1), min_size=1, max_size=12))
    for at in [*instants, *cuts, *(max(cut - 1, timeline.from_ms) for cut in cuts)]:
        segment, moment = segment_at(timeline, 0, at), moment_of(plan, at)
        rule = timeline.rulings[segment.rate]
        assert (segment.band, segment.day, segment.period) == (moment.band, moment.day, moment.period)
        assert (rule.stage, rule.version, rule.season, rule.band) == (
            moment.stage,
            moment.version,
            moment.season,
            moment.band,
        )
        assert rule.period_days in {0, moment.period_days}


def test_plans_that_differ_in_premises_share_their_segments():
    """A building of households of many sizes is compiled once; only the limits are each household's own."""
    tiers = Tiers(Cycle.MONTH, per=Per.PERSON)
    schedule = Schedule(None, (100_000,), (), ((1, 2),))
    season = Season("", (), ALL_ONE, (0,) * 7, None, None, (), ((schedule,),))
    stepped = tariff("Asia/Shanghai", Version(0, (season,), tiers, (ENERGY,)), bands=("flat",))
    households = [plan_of(stepped, Premises(persons=persons)) for persons in (1, 3, 7)]

    timeline = compile_timeline(households, 0, DAY_MS)

    assert timeline.track.tolist() == [0, 0, 0]
    assert timeline.edges[timeline.rate].tolist() == [
        [100_000, NO_LIMIT],
        [300_000, NO_LIMIT],
        [700_000, NO_LIMIT],
    ]


@pytest.mark.parametrize(
    ("rule", "at", "expected"),
    [
        (Tiers(Cycle.MONTH), "2025-03-15T12:00+08:00", "2025-03-01T00:00+08:00"),
        (Tiers(Cycle.MONTH, day=20), "2025-03-15T12:00+08:00", "2025-02-20T00:00+08:00"),
        (Tiers(Cycle.YEAR), "2024-12-31T23:59+08:00", "2024-01-01T00:00+08:00"),
        (Tiers(Cycle.YEAR), "2025-01-01T00:00+08:00", "2025-01-01T00:00+08:00"),
        (Tiers(Cycle.YEAR, month=12), "2025-11-30T23:59+08:00", "2024-12-01T00:00+08:00"),
        (Tiers(Cycle.YEAR, month=12), "2025-12-01T00:00+08:00", "2025-12-01T00:00+08:00"),
        (Tiers(Cycle.TWO_MONTHS), "2025-02-28T12:00+08:00", "2025-01-01T00:00+08:00"),
        (Tiers(Cycle.TWO_MONTHS, month=2), "2025-01-31T12:00+08:00", "2024-12-01T00:00+08:00"),
        (Tiers(Cycle.DAY), "2024-02-29T12:00+08:00", "2024-02-29T00:00+08:00"),
    ],
)
def test_a_tier_period_begins_at_local_midnight(rule, at, expected):
    """A year that begins in December, odd and even pairs of months, meter-reading days, and a leap day."""
    schedule = Schedule(None, (1,), (), ((1, 2),))
    season = Season("", (), ALL_ONE, (0,) * 7, None, None, (), ((schedule,),))
    stepped = tariff("Asia/Shanghai", Version(0, (season,), rule, (ENERGY,)), bands=("flat",))

    timeline = compile_timeline([plan_of(stepped)], ms(at), ms(at) + 1)

    assert segment_at(timeline, 0, ms(at)).period == ms(expected) // 60_000


def test_a_year_does_not_continue_the_count_of_a_month():
    """Where the cycle changes, the count begins anew at the change, and does not jump back to January."""
    season = Season("", (), ALL_ONE, (0,) * 7, None, None, (), ((Schedule(None, (1,), (), ((1, 2),)),),))
    monthly = Version(0, (season,), Tiers(Cycle.MONTH), (ENERGY,))
    yearly = Version(ms("2025-07-10T00:00+08:00"), (season,), Tiers(Cycle.YEAR), (ENERGY,))
    changed = tariff("Asia/Shanghai", monthly, yearly, bands=("flat",))
    august = ms("2025-08-20T12:00+08:00")

    timeline = compile_timeline([plan_of(changed)], august, august + 1)

    assert segment_at(timeline, 0, august).period == ms("2025-07-10T00:00+08:00") // 60_000


def test_an_assignment_cuts_and_may_begin_the_count_anew():
    """From the minute of an assignment on the other tariff rules; the count goes on or begins anew, as it says."""
    season = Season("", (), ALL_ONE, (0,) * 7, None, None, (), ((Schedule(None, (1,), (), ((1, 2),)),),))
    stepped = tariff("Asia/Shanghai", Version(0, (season,), Tiers(Cycle.MONTH), (ENERGY,)), bands=("flat",))
    at = ms("2025-07-10T10:20+08:00")

    for restart, expected in ((False, ms("2025-07-01T00:00+08:00")), (True, at)):
        plan = (Stage(0, stepped), Stage(at, stepped, restart=restart))
        timeline = compile_timeline([plan], at - 1, at + 1)
        assert segment_at(timeline, 0, at).start == at
        assert segment_at(timeline, 0, at).period == expected // 60_000
        assert segment_at(timeline, 0, at - 1).period == ms("2025-07-01T00:00+08:00") // 60_000


@settings(max_examples=100)
@given(st.data())
def test_segments_tile_the_span_and_are_at_most_an_hour(data):
    """No hole, no overlap, no segment longer than 60 minutes, and `first` is the segment of each hour's begin."""
    span = data.draw(spans())
    timeline = compile_timeline([data.draw(plans(span))], *span)

    begins = timeline.segments["start"]
    lengths = np.diff(begins)
    hours = np.arange(timeline.base_hour, timeline.until_ms // HOUR_MS + 1) * HOUR_MS
    assert (begins[0], begins[-1]) == (timeline.from_ms, timeline.until_ms)
    assert lengths.min() > 0
    assert lengths.max() <= HOUR_MS
    assert (begins[timeline.first[0]] <= hours).all()
    assert (begins[timeline.first[0][:-1] + 1] > hours[:-1]).all()
