"""A shard's state in memory: rows for what is numerous, records for what is rare, and what has changed since the last commit.

`ShardState` owns its arrays; `fold` changes them in place and hands the same object back. Rows grow by doubling and are
never moved or removed, so a row number is a lasting name inside the shard.
"""

from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from domain.ids import LOG_START, EntryId
from domain.records import keys_by_row
from domain.state import (
    ACCOUNT,
    ACCOUNT_TERMS,
    BAND_REGISTERS,
    COUNTER,
    METER,
    METER_TERMS,
    PAGES,
    WATCH,
    AccountRecord,
    Assignment,
    Changes,
    ChargedItem,
    ChargeItem,
    Control,
    Forced,
    KeptOutcome,
    MainMeter,
    MeterClock,
    MeterRecord,
    OpenCommand,
    PlanRecord,
    PolicyRecord,
    PurchaseCount,
    QuarantineCase,
    RowChanges,
    Rows,
    ShardHeader,
    SiteRecord,
    StandingAlarm,
    StoredShard,
    TariffRecord,
    UseWhileOff,
    part_of,
)
from domain.units import HOUR_MS
from flows.readings.changes import CHANGED, HOT, Scratch, rows_in, runs_of, scratch, words_of
from flows.readings.metering import enter_slot, slots_for
from flows.readings.output import ROWS_AT_FIRST, Output, output_of
from flows.tally import Tally
from tariffs.loader import load_tariff
from tariffs.tariff import Plan, Premises, Stage, Tariff
from tariffs.timeline import Timeline, compile_timeline

BRIDGE_BYTES = 512
"""Unchanged rows of so many bytes between two changed ones are written with them: a write of its own costs more."""

K = TypeVar("K", str, int, bytes)
R = TypeVar("R")


class Table(Generic[K, R]):
    """Small records by key, remembering which keys have changed since `take_changes`."""

    def __init__(self, records: MutableMapping[K, R] | None = None) -> None:
        self._records: MutableMapping[K, R] = {} if records is None else records
        self._changed: set[K] = set()

    def get(self, key: K) -> R | None:
        """The record, or None."""
        return self._records.get(key)

    def __getitem__(self, key: K) -> R:
        return self._records[key]

    def __contains__(self, key: K) -> bool:
        return key in self._records

    def __len__(self) -> int:
        return len(self._records)

    def put(self, key: K, record: R) -> None:
        """Enter or replace."""
        self._records[key] = record
        self._changed.add(key)

    def drop(self, key: K) -> None:
        """Remove, if there."""
        if self._records.pop(key, None) is not None:
            self._changed.add(key)

    def sorted(self) -> list[tuple[K, R]]:
        """All records in the order of their keys: the only order that a reload keeps."""
        return sorted(self._records.items(), key=lambda item: item[0])

    def by_row(self) -> list[K]:
        """The keys in the order of the records' rows."""
        return keys_by_row(self._records)

    def take_changes(self) -> dict[K, R | None]:
        """What has changed since the last call; None: removed."""
        changes = {key: self._records.get(key) for key in sorted(self._changed)}
        self._changed.clear()
        return changes


class Agenda:
    """What falls due when. An entry that was planned anew stays until it is taken: whoever takes one looks whether it still holds."""

    def __init__(self, entries: Iterable[tuple[int, str]] = ()) -> None:
        self._heap = list(entries)
        heapify(self._heap)

    def put(self, at: int, key: str) -> None:
        """Let a key fall due at `at`, ms UTC."""
        heappush(self._heap, (at, key))

    def is_due(self, now: int) -> bool:
        """Whether anything falls due by `now`."""
        return bool(self._heap) and self._heap[0][0] <= now

    def take(self) -> tuple[int, str]:
        """The earliest entry, by time and then by key."""
        return heappop(self._heap)


def _as_bytes(rows: Rows) -> Rows:
    """The same rows as plain bytes: numpy copies structured ones field by field."""
    return part_of(rows, slice(0, rows.dtype.itemsize))


def _page_of(rows: Rows, page: str, part: slice) -> tuple[str, int, int, Rows]:
    """A page, the marks of rows that it must write, how many rows between two are written with them, and its part of the rows.

    The rest of a row is as it was where only its first bytes have changed.
    """
    wanted = CHANGED if part.start else CHANGED | HOT
    return page, wanted, 1 + BRIDGE_BYTES // (part.stop - part.start), part_of(rows, part)


