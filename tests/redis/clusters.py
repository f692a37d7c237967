"""A Redis Cluster of three nodes on loopback: the real server, three times, without replicas."""

import contextlib
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import redis
from log_samples import options

from connectors.redis.server import binary

NODES = 3
SLOTS = 16_384
READY_SECONDS = 60
PASSWORD = "only for this test, on loopback"

_CONFIGURATION = """\
port {port}
cluster-port {bus}
bind 127.0.0.1
dir "{folder}"
save ""
appendonly yes
appendfsync always
cluster-enabled yes
cluster-node-timeout 5000
requirepass "{password}"
logfile "{folder}/server.log"
"""


def _ports(count: int) -> list[int]:
    """Ports of loopback that nobody uses."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


class Cluster:
    """Three nodes, each with a third of the slots."""

    def __init__(self, folder: Path) -> None:
        ports = _ports(2 * NODES)
        self.ports, buses = ports[:NODES], ports[NODES:]
        self.processes: list[subprocess.Popen[bytes] | None] = [None] * NODES
        for node, (port, bus) in enumerate(zip(self.ports, buses, strict=True)):
            home = folder / str(node)
            home.mkdir(parents=True)
            text = _CONFIGURATION.format(port=port, bus=bus, folder=home, password=PASSWORD)
            (home / "server.conf").write_text(text)
        self.folder = folder
        for node in range(NODES):
            self.start(node)
        self._meet(buses)

    @property
    def url(self) -> str:
        """The cluster, named by two of its nodes."""
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.ports[:2])
        return f"redis+cluster://default:{PASSWORD.replace(' ', '%20')}@{hosts}"

    def client(self, node: int) -> "redis.Redis[bytes]":
        """A plain client of one node."""
        return redis.Redis(port=self.ports[node], password=PASSWORD, **options())

    def start(self, node: int) -> None:
        """Start a node and wait until it answers."""
        configuration = self.folder / str(node) / "server.conf"
        self.processes[node] = subprocess.Popen([str(binary()), str(configuration)], stdout=subprocess.DEVNULL)
        self.until(lambda: self.client(node).ping(), "an answer")

    def kill(self, node: int) -> None:
        """End a node as a power cut would."""
        process = self.processes[node]
        if process:
            process.send_signal(signal.SIGKILL)
            process.wait()

    def until(self, holds, what: str) -> None:
        """Poll until something holds on a node that may not answer yet."""
        deadline = time.monotonic() + READY_SECONDS
        while True:
            with contextlib.suppress(redis.RedisError):
                if holds():
                    return
            assert time.monotonic() < deadline, f"no {what}"
            time.sleep(0.01)

    def _meet(self, buses: list[int]) -> None:
        edges = [node * SLOTS // NODES for node in range(NODES + 1)]
        for node in range(NODES):
            self.client(node).execute_command("CLUSTER ADDSLOTSRANGE", edges[node], edges[node + 1] - 1)
        for port, bus in zip(self.ports[1:], buses[1:], strict=True):
            self.client(0).execute_command("CLUSTER MEET", "127.0.0.1", port, bus)
        self.until(self.is_whole, "whole cluster")

    def is_whole(self) -> bool:
        """Whether every node says that all slots are served."""
        said = [self.client(node).execute_command("CLUSTER INFO") for node in range(NODES)]
        return all((each["cluster_state"], each["cluster_known_nodes"]) == ("ok", str(NODES)) for each in said)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for node in range(NODES):
            self.kill(node)
