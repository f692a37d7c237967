"""`meterline bench api`: requests a second that one process of the API answers, beside a bare FastAPI app on the same server.

`meterline serve` runs as a process of its own on an embedded server with a street of open accounts; `wrk` asks it over loopback with the
token of a program. The bare app answers `{"hello": "world"}` without a store, a gate or a model, on the same event loop and HTTP
parser. Both are measured in turn, so that a change of the machine's speed meets both.
"""

import json
import re
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.scene import machine
from bench.street import enter, numbers_of, street, thrown_away
from connectors.processes import Child, meterline_command

READY_SECONDS = 60.0
CONNECTIONS = 32
_ROUND_SECONDS = 3
_LIMIT = "100000000/minute"
"""Of requests: what is measured is not the limit."""
_SCRIPT = """\
wrk.headers["Authorization"] = "Bearer {token}"
request = function() return wrk.format("GET", {path}) end
done = function(summary, latency, requests)
  io.write(string.format('{{"requests": %d, "us": %d, "p50_us": %d, "p99_us": %d, "failed": %d}}\\n', summary.requests,
    summary.duration, latency:percentile(50), latency:percentile(99), summary.errors.status + summary.errors.timeout + summary.errors.read))
end
"""


class ToolMissingError(Exception):
    """`wrk` is not there; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of which server: `path` is a Lua expression."""

    name: str
    url: str
    path: str


def run(accounts: int, shards: int, rounds: int) -> dict[str, Any]:
    """Ask for single accounts, pages of rooms and the bare app in turn, `rounds` times each, and return medians. Raises ToolMissingError."""
    wrk = shutil.which("wrk")
    if wrk is None:
        raise ToolMissingError("wrk is not installed; it is in the package wrk of Debian, Ubuntu and Homebrew")
    with thrown_away(shards) as (url, store), tempfile.TemporaryDirectory(prefix="meterline-bench-") as folder:
        for shard, numbers in enumerate(numbers_of(accounts, shards)):
            enter(store, street(numbers, shard))
        with _serving(url, Path(folder)) as (api, token), _bare(Path(folder)) as bare:
            questions = [
                Asked("hello", bare, '"/"'),
                Asked("account", api, f'"/accounts/bench-" .. math.random(1, {accounts})'),
                Asked("rooms", api, '"/rooms?limit=100"'),
            ]
            found = [{each.name: _asked(wrk, each, token, Path(folder)) for each in questions} for _ in range(rounds)]
    return {
        "bench": "api",
        "accounts": accounts,
        "shards": shards,
        "connections": CONNECTIONS,
        **_figures(found),
        **machine(),
    }


def _figures(rounds: list[dict[str, dict[str, float]]]) -> dict[str, Any]:
    """Medians of all rounds by question, and the median ratio of accounts to the bare app, round by round."""
    figures: dict[str, Any] = {}
    for name in rounds[0]:
        for figure in ("requests_per_s", "p50_ms", "p99_ms"):
            figures[f"{name}_{figure}"] = statistics.median(each[name][figure] for each in rounds)
    ratios = [each["account"]["requests_per_s"] / each["hello"]["requests_per_s"] for each in rounds]
    return {**figures, "account_to_hello": round(statistics.median(ratios), 2)}


def _asked(wrk: str, asked: Asked, token: str, folder: Path) -> dict[str, float]:
    script = folder / f"{asked.name}.lua"
    script.write_text(_SCRIPT.format(token=token, path=asked.path))
    command = [wrk, "-t1", f"-c{CONNECTIONS}", f"-d{_ROUND_SECONDS}s", "-s", str(script), asked.url]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 - words of our own
    counted = json.loads(re.findall(r"^\{.*\}$", told, re.MULTILINE)[-1])
    if counted["failed"]:
        raise RuntimeError(f"{counted['failed']} of {counted['requests']} requests for {asked.name} failed")
    return {
        "requests_per_s": round(1e6 * counted["requests"] / counted["us"]),
        "p50_ms": round(counted["p50_us"] / 1000, 1),
        "p99_ms": round(counted["p99_us"] / 1000, 1),
    }


@contextmanager
def _serving(url: str, folder: Path) -> Iterator[tuple[str, str]]:
    """The API as a process, and the token of a program that may read everything."""
    secret, port = secrets.token_urlsafe(32), _free_port()
    command = meterline_command("serve", "--port", str(port), "--requests", _LIMIT)
    serving = Child("serve", command, folder / "serve.log", {"REDIS_URL": url, "METERLINE_API_TOKEN": secret})
    with _started(serving, port, "/health/live"):
        body = json.dumps({"name": "bench", "role": "viewer", "everything": True, "days": 1}).encode()
        headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
        asked = urllib.request.Request(f"http://127.0.0.1:{port}/tokens", body, headers)
        with urllib.request.urlopen(asked) as answer:  # noqa: S310 - our own server
            token = json.load(answer)["token"]
        yield f"http://127.0.0.1:{port}", token


@contextmanager
def _bare(folder: Path) -> Iterator[str]:
    """The bare app as a process."""
    port = _free_port()
    hello = Child("hello", [sys.executable, "-m", "bench.hello", str(port)], folder / "hello.log", {})
    with _started(hello, port, "/"):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _started(child: Child, port: int, path: str) -> Iterator[None]:
    child.start()
    try:
        deadline = time.monotonic() + READY_SECONDS
        while not _answers(f"http://127.0.0.1:{port}{path}"):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{child.name} has not begun within {READY_SECONDS:.0f} s:\n{child.last_words()}")
            time.sleep(0.05)
        yield
    finally:
        child.stop()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - our own server
            return True
    except (urllib.error.URLError, OSError):
        return False


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
