"""Usage: energy and what it is worth, by account, commodity and band, hour by hour or summed up by local day, month or year.

Days are those of the rows: local days of the tariff's zone. A row belongs to the hour in which it begins. Rows of the same key add up, so what came late,
what a person decided and what was corrected is in the hours that it is of. The open hour is in it, and marked.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from connectors.archive.joined import Joined, Question
from domain.units import HOUR_MS, MINUTE_MS, PICOS_PER_MICRO
from domain.words import Commodity
from reports.days import By, period_of, period_text
from reports.state import Shard, ask_meters, ask_shard, meters_of, open_hours
from reports.tenures import Owners, Tenure
from tariffs.zones import zone

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Span:
    """Local days (`day`) or epoch minutes UTC (`start`) from `first` to `last`, both included."""

    column: str
    first: int
    last: int


@dataclass(slots=True)
class Used:
    """Usage of a period, in Wh or litres, and its exact cost in picos, what was free included.

    `bands`: usage and cost by band. `is_estimated`: some of it was spread over a long interval; `is_open`: more may come.
    """

    usage: int = 0
    cost_picos: int = 0
    is_estimated: bool = False
    is_open: bool = False
    bands: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add(self, band: str, usage: int, cost_picos: int, *, is_estimated: bool) -> None:
        """Add a row of usage."""
        self.usage += usage
        self.cost_picos += cost_picos
        self.is_estimated |= is_estimated
        before = self.bands.get(band, (0, 0))
        self.bands[band] = before[0] + usage, before[1] + cost_picos

    def __add__(self, other: "Used") -> "Used":
        total = Used(self.usage, self.cost_picos, self.is_estimated, self.is_open or other.is_open, dict(self.bands))
        for band, (usage, cost) in other.bands.items():
            total.add(band, usage, cost, is_estimated=other.is_estimated)
        return total


Periods = dict[str, Used]
"""By period: of an hour its begin, epoch minutes UTC as text; else `reports.days.period_text`."""
Series = dict[tuple[str, Commodity], Periods]
"""By account and commodity."""


async def used(
    joined: Joined,
    shard: int,
    owned: Sequence[Tenure],
    documents: Mapping[str, str],
    spans: Sequence[Span],
    by: By,
    rows: Sequence[tuple[int, int]] | None = None,
) -> Series:
    """What accounts of a shard have used. `rows`: (number, row) of the meters that can have an open hour; None: whichever are in the shard.

    Raises FiguresError, ArchiveError and StoreError.
    """
    owners = Owners.of(owned, documents)
    question = Question("usage", tuple((each.column, each.first, each.last) for each in spans), _shape(owners, by))
    if rows is None:
        closed, answers = await joined.rows(question, shard, ask_shard(shard))
        state = Shard.of(answers)
        meters = list(zip(state.meter_terms["number"].tolist(), state.meters, strict=True))
    else:
        closed, answers = await joined.rows(question, shard, ask_meters(shard, [row for _, row in rows]))
        meters = list(zip([number for number, _ in rows], meters_of(answers), strict=True))
    still_open = question.shaped(open_hours(meters).lazy().filter(question.is_within)).collect()
    found = _series(closed)
    for key, periods in _series(still_open).items():
        for period, added in periods.items():
            added.is_open = True
            mine = found.setdefault(key, {})
            mine[period] = mine.get(period, Used()) + added
    if by != By.HOUR:
        _mark_open_days(found, owned, meters, by)
    return found


def _shape(owners: Owners, by: By) -> Any:
    period = pl.col("start").cast(pl.String) if by == By.HOUR else period_of(by, "day")
    picos = pl.col("cost_micros").cast(pl.Int128) * PICOS_PER_MICRO + pl.col("cost_picos").cast(pl.Int128)

    def shaped(rows: pl.LazyFrame) -> pl.LazyFrame:
        named = owners.of_rows(rows.with_columns(period.alias("period"), picos.alias("picos")))
        return named.group_by("account", "commodity", "period", "band").agg(
            pl.col("usage").sum(), pl.col("picos").sum(), pl.col("estimated").max()
        )

    return shaped


def _series(rows: pl.DataFrame) -> Series:
    found: Series = {}
    ordered = rows.sort("account", "commodity", "period", "band")
    for account, commodity, period, band, usage, picos, estimated in ordered.iter_rows():
        periods = found.setdefault((account, Commodity(commodity)), {})
        periods.setdefault(period, Used()).add(band, usage, picos, is_estimated=bool(estimated))
    return found


def _mark_open_days(found: Series, owned: Iterable[Tenure], meters: Iterable[tuple[int, Any]], by: By) -> None:
    """Mark the periods that a meter's open day is in: its day is not over, although its last hour may be closed."""
    days: dict[int, int] = {}
    for number, row in meters:
        days[number] = max(days.get(number, -1), int(row["day"]))
    for tenure in owned:
        day = days.get(tenure.record.meter, -1)
        periods = found.get((tenure.account, tenure.record.commodity), {})
        if day >= 0 and (each := periods.get(period_text(by, day))):
            each.is_open = True


def by_local_hour(periods: Periods, zone_name: str) -> dict[int, Used]:
    """Parts of hours summed up by the local hour that they are in: its begin, ms UTC, in order."""
    hours: dict[int, Used] = {}
    for start in sorted(map(int, periods)):
        begin = _hour_begin(start * MINUTE_MS, zone_name)
        hours[begin] = hours.get(begin, Used()) + periods[str(start)]
    return hours


def _hour_begin(at_ms: int, zone_name: str) -> int:
    offset = (_EPOCH + timedelta(milliseconds=at_ms)).astimezone(zone(zone_name)).utcoffset() or timedelta()
    return at_ms - (at_ms + offset // timedelta(milliseconds=1)) % HOUR_MS
