"""Files of readings as facts: blocks of registers, and every row that could not be read, with its line and words.

Two kinds of file. *Registers* are what meters show: a row is a reading, in the file's order, and nothing is judged here.
*Interval* data say how much was used in each interval; a running sum per meter makes registers of them, from 0. A reading
stands at an interval's end; one more stands at its begin where a meter begins or a gap ends, so that energy is priced in
the interval in which it was used. Promise, per file of interval data, exactly:

    usage_in_file = Σ differences of a meter's registers + Σ usage of refused rows

A file is read as a whole: about 0.75 GB of memory for 1.5 million rows.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import polars as pl

from connectors.files.instants import clock_times, instants
from connectors.files.plan import ImportOptions, ImportPlan, load_options, plan_import, value_amounts
from connectors.files.rows import FIELDS_WRONG, LINE, TEXT, ImportProblem, rows_of, texts_of
from domain.facts import ReadingBlock, ReadingRefused
from domain.units import USAGE_MAX

__all__ = [
    "Chunk",
    "ImportOptions",
    "ImportPlan",
    "ImportProblem",
    "RowRefusal",
    "load_options",
    "plan_import",
    "read_chunks",
]

TEXT_MAX = 200
_POSITION, _METER, _AT, _VALUE, _USAGE, _REASON = "#position", "#meter", "#at", "#value", "#usage", "#reason"
_REGISTER, _ROWS, _STEP = "#register", "#rows", "#step"
_OPENING, _CLOSING, _REFUSED = 0, 1, 2


class RowRefusal(StrEnum):
    """Why a row is no reading. Earlier members win over later ones."""

    WRONG_FIELD_COUNT = "wrong_field_count"
    EMPTY_METER = "empty_meter"
    UNKNOWN_METER = "unknown_meter"
    UNREADABLE_TIME = "unreadable_time"
    NONEXISTENT_LOCAL_TIME = "nonexistent_local_time"
    UNREADABLE_VALUE = "unreadable_value"
    NEGATIVE_USAGE = "negative_usage"
    USAGE_TOO_LARGE = "usage_too_large"
    REPEATED_STAMP = "repeated_stamp"


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """A part of a file: at most the asked number of readings and refused rows together.

    `rows` of the file that it accounts for, from `first_line` to `last_line`; a row is in one chunk only. `usage_in_file`: Wh
    or litres that these rows state, refused ones included; 0 for registers, which state none. A negative usage and one that
    cannot be read count 0. `said`: what was noticed only now; in the first chunk.
    """

    block: ReadingBlock
    refused: list[ReadingRefused]
    rows: int
    usage_in_file: int
    first_line: int
    last_line: int
    said: tuple[str, ...] = ()


def read_chunks(plan: ImportPlan, numbers: Callable[[str], int], rows: int = 12_500) -> Iterator[Chunk]:
    """The file's facts in order; a meter's readings never change places between or in chunks.

    `numbers` gives the meter number of a meter's text, once per text; 0 refuses its rows as `unknown_meter`.
    Raises ImportProblem for a file that cannot be read to its end.
    """
    assert rows > 0
    judged, said = _judged(plan, numbers)
    items = _interval_items(judged, plan) if plan.kind == "interval" else _register_items(judged)
    for first in range(0, len(items), rows):
        yield _chunk(items.slice(first, rows), plan, said if first == 0 else ())


def _judged(plan: ImportPlan, numbers: Callable[[str], int]) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """All rows, each with meter, instant and value as far as they can be read, and the reason where they cannot."""
    rows = _in_order(rows_of(plan.path, plan.layout), plan.order)
    name = rows[plan.meter].cast(pl.String).str.strip_chars().fill_null("")
    clock = clock_times(rows[plan.time], plan.time_format)
    judged = rows.with_columns(
        _numbered(name, numbers).alias(_METER),
        _reading_times(name, clock, plan).alias(_AT),
        value_amounts(rows[plan.value], plan.decimals, decimal_comma=plan.decimal_comma).alias(_VALUE),
        (name == "").alias("#nameless"),
        (clock.is_null() | (clock.dt.year() < 1970)).alias("#clockless"),
    )
    judged = judged.with_columns(_refusal(judged, plan).alias(_REASON), _usage(plan).alias(_USAGE))
    if plan.kind == "register" or not _out_of_order(judged):
        return judged.with_row_index(_POSITION), ()
    said = f"{_out_of_order(judged)} rows came before an earlier one of their meter: rows are sorted by meter and time"
    return judged.sort(_METER, _AT, maintain_order=True).with_row_index(_POSITION), (said,)


def _in_order(rows: pl.DataFrame, order: str | None) -> pl.DataFrame:
    """Rows by the `order` column, by number where it holds numbers; equal ones stay as they are in the file."""
    if order is None:
        return rows
    key = rows[order]
    number = key.cast(pl.Float64, strict=False) if key.dtype == pl.String else key
    return rows.with_columns((key if number.null_count() else number).alias("#order")).sort(
        "#order", maintain_order=True
    )


def _numbered(names: pl.Series, numbers: Callable[[str], int]) -> pl.Series:
    distinct = [name for name in names.unique(maintain_order=True).to_list() if name]
    return names.replace_strict(distinct, [numbers(name) for name in distinct], default=0, return_dtype=pl.Int64)


def _reading_times(name: pl.Series, clock: pl.Series, plan: ImportPlan) -> pl.Series:
    at = instants(name, clock, plan.zone, in_order=plan.kind == "register")
    return at + plan.interval_ms if plan.stamp == "start" else at


def _refusal(rows: pl.DataFrame, plan: ImportPlan) -> pl.Expr:
    """The first reason against a row, or null."""
    reasons = {
        RowRefusal.WRONG_FIELD_COUNT: pl.col(FIELDS_WRONG) if FIELDS_WRONG in rows.columns else pl.lit(value=False),
        RowRefusal.EMPTY_METER: pl.col("#nameless"),
        RowRefusal.UNKNOWN_METER: pl.col(_METER) == 0,
        RowRefusal.UNREADABLE_TIME: pl.col("#clockless"),
        RowRefusal.NONEXISTENT_LOCAL_TIME: pl.col(_AT).is_null(),
        RowRefusal.UNREADABLE_VALUE: pl.col(_VALUE).is_null(),
    }
    if plan.kind == "interval":
        reasons |= {
            RowRefusal.NEGATIVE_USAGE: pl.col(_VALUE) < 0,
            RowRefusal.USAGE_TOO_LARGE: pl.col(_VALUE) > USAGE_MAX,
        }
    return pl.coalesce(pl.when(against).then(pl.lit(reason.value)) for reason, against in reasons.items())


def _usage(plan: ImportPlan) -> pl.Expr:
    """Wh or litres that a row states, refused or not."""
    return pl.col(_VALUE).clip(lower_bound=0).fill_null(0) if plan.kind == "interval" else pl.lit(0, pl.Int64)


def _out_of_order(rows: pl.DataFrame) -> int:
    good = rows.filter(pl.col(_REASON).is_null())
    return int(good.select((pl.col(_AT).diff().over(_METER) < 0).sum()).item())


def _register_items(rows: pl.DataFrame) -> pl.DataFrame:
    step = pl.when(pl.col(_REASON).is_null()).then(_CLOSING).otherwise(_REFUSED)
    return rows.with_columns(pl.col(_VALUE).alias(_REGISTER), pl.lit(1).alias(_ROWS), step.alias(_STEP))


def _interval_items(rows: pl.DataFrame, plan: ImportPlan) -> pl.DataFrame:
    """Readings and refused rows in order: an opening where one is needed, the interval's end, and what is refused."""
    good, refused = rows.filter(pl.col(_REASON).is_null()), rows.filter(pl.col(_REASON).is_not_null())
    if plan.repeats == "quarantine":
        repeated = (pl.col(_AT).diff().over(_METER) == 0).fill_null(value=False)
        again = good.filter(repeated).with_columns(pl.lit(RowRefusal.REPEATED_STAMP.value).alias(_REASON))
        good, refused = good.filter(~repeated), pl.concat([refused, again])
    closings = _closings(good)
    openings = _openings(closings, plan.interval_ms)
    refused = refused.with_columns(
        pl.lit(0, pl.Int64).alias(_REGISTER), pl.lit(1, pl.Int64).alias(_ROWS), pl.lit(_REFUSED).alias(_STEP)
    )
    return pl.concat([closings, openings, refused], how="diagonal").sort(_POSITION, _STEP)


