"""A meter's own band registers: how they divide what its total has counted, and what that costs."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from histories import order_text, readings, time_of_use
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.facts import AccountOpened, AlarmTerms, MeterInstalled, TariffAssigned, TariffPublished
from domain.units import HOUR_MS, MINUTE_MS, PICOS_PER_MICRO
from domain.words import Commodity
from flows.machine import fold
from flows.state import ShardState
from tariffs.loader import load_tariff
from tariffs.rating import parts_of
from tariffs.tariff import plan_of

START = 1_764_979_200_000  # 2025-12-06 00:00 UTC, 8:00 in Shanghai
MODULUS = 1_000_000
RATED = 12_000
PRICES = {"peak": "1.2", "flat": "0.7", "valley": "0.35"}
DAY = [("00:00", "valley"), ("08:00", "flat"), ("09:20", "peak"), ("11:00", "flat"), ("13:30", "valley")]
VERSION = ("2024-01-01", PRICES, {"all": DAY})
BY_CLOCK, BY_METER = (time_of_use("shop", "Asia/Shanghai", VERSION, by_meter=asks) for asks in (False, True))
BANDS = list(PRICES)

quick = settings(max_examples=60)


class Shop:
    """An account with one meter, read with its own registers."""

    def __init__(self, document=BY_METER, modulus=MODULUS, ratio=1, register=0):
        self.orders, self.state = 0, ShardState(0)
        self.usage = []
        self.live(TariffPublished(at=START, id=self.order(), tariff="shop", document=document))
        alarms = AlarmTerms(low=0, pretrip=0, max_balance=10**9)
        self.live(AccountOpened(at=START, id=self.order(), account="shop", currency="CNY", alarms=alarms))
        self.live(
            MeterInstalled(
                at=START, id=self.order(), meter=1, account="shop", commodity=Commodity.ELECTRICITY, tariff="shop",
                modulus=modulus, rated_per_hour=RATED, ratio=ratio, opening_register=register,
            )
        )  # fmt: skip

    def order(self):
        """The id of the next order."""
        self.orders += 1
        return order_text(START, self.orders)

    def live(self, fact):
        """Tell the machine a fact."""
        self.state, (effects,) = fold(self.state, [((self.state.position[0] + 1, 0), fact)])
        self.usage += [] if effects.usage is None else [row.copy() for row in effects.usage]

    def read(self, minutes, register, bands=None):
        """Read the meter so many minutes after the start. Returns the Wh charged of each band: in closed windows and the open one."""
        before = self.charged()
        self.live(readings((1, START + minutes * MINUTE_MS, register), bands=None if bands is None else [bands]))
        return {band: wh for band, wh in (self.charged() - before).items() if wh}

    def charged(self):
        """Wh of each band, in all windows."""
        found = Counter()
        for row in self.usage:
            found[BANDS[int(row.band)]] += int(row.usage)
        meter = self.state.meters.rows[0]
        if meter.window_start >= 0:
            found[BANDS[int(meter.window_band)]] += int(meter.window_usage)
        return found

    @property
    def balance(self):
        """Picos."""
        account = self.state.accounts.rows[0]
        return int(account.balance) * PICOS_PER_MICRO + int(account.balance_picos)


@pytest.mark.parametrize(
    ("total", "bands", "charged"),
    [
        (500, (0, 500, 0, 0, 0), {"peak": 500}),
        (500, (200, 0, 0, 0, 300), {"peak": 200, "valley": 300}),
        (500, (0, 200, 0, 300, 0), {"peak": 200, "valley": 300}),
        (500, (0, 510, 0, 0, 0), {"peak": 500}),
        (505, (0, 100, 400, 0, 0), {"peak": 100, "flat": 405}),
        (505, (0, 250, 0, 250, 0), {"peak": 255, "valley": 250}),
        (5, (0, 0, 0, 0, 0), {"flat": 5}),
        (0, (0, 0, 0, 0, 0), {}),
        (700, (0, 0, 0, 700 - 260, 0), {"valley": 700}),
        (700, (0, 0, 0, 700 - 261, 0), {"flat": 700}),
        (500, (0, 0, 0, 500 + 261, 0), {"flat": 500}),
        (500, (0, -260, 0, 760, 0), {"valley": 500}),
        (500, (0, -261, 0, 761, 0), {"flat": 500}),
    ],
)
def test_the_registers_divide_what_the_total_has_counted(total, bands, charged):
    """In their order while it lasts, the rest to the one with most; by the clock, which says flat, where they are 260 Wh off."""
    shop = Shop()
    shop.read(1, 0, (1_000,) * 5)

    assert shop.read(60, total, tuple(1_000 + band for band in bands)) == charged


def test_registers_pass_their_wrap_each_by_itself():
    """A register that begins again at nothing has counted past its end, and not backwards; nor is a little too much a whole turn."""
    shop = Shop(register=MODULUS - 100)
    shop.read(1, MODULUS - 100, (0, MODULUS - 30, MODULUS - 5, 0, 0))

    assert shop.read(30, 400, (0, 270, 195, 0, 0)) == {"peak": 300, "flat": 200}
    assert shop.read(40, 405, (0, 270, 195, 0, 0)) == {"peak": 5}
    assert shop.read(50, 415, (0, 270, 205, 0, 0)) == {"flat": 10}


@pytest.mark.parametrize("bands", [None, (0, -1, 0, 0, 0), (0, MODULUS, 0, 0, 0), (0, 2**62, 0, 0, -(2**62))])
def test_an_interval_without_registers_at_both_ends_is_divided_by_the_clock(bands):
    """Registers that were not read, or that no meter can show, leave the clock to say the band, until there are two in a row again."""
    shop = Shop()
    assert shop.read(10, 100, (0, 100, 0, 0, 0)) == {"flat": 100}
    assert shop.read(20, 200, (0, 200, 0, 0, 0)) == {"peak": 100}
    assert shop.read(30, 300, bands) == {"flat": 100}
    assert shop.read(40, 400, (0, 400, 0, 0, 0)) == {"flat": 100}
    assert shop.read(50, 500, (0, 500, 0, 0, 0)) == {"peak": 100}


def test_what_one_reading_rounds_away_the_next_takes_back():
    """Registers of 10 Wh, read every minute, are charged what they have moved in the end: within 40 Wh, and without drift."""
    shop, true, chosen = Shop(), np.zeros(5, np.int64), np.random.default_rng(5)
    shop.read(1, 0, (0,) * 5)
    for minute in range(2, 600):
        true[(minute // 37) % 5] += chosen.integers(0, 40)
        shop.read(minute, int(true.sum()) // 10 * 10, tuple((true // 10 * 10).tolist()))

    charged = shop.charged()
    counted = {"peak": true[0] + true[1], "flat": true[2], "valley": true[3] + true[4]}
    assert charged.total() == true.sum() // 10 * 10
    assert all(abs(charged[band] - wh) <= 80 for band, wh in counted.items())


@quick
@given(st.lists(st.tuples(st.integers(1, 90), st.integers(0, 2_000)), max_size=12), st.sampled_from([1, 40]))
def test_registers_that_follow_our_clock_cost_what_our_clock_says(steps, ratio):
    """A meter whose clock agrees with ours to the second pays the same, to the last unit, whichever of the two chooses the band."""
    plan = plan_of(load_tariff(BY_CLOCK))
    by_meter, by_clock = Shop(BY_METER, ratio=ratio), Shop(BY_CLOCK, ratio=ratio)
    at, register, bands = 1, 0, [0] * 5
    for shop in (by_meter, by_clock):
        shop.read(at, register, tuple(bands))
    for minutes, wished in steps:
        usage = min(wished, RATED * minutes // 60)
        start, at, register = START + at * MINUTE_MS, at + minutes, register + usage
        for part in parts_of(plan, start, START + at * MINUTE_MS, usage * ratio):
            bands[1 + part.moment.band] += part.usage
        shown = tuple(each // ratio for each in bands)
        by_meter.read(at, register, shown)
        by_clock.read(at, register, shown)

    if ratio == 1:
        assert by_meter.balance == by_clock.balance
        assert by_meter.charged() == by_clock.charged()
    assert by_meter.charged().total() == by_clock.charged().total() == register * ratio


@quick
@given(st.lists(st.lists(st.integers(0, 300), min_size=5, max_size=5), max_size=15), st.integers(1, 120))
def test_a_meter_pays_for_each_band_what_its_register_has_moved(moves, minutes):
    """Registers of 1 Wh: each band is charged to the Wh, and all together what the total has counted, over any hours and days."""
    shop, own = Shop(modulus=0), np.zeros(5, np.int64)
    shop.read(1, 0, (0,) * 5)
    for number, move in enumerate(moves):
        own += np.minimum(move, RATED * minutes // 60 // 5)
        shop.read(1 + (number + 1) * minutes, int(own.sum()), tuple(own.tolist()))

    charged = {"peak": own[0] + own[1], "flat": own[2], "valley": own[3] + own[4]}
    assert shop.charged() == {band: int(wh) for band, wh in charged.items() if wh}


def test_a_tariff_by_the_clock_comes_back_to_the_clock():
    """After a change of tariff the clock chooses; the total of the two hours is divided without losing a Wh."""
    shop = Shop()
    shop.live(TariffPublished(at=START, id=shop.order(), tariff="next", document=BY_CLOCK.replace('"shop"', '"next"')))
    noon = START + HOUR_MS
    shop.live(TariffAssigned(at=START, id=shop.order(), meter=1, tariff="next", starts_at=noon))
    shop.read(0, 0)
    shop.read(1, 0, (0,) * 5)

    assert shop.read(60, 590, (0, 0, 0, 590, 0)) == {"valley": 590}
    assert shop.read(70, 690, (0, 0, 0, 690, 0)) == {"flat": 100}


def test_only_meters_whose_tariff_asks_for_it_have_registers_kept():
    """A row of their own is for those meters alone, from when on their plan asks."""
    by_clock, by_meter = Shop(BY_CLOCK), Shop(BY_METER)
    for shop in (by_clock, by_meter):
        shop.read(1, 0, (1, 2, 3, 4, 5))

    assert by_clock.state.band_registers.count == 0
    (row,) = by_meter.state.band_registers.rows
    assert (int(row.time), int(row.sharp), int(row.deep_valley)) == (START + MINUTE_MS, 1, 5)


@pytest.mark.parametrize("document", [BY_CLOCK, BY_METER])
def test_parts_by_registers_add_up_to_each_of_them(document):
    """The slow truth spreads each register's usage over the interval, and loses none of it."""
    plan, shares = plan_of(load_tariff(document)), (0, 333, 100, 68, 0)
    parts = list(parts_of(plan, START, START + 7 * HOUR_MS, sum(shares), shares))

    assert sum(part.usage for part in parts) == sum(shares)
    found = Counter()
    for before, after in pairwise([*parts, parts[-1]]):
        found[before.moment.band] += before.usage
        assert before.start_ms <= after.start_ms
    if document == BY_METER:
        assert found == {0: 333, 1: 100, 2: 68}
