"""Watching: what of a meter is worth an alarm besides its money."""

from typing import ClassVar

import msgspec

from domain.facts.record import Record


class WatchTerms(msgspec.Struct, frozen=True, kw_only=True):
    """When a meter is worth an alarm; what is 0, or -1 for the night, is not watched. Usage in Wh or litres, after ratio.

    `day_usage`, `month_usage`: more than this in a local day or month. `offline_ms`: no believed reading for so long.
    `stuck_ms`: the register stands still for so long, although the power read is at least `stuck_w` W. `reverse_w`: power
    flows back, by so many W or more. `night_usage`: more than this between `night_from` and `night_until`, local minutes of
    the day, which may go over midnight: a leak. An alarm is repeated at most `repeat_max` times, `repeat_ms` apart.
    """

    day_usage: int = 0
    month_usage: int = 0
    offline_ms: int = 0
    stuck_ms: int = 0
    stuck_w: int = 0
    reverse_w: int = 0
    night_usage: int = -1
    night_from: int = 120
    night_until: int = 240
    repeat_ms: int = 14_400_000
    repeat_max: int = 3


class MeterWatchSet(Record, frozen=True, kw_only=True):
    """A meter is watched by these terms from now on, instead of those that it had."""

    KIND: ClassVar[str] = "meter_watch_set"
    id: str
    meter: int
    terms: WatchTerms
    operator: str = ""


class MainMeterSet(Record, frozen=True, kw_only=True):
    """What goes through a meter goes on through `subs`. No `subs`: it is a main meter no longer.

    A local day on which more than `loss_max_permille` of it, and more than `loss_min` Wh or litres, are lost in between is an alarm.
    """

    KIND: ClassVar[str] = "main_meter_set"
    id: str
    meter: int
    subs: tuple[int, ...]
    loss_max_permille: int
    loss_min: int
    operator: str = ""


class SubMetersCounted(Record, frozen=True, kw_only=True):
    """The second stage has counted what a main meter and its sub-meters used from `begins` until `ends`, ms UTC, local midnights both.

    `subs` are those that were asked for, `subs_now` those that they are at `ends`: a successor in the place of a meter that was replaced,
    none in that of one that was taken down. `begins` 0: only whether the usage of every meter can be cut at `ends`. `used`, `counted`: Wh or
    litres of the main meter and of its sub-meters. `waits_for`: meters whose usage cannot be cut there; then nothing was counted.
    """

    KIND: ClassVar[str] = "sub_meters_counted"
    meter: int
    subs: tuple[int, ...]
    begins: int
    ends: int
    used: int = 0
    counted: int = 0
    subs_now: tuple[int, ...] = ()
    waits_for: tuple[int, ...] = ()
