"""Metrics for Prometheus: how the API answers, and the state of the business as gauges.

The business is read from derived state when somebody scrapes, at most once in `CACHE_SECONDS`. No label is an id.
"""

import asyncio
import time
from collections.abc import Iterator

from fastapi import APIRouter, Request, Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.dependencies import Settings, StoreDoor
from connectors.redis.errors import StoreError
from connectors.redis.live import LiveStore, ShardTotals
from domain.verdict import Verdict
from domain.words import Check, Commodity, Level, Metering, Supply

CACHE_SECONDS = 5.0
_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_PRICED = {
    Commodity.ELECTRICITY: ("meterline_electricity_priced_watt_hours", "Electricity priced, in Wh after ratio."),
    Commodity.WATER: ("meterline_water_priced_litres", "Water priced, in litres after ratio."),
}

router = APIRouter(tags=["health"])


@router.get("/metrics", response_class=Response)
async def metrics(request: Request, store: StoreDoor, settings: Settings) -> Response:
    """Prometheus text."""
    measures: Measures = request.app.state.measures
    await measures.business.refresh(store, settings.probe_seconds)
    return Response(generate_latest(measures.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


class Business(Collector):
    """Gauges and totals of all shards, as of the last refresh."""

    def __init__(self) -> None:
        self._shards: list[ShardTotals] = []
        self._lags_ms: list[int] = []
        self._archive_lags_ms: list[int] = []
        self._verdict: Verdict | None = None
        self._is_up = False
        self._refreshed = -CACHE_SECONDS
        self._lock = asyncio.Lock()

    async def refresh(self, store: LiveStore, seconds: float) -> None:
        """Read the store anew if the last reading is old. A store that is gone is itself a measurement."""
        async with self._lock:
            if time.monotonic() - self._refreshed < CACHE_SECONDS:
                return
            try:
                async with asyncio.timeout(seconds):
                    self._lags_ms = await store.lags_ms()
                    self._archive_lags_ms = await store.archive_lags_ms()
                    self._shards = [await store.totals(shard) for shard in range(store.shards)]
                    self._verdict = await store.verdict()
                self._is_up = True
            except (StoreError, TimeoutError):
                self._shards, self._lags_ms, self._is_up = [], [], False
            self._refreshed = time.monotonic()

    def collect(self) -> Iterator[Metric]:
        """Every metric; those of the business only while the store answers."""
        yield GaugeMetricFamily("meterline_store_up", "1 while the store answers.", int(self._is_up))
        if self._is_up:
            yield from self._flow()
            yield from self._gauges()
            yield from self._totals()
            yield from self._verified()

    def _flow(self) -> Iterator[Metric]:
        lag = GaugeMetricFamily(
            "meterline_log_lag_seconds", "How long the oldest unsettled fact has waited.", labels=["shard"]
        )
        now = GaugeMetricFamily(
            "meterline_settled_time_seconds", "Event time that a shard has been ticked to.", labels=["shard"]
        )
        for totals, lag_ms in zip(self._shards, self._lags_ms, strict=True):
            lag.add_metric([f"{totals.shard:02d}"], lag_ms / 1000)
            now.add_metric([f"{totals.shard:02d}"], totals.header.now / 1000)
        archive = GaugeMetricFamily(
            "meterline_archive_lag_seconds", "How long the oldest fact that is in no file has waited.", labels=["shard"]
        )
        for shard, lag_ms in enumerate(self._archive_lags_ms):
            archive.add_metric([f"{shard:02d}"], lag_ms / 1000)
        yield from (lag, now, archive)

    def _gauges(self) -> Iterator[Metric]:
        yield self._by_word("meterline_accounts", "Accounts by balance level.", "level", Level)
        yield self._by_word("meterline_meters_wanted", "Meters by the supply that is wanted.", "wanted", Supply)
        yield self._by_word("meterline_meters_seen", "Meters by the supply that was seen.", "seen", Supply)
        tripped = sum(int(totals.accounts["tripped"].sum()) for totals in self._shards)
        yield GaugeMetricFamily("meterline_accounts_tripped", "Accounts cut for arrears.", tripped)
        commands = sum(totals.commands for totals in self._shards)
        yield GaugeMetricFamily("meterline_commands_open", "Commands not yet verified.", commands)
        cases = sum(totals.cases for totals in self._shards)
        yield GaugeMetricFamily("meterline_quarantine_cases_open", "Quarantine cases that wait for a person.", cases)

    def _by_word(self, name: str, words: str, column: str, kinds: type[Level | Supply]) -> Metric:
        """Accounts or meters, counted by the word that a column of their rows holds."""
        family = GaugeMetricFamily(name, words, labels=[kinds.__name__.lower()])
        rows = [totals.accounts if kinds is Level else totals.meters for totals in self._shards]
        for kind in kinds:
            family.add_metric([kind.name.lower()], sum(int((part[column] == kind).sum()) for part in rows))
        return family

    def _totals(self) -> Iterator[Metric]:
        readings = CounterMetricFamily("meterline_readings", "Readings folded, by class.", labels=["class"])
        for metering in Metering:
            count = sum(totals.header.classes[metering] for totals in self._shards)
            readings.add_metric([metering.name.lower()], count)
        yield readings
        for commodity, (name, words) in _PRICED.items():
            yield CounterMetricFamily(name, words, sum(totals.header.usage[commodity] for totals in self._shards))

    def _verified(self) -> Iterator[Metric]:
        """What the last verification found. Without one the families are there and empty."""
        differences = GaugeMetricFamily(
            "meterline_differences", "Differences that the last verification found: must be 0.", labels=["check"]
        )
        unchecked = GaugeMetricFamily(
            "meterline_unchecked", "1 for a check that the last verification could not make.", labels=["check"]
        )
        at = GaugeMetricFamily("meterline_verified_time_seconds", "When the last verification ended.", labels=[])
        if self._verdict:
            at.add_metric([], self._verdict.at / 1000)
            for check in Check:
                unchecked.add_metric([check], int(check in self._verdict.unchecked))
            for check, count in self._verdict.differences.items():
                differences.add_metric([check], count)
        yield from (differences, unchecked, at)


class Measures:
    """One app's registry and what is in it: two apps in one process do not add up."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.business = Business()
        self.registry.register(self.business)
        ProcessCollector(registry=self.registry)
        self._of: dict[tuple[str, str, str], tuple[Counter, Histogram]] = {}
        labels = ("method", "route", "status")
        self.requests = Counter("meterline_http_requests", "Requests answered.", labels, registry=self.registry)
        self.seconds = Histogram(
            "meterline_http_request_seconds",
            "Time to the end of an answer.",
            labels,
            registry=self.registry,
            buckets=_BUCKETS,
        )

    def of(self, labels: tuple[str, str, str]) -> tuple[Counter, Histogram]:
        """The count and the times of a method, route and status; looked up once, for looking up takes longer than counting."""
        found = self._of.get(labels)
        if found is None:
            found = self._of[labels] = self.requests.labels(*labels), self.seconds.labels(*labels)
        return found


class Measured:
    """Counts and times every request by its route's template, never by its path."""

    def __init__(self, app: ASGIApp, measures: Measures) -> None:
        self._app = app
        self._measures = measures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, then count."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, began = 500, time.perf_counter()

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            labels = (_method(scope), getattr(scope.get("route"), "path", "none"), str(status))
            requests, seconds = self._measures.of(labels)
            requests.inc()
            seconds.observe(time.perf_counter() - began)


def _method(scope: Scope) -> str:
    return scope["method"] if scope["method"] in _METHODS else "other"
