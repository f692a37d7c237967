"""What a verification of a store came to: kept in the store, for gauges that must read 0."""

import msgspec

from domain.words import Check


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """`at`: ms UTC of the real clock when it ended. `differences`: how many were found, by check; a check that could not be made is left out."""

    at: int
    took_ms: int
    differences: dict[Check, int]

    @property
    def unchecked(self) -> list[Check]:
        """What could not be checked."""
        return [check for check in Check if check not in self.differences]
