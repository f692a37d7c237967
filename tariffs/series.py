"""Usage over time as columns, cut into pieces that each have one price: what bills are made of.

The same cuts and the same integers as the settlement's, in numpy: usage is spread evenly over its interval in whole Wh or
litres that add up, cut at the timeline's segments, counted through each tier period and cut again at its limits.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from domain.units import USAGE_MAX
from tariffs.timeline import Timeline

PIECE = np.dtype(
    [
        ("interval", "<i8"),  # of the series
        ("start", "<i8"),  # ms UTC
        ("end", "<i8"),
        ("rate", "<i4"),  # row of the timeline's rates
        ("period", "<i4"),  # tier period: epoch minutes UTC of its begin
        ("day", "<i4"),  # local day number
        ("band", "<i4"),
        ("level", "<i4"),  # of the timeline's edges
        ("usage", "<i8"),  # Wh or litres, > 0
    ]
)
"""A part of an interval with one price. Two pieces of one span and different levels follow one another."""

_EXACT_BELOW = 2**62


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """`usage[i]` Wh or litres, not negative, were used in [`times[i]`, `times[i + 1]`), ms UTC, strictly increasing."""

    times: NDArray[np.int64]
    usage: NDArray[np.int64]

    def __post_init__(self) -> None:
        """A series that does not hold together is a bug of whoever made it."""
        assert len(self.times) == len(self.usage) + 1
        assert bool((np.diff(self.times) > 0).all())
        assert len(self.usage) == 0 or 0 <= int(self.usage.min()) <= int(self.usage.max()) <= USAGE_MAX

    def between(self, from_ms: int, until_ms: int) -> "Series":
        """The part in [from_ms, until_ms), which must lie inside; the intervals at its ends are cut by spreading."""
        assert int(self.times[0]) <= from_ms < until_ms <= int(self.times[-1])
        inner = self.times[(self.times > from_ms) & (self.times < until_ms)]
        bounds = np.concatenate([[from_ms], inner, [until_ms]]).astype(np.int64)
        return Series(bounds, np.diff(self.used_by(bounds)))

    def cut_at(self, *at_ms: int) -> "Series":
        """The same usage with bounds at these times too, where they lie inside."""
        inner = [at for at in at_ms if int(self.times[0]) < at < int(self.times[-1])]
        bounds = np.unique(np.concatenate([self.times, np.array(inner, np.int64)]))
        return Series(bounds, np.diff(self.used_by(bounds)))

    def used_by(self, at: NDArray[np.int64]) -> NDArray[np.int64]:
        """Usage since the series' begin until each of `at`, which must lie inside it: whole Wh or litres, rounded down."""
        total = np.concatenate([[0], np.cumsum(self.usage)]).astype(np.int64)
        interval = np.clip(np.searchsorted(self.times, at, side="right") - 1, 0, len(self.usage) - 1)
        begin = self.times[interval]
        found: NDArray[np.int64] = total[interval] + spread(
            self.usage[interval], at - begin, self.times[interval + 1] - begin
        )
        return found


def spread(usage: NDArray[np.int64], elapsed: NDArray[np.int64], duration: NDArray[np.int64]) -> NDArray[np.int64]:
    """floor(usage * elapsed / duration), exactly, also where the product needs more than 64 bits."""
    if len(usage) == 0 or int(usage.max()) * int(elapsed.max()) < _EXACT_BELOW:
        product: NDArray[np.int64] = usage * elapsed // duration
        return product
    exact: NDArray[Any] = usage.astype(object) * elapsed.astype(object) // duration.astype(object)
    return exact.astype(np.int64)


def pieces(timeline: Timeline, plan: int, series: Series, used: int = 0) -> NDArray[np.void]:
    """Pieces of a series, of dtype PIECE, in order of time. `used`: counted in the first tier period before the series begins.

    The timeline must cover the series.
    """
    assert timeline.from_ms <= int(series.times[0])
    assert int(series.times[-1]) <= timeline.until_ms
    row = timeline.first[timeline.track[plan]]
    segments = timeline.segments[int(row[0]) : int(row[-1]) + 1]
    starts = segments["start"]
    inside = starts[(starts > series.times[0]) & (starts < series.times[-1])]
    bounds = np.unique(np.concatenate([series.times, inside]))
    found = np.empty(len(bounds) - 1, PIECE)
    found["start"], found["end"] = bounds[:-1], bounds[1:]
    found["interval"] = np.searchsorted(series.times, bounds[:-1], side="right") - 1
    at = segments[np.searchsorted(starts, bounds[:-1], side="right") - 1]
    for name in ("period", "day", "band"):
        found[name] = at[name]
    found["rate"] = at["rate"] + timeline.rate[plan]
    found["level"] = 0
    found["usage"] = np.diff(series.used_by(bounds))
    return _by_level(timeline, found[found["usage"] > 0], used)


def counted(found: NDArray[np.void], used: int = 0) -> NDArray[np.int64]:
    """The tier counter before each piece: what its period had used, `used` of it in the first period before them all."""
    total = np.cumsum(found["usage"])
    before = total - found["usage"]
    period = found["period"]
    begins = np.flatnonzero(np.diff(period, prepend=period[:1] - 1))
    base = np.repeat(before[begins], np.diff([*begins, len(found)]))
    found_before: NDArray[np.int64] = before - base + np.where(period == period[:1], used, 0)
    return found_before


def _by_level(timeline: Timeline, found: NDArray[np.void], used: int) -> NDArray[np.void]:
    """Cut pieces at the limits of their tiers."""
    if len(found) == 0:
        return found
    before = counted(found, used)
    after = before + found["usage"]
    edges = timeline.edges[found["rate"]]
    floors = np.concatenate([np.zeros((len(found), 1), np.int64), edges[:, :-1]], axis=1)
    parts = np.minimum(after[:, None], edges) - np.maximum(before[:, None], floors)
    piece, level = np.nonzero(parts > 0)
    cut = found[piece]
    cut["level"], cut["usage"] = level, parts[piece, level]
    return cut
