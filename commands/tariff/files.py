"""What the commands of `meterline tariff` are told: a tariff, and the premises that it prices."""

from pathlib import Path
from typing import Annotated

import typer

from commands.endings import refused
from domain.documents import MistakesError, read_document
from domain.units import quantity_thousandths
from tariffs.loader import catalogue, load_tariff
from tariffs.tariff import Premises, Tariff

CAPACITY_MAX_W = 10**12

TariffArgument = Annotated[str, typer.Argument(help="A tariff file, or an id of the catalogue.", metavar="TARIFF")]
PersonsOption = Annotated[int, typer.Option(min=1, max=1000, help="Persons in the household.")]
CapacityOption = Annotated[str, typer.Option(help="Contracted capacity.", metavar="KW")]
UsedOption = Annotated[str, typer.Option(help="What the tier period had used before.", metavar="KWH_OR_M3")]


def tariff_of(name: str) -> Tariff:
    """The tariff of the catalogue with this id, or the one in a file. Ends the command with every mistake of it."""
    try:
        return load_tariff(tariff_text(name), Path(name).name)
    except MistakesError as error:
        raise refused(str(error)) from None


def tariff_text(name: str) -> str:
    """The document of a tariff. Ends the command where there is none; raises MistakesError for bytes that are no text."""
    shipped = catalogue()
    if name in shipped:
        return shipped[name]
    try:
        return read_document(Path(name))
    except OSError as error:
        expected = f"a tariff file, or one of the catalogue: {', '.join(shipped)}"
        raise refused(f"found {name!r}, {error.strerror or error}; expected {expected}") from None


def premises_of(persons: int, capacity: str) -> Premises:
    """The premises that options say. Ends the command where the capacity is no number of kW."""
    return Premises(persons, quantity_of("--capacity", capacity, "kW", CAPACITY_MAX_W))


def quantity_of(option: str, text: str, unit: str = "kWh or m³", most: int = 10**15) -> int:
    """Wh, litres or W in an option's text. Ends the command for what is no such number."""
    try:
        quantity = quantity_thousandths(text)
    except ValueError:
        quantity = -1
    if not 0 <= quantity <= most:
        raise refused(f"{option}: found {text!r}; expected {unit} with at most 3 decimals, such as 12.5")
    return quantity
