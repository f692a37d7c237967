"""Child processes: started, watched, started again with growing pauses, and ended in order.

A child writes to a log file of its own. On Linux it ends with the process that started it, so that even a killed
supervisor leaves nothing running; elsewhere the children of a killed supervisor must be ended by hand.
"""

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

PAUSE_FIRST_SECONDS, PAUSE_MAX_SECONDS = 0.5, 30.0
STEADY_SECONDS = 60.0
"""A child that has run this long is started again at once when it ends."""
_ENDS_WITH_PARENT = """\
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # 1: PR_SET_PDEATHSIG
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""


def ending_with_parent(command: Sequence[str]) -> list[str]:
    """A command line that becomes `command` (its first word a path) and gets SIGTERM when this process dies."""
    if not sys.platform.startswith("linux"):
        return list(command)
    return [sys.executable, "-I", "-S", "-c", _ENDS_WITH_PARENT, str(os.getpid()), *command]


class HeldError(Exception):
    """A data directory is run by somebody else already; the message says by which process, and what to do."""


@contextmanager
def held(data: Path) -> Iterator[None]:
    """Be the only one who runs a data directory (made if missing), until the block or this process ends. Raises HeldError or OSError.

    The lock is not passed on to children, so it ends with this process however it ends.
    """
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError:
        raise HeldError(f"{data} is no folder: choose a data directory of your own with --data") from None
    with (data / "up.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            owner = lock.read().strip() or "starting"
            raise HeldError(
                f"{data} is run by process {owner} already: end that one first, or choose another --data"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


class Pauses:
    """How long to wait before something is started again: longer each time, and short again after a steady run."""

    def __init__(self) -> None:
        self._pause = PAUSE_FIRST_SECONDS
        self._started = 0.0
        self._again_at = 0.0

    def started(self) -> None:
        """It has been started."""
        self._started, self._again_at = time.monotonic(), 0.0

    def ended(self) -> float:
        """It is not running: how many seconds will be waited, if this was not known yet; else 0."""
        if self._again_at:
            return 0.0
        now = time.monotonic()
        is_steady = now - self._started > STEADY_SECONDS
        self._pause = PAUSE_FIRST_SECONDS if is_steady else min(2 * self._pause, PAUSE_MAX_SECONDS)
        self._again_at = now + self._pause
        return self._pause

    def is_over(self) -> bool:
        """Whether it is to be started again now."""
        return time.monotonic() >= self._again_at


@dataclass
class Child:
    """One child process by name."""

    name: str
    command: Sequence[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = None
    starts: int = 0
    _pauses: Pauses = field(default_factory=Pauses)

    def start(self) -> None:
        """Start it; its output goes to the end of its log file."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, **self.environment}
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(  # noqa: S603 - our own program
                ending_with_parent(self.command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                start_new_session=True,
            )
        self.starts += 1
        self._pauses.started()

    def is_running(self) -> bool:
        """Whether it runs now. May be asked in any thread."""
        return self.process is not None and self.process.returncode is None

    def watch(self) -> str:
        """Start it again if it has ended and its pause is over. Returns what there is to say, or nothing."""
        if self.process is None or self.process.poll() is None:
            return ""
        if pause := self._pauses.ended():
            return f"{self.name} ended with code {self.process.returncode}; starting it again in {pause:g} s (see {self.log})"
        if self._pauses.is_over():
            self.start()
        return ""

    def stop(self, seconds: float = 10.0) -> None:
        """End it: a request first, then by force."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def last_words(self, lines: int = 5) -> str:
        """The end of its log."""
        if not self.log.is_file():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def meterline_command(*arguments: str) -> list[str]:
    """The command line of another process of this installation."""
    return [sys.executable, "-m", "meterline", *arguments]
