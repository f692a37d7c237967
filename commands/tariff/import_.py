"""`meterline tariff import`: a record of OpenEI's Utility Rate Database as a tariff file."""

from pathlib import Path
from typing import Annotated

import typer

from commands.endings import refused
from domain.documents import MistakesError, read_document
from tariffs import zones
from tariffs.loader import load_tariff
from tariffs.urdb import Imported, ImportRefusedError, import_record, record_of


def import_(
    record: Annotated[Path, typer.Argument(help="JSON of one URDB record, or of several.", metavar="RECORD.json")],
    zone: Annotated[str, typer.Option(help="Time zone of its hours, which a record does not say: America/New_York.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write; else it is printed.")] = None,
    label: Annotated[str | None, typer.Option(help="Which record, where the file has several.")] = None,
    tariff: Annotated[str | None, typer.Option(help="Id of the tariff; else made of its name.")] = None,
    currency: Annotated[str, typer.Option(help="Currency of its prices.")] = "USD",
) -> None:
    """Turn an OpenEI URDB record into a tariff file, and say what of the record is not in it.

    A record whose price a tariff file cannot state is refused with every reason.
    """
    _check_zone(zone)
    found = _imported(record, zone, label, tariff, currency)
    if output is None:
        typer.echo(found.text, nl=False)
    else:
        _write(output, found.text)
    for note in found.notes:
        typer.echo(f"note: {note}", err=True)


def _check_zone(name: str) -> None:
    try:
        zones.zone(name)
    except ValueError as error:
        raise refused(f"--zone: found {name!r}; expected {error}") from None


def _imported(file: Path, zone: str, label: str | None, tariff: str | None, currency: str) -> Imported:
    """The tariff file of a record, which has been read once as a proof that it can be."""
    try:
        found = import_record(record_of(read_document(file), label), zone, currency, tariff)
        load_tariff(found.text, found.tariff)
    except ImportRefusedError as error:
        raise refused("\n".join(f"{file.name}: {reason}" for reason in error.args)) from None
    except MistakesError as error:
        raise refused(str(error)) from None
    except (OSError, ValueError) as error:
        raise refused(f"{file.name}: {error}") from None
    return found


def _write(output: Path, text: str) -> None:
    try:
        with output.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise refused(f"--output: found {output}, which exists; expected a file that does not") from None
    except OSError as error:
        raise refused(
            f"--output: found {output}, {error.strerror or error}; expected a file that can be written"
        ) from None
