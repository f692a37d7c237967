import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tariff_cases import clock, ms, plans, spans, tariff, timed

from domain.units import HOUR_MS, MINUTE_MS, PICOS_PER_MICRO, PRICE_MAX_NANOS, USAGE_MAX
from tariffs import rating
from tariffs.loader import catalogue, load_tariff
from tariffs.rating import Piece
from tariffs.tariff import Plan, Stage, Tariff, plan_of
from tariffs.timeline import compile_timeline

SHANGHAI = load_tariff(catalogue()["shanghai-residential-tou"])
ECONOMY_7 = load_tariff(catalogue()["economy-7-example"])


def cost_of(tariff: Tariff | Plan, start: int, end: int, usage: int) -> list[Piece]:
    """The pieces of an interval whose periods begin with it."""
    return rating.cost_of(plan_of(tariff) if isinstance(tariff, Tariff) else tariff, start, end, usage).pieces


def lines(pieces: list[Piece]) -> list[tuple[str, int, int, int]]:
    """(start, band, usage, cost) of each piece."""
    return [(clock(piece.start_ms), piece.moment.band, piece.usage, piece.cost_picos) for piece in pieces]


def test_an_evening_over_a_band_edge_and_midnight():
    """100 Wh from 21:30 to 00:30: by 22:00 16 2/3, by 23:00 50, by midnight 83 1/3 have flowed, in whole Wh."""
    pieces = cost_of(SHANGHAI, ms("2025-01-01T21:30+08:00"), ms("2025-01-02T00:30+08:00"), 100)

    assert lines(pieces) == [
        ("01T13:30", 0, 16, 16 * 617_000_000),
        ("01T14:00", 1, 34, 34 * 307_000_000),
        ("01T15:00", 1, 33, 33 * 307_000_000),
        ("01T16:00", 1, 17, 17 * 307_000_000),
    ]
    assert [piece.moment.day for piece in pieces] == [20_089, 20_089, 20_089, 20_090]


def test_a_price_that_changes_within_an_hour_splits_it():
    """60 Wh in an hour, the price rising after 20 minutes: 20 at the old price and 40 at the new one."""
    flat = tariff(
        "Asia/Shanghai",
        timed(ms("2024-01-01T00:00+08:00"), (500_000_000,), (((0, 0),),), (0,) * 7),
        timed(ms("2025-01-01T10:20+08:00"), (700_000_000,), (((0, 0),),), (0,) * 7),
        bands=("flat",),
    )
    pieces = cost_of(flat, ms("2025-01-01T10:00+08:00"), ms("2025-01-01T11:00+08:00"), 60)

    assert lines(pieces) == [("01T02:00", 0, 20, 20 * 500_000_000), ("01T02:20", 0, 40, 40 * 700_000_000)]


def test_two_price_changes_in_one_interval_both_count():
    """Neither the later price is lost nor the oldest one kept: three prices, three hours, three pieces."""
    hourly = (timed(ms(f"2025-01-01T0{hour}:00Z"), (hour * 10**9,), (((0, 0),),), (0,) * 7) for hour in (1, 2, 3))
    pieces = cost_of(
        tariff("Asia/Shanghai", *hourly, bands=("flat",)), ms("2025-01-01T01:00Z"), ms("2025-01-01T04:00Z"), 3
    )

    assert [(piece.usage, piece.price) for piece in pieces] == [(1, 10**9), (1, 2 * 10**9), (1, 3 * 10**9)]


@pytest.mark.parametrize(
    ("start", "end", "night_hours"),
    [
        ("2025-03-30T00:00Z", "2025-03-30T23:00Z", 6),
        ("2025-10-25T23:00Z", "2025-10-27T00:00Z", 8),
    ],
    ids=["the day of 23 hours", "the day of 25 hours"],
)
def test_a_day_on_which_clocks_change(start, end, night_hours):
    """60 Wh an hour through the whole day: every hour is priced once, and the night has one less or one more."""
    hours = (ms(end) - ms(start)) // HOUR_MS
    pieces = cost_of(ECONOMY_7, ms(start), ms(end), hours * 60)

    night = sum(piece.usage for piece in pieces if ECONOMY_7.bands[piece.moment.band] == "night")
    assert night == night_hours * 60
    assert sum(piece.usage for piece in pieces) == hours * 60
    assert len({piece.moment.day for piece in pieces}) == 1


