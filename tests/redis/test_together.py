"""Reads that share a round trip."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from connectors.redis.together import Together


class Shelf:
    """A place to read from that notes what it was asked, and answers when it is let."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.free = asyncio.Event()
        self.number = 0

    async def read(self, keys: list[str]) -> list[str]:
        """Each key with how things stand when it is read."""
        self.asked.append(keys)
        await self.free.wait()
        if "bad" in keys:
            raise ValueError(keys)
        return [f"{key}{self.number}" for key in keys]


def played(play: Callable[[Shelf, Together[str, str]], Awaitable[Any]]) -> Any:
    """What a play on a new shelf returns."""

    async def on_a_shelf() -> Any:
        shelf = Shelf()
        return await play(shelf, Together(shelf.read))

    return asyncio.run(on_a_shelf())


async def asking(together: Together[str, str], *keys: str) -> list["asyncio.Task[str]"]:
    """Tasks that have asked and wait."""
    tasks = [asyncio.create_task(together.of(key)) for key in keys]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


def test_what_is_asked_meanwhile_is_read_together_and_once():
    """While one read is under way all others wait, and share the next."""

    async def play(shelf: Shelf, together: Together[str, str]) -> None:
        first = await asking(together, "a")
        others = await asking(together, "b", "c", "b")
        shelf.free.set()
        assert await asyncio.gather(*first, *others) == ["a0", "b0", "c0", "b0"]
        assert shelf.asked == [["a"], ["b", "c"]]

    played(play)


def test_an_answer_is_never_older_than_its_question():
    """A key that is being read already is read again for whoever asks now: in between it may have changed."""

    async def play(shelf: Shelf, together: Together[str, str]) -> None:
        before = await asking(together, "a")
        after = await asking(together, "a")
        shelf.free.set()
        await asyncio.gather(*before, *after)
        assert shelf.asked == [["a"], ["a"]]

    played(play)


def test_a_failure_is_everybodys_who_shares_the_read_and_nobody_elses():
    """Who asks next is answered again."""

    async def play(shelf: Shelf, together: Together[str, str]) -> None:
        shelf.free.set()
        failed = await asking(together, "bad", "a")
        for task in failed:
            with pytest.raises(ValueError, match="bad"):
                await task
        assert await together.of("a") == "a0"

    played(play)


def test_who_goes_away_takes_nobody_along():
    """A request that is given up leaves the others their answer."""

    async def play(shelf: Shelf, together: Together[str, str]) -> None:
        gone, stays = await asking(together, "a", "a")
        gone.cancel()
        shelf.free.set()
        assert await stays == "a0"
        assert gone.cancelled()

    played(play)
