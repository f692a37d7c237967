"""Tariffs that charge by the registers which a meter keeps for its own bands."""

import pytest

from domain.documents import MistakesError
from tariffs.loader import load_tariff
from tariffs.prepaid import obstacles

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


def test_no_wallet_is_charged_by_the_clock_where_the_tariff_says_by_the_meter():
    """A tariff that asks for the meter's bands is refused for prepaid meters, and never priced as if it had not asked."""
    assert obstacles(load_tariff(HEAD + FIVE)) == []
    assert obstacles(load_tariff(HEAD + BY_METER + FIVE)) == [
        "usage by the meter's own bands is not charged to a wallet"
    ]
