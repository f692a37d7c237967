"""A tariff document written as TOML that a person would have written: short lines, tables by name, one slot of a day a line."""

from datetime import date
from typing import Any

_INLINE_WIDTH = 100


def tariff_text(document: dict[str, Any], heading: list[str]) -> str:
    """The text of a tariff file, with `heading` as comments at its top."""
    comments = [f"# {line}".rstrip() for line in heading]
    return "\n".join([*comments, *_table(document, "")]) + "\n"


def _table(table: dict[str, Any], path: str) -> list[str]:
    """Lines of a table: its plain keys first, then its tables under headers of their own."""
    lines, below = [], []
    for key, value in table.items():
        if value in ([], {}):
            continue
        name = f"{path}.{key}" if path else key
        if isinstance(value, list) and isinstance(value[0], dict):
            for item in value:
                below += ["", f"[[{name}]]", *_table(item, name)]
        elif isinstance(value, dict) and (
            (key in {"days", "week"} and path == "version") or len(_line(key, value)) > _INLINE_WIDTH
        ):
            below += ["", f"[{name}]", *_table(value, name)]
        else:
            lines.append(_line(key, value))
    return lines + below


def _line(key: str, value: Any) -> str:
    return f"{_key(key)} = {_value(value)}"


def _key(key: str) -> str:
    return (
        key
        if key.replace("_", "").replace("-", "").isalnum() and key.isascii() and "," not in key and "-" not in key
        else f'"{key}"'
    )


def _value(value: Any) -> str:
    match value:
        case str():
            escaped = value.replace("\\", "\\\\").replace('"', '\\"')
            return '"' + "".join(each if each.isprintable() else " " for each in escaped) + '"'
        case date():
            return value.isoformat()
        case dict():
            return "{ " + ", ".join(_line(key, item) for key, item in value.items()) + " }"
        case [[_, _], *_] if len(value) > 3:
            return "[\n" + "".join(f"  {_value(item)},\n" for item in value) + "]"
        case list():
            return "[" + ", ".join(_value(item) for item in value) + "]"
        case _:
            return str(value)
