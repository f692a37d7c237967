"""A demo with an archive and a verification beside it, and Debian's Prometheus that scrapes all of them."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 240


@dataclass
class Watched:
    """What Prometheus knows."""

    data: Path
    client: httpx.Client
    said: Path

    def is_ready(self) -> bool:
        """Whether it answers well."""
        try:
            return self.client.get("/-/ready").status_code == 200
        except httpx.TransportError:
            return False

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series of an instant vector."""
        answer = self.client.get("/api/v1/query", params={"query": expression}).json()
        assert answer["status"] == "success", (expression, answer)
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found


def program(*names: str) -> str:
    """A program that is installed; else the test is skipped, and says so."""
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"{names[0]} is not installed")
    return found


def until(holds: Callable[[], Any], what: str, *processes: "subprocess.Popen[bytes]") -> None:
    """Wait until something is so, as long as these processes run."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, what
        assert all(process.poll() is None for process in processes), what
        time.sleep(0.2)


def started(folder: Path, name: str, *arguments: str) -> "subprocess.Popen[bytes]":
    """A process of ours, its words in a file."""
    environment = {**os.environ, "REDIS_URL": ""}
    with (folder / f"{name}.said").open("wb") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "meterline", *arguments], cwd=ROOT, stdout=said, stderr=said, env=environment
        )


def ports(count: int) -> list[int]:
    """Ports of loopback that are free."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    found = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return found


CONTACTS = """\
[channel.hook]
url = "json://127.0.0.1:{port}/?:to={{address}}"

[[contact]]
name = "Duty"
sites = ["*"]
to = {{ hook = "duty" }}
"""


def receiver() -> ThreadingHTTPServer:
    """A webhook on loopback that takes whatever people are told."""

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(HTTPStatus.NO_CONTENT)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Taking)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return server


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A demo that has read, charged and cut, and been archived, verified and scraped."""
    folder = tmp_path_factory.mktemp("watched")
    data, (archive_port, port, alerts) = folder / "data", ports(3)
    program("prometheus"), program("prometheus-alertmanager", "alertmanager")
    told, contacts = receiver(), folder / "contacts.toml"
    contacts.write_text(CONTACTS.format(port=told.server_port))
    contacts.chmod(0o600)
    demo = started(
        folder, "demo", "demo", "--data", str(data), "--rooms", "16", "--speed", "600", "--contacts", str(contacts)
    )
    targets = data / "metrics.json"
    found, running = (
        Watched(data, httpx.Client(base_url=f"http://127.0.0.1:{port}"), folder / "monitoring.said"),
        [demo],
    )
    try:
        until(lambda: targets.is_file() and '"notify"' in targets.read_text(), "all of the demo is named", demo)
        door = f"127.0.0.1:{archive_port}"
        running.append(
            started(folder, "archive", "archive", "--data", str(data), "--every-minutes", "0.01", "--metrics", door)
        )
        named = [
            *json.loads(targets.read_text()),
            {"targets": [door], "labels": {"job": "archive", "child": "archive"}},
        ]
        targets.write_text(json.dumps(named))
        options = ("--data", str(data), "--port", str(port), "--alertmanager-port", str(alerts), "--every", "1")
        running.append(started(folder, "monitoring", "monitoring", *options))
        verifying = started(folder, "verify", "verify", "--data", str(data), "--audit-max", "0")
        until(found.is_ready, "Prometheus is ready", *running)
        # It looks at one after another: what the others need may be there before it has looked at all.
        until(lambda: len(found.query("max_over_time(up[2m]) == 1")) == len(named), "all are scraped", *running)
        until(lambda: found.query("meterline_notify_deliveries_total"), "somebody is told", *running)
        until(lambda: found.query("meterline_trip_seconds_count > 0"), "a trip is told", *running)
        assert verifying.wait(PATIENCE_SECONDS) == 0, (folder / "verify.said").read_text()
        until(lambda: found.query("count(meterline_verified_time_seconds)"), "the verification is told", *running)
        yield found
    finally:
        found.client.close()
        for process in reversed(running):
            process.terminate()
        for process in running:
            process.wait(PATIENCE_SECONDS)
        told.shutdown()
        told.server_close()
