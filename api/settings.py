"""What the API is told when it is made. Nothing in `api/` reads the environment or the machine's clock."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """`clock` tells event time, ms UTC. `wait_seconds`: how long an order waits for the machine before it is answered 202.

    `lag_seconds_max`: a fact may wait so long, in real time, before this is not ready. `probe_seconds`: health and metrics
    wait so long for the store.
    """

    redis_url: str = field(repr=False)
    token: str = field(repr=False)
    clock: Callable[[], int]
    wait_seconds: float = 2.0
    lag_seconds_max: float = 10.0
    probe_seconds: float = 3.0
    body_bytes_max: int = 65_536
    docs: bool = False
