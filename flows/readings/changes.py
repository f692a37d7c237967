"""Which rows have changed, and which of their bytes: most readings change only the first, and so a commit writes only these."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from domain.state import ACCOUNT, HOT_BYTES, METER, Rows
from flows.readings.compiled import Ints, allocating, compiled
from tariffs.model import REGISTERS

CHANGED, HOT = 1, 2
"""Marks of a row: anything in it has changed, or only its first `domain.state.HOT_BYTES`."""

METER_REST = HOT_BYTES["meters"] // 8
ACCOUNT_REST = HOT_BYTES["accounts"] // 8


class Scratch(NamedTuple):
    """Room that the kernel uses while it folds one reading, made once: int64 words of a row's rest, and usage by band register."""

    meter: NDArray[np.int64]
    account: NDArray[np.int64]
    bands: NDArray[np.int64]


def scratch() -> Scratch:
    """Room of one shard."""
    sizes = METER.itemsize // 8 - METER_REST, ACCOUNT.itemsize // 8 - ACCOUNT_REST, len(REGISTERS)
    return Scratch(*(np.empty(size, np.int64) for size in sizes))


def words_of(rows: Rows) -> NDArray[np.int64]:
    """Rows (n,) as words (n, size / 8), sharing their memory."""
    return rows.view(np.int64).reshape(len(rows), rows.dtype.itemsize // 8)


@compiled
def remember(words: Ints, row: int, first: int, kept: Ints) -> None:
    """Keep the words of a row from `first` on, to see later whether they have changed."""
    for word in range(first, words.shape[1]):
        kept[word - first] = words[row, word]


@compiled
def mark(words: Ints, row: int, first: int, kept: Ints, dirty: Ints) -> None:
    """Mark a row as changed: entirely, if a word from `first` on is not what was kept, else its first bytes."""
    for word in range(first, words.shape[1]):
        if kept[word - first] != words[row, word]:
            dirty[row] = 1
            return
    if dirty[row] == 0:
        dirty[row] = HOT


@allocating
def joined(index: Ints, dirty: Ints, least: int, gap_max: int) -> Ints:
    """Ascending numbers of the rows to write for a page, of the marked ones in `index`: those whose mark is 1, or also HOT where `least` is HOT.

    With them are all rows between two that are at most `gap_max` apart.
    """
    found = np.empty(index[-1] - index[0] + 1 if len(index) else 0, np.int64)
    count, last = 0, -1
    for row in index:
        if dirty[row] > least:
            continue
        if last >= 0 and row - last <= gap_max:
            for between in range(last + 1, row):
                found[count] = between
                count += 1
        found[count] = row
        count += 1
        last = row
    return found[:count].copy()
