"""Times of a file as ms UTC. Local clocks repeat an hour in autumn and skip one in spring; both are dealt with by name.

A time in the repeated hour is of the first pass until its meter's rows show that the second has begun. A time in the
skipped hour is of no instant: it comes out as null and is refused by the caller.
"""

import re
from zoneinfo import ZoneInfo

import polars as pl

NATIVE, EPOCH_S, EPOCH_MS = "native", "epoch_s", "epoch_ms"
"""Time formats besides strptime patterns: the column's own times, and seconds or milliseconds since 1970 UTC."""

_FIXED = re.compile(r"(?:UTC|GMT|Z)?(?:([+-])(\d{1,2})(?::?(\d{2}))?)?")


def fixed_offset_ms(zone: str) -> int | None:
    """Offset of a zone such as `UTC`, `UTC+10` or `+05:30`; None for a zone by its IANA name."""
    match = _FIXED.fullmatch(zone)
    if match is None or not zone:
        return None
    minutes = int(match[2] or 0) * 60 + int(match[3] or 0)
    return (-minutes if match[1] == "-" else minutes) * 60_000


def check_zone(zone: str) -> str:
    """The zone, if it is one. Raises ValueError for neither an IANA name nor a fixed offset up to 14 hours."""
    offset_ms = fixed_offset_ms(zone)
    if offset_ms is None:
        try:
            ZoneInfo(zone)
        except (KeyError, ValueError, OSError):
            raise ValueError("an IANA zone such as 'Europe/London', or a fixed one such as 'UTC+10'") from None
    elif abs(offset_ms) > 14 * 3_600_000:
        raise ValueError("an offset of at most 14 hours")
    return zone


def clock_times(values: pl.Series, time_format: str) -> pl.Series:
    """The column's times as Datetime in ms: naive where they are local, in UTC where they state their instant."""
    if time_format in {EPOCH_S, EPOCH_MS}:
        count = values.cast(pl.String).str.strip_chars().cast(pl.Int64, strict=False)
        count = count.set(count.abs() > 10**14, None) * (1000 if time_format == EPOCH_S else 1)
        return count.cast(pl.Datetime("ms")).dt.replace_time_zone("UTC")
    if time_format == NATIVE:
        times = values.cast(pl.Datetime("ms", getattr(values.dtype, "time_zone", None)))
        return times if times.dtype.time_zone is None else times.dt.convert_time_zone("UTC")  # type: ignore[attr-defined]
    text = values.cast(pl.String).str.strip_chars()
    return text.str.to_datetime(time_format, time_unit="ms", strict=False)


def instants(meter: pl.Series, clock: pl.Series, zone: str, *, in_order: bool) -> pl.Series:
    """Time in ms UTC of each row's clock time, rows in file order; null where there is none, or none before 1970.

    `in_order`: a meter's rows came one after the other (registers), so that the second pass, once begun, goes on.
    """
    offset_ms = 0 if getattr(clock.dtype, "time_zone", None) else fixed_offset_ms(zone)
    if offset_ms is not None:
        at = clock.dt.epoch("ms") - offset_ms
    else:
        at = _zoned(pl.DataFrame({"meter": meter, "clock": clock}), zone, in_order=in_order)
    return at.set(at < 0, None)


def _zoned(rows: pl.DataFrame, zone: str, *, in_order: bool) -> pl.Series:
    first, second = (
        pl.col("clock").dt.replace_time_zone(zone, ambiguous=pl.lit(name), non_existent="null").dt.epoch("ms")
        for name in ("earliest", "latest")
    )
    rows = rows.with_row_index("row").with_columns(first.alias("first"), second.alias("second"))
    repeated_hour = rows.filter(pl.col("first") != pl.col("second"))
    late = _second_pass(repeated_hour, in_order=in_order)
    return rows["first"].scatter(late, rows["second"].gather(late))


def _second_pass(rows: pl.DataFrame, *, in_order: bool) -> pl.Series:
    """Which rows of the repeated hour are of its second pass: a stamp that was there before, and all after a step back.

    Where rows are in order a stamp that comes again is such a step too; half-hours that somebody has sorted come in pairs.
    """
    group = ["meter", pl.col("clock").dt.date()]
    again = pl.struct("meter", "clock").cum_count().over("meter", "clock") > 1
    back = (pl.col("clock").diff().over(group) < 0).fill_null(value=False)
    rows = rows.with_columns(again.alias("again"), back.alias("back"))
    turned = pl.col("again") | pl.col("back") if in_order else pl.col("back")
    return rows.filter(pl.col("again") | turned.cast(pl.Int8).cum_max().over(group).cast(pl.Boolean))["row"]
