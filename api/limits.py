"""How often: requests and orders of a caller, and denials of an address. Counted in this process, in windows that move.

Of a window, what was counted in the one before weighs as much as of it is still within reach: two numbers a caller, however often it comes.
"""

import math
import time

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from api.settings import ApiSettings


class Limits:
    """Each method counts one, and returns how many seconds to wait where that was too many; 0: go on. Made for one event loop."""

    def __init__(self, settings: ApiSettings) -> None:
        self._window = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._requests, self._orders = parse(settings.requests), parse(settings.orders)
        self._denials, self._logins = parse(settings.denials), parse(settings.logins)

    @property
    def orders_max(self) -> int:
        """How many orders a caller may give at once, if it has given none."""
        return int(self._orders.amount)

    async def requests(self, caller: str) -> int:
        """A request of a caller."""
        return await self._hit(self._requests, "requests", caller)

    async def orders(self, caller: str, count: int = 1) -> int:
        """An order of a caller: money, switching, a person's decision; or so many at once, all of them or none."""
        return await self._hit(self._orders, "orders", caller, count)

    async def denials(self, client: str) -> int:
        """A request of an address without a known token, or with a wrong password."""
        return await self._hit(self._denials, "denials", client)

    async def logins(self, login: str) -> int:
        """An attempt to sign in as somebody."""
        return await self._hit(self._logins, "logins", login)

    async def _hit(self, item: RateLimitItem, what: str, who: str, count: int = 1) -> int:
        if self._window.hit(item, what, who, cost=count):
            return 0
        reset, _ = self._window.get_window_stats(item, what, who)
        return max(1, math.ceil(reset - time.time()))
