"""Demand: the highest average power of any so many minutes."""

from datetime import date
from fractions import Fraction

import numpy as np

from domain.units import MINUTE_MS
from tariffs.periods import EPOCH
from tariffs.series import Series
from tariffs.spans import Span
from tariffs.tariff import Demand
from tariffs.timeline import Timeline

_HOUR_MINUTES = 60


def highest_power(charge: Demand, series: Series, timeline: Timeline, span: Span, days: tuple[date, ...]) -> Fraction:
    """Watts, exact: the most that was used in any `charge.minutes` of a span's days that begin in the charge's bands.

    The windows follow one another from the begin of the series' hour on; usage inside an interval is spread evenly.
    """
    step = charge.minutes * MINUTE_MS
    begin = span.from_ms - span.from_ms % step
    starts = np.arange(begin, span.until_ms, step, dtype=np.int64)
    edges = np.clip(np.append(starts, begin + len(starts) * step), int(series.times[0]), int(series.times[-1]))
    used = np.diff(series.used_by(edges))
    row = timeline.first[0]
    segments = timeline.segments[int(row[0]) : int(row[-1]) + 1]
    at = segments[np.searchsorted(segments["start"], np.maximum(starts, span.from_ms), side="right") - 1]
    first, last = ((day - EPOCH).days for day in (days[0], days[-1]))
    counts = (at["day"] >= first) & (at["day"] <= last)
    if charge.bands:
        counts &= np.isin(at["band"], charge.bands)
    most = int(used[counts].max()) if counts.any() else 0
    return Fraction(most * _HOUR_MINUTES, charge.minutes)
