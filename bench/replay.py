"""`meterline bench replay`: a log in an archive, folded again, and folded twice for what another tariff would cost.

It is made first, as an archiver leaves it: Parquet files by shard and day, a tick each minute, each meter read once an hour in blocks as
gateways send them. Measured is what `meterline replay` does with it, shard after shard on one core: reading files, making facts of
them, the machine, and, for another tariff, the machine once more, and adding up. What is left out is the server.
"""

import tempfile
import time
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from bench.scene import DOCUMENT, T0, TARIFF, figures, opened, order, usage_of
from bench.street import RECHARGE, numbers_of
from commands.replay_tariff import Asked, Comparison, comparison_figures, priced_otherwise
from commands.replaying import replayed
from commands.verifying import Entries, Heard, WholeLog
from connectors.archive.columns import file_of
from connectors.archive.files import Archive, Range
from connectors.redis.formats import decode_fact, encode_fact
from domain.facts import Fact, ReadingBlock, TariffPublished, Ticked
from domain.ids import LOG_START, EntryId
from domain.units import DAY_MS, HOUR_MS, MINUTE_MS
from flows.machine import warm_up
from tariffs.calendar import sealed
from tariffs.loader import catalogue, load_tariff

OTHER = "guangzhou-residential-tou"
_AT_ONCE = 64


def run(accounts: int, days: int, block: int, shards: int, heard: Heard) -> dict[str, Any]:
    """Make the archive, replay it, price it by another tariff, and return the figures. `heard`: told of entries as they are folded."""
    warm_up()
    document = sealed(catalogue()[OTHER])
    asked = Asked(load_tariff(document, OTHER), document)
    with tempfile.TemporaryDirectory(prefix="meterline-bench-") as folder:
        archive = Archive.at(folder)
        begun = time.perf_counter()
        ends = [
            _archive(archive, shard, numbers, days, block) for shard, numbers in enumerate(numbers_of(accounts, shards))
        ]
        made, log = time.perf_counter() - begun, partial(_log, archive)
        begun = time.perf_counter()
        for shard, end in enumerate(ends):
            replayed(log, shard, end, None, heard)
        folded, cpu_begun = time.perf_counter() - begun, time.process_time()
        begun = time.perf_counter()
        compared = _compared(log, ends, asked, heard)
        seconds, cpu_seconds = time.perf_counter() - begun, time.process_time() - cpu_begun
        size = sum(each.stat().st_size for each in Path(folder).rglob("*.parquet"))
    told = comparison_figures(compared)
    assert len(compared.paid) == accounts
    return {
        **figures("replay", accounts, 24 * days, seconds, cpu_seconds),
        "block": block,
        "shards": shards,
        "made_s": round(made, 1),
        "replay_s": round(folded, 1),
        "what_if_s": round(seconds, 1),
        "archive_mb": round(size / 1_000_000),
        **{name: told[name] for name in ("usage", "was", "would", "less", "same", "more")},
    }


def _compared(log: WholeLog, ends: list[EntryId], asked: Asked, heard: Heard) -> Comparison:
    found = [priced_otherwise(log, shard, end, None, asked, heard) for shard, end in enumerate(ends)]
    return Comparison(asked, [paid for each in found for paid in each.paid()], [])


def _log(archive: Archive, shard: int, _until: EntryId) -> Iterator[Entries]:
    """A shard's log out of its files."""
    entries = (
        (entry, decode_fact(fields)) for each in archive.ranges("log", shard) for entry, fields in archive.entries(each)
    )
    while batch := list(islice(entries, _AT_ONCE)):
        yield batch


def _archive(archive: Archive, shard: int, numbers: list[int], days: int, block: int) -> EntryId:
    """Write a shard's log, a file for each day. Returns its last entry."""
    facts: list[Fact] = [TariffPublished(at=T0, id=order(), tariff=TARIFF, document=DOCUMENT)]
    facts += [fact for number in numbers for fact in opened(number, TARIFF, RECHARGE)]
    meters, after = np.array(numbers, np.int64), LOG_START
    registers = np.zeros(len(numbers), np.int64)
    for day in range(days):
        entries = [((T0, place), fact) for place, fact in enumerate(facts)] if day == 0 else []
        for minute in range(1, 1441):
            at = T0 + day * DAY_MS + minute * MINUTE_MS - 1
            told: list[Fact] = [Ticked(at=at)]
            if at % HOUR_MS == HOUR_MS - 1:
                registers += usage_of(meters) * (1 + (at // HOUR_MS + meters) % 3) // 2
                told += _blocks(meters, at, registers, block)
            entries += [((at, place), fact) for place, fact in enumerate(told)]
        found = Range("log", shard, after, entries[-1][0])
        archive.put(found, file_of("log", [(entry, _as_read(encode_fact(fact))) for entry, fact in entries]))
        after = found.last
    return after


def _as_read(fields: dict[str, str | bytes]) -> dict[bytes, bytes]:
    """Fields as a server gives them back."""
    return {name.encode(): value.encode() if isinstance(value, str) else value for name, value in fields.items()}


def _blocks(meters: "np.ndarray[Any, np.dtype[np.int64]]", at: int, registers: Any, block: int) -> Iterator[Fact]:
    for start in range(0, len(meters), block):
        some = meters[start : start + block]
        yield ReadingBlock(some, np.full(len(some), at, np.int64), registers[start : start + block].copy())
