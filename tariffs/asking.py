"""What people ask of a published tariff: what money buys, and what bills come to. Each from the document's text, to be asked in any process."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np

from tariffs.bill import UNITS, Bill, assumptions, bills, monthly_edges
from tariffs.examples import series_by_band
from tariffs.loader import load_tariff
from tariffs.quote import Quote
from tariffs.quote import quote as quote_of
from tariffs.series import Series
from tariffs.tariff import Plan, Premises, Tariff, Title, plan_of

_tariff = lru_cache(maxsize=512)(load_tariff)


@dataclass(frozen=True, slots=True)
class DescribedVersion:
    """A version: ms UTC from which it is in force, and the names of its seasons, components and further lines of a bill."""

    from_ms: int
    seasons: tuple[str, ...]
    components: tuple[str, ...]
    charges: tuple[str, ...]
    has_tiers: bool


@dataclass(frozen=True, slots=True)
class Described:
    """What a tariff is, for lists and pages."""

    tariff: str
    title: Title
    commodity: str
    currency: str
    zone: str
    bands: tuple[str, ...]
    source: str
    notes: tuple[str, ...]
    versions: tuple[DescribedVersion, ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """Bills, month by month, and what a reader of them should know."""

    bills: tuple[Bill, ...]
    notes: tuple[str, ...]


def described(documents: Sequence[str]) -> list[Described]:
    """What each of some tariffs is."""
    return [_described(_tariff(document)) for document in documents]


def _described(tariff: Tariff) -> Described:
    versions = (
        DescribedVersion(
            version.from_ms,
            tuple(season.name for season in version.seasons if season.name),
            tuple(component.id for component in version.components),
            tuple(charge.id for charge in version.charges),
            version.tiers is not None,
        )
        for version in tariff.versions
    )
    return Described(
        tariff.id, tariff.title, tariff.commodity.name.lower(), tariff.currency, tariff.zone, tariff.bands,
        tariff.source, tariff.notes, tuple(versions),
    )  # fmt: skip


def quoted(
    document: str, premises: Premises, at_ms: int, micros: int, used: int, *, with_standing: bool
) -> tuple[str, Quote]:
    """The unit, and what an amount buys at the prices of one instant. Raises ValueError, in words, where a quote cannot tell."""
    tariff = _tariff(document)
    found = quote_of(plan_of(tariff, premises), at_ms, micros, used, with_standing=with_standing)
    return UNITS[tariff.commodity], found


def previewed(document: str, premises: Premises, times_ms: Sequence[int], usage: Sequence[int], used: int) -> Preview:
    """The bills of usage that is known interval by interval, a bill for each calendar month. Raises ValueError, in words."""
    series = Series(np.array(times_ms, np.int64), np.array(usage, np.int64))
    plan = plan_of(_tariff(document), premises)
    return _preview(plan, series, used)


def previewed_month(
    document: str, premises: Premises, usage: Mapping[str, int], first: date, until: date, used: int
) -> Preview:
    """The bill of the days from `first` up to `until` of which the use of each band is known. Raises ValueError, in words."""
    plan = plan_of(_tariff(document), premises)
    bands = plan[0].tariff.bands
    if strange := [band for band in usage if band and band not in bands]:
        raise ValueError(f"found bands {', '.join(strange)}; expected bands of this tariff: {', '.join(bands)}")
    return _preview(plan, series_by_band(plan, usage, first, until), used)


def _preview(plan: Plan, series: Series, used: int) -> Preview:
    edges = monthly_edges(plan, int(series.times[0]), int(series.times[-1]))
    return Preview(tuple(bills(plan, series, edges, used)), tuple(assumptions(plan, series, used)))
