"""Work on what a caller wrote that may take long, in a process of its own: it is ended when it takes too long or too much memory.

A document can be small and still keep a processor busy. Here the API goes on answering meanwhile, and the work ends after a stated time.
"""

import asyncio
import resource
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

T = TypeVar("T")
MEMORY_BYTES_MAX = 2 << 30
START_SECONDS = 60.0
"""A process that begins has libraries to load first, and the machine may be busy."""


class TooLongError(Exception):
    """The work took too long, or more memory than it may."""


class Apart:
    """One process, begun when it is needed, that does one thing at a time. Functions and what they are given are pickled."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._one_at_a_time = asyncio.Lock()
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None

    async def run(self, work: Callable[..., T], *given: Any, **named: Any) -> T:
        """What a function gives. Raises the ValueError that it raises, and TooLongError."""
        # Shielded: when a caller goes away, the pipe is not free before the answer has come.
        answer: T = await asyncio.shield(self._in_turn(work, given, named))
        return answer

    async def _in_turn(self, work: Callable[..., Any], given: Any, named: Any) -> Any:
        async with self._one_at_a_time:
            return await asyncio.to_thread(self._run, work, given, named)

    def _run(self, work: Callable[..., Any], given: Any, named: Any) -> Any:
        pipe = self._pipe if self._process and self._process.is_alive() and self._pipe else self._begin()
        try:
            pipe.send((work, given, named))
            has_answered = pipe.poll(self._seconds)
            is_well, answer = pipe.recv() if has_answered else (False, TooLongError(f"more than {self._seconds:g} s"))
        except (EOFError, OSError):  # The system has ended it.
            has_answered, is_well, answer = False, False, TooLongError("too much memory")
        if not has_answered:
            self.close()
        if not is_well:
            raise answer
        return answer

    def _begin(self) -> Connection:
        self.close()
        context = get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_work, args=(other,), daemon=True)
        self._process.start()
        other.close()
        if not self._pipe.poll(START_SECONDS):
            raise EOFError("it does not begin")
        self._pipe.recv()
        return self._pipe

    def close(self) -> None:
        """End the process, if there is one."""
        if self._process:
            self._process.kill()
            self._process.join()
        if self._pipe:
            self._pipe.close()
        self._process = self._pipe = None


def _work(pipe: Connection) -> None:
    """Answer until nobody asks any more."""
    with suppress(OSError, ValueError):  # Not every system has this limit.
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    pipe.send(None)
    with suppress(EOFError, KeyboardInterrupt):
        while True:
            work, given, named = pipe.recv()
            try:
                answer = True, work(*given, **named)
            except ValueError as error:
                answer = False, ValueError(str(error))
            except (MemoryError, RecursionError) as error:
                answer = False, TooLongError(type(error).__name__)
            except Exception as error:  # noqa: BLE001 - a mistake of ours, which the API logs as one
                answer = False, RuntimeError(f"{type(error).__name__}: {error}")
            pipe.send(answer)
