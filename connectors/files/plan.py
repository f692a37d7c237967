"""What an import does with a file, decided before the first row is read: options where given, guesses where not."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import polars as pl
from pydantic import Field, field_validator

from connectors.files.amounts import amounts
from connectors.files.guess import (
    DECIMALS,
    Guess,
    Kind,
    Stamp,
    Unit,
    guess_decimal_comma,
    guess_interval_ms,
    guess_kind,
    guess_meter,
    guess_stamp,
    guess_time,
    guess_time_format,
    guess_unit,
    guess_value,
    listed,
)
from connectors.files.instants import check_zone, clock_times
from connectors.files.rows import ImportProblem, Layout, layout_of, rows_of
from domain.documents import Part, load, read_document
from domain.words import Commodity

Repeats = Literal["quarantine", "add"]
T = TypeVar("T")


class ImportOptions(Part):
    """What the operator knows about a file; None is guessed. Columns by their names in the file.

    `separator` of CSV; `meter`, `time`, `value` columns; `order`: column to sort by before anything else; `kind`: usage per
    interval or cumulative registers; `unit` of the value; `zone` of local times, IANA or `UTC+10`; `time_format`: strptime
    pattern, or epoch_s, epoch_ms; `stamp`: a time is its interval's start or end; `repeats`: what becomes of an interval that
    comes twice.
    """

    separator: str | None = Field(default=None, min_length=1, max_length=1)
    meter: str | None = None
    time: str | None = None
    value: str | None = None
    order: str | None = None
    kind: Kind | None = None
    unit: Unit | None = None
    commodity: Literal["electricity", "water"] | None = None
    zone: str | None = None
    interval_minutes: int | None = Field(default=None, ge=1, le=44_640)
    time_format: str | None = None
    stamp: Stamp | None = None
    repeats: Repeats | None = None

    @field_validator("zone")
    @classmethod
    def _zone_exists(cls, zone: str | None) -> str | None:
        return None if zone is None else check_zone(zone)


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """Everything decided about a file, and in `said` a sentence for each thing that was guessed.

    `decimals`: power of ten from the file's unit to Wh or litres. `interval_ms` is 0 for registers.
    """

    path: Path
    layout: Layout
    meter: str
    time: str
    value: str
    order: str | None
    kind: Kind
    unit: Unit
    commodity: Commodity
    decimal_comma: bool
    zone: str
    time_format: str
    interval_ms: int
    stamp: Stamp
    repeats: Repeats
    said: tuple[str, ...]

    @property
    def decimals(self) -> int:
        """Power of ten from the file's unit to Wh or litres."""
        return DECIMALS[self.unit]


def load_options(path: Path) -> ImportOptions:
    """Options from a TOML file. Raises MistakesError with every mistake and its line, OSError for no file."""
    return load(ImportOptions, read_document(path), path.name)


def plan_import(path: Path, options: ImportOptions) -> ImportPlan:
    """Decide how to read a file, from its begin. Raises ImportProblem, which says what to do."""
    layout, said = layout_of(path, options.separator)
    head = rows_of(path, layout, head=True)
    if head.is_empty():
        raise ImportProblem(f"{path.name}: no rows")
    columns = _Columns(layout, head, options, said)
    clock = _clock(head[columns.time], columns)
    thousandths = value_amounts(head[columns.value], 3, decimal_comma=columns.decimal_comma)
    meter = head[columns.meter].cast(pl.String)

    kind: Kind = _chosen(options.kind, lambda: guess_kind(meter, clock, thousandths, columns.value), said)
    everywhere = " ".join((path.name, *layout.columns))
    unit: Unit = _chosen(
        options.unit, lambda: guess_unit(columns.value, everywhere, thousandths, kind, options.commodity), said
    )
    interval_ms = 0
    stamp: Stamp = "end"
    if kind == "interval":
        interval_ms, stamp = _interval(options, meter, clock, columns.time, said)
    return ImportPlan(
        path=path,
        layout=layout,
        meter=columns.meter,
        time=columns.time,
        value=columns.value,
        order=columns.order,
        kind=kind,
        unit=unit,
        commodity=_commodity(unit, options.commodity),
        decimal_comma=columns.decimal_comma,
        zone=_zone(options.zone, clock, said),
        time_format=columns.time_format,
        interval_ms=interval_ms,
        stamp=stamp,
        repeats=options.repeats or "quarantine",
        said=tuple(said),
    )


