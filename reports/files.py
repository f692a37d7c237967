"""Tables as files for people and programs: CSV, Excel, Parquet. Numbers stay exact.

- CSV is UTF-8 with a byte order mark, by which Excel knows that it is Chinese. A text that a spreadsheet would take for a formula gets an apostrophe before it.
- In Excel a number is a number where it has at most fifteen digits, which is what a double keeps; with more it is a text, and shows all of them. A text is never a formula.
- In Parquet amounts are decimals, and columns have the names of the code in every language.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

import polars as pl
import xlsxwriter

EXCEL_DIGITS = 15
"""Significant digits that every double keeps: what Excel computes with."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""How a cell begins that a spreadsheet takes for a formula, or that hides one; full-width ones in Chinese and Japanese Excel."""
_DECIMALS_SHOWN = {12: "0.00##########", 6: "0.00####", 3: "0.000", 2: "0.00"}
Row = Mapping[str, str | None]


class Language(StrEnum):
    """Of headings."""

    ZH = "zh"
    EN = "en"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. `decimals`: its values are decimal texts of at most so many; None: they are texts."""

    name: str
    zh: str
    en: str
    decimals: int | None = None

    def heading(self, language: Language) -> str:
        """In a language."""
        return self.zh if language == Language.ZH else self.en


def csv_of(columns: Sequence[Column], rows: Iterable[Row], language: Language) -> Iterator[bytes]:
    """A table as CSV, line by line."""
    yield b"\xef\xbb\xbf" + _line([each.heading(language) for each in columns])
    for row in rows:
        yield _line([_cell(each, row.get(each.name)) for each in columns])


def _line(cells: list[str]) -> bytes:
    output = io.StringIO()
    csv.writer(output).writerow(cells)
    return output.getvalue().encode()


def _cell(column: Column, value: str | None) -> str:
    if value and column.decimals is None and value.startswith(_FORMULA):
        return f"'{value}"
    return value or ""


def xlsx_of(columns: Sequence[Column], rows: Iterable[Row], language: Language) -> bytes:
    """A table as an Excel workbook of one sheet."""
    output = io.BytesIO()
    with xlsxwriter.Workbook(output, {"constant_memory": True}) as book:
        sheet = book.add_worksheet()
        sheet.freeze_panes(1, 0)
        formats = {each: book.add_format({"num_format": shown}) for each, shown in _DECIMALS_SHOWN.items()}
        bold = book.add_format({"bold": True})
        for place, column in enumerate(columns):
            sheet.write_string(0, place, column.heading(language), bold)
        for line, row in enumerate(rows, start=1):
            for place, column in enumerate(columns):
                value = row.get(column.name)
                if value is None:
                    continue
                if column.decimals is not None and _fits_a_double(value):
                    sheet.write_number(line, place, Decimal(value), formats[column.decimals])
                else:
                    sheet.write_string(line, place, value)
    return output.getvalue()


def _fits_a_double(text: str) -> bool:
    return len(Decimal(text).normalize().as_tuple().digits) <= EXCEL_DIGITS


def parquet_of(columns: Sequence[Column], rows: Iterable[Row]) -> bytes:
    """A table as Parquet."""
    kept = list(rows)
    table = pl.DataFrame(
        [pl.Series(each.name, [row.get(each.name) for row in kept], pl.String) for each in columns]
    ).with_columns(
        pl.col(each.name).str.to_decimal(scale=each.decimals) for each in columns if each.decimals is not None
    )
    output = io.BytesIO()
    table.write_parquet(output)
    return output.getvalue()
