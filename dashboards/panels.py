"""The words of a dashboard's table: panels in rows, each with its queries, and where on the screen each comes to lie."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

SCREEN = 24
"""Columns of Grafana's grid."""
HEADING = 1
"""Grid rows of a row's title."""


class Kind(StrEnum):
    """How a panel draws its data, by the name of Grafana's plugin."""

    NUMBER = "stat"
    BARS = "bargauge"
    LINES = "timeseries"
    TABLE = "table"


class Colour(StrEnum):
    """What a value means."""

    PLAIN = "blue"
    GOOD = "green"
    WATCH = "yellow"
    WARN = "orange"
    BAD = "red"
    WORST = "purple"


Steps = tuple[tuple[float | None, Colour], ...]
"""From which value on a panel has which colour; the first is from `None`, below all others."""

PLAIN: Steps = ((None, Colour.PLAIN),)
"""A value that is neither good nor bad."""
ZERO: Steps = ((None, Colour.GOOD), (1, Colour.BAD))
"""A count that must be 0."""


def below(watch: float, bad: float) -> Steps:
    """Good below `watch`, bad from `bad` on."""
    return (None, Colour.GOOD), (watch, Colour.WATCH), (bad, Colour.BAD)


def above(watch: float, good: float) -> Steps:
    """Bad below `watch`, good from `good` on."""
    return (None, Colour.BAD), (watch, Colour.WATCH), (good, Colour.GOOD)


@dataclass(frozen=True)
class Text:
    """What a person reads, in both languages."""

    zh: str
    en: str

    def line(self) -> str:
        """Both on one line; one where they are the same in both."""
        return f"{self.zh} · {self.en}" if self.zh != self.en else self.en

    def paragraphs(self) -> str:
        """Each as a paragraph."""
        return f"{self.zh}\n\n{self.en}"


@dataclass(frozen=True)
class Query:
    """A PromQL expression and what its series are called: labels in double braces."""

    expression: str
    legend: str


class Form(StrEnum):
    """What the cells of a column are, by the names of the Infinity data source."""

    WORD = "string"
    NUMBER = "number"
    TIME = "timestamp"
    FLAG = "boolean"


@dataclass(frozen=True)
class Column:
    """A column of a listing: a path into each item (https://github.com/tidwall/gjson), and how it is shown. `words`: what a value is shown as, and its colour."""

    path: str
    title: Text
    form: Form = Form.WORD
    decimals: int | None = None
    words: tuple[tuple[str, Text, Colour], ...] = ()


@dataclass(frozen=True)
class Listing:
    """What one of the API's lists answers, all pages of it: the items are the rows."""

    route: str
    parameters: tuple[tuple[str, str], ...]
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class Panel:
    """One question and its answer: `queries` to Prometheus, or for a table a `listing` of the API.

    `page` is a page below `docs/` that says what to do, with an anchor where it has one. `unit` is one of Grafana's ids. `width` and `height` are in cells
    of the grid. Where `stacked`, the series of a panel of lines add up. `colours`: of series by their names, where these mean good or bad; others have any.
    """

    title: Text
    about: Text
    unit: str
    page: str
    queries: tuple[Query, ...] = ()
    listing: Listing | None = None
    kind: Kind = Kind.LINES
    steps: Steps = PLAIN
    width: int = 8
    height: int = 8
    decimals: int | None = None
    stacked: bool = False
    colours: tuple[tuple[str, Colour], ...] = ()


@dataclass(frozen=True)
class Row:
    """Panels under a heading, from left to right."""

    title: Text
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Board:
    """A dashboard. `uid` is its name in links and of its file."""

    uid: str
    title: Text
    about: Text
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Cell:
    """Where a panel lies on the grid, from the top left."""

    x: int
    y: int
    w: int
    h: int


Placed = list[tuple[Row | Panel, Cell]]


def placed(board: Board) -> Placed:
    """Rows and panels with their cells: a panel that does not fit beside the last begins a new line, so none can overlap."""
    cells: Placed = []
    y = 0
    for row in board.rows:
        cells.append((row, Cell(0, y, SCREEN, HEADING)))
        y += HEADING
        for line in _lines(row.panels):
            x = 0
            for panel in line:
                cells.append((panel, Cell(x, y, panel.width, panel.height)))
                x += panel.width
            y += max(panel.height for panel in line)
    return cells


def _lines(panels: tuple[Panel, ...]) -> Iterator[list[Panel]]:
    line: list[Panel] = []
    for panel in panels:
        if sum(each.width for each in line) + panel.width > SCREEN:
            yield line
            line = []
        line.append(panel)
    yield line
