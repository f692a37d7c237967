"""Checking a tariff document: every mistake at once, and what is worth knowing about one without."""

from dataclasses import dataclass

from domain.documents import Mistake, MistakesError
from tariffs.examples import examples_mistakes
from tariffs.loader import load_tariff
from tariffs.prepaid import obstacles


@dataclass(frozen=True, slots=True)
class Checked:
    """What became of a document. `tariff`: its id; none where it has mistakes. `obstacles`: to charging a wallet by it.

    `examples`: those that the document gives and that do not come out, each in a sentence with its line.
    """

    tariff: str | None
    mistakes: tuple[Mistake, ...] = ()
    examples: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    obstacles: tuple[str, ...] = ()

    @property
    def is_wrong(self) -> bool:
        """Whether there is anything to be mended."""
        return bool(self.mistakes or self.examples)


def checked(text: str, name: str) -> Checked:
    """What is wrong in a document, or what there is to say about it. `name` is what its mistakes call it."""
    try:
        tariff, examples = load_tariff(text, name), examples_mistakes(text, name)
    except MistakesError as error:
        return Checked(None, tuple(error.mistakes))
    return Checked(tariff.id, (), tuple(examples), tariff.notes, tuple(obstacles(tariff)))
