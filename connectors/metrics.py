"""Metrics as prometheus-client has them, made from the table (`domain.metrics`), and the door at which Prometheus asks for them.

The door is prometheus-client's own HTTP server in a thread. It has no password: it listens on loopback unless told otherwise, and says no ids.
"""

import errno
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    start_http_server,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from domain.metrics import METRICS, Kind, Metric, Process, of_process

_METRICS: dict[Kind, Any] = {Kind.COUNTER: Counter, Kind.GAUGE: Gauge, Kind.HISTOGRAM: Histogram}
_FAMILIES: dict[Kind, Any] = {
    Kind.COUNTER: CounterMetricFamily,
    Kind.GAUGE: GaugeMetricFamily,
    Kind.HISTOGRAM: HistogramMetricFamily,
}
PREFIX = "meterline_"
disable_created_metrics()  # type: ignore[no-untyped-call]  # It has no types. When a counter began would be half of all series.
_BY_NAME = {metric.name.removeprefix(PREFIX): metric for metric in METRICS}


class DoorError(Exception):
    """Metrics cannot be served there; the message says why, and what to do."""


class Measures:
    """Metrics that a process counts itself, by their names without `meterline_`, in a registry of their own: two in one process do not add up."""

    def __init__(self, process: Process) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._of = {metric.name.removeprefix(PREFIX): self._made(metric) for metric in of_process(process)}

    def _made(self, metric: Metric) -> Any:
        more = {"buckets": tuple(map(float, metric.buckets.split()))} if metric.kind is Kind.HISTOGRAM else {}
        return _METRICS[metric.kind](metric.name, metric.help, metric.labels, registry=self.registry, **more)

    def __getitem__(self, name: str) -> Any:
        """The metric of a name, as prometheus-client has it."""
        return self._of[name]


def family(name: str) -> Any:
    """An empty family of a metric that is read when it is asked for, by its name without `meterline_`."""
    metric = _BY_NAME[name]
    return _FAMILIES[metric.kind](metric.name, metric.help, labels=metric.labels)


def filled(name: str, values: Iterable[tuple[tuple[str, ...], float]]) -> Family:
    """A family with its values by labels."""
    found = family(name)
    for labels, value in values:
        found.add_metric(labels, value)
    return found  # type: ignore[no-any-return]  # each of them is one


class Reading(Collector):
    """A collector that reads families whenever Prometheus asks."""

    def __init__(self, read: Callable[[], Iterator[Family]]) -> None:
        self._read = read

    def collect(self) -> Iterator[Family]:
        """Every family."""
        return self._read()


def registry_of(read: Callable[[], Iterator[Family]]) -> CollectorRegistry:
    """A registry of what is read when it is asked for, and of the process itself."""
    registry = CollectorRegistry()
    registry.register(Reading(read))
    ProcessCollector(registry=registry)
    return registry


def door_of(text: str) -> tuple[str, int]:
    """Host and port of `127.0.0.1:9461`, `[::1]:9461` or `9461`, which is on loopback. Raises ValueError for what is none."""
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65_535):
        raise ValueError(f"expected host:port such as 127.0.0.1:9461, not {text!r}")
    return host.strip("[]") or "127.0.0.1", int(port)


@contextmanager
def served(registry: CollectorRegistry, door: str) -> Iterator[None]:
    """Serve a registry at a door while the block lasts; at none where it is empty. Raises DoorError."""
    if not door:
        yield
        return
    try:
        host, port = door_of(door)
        server, thread = start_http_server(port, host, registry)
    except ValueError as error:
        raise DoorError(f"--metrics: {error}") from None
    except OSError as error:
        what = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be opened ({error.strerror or error})"
        raise DoorError(f"metrics cannot be served: {door} {what}; choose another --metrics host:port") from None
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
