"""Usage that is given back, held against the slow plain truth, for any tariff that can be written."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from test_machine import EIGHT, Home, at
from test_pricing import Wallet, plans, spans

from domain.facts import QuarantineDecided, ReadingCorrected
from domain.state import METER
from domain.units import PICOS_PER_MICRO
from domain.words import Decision
from flows.readings.decided import can_take_back, compile_decided, correct_interval, opposite
from flows.readings.intervals import settle_interval
from flows.readings.output import output_of
from flows.readings.pricing import segments_between
from tariffs.rating import Counter, cost_of, given_back

many = settings(max_examples=150)


class Corrected(Wallet):
    """A wallet whose usage can be corrected."""

    def correct(self, start, end, usage):
        """Picos taken, mostly less than 0 where usage is; None where the counters hold less than is given back."""
        segments = segments_between(0, start, end, self.prices)
        span = segments, start, end
        if usage < 0 and not can_take_back(self.term, self.counters, *span, -usage, self.prices):
            return None
        before, sums, output = self.balance, np.zeros(1, METER)[0], output_of(4096)
        sums.window_start, sums.day = -1, -1
        correct_interval(sums, self.term, self.account, self.counters, *span, usage, self.prices, output)
        rows = output.usage[: output.used[0]]
        assert int(rows["usage"].sum()) == usage
        assert total(rows) == before - self.balance == picos_of(sums.day_cost, sums.day_picos)
        return before - self.balance


def picos_of(micros, picos):
    """Both parts of an amount."""
    return int(micros) * PICOS_PER_MICRO + int(picos)


def total(rows):
    """Exact picos of usage rows."""
    return picos_of(rows["cost_micros"].sum(), rows["cost_picos"].sum())


@many
@given(st.data())
def test_corrections_cost_what_the_slow_truth_says(data):
    """Usage and corrections, up and down, in any order: every amount to the pico, and the same ones are too large."""
    span = data.draw(spans())
    plan = data.draw(plans(span))
    wallet, counter = Corrected(plan, span), Counter()
    moments = st.integers(span[0], span[1])

    for _ in range(data.draw(st.integers(1, 8))):
        start, end = sorted((data.draw(moments), data.draw(moments)))
        if start == end:
            continue
        usage = data.draw(st.integers(-90_000, 90_000) | st.integers(-9, 400_000))
        if usage >= 0:
            assert wallet.correct(start, end, usage) == cost_of(plan, start, end, usage, counter).cost_picos
        else:
            back = given_back(plan, start, end, -usage, counter)
            assert wallet.correct(start, end, usage) == (None if back is None else back.cost_picos)


@many
@given(st.data())
def test_what_is_given_back_at_once_is_what_it_cost(data):
    """A charge that is taken back before anything else comes leaves the wallet and what the counter has used as they were."""
    span = data.draw(spans())
    plan = data.draw(plans(span))
    wallet = Corrected(plan, span)
    inside = data.draw(st.lists(st.integers(span[0], span[1]), max_size=3))
    edges = sorted({*span, *inside})
    for start, end in pairwise(edges):
        wallet.charge(start, end, data.draw(st.integers(0, 200_000)))
    balance, used = wallet.balance, sorted(wallet.counters["used"].tolist())
    start, end = edges[-2:]
    usage = data.draw(st.integers(1, 200_000))

    cost = wallet.charge(start, end, usage)

    returned = wallet.correct(start, end, -usage)
    if returned is not None and is_of_one_price_a_period(wallet, start, end):
        assert (wallet.balance, returned) == (balance, -cost)
        assert sorted(wallet.counters["used"].tolist()) == used


def is_of_one_price_a_period(wallet, start, end):
    """Whether all pieces of an interval have one rate, so that their order does not matter."""
    segments = wallet.prices.segments
    inside = segments[(segments["start"] < end) & (np.append(segments["start"][1:], end) > start)]
    return len({(int(row["rate"]), int(row["period"])) for row in inside}) == 1


@given(st.integers(-(10**15), 10**15))
def test_an_opposite_is_exact(picos):
    """Turning a sign loses nothing, and the rest stays between 0 and 999 999."""
    micros, rest = opposite(*divmod(picos, PICOS_PER_MICRO))

    assert micros * PICOS_PER_MICRO + rest == -picos
    assert 0 <= rest < PICOS_PER_MICRO


def test_nothing_is_compiled_while_a_person_waits():
    """What is compiled at the start is what decisions and corrections use: no second version of it is ever needed."""
    compile_decided()
    if not hasattr(settle_interval, "signatures"):
        return  # Compilation is off.
    home, before = Home(), versions()
    home.pays(EIGHT, 50)
    home.reads(at("09:00"), 101_000)
    home.reads(at("09:10"), 300_000)

    asked = {"at": at("09:20"), "meter": 1, "note": "seen"}
    accepted = QuarantineDecided(id=home.id(at("09:20")), reason="jump", decision=Decision.ACCEPT, **asked)
    given = ReadingCorrected(
        id=home.id(at("09:20")), from_ms=at("08:00"), until_ms=at("09:00"), usage_delta=-500, **asked
    )

    assert [home.tell(fact).outcomes[0].refusal for fact in (accepted, given)] == ["", ""]
    assert versions() == before


def versions():
    """How many versions of what decisions use are compiled in this process, by whatever tests."""
    return [len(function.signatures) for function in (settle_interval, can_take_back, correct_interval)]
