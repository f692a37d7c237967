"""Which price each of a meter's own band registers has, for tariffs that charge by the meter's clock and not by ours.

A meter keeps up to five registers beside its total, and its own clock chooses the one that counts. A tariff with
`usage_by = "meter_bands"` says for each of them which of its bands that is. It must do so for all five and in every
season: what a meter may count must never be without a price.
"""

from collections.abc import Iterator

from domain import documents
from domain.documents import Mistake, MistakesError
from tariffs import model
from tariffs.model import REGISTERS
from tariffs.tariff import Version
from tariffs.values import listed


def registers_of(
    part: model.TariffPart, bands: tuple[str, ...], versions: tuple[Version, ...], text: str, name: str
) -> tuple[int, ...]:
    """The index in `bands` of sharp, peak, flat, valley and deep valley; empty where usage is by the clock.

    `text` and `name` are the file's. Raises documents.MistakesError with every register that has no price.
    """
    if part.usage_by == "clock":
        return ()
    chosen = {register: part.meter_bands.get(register, register) for register in REGISTERS}
    priced = [band for place, band in enumerate(bands) if _has_price(place, versions)]
    found = list(_mistakes(chosen, priced, text))
    if found:
        raise MistakesError(name, found)
    return tuple(bands.index(band) for band in chosen.values())


def _has_price(band: int, versions: tuple[Version, ...]) -> bool:
    """Whether a band has a price in every season of every version."""
    return all(
        schedule.prices[band] is not None
        for version in versions
        for season in version.seasons
        for schedules in season.rates
        for schedule in schedules
    )


def _mistakes(chosen: dict[str, str], priced: list[str], text: str) -> Iterator[Mistake]:
    expected = f"a band that has a price in every version and season: {listed(priced)}"
    for register, band in chosen.items():
        if band not in priced:
            line = documents.lines_of(text).of(("meter_bands", register))
            yield Mistake(line, f"meter_bands.{register}", repr(band), expected)
