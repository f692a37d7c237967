"""`meterline tariff check`: every mistake of every file, and what is worth knowing about those without one."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from domain.documents import Mistake, MistakesError, read_document
from tariffs.checking import Checked, checked


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """A file, and what became of it."""

    file: str
    found: Checked


def check(
    files: Annotated[list[Path], typer.Argument(help="Tariff files.", metavar="FILE…")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Report every mistake of tariff files with its line. Ends with code 2 if there is one.

    An example in a file whose bill comes out otherwise is a mistake too. Of files without mistakes it says what a reader should know, and why a prepaid wallet cannot be charged by them.
    """
    results = [checked_file(file) for file in files]
    if as_json:
        typer.echo(json.dumps([_figures(result) for result in results], ensure_ascii=False))
    else:
        for result in results:
            for line in _lines(result):
                typer.echo(line)
    if any(result.found.is_wrong for result in results):
        raise typer.Exit(2)


def checked_file(file: Path) -> CheckedFile:
    """What is wrong in a file, or what there is to say about it."""
    try:
        return CheckedFile(str(file), checked(read_document(file), file.name))
    except MistakesError as error:
        return CheckedFile(str(file), Checked(None, tuple(error.mistakes)))
    except OSError as error:
        mistake = Mistake(0, "file", error.strerror or str(error), "a file that can be read")
        return CheckedFile(str(file), Checked(None, (mistake,)))


def _lines(result: CheckedFile) -> Iterator[str]:
    found = result.found
    yield from (f"{result.file}: {mistake}" for mistake in found.mistakes)
    yield from (f"{result.file}: {example}" for example in found.examples)
    if found.is_wrong:
        return
    yield f"{result.file}: {found.tariff} has no mistakes"
    yield from (f"  note: {note}" for note in found.notes)
    yield from (f"  no wallet can be charged by it: {obstacle}" for obstacle in found.obstacles)


def _figures(result: CheckedFile) -> dict[str, object]:
    found = result.found
    return {
        "file": result.file,
        "tariff": found.tariff,
        "mistakes": [
            {"line": each.line, "key": each.key, "found": each.found, "expected": each.expected}
            for each in found.mistakes
        ],
        "examples": found.examples,
        "notes": found.notes,
        "obstacles": found.obstacles,
    }
