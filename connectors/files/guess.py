"""Guesses about a file of readings, from its column names and its first rows. Each comes with its reason in a sentence.

A guess decides nothing in silence: the plan says all of them, and an option replaces any. Where names and numbers leave
two readings open, the guess is the one that fails loudly: too little energy would be quarantined, too much be charged.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

import polars as pl

from connectors.files.amounts import amounts
from connectors.files.instants import EPOCH_MS, EPOCH_S, NATIVE, clock_times
from connectors.files.rows import ImportProblem

Kind = Literal["interval", "register"]
Unit = Literal["kWh", "Wh", "m3", "l"]
Stamp = Literal["start", "end"]
T = TypeVar("T")

DECIMALS: dict[Unit, int] = {"kWh": 3, "Wh": 0, "m3": 3, "l": 0}
"""Power of ten from a unit to Wh or litres."""

_TIME_NAMES = r"time|date|stamp|tstp|时间|日期"
_METER_NAMES = (
    r"meter.?(id|no|num|key)|^meters?$|表号|表计|表具|serial|mpan|nmi|lclid|device",
    r"customer|household|home|user|account|tenant|room|户|房",
    r"meter|表",
    r"\bid\b|_id$|^id|key$",
)
_VALUE_NAMES = (
    r"kwh|(?<![a-z])wh(?![a-z])|m3|m³|lit(re|er)",
    r"reading|register|示数|表码|读数|index",
    r"usage|consum|energy|volume|amount|value|import|用量|电量|水量|用水",
)
_NOT_VALUE_NAMES = r"diff|delta|cost|price|temp|key$|_id$|\bid\b|code|费|价"
_UNIT_NAMES: tuple[tuple[str, Unit], ...] = (
    (r"kwh|千瓦时|度$", "kWh"),
    (r"(?<![a-z])wh(?![a-z])|瓦时", "Wh"),
    (r"m3|m³|cubic|立方|吨", "m3"),
    (r"lit(re|er)|(?<![a-z])l(?![a-z])|升", "l"),
)
_WATER_NAMES = r"water|wasser|agua|eau|水"

_DATES = ("%Y-%m-%d", "%Y/%m/%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%Y年%m月%d日", "%d%b%y", "%d%b%Y")
_CLOCKS = (" %H:%M:%S", " %H:%M", "T%H:%M:%S", "T%H:%M", " %H:%M:%S%.f", "T%H:%M:%S%.f", ":%H:%M:%S", "")
_FORMATS = (
    *(date + clock for date in _DATES for clock in _CLOCKS),
    *(f"%Y-%m-%d{clock}%#z" for clock in _CLOCKS if clock),
    *("%Y%m%d%H%M%S", "%Y%m%d%H%M", "%Y%m%d"),
)
_TRIED_ROWS = 2_000


@dataclass(frozen=True, slots=True)
class Guess(Generic[T]):
    """What is taken for true, and the sentence that says so and why."""

    value: T
    why: str


def listed(columns: Iterable[str]) -> str:
    """Column names as an error shows them."""
    return ", ".join(columns)


def shown(column: str, columns: tuple[str, ...]) -> str:
    """`column 1 'user key'`."""
    return f"column {columns.index(column) + 1} {column!r}"


def guess_time(head: pl.DataFrame, columns: tuple[str, ...]) -> Guess[str]:
    """The column that holds times; of several, the one whose name says so. Raises ImportProblem for none."""
    timed = [name for name in columns if guess_time_format(head[name], name) is not None]
    if not timed:
        raise ImportProblem(f"no column looks like a time: name one with --time COLUMN; columns are: {listed(columns)}")
    best = min(timed, key=lambda name: (not _named(_TIME_NAMES, name), columns.index(name)))
    return Guess(best, f"time = {shown(best, columns)}")


def guess_time_format(values: pl.Series, name: str) -> Guess[str] | None:
    """How a column writes times; None where it does not look like times."""
    if isinstance(values.dtype, pl.Datetime | pl.Date):
        zoned = getattr(values.dtype, "time_zone", None)
        return Guess(NATIVE, f"times are the column's own, {'each an instant' if zoned else 'local'}")
    if _named(_TIME_NAMES, name) and (epoch := _epoch(values)):
        return Guess(epoch, f"times count {'seconds' if epoch == EPOCH_S else 'milliseconds'} since 1970 UTC")
    return _pattern(values, name) if values.dtype == pl.String else None


def guess_value(head: pl.DataFrame, columns: tuple[str, ...], taken: set[str]) -> Guess[str]:
    """The column that holds registers or usage. Raises ImportProblem where no column of numbers qualifies."""
    numeric = [name for name in columns if name not in taken and _is_numeric(head[name])]
    named = _best_named(numeric, _VALUE_NAMES, but=_NOT_VALUE_NAMES)
    meters = [name for name in numeric if _rank(name, _METER_NAMES) < len(_METER_NAMES)]
    rest = [name for name in numeric if name not in meters and not _named(_NOT_VALUE_NAMES, name)]
    best = named or (rest[-1] if rest else None)
    if best is None:
        problem = "no column looks like a register or usage"
        raise ImportProblem(f"{problem}: name one with --value COLUMN; columns are: {listed(columns)}")
    return Guess(best, f"value = {shown(best, columns)}")


def guess_meter(head: pl.DataFrame, columns: tuple[str, ...], taken: set[str]) -> Guess[str]:
    """The column that says whose row it is: by its name, else the first text that repeats. Raises ImportProblem."""
    free = [name for name in columns if name not in taken]
    texts = [name for name in free if head[name].dtype == pl.String and not _is_numeric(head[name])]
    repeating = [name for name in texts if head[name].n_unique() * 2 <= len(head)]
    best = _best_named(free, _METER_NAMES, but=r"diff|delta|type") or (repeating[0] if repeating else None)
    if best is None:
        problem = "no column looks like a meter"
        raise ImportProblem(f"{problem}: name one with --meter COLUMN; columns are: {listed(columns)}")
    return Guess(best, f"meter = {shown(best, columns)}")


def guess_kind(meter: pl.Series, clock: pl.Series, value: pl.Series, name: str) -> Guess[Kind]:
    """Registers hardly ever fall; usage does every other time. `value` in thousandths. Rows of no number count not."""
    rows = pl.DataFrame({"meter": meter, "clock": clock, "value": value}).drop_nulls()
    steps = (
        rows.sort("meter", "clock", maintain_order=True)
        .select(pl.col("value").diff().over("meter"))["value"]
        .drop_nulls()
    )
    falls = int((steps < 0).sum())
    if len(steps) < 20:
        kind: Kind = "register" if _named(_VALUE_NAMES[1], name) else "interval"
        return Guess(kind, f"kind {kind}: by the column's name, for too few rows tell")
    share = 100 * (len(steps) - falls) / len(steps)
    if falls * 100 <= len(steps) and bool((steps > 0).any()):
        return Guess("register", f"kind register: values never fall in {share:.2f} % of steps")
    return Guess("interval", f"kind interval: values fall in {100 - share:.2f} % of steps")


def guess_unit(name: str, everywhere: str, value: pl.Series, kind: Kind, commodity: str | None) -> Guess[Unit]:
    """The unit by the column's name; else by the commodity and whether the numbers have decimals. `value` in thousandths."""
    for pattern, unit in _UNIT_NAMES:
        if _named(pattern, name):
            return Guess(unit, f"unit {unit}: by the column's name")
    whole = bool((value.drop_nulls() % 1000 == 0).all())
    if commodity == "water" or (commodity is None and _named(_WATER_NAMES, everywhere)):
        return Guess("l", "unit l (water): whole numbers") if whole else Guess("m3", "unit m3 (water): has decimals")
    if kind == "interval" and whole and _mostly_large(value):
        return Guess("Wh", "unit Wh ASSUMED: whole numbers, mostly 20 or more; say --unit if it is another")
    return Guess("kWh", "unit kWh ASSUMED: no name states one; say --unit if it is another")


