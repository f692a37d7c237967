"""Pictures of every panel's data for docs/dashboards.md, drawn from a demo's real answers: `make dashboard-pictures`.

They show what the queries say, laid out as the dashboards are. They are not Grafana, and do not claim to look like it.
"""

import math
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from matplotlib import font_manager, rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.transforms import Bbox
from PIL import Image

from dashboards.boards import BOARDS
from dashboards.observed import Observed, Series, observed
from dashboards.panels import PLAIN, SCREEN, Board, Cell, Colour, Column, Kind, Panel, Row, Steps, placed
from dashboards.promql import filled
from dashboards.shown import cell_text, legend_of, value_text

FOLDER = Path(__file__).parents[1] / "docs" / "pictures" / "dashboards"
SPEED, ROOMS = 60, 64
"""An hour of the demo's street is a minute of life, so what panels sum up over an hour is summed up over a minute."""
SECONDS = 420
SCRAPE = 6
DOTS = 100
WIDTH_INCHES = 15.0
CELL_INCHES = 0.33
ROWS_MAX = 14
"""Of a listing's rows, as many are drawn."""
CHINESE = ("WenQuanYi Micro Hei", "Noto Sans CJK SC", "Noto Sans SC", "WenQuanYi Zen Hei")
INK = {
    Colour.PLAIN: "#2f6fd0",
    Colour.GOOD: "#2b8a3e",
    Colour.WATCH: "#d9a400",
    Colour.WARN: "#e0701a",
    Colour.BAD: "#cf3a2b",
    Colour.WORST: "#7d4fc4",
}
LINES = ("#2f6fd0", "#2b8a3e", "#c98a00", "#cf3a2b", "#7d4fc4", "#1a98a6", "#d0589b", "#8a6d3b", "#5b6770", "#86b81b")


Course = list[tuple[str, list[float], list[float]]]
"""Series by name, each with minutes since the start and values."""


@dataclass(frozen=True)
class Shot:
    """A demo and the time of it that is drawn: from `start` to `end`, in seconds since 1970."""

    seen: Observed
    start: float
    end: float

    def asked(self, expression: str) -> str:
        """An expression as it is asked of the demo."""
        return filled(expression, scrape=SCRAPE, shown=self.end - self.start, hour=3600 / SPEED)

    def last(self, panel: Panel) -> list[tuple[str, float]]:
        """Names and values of a panel's series at the end."""
        prometheus = self.seen.prometheus
        answers = [(query.legend, prometheus.query(self.asked(query.expression), self.end)) for query in panel.queries]
        return [(legend_of(legend, one["metric"]), float(one["value"][1])) for legend, many in answers for one in many]

    def course(self, panel: Panel) -> Course:
        """Names of a panel's series, minutes since the start, and values."""
        found = []
        for query in panel.queries:
            many: Series = self.seen.prometheus.query_range(self.asked(query.expression), self.start, self.end, SCRAPE)
            for one in many:
                times, values = zip(*one["values"], strict=True)
                minutes = [(at - self.start) / 60 for at in times]
                found.append((legend_of(query.legend, one["metric"]), minutes, [float(value) for value in values]))
        return sorted(found)


def main() -> None:
    """Let a demo run for some minutes, and draw every dashboard."""
    rcParams["font.family"] = ["DejaVu Sans", _chinese()]
    warnings.simplefilter("error")  # A character that no font has would be drawn as a box.
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, observed(Path(folder), ROOMS, SPEED, SCRAPE) as seen:
        time.sleep(SECONDS)
        shot = Shot(seen, seen.began, time.time())
        for board in BOARDS:
            _save(drawn(board, shot), FOLDER / f"{board.uid}.png")


def _chinese() -> str:
    """A font with Chinese characters. Raises FileNotFoundError."""
    present = {font.name for font in font_manager.fontManager.ttflist}
    for name in CHINESE:
        if name in present:
            return name
    raise FileNotFoundError("no Chinese font is installed: apt-get install fonts-wqy-microhei")


def _save(figure: Figure, file: Path) -> None:
    """As a PNG of 256 colours: half the size, and nobody sees it."""
    figure.savefig(file, dpi=DOTS)
    with Image.open(file) as picture:
        picture.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE).save(file, optimize=True)


