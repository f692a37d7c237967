"""Tariffs that charge by the registers which a meter keeps for its own bands."""

import pytest

from domain.documents import MistakesError
from domain.units import HOUR_MS
from tariffs.loader import load_tariff
from tariffs.prepaid import obstacles
from tariffs.tariff import plan_of
from tariffs.timeline import compile_timeline

HEAD = """\
tariff = "shop"
title = { zh = "商铺", en = "Shop" }
commodity = "electricity"
currency = "CNY"
zone = "Asia/Shanghai"
source = "contract of 2025"
"""
BY_METER = 'usage_by = "meter_bands"\n'
DAYS = """
[version.days]
all = [["00:00", "valley"], ["08:00", "peak"], ["18:00", "flat"]]
[version.week]
"mon-sun" = "all"
"""
THREE = '\n[[version]]\nfrom = 2025-01-01\nprices = { peak = "3", valley = "1", flat = "2" }' + DAYS
FIVE = THREE.replace('flat = "2" }', 'flat = "2", sharp = "4", deep_valley = "0.5" }')
ALIASES = 'meter_bands = { sharp = "peak", deep_valley = "valley" }\n'
SUMMER = """
[[version.season]]
name = "summer"
months = [7, 8]
prices = { peak = "4", valley = "1" }
[version.season.days]
hot = [["00:00", "valley"], ["08:00", "peak"]]
[version.season.week]
"mon-sun" = "hot"
"""


@pytest.mark.parametrize(
    ("text", "registers"),
    [
        (HEAD + THREE, ()),
        (HEAD + 'usage_by = "clock"\n' + THREE, ()),
        (HEAD + BY_METER + FIVE, (3, 0, 2, 1, 4)),
        (HEAD + BY_METER + ALIASES + THREE, (0, 0, 2, 1, 1)),
    ],
)
def test_each_register_of_a_meter_is_one_band_of_the_tariff(text, registers):
    """By the clock unless said otherwise; a register is the band of its own name, or the one that the file says."""
    assert load_tariff(text).registers == registers


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            HEAD + BY_METER + THREE,
            [
                ("meter_bands.sharp", "'sharp'", "a band that has a price in every version and season"),
                ("meter_bands.deep_valley", "'deep_valley'", "a band that has a price in every version and season"),
            ],
        ),
        (
            HEAD + BY_METER + ALIASES + THREE + SUMMER,
            [("meter_bands.flat", "'flat'", "a band that has a price in every version and season: peak, valley")],
        ),
        (
            HEAD + BY_METER + ALIASES + THREE + THREE.replace("2025", "2026").replace(', flat = "2"', "").replace(
                ', ["18:00", "flat"]', ""
            ),
            [("meter_bands.flat", "'flat'", "a band that has a price in every version and season: peak, valley")],
        ),
        (
            HEAD + BY_METER + 'meter_bands = { tip = "peak" }\n' + FIVE,
            [("meter_bands.tip", "'tip'", "a register of a meter: sharp, peak, flat, valley, deep_valley")],
        ),
        (HEAD + ALIASES + THREE, [("meter_bands", "", 'no such key without usage_by = "meter_bands"')]),
        (HEAD + 'usage_by = "bands"\n' + THREE, [("usage_by", "'bands'", "")]),
        (
            HEAD.replace("electricity", "water") + BY_METER + FIVE,
            [("usage_by", "'meter_bands'", '"clock" for water: its meters keep no registers by band')],
        ),
    ],
)  # fmt: skip
def test_a_register_without_a_price_is_a_mistake_where_the_file_should_have_said_it(text, said):
    """Nothing that a meter may count is left to be priced at nothing: unknown bands, seasons and versions that lack one."""
    with pytest.raises(MistakesError) as caught:
        load_tariff(text)

    found = caught.value.mistakes
    assert [mistake.key for mistake in found] == [key for key, _, _ in said]
    for mistake, (_, value, expected) in zip(found, said, strict=True):
        assert value in mistake.found
        assert expected in mistake.expected


@pytest.mark.parametrize("by", ["", BY_METER])
def test_a_wallet_can_be_charged_whoever_chooses_the_band(by):
    """By the clock or by the meter's registers: both are known when the reading is."""
    assert obstacles(load_tariff(HEAD + by + FIVE)) == []


def test_the_timeline_has_the_prices_of_each_register_beside_those_of_the_clock():
    """For every row of prices, the rows that hold, at the same time, the bands of the five registers; none where the clock chooses."""
    plans = [plan_of(load_tariff(HEAD + text)) for text in (BY_METER + FIVE, BY_METER + ALIASES + THREE, THREE)]
    timeline = compile_timeline(plans, 0, 24 * HOUR_MS)

    for plan, first, last in zip(plans, timeline.rate, [*timeline.rate[1:], len(timeline.band)], strict=True):
        bands = plan[0].tariff.registers
        for row in timeline.registers[first:last]:
            assert timeline.band[row].tolist() == list(bands) if bands else row.tolist() == [-1] * 5
            assert all(first <= each < last for each in row if bands)
