"""Records that stay packed until they are asked for are the records that were kept."""

from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.records import Packed, keys_by_row
from domain.state import TariffRecord
from flows.readings.changes import CHANGED, HOT, rows_in, runs_of

RECORDS = {f"tariff-{row}": TariffRecord(row=row, tariff=f"tariff-{row}", document="…") for row in (2, 0, 1)}


def packed():
    """The records, as a store gives them."""
    return Packed({key: msgspec.msgpack.encode(record) for key, record in RECORDS.items()}, TariffRecord)


def test_packed_records_are_the_records():
    """Read one by one, all at once, counted or looked for, they are what was packed."""
    records = packed()

    assert dict(records) == RECORDS
    assert records == RECORDS
    assert ("tariff-1" in records, "tariff-3" in records, len(records)) == (True, False, 3)
    assert records.get("tariff-3") is None
    with pytest.raises(KeyError):
        records["tariff-3"]


def test_what_is_put_replaces_what_was_packed():
    """A change is seen, and a removal."""
    records, renewed = packed(), TariffRecord(row=3, tariff="new", document="")
    records["tariff-0"] = records["new"] = renewed
    del records["tariff-1"]

    assert dict(records) == {"tariff-2": RECORDS["tariff-2"], "tariff-0": renewed, "new": renewed}


@pytest.mark.parametrize("records", [RECORDS, packed()])
def test_keys_follow_their_rows(records):
    """A row's number finds the key, whether the records are packed or not."""
    assert keys_by_row(records) == ["tariff-0", "tariff-1", "tariff-2"]


@given(
    st.lists(st.sampled_from([*[0] * 12, CHANGED, HOT, CHANGED | HOT]), max_size=25).map(lambda marks: marks * 8),
    st.sampled_from([CHANGED, CHANGED | HOT]),
    st.integers(1, 6),
)
def test_marked_rows_are_joined_where_they_are_near(marks, wanted, gap_max):
    """Every changed row is written, and between two of them all rows or none: all where they are near."""
    runs = runs_of(np.array(marks, np.uint8), wanted, gap_max)

    numbers = [row for row, mark in enumerate(marks) if mark & wanted]
    between = {row for before, after in pairwise(numbers) if after - before <= gap_max for row in range(before, after)}
    assert rows_in(runs).tolist() == sorted({*numbers, *between})
    assert all(after[0] - before[1] >= gap_max for before, after in pairwise(runs.tolist()))
