import io
import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import structlog
from test_command_line import ROOT, TOKEN, free_port
from test_demo import alive_in

from commands.logs import LogFormat, asked_format, configure
from connectors.processes import PAUSE_FIRST_SECONDS, PAUSE_MAX_SECONDS, Pauses
from connectors.redis.server_log import said_in

PATIENCE_SECONDS = 240
pytestmark = pytest.mark.timeout(900)  # Each test starts some whole sites.
SITE = """
[site]
name = "street"
zone = "Asia/Shanghai"
currency = "CNY"
[[tariff]]
file = "demo-electricity"
[[account]]
id = "A-101"
[[bus]]
name = "one"
kind = "tcp"
host = "127.0.0.1"
port = 1
poll_seconds = 60
  [[bus.meter]]
  number = "000000000101"
  unit = 1
  profile = "acrel-ddsy1352"
  account = "A-101"
  tariff = "demo-electricity"
"""
CONTACTS = """
[channel.hook]
url = "json://127.0.0.1:1/{address}"
[[contact]]
name = "Wang"
accounts = ["A-101"]
to = { hook = "wang" }
"""


class Up:
    """A running `meterline up`."""

    def __init__(self, folder, *options, **environment):
        self.data, self.port = folder / "data", free_port()
        (folder / "site.toml").write_text(SITE)
        self.said = (folder / "said").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "meterline", "up", folder / "site.toml",
             "--data", self.data, "--port", str(self.port), "--shards", "2", "--metrics-port", "0", *options],
            cwd=ROOT, stdout=self.said, stderr=self.said,
            env={**os.environ, "REDIS_URL": "", "METERLINE_API_TOKEN": TOKEN, **environment},
        )  # fmt: skip

    def lines(self):
        """What it has said so far."""
        return Path(self.said.name).read_text().splitlines()

    def until(self, holds, what):
        """Wait until something is so."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            assert self.process.poll() is None, self.lines()
            assert time.monotonic() < deadline, (what, self.lines())
            time.sleep(0.05)

    def is_ready(self):
        """Whether the API answers that all is well."""
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/health/ready").status_code == 200
        except httpx.TransportError:
            return False

    def child(self, word):
        """The process id of the child with a word in its command line."""
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != self.process.pid:
                try:
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                if word.encode() in words and any(str(self.data).encode() in each for each in words):
                    return int(entry.name)
        return None

    def is_killed(self, name):
        """Kill a process, and wait until another has taken its place and the site is ready again."""
        process = self.server if name == "server" else lambda: self.child(name)
        before = process()
        os.kill(before, signal.SIGKILL)
        self.until(lambda: process() not in {None, 0, before}, f"{name} started again")
        self.until(self.is_ready, "ready again")
        assert any(f"{name} ended with code -9; starting it again in" in line for line in self.lines())

    def server(self):
        """The process id of its server."""
        return int((self.data / "lock").read_text() or 0)


@pytest.fixture
def up(tmp_path):
    """A site that is up and answers."""
    contacts = tmp_path / "contacts.toml"
    contacts.touch(0o600)
    contacts.write_text(CONTACTS)
    running = Up(tmp_path, "--log", "json", "--contacts", contacts)
    running.until(running.is_ready, "ready")
    running.until(lambda: any("running; API" in line for line in running.lines()), "running")
    yield running
    running.process.kill()
    running.process.wait()
    running.said.close()


def wait_until_nothing_is_alive(folder):
    """Wait until every process of a folder has ended."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while alive_in(folder):
        assert time.monotonic() < deadline, alive_in(folder)
        time.sleep(0.05)


def test_what_is_killed_is_started_again_and_a_signal_ends_all_in_order(up, tmp_path):
    """Each process of ours, and the server under all of them, comes back by itself; and one signal ends all, whatever follows it."""
    for name in ("settle", "clock", "collect", "archive", "notify", "serve", "server"):
        up.is_killed(name)
    up.process.send_signal(signal.SIGTERM)
    up.process.send_signal(signal.SIGINT)

    assert up.process.wait(PATIENCE_SECONDS) == 0
    assert alive_in(tmp_path) == []
    assert json.loads(up.lines()[-1])["event"] == "ended"
    assert sum("starting it again" in line for line in up.lines()) >= 4


def test_a_directory_is_run_once_and_every_process_writes_lines_of_one_form(up, tmp_path):
    """A second `up`, also one with a server of its own, is told who has the directory; and whatever writes, ours or the server,
    each line is an event with a time, a level and a process.
    """
    for number, url in enumerate(["", "unix:///nowhere/server.sock"]):
        (tmp_path / str(number)).mkdir()
        second = Up(tmp_path / str(number), "--data", str(up.data), REDIS_URL=url)
        assert second.process.wait(PATIENCE_SECONDS) == 1
        owner = f"is run by process {up.process.pid} already: end that one first, or choose another --data"
        assert owner in second.lines()[-1]
        second.said.close()
    assert up.is_ready()
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(PATIENCE_SECONDS) == 0

    files = {path.stem: path for path in (up.data / "logs").iterdir()} | {"up": Path(up.said.name)}
    events = [(name, json.loads(line)) for name, file in files.items() for line in file.read_text().splitlines()]
    assert set(files) == {"up", "server", "settle", "clock", "count", "collect", "serve", "archive", "notify", "verify"}
    assert all({"timestamp", "level", "event"} <= set(event) and event["process"] == name for name, event in events)
    assert any(name == "server" and "Ready to accept connections" in event["event"] for name, event in events)
    assert not any("does not answer" in event["event"] for _, event in events)