def guess_interval_ms(meter: pl.Series, clock: pl.Series) -> Guess[int]:
    """The most common step from stamp to stamp of a meter. Raises ImportProblem where no meter has two stamps."""
    rows = pl.DataFrame({"meter": meter, "clock": clock}).drop_nulls().sort("meter", "clock")
    steps = rows.select(pl.col("clock").diff().dt.total_milliseconds().over("meter"))["clock"]
    steps = steps.filter(steps > 0)
    if steps.is_empty():
        raise ImportProblem("no meter has two times to tell the interval from: say --interval-minutes MINUTES")
    interval_ms = min(steps.mode().to_list())
    share = 100 * int((steps == interval_ms).sum()) / len(steps)
    return Guess(interval_ms, f"interval {interval_ms / 60_000:g} min: {share:.1f} % of steps")


def guess_stamp(name: str) -> Guess[Stamp]:
    """Whether a stamp is its interval's begin or end; the begin, unless the column's name says otherwise."""
    if _named(r"end|until|止", name):
        return Guess("end", "stamp end: by the column's name")
    return Guess(
        "start", "stamp start ASSUMED: a row's time is the begin of its interval; say --stamp end if it is the end"
    )


def guess_decimal_comma(values: pl.Series) -> Guess[bool]:
    """Whether text writes `0,5` for a half: some numbers do and none has a point."""
    if values.dtype != pl.String:
        return Guess(value=False, why="")
    comma = bool(values.str.contains(r"^\s*[+-]?[0-9]+,[0-9]+\s*$").any())
    return Guess(comma and not bool(values.str.contains(".", literal=True).any()), "decimals are written with a comma")


