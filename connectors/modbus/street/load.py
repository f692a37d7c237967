"""What a room consumes: loads that are pure functions of event time, so that a register depends on nothing but time and supply.

A load has a *rate* (W of electricity, or litres per hour of water) and an *amount* between two instants. Amounts are
integers of rate x milliseconds: exactly `AMOUNT_PER_UNIT` = 3 600 000 of them make one Wh, or one litre. They add up,

    amount_between(a, b) + amount_between(b, c) == amount_between(a, c)

whatever the instants, so reading a meter more often never changes what it counts.

Synthetic households and water draws are drawn from a seed and the room's name by a hash, never from a generator with a
hidden state: the same seed gives the same street on every machine and in every release. Replayed loads repeat real
interval data over its span.
"""

import hashlib
from abc import ABC, abstractmethod
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Protocol

import polars as pl

from domain.units import DAY_MS, HOUR_MS, MINUTE_MS

AMOUNT_PER_UNIT = HOUR_MS
"""Amounts in one Wh or one litre: a rate of 1 W, or of 1 L/h, for one hour of milliseconds."""

DAY_MINUTES = DAY_MS // MINUTE_MS


class Load(Protocol):
    """What a supply would carry if it were on."""

    def rate_at(self, at_ms: int) -> int:
        """W, or litres per hour, at event time `at_ms`."""

    def amount_between(self, start_ms: int, end_ms: int) -> int:
        """Amount consumed from `start_ms` to `end_ms`, in rate x ms; see `AMOUNT_PER_UNIT`."""


