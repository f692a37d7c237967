"""Metrics for Prometheus: how the API answers, and the state of the business as gauges.

The business is read from derived state when somebody scrapes, at most once in `CACHE_SECONDS` and a twentieth of the time. No label is an id.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, Histogram, generate_latest
from prometheus_client import Counter as Total
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Receive, Scope, Send

from api.accounts.outlooks import plan_of
from api.doors.dependencies import Settings
from api.health.state_counts import HORIZON_DAYS, Counts, counts_of, zeros
from connectors.metrics import Measures as Counted
from connectors.metrics import family, filled
from connectors.redis.census import Census
from connectors.redis.errors import StoreError
from connectors.redis.live import LiveStore
from connectors.redis.live_counts import (
    archive_lags_ms,
    committed_headers,
    kept_tallies,
    lags_ms,
    last_verdict,
    server_information,
)
from domain.metrics import TRIPS, Process
from domain.state import PlanRecord, ShardHeader
from domain.units import MICROS_PER_UNIT
from domain.verdict import Verdict
from domain.words import Check, Commodity, Metering
from tariffs.forecast import Means, means

CACHE_SECONDS = 5.0
_TIMES = 20.0
"""Reading takes no more than one part in so many of the time."""
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_JOULES = 3_600
"""Of a Wh."""
_MONEY = frozenset({"credit_money", "arrears_money"})
_COUNTED = (
    "meters", "meters_wanted", "meters_seen", "accounts", "accounts_tripped", "accounts_running_down",
    "credit_money", "arrears_money", "quarantine_cases_open", "alarms_standing", "commands_open",
)  # fmt: skip
"""What `api.health.state_counts` counts."""
_REDIS = {
    "redis_used_memory_bytes": "used_memory",
    "redis_resident_memory_bytes": "used_memory_rss",
    "redis_max_memory_bytes": "maxmemory",
    "redis_aof_enabled": "aof_enabled",
    "redis_aof_size_bytes": "aof_current_size",
    "redis_clients": "connected_clients",
    "redis_commands_total": "total_commands_processed",
}
"""Metrics of a server by their fields in `INFO`; a field that is not there counts as 0."""
_PERSISTENCE = {
    "aof_write": "aof_last_write_status",
    "aof_rewrite": "aof_last_bgrewrite_status",
    "rdb_save": "rdb_last_bgsave_status",
}

router = APIRouter(tags=["health"])


@router.get("/metrics", response_class=Response)
async def metrics(request: Request, settings: Settings) -> Response:
    """Prometheus text."""
    measures: Measures = request.app.state.measures
    await measures.business.refresh(settings.probe_seconds, settings.clock())
    return Response(generate_latest(measures.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


class Business(Collector):
    """What all shards have come to, as of the last refresh."""

    def __init__(self) -> None:
        self._state: State | None = None
        self._reading: asyncio.Task[list[Family]] | None = None
        self._families: list[Family] = []
        self._is_up = False
        self._due = 0.0
        self._lock = asyncio.Lock()

    def open(self, store: LiveStore) -> None:
        """Read this store from now on."""
        self._state, self._reading, self._due, self._lock = State(store), None, 0.0, asyncio.Lock()

    async def close(self) -> None:
        """End a reading that is under way."""
        if self._reading:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    async def refresh(self, seconds: float, now: int) -> None:
        """Read the store anew if the last reading is old; `now`: event time, ms UTC. A store that is gone is itself a measurement.

        A reading that takes longer than `seconds`, as the first of a large store may, goes on, and what it finds is said at the next refresh.
        """
        async with self._lock:
            if self._state is None or time.monotonic() < self._due:
                return
            try:
                async with asyncio.timeout(seconds):
                    await self._state.store.ping()
                self._is_up = True
                if self._reading is None:
                    self._reading = asyncio.create_task(self._state.read(now))
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        self._families = await asyncio.shield(self._reading)
            except (StoreError, TimeoutError):
                self._families, self._is_up = [], False
            if self._reading and self._reading.done():
                self._reading = None
                self._due = time.monotonic() + max(CACHE_SECONDS, _TIMES * self._state.seconds)

    def collect(self) -> Iterator[Family]:
        """Every metric; those of the business only while the store answers."""
        yield filled("store_up", [((), int(self._is_up))])
        yield from self._families


class State:
    """How the state of a store is read, and said as families."""

    def __init__(self, store: LiveStore) -> None:
        self.store = store
        self.seconds = 0.0
        """How long the last reading took."""
        self._census = Census(store)
        self._said: Counts = Counter()
        self._means: dict[int, tuple[float, Means | None]] = {}

    async def read(self, now: int) -> list[Family]:
        """Every metric of `domain.metrics.Process.STATE`, but whether the store is up. Raises StoreError."""
        begun = time.monotonic()
        found = [*await self._flow(), *await self._tallied(), *await self._verified(), *await self._servers()]
        await self._census.take()
        found += await self._counted(now)
        self.seconds = time.monotonic() - begun
        return [*found, filled("state_read_seconds", [((), self.seconds)])]

    async def _flow(self) -> list[Family]:
        lags, archived = await lags_ms(self.store), await archive_lags_ms(self.store)
        headers = await committed_headers(self.store)
        return [
            filled("log_lag_seconds", _by_shard(lag / 1000 for lag in lags)),
            filled("archive_lag_seconds", _by_shard(lag / 1000 for lag in archived)),
            filled("settled_time_seconds", _by_shard(header.now / 1000 for header in headers)),
            *_settled(headers),
        ]

    async def _tallied(self) -> list[Family]:
        positions, tallies = await self.store.positions(), await kept_tallies(self.store)
        # A store of a release without tallies says how far it is once its shards are settled by one that has them.
        waiting = [
            ((f"{shard:02d}",), max(0, each["appended"] - each.get("entries", 0)))
            for shard, each in enumerate(tallies)
            if "entries" in each or positions[shard] == b"0-0"
        ]
        total: Counter[str] = Counter()
        for each in tallies:
            total.update(each)
        return [filled("log_lag_entries", waiting), *_totals(total), _trips(total)]

    async def _verified(self) -> list[Family]:
        """What the last verification found. Without one the families are there and empty."""
        verdict = await last_verdict(self.store)
        return list(_findings(verdict)) if verdict else [family(name) for name in _FINDINGS]

    async def _servers(self) -> list[Family]:
        said = await server_information(self.store)
        found = [filled(name, _by_shard(each.get(field, 0) for each in said)) for name, field in _REDIS.items()]
        cpu = _by_shard(each.get("used_cpu_user", 0) + each.get("used_cpu_sys", 0) for each in said)
        failed = [
            ((f"{node:02d}", what), int(each.get(field, "ok") != "ok"))
            for node, each in enumerate(said)
            for what, field in _PERSISTENCE.items()
        ]
        return [*found, filled("redis_cpu_seconds_total", cpu), filled("redis_persistence_failed", failed)]

    async def _counted(self, now: int) -> list[Family]:
        census = self._census
        prices = await self._prices(now)
        counts = zeros(census.sites, census.currencies)
        counts.update(dict.fromkeys(self._said, 0))
        for counted, mean in zip(census.shards, prices, strict=True):
            found = await asyncio.to_thread(counts_of, counted, census.sites, census.currencies, mean, now)
            counts.update(found)
        self._said = counts
        families = {name: family(name) for name in _COUNTED}
        for (name, labels), count in sorted(counts.items()):
            families[name].add_metric(labels, count / MICROS_PER_UNIT if name in _MONEY else count)
        return list(families.values())

    async def _prices(self, now: int) -> list[Means | None]:
        """Of every shard's plans, made anew when its terms are read."""
        shards = self._census.shards
        stale = [at for at, each in enumerate(shards) if self._means.get(at, (0.0, None))[0] != each.terms_read]
        documents = {name: each.document for name, each in (await self.store.tariffs()).items()} if stale else {}
        for at in stale:
            self._means[at] = shards[at].terms_read, await asyncio.to_thread(_means, shards[at].plans, documents, now)
        return [self._means[at][1] for at in range(len(shards))]


