"""Tariff files read into `Tariff`, the plain values that pricing works on, and the catalogue of files that we ship."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files

from domain import documents
from domain.words import Commodity
from tariffs import model
from tariffs.model import FLAT
from tariffs.zones import zone

DayProfile = tuple[tuple[int, int], ...]
"""Slots of a day: (minute since local midnight, band index), the first at minute 0, strictly increasing."""


@dataclass(frozen=True, slots=True)
class Version:
    """What a tariff is from `from_ms` (ms UTC) until its next version.

    `prices`: nanos per kWh or m³ for each of the tariff's bands; None where this version does not use the band.
    `days`: its day profiles. `week`: the index into `days` of each weekday, Monday first.
    """

    from_ms: int
    prices: tuple[int | None, ...]
    days: tuple[DayProfile, ...]
    week: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Tariff:
    """A tariff. `title` by language; `zone` an IANA name; `bands` in order of first appearance, at most 16.

    `versions` have strictly increasing `from_ms`; the first is also in force before its own.
    """

    id: str
    title: dict[str, str]
    commodity: Commodity
    currency: str
    zone: str
    bands: tuple[str, ...]
    versions: tuple[Version, ...]


def load_tariff(text: str, name: str = "tariff") -> Tariff:
    """Read a tariff file's text; `name` is what its mistakes call it. Raises documents.MistakesError with all of them."""
    part = documents.load(model.TariffPart, text, name)
    bands = _bands(part)
    latest = {_from_ms(version.from_, part.zone): version for version in part.version}
    return Tariff(
        id=part.tariff,
        title={"zh": part.title.zh, "en": part.title.en},
        commodity=Commodity[part.commodity.upper()],
        currency=part.currency,
        zone=part.zone,
        bands=bands,
        versions=tuple(_version(from_ms, latest[from_ms], bands) for from_ms in sorted(latest)),
    )


def catalogue() -> dict[str, str]:
    """The tariff files that we ship, as text, by tariff id."""
    folder = files("tariffs").joinpath("catalogue")
    ids = [file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml")]
    return {tariff: folder.joinpath(f"{tariff}.toml").read_text(encoding="utf-8") for tariff in sorted(ids)}


def _version(from_ms: int, part: model.VersionPart, bands: tuple[str, ...]) -> Version:
    prices, days, week = _prices(part), part.days or {FLAT: [(0, FLAT)]}, part.week or {"mon-sun": FLAT}
    profiles = list(days)
    weekday_profile = {day: profiles.index(name) for names, name in week.items() for day in model.weekdays(names)}
    return Version(
        from_ms=from_ms,
        prices=tuple(prices.get(band) for band in bands),
        days=tuple(tuple((minute, bands.index(band)) for minute, band in slots) for slots in days.values()),
        week=tuple(weekday_profile[day] for day in range(7)),
    )


def _prices(part: model.VersionPart) -> dict[str, int]:
    if part.price is not None:
        return {FLAT: part.price}
    assert part.prices
    return part.prices


def _bands(part: model.TariffPart) -> tuple[str, ...]:
    """In the file's order, not that of dates: a version that is appended never renumbers a band of an earlier one."""
    return tuple(dict.fromkeys(band for version in part.version for band in _prices(version)))


def _from_ms(start: date, zone_name: str) -> int:
    """The instant of a local midnight or of a time with offset, ms UTC.

    Where clocks skip midnight, the day begins at the change; where they repeat it, at the first.
    """
    if not isinstance(start, datetime):
        start = datetime(start.year, start.month, start.day, tzinfo=zone(zone_name))
    return int((start - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1))