def draw(below: int, *words: object) -> int:
    """A number from 0 to `below` - 1 that depends on nothing but `words`."""
    text = "/".join(map(str, words)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") % below


def between(low: int, high: int, *words: object) -> int:
    """A number from `low` to `high`, both included, that depends on nothing but `words`."""
    return low + draw(high - low + 1, *words)


@dataclass(frozen=True, slots=True)
class ConstantLoad:
    """The same rate for ever: for tests whose reader wants to compute the register in his head."""

    rate: int

    def rate_at(self, at_ms: int) -> int:
        """W, or litres per hour; the time does not matter."""
        del at_ms
        return self.rate

    def amount_between(self, start_ms: int, end_ms: int) -> int:
        """Amount in rate x ms."""
        return self.rate * (end_ms - start_ms)


@dataclass(frozen=True, slots=True)
class Use:
    """One use of an appliance or a tap: its rate from `start_minute` of a local day, for `minutes`."""

    start_minute: int
    minutes: int
    rate: int


class DailyLoad(ABC):
    """A load made of whole minutes, drawn day by day. Subclasses say what is drawn.

    `offset_ms` is added to event time to get the room's local time: peaks come in the morning and evening of that.
    """

    KEPT_DAYS = 3

    def __init__(self, seed: int, room: str, offset_ms: int = 0) -> None:
        self.seed = seed
        self.room = room
        self.offset_ms = offset_ms
        self._days: dict[int, tuple[array[int], array[int]]] = {}

    @abstractmethod
    def uses(self, day: int) -> Iterator[Use]:
        """What is switched on and off during local day number `day`."""

    @abstractmethod
    def standing(self, minute: int) -> int:
        """Rate in local minute `minute` since 1970-01-01 of what runs by itself."""

    def rate_at(self, at_ms: int) -> int:
        """W, or litres per hour."""
        day, rest_ms = divmod(at_ms + self.offset_ms, DAY_MS)
        return self._day(day)[0][rest_ms // MINUTE_MS]

    def amount_between(self, start_ms: int, end_ms: int) -> int:
        """Amount in rate x ms."""
        assert start_ms <= end_ms
        first_day, first_ms = divmod(start_ms + self.offset_ms, DAY_MS)
        last_day, last_ms = divmod(end_ms + self.offset_ms, DAY_MS)
        whole_days = sum(self._day(day)[1][DAY_MINUTES] for day in range(first_day, last_day))
        return whole_days + self._since_midnight(last_day, last_ms) - self._since_midnight(first_day, first_ms)

    def _since_midnight(self, day: int, rest_ms: int) -> int:
        rates, totals = self._day(day)
        minute, into_ms = divmod(rest_ms, MINUTE_MS)
        return totals[minute] + rates[minute] * into_ms

    def _day(self, day: int) -> "tuple[array[int], array[int]]":
        """Rate of each minute, and amount before each minute, of a local day."""
        known = self._days.get(day)
        if known is None:
            if len(self._days) >= self.KEPT_DAYS:
                del self._days[next(iter(self._days))]
            known = self._days[day] = self._drawn(day)
        return known

    def _drawn(self, day: int) -> "tuple[array[int], array[int]]":
        rates = array("q", (self.standing(day * DAY_MINUTES + minute) for minute in range(DAY_MINUTES)))
        for use in self.uses(day):
            for minute in range(use.start_minute, min(use.start_minute + use.minutes, DAY_MINUTES)):
                rates[minute] += use.rate
        totals = array("q", accumulate((rate * MINUTE_MS for rate in rates), initial=0))
        return rates, totals

    def _between(self, low: int, high: int, *words: object) -> int:
        return between(low, high, self.seed, self.room, *words)


class HouseholdLoad(DailyLoad):
    """A flat in W: base load and fridge all day, lights, kettle and cooking at their times, in some rooms a heater."""

    def __init__(self, seed: int, room: str, offset_ms: int = 0) -> None:
        super().__init__(seed, room, offset_ms)
        self.base_w = self._between(30, 140, "base")
        self.fridge_w = self._between(70, 130, "fridge")
        self.fridge_cycle_minutes = self._between(40, 75, "cycle")
        self.fridge_on_minutes = self.fridge_cycle_minutes * self._between(25, 45, "duty") // 100
        self.fridge_phase_minutes = self._between(0, 74, "phase")
        self.light_w = self._between(40, 260, "light")
        self.kettle_w = self._between(1_500, 2_200, "kettle")
        self.stove_w = self._between(900, 2_100, "stove")
        self.heater_w = self._between(700, 1_600, "heater") if self._between(1, 100, "has heater") <= 45 else 0

    def standing(self, minute: int) -> int:
        """Base load, and the fridge in its cycle, which does not care for midnight."""
        running = (minute + self.fridge_phase_minutes) % self.fridge_cycle_minutes < self.fridge_on_minutes
        return self.base_w + (self.fridge_w if running else 0)

    def uses(self, day: int) -> Iterator[Use]:
        """The morning and evening peaks, the spikes, and what only some rooms have."""
        yield Use(self._between(360, 440, day, "wake"), self._between(40, 100, day, "morning"), self.light_w)
        yield Use(self._between(1_065, 1_140, day, "home"), self._between(210, 320, day, "evening"), self.light_w)
        yield from self._kettles(day)
        yield from self._meals(day)
        if self.heater_w:
            yield from self._heating(day)
        if self._between(1, 7, day, "washing") <= 2:
            start = self._between(540, 1_200, day, "wash at")
            yield Use(start, 18, 1_900)
            yield Use(start + 18, 50, 280)

    def _kettles(self, day: int) -> Iterator[Use]:
        for number in range(self._between(1, 5, day, "kettles")):
            hour = (7, 12, 18, 21, 15)[number]
            yield Use(hour * 60 + self._between(-25, 50, day, "kettle", number), 4, self.kettle_w)

    def _meals(self, day: int) -> Iterator[Use]:
        for meal, minute in (("lunch", 690), ("dinner", 1_095)):
            if self._between(1, 100, day, meal) <= (55 if meal == "lunch" else 85):
                start = minute + self._between(-30, 45, day, meal, "at")
                yield Use(start, self._between(15, 55, day, meal, "for"), self.stove_w)

    def _heating(self, day: int) -> Iterator[Use]:
        """A thermostat: on and off through the evening."""
        start = self._between(1_080, 1_200, day, "heat")
        for cycle in range(self._between(3, 9, day, "cycles")):
            yield Use(start + cycle * 24, self._between(8, 18, day, "heat", cycle), self.heater_w)


class WaterLoad(DailyLoad):
    """A flat's water in litres per hour: flushes and taps through the day, showers, on some days a washing machine.

    Nothing runs by itself, unless the seed gave the room a dripping tap, so that night flow can be found.
    """

    def __init__(self, seed: int, room: str, offset_ms: int = 0) -> None:
        super().__init__(seed, room, offset_ms)
        self.people = self._between(1, 4, "people")
        self.drip = self._between(2, 9, "drip") if self._between(1, 100, "has drip") <= 6 else 0

    def standing(self, minute: int) -> int:
        """A drip, or nothing."""
        del minute
        return self.drip

    def uses(self, day: int) -> Iterator[Use]:
        """Every draw of a day: a flush is 6 L, a tap 4 to 16 L, a shower 32 to 112 L, a wash 50 L."""
        for person in range(self.people):
            for number in range(self._between(3, 6, day, person, "flushes")):
                yield Use(self._awake_minute(day, person, "flush", number), 1, 360)
            for number in range(self._between(4, 9, day, person, "taps")):
                yield Use(self._awake_minute(day, person, "tap", number), self._between(1, 4, day, person, number), 240)
            shower = (
                self._between(390, 460, day, person, "at") if person % 2 else self._between(1_200, 1_340, day, person)
            )
            yield Use(shower, self._between(4, 14, day, person, "shower"), 480)
        if self._between(1, 7, day, "washing") <= 2:
            yield Use(self._between(540, 1_200, day, "wash at"), 10, 300)

    def _awake_minute(self, *words: object) -> int:
        return self._between(375, 1_400, *words)


class ReplayedLoad:
    """Real interval data, repeated over its span for ever.

    Each interval's Wh (or litres) is spread evenly over it, so the amount at its end is exact. A gap in the data, which is
    a row missing and not a row of zero, consumes nothing. The span is rounded up to whole days, so that evenings stay
    evenings when it repeats.
    """

    def __init__(self, starts_ms: list[int], amounts_wh: list[int], interval_ms: int, offset_ms: int = 0) -> None:
        """Intervals of `interval_ms` that begin at `starts_ms`, rising; `offset_ms` as in `DailyLoad`."""
        assert len(starts_ms) == len(amounts_wh) > 0
        assert all(next_ms - this_ms >= interval_ms for this_ms, next_ms in pairwise(starts_ms))
        self.first_ms = starts_ms[0]
        self.span_ms = -(-(starts_ms[-1] + interval_ms - self.first_ms) // DAY_MS) * DAY_MS
        self.interval_ms = interval_ms
        self.offset_ms = offset_ms
        self._starts = array("q", starts_ms)
        self._amounts = array("q", (wh * AMOUNT_PER_UNIT for wh in amounts_wh))
        self._before = array("q", accumulate(self._amounts, initial=0))

    def at_offset(self, offset_ms: int) -> "ReplayedLoad":
        """The same data in another place's local time. The intervals are shared."""
        moved = copy(self)
        moved.offset_ms = offset_ms
        return moved

    def rate_at(self, at_ms: int) -> int:
        """W, or litres per hour, rounded down."""
        index, into_ms = self._interval((at_ms + self.offset_ms - self.first_ms) % self.span_ms)
        return self._amounts[index] // self.interval_ms if into_ms < self.interval_ms else 0

    def amount_between(self, start_ms: int, end_ms: int) -> int:
        """Amount in rate x ms."""
        assert start_ms <= end_ms
        return self._total(end_ms) - self._total(start_ms)

    def _total(self, at_ms: int) -> int:
        rounds, phase_ms = divmod(at_ms + self.offset_ms - self.first_ms, self.span_ms)
        index, into_ms = self._interval(phase_ms)
        part = self._amounts[index] * min(into_ms, self.interval_ms) // self.interval_ms
        return rounds * self._before[-1] + self._before[index] + part

    def _interval(self, phase_ms: int) -> tuple[int, int]:
        at_ms = self.first_ms + phase_ms
        index = bisect_right(self._starts, at_ms) - 1
        return index, at_ms - self._starts[index]


@dataclass(frozen=True, slots=True)
class LoadFile:
    """Real homes in a file. Rooms take them in turn, beginning at a home that the seed chooses."""

    homes: tuple[ReplayedLoad, ...]
    first: int = 0

    def load(self, index: int, offset_ms: int = 0) -> ReplayedLoad:
        """The load of the room with this index in its street, at the file's local times."""
        return self.homes[(self.first + index) % len(self.homes)].at_offset(offset_ms)


HOME_COLUMNS = ("customer_id", "lclid", "meter", "home")
TIME_COLUMNS = ("reading_datetime", "tstp", "time")
KWH_COLUMNS = ("general_supply_kwh", "kwh")


def load_file(path: Path, seed: int = 0) -> LoadFile:
    """Interval data of several homes from CSV or Parquet, the columns named as in the trials that published them.

    A time that occurs twice (the published spring-forward defect) is one interval with the sum, so no energy is lost. Times
    are local. Raises ValueError that names what is missing or cannot be read.
    """
    try:
        rows = _rows(path)
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"{path}: {error}") from None
    homes = tuple(
        ReplayedLoad(part["start_ms"].to_list(), part["wh"].to_list(), _interval_ms(part["start_ms"]))
        for part in rows.partition_by("home", maintain_order=True)
        if part.height > 1
    )
    if not homes:
        raise ValueError(f"{path}: no home with two intervals or more")
    return LoadFile(homes, draw(len(homes), seed, "first home"))


def _rows(path: Path) -> pl.DataFrame:
    """`home`, `start_ms`, `wh`: one row per home and interval, in order."""
    frame = pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path, try_parse_dates=True)
    home, time, kwh = (_column(frame, path, names) for names in (HOME_COLUMNS, TIME_COLUMNS, KWH_COLUMNS))
    intervals = frame.select(
        pl.col(home).cast(pl.String).alias("home"),
        pl.col(time).cast(pl.Datetime("ms")).dt.epoch("ms").alias("start_ms"),
        (pl.col(kwh).cast(pl.Float64) * 1_000).round().cast(pl.Int64).alias("wh"),
    )
    return intervals.drop_nulls().group_by("home", "start_ms").agg(pl.col("wh").sum()).sort("home", "start_ms")


def _column(frame: pl.DataFrame, path: Path, names: tuple[str, ...]) -> str:
    found = next((name for name in names if name in frame.columns), None)
    if found is None:
        raise ValueError(f"{path}: found columns {', '.join(frame.columns)}; expected one named {' or '.join(names)}")
    return found


def _interval_ms(starts_ms: pl.Series) -> int:
    shortest = starts_ms.diff().min()
    assert isinstance(shortest, int)
    return shortest