def _means(plans: Mapping[int, PlanRecord], documents: Mapping[str, str], now: int) -> Means | None:
    """Mean prices of plans that are numbered from 0 on; None: there are none."""
    made = [plan_of(plans[row].assignments, documents) for row in range(len(plans))]
    return means(made, now, HORIZON_DAYS) if made else None


def _by_shard(values: Any) -> list[tuple[tuple[str, ...], float]]:
    return [((f"{number:02d}",), value) for number, value in enumerate(values)]


def _settled(headers: Sequence[ShardHeader]) -> Iterator[Family]:
    """Totals that every shard's state keeps."""
    readings = [((each.name.lower(),), sum(header.classes[each] for header in headers)) for each in Metering]
    yield filled("readings_total", readings)
    usage = {each: sum(header.usage[each] for header in headers) for each in Commodity}
    yield filled("electricity_priced_joules_total", [((), _JOULES * usage[Commodity.ELECTRICITY])])
    yield filled("water_priced_litres_total", [((), usage[Commodity.WATER])])


_TALLIED = {
    "debit": ("ledger_debited_money_total", 1 / MICROS_PER_UNIT),
    "credit": ("ledger_credited_money_total", 1 / MICROS_PER_UNIT),
    "command": ("command_events_total", 1),
    "alarm": ("alarm_events_total", 1),
}
"""Metrics by the first word of a tally (`flows.tally`), and what one is worth. The other words are the labels; an alarm's site comes last."""


