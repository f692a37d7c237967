"""When a wallet will have run down: hours, bands and tiers count, and nothing is promised beyond the horizon."""

import json

import pytest
from tariff_cases import ms

from tariffs.forecast import Outlook, runs_down_at
from tariffs.loader import load_tariff
from tariffs.tariff import plan_of

MIDNIGHT = ms("2026-03-01T16:00Z")  # 2 March, 00:00 in Shanghai
MARCH = (MIDNIGHT - 24 * 3_600_000) // 60_000
HOUR = 3_600_000
DAY = 24 * HOUR


def outlook(daily_wh, used=0, **version):
    """A meter that uses so much a day."""
    document = {
        "tariff": "t", "title": {"zh": "测", "en": "T"}, "commodity": "electricity", "currency": "CNY",
        "zone": "Asia/Shanghai", "source": "made up", "version": [{"from": "2025-01-01", **version}],
    }  # fmt: skip
    return Outlook(plan_of(load_tariff(json.dumps(document, ensure_ascii=False))), daily_wh, {MARCH: used})


TIMED = {
    "prices": {"peak": "2", "valley": "0"},
    "days": {"all": [["00:00", "valley"], ["20:00", "peak"]]},
    "week": {"mon-sun": "all"},
}
STEPPED = {"price": ["1", "4"], "tiers": {"cycle": "month", "limits": ["24"]}}


@pytest.mark.parametrize(
    ("meters", "yuan", "hours"),
    [
        ([outlook(24_000, price="1")], 10, 10),  # 1 kWh an hour at 1.00
        ([outlook(24_000, price="1"), outlook(24_000, price="1")], 10, 5),  # an account with two meters
        ([outlook(24_000, **TIMED)], 2, 21),  # nothing until 20:00, then 2.00 an hour
        ([outlook(24_000, **TIMED)], 9, 24 + 21),  # 8.00 on the first evening
        ([outlook(24_000, **STEPPED)], 32, 26),  # 24 kWh at 1.00, then 4.00
        ([outlook(24_000, used=20_000, **STEPPED)], 12, 6),  # four hours are left in the first tier
    ],
)
def test_when_the_money_is_used_up(meters, yuan, hours):
    """By the prices of the hours and tiers that are still to come."""
    assert runs_down_at(meters, yuan * 10**6, MIDNIGHT) == MIDNIGHT + hours * HOUR


def test_nothing_is_said_about_what_cannot_be_known():
    """A meter that uses nothing never runs down; what lies beyond sixty days is not promised; what is gone is gone now."""
    idle, slow = outlook(0, price="1"), outlook(24, price="1")

    assert runs_down_at([idle], 1, MIDNIGHT) is None
    assert runs_down_at([slow], 10 * 10**6, MIDNIGHT) is None
    assert runs_down_at([slow], 0, MIDNIGHT) == MIDNIGHT