def _mostly_large(thousandths: pl.Series) -> bool:
    """Whether at least half of the positive numbers are 20 or more: so many kWh in an interval no home uses."""
    positive = thousandths.filter(thousandths > 0)
    return int((positive >= 20_000).sum()) * 2 >= max(1, len(positive))


def _named(pattern: str, name: str) -> bool:
    return re.search(pattern, name, re.IGNORECASE) is not None


def _rank(name: str, patterns: tuple[str, ...]) -> int:
    return next((rank for rank, pattern in enumerate(patterns) if _named(pattern, name)), len(patterns))


def _best_named(names: list[str], patterns: tuple[str, ...], but: str) -> str | None:
    """The name that the earliest pattern knows; None where no pattern knows any."""
    ranked = [(_rank(name, patterns), name) for name in names if not _named(but, name)]
    best = min(ranked, key=lambda pair: pair[0], default=(len(patterns), ""))
    return best[1] if best[0] < len(patterns) else None


def _is_numeric(values: pl.Series) -> bool:
    """A column of numbers, or of text of which three in four are numbers."""
    if values.dtype.is_numeric():
        return True
    if values.dtype != pl.String:
        return False
    tried = values.head(_TRIED_ROWS).str.replace(",", ".", literal=True)
    return amounts(tried, 0).null_count() * 4 <= len(tried)


def _epoch(values: pl.Series) -> str | None:
    """Seconds or milliseconds of the years 2000 to 2100, if all numbers are."""
    numbers = amounts(values.head(_TRIED_ROWS), 0).drop_nulls() if _is_numeric(values) else pl.Series(dtype=pl.Int64)
    for name, unit in ((EPOCH_S, 1), (EPOCH_MS, 1000)):
        if len(numbers) and numbers.is_between(946_684_800 * unit, 4_102_444_800 * unit).all():
            return name
    return None


def _pattern(values: pl.Series, name: str) -> Guess[str] | None:
    """The pattern that reads the most of the column, at least three in four of its texts."""
    tried = values.gather_every(max(1, len(values) // _TRIED_ROWS)).drop_nulls()
    formats = _FORMATS if _named(_TIME_NAMES, name) else tuple(each for each in _FORMATS if "%Y%m%d" not in each)
    missed = {each: clock_times(tried, each).null_count() for each in formats if len(tried)}
    best = min(missed, key=lambda each: missed[each], default=None)
    if best is None or missed[best] * 4 > len(tried):
        return None
    other = best.replace("%d/%m", "%m/%d")
    if other != best and missed[other] == missed[best]:
        return Guess(best, f"time format {best!r} ASSUMED: day before month; say --time-format {other!r} if it is not")
    return Guess(best, f"time format {best!r}")
