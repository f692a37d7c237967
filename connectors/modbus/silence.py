"""The meters of a bus that do not answer, in the order in which they are to be tried."""

from collections.abc import Iterator

import structlog

from connectors.files.site import SiteMeter
from connectors.modbus.bus import BusError
from connectors.modbus.counters import Collected

log = structlog.get_logger(__name__)


class SilentMeters:
    """A queue: who has just been tried in vain goes to its end."""

    def __init__(self, counters: Collected) -> None:
        self._counters = counters
        self._meters: dict[int, SiteMeter] = {}

    def __contains__(self, meter: int) -> bool:
        return meter in self._meters

    def __len__(self) -> int:
        return len(self._meters)

    def __iter__(self) -> Iterator[SiteMeter]:
        return iter(list(self._meters.values()))

    def lost(self, meter: SiteMeter, error: BusError) -> None:
        """A meter did not answer."""
        self._counters.errors[error.kind] += 1
        if self._meters.pop(meter.number, None) is None:
            log.warning("a meter does not answer", meter=meter.number, error=str(error))
        self._meters[meter.number] = meter

    def found(self, meter: SiteMeter) -> bool:
        """A meter answered. True if it had been silent."""
        was_silent = self._meters.pop(meter.number, None) is not None
        if was_silent:
            log.info("a meter answers again", meter=meter.number)
        return was_silent
