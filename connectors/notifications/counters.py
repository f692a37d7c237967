"""What the notifier counts, for metrics."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Notified:
    """Counters since the notifier began, and how things stand now.

    `deliveries` by the channel's name and `domain.notices.Result`: `meterline_notify_deliveries_total{channel,result}`. `waiting`:
    `meterline_notify_waiting`, notices that wait. `dead_letters`: `meterline_notify_dead_letters`, notices that were given up. `lag_seconds`:
    `meterline_notify_lag_seconds`, for how long the first notice that may go out has been waiting.
    """

    deliveries: Counter[tuple[str, str]] = field(default_factory=Counter)
    waiting: int = 0
    dead_letters: int = 0
    lag_seconds: float = 0.0
