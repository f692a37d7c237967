"""Tables of accounts to be opened, CSV or Excel, one row a meter, with Chinese or English headings. Format: docs/machine/opening.md.

Every mistake is found at once, with its row, what was found and what is expected. Nothing is guessed from a cell: empty is not said.
"""

import csv
import datetime as dt
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from connectors.files.site_texts import is_quantity, thousandths
from domain.documents import Mistake, MistakesError
from domain.ids import account_id, meter_number
from domain.units import MONEY_MAX_MICROS, money_micros
from domain.words import Commodity

_COMMODITIES = {
    "electricity": Commodity.ELECTRICITY,
    "电": Commodity.ELECTRICITY,
    "water": Commodity.WATER,
    "水": Commodity.WATER,
}
_WORDS_OF_YES = {"yes": True, "是": True, "1": True, "no": False, "否": False, "0": False}
_ENCODINGS = ("utf-8-sig", "gb18030")


def _money(text: str) -> str:
    if abs(money_micros(text)) >= MONEY_MAX_MICROS:
        raise ValueError(text)
    return text


def _quantity(text: str) -> int:
    if not is_quantity(text):
        raise ValueError(text)
    return thousandths(text)


def _date(text: str) -> dt.date:
    return dt.date.fromisoformat(text.removesuffix(" 00:00:00").replace("/", "-"))


@dataclass(frozen=True, slots=True)
class Column:
    """What a column holds: its headings, how a cell is read, and what is expected where it cannot be."""

    headings: tuple[str, ...]
    read: Callable[[str], Any]
    expected: str = "text"


_MONEY = 'an amount such as "20.00", of at most 6 decimals'
_YES = "yes, no, 是 or 否"

COLUMNS: dict[str, Column] = {
    "account": Column(
        ("户号", "电户"), account_id, "1 to 64 letters, digits, '.', '_' or '-', not '.', '_' or '-' first"
    ),
    "name": Column(("户名", "姓名"), str),
    "site": Column(("项目",), str),
    "building": Column(("楼栋",), str),
    "floor": Column(("楼层",), str),
    "room": Column(("房间", "房号"), str),
    "meter": Column(("表号",), meter_number, "1 to 12 digits, not all zero"),
    "commodity": Column(("类型",), _COMMODITIES.__getitem__, "electricity, water, 电 or 水"),
    "tariff": Column(("电价方案", "价格方案"), str),
    "opening_register": Column(("期初示数", "表底"), _quantity, 'kWh or m³ such as "1234.56", of at most 3 decimals'),
    "ratio": Column(("倍率",), int, "a whole number from 1"),
    "profile": Column(("表型",), str),
    "low": Column(("余额不足",), _money, _MONEY),
    "pretrip": Column(("预跳闸",), _money, _MONEY),
    "arrears": Column(("欠费",), _money, _MONEY),
    "hysteresis": Column(("回差",), _money, _MONEY),
    "reconnect": Column(("合闸允许金额",), _money, _MONEY),
    "max_balance": Column(("囤积限值",), _money, _MONEY),
    "overdraft": Column(("透支额度",), _money, _MONEY),
    "prepared": Column(("预先设置",), lambda text: _WORDS_OF_YES[text.lower()], _YES),
    "recharge": Column(("首次充值",), money_micros, _MONEY),
    "channel": Column(("支付方式",), str),
    "date": Column(("开户日期",), _date, "a date such as 2026-01-31"),
}
NEEDED = ("account", "meter", "tariff")
_BY_HEADING = {heading: name for name, column in COLUMNS.items() for heading in (name, *column.headings)}


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table: its number as a spreadsheet counts, and what its cells say by column; what is empty is not there."""

    number: int
    cells: dict[str, Any]


def read_table(path: Path) -> list[Row]:
    """The rows of a file. Raises MistakesError with every mistake in its headings or else in its cells, and OSError."""
    lines = [
        [cell.strip() for cell in line] for line in (_sheet(path) if path.suffix.lower() == ".xlsx" else _csv(path))
    ]
    if not lines:
        raise MistakesError(path.name, [Mistake(1, "headings", "an empty file", "a row of headings")])
    names, mistakes = _headings(lines[0])
    if mistakes:
        raise MistakesError(path.name, mistakes)
    rows = [_row(number, names, line, mistakes) for number, line in enumerate(lines[1:], start=2) if any(line)]
    if not rows:
        mistakes.append(Mistake(2, "rows", "none", "a row for each meter"))
    if mistakes:
        raise MistakesError(path.name, mistakes)
    return rows


def _sheet(path: Path) -> list[list[str]]:
    try:
        sheet = pl.read_excel(path, engine="calamine", has_header=False, infer_schema_length=0, drop_empty_rows=False)
    except Exception as error:  # The library's own kinds are not public, and any of them says that this is no workbook.
        raise MistakesError(path.name, [Mistake(1, "file", str(error), "an Excel workbook (.xlsx)")]) from error
    return [[cell or "" for cell in line] for line in sheet.rows()]


def _csv(path: Path) -> list[list[str]]:
    content = path.read_bytes()
    for encoding in _ENCODINGS:
        try:
            return list(csv.reader(io.StringIO(content.decode(encoding))))
        except UnicodeDecodeError:
            continue
        except csv.Error as error:
            raise MistakesError(path.name, [Mistake(1, "file", str(error), "a CSV file")]) from error
    raise MistakesError(path.name, [Mistake(1, "file", "text in neither", "UTF-8 or GB 18030")])


def _headings(line: list[str]) -> tuple[list[str], list[Mistake]]:
    names = [_BY_HEADING.get(heading.lower(), "") for heading in line]
    mistakes = [
        Mistake(1, heading, "an unknown heading", f"one of {', '.join(COLUMNS)}")
        for heading, name in zip(line, names, strict=True)
        if heading and not name
    ]
    mistakes += [Mistake(1, name, "the heading twice", "each once") for name in COLUMNS if names.count(name) > 1]
    mistakes += [Mistake(1, name, "no such heading", f"a column {name}") for name in NEEDED if name not in names]
    return names, mistakes


def _row(number: int, names: list[str], line: list[str], mistakes: list[Mistake]) -> Row:
    """One row; what is wrong in it is added to the mistakes."""
    cells: dict[str, Any] = {}
    if any(line[len(names) :]):
        mistakes.append(Mistake(number, "row", f"{len(line)} cells", f"{len(names)}, as there are headings"))
    for name, text in zip(names, line, strict=False):
        if name and text:
            try:
                cells[name] = COLUMNS[name].read(text)
            except (ValueError, KeyError):
                mistakes.append(Mistake(number, name, repr(text), COLUMNS[name].expected))
    said = dict(zip(names, line, strict=False))
    mistakes += [Mistake(number, name, "nothing", COLUMNS[name].expected) for name in NEEDED if not said.get(name)]
    return Row(number, cells)
