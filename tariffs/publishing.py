"""A tariff document on its way into the log: checked, within bounds, and with the days that its holidays stand for."""

from dataclasses import dataclass

from domain.documents import Mistake, MistakesError
from tariffs.bounds import CELLS_MAX, cells, size_mistakes, year_mistakes
from tariffs.calendar import sealed
from tariffs.checking import Checked, checked
from tariffs.loader import load_tariff

NAME = "tariff"


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a document was found to be, and its text with its days written out: "" where it cannot be published."""

    found: Checked
    document: str = ""


def prepared(text: str) -> Prepared:
    """Check a document that anybody may have written, and seal it. Does not raise for what is wrong with it."""
    try:
        if mistakes := size_mistakes(text, NAME) or year_mistakes(text, NAME):
            return Prepared(Checked(None, tuple(mistakes)))
        if (count := cells(load_tariff(text, NAME))) > CELLS_MAX:
            expected = f"at most {CELLS_MAX} in all versions, seasons, components, bands and tiers"
            return Prepared(Checked(None, (Mistake(0, "version", f"{count} prices", expected),)))
        found = checked(text, NAME)
        return Prepared(found, "" if found.is_wrong else sealed(text))
    except MistakesError as error:
        return Prepared(Checked(None, tuple(error.mistakes)))
