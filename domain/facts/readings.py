"""Readings: what meters say, as columns, and input that could not be read."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from domain.facts.record import Record

Column = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class ReadingBlock:
    """Readings as columns of equal length n, int64: one gateway round, one import chunk, one push.

    `meter` numbers; `time` ms UTC; `register` cumulative Wh or litres as the meter shows it, before ct/pt ratio.
    Optional: `power` in W; `status` bits of `words.Status`; `bands` (n, 5) registers sharp, peak, flat, valley, deep valley.
    """

    KIND: ClassVar[str] = "readings"
    VERSION: ClassVar[int] = 2

    meter: Column
    time: Column
    register: Column
    power: Column | None = None
    status: Column | None = None
    bands: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        """Columns of unequal length are a bug of the caller."""
        n = len(self.meter)
        assert len(self.time) == len(self.register) == n
        assert all(column is None or len(column) == n for column in (self.power, self.status, self.bands))

    def __len__(self) -> int:
        return len(self.meter)


class ReadingRefused(Record, frozen=True, kw_only=True):
    """Input that could not be read or believed at the edge. It waits in quarantine with its own words.

    `usage` is the Wh or litres that it states, where it states any; `meter` is 0 where not even that could be read.
    """

    KIND: ClassVar[str] = "reading_refused"
    source: str
    line: int
    text: str
    reason: str
    meter: int = 0
    usage: int = 0
