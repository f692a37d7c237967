"""Effects: what the machine decided, for others to see. Numerous ones are rows, rare ones records.

The effects of one log entry carry that entry's position as their own, so they are the same however the log was cut into
batches, and cannot be written twice.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from domain.facts import ReadingRefused
from domain.ids import EntryId
from domain.words import AlarmKind, AlarmState, Reason, Stage, Supply

if TYPE_CHECKING:
    from domain.state import AccountRecord

POSTING = np.dtype(
    (
        np.record,
        [
            ("sequence", "<i8"),  # 1, 2, 3 … in the shard
            ("at", "<i8"),  # ms UTC, event time
            ("account", "<u4"),  # the account's row in its shard
            ("debit", "<u2"),  # words.Ledger
            ("credit", "<u2"),
            ("amount", "<i8"),  # micros
            ("meter", "<i8"),  # usage: the meter; else 0
            ("day", "<i4"),  # usage, charge item: local day number since 1970-01-01; else -1
            ("pad", "<i4"),
            ("order_high", "<u8"),  # not of usage: the 128 bits …
            ("order_low", "<u8"),  # … of the caller's id
            ("corrects", "<i8"),  # sequence of the posting that this one corrects; 0: none
        ],
    )
)
"""One debit, one credit, one amount: it cannot fail to balance. 72 bytes."""

USAGE = np.dtype(
    (
        np.record,
        [
            ("meter", "<i8"),
            ("start", "<i4"),  # epoch minutes UTC: begin of the hour, or of the band's part of it
            ("day", "<i4"),  # local day number since 1970-01-01
            ("usage", "<i8"),  # Wh or litres, after ratio
            ("cost_micros", "<i8"),
            ("cost_picos", "<i4"),  # 0 … 999 999, on top of cost_micros
            ("band", "u1"),  # index into the tariff's band names
            ("estimated", "u1"),  # 1: spread over an interval longer than the site allows
            ("pad", "<u2"),
        ],
    )
)
"""Energy and cost of one meter in one hour and band, closed. Rows of the same key add up. 40 bytes."""

QUARANTINED = np.dtype(
    (
        np.record,
        [
            ("meter", "<i8"),
            ("time", "<i8"),  # ms UTC
            ("register", "<i8"),
            ("baseline", "<i8"),  # last register that was believed, or -1
            ("metering", "u1"),  # words.Metering
            ("pad1", "u1"),
            ("pad2", "<u2"),
            ("pad3", "<u4"),
        ],
    )
)
"""A reading that is neither charged nor forgotten. 40 bytes."""


class Alarm(msgspec.Struct, frozen=True, kw_only=True):
    """One event in the life of an alarm. Amounts in micros; texts are made where it is published."""

    id: str
    kind: AlarmKind
    state: AlarmState
    at: int
    account: str = ""
    meter: int = 0
    balance: int = 0
    threshold: int = 0
    repeat: int = 0
    reason: str = ""
    amount: int = 0


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """Switch a meter's supply. A later epoch of the same meter supersedes an earlier one; `WITHDRAWN` cancels it.

    `button`: ON only allows the meter to close; a person presses its button, so an acknowledgement is all that can be waited for.
    """

    meter: int
    epoch: int
    wanted: Supply
    reason: Reason
    stage: Stage
    at: int
    expires_at: int
    attempt: int = 1
    button: bool = False

    @property
    def is_trip(self) -> bool:
        """Whether it cuts a supply for arrears."""
        return self.wanted == Supply.OFF and self.reason == Reason.ARREARS

    @property
    def id(self) -> str:
        """Deterministic: the meter and its epoch."""
        return f"{self.meter:012d}-{self.epoch}"


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an order or setting, kept by its id: the answer to everybody who asks or repeats it."""

    id: str
    kind: str
    at: int
    refusal: str = ""
    account: str = ""
    meter: int = 0
    amount_micros: int = 0
    balance_micros: int = 0
    detail: str = ""


@dataclass(slots=True)
class Effects:
    """What one log entry caused. Empty lists and None mean nothing of that kind.

    `accounts`: of the accounts that alarms name those that are known, as they were after the entry; messages say where an alarm is.
    """

    entry: EntryId
    postings: NDArray[np.void] | None = None
    chain: bytes = b""
    usage: NDArray[np.void] | None = None
    quarantined: NDArray[np.void] | None = None
    alarms: list[Alarm] = field(default_factory=list)
    accounts: "dict[str, AccountRecord]" = field(default_factory=dict)
    commands: list[Command] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    refused: list[ReadingRefused] = field(default_factory=list)
    classes: NDArray[np.uint8] | None = None
