"""A file's rows as a polars frame with the line of each, before anybody has judged them.

CSV of any separator, plain or gzipped, and Parquet. Every row comes out exactly once: one with too few or too many
fields is marked and kept, a blank line is no row. CSV fields stay text, so that decimals can be read exactly.
"""

import csv
import gzip
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

LINE, TEXT, FIELDS_WRONG = "#line", "#text", "#fields_wrong"
HEAD_ROWS = 50_000
_HEAD_BYTES = 4_000_000
_SEPARATORS = ";\t|,"
_NUMERIC = re.compile(r"[+-]?[0-9]+([.,][0-9]*)?")


class ImportProblem(ValueError):  # noqa: N818 - what it is to the person who reads it
    """A file that cannot be imported as it is; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is laid out. `separator`, `encoding` and `header` are of CSV only."""

    form: Literal["csv", "parquet"]
    columns: tuple[str, ...]
    separator: str = ""
    encoding: str = ""
    header: bool = True


def layout_of(path: Path, separator: str | None) -> tuple[Layout, list[str]]:
    """The file's layout and a sentence for each guess about it. Raises ImportProblem for no file, no rows, no columns."""
    if not path.is_file():
        raise ImportProblem(f"{path}: no such file")
    if path.suffix == ".parquet":
        return _parquet_layout(path), []
    head = _bytes(path, _HEAD_BYTES)
    encoding = _encoding(head, path)
    lines = [line for line in head.decode(encoding).splitlines() if line.strip()]
    if not lines:
        raise ImportProblem(f"{path.name}: the file is empty")
    said = [] if encoding == "utf-8-sig" else [f"encoding {encoding}: the file is not UTF-8"]
    if separator is None:
        separator = _separator(lines[:50], path)
        said.append(f"separator {separator!r}")
    first = next(csv.reader([lines[0]], delimiter=separator))
    header = not any(_is_number(field) for field in first)
    if not header:
        said.append("no header: the first line holds numbers, so columns are called 'column 1', 'column 2' …")
    names = first if header else [f"column {number}" for number in range(1, len(first) + 1)]
    if len(lines) <= header:
        raise ImportProblem(f"{path.name}: a header and no rows")
    return Layout("csv", _distinct(names), separator, encoding, header), said


def rows_of(path: Path, layout: Layout, *, head: bool = False) -> pl.DataFrame:
    """The rows: `#line` (1-based line, or row of a Parquet file), `#text` and `#fields_wrong` for CSV, and the columns."""
    if layout.form == "parquet":
        frame = _parquet_rows(path, HEAD_ROWS if head else None)
        return frame.with_row_index(LINE, offset=1).with_columns(pl.col(LINE).cast(pl.Int64))
    content = _bytes(path, _HEAD_BYTES if head else None)
    try:
        text = content.decode(layout.encoding)
    except UnicodeDecodeError as error:
        raise ImportProblem(f"{path.name}: not {layout.encoding} at byte {error.start}; save it as UTF-8") from None
    frame = _quoted_rows(text, layout) if '"' in text else _plain_rows(text, layout)
    return frame.head(HEAD_ROWS) if head else frame


def texts_of(rows: pl.DataFrame, columns: tuple[str, ...]) -> pl.Series:
    """Each row's own words; a Parquet row, which has none, is its values joined by `;`."""
    if TEXT in rows.columns:
        return rows[TEXT]
    words = pl.concat_str([pl.col(name).cast(pl.String).fill_null("") for name in columns], separator=";")
    return rows.select(words.alias(TEXT))[TEXT]


def _parquet_layout(path: Path) -> Layout:
    try:
        schema = pl.read_parquet_schema(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise ImportProblem(f"{path.name}: cannot be read as Parquet: {error}") from None
    return Layout("parquet", tuple(schema))


def _parquet_rows(path: Path, limit: int | None) -> pl.DataFrame:
    try:
        return pl.read_parquet(path, n_rows=limit)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise ImportProblem(f"{path.name}: cannot be read as Parquet: {error}") from None


def _bytes(path: Path, limit: int | None) -> bytes:
    """The file, unzipped; or about `limit` bytes from its begin, up to the last whole line."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read(-1 if limit is None else limit)
            if limit is not None and file.read(1):
                content = content.rpartition(b"\n")[0]
    except (OSError, EOFError) as error:
        raise ImportProblem(f"{path.name}: cannot be read: {error}") from None
    return content


def _encoding(head: bytes, path: Path) -> str:
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            head.decode(encoding)
        except UnicodeDecodeError:
            continue
        return encoding
    raise ImportProblem(f"{path.name}: neither UTF-8 nor GB 18030; save it as UTF-8")


def _separator(lines: list[str], path: Path) -> str:
    """The candidate that the most lines hold as often as the first line does."""
    first = lines[0]
    agreeing = {
        sign: sum(line.count(sign) == first.count(sign) for line in lines) for sign in _SEPARATORS if sign in first
    }
    if not agreeing:
        raise ImportProblem(f"{path.name}: no separator in its first line {first[:80]!r}: name one with --separator")
    return max(agreeing, key=lambda sign: agreeing[sign])


def _is_number(field: str) -> bool:
    return _NUMERIC.fullmatch(field.strip()) is not None


def _distinct(names: list[str]) -> tuple[str, ...]:
    """Column names without spaces around; an empty or repeated one gets its number."""
    distinct: list[str] = []
    for number, raw in enumerate(names, start=1):
        name = raw.strip() or f"column {number}"
        distinct.append(f"{name} {number}" if name in distinct else name)
    return tuple(distinct)


def _plain_rows(text: str, layout: Layout) -> pl.DataFrame:
    """Rows of a file without quotes: a line is a row, and a separator always separates."""
    lines = pl.Series(TEXT, [text]).str.split("\n").explode().str.strip_chars_end("\r")
    rows = lines.to_frame().with_row_index(LINE, offset=1).filter(pl.col(TEXT).str.strip_chars() != "")
    rows = rows.slice(1) if layout.header else rows
    separators = len(layout.columns) - 1
    fields = pl.col(TEXT).str.split_exact(layout.separator, separators).struct.rename_fields(list(layout.columns))
    return rows.select(
        pl.col(LINE).cast(pl.Int64),
        TEXT,
        (pl.col(TEXT).str.count_matches(layout.separator, literal=True) != separators).alias(FIELDS_WRONG),
        fields.alias("#fields"),
    ).unnest("#fields")


def _quoted_rows(text: str, layout: Layout) -> pl.DataFrame:
    """Rows of a file with quotes, where a field may hold separators and line ends; slower, by the csv module."""
    lines = text.split("\n")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=layout.separator)
    count = len(layout.columns)
    found: list[tuple[object, ...]] = []
    line = 1
    for fields in reader:
        if any(field.strip() for field in fields):
            row = (fields + [None] * count)[:count]
            found.append((line, lines[line - 1].rstrip("\r"), len(fields) != count, *row))
        line = reader.line_num + 1
    schema = {LINE: pl.Int64, TEXT: pl.String, FIELDS_WRONG: pl.Boolean} | dict.fromkeys(layout.columns, pl.String)
    return pl.DataFrame(found[1:] if layout.header else found, schema=schema, orient="row")
