"""Pricing in the compiled loop, held against the slow plain truth, for any tariff that can be written."""

import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.state import ACCOUNT, ACCOUNT_TERMS, COUNTER, METER, METER_TERMS
from domain.units import PICOS_PER_MICRO
from flows.readings.intervals import settle_interval
from flows.readings.output import emptied, output_of
from flows.readings.pricing import counter_row, prices_of, segments_between
from tariffs.explain import Reading, explain
from tariffs.levels import thresholds
from tariffs.rating import Counter, cost_of
from tariffs.timeline import compile_timeline

sys.path.append(str(Path(__file__).parents[1] / "tariffs"))
from tariff_cases import plans, spans

many = settings(max_examples=100)


class Wallet:
    """An account with one meter, priced by the compiled loop alone."""

    def __init__(self, plan, span):
        brackets = len(thresholds(plan))
        self.prices = prices_of(compile_timeline([plan], *span))
        self.meter, self.output = np.zeros(1, METER)[0], output_of(4096)
        self.meter.window_start = self.meter.day = -1
        self.account, self.terms = np.zeros(1, ACCOUNT)[0], np.zeros(1, ACCOUNT_TERMS)[0]
        self.counters = np.zeros(2 * brackets, COUNTER)
        self.counters["period"] = -1
        self.term = np.zeros(1, METER_TERMS)[0]
        self.term.brackets = brackets

    def charge(self, start, end, usage):
        """Picos taken for an interval."""
        before = self.balance
        if usage > 0:
            self.meter.time = start
            segments = segments_between(0, start, end, self.prices)
            rows = self.meter, self.term, self.account, self.terms, self.counters
            settle_interval(*rows, segments, end, usage, self.prices, emptied(self.output), 0)
        return before - self.balance

    @property
    def balance(self):
        """Picos."""
        return int(self.account.balance) * PICOS_PER_MICRO + int(self.account.balance_picos)


@many
@given(st.data())
def test_the_compiled_loop_charges_what_the_slow_truth_does(data):
    """Tiers, seasons, whole-use schedules, percentages, premises, assignments, clocks that change: every charge, to the pico."""
    span = data.draw(spans())
    plan = data.draw(plans(span))
    inside = data.draw(st.lists(st.integers(span[0] + 1, span[1] - 1), max_size=6)) if span[1] - span[0] > 1 else []
    edges = sorted({*span, *inside})
    usages = [data.draw(st.integers(0, 400_000)) for _ in edges[1:]]
    wallet, counter = Wallet(plan, span), Counter()

    for (start, end), usage in zip(pairwise(edges), usages, strict=True):
        assert wallet.charge(start, end, usage) == cost_of(plan, start, end, usage, counter).cost_picos


@many
@given(st.data())
def test_an_explanation_adds_up_to_what_was_charged(data):
    """What a customer is told, part by part and component by component, is what the compiled loop took, to the pico."""
    span = data.draw(spans())
    plan = data.draw(plans(span))
    middle = data.draw(st.integers(*span))
    edges = sorted({*span, middle})
    wallet, counter, register = Wallet(plan, span), Counter(), 0

    for start, end in pairwise(edges):
        usage = data.draw(st.integers(0, 400_000))
        told = explain(plan, Reading(start, register), Reading(end, register + usage), counter)
        register += usage

        parts = [sum(share.price_nanos for share in part.shares) * part.usage for part in told.parts]
        assert [part.cost_picos for part in told.parts] == parts
        assert sum(part.usage for part in told.parts) == usage
        assert sum(parts) + told.correction_picos == told.cost_picos == wallet.charge(start, end, usage)


def edges_of(plan, span):
    """The ends of a span, and where it is cut for its prices."""
    cuts = compile_timeline([plan], *span).segments["start"].tolist()
    return sorted({*span, *(cut for cut in cuts if span[0] < cut < span[1])})


@many
@given(st.data(), st.integers(0, 900_000))
def test_any_cutting_of_a_history_into_readings_costs_the_same(data, usage):
    """Read once, or every few minutes and at every edge of a price: the same energy costs the same to the last unit."""
    span = data.draw(spans())
    plan = data.draw(plans(span))
    once, often = Wallet(plan, span), Wallet(plan, span)
    inside = data.draw(st.lists(st.integers(span[0], span[1]), max_size=9))
    edges = sorted({*edges_of(plan, span), *inside})

    def used_by(at):
        return usage * (at - span[0]) // (span[1] - span[0])

    total = sum(often.charge(start, end, used_by(end) - used_by(start)) for start, end in pairwise(edges))

    assert total == once.charge(*span, usage)


@many
@given(st.data(), st.integers(0, 300_000), st.integers(0, 300_000))
def test_more_usage_never_costs_less(data, less, more):
    """Where no price is negative, tiers are graduated and no price falls from tier to tier, more energy is never a gain.

    Where a dear first tier is used up sooner by what costs nothing in another band, it may be. One Wh more may move a whole Wh from a dear minute to a cheap one, as usage is spread in whole ones. So more is here at
    least a Wh for the shortest piece of the span.
    """
    span = data.draw(spans())
    plan = without_gains(data.draw(plans(span)))
    edges = edges_of(plan, span)
    shortest = min(end - start for start, end in pairwise(edges))
    more += -(-(span[1] - span[0]) // shortest)

    assert Wallet(plan, span).charge(*span, less) <= Wallet(plan, span).charge(*span, less + more)


def without_gains(plan):
    """The plan with its last schedules alone, every price and percentage as large as it was and not below zero, and prices that rise."""
    return tuple(replace(stage, tariff=_mapped(stage.tariff)) for stage in plan)


def _mapped(tariff):
    return replace(tariff, versions=tuple(_without_gains(version) for version in tariff.versions))


def _without_gains(version):
    charges = tuple(replace(charge, rate=abs(charge.rate)) for charge in version.charges)
    seasons = tuple(
        replace(season, rates=tuple((_rising(column[-1]),) for column in season.rates)) for season in version.seasons
    )
    return replace(version, seasons=seasons, charges=charges)


def _rising(schedule):
    return replace(schedule, prices=tuple(tuple(sorted(map(abs, row))) for row in schedule.prices))


def test_a_counter_remembers_two_periods():
    """Usage of the month before still finds its count; that of a month before both is priced as if it were alone."""
    counters = np.zeros(2, COUNTER)
    counters["period"] = -1

    assert [counter_row(counters, 0, 1, period) for period in (10, 20, 10, 30, 20, 10)] == [0, 1, 0, 0, 1, -1]
    assert counters["period"].tolist() == [30, 20]
