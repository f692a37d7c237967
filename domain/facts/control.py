"""Control: what people want of a supply, and what became of commands."""

from typing import ClassVar

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


class CommandReported(Record, frozen=True, kw_only=True):
    """What became of an attempt at a command. `seen` is the supply as it was read back, if it was."""

    KIND: ClassVar[str] = "command_reported"
    meter: int
    epoch: int
    stage: Stage
    seen: Supply = Supply.UNKNOWN
    detail: str = ""
