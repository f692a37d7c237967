"""Values as people read them, in the units of Grafana that our panels have."""

import math
import re
from collections.abc import Callable
from typing import Any

from dashboards.panels import Colour, Column, Form


def legend_of(template: str, labels: dict[str, str]) -> str:
    """A series' name: `{{label}}` is filled in."""
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), template).strip()


def value_text(value: float, unit: str, decimals: int | None) -> str:
    """A value in a unit. Without `decimals`, as many as it needs. Raises KeyError for a unit that no panel has had yet."""
    return "—" if math.isnan(value) else UNITS[unit](value, decimals)


def _plain(value: float, decimals: int | None) -> str:
    if decimals is None:
        decimals = next(
            (digits for digits in (0, 1) if abs(value - round(value, digits)) < 1e-9), 0 if abs(value) >= 100 else 2
        )
    return f"{value:,.{decimals}f}"


def _with(suffix: str) -> Callable[[float, int | None], str]:
    return lambda value, decimals: _plain(value, decimals) + suffix


def _seconds(value: float, decimals: int | None) -> str:
    for least, size, name in ((86_400, 86_400, "d"), (3_600, 3_600, "h"), (60, 60, "min")):
        if abs(value) >= 2 * least:
            return f"{_plain(value / size, decimals)} {name}"
    if value and abs(value) < 1:
        return f"{_plain(value * 1000, decimals)} ms"
    return f"{_plain(value, decimals)} s"


def _bytes(value: float, _: int | None) -> str:
    for power, name in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if abs(value) >= 2**power:
            return f"{_plain(value / 2**power, 1)} {name}"
    return f"{value:.0f} B"


UNITS: dict[str, Callable[[float, int | None], str]] = {
    "none": _plain,
    "locale": _plain,
    "percentunit": lambda value, decimals: _plain(100 * value, decimals) + "%",
    "s": _seconds,
    "bytes": _bytes,
    "Bps": lambda value, decimals: _bytes(value, decimals) + "/s",
    "cps": _with("/s"),
    "ops": _with("/s"),
    "reqps": _with("/s"),
    "kwatth": _with(" kWh"),
    "litre": _with(" L"),
}


def at(item: Any, path: str) -> Any:
    """What a column's path leads to in an item; None where there is nothing."""
    for name in path.split("."):
        if isinstance(item, list):
            item = item[int(name)] if int(name) < len(item) else None
        elif item is not None:
            item = item[name]
    return item


def cell_text(item: Any, column: Column) -> tuple[str, Colour | None]:
    """A cell's text, and its colour where the column gives its words one."""
    value = at(item, column.path)
    if value is None:
        return "", None
    word = str(value).lower() if isinstance(value, bool) else str(value)
    for known, text, colour in column.words:
        if known == word:
            return text.line(), colour
    if column.form is Form.NUMBER and column.decimals is not None:
        return f"{float(word):,.{column.decimals}f}", None
    return word.replace("T", " ")[:19] if column.form is Form.TIME else word, None