def drawn(board: Board, shot: Shot) -> Figure:
    """A dashboard with each panel in its place."""
    cells = placed(board)
    height = max(cell.y + cell.h for _, cell in cells)
    figure = Figure(figsize=(WIDTH_INCHES, height * CELL_INCHES))
    for item, cell in cells:
        frame = figure.add_axes(_part(cell, height))
        if isinstance(item, Row):
            frame.set_axis_off()
            frame.text(0.002, 0.3, item.title.line(), fontsize=13, color="#333333", va="center")
        else:
            _framed(frame, item)
            _DRAWN[item.kind](figure, _part(cell, height), item, shot)
    return figure


Box = tuple[float, float, float, float]


def _part(cell: Cell, height: int) -> Box:
    """Left, bottom, width and height of a cell on the figure, with a gap between cells."""
    gap_x, gap_y = 0.06 / WIDTH_INCHES, 0.06 / (height * CELL_INCHES)
    left, bottom = cell.x / SCREEN, 1 - (cell.y + cell.h) / height
    return left + gap_x, bottom + gap_y, cell.w / SCREEN - 2 * gap_x, cell.h / height - 2 * gap_y


def _inner(box: Box, figure: Figure, west: float, south: float) -> Box:
    """Where in a panel the data are: below the title, with so many inches left free at the left and at the bottom."""
    left, bottom, width, height = box
    inch_x, inch_y = 1 / figure.get_figwidth(), 1 / figure.get_figheight()
    return (
        left + west * inch_x,
        bottom + south * inch_y,
        width - (west + 0.12) * inch_x,
        height - (south + 0.45) * inch_y,
    )


def _framed(frame: Axes, panel: Panel) -> None:
    frame.set(xticks=[], yticks=[], facecolor="white")
    for spine in frame.spines.values():
        spine.set_color("#dddddd")
    frame.annotate(
        panel.title.line(),
        (0, 1),
        (7, -7),
        xycoords="axes fraction",
        textcoords="offset points",
        fontsize=10 if panel.width > 4 else 9,
        va="top",
    )


def _number(figure: Figure, box: Box, panel: Panel, shot: Shot) -> None:
    axes = figure.add_axes(_inner(box, figure, 0.1, 0.1))
    axes.set_axis_off()
    values = shot.last(panel)
    if not values:
        axes.text(0.5, 0.45, "—", fontsize=20, ha="center", va="center", color="#999999")
    for place, (name, value) in enumerate(values):
        at = 0.45 - place / max(len(values), 1)
        text = value_text(value, panel.unit, panel.decimals)
        axes.text(0.5, at, text, fontsize=21, ha="center", va="center", color=_ink(value, panel.steps))
        if "{{" in panel.queries[0].legend:
            axes.text(0.99, at, name, fontsize=9, ha="right", va="center", color="#666666")


def _ink(value: float, steps: Steps) -> str:
    return [INK[colour] for least, colour in steps if least is None or value >= least][-1]


def _bars(figure: Figure, box: Box, panel: Panel, shot: Shot) -> None:
    values = sorted(shot.last(panel), key=lambda pair: _natural(pair[0]))
    left, bottom, width, height = _inner(box, figure, 0.1, 0.1)
    axes = figure.add_axes((left + 0.36 * width, bottom, 0.5 * width, height))
    axes.set_axis_off()
    most = max((value for _, value in values), default=0) or 1
    axes.set(xlim=(0, most), ylim=(max(len(values), 5) - 0.4, -0.6))
    size = 9 if len(values) <= 12 else 7
    for place, (name, value) in enumerate(values):
        ink = _ink(value, panel.steps)
        axes.barh(place, most, height=0.7, color="#f0f0f0")
        axes.barh(place, value, height=0.7, color=ink)
        axes.text(-0.02 * most, place, name, fontsize=size, ha="right", va="center")
        text = value_text(value, panel.unit, panel.decimals)
        axes.text(1.02 * most, place, text, fontsize=size, ha="left", va="center", color=ink)


def _natural(name: str) -> tuple[float, str]:
    """Numbers in a name in the order of numbers."""
    for word in name.replace("+Inf", "inf").split():
        try:
            return float(word), name
        except ValueError:
            continue
    return 0.0, name


