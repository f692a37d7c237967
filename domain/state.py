"""State rows: fixed width, one per account and one per meter, and the small records of what is rare and wide.

*Hot* rows change with readings and are what a commit writes; *terms* change with settings only. Everything here can be
deleted and rebuilt from the log.
"""

import struct
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from domain.effects import Outcome
from domain.facts import AlarmTerms, ControlTerms, Place, WatchTerms
from domain.ids import EntryId
from domain.words import AlarmKind, AllowanceKind, Commodity, ItemKind, Metering, Period, Reason, Stage, Supply

ACCOUNT = np.dtype(
    (
        np.record,
        [
            ("balance", "<i8"),  # whole micros, rounded down …
            ("balance_picos", "<i4"),  # … and the exact rest, 0 … 999 999
            ("level", "u1"),  # words.Level: the deepest that is raised
            ("repeats", "u1"),  # of that level
            ("tripped", "u1"),  # 1 from arrears and the whole overdraft until the reconnect amount is reached
            ("settled", "u1"),  # 1 once money has moved: only then is the account judged
            ("alarmed_at", "<i8"),  # ms UTC of the last raise or repeat
            ("allowance", "<i8"),  # what is free and left in the month: micros, Wh or litres …
            ("allowance_picos", "<i4"),  # … and the exact rest of micros
            ("allowance_month", "<i4"),  # local month of it: 12 * year + month - 1; 0: none yet
            ("state", "u1"),  # words.AccountState
            ("cut", "u1"),  # 1: closed, and its supply is to be off
            ("pad1", "<u2"),
            ("pad2", "<u4"),
        ],
    )
)
"""48 bytes, hot."""

ACCOUNT_TERMS = np.dtype(
    (
        np.record,
        [
            ("low", "<i8"),
            ("pretrip", "<i8"),
            ("arrears", "<i8"),
            ("hysteresis", "<i8"),
            ("reconnect", "<i8"),
            ("max_balance", "<i8"),
            ("repeat_ms", "<i8"),
            ("repeat_max", "<i8"),
            ("overdraft", "<i8"),
            ("allowance", "<i8"),  # facts.AllowanceSet: free each month …
            ("allowance_from", "<i4"),  # … from this local day on
            ("allowance_kind", "u1"),  # words.AllowanceKind
            ("pad1", "u1"),
            ("pad2", "<u2"),
        ],
    )
)
"""`facts.AlarmTerms` as a row, and the allowance. 88 bytes."""

METER = np.dtype(
    (
        np.record,
        [
            ("time", "<i8"),  # ms UTC of the last believed reading; -1 before the first
            ("register", "<i8"),  # its register, before ratio
            ("window_usage", "<i8"),  # open window: Wh or litres, after ratio
            ("window_cost", "<i8"),  # … whole micros
            ("day_usage", "<i8"),  # open local day: Wh or litres
            ("day_cost", "<i8"),  # … whole micros not yet posted
            ("window_start", "<i4"),  # epoch minutes UTC; -1: no open window
            ("window_picos", "<i4"),
            ("day_picos", "<i4"),
            ("power", "<i4"),  # W, as last read
            ("status", "<u2"),  # words.Status as last read
            ("window_band", "u1"),
            ("window_estimated", "u1"),
            ("has_power", "u1"),  # 1: the last reading said its power
            ("heard_last", "u1"),  # 1: the believed reading is the last that was heard, none that is held came after it
            ("pad2", "<u2"),  # so far what every reading changes
            ("suspect", "<i8"),  # a register that jumped and is held; -1: none
            ("month_usage", "<i8"),  # Wh or litres of the closed days of `month`
            ("closed_usage", "<i8"),  # Wh or litres of all believed usage but the open day's
            (
                "still_since",
                "<i8",
            ),  # ms UTC of the last reading at which the register had moved; -1: the last believed one
            ("day_free", "<i8"),  # whole micros of the open day's cost that were free
            ("daily_usage", "<i8"),  # Wh or litres of a day: three parts of four what it was, one part the newest
            ("day", "<i4"),  # local day number; -1: no open day
            ("month", "<i4"),  # local month: 12 * year + month - 1
            ("day_free_picos", "<i4"),
            ("epoch", "<u4"),  # of the last command
            ("wanted", "u1"),  # words.Supply: wanted by the machine …
            ("reason", "u1"),  # words.Reason: … and why
            ("seen", "u1"),  # words.Supply as last read
            ("held", "u1"),  # 1 while a quarantine case is open
            ("vacant_usage", "<u4"),  # Wh or litres while nobody had the account, modulo 2³²: differences count
        ],
    )
)
"""144 bytes, hot."""

