"""Registers at the edges of a month (期初, 期末): what a meter showed when the month began and when it ended.

What is kept is the register as last believed and what was used hour by hour. A register only moves by what is used, so at an edge it was the last one, less
what was used after the edge, before ratio: exactly what was read, where something was read at midnight, else what lies between two readings as usage is spread.

That does not hold where a register moved without usage, or usage without a register: corrections, decisions on quarantine, and a time in which nobody had the
account. Where one of them came after an edge, the register at it is not known (None), rather than nearly right.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from connectors.archive.joined import Joined, Question
from domain.facts import AccountActivated, AccountClosed, Fact, QuarantineDecided, ReadingCorrected
from domain.state import MeterRecord
from reports.days import LAST_DAY, begin_ms, month_days
from reports.state import Shard, ask_shard, open_hours
from reports.tenures import Tenure, installed_minute

_OF_A_METER = frozenset({ReadingCorrected.KIND, QuarantineDecided.KIND})
_OF_AN_ACCOUNT = frozenset({AccountClosed.KIND, AccountActivated.KIND})


@dataclass(frozen=True, slots=True)
class Registers:
    """A meter's registers when a month began and when it ended, in Wh or litres, before ratio; None: not known."""

    record: MeterRecord
    opening: int | None
    closing: int | None


async def registers(
    joined: Joined, shard: int, owned: Sequence[Tenure], zones: Mapping[str, str], month: int
) -> dict[str, list[Registers]]:
    """Of accounts' meters in a month, by account, those left out that were gone before it or came after it. Raises FiguresError, ArchiveError and StoreError."""
    first, last = month_days(month)
    minutes = {each.record.meter: installed_minute(each.record) for each in owned}
    installed = pl.LazyFrame(list(minutes.items()), {"meter": pl.Int64, "installed": pl.Int32}, orient="row")

    def shaped(rows: pl.LazyFrame) -> pl.LazyFrame:
        after = pl.when(pl.col("day") > last).then(pl.col("usage")).otherwise(0)
        mine = rows.join(installed, on="meter").filter(pl.col("start") >= pl.col("installed"))
        return mine.group_by("meter").agg(pl.col("usage").sum().alias("since"), after.sum().alias("after"))

    question = Question("usage", (("day", first, LAST_DAY),), shaped)
    closed, answers = await joined.rows(question, shard, ask_shard(shard))
    state = Shard.of(answers)
    meters = zip(state.meter_terms["number"].tolist(), state.meters, strict=True)
    still_open = shaped(open_hours(meters).lazy().filter(question.is_within)).collect()
    used = {
        meter: (since, after)
        for meter, since, after in pl.concat([closed, still_open])
        .group_by("meter")
        .agg(pl.sum("since", "after"))
        .iter_rows()
    }
    moved = _moved(
        await joined.told(shard, _OF_A_METER | _OF_AN_ACCOUNT)
    )  # After the state, which then knows of no other.
    found: dict[str, list[Registers]] = {}
    for tenure in owned:
        zone = [zones[tenure.account]]
        edges = begin_ms(first, zone), begin_ms(last + 1, zone)
        if tenure.record.installed_at >= edges[1] or 0 < tenure.record.removed_at < edges[0]:
            continue
        row = state.meters[tenure.record.row]
        is_known = [_is_known(tenure, row, moved, edge) for edge in edges]
        since, after = used.get(tenure.record.meter, (0, 0))
        opening, closing = (
            register_before(tenure.record, int(row["register"]), usage) if known else None
            for usage, known in zip((since, after), is_known, strict=True)
        )
        found.setdefault(tenure.account, []).append(Registers(tenure.record, opening, closing))
    return found


def _moved(told: Iterable[Fact]) -> dict[int | str, int]:
    """When registers of a meter, or of an account's meters, may last have moved by themselves, ms UTC: orders that were refused count too."""
    found: dict[int | str, int] = {}
    for fact in told:
        assert isinstance(fact, ReadingCorrected | QuarantineDecided | AccountClosed | AccountActivated), (
            "asked for no other"
        )
        name = fact.meter if isinstance(fact, ReadingCorrected | QuarantineDecided) else fact.account
        found[name] = max(found.get(name, 0), fact.at)
    return found


def _is_known(tenure: Tenure, row: Any, moved: Mapping[int | str, int], edge: int) -> bool:
    """Whether a meter's register has moved by nothing but usage since an edge. Of a meter that has gone to another account nothing is kept."""
    is_here = tenure.record.account == tenure.account
    last = max(moved.get(tenure.record.meter, 0), moved.get(tenure.account, 0))
    return bool(is_here and row["time"] >= 0 and last < edge)


def register_before(record: MeterRecord, register: int, usage: int) -> int | None:
    """What a register was before some usage, past the wrap where the meter has one; of parts of a unit the whole ones."""
    before = (register * record.ratio - usage) // record.ratio
    if before < 0 and record.modulus:
        before += record.modulus
    return before if before >= 0 else None
