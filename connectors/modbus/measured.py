"""What the collector counts, as Prometheus takes it. Read in another thread than it is counted in: a number may be one poll old."""

from collections.abc import Iterator
from typing import Any

from prometheus_client.core import Metric as Family

from connectors.metrics import filled
from connectors.modbus.counters import Collected


def families(counted: Collected) -> Iterator[Family]:
    """Every metric of `domain.metrics.Process.COLLECT`."""
    yield filled("collect_polls_total", [((), counted.polls)])
    yield filled("collect_readings_total", [((), counted.readings)])
    yield _by("collect_errors_total", counted.errors)
    yield _by("collect_commands_total", counted.commands)
    yield _by("collect_bus_seconds_total", counted.bus_seconds)
    yield _by("collect_rounds_total", counted.rounds)
    yield _by("collect_round_seconds", counted.round_seconds)
    yield _by("collect_silent_meters", counted.silent_meters)
    yield filled("collect_reports_waiting", [((), counted.reports_waiting)])
    yield filled("collect_blocks_dropped_total", [((), counted.blocks_dropped)])


def _by(name: str, values: dict[str, Any]) -> Family:
    return filled(name, [((label,), value) for label, value in sorted(values.copy().items())])
