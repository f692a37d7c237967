"""`meterline tariff check`: every mistake of every file, and what is worth knowing about those without one."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from domain.documents import Mistake, MistakesError, read_document
from tariffs.examples import examples_mistakes
from tariffs.loader import load_tariff
from tariffs.prepaid import obstacles


@dataclass(frozen=True, slots=True)
class Checked:
    """What became of a file. `tariff`: its id; none where it has mistakes. `obstacles`: to charging a wallet by it.

    `examples`: those that the file gives and that do not come out, each in a sentence with its line.
    """

    file: str
    tariff: str | None
    mistakes: tuple[Mistake, ...] = ()
    examples: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    obstacles: tuple[str, ...] = ()


def check(
    files: Annotated[list[Path], typer.Argument(help="Tariff files.", metavar="FILE…")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Report every mistake of tariff files with its line. Ends with code 2 if there is one.

    An example in a file whose bill comes out otherwise is a mistake too. Of files without mistakes it says what a reader should know, and why a prepaid wallet cannot be charged by them.
    """
    results = [checked(file) for file in files]
    if as_json:
        typer.echo(json.dumps([_figures(result) for result in results], ensure_ascii=False))
    else:
        for result in results:
            for line in _lines(result):
                typer.echo(line)
    if any(result.mistakes or result.examples for result in results):
        raise typer.Exit(2)


def checked(file: Path) -> Checked:
    """What is wrong in a file, or what there is to say about it."""
    try:
        text = read_document(file)
        tariff, examples = load_tariff(text, file.name), examples_mistakes(text, file.name)
    except MistakesError as error:
        return Checked(str(file), None, tuple(error.mistakes))
    except OSError as error:
        return Checked(str(file), None, (Mistake(0, "file", error.strerror or str(error), "a file that can be read"),))
    return Checked(str(file), tariff.id, (), tuple(examples), tariff.notes, tuple(obstacles(tariff)))


def _lines(result: Checked) -> Iterator[str]:
    yield from (f"{result.file}: {mistake}" for mistake in result.mistakes)
    yield from (f"{result.file}: {example}" for example in result.examples)
    if result.mistakes or result.examples:
        return
    yield f"{result.file}: {result.tariff} has no mistakes"
    yield from (f"  note: {note}" for note in result.notes)
    yield from (f"  no wallet can be charged by it: {obstacle}" for obstacle in result.obstacles)


def _figures(result: Checked) -> dict[str, object]:
    return {
        "file": result.file,
        "tariff": result.tariff,
        "mistakes": [
            {"line": each.line, "key": each.key, "found": each.found, "expected": each.expected}
            for each in result.mistakes
        ],
        "examples": result.examples,
        "notes": result.notes,
        "obstacles": result.obstacles,
    }
