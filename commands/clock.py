"""`meterline clock`: tell every shard's log each minute that it has passed, until it is interrupted."""

import threading
import time
from collections.abc import Callable

from commands.endings import failed
from commands.logs import tell
from commands.metrics_door import MetricsOption, measured
from commands.shared import DATA_DEFAULT, ClockOption, DataOption, clock_of, store_url
from connectors.clock import EventClock
from connectors.metrics import Measures
from connectors.redis.errors import StoreError
from connectors.redis.store import Store
from domain.facts import Ticked
from domain.metrics import Process
from domain.units import MINUTE_MS

CLOCK_AHEAD_MAX_MS = 5 * MINUTE_MS
"""How far the clock of this machine may be ahead of the server's, in life, for a tick to be appended."""
AGAIN_SECONDS = 1.0


def clock(data: DataOption = DATA_DEFAULT, clock: ClockOption = "", metrics: MetricsOption = "") -> None:
    """Append the minute to every shard's log, so that hours close, deadlines pass and commands are tried again. May be killed at any instant.

    Without ticks nothing of that happens. It may run on several hosts at once: a tick that does not move time forward changes nothing.
    """
    url, event_clock, measures = store_url(data), clock_of(clock), Measures(Process.CLOCK)
    try:
        Store.open(url).close()
        with measured(measures.registry, metrics):
            Clockwork(url, event_clock, tell, measures=measures).run(threading.Event())
    except StoreError as error:
        raise failed(str(error)) from None
    except KeyboardInterrupt:
        return


class AheadError(Exception):
    """The clock of this machine is ahead of the server's; the message says how far, and what to do."""


class Clockwork:
    """Appends a `Ticked` to every shard at each minute of event time.

    What a tick says cannot be taken back: every later order would be too old. So two machines' clocks must agree on it: nothing is
    appended while this machine's is ahead of the server's. Event time itself may be any; it follows from this machine's clock.
    `now_ns`: this machine's clock, ns UTC.
    """

    def __init__(
        self,
        url: str,
        clock: EventClock,
        say: Callable[[str], None],
        now_ns: Callable[[], int] = time.time_ns,
        measures: Measures | None = None,
    ) -> None:
        self._url, self._clock, self._say, self._now_ns = url, clock, say, now_ns
        self._measures = measures or Measures(Process.CLOCK)
        self._store: Store | None = None

    def run(self, stop: threading.Event) -> None:
        """Tick until told to stop, whatever becomes of the server. Says when time begins to stand still, and when it goes on."""
        minute, trouble = self._clock.now_ms() // MINUTE_MS, None
        # No wait is longer than a minute: the machine's clock may be put right meanwhile.
        while not stop.wait(min(self._clock.wait_seconds(minute * MINUTE_MS), 60.0)):
            try:
                minute = self._tick() // MINUTE_MS + 1
            except (StoreError, AheadError) as error:  # Nothing closes, expires or is tried again now: never give up.
                if trouble is not type(error):
                    self._say(f"no time passes in the log: {error}")
                trouble = type(error)
                self._measures["clock_standing_still"].set(1)
                self._disconnect()  # A shard may have moved to another node of a cluster.
                stop.wait(AGAIN_SECONDS)
                continue
            if trouble:
                self._say("time passes in the log again")
            trouble = None
            self._measures["clock_standing_still"].set(0)
        self._disconnect()

    def _tick(self) -> int:
        """Append a tick, and return its time. Raises StoreError or AheadError."""
        self._store = self._store or Store.open(self._url)
        now = self._agreed_ms(self._store)
        self._store.append_to_all(Ticked(at=now))
        self._measures["clock_ticks_total"].inc()
        self._measures["clock_time_seconds"].set(now / 1000)
        return now

    def _disconnect(self) -> None:
        if self._store:
            self._store.close()
        self._store = None

    def _agreed_ms(self, store: Store) -> int:
        """Event time, ms UTC. Raises AheadError while this machine's clock is ahead of the server's."""
        machine_ns = self._now_ns()  # First: the way to the server must not count as being ahead.
        ahead_ms = machine_ns // 1_000_000 - store.server_time_ms()
        if ahead_ms > CLOCK_AHEAD_MAX_MS:
            raise AheadError(
                f"the clock of this machine is {ahead_ms // 1_000} s ahead of the Redis server's, more than {CLOCK_AHEAD_MAX_MS // 1_000} s, "
                "and a tick could not be taken back. Set the wrong one, such as by NTP; ticks then go on by themselves"
            )
        return self._clock.at_ms(machine_ns)
