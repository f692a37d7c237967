"""docs/archive.md against the code."""

import re
from pathlib import Path

import pytest

from connectors.archive.columns import schema_of
from connectors.redis.streams import ARCHIVED, LEDGER_KEPT
from flows.archive import EVERY_SECONDS, FILE_BYTES, KEPT_LONGER_SECONDS, KEPT_SECONDS

TEXT = (Path(__file__).parents[2] / "docs" / "archive.md").read_text("utf-8")


@pytest.mark.parametrize("stream", ARCHIVED)
def test_every_column_is_described_in_its_order(stream):
    """Whoever writes a query looks here first."""
    row = next(line for line in TEXT.splitlines() if line.startswith(f"| `{stream}` |"))

    described = [name for name in re.findall(r"`(\w+)`", row.split("|")[3]) if name in schema_of(stream)]
    assert described == list(schema_of(stream))[2:]


def test_figures_are_the_codes():
    """Defaults and limits that the document states are those that hold."""
    assert f"| {EVERY_SECONDS / 60:.0f} |" in TEXT
    assert f"| {KEPT_SECONDS / 60:.0f} |" in TEXT
    assert f"{FILE_BYTES // 1_000_000} MB of entries" in TEXT
    assert f"the newest {LEDGER_KEPT}" in TEXT
    assert f"Alarms stay for {KEPT_LONGER_SECONDS['alarms'] / 86_400:.0f} days" in TEXT