METER_TERMS = np.dtype(
    (
        np.record,
        [
            ("number", "<i8"),
            ("modulus", "<i8"),
            ("rated_per_hour", "<i8"),
            ("account", "<u4"),  # the account's row
            ("ratio", "<u4"),
            ("plan", "<i4"),  # the plan's row
            ("counter", "<i4"),  # first row of the tier counter that it shares
            ("commodity", "u1"),
            ("switchable", "u1"),
            ("brackets", "i1"),  # rows of the counter for one period
            ("removed", "u1"),  # 1: the meter is gone, and its number finds it no longer
            ("bands", "<u4"),  # 1 + its row of what was charged by its own registers; 0: none
            ("power_limit", "<i4"),  # W: more is noted; 0: no limit
            ("step", "<i4"),  # W: a rise of so many since the last reading is noted; 0: none
        ],
    )
)
"""56 bytes."""

COUNTER = np.dtype(
    (
        np.record,
        [
            ("used", "<i8"),  # Wh or litres in the period; so far what every reading changes
            ("period", "<i4"),  # tier period: epoch minutes UTC of its begin; -1: none yet
            ("picos", "<i4"),
            ("micros", "<i8"),  # what the period would cost, were this row's the schedule that its use reaches
        ],
    )
)
"""24 bytes, hot. A tier counter is two periods of as many rows as its plan has brackets (`tariffs.levels.thresholds`); with one
bracket the cost is not kept, because nothing asks for it."""


WATCH = np.dtype(
    (
        np.record,
        [
            ("day_usage", "<i8"),  # the terms, as facts.WatchTerms …
            ("month_usage", "<i8"),
            ("night_usage", "<i8"),
            ("offline_ms", "<i8"),
            ("stuck_ms", "<i8"),
            ("stuck_w", "<i4"),
            ("reverse_w", "<i4"),
            ("since", "<i8"),  # … and ms UTC from which they hold
            ("night_total", "<i8"),  # the meter's total when the night began; -1: it is day
            ("meter", "<u4"),  # the meter's row
            ("night_from", "<u2"),
            ("night_until", "<u2"),
            ("raised", "<u2"),  # words.Watched
            ("pad1", "<u2"),
            ("pad2", "<u4"),  # so far what release 0.1.0 kept
            ("day", "<i4"),  # local day number of the last look
            ("day_vacant", "<u4"),  # the meter's vacant_usage when that day began …
            ("month_vacant", "<u4"),  # … when its month began …
            ("night_vacant", "<u4"),  # … and when the night began
        ],
    )
)
"""96 bytes, one for each meter that is watched."""

BAND_REGISTERS = np.dtype(
    (
        np.record,
        [
            ("time", "<i8"),  # ms UTC of the reading that they belong to; -1 before the first
            ("sharp", "<i8"),  # charged of each register: where it would stand, had it counted just that
            ("peak", "<i8"),
            ("flat", "<i8"),
            ("valley", "<i8"),
            ("deep_valley", "<i8"),
            ("meter", "<u4"),  # the meter's row
            ("most", "u1"),  # the register that last was charged most: 0 sharp … 4 deep valley
            ("pad1", "u1"),
            ("pad2", "<u2"),
        ],
    )
)
"""56 bytes, one for each meter whose plan asks for the meter's own bands."""


class CounterRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A tier counter of an account, from row `row` of the counter rows on: for meters of this commodity whose plans have these thresholds."""

    row: int
    commodity: Commodity
    thresholds: tuple[int, ...]


class AccountRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is wide about an account. `row` is its place in the account rows.

    `opening`: digest of what the account was first opened with. `former`: meters that it once had. `tenant_since`: ms UTC of the
    last opening or transfer. `closed_at`: 0 while it is not closed. `settled_posting`: number of the shard's last posting when the
    account was last settled; what was posted before belongs to a tenant who has gone. `pays_since`: ms UTC of the last settlement or
    opening with one action; what was used before is not the present tenant's. `policy`: whose amounts `alarms` are; "": its own.
    `free_until`: by words.AllowanceKind, ms UTC until which an allowance that stands no more has applied; 0: none has.
    """

    row: int
    account: str
    currency: str
    name: str
    place: Place
    alarms: AlarmTerms
    opened_at: int
    meters: tuple[int, ...] = ()
    counters: tuple[CounterRecord, ...] = ()
    opening: bytes = b""
    former: tuple[int, ...] = ()
    tenant_since: int = 0
    closed_at: int = 0
    settled_posting: int = 0
    pays_since: int = 0
    policy: str = ""
    free_until: tuple[int, ...] = (0,) * len(AllowanceKind)


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """From `starts_at` (ms UTC) on a meter is priced by `tariff`. `restart`: its tier counter begins anew there."""

    starts_at: int
    tariff: str
    persons: int = 1
    capacity_w: int = 0
    restart: bool = False


class MeterRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is wide about a meter. `row` is its place in the meter rows; `tariff` and premises are those it was installed with.

    `assigned`: later assignments, by strictly increasing time. `removed_at`: ms UTC, 0 while it is there. `replaces`, `replaced_by`:
    the meter before it and the one after it, 0: none.
    """

    row: int
    meter: int
    account: str
    commodity: Commodity
    tariff: str
    profile: str
    modulus: int
    rated_per_hour: int
    ratio: int
    switchable: bool
    installed_at: int
    opening_register: int | None = None
    persons: int = 1
    capacity_w: int = 0
    assigned: tuple[Assignment, ...] = ()
    watch: WatchTerms | None = None
    removed_at: int = 0
    replaces: int = 0
    replaced_by: int = 0

    @property
    def repeated_by(self) -> WatchTerms:
        """The terms by which its alarms are repeated: its own, or the usual ones where nobody watches it."""
        return self.watch or WatchTerms()

    @property
    def assignments(self) -> tuple[Assignment, ...]:
        """The tariff it was installed with, from the beginning, and the later ones."""
        first = Assignment(starts_at=0, tariff=self.tariff, persons=self.persons, capacity_w=self.capacity_w)
        return (first, *self.assigned)


class TariffRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A published tariff. `row`: the order of publication."""

    row: int
    tariff: str
    document: str


class SiteRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A site, as `facts.SiteSet` says."""

    site: str
    title_zh: str
    title_en: str
    zone: str
    currency: str


class PolicyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A policy, as `facts.PolicySet` says."""

    policy: str
    alarms: AlarmTerms


class PlanRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Assignments that some meter has had, in order of time; the first from the beginning. Its key is its row in meter terms."""

    assignments: tuple[Assignment, ...]


class KeptOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """An outcome with the digest of the order's content, so that a repeat is told from a contradiction.

    `posting`: number of the order's last posting, 0 where it posted nothing. `reversed_by`: the order that took a recharge back.
    """

    content: bytes
    outcome: Outcome
    posting: int = 0
    channel: str = ""
    reversed_by: str = ""


class QuarantineCase(msgspec.Struct, frozen=True, kw_only=True):
    """A meter's suspicious readings of one reason, waiting for a person.

    `baseline` is the last register that was believed (-1: none), `register` the last that was not. `usage` is what is held
    back, in Wh or litres. `released_at`: when the meter was believed again by itself; 0 while it is not.
    """

    meter: int
    reason: str
    since: int
    last: int
    count: int
    baseline: int = -1
    register: int = -1
    usage: int = 0
    released_at: int = 0


class MeterClock(msgspec.Struct, frozen=True, kw_only=True):
    """A meter whose clock is ahead of the machine's: how many readings in a row, and whether that has been said.

    `counted_at`: what the machine's clock said when the last of them was counted.
    """

    meter: int
    ahead: int
    alarmed: bool = False
    counted_at: int = 0


class OpenCommand(msgspec.Struct, frozen=True, kw_only=True):
    """A command that has not been verified. `retry_at` > 0: it failed or expired, and is tried again then."""

    meter: int
    epoch: int
    wanted: Supply
    reason: Reason
    stage: str
    at: int
    expires_at: int
    attempt: int
    retry_at: int = 0
    detail: str = ""
    alarmed: bool = False
    button: bool = False

    @property
    def is_trip(self) -> bool:
        """Whether it cuts a supply for arrears."""
        return self.wanted == Supply.OFF and self.reason == Reason.ARREARS

    @property
    def waits_for_button(self) -> bool:
        """Whether the meter has allowed its supply to be closed, and a person has to press its button."""
        return self.button and self.stage == Stage.ACKNOWLEDGED


class Forced(msgspec.Struct, frozen=True, kw_only=True):
    """A person's wish for a meter's supply, until `until` (ms UTC)."""

    meter: int
    wanted: Supply
    until: int
    operator: str
    note: str
    id: str


class Protection(msgspec.Struct, frozen=True, kw_only=True):
    """A supply that stays ON whatever the balance or load, until `until` (ms UTC; 0: until revoked)."""

    until: int
    operator: str
    note: str
    id: str


class LoadCut(msgspec.Struct, frozen=True, kw_only=True):
    """A supply that was cut for its load at `since` (ms UTC), by `watts` where `allowed_w` were allowed: of power, or of a step of it.

    `restore_at`: ms UTC at which it comes back by itself; 0: only by a person. `is_over`: it has come back.
    `restores`: how often it did so on the local day `day`.
    """

    reason: Reason
    since: int
    watts: int
    allowed_w: int
    restore_at: int
    day: int
    restores: int
    is_over: bool = False


class Control(msgspec.Struct, frozen=True, kw_only=True):
    """What besides money and force bears on a meter's supply. `look_at`: ms UTC at which to look again; 0: when something happens."""

    meter: int
    terms: ControlTerms | None = None
    protection: Protection | None = None
    cut: LoadCut | None = None
    look_at: int = 0


