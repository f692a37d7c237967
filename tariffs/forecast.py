"""Forecasts: when a wallet will have run down, if its meters go on using as they did.

Usage is taken as even over the day, and is priced hour by hour and tier by tier as it would be charged, so a forecast knows that
evenings cost more and that the second tier is near. It is an estimate, and moves no money.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from domain.units import DAY_MS, PICOS_PER_MICRO
from tariffs.series import Series, pieces
from tariffs.tariff import Plan
from tariffs.timeline import Timeline, compile_timeline

HORIZON_DAYS = 60
_WHOLE = 1_000
"""Prices of a mean are kept in thousandths of picos less, so that what a large meter uses in a week fits into 64 bits."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a meter is expected to do: its plan, Wh or litres of a day, and what its tier counter has used by now.

    `counted`: Wh or litres by tier period (epoch minutes UTC of its begin); a period that is not there has used nothing.
    """

    plan: Plan
    daily_usage: int
    counted: Mapping[int, int]


def runs_down_at(outlooks: Sequence[Outlook], micros: int, now_ms: int, horizon_days: int = HORIZON_DAYS) -> int | None:
    """The instant, ms UTC to the hour, at which `micros` will have been charged; `now_ms` for none left; None: not within the horizon."""
    if micros <= 0:
        return now_ms
    costs = [_costs(each, now_ms, horizon_days) for each in outlooks if each.daily_usage > 0]
    if not costs:
        return None
    ends = np.concatenate([end for end, _ in costs])
    order = np.argsort(ends, kind="stable")
    charged = np.cumsum(np.concatenate([cost for _, cost in costs])[order])
    reached = int(np.argmax(charged >= micros)) if bool((charged >= micros).any()) else None
    return None if reached is None else int(ends[order][reached])


def _costs(outlook: Outlook, now_ms: int, days: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ends of pieces, ms UTC, and what each costs in micros."""
    until = now_ms + days * DAY_MS
    timeline = compile_timeline([outlook.plan], now_ms, until)
    series = Series(np.array([now_ms, until], np.int64), np.array([outlook.daily_usage * days], np.int64))
    period = int(pieces(timeline, 0, series)["period"][0])
    found = pieces(timeline, 0, series, outlook.counted.get(period, 0))
    return found["end"].astype(np.int64), _micros(timeline, found)


def _micros(timeline: Timeline, found: NDArray[np.void]) -> NDArray[np.int64]:
    """By the prices that hold while the use of the period is what it is at that piece."""
    rate, level = found["rate"], found["level"]
    price = timeline.prices[rate, level, timeline.bracket[rate, level]]
    micros: NDArray[np.int64] = found["usage"] * price // PICOS_PER_MICRO
    return micros


@dataclass(frozen=True, slots=True, eq=False)
class Means:
    """What a Wh or litre of each plan costs on average over the next days, by level of use: for a look at very many wallets at once.

    `period`: (plans,), the tier period that it is now, epoch minutes UTC of its begin. `edges`: (plans, levels), as of the timeline, of the rate
    that holds now. `prices`: (horizons, plans, levels), nanos.
    """

    period: NDArray[np.int64]
    edges: NDArray[np.int64]
    prices: NDArray[np.int64]


def means(plans: Sequence[Plan], now_ms: int, horizons: Sequence[int]) -> Means:
    """Mean prices of plans over the next so many days, each. At least one plan."""
    timeline = compile_timeline(plans, now_ms, now_ms + max(horizons) * DAY_MS)
    levels = np.arange(timeline.edges.shape[1])
    rows = np.arange(len(timeline.bracket))[:, None]
    price = timeline.prices[rows, levels, timeline.bracket]
    period, edges = np.empty(len(plans), np.int64), np.empty((len(plans), len(levels)), np.int64)
    found = np.empty((len(horizons), len(plans), len(levels)), np.int64)
    for plan in range(len(plans)):
        row = timeline.first[timeline.track[plan]]
        segments = timeline.segments[int(row[0]) : int(row[-1]) + 1]
        starts, rates = segments["start"], segments["rate"][:-1] + timeline.rate[plan]
        current = max(0, int(np.searchsorted(starts, now_ms, side="right")) - 1)
        period[plan], edges[plan] = segments["period"][current], timeline.edges[rates[current]]
        for at, days in enumerate(horizons):
            spans = np.diff(np.clip(starts, now_ms, now_ms + days * DAY_MS)) // _WHOLE
            found[at, plan] = (spans[:, None] * (price[rates] // _WHOLE)).sum(axis=0) // spans.sum()
    return Means(period, edges, found)


def expected_costs(
    mean: Means, horizons: Sequence[int], plans: NDArray[np.int64], daily: NDArray[np.int64], used: NDArray[np.int64]
) -> NDArray[np.int64]:
    """What meters will be charged within each horizon, micros, (horizons, meters): an estimate, as `runs_down_at` is, but at mean prices.

    `plans`: of each meter; `daily`: Wh or litres of a day; `used`: what its tier counter has in the period. That a new period begins is left aside.
    """
    edges = mean.edges[plans]
    floors = np.concatenate([np.zeros((len(edges), 1), np.int64), edges[:, :-1]], axis=1)
    found = np.empty((len(horizons), len(plans)), np.int64)
    for at, days in enumerate(horizons):
        after = used + days * daily
        parts = np.clip(np.minimum(after[:, None], edges) - np.maximum(used[:, None], floors), 0, None)
        found[at] = (parts * mean.prices[at][plans]).sum(axis=1) // (PICOS_PER_MICRO // _WHOLE)
    return found
