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