class UseWhileOff(msgspec.Struct, frozen=True, kw_only=True):
    """A meter that counts although its supply is off. `last`: time of the last such reading; `usage`: since `since`, Wh or litres."""

    meter: int
    since: int
    last: int
    usage: int
    alarmed: bool = False


class ChargeItem(msgspec.Struct, frozen=True, kw_only=True):
    """A fee of an account, with what its next charge is for. `due_at`: ms UTC at which it falls due; `day`: its local day number.

    The other fields are those of `facts.ChargeItemSet`; `id` is the order that set it.
    """

    account: str
    item: str
    kind: ItemKind
    amount_micros: int
    period: Period
    starts: int
    zone: str
    ends: int
    area: int
    partial: bool
    title: str
    id: str
    day: int
    due_at: int


class ChargedItem(msgspec.Struct, frozen=True, kw_only=True):
    """How far a fee of this name has been charged: `until` is the first local day number that no charge was for.

    It outlives the fee, so that none that is set again charges a day twice, and goes when no fee can begin before it any more.
    """

    account: str
    item: str
    until: int


class StandingAlarm(msgspec.Struct, frozen=True, kw_only=True):
    """An alarm of a meter that is raised, and repeated. `last`: ms UTC at which it was said last."""

    meter: int
    kind: AlarmKind
    since: int
    last: int
    repeats: int
    reason: str


class PurchaseCount(msgspec.Struct, frozen=True, kw_only=True):
    """What a meter's purchase counter showed last, and what is expected of it: what it showed first, or a person has accepted."""

    meter: int
    counted: int
    accepted: int


