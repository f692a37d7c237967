"""The kernel's arithmetic, compiled and as Python, against integers that have no bounds."""

import os
import subprocess
import sys
from fractions import Fraction
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest
from histories import effect_bytes, flat, history, lived, order_text, readings
from hypothesis import example, given, settings
from hypothesis import strategies as st
from streets import Empty

from domain.facts import AccountOpened, AlarmTerms, MeterInstalled, RechargeOrdered, TariffPublished
from domain.state import ACCOUNT
from domain.units import (
    DAY_MS,
    HOUR_MS,
    MONEY_MAX_MICROS,
    ORDER_MAX_MICROS,
    PICOS_PER_MICRO,
    PRICE_MAX_NANOS,
    USAGE_MAX,
)
from domain.words import Commodity, Metering
from flows.machine import fold
from flows.readings.metering import LATEST_MS, row_of, slots_for
from flows.readings.output import ROWS_AT_FIRST
from flows.readings.settling import charge, cost_of, spread
from flows.state import ShardState

ROOT = Path(__file__).parents[2]
START = 1_764_979_200_000
INT64_MAX = 2**63 - 1

quick = settings(max_examples=300)
usages = st.integers(0, USAGE_MAX)
prices = st.integers(-PRICE_MAX_NANOS, PRICE_MAX_NANOS)
durations = st.integers(1, LATEST_MS)


@quick
@given(usages, prices)
@example(USAGE_MAX, PRICE_MAX_NANOS)
@example(USAGE_MAX, -PRICE_MAX_NANOS)
@example(1, -1)
def test_a_cost_is_the_exact_product(usage, price):
    """Micros and picos of a cost are usage times price, with the rest never negative."""
    micros, picos = cost_of(usage, price)

    assert micros * PICOS_PER_MICRO + picos == usage * price
    assert 0 <= picos < PICOS_PER_MICRO


@quick
@given(usages, durations, st.data())
def test_spreading_is_exact_at_every_moment(usage, duration, data):
    """By any moment exactly floor(usage * elapsed / duration) has flowed; nothing at the start and all at the end."""
    elapsed = data.draw(st.integers(0, duration))

    assert spread(usage, elapsed, duration) == usage * elapsed // duration
    assert (spread(usage, 0, duration), spread(usage, duration, duration)) == (0, usage)


@quick
@given(usages, durations, st.lists(st.fractions(0, 1), max_size=20))
def test_pieces_add_up_and_are_never_negative(usage, duration, cuts):
    """However an interval is cut, its pieces are whole, not negative, and make its usage."""
    edges = [0, *sorted(int(cut * duration) for cut in cuts), duration]

    pieces = [spread(usage, end, duration) - spread(usage, start, duration) for start, end in zip(edges, edges[1:])]  # noqa: B905, RUF007 - one shorter

    assert sum(pieces) == usage
    assert min(pieces) >= 0


