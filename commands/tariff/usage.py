"""Usage in a CSV file, read exactly into a series: what `meterline tariff price` and `compare` price.

Numbers are read as text and become whole Wh or litres without a float between. What is not sure is refused at its line, with
what to do about it: a bill that was made of a guess would look like any other.
"""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from commands.tariff.times import TimeProblem, utc_of
from domain.units import DAY_MS, HOUR_MS, USAGE_MAX, quantity_text
from domain.words import Commodity
from tariffs.series import Series

TIMES = ("time", "timestamp", "datetime", "时间", "日期")
USAGES = {"usage": 3, "kwh": 3, "m3": 3, "m³": 3, "wh": 0, "l": 0, "用量": 3, "电量": 3, "水量": 3}
"""Columns of the use of an interval, and the decimals that make their unit whole Wh or litres."""
REGISTERS = {"register": 3, "reading": 3, "示数": 3, "读数": 3}
COMMODITY_OF = {"kwh": Commodity.ELECTRICITY, "wh": Commodity.ELECTRICITY, "电量": Commodity.ELECTRICITY} | {
    "m3": Commodity.WATER, "m³": Commodity.WATER, "l": Commodity.WATER, "水量": Commodity.WATER,
}  # fmt: skip

_NUMBER = r"^([+-]?)(\d{1,12})(?:\.(\d*))?$"
_FINE = 9
"""Decimals that are kept while rounding: more than any meter has."""
_FLOAT_MAX = 1e9
"""More than any interval's use in any unit, and far from where a float has no decimals left."""
_MONTH_DAYS = (28, 31)


class UsageProblem(ValueError):  # noqa: N818 - it is what was found, and printed
    """What is wrong with a usage file: its name, the line, what was found and what to do."""


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    decimals: int
    is_register: bool


