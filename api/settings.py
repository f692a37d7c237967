"""What the API is told when it is made. Nothing else in `api/` reads the environment or the machine's clock."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

REQUESTS_DEFAULT = "12000/minute"


def wall_ms() -> int:
    """This machine's clock, ms UTC."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """`clock` tells event time, ms UTC. `wait_seconds`: how long an order waits for the machine before it is answered 202.

    `lag_seconds_max`: a fact may wait so long, in real time, before this is not ready. `probe_seconds`: health and metrics
    wait so long for the store. `wall`: real time, ms UTC, by which tokens expire and attempts are written down. `requests`, `orders`:
    how often a caller may ask, and order; `denials`: how often an address may come without a known token; `logins`: how often
    somebody may try to sign in as one person. `session_hours`: how long a sign-in holds. `approve_over`: micros of a refund beyond
    which a second person must approve it; None: one person is enough. `beat_seconds`: how often a stream of events shows that it lives, and its
    listener's token is looked at again. `archive`: where the archive lies, a folder or URL; "": there is none. `apart_seconds`: work on a
    tariff document is ended after so long.
    """

    redis_url: str = field(repr=False)
    token: str = field(repr=False)
    clock: Callable[[], int]
    wait_seconds: float = 2.0
    lag_seconds_max: float = 10.0
    probe_seconds: float = 3.0
    body_bytes_max: int = 65_536
    docs: bool = False
    wall: Callable[[], int] = wall_ms
    requests: str = REQUESTS_DEFAULT
    orders: str = "6000/hour"
    denials: str = "30/minute"
    logins: str = "10/15 minutes"
    session_hours: float = 12.0
    approve_over: int | None = None
    beat_seconds: float = 15.0
    archive: str = ""
    apart_seconds: float = 10.0
