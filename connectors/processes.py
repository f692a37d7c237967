"""Child processes: started, watched, started again with growing pauses, and ended in order.

A child writes to a log file of its own. On Linux it ends with the process that started it, so that even a killed
supervisor leaves nothing running; elsewhere the children of a killed supervisor must be ended by hand.
"""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
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


@dataclass
class Child:
    """One child process by name."""

    name: str
    command: Sequence[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = None
    starts: int = 0
    _pause: float = PAUSE_FIRST_SECONDS
    _started: float = 0.0
    _again_at: float = 0.0

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
        self._started = time.monotonic()
        self._again_at = 0.0

    def watch(self) -> str:
        """Start it again if it has ended and its pause is over. Returns what there is to say, or nothing."""
        if self.process is None or self.process.poll() is None:
            return ""
        now = time.monotonic()
        if not self._again_at:
            self._pause = (
                PAUSE_FIRST_SECONDS if now - self._started > STEADY_SECONDS else min(2 * self._pause, PAUSE_MAX_SECONDS)
            )
            self._again_at = now + self._pause
            return f"{self.name} ended with code {self.process.returncode}; starting it again in {self._pause:.0f} s (see {self.log})"
        if now >= self._again_at:
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