class UsageFile:
    """A CSV file while it is read; its lines are numbered from 1, the header's."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            table = pl.read_csv(path, infer_schema=False, encoding="utf8-lossy", row_index_name="row")
        except pl.exceptions.NoDataError:
            raise self.problem(1, "nothing", "a header such as time,usage and a line for each interval") from None
        except pl.exceptions.PolarsError as error:
            self._refuse_longer_line()
            raise self.problem(0, str(error).splitlines()[0], "a CSV file with commas") from None
        table.columns = ["row", *(name.strip().lstrip("\ufeff") for name in table.columns[1:])]
        blank = pl.all_horizontal(pl.exclude("row").is_null())
        self._table = table.filter(~blank)

    def problem(self, row: int | None, found: str, expected: str) -> UsageProblem:
        """What to raise about a line of the file; 0 where it has no line."""
        where = f"{self._path.name}: line {row}" if row else self._path.name
        return UsageProblem(f"{where}: found {found}; expected {expected}")

    def at(self, index: int, found: str, expected: str) -> UsageProblem:
        """What to raise about a row of the table. Text in quotes may have made earlier rows longer than a line."""
        earlier = self._table[:index].select(pl.exclude("row").str.count_matches("\n").sum())
        further = sum(count or 0 for count in earlier.row(0))
        return self.problem(int(self._table["row"][index]) + 2 + further, found, expected)

    def _refuse_longer_line(self) -> None:
        """Raise UsageProblem for a line with more values than the header: one too many may be half of a decimal number."""
        with self._path.open(encoding="utf-8", errors="replace", newline="") as file:
            lines = csv.reader(file)
            width = len(next(lines, []))
            for values in lines:
                if len(values) > width:
                    expected = f"{width}, as in the header; with a point in decimal numbers, as in 0.250"
                    raise self.problem(lines.line_num, f"{len(values)} values", expected)

    def series(self, commodity: Commodity, zone_name: str, *, stamp: str, rounds: bool) -> Series:
        """Usage over time. `stamp`: times stand at the `start` or the `end` of what was used. Raises UsageProblem."""
        column = self._column(commodity)
        times = self._times(zone_name)
        value = self._numbers(column, rounds=rounds)
        if column.is_register:
            return self._of_register(times, value)
        return self._of_intervals(times, value, zone_name, stamp)

    def _column(self, commodity: Commodity) -> _Column:
        lower = {name.lower(): name for name in self._table.columns}
        found = [
            _Column(lower[name], decimals, table is REGISTERS)
            for table in (USAGES, REGISTERS)
            for name, decimals in table.items()
            if name in lower
        ]
        if len(found) != 1:
            names = ", ".join(self._table.columns[1:]) or "nothing"
            expected = f"a column time and one of {', '.join([*USAGES, *REGISTERS])}"
            raise self.problem(1, f"the columns {names}", expected)
        own = COMMODITY_OF.get(found[0].name.lower(), commodity)
        if own != commodity:
            raise self.problem(
                1, f"the column {found[0].name}", f"use of {commodity.name.lower()}, which the tariff prices"
            )
        return found[0]

    def _times(self, zone_name: str) -> NDArray[np.int64]:
        name = next((name for name in self._table.columns if name.lower() in TIMES), None)
        if name is None:
            raise self.problem(1, f"the columns {', '.join(self._table.columns[1:])}", f"a column {', '.join(TIMES)}")
        if self._table.is_empty():
            raise self.problem(2, "no lines", "a line for each interval")
        try:
            times = utc_of(self._table[name], zone_name)
        except TimeProblem as problem:
            raise self.at(problem.index, problem.found, problem.expected) from None
        falls = np.flatnonzero(np.diff(times) <= 0)
        if len(falls):
            later = int(falls[0]) + 1
            texts = self._table[name]
            if times[later] == times[later - 1]:
                raise self.at(later, f"{texts[later]} twice", "each time once; remove the line that is not true")
            raise self.at(later, f"{texts[later]} after {texts[later - 1]}", "times in order; sort the file by time")
        return times

    def _numbers(self, column: _Column, *, rounds: bool) -> NDArray[np.int64]:
        """Whole Wh or litres. Rounding keeps sums: the total so far is rounded, not each value."""
        text = self._table[column.name].fill_null("").str.strip_chars()
        parts = text.str.extract_groups(_NUMBER).struct.rename_fields(["sign", "whole", "part"]).struct.unnest()
        part = parts["part"].fill_null("").str.strip_chars_end("0")
        bad = parts["whole"].is_null() | (part.str.len_chars() > _FINE)
        if rounds and bad.any():
            return self._numbers_of_floats(column, text, bad)
        if bad.any():
            index = int(bad.arg_true()[0])
            raise self.at(index, repr(text[index]), "a decimal number such as 0.250, or --round")
        if not rounds and (fine := part.str.len_chars() > column.decimals).any():
            index = int(fine.arg_true()[0])
            unit = "decimals, whole Wh or litres" if column.decimals else "decimals in this unit"
            raise self.at(index, text[index], f"at most {column.decimals} {unit}; --round rounds and keeps the sum")
        scale = _FINE if rounds else column.decimals
        digits = (parts["whole"] + part.str.pad_end(scale, "0")).cast(pl.Int64)
        value: NDArray[np.int64] = np.where((parts["sign"] == "-").to_numpy(), -digits.to_numpy(), digits.to_numpy())
        return _coarser(value, 10 ** (_FINE - column.decimals), column) if rounds else value

    def _numbers_of_floats(self, column: _Column, text: pl.Series, bad: pl.Series) -> NDArray[np.int64]:
        """Numbers as programs write them, such as 1e-05 or 0.30000000000000004: to 9 decimals, then as any other."""
        values = []
        for index, each in enumerate(text.to_list()):
            try:
                number = float(each) if bad[index] else 0.0
            except ValueError:
                number = math.nan
            if not abs(number) < _FLOAT_MAX:
                raise self.at(index, repr(each), "a decimal number such as 0.250")
            values.append(f"{number:.{_FINE}f}" if bad[index] else each)
        self._table = self._table.with_columns(pl.Series(column.name, values))
        return self._numbers(column, rounds=True)

    def _of_register(self, times: NDArray[np.int64], value: NDArray[np.int64]) -> Series:
        if len(times) < 2:
            raise self.at(0, "one reading", "two readings or more: use is what lies between them")
        usage = np.diff(value)
        self._check(
            usage, 1, "the register fell by", "a register that rises; split the file where the meter was changed"
        )
        return Series(times, usage)

    def _of_intervals(self, times: NDArray[np.int64], usage: NDArray[np.int64], zone_name: str, stamp: str) -> Series:
        self._check(usage, 0, "usage of", "usage that is not negative")
        if len(times) < 2:
            raise self.at(0, "one line", "two lines or more: how long an interval is shows in the times")
        steps = _Steps(times, zone_name)
        if (late := steps.first_gap()) is not None:
            lacking = steps.text(late)
            raise self.at(
                late,
                f"a gap of {lacking} before it",
                "every interval; add the missing lines, with 0 if nothing was used",
            )
        outer = steps.beyond(-1) if stamp == "end" else steps.beyond(1)
        bounds = [outer, *times] if stamp == "end" else [*times, outer]
        return Series(np.array(bounds, np.int64), usage)

    def _check(self, usage: NDArray[np.int64], offset: int, found: str, expected: str) -> None:
        for wrong, limit in ((usage < 0, expected), (usage > USAGE_MAX, f"at most {quantity_text(USAGE_MAX)} at once")):
            if wrong.any():
                index = int(np.flatnonzero(wrong)[0])
                amount = quantity_text(abs(int(usage[index])) if offset else int(usage[index]))
                raise self.at(index + offset, f"{found} {amount}" if usage[index] < 0 else f"use of {amount}", limit)


class _Steps:
    """How far times lie apart: equal time, or whole local days or months, which are longer and shorter."""

    def __init__(self, times: NDArray[np.int64], zone_name: str) -> None:
        self._times = times
        local = pl.Series(times).cast(pl.Datetime("ms", "UTC")).dt.convert_time_zone(zone_name)
        self._zone = zone_name
        self._local = local.dt.replace_time_zone(None)
        gaps = np.diff(times)
        of_day = self._local.dt.time().n_unique() == 1 and int(gaps.min()) >= DAY_MS - 2 * HOUR_MS
        self._unit = "ms"
        if of_day:
            number, self._unit = self._local.dt.date().to_physical().cast(pl.Int64).to_numpy(), "days"
            gaps = np.diff(number)
            if _MONTH_DAYS[0] <= _mode(gaps) <= _MONTH_DAYS[1] and self._local.dt.day().n_unique() == 1:
                number = (self._local.dt.year().cast(pl.Int64) * 12 + self._local.dt.month()).to_numpy()
                gaps, self._unit = np.diff(number), "months"
        self._gaps, self._usual = gaps, _mode(gaps)

    def first_gap(self) -> int | None:
        """The row before which something is missing."""
        late = np.flatnonzero(self._gaps > self._usual)
        return int(late[0]) + 1 if len(late) else None

    def text(self, row: int) -> str:
        """What is missing before a row."""
        missing = int(self._gaps[row - 1]) - self._usual
        return f"{missing / HOUR_MS:g} hours" if self._unit == "ms" else f"{missing} {self._unit}"

    def beyond(self, direction: int) -> int:
        """The time one usual step before the first time, or after the last."""
        edge = 0 if direction < 0 else len(self._times) - 1
        if self._unit == "ms":
            return int(self._times[edge]) + direction * self._usual
        suffix = {"days": "d", "months": "mo"}[self._unit]
        moved = self._local[edge : edge + 1].dt.offset_by(f"{direction * self._usual}{suffix}")
        return int(moved.dt.replace_time_zone(self._zone, ambiguous="earliest").dt.timestamp("ms")[0])


def read_usage(path: Path, commodity: Commodity, zone_name: str, *, stamp: str, rounds: bool) -> Series:
    """The series of a CSV file. Raises UsageProblem, and OSError where there is no file."""
    with path.open("rb"):
        pass
    return UsageFile(path).series(commodity, zone_name, stamp=stamp, rounds=rounds)


def _coarser(value: NDArray[np.int64], scale: int, column: _Column) -> NDArray[np.int64]:
    if column.is_register:
        return (value + scale // 2) // scale
    total = (np.cumsum(value) + scale // 2) // scale
    rounded: NDArray[np.int64] = np.diff(total, prepend=0)
    return np.where((value >= 0) & (rounded < 0), 0, rounded)


def _mode(values: Sequence[Any] | NDArray[np.int64]) -> int:
    found, count = np.unique(values, return_counts=True)
    return int(found[np.argmax(count)])
