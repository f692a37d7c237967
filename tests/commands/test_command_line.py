import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from meterline import COMMANDS

ROOT = Path(__file__).parents[2]


def meterline(*arguments, **environment):
    """Run the command line and return what it did."""
    return subprocess.run(
        [sys.executable, "-m", "meterline", *arguments],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
        env={**os.environ, "COLUMNS": "150", **environment},
    )  # fmt: skip


def test_help_lists_every_command():
    """A newcomer who asks for help sees all commands and where to begin."""
    done = meterline("--help")

    assert done.returncode == 0
    assert all(name in done.stdout for name in COMMANDS)
    assert "meterline demo" in done.stdout


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_each_command_explains_itself(name):
    """`--help` of each command works and says more than its name."""
    done = meterline(name, "--help")

    assert done.returncode == 0
    assert len(done.stdout.split()) > 30


def test_a_wrong_site_file_is_refused_with_every_mistake(tmp_path):
    """`up` names line, key and expectation of each mistake at once, and ends with code 2 before anything is started."""
    site = tmp_path / "site.toml"
    site.write_text('[site]\nname = "x"\nzone = "Mars/Base"\ncurrency = "CNY"\n\n[[account]]\nid = "-"\n')

    done = meterline("up", str(site), "--data", str(tmp_path / "data"))

    assert done.returncode == 2
    assert "line 3" in done.stderr
    assert "line 7" in done.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("token", ["", "short", "password" * 6])
def test_up_refuses_a_missing_or_weak_secret(tmp_path, token):
    """Nothing starts with an API token that could be guessed, and the message says how to make one."""
    site = tmp_path / "site.toml"
    site.write_text((ROOT / "docs" / "site-file.md").read_text("utf-8").split("```toml\n")[1].split("```")[0], "utf-8")

    done = meterline("up", str(site), "--data", str(tmp_path / "data"), METERLINE_API_TOKEN=token)

    assert done.returncode == 2
    assert "secrets.token_urlsafe" in done.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("name", ["settle", "serve"])
def test_a_command_without_a_store_says_what_to_start(tmp_path, name):
    """Pointed at an empty folder, a command advises `meterline up` instead of failing with a traceback."""
    done = meterline(
        name, "--data", str(tmp_path), REDIS_URL="", METERLINE_API_TOKEN="q8Zr4Tn6Wb1Xc9Vm3Ks7Lp5Hd2Jf0GyAu"
    )

    assert done.returncode == 2
    assert "meterline up" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_package_needs_a_python_that_bytewax_has():
    """There is no bytewax beyond Python 3.12, so the package must not claim more."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

    assert project["requires-python"] == ">=3.11,<3.13"
