"""A demo that a real Prometheus watches: what the dashboards' queries are tried on, and what their pictures are drawn from."""

import json
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx

ROOT = Path(__file__).parents[1]
PROGRAM = "prometheus"
"""Debian's package of this name has it."""
START_SECONDS = 90
BEGINS_MS = int(datetime(2026, 3, 2, 21, tzinfo=ZoneInfo("Asia/Shanghai")).timestamp() * 1000)
_API = re.compile(r"^API at (\S+)  token (\S+)$", re.MULTILINE)
_LABEL_VALUES = re.compile(r"label_values\((\w+), (\w+)\)")

Series = list[dict[str, Any]]
"""As Prometheus answers: `metric` has the labels; `value` or `values` have pairs of a time in seconds and a number as text."""


@dataclass(frozen=True)
class Prometheus:
    """The HTTP API of a Prometheus (https://prometheus.io/docs/prometheus/latest/querying/api/)."""

    url: str
    client: httpx.Client

    def query(self, expression: str, at: float | None = None) -> Series:
        """What it is at an instant; now, unless one is named."""
        return self._result("query", query=expression, time=at or time.time())

    def query_range(self, expression: str, start: float, end: float, step: float) -> Series:
        """What it has been, every `step` seconds."""
        return self._result("query_range", query=expression, start=start, end=end, step=step)

    def choices(self, question: str) -> list[str]:
        """What Grafana offers for a variable that asks `label_values(metric, label)`."""
        if not (asked := _LABEL_VALUES.fullmatch(question)):
            raise ValueError(f"{question}: expected label_values(metric, label)")
        metric, label = asked.groups()
        return list(self._get(f"label/{label}/values", {"match[]": metric}))

    def _result(self, kind: str, **parameters: str | float) -> Series:
        return list(self._get(kind, parameters)["result"])

    def _get(self, path: str, parameters: dict[str, Any]) -> Any:
        """`data` of an answer. Raises ValueError with what Prometheus says of an expression that it does not understand."""
        answer = self.client.get(f"{self.url}/api/v1/{path}", params=parameters).json()
        if answer["status"] != "success":
            raise ValueError(answer["error"])
        return answer["data"]


@dataclass(frozen=True)
class Observed:
    """A demo under way: its Prometheus, its API and the token for it, and when it began."""

    prometheus: Prometheus
    api: str
    token: str
    began: float

    def wait_for(self, expression: str) -> None:
        """Wait until an expression has a value. Raises TimeoutError."""
        deadline = time.monotonic() + START_SECONDS
        while not self._value_of(expression):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{expression}: nothing within {START_SECONDS} s")
            time.sleep(0.2)

    def _value_of(self, expression: str) -> Series:
        with suppress(httpx.TransportError):  # Prometheus does not listen yet.
            return self.prometheus.query(expression)
        return []

    def asked(self, route: str, **parameters: str | int) -> Any:
        """What the API answers, read."""
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = self.prometheus.client.get(self.api + route, params=parameters, headers=headers)
        return answer.raise_for_status().json()


@contextmanager
def observed(folder: Path, rooms: int, speed: int, scrape: int) -> Iterator[Observed]:
    """A demo that is scraped every `scrape` seconds, archived and verified, until the block ends. Raises FileNotFoundError where there is no Prometheus.

    Its street begins before midnight, for days are charged when they are over.
    """
    if not shutil.which(PROGRAM):
        raise FileNotFoundError(f"{PROGRAM} is not installed: apt-get install {PROGRAM}")
    data, archived = folder / "street", free_port()
    data.mkdir()
    remembered = {"event_ms": BEGINS_MS, "ports": [free_port() for _ in range(3)]}
    (data / "demo.json").write_text(json.dumps(remembered), "utf-8")
    where, door = ["--data", str(data)], f"127.0.0.1:{archived}"
    with ExitStack() as stack:
        stack.enter_context(_meterline(folder, "demo", *where, "--rooms", str(rooms), "--speed", str(speed)))
        api, token = _announced(folder / "demo.log")
        stack.enter_context(_meterline(folder, "archive", *where, *_ARCHIVING, "--metrics", door))
        client = stack.enter_context(httpx.Client(timeout=30))
        url = stack.enter_context(_prometheus(folder, scrape, data / "metrics.json", archived))
        seen = Observed(Prometheus(url, client), api, token, time.time())
        seen.wait_for("sum(meterline_readings_total) > 0")
        stack.enter_context(_meterline(folder, "verify", *where))
        yield seen


@contextmanager
def _meterline(folder: Path, *words: str) -> Iterator[None]:
    """One of our commands, ended at the end. What it says is in a file with its name."""
    with (folder / f"{words[0]}.log").open("w") as log:
        process = subprocess.Popen(  # noqa: S603 - our own program.
            [sys.executable, "-m", "meterline", *words], cwd=ROOT, stdout=log, stderr=log
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(START_SECONDS)


def _announced(log: Path) -> tuple[str, str]:
    """Address and token of the API, once the demo has said them. Raises TimeoutError with what it said instead."""
    deadline = time.monotonic() + START_SECONDS
    while not (said := _API.search(log.read_text("utf-8"))):
        if time.monotonic() > deadline:
            raise TimeoutError(f"the demo did not begin: {log.read_text('utf-8')}")
        time.sleep(0.1)
    return said[1], said[2]


_ARCHIVING = ("--every-minutes", "0.05", "--keep-minutes", "0")
_SCRAPING = """\
global: {{scrape_interval: {scrape}s, scrape_timeout: {scrape}s}}
scrape_configs:
  - job_name: meterline
    honor_labels: true
    file_sd_configs: [{{files: [{found}], refresh_interval: 1s}}]
    static_configs: [{{targets: ["127.0.0.1:{archived}"], labels: {{job: archive}}}}]
"""


@contextmanager
def _prometheus(folder: Path, scrape: int, found: Path, archived: int) -> Iterator[str]:
    """Prometheus, which scrapes what the file names, and the archive. Yields its address."""
    port, settings = free_port(), folder / "prometheus.yml"
    settings.write_text(_SCRAPING.format(scrape=scrape, found=found, archived=archived), "utf-8")
    options = [
        f"--config.file={settings}", f"--storage.tsdb.path={folder / 'prometheus'}", f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen([PROGRAM, *options], stdout=log, stderr=log)  # noqa: S603 - found on PATH.
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(START_SECONDS)


def free_port() -> int:
    """A port of loopback that nobody listens at."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return int(door.getsockname()[1])