def value_amounts(values: pl.Series, decimals: int, *, decimal_comma: bool) -> pl.Series:
    """The value column times 10**decimals, as int64; null where there is no number."""
    return amounts(values.str.replace(",", ".", literal=True) if decimal_comma else values, decimals)


class _Columns:
    """Which column is what: by option, else by guess, each guess said."""

    def __init__(self, layout: Layout, head: pl.DataFrame, options: ImportOptions, said: list[str]) -> None:
        columns = layout.columns
        for option in ("time", "meter", "value", "order"):
            _check_column(option, getattr(options, option), columns)
        self.order = options.order
        self.time = _chosen(options.time, lambda: guess_time(head, columns), said)
        self.time_format = _chosen(options.time_format, lambda: _format_of(head, self.time), said)
        taken = {name for name in (self.time, options.meter, options.order) if name}
        self.value = _chosen(options.value, lambda: guess_value(head, columns, taken), said)
        self.meter = _chosen(options.meter, lambda: guess_meter(head, columns, taken | {self.value}), said)
        comma = guess_decimal_comma(head[self.value])
        self.decimal_comma = comma.value
        if comma.value:
            said.append(comma.why)


def _clock(values: pl.Series, columns: _Columns) -> pl.Series:
    try:
        clock = clock_times(values, columns.time_format)
    except pl.exceptions.PolarsError:
        clock = values.clear(len(values))
    if clock.null_count() == len(clock):
        problem = f"--time-format {columns.time_format!r} reads no time of column {columns.time!r}"
        raise ImportProblem(f"{problem}, such as {_example(values)!r}")
    return clock


def _example(values: pl.Series) -> str:
    return str(next(iter(values.drop_nulls().head(1).to_list()), ""))


def _check_column(option: str, name: str | None, columns: tuple[str, ...]) -> None:
    if name is not None and name not in columns:
        raise ImportProblem(f"--{option}: no column {name!r}; columns are: {listed(columns)}")


def _chosen(option: T | None, guess: Callable[[], Guess[T]], said: list[str]) -> T:
    if option is not None:
        return option
    guessed = guess()
    said.append(guessed.why)
    return guessed.value


def _format_of(head: pl.DataFrame, time: str) -> Guess[str]:
    guess = guess_time_format(head[time], time)
    if guess is None:
        problem = f"the times of column {time!r}, such as {_example(head[time])!r}, are of no known format"
        raise ImportProblem(f"{problem}: name it with --time-format, such as '%d/%m/%Y %H:%M'")
    return guess


def _interval(
    options: ImportOptions, meter: pl.Series, clock: pl.Series, time: str, said: list[str]
) -> tuple[int, Stamp]:
    given_ms = options.interval_minutes * 60_000 if options.interval_minutes else None
    interval_ms = _chosen(given_ms, lambda: guess_interval_ms(meter, clock), said)
    stamp: Stamp = _chosen(options.stamp, lambda: guess_stamp(time), said)
    rows = pl.DataFrame({"meter": meter, "clock": clock})
    if bool(rows.select((pl.col("clock").diff().over("meter") < pl.duration()).any()).item()):
        said.append("rows of a meter are not in the order of their times: they are sorted by time")
    return interval_ms, stamp


def _zone(zone: str | None, clock: pl.Series, said: list[str]) -> str:
    if zone is not None:
        return zone
    if getattr(clock.dtype, "time_zone", None) is None:
        said.append("zone UTC ASSUMED: local times are taken for UTC; say --zone, such as Europe/London or UTC+10")
    return "UTC"


def _commodity(unit: Unit, commodity: str | None) -> Commodity:
    of_unit = Commodity.ELECTRICITY if unit in {"kWh", "Wh"} else Commodity.WATER
    if commodity is not None and Commodity[commodity.upper()] is not of_unit:
        raise ImportProblem(f"--unit {unit} does not measure {commodity}: drop one of the two options")
    return of_unit
