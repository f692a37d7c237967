import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
import redis

from connectors.redis.server import EmbeddedServer, ServerError, access_of, binary
from connectors.redis.store import Store, connection_options
from domain.facts import Ticked

ROOT = Path(__file__).parents[2]
BUNDLED = pytest.mark.parametrize("server", ["bundled"], indirect=True)


def client_of(url):
    """A plain client that is closed at the end of its block."""
    return contextlib.closing(redis.Redis.from_url(url, **connection_options()))


def start_when_free(data):
    """Start a server on a directory as soon as its lock is freed."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return EmbeddedServer.start(data)
        except ServerError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def test_it_syncs_every_write_before_it_answers(server):
    """The append-only file is on and synced always, and nothing is ever evicted."""
    with client_of(server.url) as client:
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        assert client.config_get("appendfsync") == {"appendfsync": "always"}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_acknowledged_appends_survive_a_kill(server):
    """Everything that append has answered is in the log after SIGKILL and a new start."""
    store = Store.open(server.url, 2)
    appended = [store.append(number % 2, Ticked(at=number)) for number in range(20)]
    store.close()

    server.stop(signal.SIGKILL)
    again = EmbeddedServer.start(server.data, Path(server.process.args[-2]))

    store = Store.open(again.url)
    kept = sorted(entry for shard in range(2) for entry, _ in store.read(shard, (0, 0), 100))
    store.close()
    again.stop()
    assert kept == sorted(appended)


def test_a_second_server_on_one_directory_is_refused(server):
    """Two servers would write one file: the second is told which process has the directory."""
    with pytest.raises(ServerError, match=f"in use.*process {server.process.pid}"):
        EmbeddedServer.start(server.data)


@BUNDLED
def test_a_killed_server_frees_its_directory(server):
    """The lock ends with the server, even while the process that started it lives on."""
    server.process.kill()
    server.process.wait()

    again = EmbeddedServer.start(server.data)

    again.stop()


def test_a_server_ends_with_the_process_that_started_it(tmp_path):
    """A killed Meterline leaves no server behind, and its data directory can be used again at once."""
    script = (
        "import os, sys, pathlib\n"
        "from connectors.redis.server import EmbeddedServer\n"
        "server = EmbeddedServer.start(pathlib.Path(sys.argv[1]))\n"
        "os.kill(os.getpid(), 9)\n"
    )
    data = tmp_path / "data"
    subprocess.run([sys.executable, "-c", script, data], cwd=ROOT, check=False)

    start_when_free(data).stop()


def test_others_can_reach_neither_files_nor_socket(server):
    """The data directory is its owner's alone, and so are the passwords, the configuration and the socket in it."""
    secret = [server.data / "access.json", server.data / "redis" / "server.conf", Path(server.access.socket)]

    assert server.data.stat().st_mode & 0o077 == 0
    assert [path for path in secret if path.stat().st_mode & 0o077] == []


def test_it_listens_on_no_port(server):
    """The server is reached by its unix socket only."""
    with client_of(server.url) as client:
        assert client.config_get("port") == {"port": "0"}


READERS_LIMITS = [
    ("SET", "settled:{00}", "9-9"),
    ("XADD", "log:{00}", "*", "k", "ticked"),
    ("DEL", "log:{00}"),
    ("EVAL", "return redis.call('DEL', 'log:{00}')", "0"),
    ("PUBLISH", "alarms", "forged"),
    ("SPUBLISH", "alarms", "forged"),
    ("CLIENT", "KILL", "TYPE", "normal"),
    ("CLIENT", "PAUSE", "1"),
    ("CONFIG", "SET", "appendfsync", "no"),
    ("ACL", "LIST"),
    ("FLUSHALL",),
]


@pytest.mark.parametrize("command", READERS_LIMITS, ids=lambda command: " ".join(command[:2]))
@BUNDLED
def test_the_reader_changes_nothing(server, command):
    """Dashboards' user cannot write, forge an alarm or disturb other clients."""
    with client_of(server.access.reader_url) as reader, pytest.raises(redis.exceptions.NoPermissionError):
        reader.execute_command(*command)


def test_the_reader_reads_and_listens(server):
    """Dashboards' user may read every key and subscribe to alarms, and forging one is refused by either program."""
    store = Store.open(server.url, 2)
    entry = store.append(1, Ticked(at=1))

    with client_of(server.access.reader_url) as reader:
        listener = reader.pubsub()
        listener.subscribe("alarms")
        subscribed = listener.get_message(timeout=5)
        found = reader.xrange("log:{01}")
        with pytest.raises(redis.exceptions.NoPermissionError):
            reader.publish("alarms", "forged")
        listener.close()

    store.close()
    assert subscribed["type"] == "subscribe"
    assert [text.decode() for text, _ in found] == [f"{entry[0]}-{entry[1]}"]


LISTENERS_LIMITS = [
    *READERS_LIMITS,
    ("GET", "accounts:{00}"),
    ("HGETALL", "account_records:{00}"),
    ("XRANGE", "alarms:{00}", "-", "+"),
    ("XADD", "alarm_messages:{00}", "*", "messages", "[]"),
    ("HSET", "meterline", "format", "9"),
    ("SUBSCRIBE", "others"),
    ("PSUBSCRIBE", "*"),
    ("KEYS", "*"),
]