def _lines(figure: Figure, box: Box, panel: Panel, shot: Shot) -> None:
    course = shot.course(panel)
    meant = dict(panel.colours)
    inks = [
        INK[meant[name]] if name in meant else LINES[place % len(LINES)] for place, (name, _, _) in enumerate(course)
    ]
    columns = max(
        1, int(box[2] * figure.get_figwidth() / (0.6 + 0.075 * max((len(name) for name, _, _ in course), default=0)))
    )
    axes = figure.add_axes(_inner(box, figure, 0.7, 0.35 + 0.17 * math.ceil(len(course) / columns)))
    axes.tick_params(labelsize=8.5, length=0)
    axes.grid(visible=True, color="#eeeeee")
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if panel.stacked and course:
        _stacked(axes, course, inks)
    else:
        for (name, times, values), ink in zip(course, inks, strict=True):
            axes.plot(times, values, label=name, color=ink, linewidth=1.5)
    axes.set_xlim(0, (shot.end - shot.start) / 60)
    high = axes.get_ylim()[1]
    axes.set_ylim(
        min(0.0, 0.0, *(value for _, _, values in course for value in values)),
        high if any(value > 0 for _, _, values in course for value in values) else 1,
    )
    _thresholds(axes, panel)
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: value_text(value, panel.unit, None)))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda minute, _: f"{minute:.0f} min"))
    if not course:
        axes.text(
            0.5, 0.5, "无 · none", transform=axes.transAxes, ha="center", va="center", color="#999999", fontsize=10
        )
        return
    axes.legend(
        loc="upper left", bbox_to_anchor=(0, -22 / (axes.get_position().height * figure.get_figheight() * 72)), ncol=columns, fontsize=8.5,
        frameon=False, handlelength=1.0, columnspacing=1.2, labelspacing=0.25, borderpad=0, borderaxespad=0,
    )  # fmt: skip


def _stacked(axes: Axes, course: Course, inks: list[str]) -> None:
    """One above the other. A series that is not there at a time has no height then."""
    minutes = sorted({at for _, times, _ in course for at in times})
    columns = [dict(zip(times, values, strict=True)) for _, times, values in course]
    heights = [[column.get(at, 0.0) for at in minutes] for column in columns]
    axes.stackplot(minutes, heights, labels=[name for name, _, _ in course], colors=inks, alpha=0.8)


def _thresholds(axes: Axes, panel: Panel) -> None:
    """Dashed, where they are within what the data reach, as in Grafana."""
    low, high = axes.get_ylim()
    for least, colour in panel.steps if panel.steps != PLAIN else ():
        if least is not None and low <= least <= high:
            axes.axhline(least, color=INK[colour], linestyle="--", linewidth=0.9)


def _table(figure: Figure, box: Box, panel: Panel, shot: Shot) -> None:
    assert panel.listing
    columns = panel.listing.columns
    parameters = {key: value for key, value in panel.listing.parameters if key != "site"}
    items = shot.seen.asked(panel.listing.route, **parameters)["items"][:ROWS_MAX]
    axes = figure.add_axes(_inner(box, figure, 0.1, 0.1))
    axes.set_axis_off()
    if not items:
        return
    rows = [[cell_text(item, column) for column in columns] for item in items]
    drawn_table = axes.table(
        [[text for text, _ in row] for row in rows],
        colLabels=[column.title.line().replace(" · ", "\n") for column in columns],
        bbox=Bbox.unit(), cellLoc="left", colLoc="left", colWidths=_widths(columns, rows), edges="horizontal",
    )  # fmt: skip
    drawn_table.auto_set_font_size(False)
    drawn_table.set_fontsize(8)
    for (line, column), cell in drawn_table.get_celld().items():
        cell.set_height((1.9 if line == 0 else 1.0) / (len(rows) + 2.5))
        cell.set_edgecolor("#dddddd")
        if line and (colour := rows[line - 1][column][1]):
            cell.get_text().set_color(INK[colour])


def _widths(columns: tuple[Column, ...], rows: list[list[tuple[str, Colour | None]]]) -> list[float]:
    """Shares of the width, by the longest text of each column."""
    lengths = [
        max(len(column.title.en), 2 * len(column.title.zh), *(len(row[place][0]) for row in rows)) + 1
        for place, column in enumerate(columns)
    ]
    return [length / sum(lengths) for length in lengths]


_DRAWN: dict[Kind, Callable[[Figure, Box, Panel, Shot], None]] = {
    Kind.NUMBER: _number,
    Kind.BARS: _bars,
    Kind.LINES: _lines,
    Kind.TABLE: _table,
}

if __name__ == "__main__":
    main()
