"""What the purchase counters of a bus' meters show, told when there is something to tell.

The counter comes with every poll, and hardly ever moves. It is told when it is first seen and when it has changed, each time after two
polls in a row have shown the same: a late reply that is taken for another meter's accuses nobody. And it is told again once a day,
because a meter may have been installed, or have become another account's, after it was told.
"""

from dataclasses import dataclass
from time import monotonic

from connectors.modbus.reader import Reading
from domain.facts import PurchasesCounted

TELL_AGAIN_SECONDS = 86_400.0


@dataclass(slots=True)
class _Counter:
    """What a meter's counter showed last, and what was told of it: until when that will do, on the monotonic clock."""

    shown: int
    told: int | None = None
    told_until: float = 0.0


class PurchaseCounts:
    """The purchase counters of one bus."""

    def __init__(self) -> None:
        self._counters: dict[int, _Counter] = {}

    def news(self, reading: Reading) -> PurchasesCounted | None:
        """What is to be told after a reading; None: nothing, or the meter has no such counter."""
        count = reading.sample.purchase_count
        if count is None:
            return None
        counter = self._counters.setdefault(reading.meter, _Counter(shown=-1))
        is_sure, counter.shown = count == counter.shown, count
        if not is_sure or (count == counter.told and monotonic() < counter.told_until):
            return None
        counter.told, counter.told_until = count, monotonic() + TELL_AGAIN_SECONDS
        return PurchasesCounted(at=reading.time, meter=reading.meter, count=count)
