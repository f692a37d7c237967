"""Whose a meter's usage is, and what its bands are called: tables to join rows of usage with.

A row of usage has the meter's number and the band's place in its tariff. An account has the usage of its meters since they were installed
there, and of meters that it had. Bands are named by the tariff that priced the meter then.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import polars as pl

from domain.state import AccountRecord, MeterRecord, SiteRecord
from domain.units import MINUTE_MS
from tariffs.loader import load_tariff

NEVER = 2**31 - 1
"""A minute after all: as good as no end."""
_HOUR_MINUTES = 60

_parsed = lru_cache(maxsize=256)(load_tariff)


@dataclass(frozen=True, slots=True)
class Tenure:
    """From `since` on and before `until`, epoch minutes UTC, a meter's usage is an account's."""

    account: str
    record: MeterRecord
    since: int
    until: int


def tenures(account: AccountRecord, meters: Mapping[int, MeterRecord]) -> Iterator[Tenure]:
    """The meters that an account has and had. A meter that has gone to another account is its own until it was installed there."""
    for number in dict.fromkeys((*account.meters, *account.former)):
        record = meters.get(number)
        if record is None:
            continue
        installed = installed_minute(record)
        if record.account != account.account:
            yield Tenure(account.account, record, 0, installed)
        else:
            yield Tenure(account.account, record, 0 if number in account.former else installed, NEVER)


def installed_minute(record: MeterRecord) -> int:
    """The first minute at which a row of a meter's usage can begin where it is installed: in the hour that had begun."""
    return record.installed_at // MINUTE_MS - _HOUR_MINUTES + 1


def zone_of(
    account: AccountRecord,
    meters: Mapping[int, MeterRecord],
    sites: Mapping[str, SiteRecord],
    documents: Mapping[str, str],
) -> str:
    """The zone of an account's days: its site's; of an account without a site, that of a meter's tariff; else UTC."""
    if site := sites.get(account.place.site):
        return site.zone
    known = (meters[number] for number in (*account.meters, *account.former) if number in meters)
    return next(
        (_parsed(documents[each.tariff], each.tariff).zone for each in known if each.tariff in documents), "UTC"
    )


def zone_of_meter(record: MeterRecord, documents: Mapping[str, str]) -> str:
    """The zone of the days of a meter: that of the tariff which it has now; UTC for one that is not known yet."""
    tariff = record.assignments[-1].tariff
    return _parsed(documents[tariff], tariff).zone if tariff in documents else "UTC"


@dataclass(frozen=True, slots=True)
class Owners:
    """Tables to join rows of usage with. `account` is a text, `commodity` a `domain.words.Commodity`, bounds are epoch minutes."""

    owned: pl.LazyFrame
    staged: pl.LazyFrame
    named: pl.LazyFrame

    @classmethod
    def of(cls, found: Iterable[Tenure], documents: Mapping[str, str]) -> "Owners":
        """The tables of some tenures. `documents`: tariffs by id."""
        found = list(found)
        owned = [
            (each.record.meter, each.account, int(each.record.commodity), each.since, each.until) for each in found
        ]
        staged = [
            stage for record in {each.record.meter: each.record for each in found}.values() for stage in _stages(record)
        ]
        tariffs = {stage[3] for stage in staged} & set(documents)
        named = [
            (name, place, band)
            for name in sorted(tariffs)
            for place, band in enumerate(_parsed(documents[name], name).bands)
        ]
        integers = {"since": pl.Int32, "until": pl.Int32}
        return cls(
            _table(owned, {"meter": pl.Int64, "account": pl.String, "commodity": pl.UInt8, **integers}),
            _table(staged, {"meter": pl.Int64, **integers, "tariff": pl.String}),
            _table(named, {"tariff": pl.String, "band": pl.UInt8, "name": pl.String}),
        )

    def of_rows(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """Rows of usage that are owned, with `account`, `commodity`, and `band` as its name."""
        is_then = (pl.col("start") >= pl.col("since")) & (pl.col("start") < pl.col("until"))
        owned = rows.join(self.owned, on="meter").filter(is_then).drop("since", "until")
        staged = owned.join(self.staged, on="meter").filter(is_then)
        name = pl.coalesce("name", pl.col("band").cast(pl.String))
        return staged.join(self.named, on=["tariff", "band"], how="left").with_columns(name.alias("band"))


def _table(rows: Sequence[tuple[object, ...]], schema: Mapping[str, type[pl.DataType]]) -> pl.LazyFrame:
    return pl.LazyFrame(rows, pl.Schema(schema), orient="row")


def _stages(record: MeterRecord) -> Iterator[tuple[int, int, int, str]]:
    """(meter, from minute, to minute, tariff) of each of a meter's assignments."""
    starts = [each.starts_at // MINUTE_MS for each in record.assignments]
    for assignment, (since, until) in zip(record.assignments, pairwise([*starts, NEVER]), strict=True):
        yield record.meter, since, until, assignment.tariff
