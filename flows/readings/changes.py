"""Which rows have changed, and which of their bytes: most readings change only the first, and so a commit writes only these."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from domain.state import ACCOUNT, HOT_BYTES, METER, Rows
from flows.readings.compiled import Ints, allocating, compiled
from tariffs.model import REGISTERS

CHANGED, HOT = 1, 2
"""Marks of a row, bits: anything in it has changed, or only its first `domain.state.HOT_BYTES`."""
EACH_OF_EIGHT = np.uint64(0x0101010101010101)

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
def runs_of(marks: Ints, wanted: int, gap_max: int) -> Ints:
    """Runs of rows (n, 2), the first and past the last of each, ascending: of rows with a mark in `wanted`, the bits of CHANGED and HOT.

    Rows between two that are at most `gap_max` apart are in the run. `marks`: uint8, a multiple of 8 of them, of which most are
    passed over eight at a time.
    """
    eights = marks.view(np.uint64)
    eight_wanted = np.uint64(wanted) * EACH_OF_EIGHT
    runs, count, last = np.empty((len(marks) // (gap_max + 1) + 1, 2), np.int64), 0, 0
    for eight in range(len(eights)):
        if eights[eight] & eight_wanted == 0:
            continue
        for row in range(8 * eight, 8 * eight + 8):
            if marks[row] & wanted == 0:
                continue
            if count == 0 or row - last > gap_max:
                runs[count, 0] = row
                count += 1
            runs[count - 1, 1] = row + 1
            last = row
    return runs[:count].copy()


def rows_in(runs: NDArray[np.int64]) -> NDArray[np.int64]:
    """The numbers of all rows that are in runs (n, 2), ascending."""
    if len(runs) == 1:
        return np.arange(runs[0, 0], runs[0, 1])
    sizes = runs[:, 1] - runs[:, 0]
    skipped = runs[:, 0] - (np.cumsum(sizes) - sizes)
    return np.arange(sizes.sum()) + np.repeat(skipped, sizes)