def _totals(total: Mapping[str, int]) -> Iterator[Family]:
    families = {name: family(name) for name, _ in _TALLIED.values()}
    for field, count in sorted(total.items()):
        word, _, rest = field.partition(" ")
        if word in _TALLIED:
            name, worth = _TALLIED[word]
            labels = rest.split(" ", len(families[name]._labelnames) - 1)  # noqa: SLF001 - the client has no other name for them
            families[name].add_metric([labels[-1], *labels[:-1]] if word == "alarm" else labels, count * worth)
    yield from families.values()


def _trips(total: Mapping[str, int]) -> Family:
    found, count, buckets = family("trip_seconds"), 0, []
    for edge in (*TRIPS.split(), "inf"):
        count += total.get(f"trip {edge}", 0)
        # As the client writes edges.
        buckets.append(("+Inf" if edge == "inf" else f"{edge}.0", count))
    found.add_metric([], buckets, total.get("trip_ms", 0) / 1000)
    return found  # type: ignore[no-any-return]  # it is one


_FINDINGS = ("differences", "unchecked", "verified_time_seconds", "verification_seconds")


def _findings(verdict: Verdict) -> Iterator[Family]:
    yield filled("differences", [((check,), count) for check, count in verdict.differences.items()])
    yield filled("unchecked", [((check,), int(check in verdict.unchecked)) for check in Check])
    yield filled("verified_time_seconds", [((), verdict.at / 1000)])
    yield filled("verification_seconds", [((), verdict.took_ms / 1000)])


class Measures:
    """One app's registry and what is in it: two apps in one process do not add up."""

    def __init__(self) -> None:
        counted = Counted(Process.SERVE)
        self.registry = counted.registry
        self.business = Business()
        self.registry.register(self.business)
        self._requests, self._seconds = counted["http_requests_total"], counted["http_request_seconds"]
        self._of: dict[tuple[str, str, str], tuple[Total, Histogram]] = {}

    def of(self, labels: tuple[str, str, str]) -> tuple[Total, Histogram]:
        """The count and the times of a method, route and status; looked up once, for looking up takes longer than counting."""
        found = self._of.get(labels)
        if found is None:
            found = self._of[labels] = self._requests.labels(*labels), self._seconds.labels(*labels)
        return found


class Measured:
    """Counts and times every request by its route's template, never by its path. What nobody answered is a 500."""

    def __init__(self, app: ASGIApp, measures: Measures) -> None:
        self._app = app
        self._measures = measures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, then count."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, state = time.perf_counter(), scope.setdefault("state", {})
        try:
            await self._app(scope, receive, send)
        finally:
            status = state.get("status", 500)
            labels = (_method(scope), getattr(scope.get("route"), "path", "none"), str(status))
            requests, seconds = self._measures.of(labels)
            requests.inc()
            seconds.observe(time.perf_counter() - began)


def _method(scope: Scope) -> str:
    return scope["method"] if scope["method"] in _METHODS else "other"