class DayEnd(msgspec.Struct, frozen=True, kw_only=True):
    """A local midnight `at`, ms UTC. `entry`: the ms of the log's entry by which the shard has learnt of it."""

    at: int
    entry: int


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What a main meter used from `begins` until `ends` (ms UTC), and what its sub-meters counted of it, Wh or litres."""

    begins: int
    ends: int
    used: int
    counted: int


class MainMeter(msgspec.Struct, frozen=True, kw_only=True):
    """A main meter and its sub-meters, ascending; limits as in `facts.MainMeterSet`.

    `day`: its local day, -1 before the first tick. `begins`: from where on usage is to be compared; None before the first whole day.
    `ends`: the last midnight; `asked`: what was used until then has not been counted yet. `waits_for`: meters for which it could not be.
    `last`: what was compared last. `reason` is that of the alarm that is `raised`.
    """

    meter: int
    subs: tuple[int, ...]
    loss_max_permille: int
    loss_min: int
    day: int = -1
    begins: DayEnd | None = None
    ends: DayEnd | None = None
    asked: bool = False
    waits_for: tuple[int, ...] = ()
    last: Comparison | None = None
    raised: bool = False
    reason: str = ""


class ShardHeader(msgspec.Struct, frozen=True, kw_only=True):
    """What a shard's state holds once: its clock, the end of its ledger, and totals that prove conservation.

    `classes[m]` counts readings of `words.Metering` m; `usage[c]` is the Wh or litres priced of `words.Commodity` c. `ticked`: the ms of
    the log entry of the last tick; 0: none, or none since release 0.1.0.
    """

    now: int = 0
    posting_sequence: int = 0
    chain: bytes = bytes(32)
    pruned_day: int = 0
    classes: tuple[int, ...] = (0,) * len(Metering)
    usage: tuple[int, ...] = (0, 0)
    ticked: int = 0


Rows = NDArray[np.void]

ROWS: dict[str, np.dtype[np.void]] = {
    "accounts": ACCOUNT,
    "account_terms": ACCOUNT_TERMS,
    "meters": METER,
    "meter_terms": METER_TERMS,
    "counters": COUNTER,
    "watches": WATCH,
    "band_registers": BAND_REGISTERS,
}
"""Every kind of row by its name."""

HOT_BYTES = {"accounts": 16, "meters": 72, "counters": 8}
"""The first bytes of a row, multiples of 8, which nearly every reading changes: kept and written apart from the rest of it."""

FIRST_BYTES = {**HOT_BYTES, "watches": 80}
"""The bytes of a row that its first page keeps; the rest has a page of its own, also where a later release has added it."""

PAGES: dict[str, tuple[str, slice]] = {
    **{name: (name, slice(0, FIRST_BYTES.get(name, dtype.itemsize))) for name, dtype in ROWS.items()},
    **{f"{name}_rest": (name, slice(first, ROWS[name].itemsize)) for name, first in FIRST_BYTES.items()},
}
"""Every page that rows are kept in, by its name: the kind of row, and the bytes of each row that are in it."""


def rows_of(name: str, pages: Mapping[str, bytes | bytearray | None]) -> Rows:
    """The rows of a kind (n,) from all of its pages, packed; None: empty. What a page does not reach to is zero: an earlier release had none."""
    rows = np.zeros(len(pages[name] or b"") // FIRST_BYTES.get(name, ROWS[name].itemsize), ROWS[name])
    for page, (of, part) in PAGES.items():
        if of == name:
            kept = np.frombuffer(pages[page] or b"", f"V{part.stop - part.start}")
            part_of(rows, part)[: len(kept)] = kept
    return rows


def part_of(rows: Rows, part: slice) -> Rows:
    """Those bytes of each row that a page keeps, (n,) void, as a view."""
    size = rows.dtype.itemsize
    if part == slice(0, size):
        return rows.view(f"V{size}")
    return rows.view(
        np.dtype(
            {"names": ["part"], "formats": [f"V{part.stop - part.start}"], "offsets": [part.start], "itemsize": size}
        )
    )["part"]


def picked(dtype: np.dtype[np.void], *names: str) -> Callable[[Any], tuple[int, ...]]:
    """How to read these fields of one row as plain numbers, in the order of their places: several times as fast as to ask for each."""
    fields: Mapping[str, Any] = dtype.fields or {}
    layout, at = "<", 0
    for name in names:
        kind, offset = fields[name][:2]
        assert offset >= at, f"{name} comes before the field that is named before it"
        layout += f"{offset - at}x{_LETTERS[kind.str[1:]]}"
        at = offset + kind.itemsize
    unpack = struct.Struct(layout).unpack_from
    return lambda row: unpack(row.tobytes())


_LETTERS = {"i8": "q", "u8": "Q", "i4": "i", "u4": "I", "i2": "h", "u2": "H", "i1": "b", "u1": "B"}


RECORDS: dict[str, tuple[type, type[msgspec.Struct]]] = {
    "account_records": (str, AccountRecord),
    "meter_records": (int, MeterRecord),
    "tariff_records": (str, TariffRecord),
    "site_records": (str, SiteRecord),
    "policy_records": (str, PolicyRecord),
    "plan_records": (int, PlanRecord),
    "kept_outcomes": (bytes, KeptOutcome),
    "cases": (str, QuarantineCase),
    "open_commands": (int, OpenCommand),
    "forced": (int, Forced),
    "controls": (int, Control),
    "used_while_off": (int, UseWhileOff),
    "charge_items": (str, ChargeItem),
    "charged_items": (str, ChargedItem),
    "standing_alarms": (str, StandingAlarm),
    "meter_clocks": (int, MeterClock),
    "main_meters": (int, MainMeter),
    "purchase_counts": (int, PurchaseCount),
}
"""Every kind of record by the name it is kept under: the types of its key and of itself."""


@dataclass(frozen=True, slots=True, eq=False)
class RowChanges:
    """Rows of one page to write: `runs` (n, 2), the first row and past the last of each run, ascending; `rows` their new contents, one after another."""

    runs: NDArray[np.int64]
    rows: Rows


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    """Everything in a shard's state that differs from the last commit, by the names in PAGES and RECORDS; None: removed."""

    header: ShardHeader
    rows: dict[str, RowChanges]
    records: dict[str, dict[Any, Any]]


@dataclass(frozen=True, slots=True, eq=False)
class StoredShard:
    """A shard's state as a store has kept it, at `position` of its log."""

    shard: int
    position: EntryId
    header: ShardHeader
    rows: dict[str, Rows]
    records: Mapping[str, MutableMapping[Any, Any]]
