"""Energy is neither made nor lost: a meter's closed hours and its open one are all that it was believed to have used."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from domain.effects import USAGE
from domain.state import StoredShard
from domain.words import Check, Commodity
from flows.proof.findings import Findings


class Energy:
    """Takes a shard's usage rows, then holds their sums against its meters."""

    def __init__(self, stored: StoredShard, findings: Findings) -> None:
        self._stored, self._findings = stored, findings
        self._numbers = np.unique(stored.rows["meter_terms"]["number"])
        self._closed = np.zeros(len(self._numbers), np.int64)

    def take(self, packed: bytes) -> None:
        """Take closed hours as they are kept."""
        if len(packed) % USAGE.itemsize:
            self._findings.differ(Check.ENERGY, [f"{self._name}: {len(packed)} bytes are no whole usage rows"])
            return
        rows = np.frombuffer(packed, USAGE)
        place = np.searchsorted(self._numbers, rows["meter"])
        known = place < len(self._numbers)
        known[known] = self._numbers[place[known]] == rows["meter"][known]
        self._findings.differ(
            Check.ENERGY,
            (
                f"{self._name}: a row of meter {number}, which the shard has never had"
                for number in rows["meter"][~known]
            ),
        )
        np.add.at(self._closed, place[known], rows["usage"][known])

    @property
    def _name(self) -> str:
        return f"usage:{{{self._stored.shard:02d}}}"

    def close(self, *, whole: bool) -> None:
        """Check the sums; `whole`: every usage row there ever was has been taken."""
        self._findings.differ(Check.ENERGY, self._totals_wrong())
        if whole:
            self._findings.differ(Check.ENERGY, self._meters_wrong())

    def _totals_wrong(self) -> Iterator[str]:
        meters, terms = self._stored.rows["meters"], self._stored.rows["meter_terms"]
        for commodity in Commodity:
            of_it = terms["commodity"] == commodity
            used = int(meters["closed_usage"][of_it].sum() + meters["day_usage"][of_it].sum())
            priced = self._stored.header.usage[commodity]
            if used != priced:
                yield f"header:{{{self._stored.shard:02d}}}: {commodity.name.lower()} priced is {priced}, its meters' totals add up to {used}"

    def _meters_wrong(self) -> Iterator[str]:
        place = np.searchsorted(self._numbers, self._stored.rows["meter_terms"]["number"])
        for number, counted, total in zip(
            self._numbers.tolist(),
            (self._closed + self._sums(place, "window_usage")).tolist(),
            (self._sums(place, "closed_usage") + self._sums(place, "day_usage")).tolist(),
            strict=True,
        ):
            if counted != total:
                yield f"meter {number:012d} has used {total}; its closed hours and its open one add up to {counted}"

    def _sums(self, place: NDArray[np.intp], column: str) -> NDArray[np.int64]:
        """A number may have had several rows: a meter that was removed and installed again."""
        sums = np.zeros(len(self._numbers), np.int64)
        np.add.at(sums, place, self._stored.rows["meters"][column])
        return sums
