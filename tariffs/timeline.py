"""Tariffs compiled into a timeline of segments, so that pricing a reading needs no calendar: an index and a few additions.

A segment is a stretch of time in which nothing about a price changes but the usage that went before: one tariff version,
one UTC offset, one local hour, one band, one tier period. Every segment starts where one of these does, so none is longer
than 60 minutes, and it is also the unit of the hourly windows. What its prices are stands in a table of rates, by level of
use. `rating.py` says the same slowly and shares no arithmetic with this file; a test holds the two together.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from domain.units import DAY_MS, HOUR_MS, MINUTE_MS
from tariffs.levels import NO_LIMIT, Levels, levels, thresholds
from tariffs.model import REGISTERS
from tariffs.periods import EPOCH, cycle_of, midnight_ms, restarts
from tariffs.prepaid import weights
from tariffs.tariff import Plan, Premises, Rounding, RoundingMode, Season, Tariff, Version
from tariffs.zones import zone

SEGMENT = np.dtype(
    (
        np.record,
        [
            ("start", "<i8"),  # ms UTC; the segment ends where the next one starts
            ("rate", "<i4"),  # row of the plan's own rates
            ("day", "<i4"),  # local day number since 1970-01-01
            ("period", "<i4"),  # tier period: epoch minutes UTC of its begin
            ("band", "<i4"),  # index into the bands of the tariff in force
        ],
    )
)
"""24 bytes. `segments[i].rate` reads alike in compiled and in plain Python."""

_INSTANT_0 = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_MINUTES = 1440
_BY_CLOCK = -1
_HOUR_BEGINS = range(0, _DAY_MINUTES, 60)
_NANOS = Rounding(Fraction(1), RoundingMode.HALF_UP)


@dataclass(frozen=True, slots=True)
class Ruling:
    """Whose prices a row of rates holds. `period_days`: of the tier period, or 0 where that does not matter.

    `component_prices[level][bracket][component]`: nanos per kWh or m³ of metered use.
    """

    stage: int
    tariff: Tariff
    premises: Premises
    version: int
    season: int
    band: int
    period_days: int
    levels: Levels
    component_prices: tuple[tuple[tuple[int, ...], ...], ...]


@dataclass(frozen=True, eq=False)
class Timeline:
    """Segments of several plans over [from_ms, until_ms), both whole UTC hours in ms, and the prices that they lead to.

    `segments`: of dtype SEGMENT, track after track. Each track ends with a sentinel that starts at `until_ms`, so
    `segments[i + 1].start` is the end of segment i. Plans that differ in premises only share a track.
    `first`: (tracks, hours + 1), int32: the index of the segment that contains the begin of UTC hour `base_hour + h`.
    `track`, `rate`: (plans,), int32: row of `first`, and row of the tables below that stands for rate 0 of its segments.
    `edges`: (rates, levels), int64: upper edge of each level, Wh or litres, inclusive; NO_LIMIT from the last one on.
    `bracket`: (rates, levels), uint8: which of the prices holds when the total use of the period is in this level.
    `prices`: (rates, levels, brackets), int64: nanos per kWh or m³, percentages included: what a wallet is charged.
    `band`: (rates,), int32: the band whose prices a row holds. `registers`: (rates, 5), int32: the rows that hold, at the same
    time, those of the meter's registers sharp, peak, flat, valley and deep valley; -1 where usage is by the clock.
    """

    segments: NDArray[np.void]
    first: NDArray[np.int32]
    base_hour: int
    from_ms: int
    until_ms: int
    track: NDArray[np.int32]
    rate: NDArray[np.int32]
    edges: NDArray[np.int64]
    bracket: NDArray[np.uint8]
    prices: NDArray[np.int64]
    band: NDArray[np.int32]
    registers: NDArray[np.int32]
    rulings: tuple[Ruling, ...]


@dataclass(frozen=True, slots=True)
class _Era:
    """A stretch [start, end) in ms UTC under one version of one stage, and one UTC offset in ms."""

    start: int
    end: int
    offset: int
    stage: int
    version: int


_Key = tuple[int, int, int, int, int]
"""Stage, version, season, band, days of the period: what a row of rates is for, apart from premises."""


class _Track:
    """The segments of a plan, whatever its premises, and what their rates stand for, in order of first appearance."""

    def __init__(self, plan: Plan, start: int, end: int, billed_days: int) -> None:
        self.plan, self._billed_days = plan, billed_days
        self.keys: dict[_Key, int] = {}
        self._restarts = restarts(plan)
        eras = list(_eras(plan, start, end))
        parts = [self._segments(era, _cuts(era, self._version(era))) for era in eras]
        self.segments = np.concatenate([*parts, self._segments(eras[-1], np.array([end], np.int64))])
        for key in tuple(self.keys):
            self._registers(key)  # Their rates follow those of the segments.
        self.registers = [self._registers(key) for key in self.keys]

    def _registers(self, key: _Key) -> list[int]:
        """The rates of the bands that the meter's own registers count, at the time of a rate."""
        stage, version, season, _, days = key
        bands = self.plan[stage].tariff.registers
        return [self.keys.setdefault((stage, version, season, band, days), len(self.keys)) for band in bands]

    def _version(self, era: _Era) -> Version:
        return self.plan[era.stage].tariff.versions[era.version]

    def _segments(self, era: _Era, starts: NDArray[np.int64]) -> NDArray[np.void]:
        """Segments with what holds at their starts. A slot start that changes no band today cuts nothing."""
        day, since_midnight = np.divmod(starts + era.offset, DAY_MS)
        minute = since_midnight // MINUTE_MS
        days = self._days(era, int(day[0]), int(day[-1]))
        at = day - day[0]
        band = days.bands[days.profile[at], minute]
        keep = (minute % 60 == 0) | (np.diff(band, prepend=-1) != 0)
        keep[0] = True
        at, band = at[keep], band[keep]
        segments = np.empty(len(at), SEGMENT)
        segments["start"], segments["day"], segments["band"] = starts[keep], day[keep], band
        segments["period"] = days.period[at]
        segments["rate"] = self._rates(era, days.season[at], band, days.period_days[at])
        return segments

    def _rates(
        self, era: _Era, season: NDArray[np.int32], band: NDArray[np.int32], days: NDArray[np.int32]
    ) -> NDArray[np.int32]:
        code = (season.astype(np.int64) * 64 + band) * 512 + days
        found, inverse = np.unique(code, return_inverse=True)
        numbers = np.empty(len(found), np.int32)
        for place, value in enumerate(found.tolist()):
            key = (era.stage, era.version, value // 512 // 64, value // 512 % 64, value % 512)
            numbers[place] = self.keys.setdefault(key, len(self.keys))
        return numbers[inverse]

    def _days(self, era: _Era, first: int, last: int) -> "_Days":
        tariff, version = self.plan[era.stage].tariff, self._version(era)
        earliest = self._restarts[era.stage][era.version] // MINUTE_MS
        count = last - first + 1
        season, profile_row, period_of, days_of = (np.empty(count, np.int32) for _ in range(4))
        offsets = np.cumsum([0, *(len(season.profiles) for season in version.seasons)])
        scales = version.tiers is not None and version.tiers.per_days is not None
        next_cycle, period, length = EPOCH, 0, 0
        for place in range(count):
            today = EPOCH + timedelta(days=first + place)
            if today >= next_cycle:
                begin, next_cycle = cycle_of(version.tiers, today)
                period = max(midnight_ms(begin, tariff.zone) // MINUTE_MS, earliest)
                length = (next_cycle - begin).days if scales else 0
                if scales and self._billed_days:
                    period, length = 0, self._billed_days
            number = _season(version, today)
            profile = version.seasons[number].profile_of(tariff.calendar, first + place)
            season[place], profile_row[place] = number, offsets[number] + profile
            period_of[place], days_of[place] = period, length
        bands = np.concatenate([_profile_bands(each) for each in version.seasons])
        return _Days(season, profile_row, period_of, days_of, bands)


@dataclass(frozen=True, slots=True, eq=False)
class _Days:
    """What holds on each local day of an era; `bands` (profiles of all seasons, 1440): the band of each minute."""

    season: NDArray[np.int32]
    profile: NDArray[np.int32]
    period: NDArray[np.int32]
    period_days: NDArray[np.int32]
    bands: NDArray[np.int32]


def compile_timeline(plans: Sequence[Plan], from_ms: int, until_ms: int, billed_days: int = 0) -> Timeline:
    """Compile plans over [from_ms, until_ms), rounded outward to whole UTC hours; row n of `track` and `rate` is plans[n].

    `billed_days`: where limits scale by days, the whole span is one tier period of so many days, as on a bill; 0: the cycles'.
    """
    assert 0 <= from_ms < until_ms
    base_hour, end_hour = from_ms // HOUR_MS, -(-until_ms // HOUR_MS)
    begins = np.arange(base_hour, end_hour + 1, dtype=np.int64) * HOUR_MS
    tracks: dict[tuple[tuple[int, int, bool], ...], tuple[int, _Track]] = {}
    rulings: list[Ruling] = []
    registers: list[list[int]] = []
    track, rate = np.empty(len(plans), np.int32), np.empty(len(plans), np.int32)
    for number, plan in enumerate(plans):
        key = tuple((stage.from_ms, id(stage.tariff), stage.restart) for stage in plan)
        if key not in tracks:
            tracks[key] = len(tracks), _Track(plan, base_hour * HOUR_MS, end_hour * HOUR_MS, billed_days)
        track[number], made = tracks[key]
        rate[number] = len(rulings)
        tops = thresholds(plan)
        rulings += [_ruling(plan, key, tops) for key in made.keys]
        registers += [_rows_of(rates, int(rate[number])) for rates in made.registers]
    parts = [made.segments for _, made in tracks.values()]
    first, count = np.empty((len(parts), len(begins)), np.int32), 0
    for row, part in enumerate(parts):
        first[row] = np.searchsorted(part["start"], begins, side="right") - 1 + count
        count += len(part)
    assert count <= np.iinfo(np.int32).max
    segments = np.concatenate(parts) if parts else np.empty(0, SEGMENT)
    return Timeline(
        segments.view(SEGMENT),
        first,
        base_hour,
        base_hour * HOUR_MS,
        end_hour * HOUR_MS,
        track,
        rate,
        *_tables(rulings),
        np.array([ruling.band for ruling in rulings], np.int32),
        np.array(registers, np.int32).reshape(-1, len(REGISTERS)),
        tuple(rulings),
    )


def _rows_of(rates: list[int], first: int) -> list[int]:
    """Rows of a plan's rates, which begin at row `first`; where there are none, -1 for each register."""
    return [first + rate for rate in rates] or [_BY_CLOCK] * len(REGISTERS)


def _ruling(plan: Plan, key: _Key, tops: tuple[int, ...]) -> Ruling:
    number, index, at, band, period_days = key
    stage = plan[number]
    version = stage.tariff.versions[index]
    season = version.seasons[at]
    ladder = levels(version, season, stage.premises, period_days, tops)
    prices = tuple(
        tuple(
            tuple(
                price_in(season, component, ladder.schedules[bracket][component], band, tier)
                for component, tier in enumerate(tiers)
            )
            for bracket, tiers in enumerate(row)
        )
        for row in ladder.tiers
    )
    return Ruling(number, stage.tariff, stage.premises, index, at, band, period_days, ladder, prices)


def price_in(season: Season, component: int, schedule: int, band: int, tier: int) -> int:
    """Nanos per kWh or m³; 0 for a band that is in none of the season's days, and so is never priced."""
    prices = season.rates[component][schedule].prices[band]
    return 0 if prices is None else prices[tier]


def _tables(rulings: list[Ruling]) -> tuple[NDArray[np.int64], NDArray[np.uint8], NDArray[np.int64]]:
    """Edges, brackets and wallet prices, padded to the longest ladder by repeating the last."""
    rows, width, depth = (
        len(rulings),
        max((len(ruling.levels.edges) for ruling in rulings), default=1),
        max((len(ruling.levels.schedules) for ruling in rulings), default=1),
    )
    edges, bracket = np.full((rows, width), NO_LIMIT, np.int64), np.zeros((rows, width), np.uint8)
    prices = np.zeros((rows, width, depth), np.int64)
    for row, ruling in enumerate(rulings):
        weight = weights(ruling.tariff.versions[ruling.version])
        for level in range(width):
            at = min(level, len(ruling.levels.edges) - 1)
            edges[row, level], bracket[row, level] = ruling.levels.edges[at], ruling.levels.brackets[at]
            for k in range(depth):
                parts = ruling.component_prices[at][min(k, len(ruling.levels.schedules) - 1)]
                exact = sum((price * share for price, share in zip(parts, weight, strict=True)), Fraction(0))
                prices[row, level, k] = int(_NANOS.of(exact))
    return edges, bracket, prices


def _eras(plan: Plan, start: int, end: int) -> Iterator[_Era]:
    """Cut [start, end) where a stage or a version begins and where the UTC offset changes."""
    for number, stage in enumerate(plan):
        begin = start if number == 0 else max(start, stage.from_ms)
        stop = min(end, plan[number + 1].from_ms) if number + 1 < len(plan) else end
        if begin >= stop:
            continue
        versions = stage.tariff.versions
        offsets = _offsets(zone(stage.tariff.zone), begin, stop)
        edges = sorted({*offsets, *(version.from_ms for version in versions[1:] if begin < version.from_ms < stop)})
        offset = offsets[begin]
        for since, until in pairwise([*edges, stop]):
            offset = offsets.get(since, offset)
            version = max(index for index, each in enumerate(versions) if index == 0 or each.from_ms <= since)
            yield _Era(since, until, offset, number, version)


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
    shift = (_INSTANT_0 + timedelta(milliseconds=at)).astimezone(place).utcoffset()
    assert shift is not None
    return shift // timedelta(milliseconds=1)


def _bisected(place: ZoneInfo, before: int, after: int) -> int:
    """The ms UTC, a whole second, at which the offset of `after` begins; `before` still has another."""
    new = _offset(place, after)
    while after - before > 1000:
        middle = (before + after) // 2000 * 1000
        before, after = (before, middle) if _offset(place, middle) == new else (middle, after)
    return after


def _cuts(era: _Era, version: Version) -> NDArray[np.int64]:
    """Where the era's segments may start, ms UTC: its own start, local hour begins, and slot starts of any day."""
    slots = {minute for season in version.seasons for profile in season.profiles for minute, _ in profile}
    minutes = np.array(sorted(slots.union(_HOUR_BEGINS)), np.int64) * MINUTE_MS
    days = np.arange((era.start + era.offset) // DAY_MS, (era.end + era.offset) // DAY_MS + 1, dtype=np.int64)
    starts = (days[:, None] * DAY_MS + minutes - era.offset).ravel()
    inside = starts[(starts > era.start) & (starts < era.end)]
    return np.concatenate([np.array([era.start], np.int64), inside])


def _season(version: Version, today: date) -> int:
    return next(number for number, season in enumerate(version.seasons) if season.covers(today.month, today.day))


def _profile_bands(season: Season) -> NDArray[np.int32]:
    """(profiles, 1440): the band of each minute of each day profile."""
    bands = np.empty((len(season.profiles), _DAY_MINUTES), np.int32)
    for row, profile in enumerate(season.profiles):
        for minute, band in profile:
            bands[row, minute:] = band
    return bands