def _closings(good: pl.DataFrame) -> pl.DataFrame:
    """The reading at the end of each interval. Rows that repeat an interval are added up in its last."""
    summed = good.with_columns(
        pl.col(_USAGE).cum_sum().over(_METER).alias(_REGISTER),
        pl.col(_USAGE).cum_count().over(_METER).cast(pl.Int64).alias(_ROWS),
    )
    last = summed.filter((pl.col(_AT) != pl.col(_AT).shift(-1).over(_METER)).fill_null(value=True))
    return last.with_columns(
        (pl.col(_REGISTER) - pl.col(_REGISTER).shift(1).over(_METER).fill_null(0)).alias(_USAGE),
        (pl.col(_ROWS) - pl.col(_ROWS).shift(1).over(_METER).fill_null(0)).alias(_ROWS),
        pl.lit(_CLOSING).alias(_STEP),
    )


def _openings(closings: pl.DataFrame, interval_ms: int) -> pl.DataFrame:
    """A reading at the begin of an interval that follows no other: the register as it was, and no row of the file."""
    begin = pl.col(_AT) - interval_ms
    before = pl.col(_AT).shift(1).over(_METER)
    return closings.filter((begin > before).fill_null(value=True)).with_columns(
        begin.alias(_AT),
        (pl.col(_REGISTER) - pl.col(_USAGE)).alias(_REGISTER),
        pl.lit(0, pl.Int64).alias(_USAGE),
        pl.lit(0, pl.Int64).alias(_ROWS),
        pl.lit(_OPENING).alias(_STEP),
    )


