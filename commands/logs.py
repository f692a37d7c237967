"""How every process of ours says what happens: one line for each event, as JSON for programs or as text for people.

`meterline` configures this before it does anything else, so structlog, uvicorn, bytewax and every other library that uses
Python's `logging` write the same lines to the error stream: `timestamp` (UTC), `level`, `process`, `event`, and what the
event is about. METERLINE_LOG says which form; without it a terminal gets text, and a file or a pipe JSON.
"""

import json
import logging
import os
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

LOG_VARIABLE = "METERLINE_LOG"


class LogFormat(StrEnum):
    """The forms of a log line."""

    AUTO = "auto"
    JSON = "json"
    TEXT = "text"


class UnknownLogFormatError(Exception):
    """METERLINE_LOG says none of the forms; the message says which there are."""


def asked_format(environ: Mapping[str, str]) -> LogFormat:
    """What METERLINE_LOG asks for. Raises UnknownLogFormatError."""
    text = environ.get(LOG_VARIABLE) or LogFormat.AUTO
    try:
        return LogFormat(text)
    except ValueError:
        raise UnknownLogFormatError(f"{LOG_VARIABLE} is {text!r}: expected {', '.join(LogFormat)}") from None


def configure(process: str, asked: LogFormat, stream: TextIO) -> None:
    """Let everything in this process that logs write lines of one form to a stream."""
    is_json = asked == LogFormat.JSON or (asked == LogFormat.AUTO and not stream.isatty())
    first = [structlog.processors.add_log_level, _stamped, _named(process)]
    last = _as_json() if is_json else _as_text(is_terminal=stream.isatty())
    structlog.configure(processors=[*first, *last], logger_factory=structlog.PrintLoggerFactory(stream))
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=first, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last]
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def logger_to(stream: TextIO, process: str) -> Any:
    """A logger of another process's events: JSON lines to a stream of their own."""
    processors: list[Processor] = [structlog.processors.add_log_level, _stamped, _named(process), *_as_json()]
    return structlog.wrap_logger(structlog.PrintLogger(stream), processors=processors)


def format_of_files(environ: Mapping[str, str]) -> dict[str, str]:
    """What a process has in its environment whose lines go to a file: JSON, also for the words it ends with, unless text is asked for."""
    return {LOG_VARIABLE: LogFormat.TEXT if environ.get(LOG_VARIABLE) == LogFormat.TEXT else LogFormat.JSON}


def tell(sentence: str, level: str = "info") -> None:
    """Say something to whoever started this command: a plain sentence, or a line of JSON where JSON was asked for."""
    if os.environ.get(LOG_VARIABLE) == LogFormat.JSON:
        getattr(structlog.get_logger(), level)(sentence)
    else:
        sys.stderr.write(sentence + "\n")
        sys.stderr.flush()


def _stamped(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """With the time, unless it has one: what the server says has its own."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"timestamp": at, **event}


def _named(process: str) -> Callable[[WrappedLogger, str, EventDict], EventDict]:
    return lambda _, __, event: {"process": process, **event}


def _as_json() -> list[Processor]:
    return [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(lambda event, **options: json.dumps(event, ensure_ascii=False, **options)),
    ]


def _as_text(*, is_terminal: bool) -> list[Processor]:
    return [
        structlog.dev.ConsoleRenderer(colors=is_terminal, exception_formatter=structlog.dev.plain_traceback),
    ]
