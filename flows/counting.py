"""Counting: what went through a main meter and its sub-meters from one local midnight to another, from the closed usage of all shards. Pure.

Usage is cut at every hour, so a sum from midnight to midnight is exact once the hours before the last midnight are closed, and once it is known how much
of them lay before it. Where a meter was not read for long around midnight, nobody knows: then nothing is compared, the meter is named, and its days are
counted together with the next.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from domain.facts import SubMetersCounted
from domain.state import MainMeter, MeterRecord, Rows
from domain.units import DAY_MS, HOUR_MS, MINUTE_MS

COUNTED_AFTER_MS = 2 * HOUR_MS
"""So long after midnight ticks have closed every hour before it (`flows/readings/windows.py`)."""
EDGE_MATTERS_MS = 7 * DAY_MS
"""What was used over so long a time is compared although its last hour is estimated: the hour hardly counts."""


@dataclass(frozen=True, slots=True)
class Found:
    """A meter as a shard has it. `time`: of its last believed reading, ms UTC; `window_start`: of its open hour, epoch minutes, -1: none."""

    shard: int
    record: MeterRecord
    time: int
    window_start: int


Meters = Mapping[int, Sequence[Found]]
"""All that the shards know of each number; a meter that went from one shard to another is known to both."""


def is_due(main: MainMeter, now: int) -> bool:
    """Whether it is asked what was used, and time to answer. `now`: what the slowest shard's clock says, ms UTC."""
    return main.asked and main.ends is not None and now >= main.ends.at + COUNTED_AFTER_MS


def line_of(number: int, meters: Meters) -> list[int]:
    """A meter number and those of its successors, as far as meters were replaced."""
    line = [number]
    while found := meters.get(line[-1], ()):
        latest = _latest(found)
        if not latest.record.removed_at or latest.record.replaced_by in {0, *line}:
            break
        line.append(latest.record.replaced_by)
    return line


def _latest(found: Sequence[Found]) -> Found:
    """Where a meter is now, or where it was last."""
    return max(found, key=lambda each: (not each.record.removed_at, each.record.removed_at))


def answer(main: MainMeter, at: int, meters: Meters, usage: Rows) -> SubMetersCounted:
    """What was used in the time that is asked about. `usage`: `effects.USAGE` rows with all of that time, of at least these meters."""
    assert main.ends is not None
    begins, ends = main.begins.at if main.begins else 0, main.ends.at
    said = SubMetersCounted(at=at, meter=main.meter, subs=main.subs, begins=begins, ends=ends)
    lines = {number: line_of(number, meters) for number in (main.meter, *main.subs)}
    starts = usage["start"].astype(np.int64) * MINUTE_MS
    is_long = begins > 0 and ends - begins >= EDGE_MATTERS_MS
    guessed = set() if is_long else _estimated(usage[(starts >= ends - HOUR_MS) & (starts < ends)])
    commodity = _latest(meters[main.meter]).record.commodity
    waits_for = tuple(
        number
        for number, line in lines.items()
        if not guessed.isdisjoint(line) or not _is_cut(meters[line[-1]], commodity, ends)
    )
    if waits_for:
        return msgspec.structs.replace(said, waits_for=waits_for)
    spent = usage[(starts >= (begins or ends)) & (starts < ends)]
    return msgspec.structs.replace(
        said,
        used=_sum(spent, [main.meter]),
        counted=_sum(spent, [number for sub in main.subs for number in lines[sub]]),
        subs_now=tuple(sorted({lines[sub][-1] for sub in main.subs if _is_there(meters[lines[sub][-1]])})),
    )


def _estimated(usage: Rows) -> set[int]:
    return set(usage["meter"][usage["estimated"] == 1].tolist())


def _is_there(found: Sequence[Found]) -> bool:
    return not _latest(found).record.removed_at


def _is_cut(found: Sequence[Found], commodity: int, ends: int) -> bool:
    """Whether nothing that a meter used before `ends` can come to light later. What is unknown or measures something else never is."""
    if not found:
        return False
    latest = _latest(found)
    if latest.record.commodity != commodity:
        return False
    is_closed = latest.window_start < 0 or latest.window_start * MINUTE_MS >= ends
    return latest.record.removed_at > 0 or (latest.time >= ends and is_closed)


def _sum(usage: Rows, numbers: list[int]) -> int:
    return int(usage["usage"][np.isin(usage["meter"], numbers)].sum())
