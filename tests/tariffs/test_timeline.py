import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tariff_cases import clock, ms, spans, tariff, tariffs

from domain.units import DAY_MS, HOUR_MS
from tariffs.loader import Version, catalogue, load_tariff
from tariffs.rating import band_and_price, local_day
from tariffs.timeline import SEGMENT, Timeline, compile_timeline

PEAK, VALLEY = 0, 1
EIGHT_TO_TEN = ((0, VALLEY), (480, PEAK), (1320, VALLEY))
ALL_VALLEY = ((0, VALLEY),)
PRICES = (617_000_000, 307_000_000)


def version(start: str, prices=PRICES, days=(EIGHT_TO_TEN,), week=(0,) * 7) -> Version:
    """A version from an ISO time on, by default peak from 08:00 to 22:00 every day."""
    return Version(ms(start), prices, days, week)


def timeline_of(zone: str, start: str, until: str, *versions: Version) -> Timeline:
    """The timeline of one tariff."""
    return compile_timeline([tariff(zone, *(versions or (version("2020-01-01T00:00Z"),)))], ms(start), ms(until))


def rows(timeline: Timeline) -> list[tuple[str, int, int]]:
    """(start, band, day) of each segment but the sentinel."""
    return [(clock(int(s.start)), int(s.band), int(s.day)) for s in timeline.segments[:-1]]


def starts(timeline: Timeline) -> list[str]:
    """Where the segments start, and the end."""
    return [clock(int(segment.start)) for segment in timeline.segments]


def segment_at(timeline: Timeline, row: int, at: int) -> np.record:
    """The segment of an instant, found as the reading kernel finds it."""
    index = timeline.first[row, at // HOUR_MS - timeline.base_hour]
    while timeline.segments[index + 1].start <= at:
        index += 1
    return timeline.segments[index]


def test_a_segment_is_24_bytes_and_answers_to_its_names():
    """The kernel reads `segment.price`, compiled or not, and no byte of a row is padding."""
    timeline = timeline_of("Asia/Shanghai", "2025-01-01T00:00Z", "2025-01-01T01:00Z")

    assert SEGMENT.itemsize == 24
    assert timeline.segments.dtype == SEGMENT
    assert timeline.segments[0].price == PRICES[PEAK]


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

    assert timeline.segments[-1].tolist() == (ms("2025-01-01T16:00Z"), PRICES[VALLEY], 20_090, VALLEY)


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
    assert timeline.segments["price"].tolist() == [617_000_000, 700_000_000, 700_000_000, 700_000_000]


@pytest.mark.parametrize("start", ["2025-01-01T00:20Z", "2030-01-01T00:00Z"])
def test_before_the_first_version_its_prices_hold(start):
    """Readings older than the tariff are priced by its first version, and its own beginning cuts nothing."""
    timeline = timeline_of("Asia/Shanghai", "2025-01-01T00:00Z", "2025-01-01T01:00Z", version(start))

    assert starts(timeline) == ["01T00:00", "01T01:00"]
    assert timeline.segments[0].price == PRICES[PEAK]


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

    assert timeline.segments["price"].tolist() == [5, 5]


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
    segments = compile_timeline([economy], noon - DAY_MS, noon).segments

    night = np.diff(segments["start"])[segments["band"][:-1] == economy.bands.index("night")]
    assert night.sum() == hours * HOUR_MS


def test_tariffs_follow_one_another_and_keep_their_rows():
    """`first` of the second tariff points past the first one's sentinel."""
    pair = [tariff("Asia/Shanghai", version("2020-01-01T00:00Z")), tariff("Asia/Kolkata", version("2020-01-01T00:00Z"))]
    timeline = compile_timeline(pair, ms("2025-01-01T00:00Z"), ms("2025-01-01T02:00Z"))

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


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_the_timeline_says_what_the_calendar_says(data):
    """At any instant, and on both sides of every cut, band, price and day are those of the plain calendar."""
    span = data.draw(spans())
    any_tariff = data.draw(tariffs(span))
    timeline = compile_timeline([any_tariff], *span)

    cuts = data.draw(st.lists(st.sampled_from(timeline.segments["start"][:-1].tolist()), max_size=12))
    instants = data.draw(st.lists(st.integers(timeline.from_ms, timeline.until_ms - 1), min_size=1, max_size=12))
    for at in [*instants, *cuts, *(max(cut - 1, timeline.from_ms) for cut in cuts)]:
        segment = segment_at(timeline, 0, at)
        assert (segment.band, segment.price) == band_and_price(any_tariff, at)
        assert segment.day == local_day(any_tariff, at)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_segments_tile_the_span_and_are_at_most_an_hour(data):
    """No hole, no overlap, no segment longer than 60 minutes, and `first` is the segment of each hour's begin."""
    span = data.draw(spans())
    timeline = compile_timeline([data.draw(tariffs(span))], *span)

    begins = timeline.segments["start"]
    lengths = np.diff(begins)
    hours = np.arange(timeline.base_hour, timeline.until_ms // HOUR_MS + 1) * HOUR_MS
    assert (begins[0], begins[-1]) == (timeline.from_ms, timeline.until_ms)
    assert lengths.min() > 0
    assert lengths.max() <= HOUR_MS
    assert (begins[timeline.first[0]] <= hours).all()
    assert (begins[timeline.first[0][:-1] + 1] > hours[:-1]).all()
