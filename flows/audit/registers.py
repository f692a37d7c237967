"""A meter's own band registers, followed by the audit: what has been charged of each, and how they divide what the total has counted.

Written again from docs/decisions/0016-band-registers.md, like the rest of the audit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

_FLAT = 2


@dataclass(slots=True)
class Registers:
    """What has been charged of sharp, peak, flat, valley and deep valley, as of the reading at `time`; None: before the first.

    `most`: which of them last was charged most.
    """

    time: int | None = None
    charged: list[int] = field(default_factory=lambda: [0] * 5)
    most: int = _FLAT

    def shares(self, shown: Sequence[int], total: int, modulus: int, rated_per_hour: int) -> tuple[int, ...]:
        """How much of `total` each register has; empty where they disagree with it by more than rounding and a minute."""
        due = [_due(register, charged, modulus) for register, charged in zip(shown, self.charged, strict=True)]
        slack = 60 + rated_per_hour // 60
        if abs(total - sum(due)) > slack or min(due) < -slack:
            return ()
        shares: list[int] = []
        for each in due:
            shares.append(min(max(each, 0), total - sum(shares)))
        shares[due.index(max(due)) if max(due) > 0 else self.most] += total - sum(shares)
        return tuple(shares)

    def follow(self, time: int, shown: Sequence[int], shares: tuple[int, ...], modulus: int) -> None:
        """Go on from the reading at `time`, which was divided into `shares`; where it was not, from what it shows."""
        self.time = time
        if not shares:
            self.charged = list(shown)
            return
        charged = [before + share for before, share in zip(self.charged, shares, strict=True)]
        self.charged = [each % modulus if modulus else each for each in charged]
        if any(shares):
            self.most = shares.index(max(shares))


def are_believable(shown: Sequence[int], modulus: int) -> bool:
    """Whether there are registers, all of which a meter can show."""
    return len(shown) > 0 and all(0 <= register < (modulus or 10**15) for register in shown)


def _due(shown: int, charged: int, modulus: int) -> int:
    """The nearest to nothing of what the register may have counted since; of two as near, the one above."""
    wraps = (-modulus, 0, modulus) if modulus else (0,)
    return min((shown - charged + wrap for wrap in wraps), key=lambda due: (abs(due), -due))
