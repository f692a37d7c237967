"""Control: what people want of a supply, by which terms it is cut by itself, and what became of commands."""

from typing import ClassVar

import msgspec

from domain.facts.record import Record
from domain.words import Stage, Supply


class ControlOrdered(Record, frozen=True, kw_only=True):
    """A person forces a meter's supply ON or OFF until `until` (ms UTC); UNKNOWN gives it back to automatic."""

    KIND: ClassVar[str] = "control_ordered"
    id: str
    meter: int
    wanted: Supply
    until: int = 0
    operator: str = ""
    note: str = ""


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """Hours of some days, by the clock on the wall: from `from_minute` up to `until_minute`, local minutes of the day.

    `days`: bits 0 to 6 are Monday to Sunday, bit 7 is holidays. A window that ends at or before its begin goes on into the
    next day. 0 to 1440 is a whole day.
    """

    days: int
    from_minute: int
    until_minute: int


class ScheduledSupply(Window, frozen=True, kw_only=True):
    """Hours in which a supply is scheduled to be ON or OFF."""

    supply: Supply


class StepRange(msgspec.Struct, frozen=True, kw_only=True):
    """Steps of power from `low_w` to `high_w` W, both included."""

    low_w: int
    high_w: int


class ControlTerms(msgspec.Struct, frozen=True, kw_only=True):
    """By which terms a meter's supply is cut and restored besides money. What is 0 or empty is not looked at.

    `zone` and `holidays` (local day numbers since 1970-01-01, ascending) are for the windows. Of a list of windows a
    holiday has only those with bit 7, where the list has any. `no_trip`: a supply that is on is not cut for arrears.
    `schedule`: the first that holds counts. `power_limit_w`: more W cut the supply. `malignant_step_w`: so many W more than
    one reading before cut it, unless the step is in one of the `tolerated` ranges or the meter is `whitelisted`. A supply that was
    cut for its load is restored after `restore_wait_ms`, at most `restores` times a local day, and then only by a person.
    `button`: the meter can only be allowed to close; a person presses its button.
    """

    zone: str
    holidays: tuple[int, ...] = ()
    no_trip: tuple[Window, ...] = ()
    schedule: tuple[ScheduledSupply, ...] = ()
    power_limit_w: int = 0
    malignant_step_w: int = 0
    tolerated: tuple[StepRange, ...] = ()
    whitelisted: bool = False
    restores: int = 3
    restore_wait_ms: int = 300_000
    button: bool = False


class ControlTermsSet(Record, frozen=True, kw_only=True):
    """A meter's supply is controlled by these terms from now on, instead of those that it had."""

    KIND: ClassVar[str] = "control_terms_set"
    id: str
    meter: int
    terms: ControlTerms


class ProtectionOrdered(Record, frozen=True, kw_only=True):
    """A meter's supply stays ON whatever the balance or load, until `until` (ms UTC; 0: until revoked), or no longer does."""

    KIND: ClassVar[str] = "protection_ordered"
    id: str
    meter: int
    protected: bool
    until: int = 0
    operator: str = ""
    note: str = ""


class LoadReleased(Record, frozen=True, kw_only=True):
    """A person has seen to a load that was too much: the supply may come back, and today's restores are counted anew."""

    KIND: ClassVar[str] = "load_released"
    id: str
    meter: int
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