@pytest.mark.parametrize("command", LISTENERS_LIMITS, ids=lambda command: " ".join(command[:2]))
@BUNDLED
def test_who_hears_alarms_sees_nothing_else(server, command):
    """A foreign program that is told of alarms can neither forge one nor see a wallet, a name, or what else is published."""
    with client_of(server.access.listener_url) as listener, pytest.raises(redis.exceptions.NoPermissionError):
        listener.execute_command(*command)


@pytest.mark.parametrize("command", [("FLUSHALL",), ("CONFIG", "SET", "appendfsync", "no"), ("SHUTDOWN", "NOSAVE")])
@BUNDLED
def test_the_writer_cannot_undo_durability(server, command):
    """A mistaken or injected command of our own processes can neither wipe the store nor turn its syncs off."""
    with client_of(server.url) as writer, pytest.raises(redis.exceptions.NoPermissionError):
        writer.execute_command(*command)


def test_nobody_enters_without_a_password(server):
    """A connection without a password, or with a wrong one, can do nothing."""
    with (
        client_of(f"unix://{server.access.socket}") as nobody,
        pytest.raises(redis.exceptions.AuthenticationError, match="Authentication required"),
    ):
        nobody.ping()
    with (
        client_of(f"unix://writer:guess@{server.access.socket}") as guesser,
        pytest.raises(redis.exceptions.AuthenticationError, match=r"WRONGPASS|invalid"),
    ):
        guesser.ping()


def test_passwords_are_shown_nowhere(server):
    """Neither the list of processes, nor the log, nor the configuration shows a password."""
    process = Path(f"/proc/{server.process.pid}")
    shown = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
    shown += (server.data / "redis" / "server.log").read_bytes() + (server.data / "redis" / "server.conf").read_bytes()

    assert server.access.writer.encode() not in shown
    assert server.access.reader.encode() not in shown
    assert server.access.writer not in repr(server)


@pytest.mark.parametrize("name", ["d" * 150, "a 'b' \"c\" #1 %41", "数据" * 10], ids=["long", "odd", "chinese"])
def test_any_path_will_do(tmp_path, name):
    """A data directory may have a path too long for a socket, or with spaces, quotes, signs and Chinese in it."""
    data = tmp_path / name / name / "data"

    server = EmbeddedServer.start(data)

    store = Store.open(server.url, 2)
    store.append(0, Ticked(at=1))
    store.close()
    socket = Path(server.access.socket)
    reachable = 0 if data in socket.parents else socket.parent.stat().st_mode & 0o077
    server.stop()
    assert len(os.fsencode(socket)) <= 107
    assert reachable == 0
    assert (data / "redis" / "appendonlydir").is_dir()


def test_a_long_path_keeps_its_socket(tmp_path):
    """A restart on a long path listens where it did before, so that clients find it again, and no folder is left behind."""
    data = tmp_path / ("d" * 150) / "data"
    sockets = []
    for _ in range(2):
        server = EmbeddedServer.start(data)
        sockets.append(server.access.socket)
        server.stop()

    assert sockets[0] == sockets[1]
    assert not Path(sockets[0]).parent.exists()


def test_passwords_last(server):
    """A restart keeps the passwords that dashboards were given."""
    before = access_of(server.data)
    server.stop()

    EmbeddedServer.start(server.data).stop()

    assert access_of(server.data) == before


def test_a_directory_of_an_older_release_gets_an_archiver(server):
    """A data directory that was made before there was an archive opens, keeps its passwords and has one more."""
    before = access_of(server.data)
    server.stop()
    kept = msgspec.json.decode((server.data / "access.json").read_bytes())
    del kept["archiver"]
    (server.data / "access.json").write_bytes(msgspec.json.encode(kept))

    EmbeddedServer.start(server.data).stop()

    after = access_of(server.data)
    assert (after.writer, after.reader) == (before.writer, before.reader)
    assert after.archiver not in {"", before.archiver}


def test_a_missing_program_is_named_and_locks_nothing(tmp_path):
    """A program that is not there is an error with its path, and the directory can be used afterwards."""
    with pytest.raises(ServerError, match="/nowhere/valkey-server"):
        EmbeddedServer.start(tmp_path / "data", Path("/nowhere/valkey-server"))

    EmbeddedServer.start(tmp_path / "data").stop()


def test_a_program_that_is_no_server_is_an_error(tmp_path):
    """A program that ends instead of answering is an error, not a wait."""
    with pytest.raises(ServerError, match="did not start"):
        EmbeddedServer.start(tmp_path / "data", Path("/bin/false"))


def test_without_any_program_it_says_what_to_install(monkeypatch):
    """On a platform without a bundled server and none on PATH, the error says what to do."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(ServerError, match="install valkey-server or redis-server, or set REDIS_URL"):
        binary()


def test_damaged_passwords_say_what_to_do(tmp_path):
    """A password file that cannot be read is an error that says how to go on."""
    (tmp_path / "access.json").write_bytes(b"")

    with pytest.raises(ServerError, match=r"delete .*access.json"):
        EmbeddedServer.start(tmp_path)


def test_a_directory_that_was_never_started_says_how_to(tmp_path):
    """Access to a directory without a store names the command that makes one."""
    with pytest.raises(ServerError, match="meterline up --data"):
        access_of(tmp_path)
