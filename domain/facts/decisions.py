"""Decisions: what a person says about readings that were not believed, and about usage that was charged wrongly."""

from typing import ClassVar

from domain.facts.record import Record
from domain.words import Decision


class QuarantineDecided(Record, frozen=True, kw_only=True):
    """A person has looked at the case of `meter` and `reason`, and closes it. `note` says why and must be there.

    `register` and `usage` belong to REBASELINE: the register from which the meter counts on, at `at`, where it is not the held one; and
    the Wh or litres, after ratio, to be charged for the gap until then.
    """

    KIND: ClassVar[str] = "quarantine_decided"
    id: str
    meter: int
    reason: str
    decision: Decision
    note: str
    register: int | None = None
    usage: int = 0
    operator: str = ""


class ReadingCorrected(Record, frozen=True, kw_only=True):
    """Usage that was charged in [from_ms, until_ms) was wrong: `usage_delta` Wh or litres, after ratio, are charged on top.

    Less than 0 is given back. `register`: what the meter's last believed register should have been. `note` says why and must be there.
    """

    KIND: ClassVar[str] = "reading_corrected"
    id: str
    meter: int
    from_ms: int
    until_ms: int
    usage_delta: int
    note: str
    register: int | None = None
    operator: str = ""