def test_killed_outright_it_leaves_nothing_running_and_can_be_started_again(up, tmp_path):
    """Its children end with it, and neither lock outlives them."""
    os.kill(up.process.pid, signal.SIGKILL)
    up.process.wait()
    wait_until_nothing_is_alive(tmp_path)

    again = Up(tmp_path, METERLINE_LOG="text")
    again.until(lambda: any("running; API" in line for line in again.lines()), "running")
    again.process.terminate()

    assert again.process.wait(PATIENCE_SECONDS) == 0
    assert not any(line.startswith("{") for line in again.lines())
    again.said.close()


def test_several_processes_settle_each_a_part(tmp_path):
    """With two parts a host uses two of its cores: each shard is settled by one of them, and one that is killed comes back; three are too many for two shards."""
    many = Up(tmp_path, "--settle-parts", "3")
    assert many.process.wait(PATIENCE_SECONDS) == 2
    assert "--settle-parts 3: the store has 2 shards, so at most so many parts" in many.lines()[-1]
    many.said.close()
    two = Up(tmp_path, "--settle-parts", "2")
    two.until(two.is_ready, "ready")
    two.until(lambda: any("running; API" in line for line in two.lines()), "running")

    first, second = two.child("1/2"), two.child("2/2")
    os.kill(second, signal.SIGKILL)
    two.until(lambda: two.child("2/2") not in {None, second}, "the second part started again")
    two.until(two.is_ready, "ready again")
    two.process.send_signal(signal.SIGINT)

    assert first != second
    assert two.process.wait(PATIENCE_SECONDS) == 0
    assert any("settle-2 ended with code -9; starting it again in" in line for line in two.lines())
    assert {path.stem for path in (two.data / "logs").iterdir()} >= {"settle-1", "settle-2"}
    two.said.close()


def test_text_is_for_people():
    """Asked for text, a line is no JSON, whoever writes it; and an unknown form is refused with those that there are."""
    stream = io.StringIO()
    configure("settle", LogFormat.TEXT, stream)
    structlog.get_logger().info("waiting", shard=7)
    logging.getLogger("some.library").error("no port")
    structlog.reset_defaults()
    logging.getLogger().handlers.clear()
    wrong = subprocess.run(
        [sys.executable, "-m", "meterline", "settle"],
        cwd=ROOT, env={**os.environ, "METERLINE_LOG": "yaml"}, capture_output=True, text=True, check=False,
    )  # fmt: skip

    ours, theirs = stream.getvalue().splitlines()
    assert "waiting" in ours
    assert "shard=7" in ours
    assert ours.split()[1:3] == ["[info", "]"]
    assert "no port" in theirs
    assert theirs.split()[1:3] == ["[error", "]"]
    assert (wrong.returncode, wrong.stderr) == (2, "METERLINE_LOG is 'yaml': expected auto, json, text\n")


def test_pauses_grow_while_nothing_stays(monkeypatch):
    """What ends at once is started ever less often, and a steady run makes pauses short again."""
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    pauses, lengths = Pauses(), []
    for _ in range(9):
        pauses.started()
        lengths.append(pauses.ended())
        now[0] += lengths[-1]
        assert pauses.ended() == 0
        assert pauses.is_over()
    pauses.started()
    now[0] += 3600

    assert lengths == sorted(lengths)
    assert lengths[-1] == PAUSE_MAX_SECONDS
    assert pauses.ended() == PAUSE_FIRST_SECONDS
    assert not pauses.is_over()


@pytest.mark.parametrize(
    ("line", "level", "text", "pid"),
    [
        (
            "31:M 25 Nov 2026 20:40:12.123 * Ready to accept connections unix",
            "info",
            "Ready to accept connections unix",
            31,
        ),
        ("31:C 01 Jan 2026 00:00:00.000 # Warning: no memory", "warning", "Warning: no memory", 31),
        ("=== BUG REPORT START", "warning", "=== BUG REPORT START", 0),
    ],
)
def test_the_servers_lines_are_understood(line, level, text, pid):
    """Time, level and words of the server's own lines; what has another form is passed on as a warning, not dropped."""
    said = said_in(line)

    assert (said.level, said.text, said.pid) == (level, text, pid)
    assert said.at.endswith("Z") == bool(pid)


def test_nothing_asked_is_auto():
    """Without METERLINE_LOG, or with an empty one, the stream decides."""
    assert asked_format({}) == asked_format({"METERLINE_LOG": ""}) == "auto"
