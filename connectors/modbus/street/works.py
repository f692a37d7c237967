"""The inside of a simulated meter: counters that advance only while the supply is on, and the relay or valve that decides it.

Given the load, the state of such works is a function of event time and of the orders they got, and of nothing else: how
often a meter is read does not change what it counts.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from connectors.modbus.street.load import AMOUNT_PER_UNIT, Load
from domain.units import DAY_MS, MINUTE_MS
from domain.words import Supply

SHARP, PEAK, FLAT, VALLEY, DEEP_VALLEY = range(5)

DayTable = tuple[tuple[int, int], ...]
"""(local minute of the day from which it holds, band), the first at 0."""

DAY_TABLE: DayTable = (
    (0, VALLEY), (480, PEAK), (660, FLAT), (780, DEEP_VALLEY), (840, FLAT), (1020, PEAK), (1140, SHARP), (1260, FLAT), (1380, VALLEY),
)  # fmt: skip
"""An ordinary Chinese day: cheap at night and at noon, dear in the evening."""

ONE_BAND: DayTable = ((0, FLAT),)


def pieces(start_ms: int, end_ms: int, table: DayTable, offset_ms: int) -> Iterator[tuple[int, int, int]]:
    """(band, start, end) of the parts into which the day table cuts an interval."""
    while start_ms < end_ms:
        day, into_ms = divmod(start_ms + offset_ms, DAY_MS)
        midnight_ms = day * DAY_MS - offset_ms
        edges = [minute * MINUTE_MS for minute, _ in table] + [DAY_MS]
        index = next(index for index, edge in enumerate(edges[1:]) if into_ms < edge)
        until_ms = min(end_ms, midnight_ms + edges[index + 1])
        yield table[index][1], start_ms, until_ms
        start_ms = until_ms


@dataclass(slots=True)
class Works:
    """The inside of a meter. Times are event time; amounts are in rate x ms, see `load.AMOUNT_PER_UNIT`."""

    load: Load
    counted_to_ms: int
    amounts: list[int] = field(default_factory=lambda: [0] * 5)
    position: Supply = Supply.ON
    target: Supply = Supply.ON
    arrives_ms: int | None = None
    travel_ms: int = 0
    offset_ms: int = 0
    table: DayTable = DAY_TABLE
    stuck: bool = False
    frozen: bool = False

    def advance(self, now_ms: int) -> None:
        """Count up to `now_ms`. A clock that steps back changes nothing."""
        if self.arrives_ms is not None and self.arrives_ms <= now_ms:
            self._count(self.arrives_ms)
            self.position, self.arrives_ms = self.target, None
        self._count(now_ms)

    def _count(self, until_ms: int) -> None:
        if until_ms <= self.counted_to_ms:
            return
        if self.position is Supply.ON and not self.frozen:
            for band, start_ms, end_ms in pieces(self.counted_to_ms, until_ms, self.table, self.offset_ms):
                self.amounts[band] += self.load.amount_between(start_ms, end_ms)
        self.counted_to_ms = until_ms

    def turn(self, wanted: Supply, now_ms: int) -> None:
        """Move the relay or valve; it arrives `travel_ms` later. A stuck one does not move."""
        self.advance(now_ms)
        if self.stuck or wanted is self.target:
            return
        self.target = wanted
        self.arrives_ms = max(now_ms, self.counted_to_ms) + self.travel_ms
        self.advance(self.counted_to_ms)

    @property
    def moving(self) -> bool:
        """Whether the valve is on its way."""
        return self.arrives_ms is not None

    def freeze(self, now_ms: int, *, frozen: bool) -> None:
        """Stop or resume all consumption, whatever the supply."""
        self.advance(now_ms)
        self.frozen = frozen

    def rate(self, now_ms: int) -> int:
        """W, or litres per hour, that flow now."""
        return self.load.rate_at(now_ms) if self.position is Supply.ON and not self.frozen else 0

    def register(self) -> int:
        """Wh or litres counted, rounded down."""
        return sum(self.amounts) // AMOUNT_PER_UNIT

    def bands(self) -> tuple[int, ...]:
        """Wh counted in each band, each rounded down."""
        return tuple(amount // AMOUNT_PER_UNIT for amount in self.amounts)

    def set_register(self, units: int) -> None:
        """Begin again from `units` Wh or litres, spread over the bands in which the day table has time."""
        shares = [0] * 5
        for band, start_ms, end_ms in pieces(0, DAY_MS, self.table, 0):
            shares[band] += end_ms - start_ms
        self.amounts = [units * share * AMOUNT_PER_UNIT // DAY_MS for share in shares]
        self.amounts[FLAT] += units * AMOUNT_PER_UNIT - sum(self.amounts)
