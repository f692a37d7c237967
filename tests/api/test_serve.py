import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import typer
from api_site import TOKEN
from typer.testing import CliRunner

from commands.serve import serve

SERVE = [sys.executable, "-c", "import typer; from commands.serve import serve; typer.run(serve)"]


@contextmanager
def serving(data: Path) -> Iterator[tuple[int, subprocess.Popen]]:
    """The command, running and answering."""
    port = free_port()
    environment = {**os.environ, "METERLINE_API_TOKEN": TOKEN}
    command = [*SERVE, "--data", str(data), "--port", str(port)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            live(port, process)
            yield port, process
        finally:
            process.terminate()


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def live(port: int, process: subprocess.Popen) -> httpx.Response:
    """Poll until the process answers."""
    deadline = time.monotonic() + 120  # Nobody waits so long but on a machine that many people share.
    while True:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/health/live")
        except httpx.TransportError:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_the_command_serves_a_data_directory_and_ends_well(store, server, ending):
    """A service manager starts it with a directory and ends it with a signal; nothing is said that should be secret."""
    with serving(server.data) as (port, process):
        known = httpx.get(f"http://127.0.0.1:{port}/accounts", headers={"Authorization": f"Bearer {TOKEN}"})
        unknown = httpx.get(f"http://127.0.0.1:{port}/accounts", headers={"Authorization": f"Bearer {TOKEN}x"})
        process.send_signal(ending)
        said, _ = process.communicate(timeout=20)

    assert (known.status_code, unknown.status_code) == (200, 401)
    assert "server" not in known.headers
    assert process.returncode in {0, -ending}
    assert TOKEN.encode() not in said
    assert b"Traceback" not in said


@pytest.mark.parametrize(("code", "ours"), [(3, 1), (1, 1), (0, 0)])
def test_a_server_that_does_not_start_is_a_failure_like_any_other(store, server, monkeypatch, code, ours):
    """Codes mean what they mean in every command of ours: 1 is a failure."""
    monkeypatch.setenv("METERLINE_API_TOKEN", TOKEN)
    monkeypatch.setattr("uvicorn.run", lambda *_, **__: sys.exit(code))
    app = typer.Typer()
    app.command()(serve)

    assert CliRunner().invoke(app, ["--data", str(server.data)]).exit_code == ours


@pytest.mark.parametrize(
    ("token", "said"),
    [("", "set METERLINE_API_TOKEN"), (TOKEN, "is no data directory of Meterline")],
    ids=["secret", "data"],
)
def test_the_command_says_in_one_line_what_is_missing(tmp_path, token, said):
    """Without a secret or a store it does not start, and says what to do."""
    environment = {name: value for name, value in os.environ.items() if name != "REDIS_URL"} | {
        "METERLINE_API_TOKEN": token
    }

    ended = subprocess.run(
        [*SERVE, "--data", str(tmp_path / "missing")],
        check=False,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("amount", ["lots", "-1", "1.0000001"])
def test_a_limit_that_is_no_amount_is_refused(monkeypatch, amount):
    """Whoever wants two persons for large refunds and mistypes the amount does not get an API without."""
    monkeypatch.setenv("METERLINE_API_TOKEN", TOKEN)
    app = typer.Typer()
    app.command()(serve)

    ended = CliRunner().invoke(app, ["--approve-over", amount])

    assert ended.exit_code == 2
    assert "--approve-over" in ended.output
