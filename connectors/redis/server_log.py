"""What the embedded server writes, as events: it has a form of its own, and our logs have another."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_LINE = re.compile(r"(\d+):[A-Z] (\d+ \w{3} \d{4} \d\d:\d\d:\d\d\.\d{3}) ([.*#-]) (.*)")
_LEVELS = {".": "debug", "-": "debug", "*": "info", "#": "warning"}


@dataclass(frozen=True, slots=True)
class Said:
    """One line of the server. `at` is empty for one without a time, such as those of a crash report."""

    level: str
    text: str
    at: str = ""
    pid: int = 0


def said_in(line: str) -> Said:
    """What a line of the server says. A line of another form is a warning: the server writes such when it crashes."""
    if not (found := _LINE.fullmatch(line)):
        return Said("warning", line)
    pid, stamp, mark, text = found.groups()
    at = datetime.strptime(stamp, "%d %b %Y %H:%M:%S.%f").astimezone()
    utc = datetime.fromtimestamp(at.timestamp(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Said(_LEVELS[mark], text, utc, int(pid))


class ServerLog:
    """The server's log file, from its present end on."""

    def __init__(self, data: Path) -> None:
        self._file = data / "redis" / "server.log"
        self._read = self._file.stat().st_size if self._file.is_file() else 0

    def heard(self) -> list[Said]:
        """The whole lines that were written since the last call."""
        if not self._file.is_file():
            return []
        with self._file.open("rb") as log:
            log.seek(self._read)
            whole, end, _ = log.read().rpartition(b"\n")
        self._read += len(whole) + len(end)
        return [said_in(line) for line in whole.decode(errors="replace").splitlines() if line.strip()]
