import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from in_process import meterline

from meterline import COMMANDS

ROOT = Path(__file__).parents[2]
TOKEN = "q8Zr4Tn6Wb1Xc9Vm3Ks7Lp5Hd2Jf0GyAu"


def test_help_lists_every_command():
    """A newcomer who asks for help sees all commands and where to begin."""
    done = subprocess.run(
        [sys.executable, "-m", "meterline", "--help"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )

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


@pytest.mark.parametrize("address", ["s3://key:hush@bucket", "nonsense://x"])
def test_up_refuses_an_archive_that_is_none(tmp_path, address):
    """An address that nobody can write, or that shows a password, is told before anything is started."""
    said = refused(
        tmp_path, "up", str(documented_site(tmp_path)), "--data", str(tmp_path / "data"), "--archive", address
    )

    assert "address" in said
    assert "hush" not in said
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("name", ["settle", "clock", "count", "archive", "serve"])
def test_a_command_without_a_store_says_what_to_start(tmp_path, name):
    """Pointed at an empty folder, a command advises `meterline up` instead of failing with a traceback."""
    done = meterline(name, "--data", str(tmp_path), REDIS_URL="", METERLINE_API_TOKEN=TOKEN)

    assert done.returncode == 2
    assert "meterline up" in done.stderr
    assert "Traceback" not in done.stderr


def refused(tmp_path, *arguments, code=2, **environment):
    """What a command says that ends with this code and without a traceback."""
    done = meterline(*arguments, **{"REDIS_URL": "", "METERLINE_API_TOKEN": TOKEN, **environment})

    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + " ".join(done.stderr.split())


def documented_site(tmp_path, before="", after=""):
    """The documented site in a file."""
    site = tmp_path / "site.toml"
    text = (ROOT / "docs" / "site-file.md").read_text("utf-8").split("```toml\n")[1].split("```")[0]
    site.write_text(text.replace(before, after, 1), "utf-8")
    return site


def test_a_tariff_that_would_bill_nobody_is_refused(tmp_path):
    """A tariff with mistakes, or in other money than the site's, is told at its line before anything is started."""
    (tmp_path / "own.toml").write_text('tariff = "beijing-residential"\ncommodity = "electricity"\n')
    broken = documented_site(tmp_path, 'file = "beijing-residential"', 'file = "own.toml"')
    said = refused(tmp_path, "up", str(broken), "--data", str(tmp_path / "data"))
    foreign = documented_site(tmp_path, 'currency = "CNY"', 'currency = "EUR"')
    foreign_said = refused(tmp_path, "up", str(foreign), "--data", str(tmp_path / "data"))

    assert "tariff[0].file: found 'own.toml' with mistakes" in said
    assert "own.toml: line 1: title" in said
    assert "tariff[1].file" in foreign_said
    assert "in CNY; expected a tariff in EUR" in foreign_said
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("url", ["localhost:6379/hush", "redis://user:hush@host:port"])
@pytest.mark.parametrize("name", ["settle", "clock", "count", "archive", "serve"])
def test_a_redis_url_that_is_none_is_refused_without_being_shown(tmp_path, name, url):
    """A typing mistake in REDIS_URL is a sentence, and the password in it is not in the log."""
    said = refused(tmp_path, name, code=1, REDIS_URL=url)

    assert "REDIS_URL must be redis://" in said
    assert "hush" not in said


def test_a_data_directory_that_is_a_file_is_refused(tmp_path):
    """`--data` of something that is no directory ends with advice."""
    file = tmp_path / "file"
    file.touch()
    site = documented_site(tmp_path)

    assert "--data" in refused(tmp_path, "settle", "--data", str(file))
    assert "--data" in refused(tmp_path, "demo", "--data", str(file))
    assert "--data" in refused(tmp_path, "up", str(site), "--data", str(file), "--port", str(free_port()), code=1)


def test_a_demo_that_cannot_remember_says_so(tmp_path):
    """A damaged memory of a demo is refused, not replaced: its log would be of another time."""
    (tmp_path / "demo.json").write_text('{"event_ms":')

    assert "cannot go on from" in refused(tmp_path, "demo", "--data", str(tmp_path))
    assert (tmp_path / "demo.json").read_text() == '{"event_ms":'


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [("--control", "99999", "a port from 1 to 65535"), ("--memory", "nodir/x.json", "no folder nodir")],
)
def test_a_simulator_that_cannot_listen_or_remember_is_never_ready(tmp_path, option, value, expected):
    """What it cannot do for its whole life is refused before it says that it is ready."""
    text = documented_site(tmp_path).read_text("utf-8").split('[[bus]]\nname = "water-a"')[0]
    (tmp_path / "street.toml").write_text(text, "utf-8")

    said = refused(tmp_path, "simulate", str(tmp_path / "street.toml"), "--bind", "127.0.0.1", option, value)

    assert expected in said
    assert "ready" not in said


@pytest.mark.parametrize("port", ["0", "70000"])
def test_up_refuses_a_port_that_is_none(tmp_path, port):
    """As serve does."""
    assert "--port" in refused(tmp_path, "up", str(documented_site(tmp_path)), "--port", port)


def test_a_port_in_use_is_told_before_anything_is_opened(tmp_path):
    """The port of another program is named, and no data directory is made."""
    site = documented_site(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        up = refused(tmp_path, "up", str(site), "--data", str(tmp_path / "data"), "--port", port, code=1)
        demo = refused(tmp_path, "demo", "--data", str(tmp_path / "data"), "--port", port, code=1)

    assert f"port {port} is in use: choose another --port" in up
    assert f"port {port} is in use: choose another --port" in demo
    assert not (tmp_path / "data").exists()


def free_port():
    """A port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_the_package_needs_a_python_that_bytewax_has():
    """There is no bytewax beyond Python 3.12, so the package must not claim more."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

    assert project["requires-python"] == ">=3.11,<3.13"