def _chunk(items: pl.DataFrame, plan: ImportPlan, said: tuple[str, ...]) -> Chunk:
    readings = items.filter(pl.col(_STEP) != _REFUSED)
    block = ReadingBlock(
        meter=readings[_METER].to_numpy(writable=True),
        time=readings[_AT].to_numpy(writable=True),
        register=readings[_REGISTER].to_numpy(writable=True),
    )
    return Chunk(
        block=block,
        refused=_refused(items.filter(pl.col(_STEP) == _REFUSED), plan),
        rows=int(items[_ROWS].sum()),
        usage_in_file=int(items[_USAGE].sum()),
        first_line=int(items.select(pl.col(LINE).min()).item()),
        last_line=int(items.select(pl.col(LINE).max()).item()),
        said=said,
    )


def _refused(rows: pl.DataFrame, plan: ImportPlan) -> list[ReadingRefused]:
    """A fact for each refused row; `at` is 0 where its time could not be read."""
    if rows.is_empty():
        return []
    text = texts_of(rows, plan.layout.columns).str.slice(0, TEXT_MAX).alias(TEXT)
    facts = rows.with_columns(text).select(LINE, TEXT, pl.col(_AT).fill_null(0), _METER, _USAGE, _REASON)
    return [
        ReadingRefused(at=at, source=plan.path.name, line=line, text=words, reason=reason, meter=meter, usage=usage)
        for line, words, at, meter, usage, reason in facts.iter_rows()
    ]
