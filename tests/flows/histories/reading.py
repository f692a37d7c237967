"""What meters are read to show, most of it true, and what persons decide where it is not."""

from collections.abc import Sequence

import numpy as np

from domain.facts import (
    QuarantineDecided,
    ReadingBlock,
    ReadingCorrected,
    ReadingRefused,
)
from domain.units import DAY_MS, HOUR_MS, MINUTE_MS
from domain.words import (
    Decision,
    Metering,
    Status,
)
from histories.happenings import Happenings


def readings(
    *rows: tuple[int, int, int],
    power: Sequence[int] | None = None,
    status: Sequence[int] | None = None,
    bands: Sequence[Sequence[int]] | None = None,
) -> ReadingBlock:
    """A block of (meter, time, register)."""
    table = np.array(rows, np.int64).reshape(-1, 3)
    columns = [None if column is None else np.array(column, np.int64) for column in (power, status)]
    columns.append(None if bands is None else np.array(bands, np.int64).reshape(-1, 5))
    return ReadingBlock(table[:, 0].copy(), table[:, 1].copy(), table[:, 2].copy(), *columns)


class Reading(Happenings):
    """Readings, cases of quarantine and corrections."""

    def _block(self) -> ReadingBlock:
        rows = [self._reading() for _ in range(self.random.randint(0, 5))]
        known = self.random.random() < 0.6
        status = [self.random.choice([0, Status.SUPPLY_KNOWN, Status.SUPPLY_KNOWN | Status.SUPPLY_ON]) for _ in rows]
        power = [self.random.randrange(-200, 5_000) for _ in rows]
        bands = [self._bands(*row) for row in rows] if self.random.random() < 0.8 else None
        return readings(*rows, power=power if known else None, status=status if known else None, bands=bands)

    def _bands(self, number: int, _time: int, register: int) -> list[int]:
        """The meter's own registers: one counts what the total does, shown in Wh or in 10 Wh; now and then they are nonsense."""
        choice, own = self.random, self.bands.setdefault(number, [0] * 5)
        modulus = self.meters[number].modulus if number in self.meters else 0
        advance = register - sum(own)
        if modulus:
            advance %= modulus
        if 0 <= advance < 10_000 or not any(own):
            counting = choice.choice([0, 1, 1, 2, 3, 4])
            half = choice.choice([0, 0, advance // 2])
            own[counting] += advance - half
            own[(counting + 1) % 5] += half
        shown = [each % modulus if modulus else each for each in own]
        match choice.randrange(40):
            case 0:
                return [0] * 5
            case 1:
                shown[choice.randrange(5)] += choice.choice([1, 70, 5_000, -1, 10**15, -(10**18)])
        return [each // 10 * 10 for each in shown] if number % 2 else shown

    def _reading(self) -> tuple[int, int, int]:
        number = self.random.choice(list(self.meters))
        at = self.now + self.random.choice([0, 1_000, 20_000])
        modulus, before = self.meters[number].modulus, self.last.get(number, (number, at, self.registers[number]))
        kind = self.random.randrange(24)
        if reason := {1: "conflict", 3: "decrease", 4: "jump", 8: "decrease"}.get(kind):
            self.doubted.append((number, reason))
        match kind:
            case 0:
                return before
            case 1:
                return number, before[1], before[2] + 1
            case 2:
                return number, before[1] - self.random.choice([1, HOUR_MS, before[1]]), before[2]
            case 3:
                return number, at, 0
            case 4:
                return number, at, before[2] + self.random.choice([500_000, 2**62])
            case 5:
                return number, at + 3 * DAY_MS, before[2]
            case 6:
                return number, at, -1 if modulus == 0 else modulus
            case 7:
                return self.random.choice([0, -1, 77_777]), at, 5
            case 8:
                return number, at, max(0, before[2] - 40)
        register = self.registers[number] + self.random.choice([0, 1, 40, 333, 1_999])
        self.registers[number] = register % modulus if modulus else register
        self.last[number] = number, at, self.registers[number]
        return self.last[number]

    def _refused(self) -> ReadingRefused:
        meter, reason = self.random.choice([0, *self.meters]), self.random.choice(["no number", "too large"])
        return ReadingRefused(at=self.now, source="file", line=1, text="?", reason=reason, meter=meter, usage=5)

    def _decided(self) -> QuarantineDecided:
        """On a case that there may be: most of them jumps and falls."""
        choice = self.random
        number, reason = choice.choice([*self.meters, 77_777, 0]), choice.choice([*Metering]).name.lower()
        if self.doubted and choice.random() < 0.8:
            number, reason = self.doubted.pop()
        decision, more = choice.choice([*Decision, Decision.ACCEPT]), {}
        if decision == Decision.REBASELINE or choice.random() < 0.1:
            register = self.registers.get(number, 5) + choice.choice([0, 0, 300, 10**6])
            register = choice.choice([None, None, register, register, -1])
            more = {"register": register, "usage": choice.choice([0, 0, 1, 25_000, 25_000, 10**10])}
        return self._kept(
            QuarantineDecided(
                at=self.now, id=self._id(), meter=number, reason=reason, decision=decision,
                note=choice.choice(["seen"] * 7 + [" "]), **more,
            )
        )  # fmt: skip

    def _corrected(self) -> ReadingCorrected:
        """Of some hours before a reading, most of them charged."""
        choice, number = self.random, self.random.choice([*self.meters, *self.meters, *self.meters, 99])
        last = self.last.get(number, (number, self.now, 0))
        until = last[1] - choice.choice([0, 0, 0, 1, 30 * MINUTE_MS, 12 * HOUR_MS, -HOUR_MS])
        since = until - choice.choice([1, 10, 10, 60, 60, 300, 1_800, 60_000, 0, 6_000_000]) * MINUTE_MS
        delta = choice.choice([0, 1, 1, 40, 40, 700, 3_000, 70_000, 10**10]) * choice.choice([1, -1, -1])
        return self._kept(
            ReadingCorrected(
                at=self.now, id=self._id(), meter=number, from_ms=since, until_ms=until, usage_delta=delta,
                note=choice.choice(["misread"] * 7 + [""]), register=choice.choice([None, None, None, last[2], 10**6]),
            )
        )  # fmt: skip