class Hot:
    """Rows that change with readings, with a mark for each that changed: 1, or HOT where only its first bytes did."""

    def __init__(self, dtype: np.dtype[np.void], rows: Rows | None = None) -> None:
        self.count = 0 if rows is None else len(rows)
        self._rows = np.zeros(max(16, -(-self.count // 8) * 8), dtype)
        self._dirty = np.zeros(len(self._rows), np.uint8)
        if rows is not None:
            _as_bytes(self._rows)[: self.count] = _as_bytes(rows)
        self._show()

    def _show(self) -> None:
        """Bring `rows` (count,), those in use, their `words`, and `dirty` (count,), their marks, up to the count."""
        self._pages: list[tuple[str, int, int, Rows]] = []
        self.rows: Rows = self._rows[: self.count]
        self.words: NDArray[np.int64] = words_of(self.rows)
        self.dirty: NDArray[np.uint8] = self._dirty[: self.count]

    def append(self) -> int:
        """A new row of zeros, marked as changed. Returns its number."""
        if self.count == len(self._rows):
            self._rows = np.concatenate([self._rows, np.zeros_like(self._rows)]).view(self._rows.dtype)
            self._dirty = np.concatenate([self._dirty, np.zeros_like(self._dirty)])
        self.count += 1
        self._show()
        self.dirty[-1] = 1
        return self.count - 1

    def take_changes(self, name: str) -> dict[str, RowChanges]:
        """By page, numbers and copies of the rows of this kind that changed since the last call, with the few between near ones."""
        # Views are kept until there is another row: to make them takes longer than to copy a small block's rows.
        self._pages = self._pages or [
            _page_of(self.rows, page, part) for page, (of, part) in PAGES.items() if of == name
        ]
        changes = {page: self._copied(wanted, gap, packed) for page, wanted, gap, packed in self._pages}
        self.dirty[:] = 0
        return changes

    def _copied(self, wanted: int, gap: int, packed: Rows) -> RowChanges:
        runs = runs_of(self._dirty, wanted, gap)
        if len(runs) == 0:
            return RowChanges(runs, packed[:0])
        # One run is copied in one piece: picking rows by number takes several times as long.
        return RowChanges(runs, packed[slice(*runs[0])].copy() if len(runs) == 1 else packed[rows_in(runs)])


@dataclass(slots=True, eq=False)
class ShardState:
    """State of one shard at `position` of its log."""

    shard: int
    position: EntryId = LOG_START
    header: ShardHeader = field(default_factory=ShardHeader)
    accounts: Hot = field(default_factory=lambda: Hot(ACCOUNT))
    account_terms: Hot = field(default_factory=lambda: Hot(ACCOUNT_TERMS))
    meters: Hot = field(default_factory=lambda: Hot(METER))
    meter_terms: Hot = field(default_factory=lambda: Hot(METER_TERMS))
    counters: Hot = field(default_factory=lambda: Hot(COUNTER))
    watches: Hot = field(default_factory=lambda: Hot(WATCH))
    band_registers: Hot = field(default_factory=lambda: Hot(BAND_REGISTERS))
    account_records: Table[str, AccountRecord] = field(default_factory=Table)
    meter_records: Table[int, MeterRecord] = field(default_factory=Table)
    tariff_records: Table[str, TariffRecord] = field(default_factory=Table)
    sites: Table[str, SiteRecord] = field(default_factory=Table)
    policies: Table[str, PolicyRecord] = field(default_factory=Table)
    plan_records: Table[int, PlanRecord] = field(default_factory=Table)
    outcomes: Table[bytes, KeptOutcome] = field(default_factory=Table)
    cases: Table[str, QuarantineCase] = field(default_factory=Table)
    commands: Table[int, OpenCommand] = field(default_factory=Table)
    forced: Table[int, Forced] = field(default_factory=Table)
    controls: Table[int, Control] = field(default_factory=Table)
    used_while_off: Table[int, UseWhileOff] = field(default_factory=Table)
    items: Table[str, ChargeItem] = field(default_factory=Table)
    charged_items: Table[str, ChargedItem] = field(default_factory=Table)
    standing: Table[str, StandingAlarm] = field(default_factory=Table)
    meter_clocks: Table[int, MeterClock] = field(default_factory=Table)
    main_meters: Table[int, MainMeter] = field(default_factory=Table)
    purchase_counts: Table[int, PurchaseCount] = field(default_factory=Table)
    slots: NDArray[np.int32] = field(default_factory=lambda: slots_for(np.empty(0, np.int64), np.empty(0, np.uint8)))
    account_ids: list[str] = field(default_factory=list)
    tariffs: list[Tariff] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)
    due_items: Agenda = field(default_factory=Agenda)
    due_repeats: Agenda = field(default_factory=Agenda)
    due_controls: Agenda = field(default_factory=Agenda)
    watch_rows: dict[int, int] = field(default_factory=dict)
    plan_rows: dict[tuple[Assignment, ...], int] = field(default_factory=dict)
    oldest_ms: int = 0
    timeline: Timeline | None = None
    output: Output = field(default_factory=lambda: output_of(ROWS_AT_FIRST))
    scratch: Scratch = field(default_factory=scratch)
    tally: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        """Rebuild what follows from the rest: indexes, compiled tariffs."""
        self.account_ids = self.account_records.by_row()
        published = [self.tariff_records[tariff] for tariff in self.tariff_records.by_row()]
        self.tariffs = [load_tariff(record.document, record.tariff) for record in published]
        self.plan_rows = {record.assignments: row for row, record in self.plan_records.sorted()}
        self.make_plans()
        self.index_meters()
        self.due_items = Agenda((item.due_at, key) for key, item in self.items.sorted())
        self.due_controls = Agenda(
            (each.look_at, str(number)) for number, each in self.controls.sorted() if each.look_at
        )
        self.watch_rows = {int(meter): row for row, meter in enumerate(self.watches.rows["meter"])}
        self.due_repeats = Agenda((self._repeats_at(alarm), key) for key, alarm in self.standing.sorted())
        self.tally = Tally({number: command.at for number, command in self.commands.sorted() if command.is_trip})

    @classmethod
    def of(cls, stored: StoredShard) -> "ShardState":
        """The state that a store has kept."""
        rows, records = stored.rows, stored.records
        return cls(
            shard=stored.shard,
            position=stored.position,
            header=stored.header,
            accounts=Hot(ACCOUNT, rows["accounts"]),
            account_terms=Hot(ACCOUNT_TERMS, rows["account_terms"]),
            meters=Hot(METER, rows["meters"]),
            meter_terms=Hot(METER_TERMS, rows["meter_terms"]),
            counters=Hot(COUNTER, rows["counters"]),
            watches=Hot(WATCH, rows["watches"]),
            band_registers=Hot(BAND_REGISTERS, rows["band_registers"]),
            account_records=Table(records["account_records"]),
            meter_records=Table(records["meter_records"]),
            tariff_records=Table(records["tariff_records"]),
            sites=Table(records["site_records"]),
            policies=Table(records["policy_records"]),
            plan_records=Table(records["plan_records"]),
            outcomes=Table(records["kept_outcomes"]),
            cases=Table(records["cases"]),
            commands=Table(records["open_commands"]),
            forced=Table(records["forced"]),
            controls=Table(records["controls"]),
            used_while_off=Table(records["used_while_off"]),
            items=Table(records["charge_items"]),
            charged_items=Table(records["charged_items"]),
            standing=Table(records["standing_alarms"]),
            meter_clocks=Table(records["meter_clocks"]),
            main_meters=Table(records["main_meters"]),
            purchase_counts=Table(records["purchase_counts"]),
        )

    def installed(self, number: int) -> MeterRecord | None:
        """The record of a meter that is there; None for one that is unknown or removed."""
        record = self.meter_records.get(number)
        return None if record is None or record.removed_at else record

    def index_meters(self) -> None:
        """Make the table from meter number to row anew, of the meters that are there."""
        terms = self.meter_terms.rows
        self.slots = slots_for(np.ascontiguousarray(terms["number"]), np.ascontiguousarray(terms["removed"]))
        times = self.meters.rows["time"]
        believed = times[(times >= 0) & (terms["removed"] == 0)]
        self.oldest_ms = int(believed.min()) if len(believed) else 0

    def index_meter(self, number: int, row: int) -> None:
        """Add one meter to the table; it is made anew, twice as large, when it is half full."""
        if 2 * self.meters.count > len(self.slots):
            self.index_meters()
        else:
            enter_slot(self.slots, number, row)

    def _repeats_at(self, alarm: StandingAlarm) -> int:
        return alarm.last + self.meter_records[alarm.meter].repeated_by.repeat_ms

    def watch_row(self, meter: int) -> int:
        """The watch of the meter in row `meter`, which is made where it has none."""
        row = self.watch_rows.get(meter)
        if row is None:
            row = self.watch_rows[meter] = self.watches.append()
            self.watches.rows[row].meter, self.watches.rows[row].night_total = meter, -1
        return row

    def make_plans(self) -> None:
        """Put the tariffs, as now published, into all plans; the timeline is compiled anew when it is next needed."""
        self.plans = [self._plan(record.assignments) for _, record in self.plan_records.sorted()]
        self.timeline = None

    def plan_row(self, assignments: tuple[Assignment, ...]) -> int:
        """The row of a plan, which is entered where no meter has had it yet."""
        row = self.plan_rows.get(assignments)
        if row is None:
            row = self.plan_rows[assignments] = len(self.plans)
            self.plan_records.put(row, PlanRecord(assignments=assignments))
            self.plans.append(self._plan(assignments))
            self.timeline = None
        return row

    def _plan(self, assignments: tuple[Assignment, ...]) -> Plan:
        return tuple(
            Stage(
                each.starts_at,
                self.tariffs[self.tariff_records[each.tariff].row],
                Premises(each.persons, each.capacity_w),
                each.restart,
            )
            for each in assignments
        )

    def account_record(self, row: int) -> AccountRecord:
        """The record of an account by its row."""
        return self.account_records[self.account_ids[row]]

    def covering(self, from_ms: int, until_ms: int) -> Timeline:
        """The plans' timeline, made or extended so that it covers [from_ms, until_ms] in ms UTC.

        It begins an hour earlier, so that a segment that contains `from_ms` is whole: where a local hour begins at half
        past, a timeline's first segment is cut short, and where a window starts must not depend on where a timeline does.
        """
        timeline, begin = self.timeline, max(0, from_ms - HOUR_MS)
        if timeline is None or timeline.from_ms > begin or timeline.until_ms <= until_ms:
            start = begin if timeline is None else min(begin, timeline.from_ms)
            margin = max(32 * 86_400_000, (until_ms - start) // 4)
            self.timeline = timeline = compile_timeline(self.plans, start, until_ms + margin)
        return timeline

    def take_changes(self) -> Changes:
        """What a commit must write, and forget that it has changed."""
        hot: dict[str, Hot] = {
            "accounts": self.accounts,
            "account_terms": self.account_terms,
            "meters": self.meters,
            "meter_terms": self.meter_terms,
            "counters": self.counters,
            "watches": self.watches,
            "band_registers": self.band_registers,
        }
        rows = {page: changes for name, each in hot.items() for page, changes in each.take_changes(name).items()}
        records: dict[str, dict[Any, Any]] = {
            "account_records": self.account_records.take_changes(),
            "meter_records": self.meter_records.take_changes(),
            "tariff_records": self.tariff_records.take_changes(),
            "site_records": self.sites.take_changes(),
            "policy_records": self.policies.take_changes(),
            "plan_records": self.plan_records.take_changes(),
            "kept_outcomes": self.outcomes.take_changes(),
            "cases": self.cases.take_changes(),
            "open_commands": self.commands.take_changes(),
            "forced": self.forced.take_changes(),
            "controls": self.controls.take_changes(),
            "used_while_off": self.used_while_off.take_changes(),
            "charge_items": self.items.take_changes(),
            "charged_items": self.charged_items.take_changes(),
            "standing_alarms": self.standing.take_changes(),
            "meter_clocks": self.meter_clocks.take_changes(),
            "main_meters": self.main_meters.take_changes(),
            "purchase_counts": self.purchase_counts.take_changes(),
        }
        return Changes(self.header, rows, records)