@pytest.mark.parametrize(
    ("local", "band"),
    [
        ("00:00:00", "valley"),
        ("07:59:59", "valley"),
        ("08:00:00", "flat"),
        ("10:00:00", "peak"),
        ("12:00:00", "flat"),
        ("14:00:00", "peak"),
        ("19:00:00", "flat"),
        ("23:59:59", "flat"),
    ],
)
def test_windows_are_half_open(local, band):
    """Guangzhou's clock: 08:00:00 already belongs to the new band, 07:59:59 still to the old one."""
    guangzhou = load_tariff(catalogue()["guangzhou-residential-tou"])
    at = ms(f"2025-09-01T{local}+08:00")

    (piece,) = cost_of(guangzhou, at, at + 1_000, 1)

    assert guangzhou.bands[piece.moment.band] == band


def test_a_real_bill_comes_out_to_the_cent():
    """10.76 kWh peak and 7.53 kWh valley cost 8.28 yuan in Zhejiang: 6.11168 + 2.16864 = 8.28032."""
    zhejiang = load_tariff(catalogue()["zhejiang-residential-tou"])
    peak = cost_of(zhejiang, ms("2026-02-01T09:00+08:00"), ms("2026-02-01T21:00+08:00"), 10_760)
    valley = cost_of(zhejiang, ms("2026-02-01T22:00+08:00"), ms("2026-02-02T07:00+08:00"), 7_530)

    assert sum(piece.cost_picos for piece in peak + valley) == 8_280_320_000_000


def test_seconds_at_the_ends_belong_to_the_first_and_last_piece():
    """An interval need not begin or end at a whole minute."""
    start, end = ms("2025-01-01T13:59:30Z"), ms("2025-01-01T14:00:15Z")

    assert lines(cost_of(SHANGHAI, start, end, 45)) == [
        ("01T13:59", 0, 30, 30 * 617_000_000),
        ("01T14:00", 1, 15, 15 * 307_000_000),
    ]


def test_no_usage_costs_nothing_and_a_negative_price_gives_back():
    """Negative lines exist in real tariffs; a cost keeps the sign of its price."""
    refunding = tariff("Asia/Shanghai", timed(0, (-5,), (((0, 0),),), (0,) * 7), bands=("flat",))

    assert cost_of(refunding, 0, HOUR_MS, 7)[0].cost_picos == -35
    assert cost_of(refunding, 0, HOUR_MS, 0) == []


def test_the_highest_cost_fits_two_numbers_of_64_bits():
    """What docs/decisions/0003 says: whole micros and the exact picos of one reading both fit, at the highest price."""
    whole, rest = divmod(PRICE_MAX_NANOS, PICOS_PER_MICRO)

    assert USAGE_MAX * whole < 2**63
    assert USAGE_MAX * max(rest, PICOS_PER_MICRO - 1) < 2**63


def test_a_tariff_of_another_zone_cuts_once_where_it_begins():
    """The offset that changes with it is part of the same cut, not another one a minute later."""
    change = ms("2025-03-30T01:00Z")
    zones = ("Asia/Shanghai", "Asia/Kolkata")
    plan = tuple(
        Stage(begin, tariff(zone, timed(0, (5,)), bands=("flat",)))
        for begin, zone in zip((0, change), zones, strict=True)
    )

    pieces = cost_of(plan, change - MINUTE_MS, change + 5 * MINUTE_MS, 600)

    assert [(piece.start_ms - change, piece.usage) for piece in pieces] == [(-MINUTE_MS, 100), (0, 500)]


@settings(max_examples=60)
@given(st.data(), st.integers(0, 900_000), st.integers(1, 6 * HOUR_MS))
def test_pieces_add_up_and_are_cut_where_the_timeline_is(data, usage, length):
    """No Wh is lost between pieces, and but for limits they begin where the compiler's segments do."""
    span = data.draw(spans())
    start, end = span[0], min(span[1], span[0] + length)
    plan = data.draw(plans((start, end + MINUTE_MS)))
    pieces = cost_of(plan, start, end, usage)

    cuts = {start, *compile_timeline([plan], start, end).segments["start"].tolist()}
    assert {piece.start_ms for piece in pieces} <= cuts
    assert sum(piece.usage for piece in pieces) == usage
    assert all(piece.usage > 0 and piece.cost_picos == piece.usage * piece.price for piece in pieces)
    assert [piece.start_ms for piece in pieces] == sorted(piece.start_ms for piece in pieces)
