"""Times as people write them, read into instants: with an offset, or local in a zone whose clocks change.

A local hour that clocks repeat in autumn is told apart by the order of the lines: once the clock does not go on, what follows
is the second of the two. A local time that clocks skip in spring is refused.
"""

from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from domain.units import DAY_MS, HOUR_MS, MINUTE_MS
from tariffs.zones import zone

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EXAMPLE = "a time such as 2025-01-31 23:30 or 2025-01-31T23:30:00+08:00"
_FORMATS = ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d")
_OFFSET = r"T.*?(Z|[+-]\d{2}:?\d{2})$"


class TimeProblem(ValueError):  # noqa: N818 - it is what was found, and printed
    """A time that cannot be read: which one, what was found and what is expected."""

    def __init__(self, index: int, found: str, expected: str) -> None:
        self.index, self.found, self.expected = index, found, expected
        super().__init__(f"found {found}; expected {expected}")


def instant(text: str, zone_name: str) -> int:
    """A date (its local midnight) or time as ms UTC; without an offset it is local. Raises ValueError for any other text."""
    try:
        if len(text) == len("2025-01-31"):
            at = datetime.combine(date.fromisoformat(text), time(), zone(zone_name))
        else:
            at = datetime.fromisoformat(text)
            at = at if at.tzinfo else at.replace(tzinfo=zone(zone_name))
    except ValueError:
        raise ValueError(f"found {text!r}; expected {_EXAMPLE}, or a date") from None
    return int((at - _EPOCH) // timedelta(milliseconds=1))


def local_text(at_ms: int, zone_name: str) -> str:
    """`2025-01-31 23:30` in a zone."""
    at = (_EPOCH + timedelta(milliseconds=at_ms)).astimezone(zone(zone_name))
    return at.strftime("%Y-%m-%d %H:%M")


def utc_of(texts: pl.Series, zone_name: str) -> NDArray[np.int64]:
    """Times as ms UTC. Raises TimeProblem for the first that is none."""
    clean = texts.fill_null("").str.strip_chars().str.replace_all("/", "-", literal=True).str.replace(" +", "T")
    offset = clean.str.extract(_OFFSET)
    has_offset = offset.is_not_null()
    bare = clean.str.replace(r"(Z|[+-]\d{2}:?\d{2})$", "") if has_offset.any() else clean
    bare = pl.select(pl.when(has_offset).then(bare).otherwise(clean)).to_series() if has_offset.any() else clean
    clock = _clock(bare, texts)
    if not has_offset.any():
        return _resolved(clock, texts, zone_name)
    if not has_offset.all():
        index = int((~has_offset).arg_true()[0])
        raise TimeProblem(index, f"{texts[index]} without offset", "offsets in all lines or in none")
    plain = offset.str.replace("Z", "+00:00", literal=True).str.replace(":", "", literal=True)
    minutes = plain.str.slice(1, 2).cast(pl.Int64) * 60 + plain.str.slice(3, 2).cast(pl.Int64)
    sign = np.where((plain.str.slice(0, 1) == "-").to_numpy(), -1, 1)
    shifted: NDArray[np.int64] = clock - sign * minutes.to_numpy() * MINUTE_MS
    return shifted


def _clock(texts: pl.Series, shown: pl.Series) -> NDArray[np.int64]:
    """Local wall clock times as if they were UTC, ms."""
    found = texts.str.strptime(pl.Datetime("ms"), _FORMATS[0], strict=False)
    for form in _FORMATS[1:]:
        if not found.has_nulls():
            break
        found = found.fill_null(texts.str.strptime(pl.Datetime("ms"), form, strict=False))
    if found.has_nulls():
        index = int(found.is_null().arg_true()[0])
        raise TimeProblem(index, repr(shown[index] or ""), _EXAMPLE)
    clock: NDArray[np.int64] = found.to_physical().to_numpy()
    return clock


def _resolved(clock: NDArray[np.int64], texts: pl.Series, zone_name: str) -> NDArray[np.int64]:
    """Instants of local times, in order of time but for what the caller refuses."""
    starts, offsets = _eras(zone_name, int(clock.min()) - DAY_MS, int(clock.max()) + DAY_MS)
    late = np.searchsorted(starts + offsets, clock, side="right") - 1
    early = np.searchsorted(starts[1:] + offsets[:-1], clock, side="right")
    skipped = np.flatnonzero(early > late)
    if len(skipped):
        index = int(skipped[0])
        raise TimeProblem(
            index, f"{texts[index]}, which the clocks of {zone_name} skip", "times with an offset, or another --zone"
        )
    era = early.copy()
    repeated = np.flatnonzero(early < late)
    # Where the hour has one line, or Lord Howe's half-hour, the clock is back where it was.
    back = np.concatenate([[False], np.diff(clock) <= 0])
    for change in np.unique(early[repeated]):
        rows = repeated[early[repeated] == change]
        # The line at which the clock goes back, and those after it, are in the later era.
        era[rows] += np.cumsum(back[rows]) > 0
    return clock - offsets[era]


def _eras(zone_name: str, from_ms: int, until_ms: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Begins (ms UTC, the first long ago) and UTC offsets in ms of stretches of one offset."""
    rules = zone(zone_name)

    def offset(at: int) -> int:
        shift = (_EPOCH + timedelta(milliseconds=at)).astimezone(rules).utcoffset()
        assert shift is not None
        return int(shift / timedelta(milliseconds=1))

    begins, offsets = [-(2**60)], [offset(from_ms)]
    for day in range(from_ms, until_ms + DAY_MS, DAY_MS):
        if offset(day + DAY_MS) != offset(day):
            low, high = day, day + DAY_MS
            while high - low > MINUTE_MS // 60:
                middle = (low + high) // 2
                low, high = (middle, high) if offset(middle) == offset(day) else (low, middle)
            begins.append(high - high % (HOUR_MS // 4) if high % (HOUR_MS // 4) < MINUTE_MS else high)
            offsets.append(offset(high))
    return np.array(begins, np.int64), np.array(offsets, np.int64)
