"""The table of metrics against what processes serve, and the document against the table."""

import socket
from pathlib import Path

import httpx
import pytest
from prometheus_client import generate_latest
from typer.testing import CliRunner

from commands.metrics import document
from commands.metrics_door import Doors, port_of, ports_of
from connectors.metrics import DoorError, Measures, door_of, registry_of, served
from connectors.modbus.counters import Collected
from connectors.modbus.measured import families
from domain.metrics import METRICS, Kind, Process, of_process
from meterline import app_of

ROOT = Path(__file__).parents[2]
_IDS = {"account", "meter", "room", "order", "tenant", "order_id"}


def test_the_document_is_made_from_the_table():
    """`make metrics` was run after the last change of the table."""
    assert (ROOT / "docs" / "metrics.md").read_text("utf-8") == document()
    assert CliRunner().invoke(app_of(["metrics"]), ["metrics"]).output == document()


def test_names_units_and_labels_are_by_the_conventions():
    """Counters end in _total and nothing else does; no label is an id; a name comes once."""
    names = [metric.name for metric in METRICS]

    assert len(names) == len(set(names))
    for metric in METRICS:
        assert metric.name.startswith("meterline_")
        assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
        assert bool(metric.buckets) == (metric.kind is Kind.HISTOGRAM)
        edges = [float(edge) for edge in metric.buckets.split()]
        assert edges == sorted(set(edges))
        assert not _IDS & set(metric.labels)
        assert metric.help.endswith(".")


def test_the_collector_serves_what_it_is_said_to_serve():
    """Each metric of the table, and no other."""
    said = {family.name for family in families(Collected())}

    assert said == {metric.name.removesuffix("_total") for metric in of_process(Process.COLLECT)}


def test_a_door_serves_and_is_closed_with_its_process(free_port):
    """Prometheus reads at host and port, and nobody listens there any more afterwards."""
    measures = Measures(Process.CLOCK)
    measures["clock_ticks_total"].inc(3)

    with served(measures.registry, f"127.0.0.1:{free_port}"):
        text = httpx.get(f"http://127.0.0.1:{free_port}/metrics").text
    assert "meterline_clock_ticks_total 3.0" in text
    assert "process_resident_memory_bytes" in text
    assert "_created" not in text
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{free_port}/metrics")


def test_a_port_that_is_taken_is_told_with_what_to_do(free_port):
    """Nobody has to look up what EADDRINUSE is."""
    taken, door = socket.create_server(("127.0.0.1", free_port)), f"127.0.0.1:{free_port}"
    with taken, pytest.raises(DoorError) as told, served(Measures(Process.COUNT).registry, door):
        pass

    assert "is in use; choose another --metrics host:port" in str(told.value)


@pytest.mark.parametrize(
    ("text", "door"),
    [("9461", ("127.0.0.1", 9461)), ("0.0.0.0:9461", ("0.0.0.0", 9461)), ("[::1]:80", ("::1", 80))],
)
def test_a_door_is_on_loopback_unless_told_otherwise(text, door):
    """A port alone opens nothing to the network."""
    assert door_of(text) == door


@pytest.mark.parametrize("text", ["", "here", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:70000", ":٣"])
def test_what_is_no_door_is_told(text):
    """With an example of one."""
    with pytest.raises(ValueError, match=r"expected host:port such as 127\.0\.0\.1:9461"):
        door_of(text)


def test_up_hands_out_ports_that_do_not_collide_and_names_them(tmp_path):
    """Each process has its own, parts of settlement too, and Prometheus finds them in one file."""
    doors = Doors(tmp_path, 9460)

    assert len(set(ports_of(9460, 3))) == len(ports_of(9460, 3))
    assert ports_of(0, 3) == []
    assert doors.of(Process.SETTLE, "settle-2", 2) == ("--metrics", "127.0.0.1:9471")
    assert port_of(9460, Process.CLOCK) == 9461
    doors.named(Process.SERVE, 8080)
    assert '"child": "settle-2"' in (tmp_path / "metrics.json").read_text()
    assert '"127.0.0.1:8080"' in (tmp_path / "metrics.json").read_text()


def test_what_is_read_anew_is_read_at_every_scrape():
    """A count between two scrapes shows in the second."""
    counted = Collected()
    registry = registry_of(lambda: families(counted))
    before = generate_latest(registry)
    counted.polls += 1

    assert b"meterline_collect_polls_total 0.0" in before
    assert b"meterline_collect_polls_total 1.0" in generate_latest(registry)
