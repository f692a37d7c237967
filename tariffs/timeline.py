"""Tariffs compiled into a timeline of segments, so that pricing a reading needs no calendar: an index and a few additions.

A segment is a stretch of time in which nothing about a price changes: one tariff version, one UTC offset, one local hour,
one band. Every segment starts where one of these does, so none is longer than 60 minutes, and it is also the unit of the
hourly windows. `rating.py` says the same slowly and shares no arithmetic with this file; a test holds the two together.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from domain.units import DAY_MS, HOUR_MS, MINUTE_MS
from tariffs.loader import Tariff, Version
from tariffs.zones import zone

SEGMENT = np.dtype(
    (
        np.record,
        [
            ("start", "<i8"),  # ms UTC; the segment ends where the next one starts
            ("price", "<i8"),  # nanos per kWh or m³
            ("day", "<i4"),  # local day number since 1970-01-01
            ("band", "<i4"),  # index into the tariff's bands
        ],
    )
)
"""24 bytes. `segments[i].price` reads alike in compiled and in plain Python."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MONDAY_OF_EPOCH = 3
"""1970-01-01 was a Thursday: day number + 3 is 0 on Mondays, modulo 7."""
_DAY_MINUTES = 1440
_HOUR_BEGINS = range(0, _DAY_MINUTES, 60)


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """Segments of several tariffs over [from_ms, until_ms), both whole UTC hours in ms.

    `segments`: all tariffs' segments one after the other, of dtype SEGMENT. Each tariff's end with a sentinel that starts at
    `until_ms`, so `segments[i + 1].start` is the end of segment i.
    `first`: (tariffs, hours + 1), int32: the index of the segment that contains the begin of UTC hour `base_hour + h`.
    """

    segments: NDArray[np.void]
    first: NDArray[np.int32]
    base_hour: int
    from_ms: int
    until_ms: int


@dataclass(frozen=True, slots=True)
class _Era:
    """A stretch [start, end) in ms UTC under one version and one UTC offset, in ms."""

    start: int
    end: int
    offset: int
    version: Version


def compile_timeline(tariffs: Sequence[Tariff], from_ms: int, until_ms: int) -> Timeline:
    """Compile tariffs over [from_ms, until_ms), rounded outward to whole UTC hours; row n of `first` is tariffs[n]."""
    assert 0 <= from_ms < until_ms
    base_hour, end_hour = from_ms // HOUR_MS, -(-until_ms // HOUR_MS)
    begins = np.arange(base_hour, end_hour + 1, dtype=np.int64) * HOUR_MS
    parts, first, count = [], np.empty((len(tariffs), len(begins)), np.int32), 0
    for row, tariff in enumerate(tariffs):
        part = _segments(tariff, base_hour * HOUR_MS, end_hour * HOUR_MS)
        first[row] = np.searchsorted(part["start"], begins, side="right") - 1 + count
        parts.append(part)
        count += len(part)
    segments = np.concatenate(parts) if parts else np.empty(0, SEGMENT)
    assert count <= np.iinfo(np.int32).max
    return Timeline(segments.view(SEGMENT), first, base_hour, base_hour * HOUR_MS, end_hour * HOUR_MS)


def _segments(tariff: Tariff, start: int, end: int) -> NDArray[np.void]:
    """One tariff's segments over [start, end), and its sentinel, which is rated like any other instant."""
    eras = list(_eras(tariff, start, end))
    rated = [_rated(era, _cuts(era)) for era in eras]
    return np.concatenate([*rated, _rated(eras[-1], np.array([end], np.int64))])


def _eras(tariff: Tariff, start: int, end: int) -> Iterator[_Era]:
    """Cut [start, end) where a version begins and where the UTC offset changes. The first version also rules before it."""
    offsets = _offsets(zone(tariff.zone), start, end)
    versions = {version.from_ms: version for version in tariff.versions[1:]}
    ruling = max((begin for begin in versions if begin <= start), default=None)
    version = tariff.versions[0] if ruling is None else versions[ruling]
    offset = offsets[start]
    inner = {edge for edge in versions if start < edge < end} | set(offsets)
    for begin, stop in pairwise([*sorted(inner), end]):
        version, offset = versions.get(begin, version), offsets.get(begin, offset)
        yield _Era(begin, stop, offset, version)


def _offsets(place: ZoneInfo, start: int, end: int) -> dict[int, int]:
    """UTC offsets in ms by the ms UTC from which they hold: one for `start` and one for each change before `end`.

    Looks once a day, then bisects to the second; no zone has gone there and back within a day.
    """
    days = [*range(start, end, DAY_MS), end]
    offsets = [_offset(place, day) for day in days]
    found = {start: offsets[0]}
    for (before, old), (after, new) in pairwise(zip(days, offsets, strict=True)):
        if old != new:
            change = _bisected(place, before, after)
            if change < end:
                found[change] = new
    return found


def _offset(place: ZoneInfo, at: int) -> int:
    shift = (_EPOCH + timedelta(milliseconds=at)).astimezone(place).utcoffset()
    assert shift is not None
    return shift // timedelta(milliseconds=1)


def _bisected(place: ZoneInfo, before: int, after: int) -> int:
    """The ms UTC, a whole second, at which the offset of `after` begins; `before` still has another."""
    new = _offset(place, after)
    while after - before > 1000:
        middle = (before + after) // 2000 * 1000
        before, after = (before, middle) if _offset(place, middle) == new else (middle, after)
    return after


def _cuts(era: _Era) -> NDArray[np.int64]:
    """Where the era's segments may start, ms UTC: its own start, local hour begins, and slot starts of any day."""
    slots = {minute for profile in era.version.days for minute, _ in profile}
    minutes = np.array(sorted(slots.union(_HOUR_BEGINS)), np.int64) * MINUTE_MS
    days = np.arange((era.start + era.offset) // DAY_MS, (era.end + era.offset) // DAY_MS + 1, dtype=np.int64)
    starts = (days[:, None] * DAY_MS + minutes - era.offset).ravel()
    inside = starts[(starts > era.start) & (starts < era.end)]
    return np.concatenate([np.array([era.start], np.int64), inside])


def _rated(era: _Era, starts: NDArray[np.int64]) -> NDArray[np.void]:
    """Segments with the day, band and price at their starts. A slot start that changes no band today cuts nothing."""
    day, since_midnight = np.divmod(starts + era.offset, DAY_MS)
    minute = since_midnight // MINUTE_MS
    band = _week_bands(era.version)[(day + _MONDAY_OF_EPOCH) % 7, minute]
    keep = (minute % 60 == 0) | (np.diff(band, prepend=-1) != 0)
    segments = np.empty(int(keep.sum()), SEGMENT)
    segments["start"], segments["day"], segments["band"] = starts[keep], day[keep], band[keep]
    segments["price"] = _prices(era.version)[band[keep]]
    return segments


def _week_bands(version: Version) -> NDArray[np.int32]:
    """(7, 1440): the band of each minute of each weekday, Monday first."""
    profiles = np.empty((len(version.days), _DAY_MINUTES), np.int32)
    for row, profile in enumerate(version.days):
        for minute, band in profile:
            profiles[row, minute:] = band
    return profiles[list(version.week)]


def _prices(version: Version) -> NDArray[np.int64]:
    """Nanos by band. A band without a price in this version is in none of its days, so its number is never read."""
    return np.array([0 if price is None else price for price in version.prices], np.int64)
