"""Facts: everything that Meterline is ever told. Immutable, in the past tense, each with its time in ms UTC.

A shard's log is a sequence of facts. `ReadingBlock` is columns, because there are millions of readings; everything else
is one small record. A fact's `KIND` and `VERSION` name its format in the log (`connectors/redis/formats.py`).
"""

from dataclasses import dataclass
from typing import ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from domain.words import Commodity, Stage, Supply

Column = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class ReadingBlock:
    """Readings as columns of equal length n, int64: one gateway round, one import chunk, one push.

    `meter` numbers; `time` ms UTC; `register` cumulative Wh or litres as the meter shows it, before ct/pt ratio.
    Optional: `power` in W; `status` bits of `words.Status`; `bands` (n, 5) registers sharp, peak, flat, valley, deep valley.
    """

    KIND: ClassVar[str] = "readings"
    VERSION: ClassVar[int] = 1

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


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A fact that is one small record. `at` is its event time, ms UTC."""

    VERSION: ClassVar[int] = 1
    at: int


class Ticked(Record, frozen=True, kw_only=True):
    """A minute has passed. Drives closings, repeats, expiry and retries; the machine has no other clock."""

    KIND: ClassVar[str] = "ticked"


class TariffPublished(Record, frozen=True, kw_only=True):
    """A tariff, or a new state of it with more versions, is in force from its own effective times.

    `document` is the tariff file's text (TOML), kept as written so that a later release can read it again.
    """

    KIND: ClassVar[str] = "tariff_published"
    id: str
    tariff: str
    document: str


class AlarmTerms(msgspec.Struct, frozen=True, kw_only=True):
    """When an account is warned, cut and restored. Amounts in micros; a level is reached at or below its amount.

    low >= pretrip >= arrears. A level clears above its amount plus `hysteresis`. From arrears the supply is off until the
    balance is at least `reconnect`. A level repeats at most `repeat_max` times, `repeat_ms` apart.
    """

    low: int = 20_000_000
    pretrip: int = 5_000_000
    arrears: int = 0
    hysteresis: int = 500_000
    reconnect: int = 1_000_000
    max_balance: int = 10**13
    repeat_ms: int = 14_400_000
    repeat_max: int = 3


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where an account's room is."""

    site: str = ""
    building: str = ""
    floor: str = ""
    room: str = ""


class AccountOpened(Record, frozen=True, kw_only=True):
    """An account with one wallet. `account` is the operator's own id for it."""

    KIND: ClassVar[str] = "account_opened"
    id: str
    account: str
    currency: str
    name: str = ""
    place: Place = Place()
    alarms: AlarmTerms = AlarmTerms()


class MeterInstalled(Record, frozen=True, kw_only=True):
    """A meter belongs to an account from `at` on, priced by `tariff`.

    `modulus`: the register wraps to 0 at this many Wh or litres; 0: it does not. `rated_per_hour`: the most Wh or litres it can truly count
    in an hour, before ratio; more is a jump. `ratio` = ct x pt. `opening_register` is its value at `at`; without one the
    first reading is the baseline. `switchable`: has a relay or valve that we may use. `persons` and `capacity_w` (contracted, W)
    are for tariffs that ask about the premises.
    """

    KIND: ClassVar[str] = "meter_installed"
    id: str
    meter: int
    account: str
    commodity: Commodity
    tariff: str
    profile: str = ""
    modulus: int
    rated_per_hour: int
    ratio: int = 1
    opening_register: int | None = None
    switchable: bool = True
    persons: int = 1
    capacity_w: int = 0


class TariffAssigned(Record, frozen=True, kw_only=True):
    """A meter is priced by another tariff, or for other premises, from `starts_at` (ms UTC) on, or from its last reading if
    that is later; from the next whole minute.

    `restart`: its tier counter begins anew there; else it goes on where the tier periods are the same. An assignment of the
    same time replaces the one before it.
    """

    KIND: ClassVar[str] = "tariff_assigned"
    id: str
    meter: int
    tariff: str
    starts_at: int
    persons: int = 1
    capacity_w: int = 0
    restart: bool = False


class RechargeOrdered(Record, frozen=True, kw_only=True):
    """Somebody paid: credit the account. `id` is the caller's."""

    KIND: ClassVar[str] = "recharge_ordered"
    id: str
    account: str
    amount_micros: int
    currency: str
    channel: str = ""
    note: str = ""


class RefundOrdered(Record, frozen=True, kw_only=True):
    """Pay money back out of the account's balance. `id` is the caller's."""

    KIND: ClassVar[str] = "refund_ordered"
    id: str
    account: str
    amount_micros: int
    currency: str
    channel: str = ""
    note: str = ""


class ControlOrdered(Record, frozen=True, kw_only=True):
    """A person forces a meter's supply ON or OFF until `until` (ms UTC); UNKNOWN gives it back to automatic."""

    KIND: ClassVar[str] = "control_ordered"
    id: str
    meter: int
    wanted: Supply
    until: int = 0
    operator: str = ""
    note: str = ""


class CommandReported(Record, frozen=True, kw_only=True):
    """What became of an attempt at a command. `seen` is the supply as it was read back, if it was."""

    KIND: ClassVar[str] = "command_reported"
    meter: int
    epoch: int
    stage: Stage
    seen: Supply = Supply.UNKNOWN
    detail: str = ""


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


RECORDS: tuple[type[Record], ...] = (
    Ticked,
    TariffPublished,
    AccountOpened,
    MeterInstalled,
    TariffAssigned,
    RechargeOrdered,
    RefundOrdered,
    ControlOrdered,
    CommandReported,
    ReadingRefused,
)

Fact = ReadingBlock | Record
