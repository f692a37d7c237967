"""docs/openapi-changes.md: what has changed in the API since each description that was kept."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from api.openapi.changes import Change, changes

_HEAD = """\
# Changes of the API

Made by `make openapi` from [openapi.json](openapi.json) and the descriptions that were kept in `openapi/`, one for each day named below; a test
holds it to them. What breaks callers is first, and said so.
"""


def changes_file(described: dict[str, Any], kept: Path) -> str:
    """The whole document, the newest changes first. `kept`: a folder with descriptions named by the day until which they held."""
    files = sorted(kept.glob("*.json"))
    ages = [json.loads(file.read_text(encoding="utf-8")) for file in files] + [described]
    parts = [
        f"\n## Since {file.stem}\n\n{changes_text(changes(before, after)) or 'Nothing.' + chr(10)}"
        for file, before, after in zip(files, ages, ages[1:], strict=False)
    ]
    return _HEAD + "".join(reversed(parts))


def changes_text(found: Iterable[Change]) -> str:
    """Changes as Markdown, what breaks callers first."""
    return "".join(f"{change}\n" for change in sorted(found, key=lambda change: not change.breaks))
