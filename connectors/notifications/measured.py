"""What the notifier has counted, as metrics."""

from collections.abc import Iterator

from prometheus_client.core import Metric

from connectors.metrics import filled
from connectors.notifications.counters import Notified


def families(counted: Notified) -> Iterator[Metric]:
    """Every metric of the notifier, when Prometheus asks."""
    yield filled("notify_deliveries_total", counted.deliveries.copy().items())
    yield filled("notify_waiting", [((), counted.waiting)])
    yield filled("notify_dead_letters", [((), counted.dead_letters)])
    yield filled("notify_lag_seconds", [((), counted.lag_seconds)])
