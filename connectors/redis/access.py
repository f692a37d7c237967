"""People, tokens, what waits for a second person, and the audit log, as they are kept. Nothing of it follows from the log; a backup has it.

The audit log is a stream that only grows. Each event carries `chain`, the blake2b-256 digest of the chain before it and its own bytes, so a
changed, missing or inserted event shows; `audit_head:{access}` is the last digest. Event and head are written in one step, and only
if the head is still the one that the digest was made from.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from connectors.redis.errors import StoreError
from connectors.redis.keys import ACKNOWLEDGEMENTS, APPROVALS, AUDIT, AUDIT_HEAD, PEOPLE, TOKEN_USES, TOKENS, alone_keys
from connectors.redis.live import LiveStore
from connectors.redis.together import Together
from domain.access import Acknowledgement, Approval, AuditEvent, Person, Token
from domain.ids import LOG_START, EntryId, entry_id, entry_text
from domain.units import DAY_MS

CHAIN_BEGIN = bytes(32)
ACKNOWLEDGED_MAX = 10_000
"""So many acknowledgements are kept; beyond it a tenth of them goes, those of what was said longest ago."""
_ATTEMPTS = 100
"""Of several API processes each may be ahead of us: so often at most."""

# KEYS[1] the stream, KEYS[2] its head; ARGV the head expected, the head after, the event. Returns whether it is written, and the head: that of whoever came first if not.
_APPEND = """\
local head = redis.call('GET', KEYS[2]) or ''
if head ~= ARGV[1] then return {0, head} end
redis.call('XADD', KEYS[1], '*', 'v', '1', 'b', ARGV[3], 'c', ARGV[2])
redis.call('SET', KEYS[2], ARGV[2])
return {1, ARGV[2]}
"""


ALONE_MS = DAY_MS
"""How long an amount that was ordered without a second person counts."""
# KEYS[1] ids by when they were ordered, KEYS[2] the amount of each and their `sum`; ARGV now, up to when is over, the most, an id, its amount.
# Returns whether the order is within. Amounts are below 2^53, which Lua counts exactly. An id counts once, with the most that it was ordered with.
_ALONE = """\
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], '-inf', ARGV[2], 'BYSCORE')) do
  redis.call('HINCRBY', KEYS[2], 'sum', '-' .. redis.call('HGET', KEYS[2], id))
  redis.call('HDEL', KEYS[2], id)
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[2])
local counted = tonumber(redis.call('HGET', KEYS[2], ARGV[4]) or '0')
local more = tonumber(ARGV[5]) - counted
if more <= 0 and counted > 0 then return 1 end
if tonumber(redis.call('HGET', KEYS[2], 'sum') or '0') + more > tonumber(ARGV[3]) then return 0 end
redis.call('ZADD', KEYS[1], ARGV[1], ARGV[4])
redis.call('HSET', KEYS[2], ARGV[4], ARGV[5])
redis.call('HINCRBY', KEYS[2], 'sum', string.format('%.0f', more))
for _, name in ipairs(KEYS) do redis.call('PEXPIRE', name, ARGV[1] - ARGV[2]) end
return 1
"""


def chained(before: bytes, packed: bytes) -> bytes:
    """The digest after an event."""
    return hashlib.blake2b((before or CHAIN_BEGIN) + packed, digest_size=32).digest()


class Access:
    """What is kept of who may come in. Raises StoreError."""

    def __init__(self, store: LiveStore) -> None:
        self._store = store
        self._head = b""
        self._recording = asyncio.Lock()
        self._people, self._tokens = Together(self._read_people), Together(self._read_tokens)

    async def person(self, login: str) -> Person | None:
        """A person, or None."""
        return await self._people.of(login)

    async def _read_people(self, logins: list[str]) -> list[Person | None]:
        found = await self._call("HMGET", PEOPLE, *logins)
        return [msgspec.msgpack.decode(packed, type=Person) if packed else None for packed in found]

    async def people(self) -> list[Person]:
        """Everybody, by login."""
        found = await self._call("HVALS", PEOPLE)
        return sorted((msgspec.msgpack.decode(each, type=Person) for each in found), key=lambda person: person.login)

    async def keep_person(self, person: Person, *, new: bool) -> bool:
        """Keep a person; if `new`, only where the login is free. Whether it was kept."""
        packed = msgspec.msgpack.encode(person)
        if new:
            return bool(await self._call("HSETNX", PEOPLE, person.login, packed))
        await self._call("HSET", PEOPLE, person.login, packed)
        return True

    async def token(self, number: str) -> Token | None:
        """A token by its id, or None."""
        return await self._tokens.of(number)

    async def _read_tokens(self, numbers: list[str]) -> list[Token | None]:
        found = await self._call("HMGET", TOKENS, *numbers)
        return [msgspec.msgpack.decode(packed, type=Token) if packed else None for packed in found]

    async def tokens(self) -> list[tuple[Token, int]]:
        """Every token with when it was used last, ms UTC, 0: never; the oldest first."""
        found, uses = await self._call("HVALS", TOKENS), await self._call("HGETALL", TOKEN_USES)
        tokens = sorted((msgspec.msgpack.decode(each, type=Token) for each in found), key=lambda token: token.id)
        return [(token, int(uses.get(token.id.encode(), 0))) for token in tokens]

    async def keep_token(self, token: Token) -> None:
        """Let a token be known from now on."""
        await self._call("HSET", TOKENS, token.id, msgspec.msgpack.encode(token))

    async def drop_token(self, number: str) -> bool:
        """Let a token be known no more. Whether it was."""
        await self._call("HDEL", TOKEN_USES, number)
        return bool(await self._call("HDEL", TOKENS, number))

    async def note_use(self, number: str, at: int) -> None:
        """A token is being used at `at`, ms UTC."""
        await self._call("HSET", TOKEN_USES, number, at)

    async def ask_approval(self, order: bytes, approval: Approval) -> Approval:
        """Let an order (16 bytes of its id) wait for a second person, unless it does already. Returns what waits."""
        await self._call("HSETNX", APPROVALS, order, msgspec.msgpack.encode(approval))
        kept = await self.approval(order)
        return kept or approval

    async def approval(self, order: bytes) -> Approval | None:
        """What waits under an order's id, or None."""
        packed = await self._call("HGET", APPROVALS, order)
        return msgspec.msgpack.decode(packed, type=Approval) if packed else None

    async def approvals(self) -> list[Approval]:
        """All that waits, in the order in which it was asked for."""
        found = [msgspec.msgpack.decode(each, type=Approval) for each in await self._call("HVALS", APPROVALS)]
        return sorted(found, key=lambda approval: (approval.asked_at, approval.id))

    async def replace_approval(self, order: bytes, approval: Approval) -> None:
        """What waits is about another amount now."""
        await self._call("HSET", APPROVALS, order, msgspec.msgpack.encode(approval))

    async def may_alone(self, caller: str, order: bytes, micros: int, most: int, now: int) -> bool:
        """Whether what a caller orders alone in 24 hours stays within `most` micros with this order, which then counts. Times in ms UTC.

        One step in the store, so that orders at the same time count together, whichever process has them. The same order again counts once.
        """
        return bool(await self._call("EVAL", _ALONE, 2, *alone_keys(caller), now, now - ALONE_MS, most, order, micros))

    async def drop_approval(self, order: bytes) -> None:
        """It has been decided about."""
        await self._call("HDEL", APPROVALS, order)

    async def acknowledge(self, seen: Acknowledgement) -> None:
        """Keep that somebody has seen an alarm, in place of who saw it before."""
        await self._call("HSET", ACKNOWLEDGEMENTS, seen.alarm, msgspec.msgpack.encode(seen))
        if await self._call("HLEN", ACKNOWLEDGEMENTS) > ACKNOWLEDGED_MAX:
            found = await self._call("HVALS", ACKNOWLEDGEMENTS)
            kept = sorted(
                (msgspec.msgpack.decode(each, type=Acknowledgement) for each in found), key=lambda each: each.until
            )
            await self._call("HDEL", ACKNOWLEDGEMENTS, *(each.alarm for each in kept[: ACKNOWLEDGED_MAX // 10]))

    async def acknowledgements(self, alarms: Sequence[str]) -> dict[str, Acknowledgement]:
        """Who has seen these alarms last, of those that anybody has seen."""
        if not alarms:
            return {}
        found = await self._call("HMGET", ACKNOWLEDGEMENTS, *alarms)
        decode = msgspec.msgpack.Decoder(Acknowledgement).decode
        return {alarm: decode(packed) for alarm, packed in zip(alarms, found, strict=True) if packed}

    async def record(self, event: AuditEvent) -> None:
        """Append an event to the audit log. When this returns it is on disk."""
        packed = msgspec.msgpack.encode(event)
        async with self._recording:  # Of this process one at a time: else all but one would be refused, and try again.
            for _ in range(_ATTEMPTS):
                after = chained(self._head, packed)
                written, self._head = await self._call("EVAL", _APPEND, 2, AUDIT, AUDIT_HEAD, self._head, after, packed)
                if written:
                    return
        raise StoreError("the audit log cannot be written: others are always first")

    async def events(self, before: EntryId | None, count: int) -> list[tuple[EntryId, AuditEvent, bytes]]:
        """Up to `count` events before a position, the newest first: position, event, chain after it."""
        if before == LOG_START:  # Nothing is before it, and the server refuses to look.
            return []
        newest = "(" + entry_text(before) if before else "+"
        found: Sequence[Any] = await self._call("XREVRANGE", AUDIT, newest, "-", "COUNT", count)
        return [
            (entry_id(entry.decode()), msgspec.msgpack.decode(fields[b"b"], type=AuditEvent), fields[b"c"])
            for entry, fields in found
        ]

    async def _call(self, command: str, *arguments: Any) -> Any:
        with self._store.answered():
            return await self._store.node_of(PEOPLE).execute_command(command, *arguments)
