"""How often: requests and orders of a caller, denials of an address, and attempts to be somebody, in windows that slide.

Of a window, what was counted in the one before weighs as much as of it is still within reach: two numbers a caller, however often it comes. A library
for that took a tenth of a request.
"""

import math
import re
import time

from api.settings import ApiSettings
from connectors.redis.windows import Windows

_RATE = re.compile(r"(\d{1,9})/(\d{1,6} ?)?(second|minute|hour|day)s?", re.ASCII)
_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
_ROUNDING = 1e-6
_KNOWN_MAX = 100_000
"""Callers that a window knows; beyond it those that have not come lately are forgotten."""


def parsed(rate: str) -> tuple[int, int]:
    """How many in how many seconds: of `500/second`, `12000/minute`, `10/15 minutes`. Raises ValueError."""
    found = _RATE.fullmatch(rate)
    if not found or int(found[1]) == 0 or int(found[2] or 1) == 0:
        raise ValueError(f"expected a rate such as 500/second or 12000/minute, not {rate!r}")
    return int(found[1]), int(found[2] or 1) * _SECONDS[found[3]]


class Window:
    """So many in so many seconds of each who comes, counted in this process."""

    def __init__(self, rate: str) -> None:
        self.most, self.seconds = parsed(rate)
        self._counted: dict[str, tuple[int, int, int]] = {}
        """By who comes: the number of the window that it came in last, what was counted in the one before, and in it."""

    def hit(self, who: str, count: int = 1) -> int:
        """Count so many, all or none. Returns how many seconds to wait where that was too many; 0: go on."""
        now = time.monotonic()
        number = int(now // self.seconds)
        begun, before, counted = self._counted.get(who, (number, 0, 0))
        if begun != number:
            before, counted = (counted if begun == number - 1 else 0), 0
        passed = now / self.seconds - number
        if before * (1 - passed) + counted + count > self.most + _ROUNDING:
            return self._wait(before, counted, count, passed)
        if len(self._counted) >= _KNOWN_MAX:
            self._counted = {each: kept for each, kept in self._counted.items() if kept[0] >= number - 1}
        self._counted[who] = number, before, counted + count
        return 0

    def _wait(self, before: int, counted: int, count: int, passed: float) -> int:
        """Seconds until so many more fit: when enough of the window before is out of reach, or in the next window enough of this one."""
        free = self.most - count
        fits_at = 1 - (free - counted) / before if before and counted <= free else 2 - max(free, 0) / max(counted, 1)
        return max(1, math.ceil((fits_at - passed) * self.seconds))


class Limits:
    """Each method counts one, and returns how many seconds to wait where that was too many; 0: go on. Made for one event loop.

    Requests are counted in this process, without asking anybody. What somebody may try, and what moves money or supply, all processes of the API
    count together; these raise StoreError.
    """

    def __init__(self, settings: ApiSettings, windows: Windows) -> None:
        self._requests, self._windows = Window(settings.requests), windows
        self._orders, self._denials, self._logins = map(parsed, (settings.orders, settings.denials, settings.logins))

    @property
    def orders_max(self) -> int:
        """How many orders a caller may give at once, if it has given none."""
        return self._orders[0]

    def requests(self, caller: str) -> int:
        """A request of a caller."""
        return self._requests.hit(caller)

    async def orders(self, caller: str, count: int = 1) -> int:
        """An order of a caller: money, switching, a person's decision; or so many at once, all of them or none."""
        return await self._windows.hit("orders", caller, *self._orders, count)

    async def denials(self, client: str) -> int:
        """A request of an address without a known token, or with a wrong password."""
        return await self._windows.hit("denials", client, *self._denials)

    async def logins(self, login: str) -> int:
        """An attempt to sign in as somebody."""
        return await self._windows.hit("logins", login, *self._logins)
