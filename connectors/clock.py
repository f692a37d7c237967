"""Event time: the time that facts carry, which may run faster than life.

A simulated street, a collector and the ticks are several processes that must agree on what time it is. They do so without
talking: the clock is three numbers, passed on as text on the command line, and everything else follows from the
machine's own clock. With the same three numbers two processes on one machine differ by no more than a scheduling delay
times the speed. A step of the machine's clock is a step of event time, so whoever keeps a time must bear a smaller one.
"""

import re
import time
from dataclasses import dataclass
from typing import Protocol

_TEXT = re.compile(r"(\d{1,15}):(\d{1,15}):(\d{1,9})")


class Clock(Protocol):
    """Whatever tells event time."""

    def now_ms(self) -> int:
        """Event time, ms UTC."""


@dataclass(frozen=True, slots=True)
class EventClock:
    """Event time that was `epoch_event_ms` when the machine's clock said `epoch_real_ms`, and runs `speed` times as fast."""

    epoch_real_ms: int
    epoch_event_ms: int
    speed: int = 1

    def __post_init__(self) -> None:
        """A clock that stands still or runs backwards cannot tell how long to wait."""
        if self.speed < 1:
            raise ValueError(f"speed {self.speed}: expected a whole number from 1")

    @classmethod
    def from_now(cls, event_ms: int | None = None, speed: int = 1) -> "EventClock":
        """A clock that starts now, at `event_ms` or at the present time."""
        real_ms = time.time_ns() // 1_000_000
        return cls(real_ms, real_ms if event_ms is None else event_ms, speed)

    @classmethod
    def from_text(cls, text: str) -> "EventClock":
        """The clock in `REAL_MS:EVENT_MS:SPEED`. Raises ValueError that says what was expected."""
        match = _TEXT.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"clock {text!r}: expected REAL_MS:EVENT_MS:SPEED, three whole numbers such as 0:0:1")
        return cls(int(match[1]), int(match[2]), int(match[3]))

    def to_text(self) -> str:
        """The clock as `REAL_MS:EVENT_MS:SPEED`, for another process's command line."""
        return f"{self.epoch_real_ms}:{self.epoch_event_ms}:{self.speed}"

    def at_ms(self, real_ns: int) -> int:
        """Event time, ms UTC, when the machine's clock says `real_ns` nanoseconds; rounded down."""
        return self.epoch_event_ms + (real_ns - self.epoch_real_ms * 1_000_000) * self.speed // 1_000_000

    def now_ms(self) -> int:
        """Event time, ms UTC."""
        return self.at_ms(time.time_ns())

    def wait_seconds(self, event_ms: int) -> float:
        """Real seconds until event time `event_ms`, for a sleep; 0 when it has come."""
        return max(0, event_ms - self.now_ms()) / self.speed / 1_000


REAL_TIME = EventClock(0, 0, 1)
"""Event time that is the machine's time."""