@pytest.mark.parametrize("duration", [1, 2**15, 2**41 + 1, LATEST_MS])
@pytest.mark.parametrize("usage", [0, 1, 32_767, 32_768, USAGE_MAX - 1, USAGE_MAX])
def test_spreading_at_the_bounds(usage, duration):
    """The most that a reading may add, over the longest interval that is believed, stays inside 64 bits."""
    for elapsed in {0, 1, duration // 2, duration - 1, duration}:
        assert spread(usage, elapsed, duration) == usage * elapsed // duration


@quick
@given(
    st.integers(-MONEY_MAX_MICROS, MONEY_MAX_MICROS),
    st.integers(0, PICOS_PER_MICRO - 1),
    st.lists(st.tuples(usages, prices), min_size=1, max_size=4),
)
def test_a_wallet_loses_exactly_what_is_charged(balance, picos, charges):
    """Whole micros and rest together are exact after any charges, and the rest stays between 0 and 999,999."""
    account = np.zeros(1, ACCOUNT)[0]
    account.balance, account.balance_picos = balance, picos
    must = Fraction(balance) + Fraction(picos, PICOS_PER_MICRO)

    for usage, price in charges:
        charge(account, *cost_of(usage, price))
        must -= Fraction(usage * price, PICOS_PER_MICRO)

    assert Fraction(int(account.balance)) + Fraction(int(account.balance_picos), PICOS_PER_MICRO) == must
    assert 0 <= account.balance_picos < PICOS_PER_MICRO


@settings(max_examples=50)
@given(st.lists(st.integers(1, 999_999_999_999), unique=True, max_size=60), st.integers(-INT64_MAX - 1, INT64_MAX))
def test_every_meter_is_found_by_its_number(numbers, other):
    """The table from number to row finds each meter, and for any other number says so."""
    terms = np.zeros(len(numbers), ShardState(0).meter_terms.rows.dtype)
    terms["number"] = numbers

    slots = slots_for(np.array(numbers, np.int64), terms["removed"].copy())

    assert [row_of(number, slots, terms) for number in numbers] == list(range(len(numbers)))
    assert row_of(other, slots, terms) == (numbers.index(other) if other in numbers else -1)


def extremes() -> list:
    """A meter that uses the most that is believed at the highest price there is, until nothing is charged on any more."""
    terms = AlarmTerms(low=2, pretrip=1, arrears=-(10**18 - 1), max_balance=10**18 - 1)
    meter = MeterInstalled(
        at=START, id=order_text(START, 3), meter=999_999_999_999, account="a", commodity=Commodity.ELECTRICITY,
        tariff="dear", modulus=10**15, rated_per_hour=10**9, ratio=1, opening_register=10**15 - 10**9,
    )  # fmt: skip
    facts = [
        TariffPublished(
            at=START, id=order_text(START, 1), tariff="dear",
            document=flat("dear", "Asia/Kolkata", ("2024-01-01", "999999.999999999")),
        ),
        AccountOpened(at=START, id=order_text(START, 2), account="a", currency="CNY", alarms=terms),
        meter,
        RechargeOrdered(
            at=START, id=order_text(START, 4), account="a", amount_micros=ORDER_MAX_MICROS, currency="CNY"
        ),
    ]  # fmt: skip
    registers = [0, 10**9, 2 * 10**9, 2 * 10**9 + 1, 5, INT64_MAX, -INT64_MAX - 1]
    facts += [
        readings((999_999_999_999, START + (n + 1) * 7 * HOUR_MS, register), power=[INT64_MAX], status=[INT64_MAX])
        for n, register in enumerate(registers)
    ]
    times = [INT64_MAX, -INT64_MAX - 1, 0, LATEST_MS + 1]
    facts.append(readings(*((999_999_999_999, time, 1) for time in times)))
    return [((1 + n, 0), fact) for n, fact in enumerate(facts)]


def test_at_the_bounds_nothing_leaves_64_bits():
    """A thousand million yuan a reading: after two the wallet is beyond its bound, and readings are held, not charged."""
    state, effects = fold(ShardState(0), extremes())

    account = state.accounts.rows[0]
    told = [Metering(int(metering)) for effect in effects if effect.classes is not None for metering in effect.classes]
    spent = 2 * USAGE_MAX * PRICE_MAX_NANOS
    assert told[:4] == [Metering.ROLLOVER, Metering.NORMAL, Metering.OUT_OF_RANGE, Metering.OUT_OF_RANGE]
    assert set(told[4:]) == {Metering.OUT_OF_RANGE}
    assert int(account.balance) * PICOS_PER_MICRO + int(account.balance_picos) == (
        ORDER_MAX_MICROS * PICOS_PER_MICRO - spent
    )


def test_a_reading_that_needs_more_room_than_there_is_counts_once():
    """A meter that comes back after forty days closes a thousand hours; the buffers grow, and nothing is settled twice."""
    facts = [fact for _, fact in extremes()[:2]]
    facts += [
        RechargeOrdered(at=START, id=order_text(START, 4), account="a", amount_micros=10**15, currency="CNY"),
        MeterInstalled(
            at=START, id=order_text(START, 3), meter=7, account="a", commodity=Commodity.ELECTRICITY, tariff="dear",
            modulus=0, rated_per_hour=10**6, opening_register=0,
        ),
        readings((7, START + 40 * DAY_MS, 960_000), (8, START, 1), (7, START + 41 * DAY_MS, 984_000)),
    ]  # fmt: skip

    state, effects = fold(ShardState(0), [((1 + n, 0), fact) for n, fact in enumerate(facts)])

    told = effects[-1]
    assert [Metering(int(each)) for each in told.classes] == [
        Metering.NORMAL,
        Metering.UNKNOWN_METER,
        Metering.NORMAL,
    ]
    assert len(told.usage) > ROWS_AT_FIRST
    assert int(told.usage["usage"].sum()) + int(state.meters.rows["window_usage"].sum()) == 984_000
    assert len(told.quarantined) == 1
    assert (state.header.classes[Metering.NORMAL], state.header.classes[Metering.UNKNOWN_METER]) == (2, 1)
    assert state.header.usage == (984_000, 0)


def digest() -> str:
    """One word for all that four streets and the extremes lead to, state and effects."""
    found = blake2b()
    for entries in [extremes(), *(history(seed, 50) for seed in (3, 5, 8)), history(9, 50, Empty)]:
        shelf, effects = lived(entries, range(0, 60, 7))
        found.update(repr((shelf.bytes(), effect_bytes(effects))).encode())
    return found.hexdigest()


def test_as_python_it_gives_the_same_bytes_as_compiled():
    """Without the compiler the same histories give the same bytes, and no number of numpy's overflows on the way."""
    environment = os.environ | {
        "NUMBA_DISABLE_JIT": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(Path(__file__).parent)]),
    }

    told = subprocess.run(
        [sys.executable, "-W", "error", "-c", "import test_kernel; print(test_kernel.digest())"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert told.stderr == ""
    assert told.stdout.strip() == digest()
