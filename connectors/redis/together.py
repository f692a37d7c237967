"""Reads of many requests in one round trip: what is asked for while another read is under way is sent as one when that is back.

Under load a round trip to the server costs a request more than all else it does; so many share one. A lone request waits for nobody.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Together(Generic[K, V]):
    """Answers for keys, by a function that reads many at once and returns their values in the same order.

    Guarantee: what a caller gets was read after it asked. A read that fails fails for all who share it. Made for one event loop.
    """

    def __init__(self, read: Callable[[list[K]], Awaitable[Sequence[V]]]) -> None:
        self._read = read
        self._waiting: dict[K, list[asyncio.Future[V]]] = {}
        self._reading: asyncio.Task[None] | None = None

    async def of(self, key: K) -> V:
        """The value for a key. Raises what the function raises."""
        asked: asyncio.Future[V] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, []).append(asked)
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read_on())
        return await asked

    async def _read_on(self) -> None:
        while self._waiting:
            waiting, self._waiting = self._waiting, {}
            try:
                values = await self._read(list(waiting))
            except Exception as error:  # noqa: BLE001 - whoever asked hears of it
                for asked in _still_asked(waiting):
                    asked.set_exception(error)
            except BaseException:
                for asked in _still_asked(waiting):
                    asked.cancel()
                raise
            else:
                found = dict(zip(waiting, values, strict=True))
                for key, asked_for in waiting.items():
                    for asked in asked_for:
                        if not asked.done():
                            asked.set_result(found[key])


def _still_asked(waiting: dict[K, list[asyncio.Future[V]]]) -> list[asyncio.Future[V]]:
    """Of those who wait; some may have gone."""
    return [asked for asked_for in waiting.values() for asked in asked_for if not asked.done()]
