"""Count: the second stage. It reads what all shards have closed and tells the shard of each main meter what was used behind it.

    main_meters:{07} ──asked──▶ count ◀──closed hours── usage:{00} … usage:{15}
                                  └──SubMetersCounted──▶ log:{07} ──▶ settle

Guarantee: exactly once in effect, through kills at any instruction. It keeps nothing: what is to be counted, and from where on its usage lies in the
streams, stands in the machine's own records. An answer that is appended again is for a question that has been answered, and changes nothing.
"""

from collections.abc import Iterable

import numpy as np

from connectors.redis.store import Store
from domain.effects import USAGE
from domain.state import MainMeter, MeterRecord, Rows
from domain.units import HOUR_MS
from flows.counting import Found, Meters, answer, is_due

SEARCHED_MS = 3 * HOUR_MS
"""Usage of a day may be in the streams so long before its shard learnt that the day had begun: meters' clocks are up to an hour ahead."""
KEPT_ANEW_MS = 10 * 60_000
"""How finely the streams are told what they must keep."""
ENTRIES_AT_ONCE = 1_000


class Counting:
    """Answers what the machines ask. What it has answered it remembers only until the machine has heard it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._answered: dict[int, MainMeter] = {}
        self._kept: int | None = -1

    def count(self) -> int:
        """Answer whatever is asked and due. Returns the number of answers. Raises StoreError."""
        headers, named = self._store.headers(), self._store.records("main_meters")
        self._keep([main for mains in named for main in mains.values()])
        now = min(header.now for header in headers)
        due = [
            (shard, main)
            for shard, mains in enumerate(named)
            for main in mains.values()
            if is_due(main, now) and self._answered.get(main.meter) != main
        ]
        if not due:
            return 0
        meters = find_meters(self._store, {number for _, main in due for number in (main.meter, *main.subs)})
        usage = self._usage([main for _, main in due], meters)
        for shard, main in due:
            self._store.append(shard, answer(main, headers[shard].now, meters, usage))
            self._answered[main.meter] = main
        return len(due)

    def _keep(self, mains: list[MainMeter]) -> None:
        """Have the streams keep what will be asked about: days that are not yet counted, and the one that will end next."""
        needed = None
        if mains:
            now = min(self._store.position(shard)[0] for shard in range(self._store.shards))
            edges = [edge.entry for main in mains if (edge := main.begins or main.ends)]
            needed = max(0, min([now, *edges]) - SEARCHED_MS) // KEPT_ANEW_MS * KEPT_ANEW_MS
        if needed != self._kept:
            self._store.keep_for("count", "usage", None if needed is None else (needed, 0))
            self._kept = needed

    def _usage(self, mains: Iterable[MainMeter], meters: Meters) -> Rows:
        """Closed usage of these meters, from where the earliest of the times that are asked about begins."""
        since = min(edge.entry for main in mains if (edge := main.begins or main.ends))
        shards = sorted({found.shard for each in meters.values() for found in each})
        parts = [closed_usage(self._store, shard, since - SEARCHED_MS, list(meters)) for shard in shards]
        return np.concatenate([np.empty(0, USAGE), *parts])


def find_meters(store: Store, numbers: set[int]) -> dict[int, list[Found]]:
    """All that the shards know of these meters and of their successors."""
    found: dict[int, list[Found]] = {}
    while numbers:
        found |= {number: [] for number in numbers}
        for shard, records in enumerate(store.records_of("meter_records", sorted(numbers))):
            for each in _with_rows(store, shard, records):
                found[each.record.meter].append(each)
        numbers = {each.record.replaced_by for number in numbers for each in found[number]} - {0, *found}
    return found


def _with_rows(store: Store, shard: int, records: list[MeterRecord]) -> list[Found]:
    rows = store.rows("meters", shard, [record.row for record in records])
    return [
        Found(shard, record, int(row["time"]), int(row["window_start"]))
        for record, row in zip(records, rows, strict=True)
    ]


def closed_usage(store: Store, shard: int, since_ms: int, numbers: list[int]) -> Rows:
    """`effects.USAGE` rows of these meters in a shard's stream, from a log position's ms on."""
    parts, after = [np.empty(0, USAGE)], (max(0, since_ms), 0)
    while entries := store.stream("usage", shard, after, ENTRIES_AT_ONCE):
        after = entries[-1][0]
        rows = np.frombuffer(b"".join(fields[b"b"] for _, fields in entries), USAGE)
        parts.append(rows[np.isin(rows["meter"], numbers)])
    return np.concatenate(parts)
