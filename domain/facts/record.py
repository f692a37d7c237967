"""What every small fact has: its time, and the name and version of its format."""

from typing import ClassVar

import msgspec


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A fact that is one small record. `at` is its event time, ms UTC."""

    VERSION: ClassVar[int] = 1
    at: int


class Ticked(Record, frozen=True, kw_only=True):
    """A minute has passed. Drives closings, repeats, expiry and retries; the machine has no other clock."""

    KIND: ClassVar[str] = "ticked"
