"""A whole Meterline on one machine: server, site, clock and the processes that work on it, started and ended in order."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

from prometheus_client.core import Metric as Family

from commands.logs import format_of_files, logger_to
from commands.metrics_door import Doors, measured
from commands.site_opening import open_site
from connectors.clock import EventClock
from connectors.files.site import Site
from connectors.metrics import filled, registry_of
from connectors.processes import Child, Pauses, held, meterline_command
from connectors.redis.errors import StoreError
from connectors.redis.server import EmbeddedServer
from connectors.redis.server_log import ServerLog
from connectors.redis.store import Store
from domain.facts import Fact
from domain.metrics import Process

SETTLED_SECONDS = 120.0
"""Longest wait for the first settlement: the kernel may have to be compiled first."""
COMPARED_SECONDS = 5.0
"""How often this machine's clock is held against the server's, for a gauge."""


class Running:
    """The processes of one installation. Use as a context; `watch` must be called again and again."""

    def __init__(
        self,
        data: Path,
        site_file: Path,
        site: Site,
        clock: EventClock,
        shards: int,
        say: Callable[[str], None],
        metrics_port: int = 0,
    ) -> None:
        self.data, self.site, self.clock, self.say = data, site, clock, say
        self._site_file = site_file
        self._shards = shards
        self.server: EmbeddedServer | None = None
        self._server_pauses = Pauses()
        self._server_starts = 0
        self.children: list[Child] = []
        self.doors = Doors(data, metrics_port)
        self._ahead_ms, self._compared = 0, 0.0

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
            _, door = self.doors.of(Process.UP)
            endings.enter_context(measured(registry_of(self._families), door))
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

    def begin(
        self,
        port: int,
        token: str,
        more_facts: Callable[[int], list[tuple[str, Fact]]] = lambda _: [],
        settle_parts: int = 1,
        serving: tuple[str, ...] = (),
    ) -> None:
        """Settle what the site file says, then let the clock, the collector and the API loose. Raises StoreError.

        `more_facts(at)` gives facts by account to be appended between the accounts and their meters. `settle_parts`: how many processes settle. `serving`: further
        options of the API.
        """
        at, data = self.clock.now_ms(), ("--data", str(self.data))
        for number in range(1, settle_parts + 1):
            name = "settle" if settle_parts == 1 else f"settle-{number}"
            door = self.doors.of(Process.SETTLE, name, number)
            self._start(name, "settle", "--part", f"{number}/{settle_parts}", *data, *door)
        for sentence in open_site(self.store, self.site, at, self.wait_until_settled, more_facts(at)):
            self.say(sentence)
        timed = (*data, "--clock", self.clock.to_text())
        self._start("clock", "clock", *timed, *self.doors.of(Process.CLOCK))
        self._start("collect", "collect", str(self._site_file), *timed, *self.doors.of(Process.COLLECT))
        self._start("count", "count", *data, *self.doors.of(Process.COUNT))
        self.doors.named(Process.SERVE, port)
        self._start("serve", "serve", "--port", str(port), *timed, *serving, environment={"METERLINE_API_TOKEN": token})

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

    def notify(self, contacts: Path) -> None:
        """Tell people of alarms, by a contacts file."""
        timed = ("--data", str(self.data), "--clock", self.clock.to_text())
        self._start("notify", "notify", str(contacts), *timed, *self.doors.of(Process.NOTIFY))

    def wait_until_settled(self, seconds: float = SETTLED_SECONDS) -> None:
        """Wait until everything that is in the log now is folded and committed. Raises StoreError if it takes too long."""
        ends = [self.store.last(shard) for shard in range(self.store.shards)]
        deadline = time.monotonic() + seconds
        while any(self.store.position(shard) < end for shard, end in enumerate(ends)):
            self.watch()
            if time.monotonic() > deadline:
                words = "\n".join(child.last_words() for child in self.children if child.name.startswith("settle"))
                raise StoreError(f"the log was not settled within {seconds:.0f} s; settle says:\n{words}")
            time.sleep(0.05)

    def watch(self) -> None:
        """Start again what has ended, after a pause that grows while it does not stay."""
        if self.server:
            self._watch_server(self.server)
        for child in self.children:
            if said := child.watch():
                self.say(said)
        if time.monotonic() - self._compared >= COMPARED_SECONDS:
            self._compare_clocks()

    def _compare_clocks(self) -> None:
        self._compared = time.monotonic()
        with suppress(StoreError):  # That the server is gone is said elsewhere.
            machine_ms = time.time_ns() // 1_000_000
            self._ahead_ms = machine_ms - self.store.server_time_ms()

    def _families(self) -> Iterator[Family]:
        """Every metric of `domain.metrics.Process.UP`."""
        children = {child.name: (child.is_running(), max(0, child.starts - 1)) for child in self.children}
        if self.server:
            children["server"] = self.server.process.returncode is None, self._server_starts
        yield filled("up_process_running", [((name,), int(is_on)) for name, (is_on, _) in children.items()])
        yield filled("up_restarts_total", [((name,), restarts) for name, (_, restarts) in children.items()])
        yield filled("up_clock_time_seconds", [((), self.clock.now_ms() / 1000)])
        yield filled("up_clock_ahead_seconds", [((), self._ahead_ms / 1000)])

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
            self._server_starts += 1
        except StoreError as error:  # A full disk, for one: somebody may make room, so never give up.
            self.say(f"the server cannot be started: {error}")

    def _hear_server(self) -> None:
        """Write what the server has said into a log of the same form as all others."""
        if heard := self._server_log.heard():
            with (self.data / "logs" / "server.log").open("a", encoding="utf-8") as file:
                log = logger_to(file, "server")
                for said in heard:
                    getattr(log, said.level)(said.text, **({"timestamp": said.at, "pid": said.pid} if said.at else {}))
