"""TOML documents that people write: parsed into a model, with every mistake found at once, each with its line.

Programs may send the same tables as JSON; mistakes in it have keys and no lines. Sites, tariffs and meter profiles are
such documents. Validation is pydantic's; what is ours is the line of a key.
"""

import codecs
import json
import pathlib
import re
import tomllib
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

Path = tuple[str | int, ...]
M = TypeVar("M", bound=BaseModel)

_HEADER = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(
    r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=\s*(.*)$"""
)
_PART = re.compile(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""")
_STRING_OR_COMMENT = re.compile(r""""(?:\\.|[^"\\])*"|'[^']*'|#.*""")


class Part(BaseModel):
    """Base of a document's tables: unknown keys are mistakes, and numbers are not guessed from text."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing wrong in a document: where, what was found, what is expected. `line` is 0 where a document has none."""

    line: int
    key: str
    found: str
    expected: str

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        return f"{where}{self.key}: found {self.found}; expected {self.expected}"


class MistakesError(ValueError):
    """A document with mistakes, all of them, in the order of their lines."""

    def __init__(self, name: str, mistakes: list[Mistake]) -> None:
        self.name = name
        self.mistakes = sorted(mistakes, key=lambda mistake: mistake.line)
        super().__init__("\n".join(f"{name}: {mistake}" for mistake in self.mistakes))


class Lines:
    """Line numbers of a TOML text's keys. A key that has none of its own answers with its table's."""

    def __init__(self, text: str) -> None:
        self._lines: dict[Path, int] = {(): 1 if text else 0}
        self._counts: dict[Path, int] = {}
        table: Path = ()
        depth = 0
        quotes = ""
        for number, line in enumerate(text.splitlines(), start=1):
            if quotes:
                quotes = "" if quotes in line else quotes
            elif depth > 0:
                depth += _brackets(line)
            elif header := _HEADER.match(line):
                table = self._header(header[1] == "[[", header[2], number)
                self._lines[table] = number
            elif key := _KEY.match(line):
                self._lines.setdefault(table + _path(key[1]), number)
                quotes = next((q for q in ('"""', "'''") if key[2].count(q) == 1), "")
                depth = 0 if quotes else max(0, _brackets(key[2]))

    def _header(self, is_array: bool, name: str, number: int) -> Path:  # noqa: FBT001 - the two kinds of header
        path: Path = ()
        parts = _path(name)
        for index, part in enumerate(parts):
            path += (part,)
            if is_array and index == len(parts) - 1:
                self._counts[path] = self._counts.get(path, -1) + 1
                self._lines.setdefault(path, number)
            if path in self._counts:
                path += (self._counts[path],)
        return path

    def of(self, path: Path) -> int:
        """The line of `path`, or of the nearest table around it."""
        while path not in self._lines:
            path = path[:-1]
        return self._lines[path]


def _path(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in _PART.findall(dotted))


def _brackets(text: str) -> int:
    bare = _STRING_OR_COMMENT.sub("", text)
    return sum(bare.count(opening) for opening in "[{") - sum(bare.count(closing) for closing in "]}")


def key_text(path: Path) -> str:
    """`bus[0].meter[3].number`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".") or "document"


def read_document(path: pathlib.Path) -> str:
    """The text of a document, with or without a byte order mark, its lines ended by newlines.

    Raises MistakesError for bytes that are not UTF-8, as Notepad writes them in China, and OSError if there is no file.
    """
    content = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    try:
        return content.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        mistake = Mistake(line, "encoding", "bytes that are not UTF-8", "UTF-8; save the file as UTF-8")
        raise MistakesError(path.name, [mistake]) from None


def parse(text: str, name: str) -> dict[str, Any]:
    """The document's tables. Raises MistakesError with the line where the syntax ends."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        mistake = Mistake(
            int(line[1]) if line else text.count("\n") + 1, "syntax", str(error), "TOML, see https://toml.io"
        )
        raise MistakesError(name, [mistake]) from None


def is_json(text: str) -> bool:
    """Whether a document is JSON: no TOML document begins with a brace."""
    return text.lstrip().startswith("{")


def _parse_json(text: str, name: str) -> Any:
    """The same tables from JSON. A number with decimals is refused where a model wants its text, as in TOML."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise MistakesError(name, [Mistake(error.lineno, "syntax", error.msg, "JSON, see https://json.org")]) from None


def load(model: type[M], text: str, name: str) -> M:
    """Parse and validate a document. Raises MistakesError with every mistake and its line; JSON has no lines, only keys."""
    tables = tables_of(text, name)
    try:
        return model.model_validate(tables)
    except ValidationError as error:
        lines = lines_of(text)
        raise MistakesError(name, [_mistake(item, lines) for item in error.errors()]) from None


def tables_of(text: str, name: str) -> Any:
    """What a document says, before anybody has looked at it. Raises MistakesError with the line where the syntax ends."""
    return _parse_json(text, name) if is_json(text) else parse(text, name)


def lines_of(text: str) -> Lines:
    """The lines of a document's keys; every one of them 0 for JSON."""
    return Lines("" if is_json(text) else text)


def _mistake(item: Any, lines: Lines) -> Mistake:
    path: Path = tuple(item["loc"])
    found = "nothing" if item["type"] == "missing" else repr(item["input"])[:80]
    message = str(item["msg"]).removeprefix("Value error, ").removeprefix("Input should be ")
    expected = {"missing": "this key", "extra_forbidden": "no such key here"}.get(item["type"], message)
    return Mistake(lines.of(path), key_text(path), found, expected)
