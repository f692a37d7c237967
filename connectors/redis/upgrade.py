"""Stores of the release before: their rows are laid out anew when this release first opens them to write.

A shard is converted in one transaction, and not at all if a commit came between: killed at any instant, whoever opens the store next goes
on. Nobody of the release before takes part again: it refuses the format that the store has from the first step on, and a `settle` of it
that still runs finds in `position:{07}` what is no position, so its next commit changes nothing and it ends. Several processes may convert
at once.

From format 2 to 3: rows of meters keep `closed_usage` and `still_since` rather than `total` and `moved_at`, fewer of their bytes change with
a reading, and those of tier counters are kept apart; the position is in `settled:{07}` (decision 25).
"""

from typing import Any

import numpy as np
import structlog

from connectors.redis.keys import SITE, STORE_FORMAT, key
from connectors.redis.nodes import Nodes
from domain.state import COUNTER, METER, PAGES, Rows, part_of

FORMAT_BEFORE, BETWEEN = "2", "2 to 3"
POSITION_BEFORE = "position"
_NO_POSITION = b"see settled"
_log = structlog.get_logger("store")

_METER = np.dtype(
    [
        ("time", "<i8"),
        ("register", "<i8"),
        ("window_usage", "<i8"),
        ("window_cost", "<i8"),
        ("day_usage", "<i8"),
        ("day_cost", "<i8"),
        ("total", "<i8"),
        ("moved_at", "<i8"),
        ("window_start", "<i4"),
        ("window_picos", "<i4"),
        ("day_picos", "<i4"),
        ("power", "<i4"),
        ("status", "<u2"),
        ("window_band", "u1"),
        ("window_estimated", "u1"),
        ("has_power", "u1"),
        ("heard_last", "u1"),
        ("pad2", "<u2"),
        ("suspect", "<i8"),
        ("month_usage", "<i8"),
        ("day_free", "<i8"),
        ("daily_usage", "<i8"),
        ("day", "<i4"),
        ("month", "<i4"),
        ("day_free_picos", "<i4"),
        ("epoch", "<u4"),
        ("wanted", "u1"),
        ("reason", "u1"),
        ("seen", "u1"),
        ("held", "u1"),
        ("vacant_usage", "<u4"),
    ]
)
_METER_PARTS = slice(0, 88), slice(88, _METER.itemsize)
_COUNTER = np.dtype([("period", "<i4"), ("picos", "<i4"), ("used", "<i8"), ("micros", "<i8")])
_PAGES = "meters", "meters_rest", "counters"
"""The pages of format 2 that are another in format 3."""


def upgrade(nodes: Nodes[Any], shards: int) -> None:
    """Bring a store of format 2 to this release's. Raises what the client library raises."""
    _log.info("the store is of an earlier release; its rows are laid out anew", shards=shards, to=STORE_FORMAT)
    _begin(nodes.of(SITE))
    for shard in range(shards):
        _upgrade_shard(nodes.of(key("log", shard)), shard)
    nodes.of(SITE).hset(SITE, "format", STORE_FORMAT)
    _log.info("the store is laid out anew", format=STORE_FORMAT)


def _begin(client: Any) -> None:
    """Keep the release before away, unless somebody has done all of this meanwhile."""

    def begin(pipe: Any) -> None:
        if pipe.hget(SITE, "format") == FORMAT_BEFORE.encode():
            pipe.multi()
            pipe.hset(SITE, "format", BETWEEN)

    client.transaction(begin, SITE)


def _upgrade_shard(client: Any, shard: int) -> None:
    position = key(POSITION_BEFORE, shard)

    def upgrade(pipe: Any) -> None:
        settled = pipe.get(position)
        if settled == _NO_POSITION:
            return  # It has been converted.
        pages = converted(*(pipe.get(key(page, shard)) or b"" for page in _PAGES))
        pipe.multi()
        for page, packed in pages.items():
            pipe.set(key(page, shard), packed)
        if settled:
            pipe.set(key("settled", shard), settled)
        pipe.set(position, _NO_POSITION)

    client.transaction(upgrade, position)


def converted(meters: bytes, meters_rest: bytes, counters: bytes) -> dict[str, bytes]:
    """Pages of format 3 made of those of format 2."""
    return {**_pages_of("meters", _meters(meters, meters_rest)), **_pages_of("counters", _counters(counters))}


def _meters(first: bytes, rest: bytes) -> Rows:
    before = np.zeros(len(first) // _METER_PARTS[0].stop, _METER)
    for part, packed in zip(_METER_PARTS, (first, rest), strict=True):
        part_of(before, part)[:] = np.frombuffer(packed, f"V{part.stop - part.start}")
    rows = _same_fields(before, METER)
    rows["closed_usage"] = before["total"] - before["day_usage"]
    rows["still_since"] = np.where(before["moved_at"] == before["time"], -1, before["moved_at"])
    return rows


def _counters(packed: bytes) -> Rows:
    return _same_fields(np.frombuffer(packed, _COUNTER), COUNTER)


def _same_fields(before: Rows, dtype: np.dtype[np.void]) -> Rows:
    rows = np.zeros(len(before), dtype)
    for name in set(dtype.names or ()) & set(before.dtype.names or ()):
        rows[name] = before[name]
    return rows


def _pages_of(name: str, rows: Rows) -> dict[str, bytes]:
    return {page: part_of(rows, part).tobytes() for page, (of, part) in PAGES.items() if of == name}
