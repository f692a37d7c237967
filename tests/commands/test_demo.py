import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]


def demo(*arguments):
    """Start the demo as its users do."""
    return subprocess.Popen(
        [sys.executable, "-m", "meterline", "demo", *arguments],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def alive_in(folder):
    """Processes that still have the folder in their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(folder).encode() in words and b"pytest" not in words.split(b"\0")[0]:
                found.append(words)
    return found


def test_the_street_runs_by_itself_and_its_figures_agree(tmp_path):
    """In half a minute rooms are cut and restored on real Modbus, and no balance or relay differs from log and meters."""
    process = demo("--seconds", "30", "--rooms", "24", "--json", "--data", str(tmp_path / "street"))
    output, errors = process.communicate(timeout=110)
    report = json.loads(output.splitlines()[-1])

    assert process.returncode == 0, errors
    assert report["meters"] == 30
    assert report["balance_mismatches"] == 0, errors
    assert report["relay_mismatches"] == 0, errors
    assert report["trips_verified"] > 0
    assert report["restores_verified"] > 0
    assert report["alarms"] > 0
    assert report["quarantined"] > 0
    assert report["readings"] > 500
    assert alive_in(tmp_path) == []


def test_an_interrupted_demo_leaves_nothing_running(tmp_path):
    """Ctrl-C ends every process, and the exit code says that this is how it was meant to end."""
    process = demo("--rooms", "16", "--data", str(tmp_path / "street"))
    lines = []
    while not any("readings" in line for line in lines):
        lines.append(process.stdout.readline())
        assert lines[-1], process.stderr.read()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)

    assert process.returncode == 0
    assert alive_in(tmp_path) == []


def test_a_killed_demo_leaves_nothing_running(tmp_path):
    """Killed outright, its children end with it: no server, collector or street goes on alone."""
    process = demo("--rooms", "16", "--data", str(tmp_path / "street"))
    while "readings" not in process.stdout.readline():
        assert process.poll() is None
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()

    deadline = time.monotonic() + 20
    while alive_in(tmp_path):
        assert time.monotonic() < deadline, alive_in(tmp_path)
        time.sleep(0.1)
