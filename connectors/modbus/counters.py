"""What the collector counts, for metrics."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Collected:
    """Counters since the collector began. Keys of the dictionaries are bus names.

    `errors` by `BusError.kind`, and `unreadable`, `uplink`. `commands` by stage reported. `bus_seconds`: time that requests were
    under way. `round_seconds`: how long the last round took. `silent_meters`: now.
    """

    polls: int = 0
    readings: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    commands: Counter[str] = field(default_factory=Counter)
    bus_seconds: dict[str, float] = field(default_factory=dict)
    round_seconds: dict[str, float] = field(default_factory=dict)
    rounds: Counter[str] = field(default_factory=Counter)
    silent_meters: dict[str, int] = field(default_factory=dict)
    reports_waiting: int = 0
    blocks_dropped: int = 0
