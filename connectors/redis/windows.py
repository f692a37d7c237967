"""Windows that slide, counted in the store: all processes of the API count together, and one that starts again forgets nothing.

Of a window, what was counted in the one before weighs as much as of it is still within reach: two numbers for each who comes. The server's
clock says the time.
"""

import hashlib

from connectors.redis.keys import window_key
from connectors.redis.live import LiveStore

# KEYS[1] the window of one who comes: number of the window that it came in last, what was counted in the one before, and in it.
# ARGV: the most, seconds of a window, how many now. Counts all or none. Returns 0, or how many seconds to wait: until enough of the window before
# is out of reach, or in the next window enough of this one.
_HIT = """\
local most, seconds, count = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
local number = math.floor(now / seconds)
local kept = redis.call('HMGET', KEYS[1], 'number', 'before', 'counted')
local begun, before, counted = tonumber(kept[1]) or number, tonumber(kept[2]) or 0, tonumber(kept[3]) or 0
if begun ~= number then
  before, counted = begun == number - 1 and counted or 0, 0
end
local passed = now / seconds - number
if before * (1 - passed) + counted + count > most + 1e-6 then
  local free, fits_at = most - count, 0
  if before > 0 and counted <= free then
    fits_at = 1 - (free - counted) / before
  else
    fits_at = 2 - math.max(free, 0) / math.max(counted, 1)
  end
  return math.max(1, math.ceil((fits_at - passed) * seconds))
end
redis.call('HSET', KEYS[1], 'number', number, 'before', before, 'counted', counted + count)
redis.call('EXPIRE', KEYS[1], 2 * seconds)
return 0
"""


class Windows:
    """What has been counted of whom. Raises StoreError."""

    def __init__(self, store: LiveStore) -> None:
        self._store = store

    async def hit(self, name: str, who: str, most: int, seconds: int, count: int = 1) -> int:
        """Count so many of `who`, all or none. Returns how many seconds to wait where that was too many; 0: go on.

        Whose window it is can be anything that a stranger sends, and is kept as a digest only.
        """
        kept = window_key(name, hashlib.blake2b(who.encode(errors="replace"), digest_size=16).hexdigest())
        with self._store.answered():
            return int(await self._store.node_of(kept).execute_command("EVAL", _HIT, 1, kept, most, seconds, count))
