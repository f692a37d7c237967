"""How commands serve their metrics: the option that says where, and the ports that `up` and `demo` hand out."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from prometheus_client import CollectorRegistry

from commands.endings import failed
from commands.ports import free_ports
from connectors.metrics import DoorError, served
from domain.metrics import Process

MetricsOption = Annotated[
    str,
    typer.Option(
        "--metrics",
        help="Serve Prometheus metrics at host:port, such as 127.0.0.1:9461 (docs/monitoring.md); empty: not at all.",
        envvar="METERLINE_METRICS",
    ),
]
FIRST_PORT = 9460
"""The port of `up`; its children have those that follow."""
_OFFSETS = {
    Process.UP: 0,
    Process.CLOCK: 1,
    Process.COLLECT: 2,
    Process.COUNT: 3,
    Process.ARCHIVE: 4,
    Process.NOTIFY: 5,
}
_SETTLE_OFFSET = 9
"""The first part that settles has the next port, and so on."""
TARGETS = "metrics.json"


@contextmanager
def measured(registry: CollectorRegistry, door: str) -> Iterator[None]:
    """Serve a registry while the block lasts. Ends the command with what to do where that cannot be."""
    try:
        with served(registry, door):
            yield
    except DoorError as error:
        raise failed(str(error)) from None


def port_of(first: int, process: Process, part: int = 1) -> int:
    """The port of a process of an installation whose `up` has the port `first`."""
    return first + _OFFSETS.get(process, _SETTLE_OFFSET + part)


def ports_of(first: int, settle_parts: int) -> list[int]:
    """Every port that an installation takes; none where they are any that are free."""
    if not first:
        return []
    settling = [port_of(first, Process.SETTLE, part) for part in range(1, settle_parts + 1)]
    return [port_of(first, process) for process in _OFFSETS] + settling


class Target(msgspec.Struct, frozen=True):
    """Where Prometheus finds a process: an entry of its file-based service discovery (`file_sd_configs`)."""

    targets: list[str]
    labels: dict[str, str]


class Doors:
    """The doors of an installation's processes, and the file in its data directory that names them to Prometheus. `first`: the port of `up`; 0: any that are free."""

    def __init__(self, data: Path, first: int) -> None:
        self._file, self._first = data / TARGETS, first
        self._targets: list[Target] = []

    def of(self, process: Process, child: str = "", part: int = 1) -> tuple[str, str]:
        """Hand out a door: the option that tells a process where it is."""
        port = port_of(self._first, process, part) if self._first else free_ports(1)[0]
        return "--metrics", self.named(process, port, child)

    def named(self, process: Process, port: int, child: str = "") -> str:
        """Name a process that has a port of loopback. Returns its door."""
        door = f"127.0.0.1:{port}"
        self._targets.append(Target([door], {"job": process, "child": child or process}))
        beside = self._file.with_suffix(".new")
        beside.write_bytes(msgspec.json.format(msgspec.json.encode(self._targets)))
        beside.replace(self._file)
        return door
