"""A whole Meterline on one machine: server, site, clock and the processes that work on it, started and ended in order."""

import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import msgspec
from ulid import ULID

from commands.logs import format_of_files, logger_to
from commands.site_fees import fees_of, has_fees
from connectors.clock import EventClock
from connectors.files.site import (
    Site,
    account_facts,
    main_meter_facts,
    meter_facts,
    meter_term_facts,
    policy_facts,
    site_fact,
)
from connectors.processes import Child, Pauses, held, meterline_command
from connectors.redis.errors import StoreError
from connectors.redis.server import EmbeddedServer
from connectors.redis.server_log import ServerLog
from connectors.redis.store import Store
from domain.effects import Outcome
from domain.facts import Fact, TariffPublished, Ticked
from domain.ids import EntryId, shard_of
from domain.units import MINUTE_MS

SETTLED_SECONDS = 120.0
"""Longest wait for the first settlement: the kernel may have to be compiled first."""


CLOCK_AHEAD_MAX_MS = 5 * MINUTE_MS
"""How far the clock of this machine may be ahead of the server's, in life, for a tick to be appended."""


class Clockwork:
    """Appends a `Ticked` to every shard at each minute of event time.

    What a tick says cannot be taken back: every later order would be too old. So two machines' clocks must agree on it: nothing is
    appended while this machine's is ahead of the server's. Event time itself may be any; it follows from this machine's clock.
    `now_ns`: this machine's clock, ns UTC.
    """

    def __init__(
        self, url: str, clock: EventClock, say: Callable[[str], None], now_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._url, self._clock, self._say, self._now_ns = url, clock, say, now_ns
        self._is_ahead = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clock", daemon=True)

    def start(self) -> None:
        """Begin to tick."""
        self._thread.start()

    def stop(self) -> None:
        """Tick no more."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        store: Store | None = None
        minute = self._clock.now_ms() // MINUTE_MS
        # No wait is longer than a minute: the machine's clock may be put right meanwhile.
        while not self._stop.wait(min(self._clock.wait_seconds(minute * MINUTE_MS), 60.0)):
            try:
                store = store or Store.open(self._url)
                now = self._agreed_ms(store)
                if now is None:
                    self._stop.wait(1.0)
                    continue
                store.append_to_all(Ticked(at=now))
                minute = now // MINUTE_MS + 1
            except StoreError as error:  # Without ticks nothing closes, expires or is tried again: never give up.
                self._say(f"the clock cannot tick: {error}")
                self._stop.wait(1.0)
        if store:
            store.close()

    def _agreed_ms(self, store: Store) -> int | None:
        """Event time, ms UTC; None while this machine's clock is ahead of the server's. Says when that begins and ends."""
        machine_ns = self._now_ns()  # First: the way to the server must not count as being ahead.
        ahead_ms = machine_ns // 1_000_000 - store.server_time_ms()
        was_ahead, self._is_ahead = self._is_ahead, ahead_ms > CLOCK_AHEAD_MAX_MS
        if self._is_ahead and not was_ahead:
            self._say(
                f"the clock of this machine is {ahead_ms // 1_000} s ahead of the Redis server's, more than {CLOCK_AHEAD_MAX_MS // 1_000} s: "
                "no time passes in the log until they agree, because it could not be taken back. Set the wrong one, such as by NTP; ticks then go on by themselves"
            )
        elif was_ahead and not self._is_ahead:
            self._say("the clocks of this machine and of the Redis server agree again: ticks go on")
        return None if self._is_ahead else self._clock.at_ms(machine_ns)


class Running:
    """The processes of one installation. Use as a context; `watch` must be called again and again."""

    def __init__(
        self, data: Path, site_file: Path, site: Site, clock: EventClock, shards: int, say: Callable[[str], None]
    ) -> None:
        self.data, self.site, self.clock, self.say = data, site, clock, say
        self._site_file = site_file
        self._shards = shards
        self.server: EmbeddedServer | None = None
        self._server_pauses = Pauses()
        self.children: list[Child] = []

    def __enter__(self) -> Self:
        """Take the data directory, start the server, unless REDIS_URL names one, and connect. Raises StoreError or HeldError."""
        with ExitStack() as endings:
            endings.enter_context(held(self.data))
            if outside := os.environ.get("REDIS_URL"):
                self.url = outside
            else:
                self.url = self._start_server(endings).url
            self.store = Store.open(self.url, self._shards)
            endings.callback(self.store.close)
            self._clockwork = Clockwork(self.url, self.clock, self.say)
            self._endings = endings.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """End everything, the last that was started first, and so the server last."""
        self._endings.close()

    def _start_server(self, endings: ExitStack) -> EmbeddedServer:
        (self.data / "logs").mkdir(parents=True, exist_ok=True)
        self._server_log = ServerLog(self.data)
        self.server = EmbeddedServer.start(self.data)
        self._server_pauses.started()
        endings.callback(self._hear_server)
        endings.callback(self._stop_server)
        return self.server

    def _stop_server(self) -> None:
        if self.server:
            self.server.stop()

    def begin(self, port: int, token: str, more_facts: Callable[[int], list[tuple[str, Fact]]] = lambda _: []) -> None:
        """Settle what the site file says, then let the collector, the API and the clock loose. Raises StoreError.

        `more_facts(at)` gives facts by account to be appended between the accounts and their meters.
        """
        at = self.clock.now_ms()
        self._start("settle", "settle", "--data", str(self.data))
        self._open_site(at, more_facts(at))
        clock = ("--clock", self.clock.to_text())
        self._start("collect", "collect", str(self._site_file), "--data", str(self.data), *clock)
        self._start("count", "count", "--data", str(self.data))
        self._start(
            "serve",
            "serve",
            "--data",
            str(self.data),
            "--port",
            str(port),
            *clock,
            environment={"METERLINE_API_TOKEN": token},
        )
        self._clockwork.start()
        self._endings.callback(self._clockwork.stop)

    def _start(self, name: str, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        log = self.data / "logs" / f"{name}.log"
        child = Child(name, meterline_command(*arguments), log, {**format_of_files(os.environ), **(environment or {})})
        child.start()
        self._endings.callback(child.stop)
        self.children.append(child)

    def start_beside(self, name: str, *arguments: str) -> Child:
        """Start another process of ours, to be watched and ended with the rest."""
        self._start(name, *arguments)
        return self.children[-1]

    def _open_site(self, at: int, more: list[tuple[str, Fact]]) -> None:
        """Append what the site file says, and hear what the machine answers."""
        everywhere = [site_fact(self.site, at), *policy_facts(self.site, at)]
        facts: list[tuple[int, Fact]] = [(shard, fact) for shard in range(self.store.shards) for fact in everywhere]
        for tariff in self.site.tariffs:
            for shard in range(self.store.shards):
                published = TariffPublished(
                    at=at, id=str(ULID.from_timestamp(at / 1000)), tariff=tariff.id, document=tariff.document
                )
                facts.append((shard, published))
        accounts = [(fact.account, fact) for fact in account_facts(self.site, at)]
        meters = [(fact.account, fact) for fact in meter_facts(self.site, at)]
        terms = [*meter_term_facts(self.site, at), *main_meter_facts(self.site, at)]
        told: list[tuple[str, Fact]] = [*accounts, *self._fees(at), *more, *meters, *terms]
        facts += [(shard_of(account, self.store.shards), fact) for account, fact in told]
        waiting = [(shard, self.store.append(shard, fact)) for shard, fact in facts]
        self.wait_until_settled()
        for refused in self._refusals(waiting):
            self.say(
                f"refused: {refused.kind} {refused.account or refused.detail}: {refused.refusal} {refused.detail}".rstrip()
            )

    def _fees(self, at: int) -> list[tuple[str, Fact]]:
        """Fees and allowances that the store does not have yet as the file says them."""
        if not has_fees(self.site):
            return []
        self.wait_until_settled()  # What the log says and nobody has folded would be said twice.
        fees = fees_of(self.site, at, (self.store.load(shard) for shard in range(self.store.shards)))
        for sentence in fees.left_out:
            self.say(sentence)
        return [(fact.account, fact) for fact in fees.facts]

    def wait_until_settled(self, seconds: float = SETTLED_SECONDS) -> None:
        """Wait until everything that is in the log now is folded and committed. Raises StoreError if it takes too long."""
        ends = [self.store.last(shard) for shard in range(self.store.shards)]
        deadline = time.monotonic() + seconds
        while any(self.store.position(shard) < end for shard, end in enumerate(ends)):
            self.watch()
            if time.monotonic() > deadline:
                words = "\n".join(child.last_words() for child in self.children if child.name == "settle")
                raise StoreError(f"the log was not settled within {seconds:.0f} s; settle says:\n{words}")
            time.sleep(0.05)

    def _refusals(self, waiting: list[tuple[int, EntryId]]) -> list[Outcome]:
        refusals = []
        for shard, entry in waiting:
            before = (entry[0], entry[1] - 1) if entry[1] else (entry[0] - 1, 2**63)
            for _, fields in self.store.stream("outcomes", shard, before, 1):
                outcomes = msgspec.msgpack.decode(fields[b"b"], type=list[Outcome])
                refusals += [outcome for outcome in outcomes if outcome.refusal]
        return refusals

    def watch(self) -> None:
        """Start again what has ended, after a pause that grows while it does not stay."""
        if self.server:
            self._watch_server(self.server)
        for child in self.children:
            if said := child.watch():
                self.say(said)

    def _watch_server(self, server: EmbeddedServer) -> None:
        self._hear_server()
        if server.process.poll() is None:
            return
        if pause := self._server_pauses.ended():
            self.say(f"the server ended with code {server.process.returncode}; starting it again in {pause:g} s")
        if not self._server_pauses.is_over():
            return
        self._server_pauses.started()
        server.stop()
        try:
            self.server = EmbeddedServer.start(self.data)
        except StoreError as error:  # A full disk, for one: somebody may make room, so never give up.
            self.say(f"the server cannot be started: {error}")

    def _hear_server(self) -> None:
        """Write what the server has said into a log of the same form as all others."""
        if heard := self._server_log.heard():
            with (self.data / "logs" / "server.log").open("a", encoding="utf-8") as file:
                log = logger_to(file, "server")
                for said in heard:
                    getattr(log, said.level)(said.text, **({"timestamp": said.at, "pid": said.pid} if said.at else {}))
