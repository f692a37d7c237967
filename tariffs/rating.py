"""What an instant and an interval cost, worked out slowly with the calendar itself: the truth that audits and tests hold up.

It reads the wall clock minute by minute and shares no arithmetic with the compiled timeline, so that a mistake in one
is not a mistake in both.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import pairwise

from domain.units import MINUTE_MS
from tariffs.loader import Tariff, Version
from tariffs.zones import zone

_EPOCH_DAY = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class Piece:
    """The part of an interval in which nothing about the price changes, at most 60 minutes: [start_ms, end_ms) UTC.

    `band` index into the tariff's bands; `day` local, since 1970-01-01; `usage` Wh or litres; `price` nanos per kWh or m³;
    `cost_picos` = usage * price, exact.
    """

    start_ms: int
    end_ms: int
    band: int
    day: int
    usage: int
    price: int
    cost_picos: int


def band_and_price(tariff: Tariff, utc_ms: int) -> tuple[int, int]:
    """The band's index and the price, in nanos per kWh or m³, at an instant."""
    version, now = _version(tariff, utc_ms), _local(tariff, utc_ms)
    minute = now.hour * 60 + now.minute
    band = [band for start, band in version.days[version.week[now.weekday()]] if start <= minute][-1]
    price = version.prices[band]
    assert price is not None
    return band, price


def local_day(tariff: Tariff, utc_ms: int) -> int:
    """The local day number since 1970-01-01 at an instant."""
    return _local(tariff, utc_ms).toordinal() - _EPOCH_DAY


def cost_of(tariff: Tariff, start_ms: int, end_ms: int, usage: int) -> list[Piece]:
    """Pieces of [start_ms, end_ms), ms UTC, over which `usage` (Wh or litres) is spread evenly, in whole Wh or litres.

    By time t, floor(usage * (t - start) / (end - start)) has been used, and a piece has the difference between its ends, so
    the pieces add up. A piece may have a usage of 0.
    """
    assert start_ms < end_ms
    assert usage >= 0
    pieces = []
    for begin, end in pairwise(_edges(tariff, start_ms, end_ms)):
        used = _used_by(end, start_ms, end_ms, usage) - _used_by(begin, start_ms, end_ms, usage)
        band, price = band_and_price(tariff, begin)
        pieces.append(Piece(begin, end, band, local_day(tariff, begin), used, price, used * price))
    return pieces


def _used_by(at_ms: int, start_ms: int, end_ms: int, usage: int) -> int:
    return usage * (at_ms - start_ms) // (end_ms - start_ms)


def _edges(tariff: Tariff, start_ms: int, end_ms: int) -> Iterator[int]:
    """The start, every minute at which something changes, and the end."""
    yield start_ms
    ruling = _ruling(tariff, start_ms)
    for minute_ms in range(start_ms // MINUTE_MS * MINUTE_MS + MINUTE_MS, end_ms, MINUTE_MS):
        before, ruling = ruling, _ruling(tariff, minute_ms)
        if ruling != before:
            yield minute_ms
    yield end_ms


def _ruling(tariff: Tariff, utc_ms: int) -> tuple[object, ...]:
    """All that a piece has one of: version, UTC offset, local day and hour, band."""
    now = _local(tariff, utc_ms)
    return _version(tariff, utc_ms).from_ms, now.utcoffset(), now.date(), now.hour, band_and_price(tariff, utc_ms)


def _version(tariff: Tariff, utc_ms: int) -> Version:
    """The latest version that has begun; before all of them, the first."""
    return [tariff.versions[0], *(version for version in tariff.versions if version.from_ms <= utc_ms)][-1]


def _local(tariff: Tariff, utc_ms: int) -> datetime:
    return datetime.fromtimestamp(utc_ms // 1000, UTC).astimezone(zone(tariff.zone))
