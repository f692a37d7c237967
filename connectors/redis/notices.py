"""What `meterline notify` keeps: how far it has decided, what waits to be sent, what was given up, and what became of each notice.

All of it has one hash tag, `{notify}`, so that every change is one step in one slot. Each step is fenced: the alarms up to a position are decided once, by
compare-and-set on that position; and only the sender that started last may take and record, so that one that was believed dead changes nothing.
Alarms, accounts and sites are only read. Nothing here has an address or a secret in it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from connectors.redis.errors import StoreError, StoreMismatch
from connectors.redis.formats import pack
from connectors.redis.keys import (
    DELIVERIES,
    NOTICES,
    NOTICES_DEAD,
    NOTICES_DUE,
    NOTIFIED,
    RATE_MARKS,
    SITE,
    key,
)
from connectors.redis.nodes import Nodes
from connectors.redis.store import check_site, close, opened, translated
from domain.contacts import EVERYTHING, Contacts
from domain.effects import Alarm
from domain.ids import EntryId, entry_id, entry_text, shard_of
from domain.notices import Delivery, Notice, Result, Settled
from domain.state import AccountRecord, SiteRecord

DELIVERIES_KEPT = 100_000
"""About so many records of what became of a notice, the newest."""
DEAD_KEPT = 10_000
"""Notices that were given up; beyond it the oldest go, and are recorded as dropped."""
_SENDER = "sender"
_AT_ONCE = 1_000
_Alarms = msgspec.msgpack.Decoder(list[Alarm])
_Notice = msgspec.msgpack.Decoder(Notice)

# KEYS[1] notified, then the other keys; ARGV[1] its field that is the fence, ARGV[2] what it must hold, ARGV[3] what it holds then, and one group for each
# write: command, index into KEYS, number of arguments, arguments …
_STEP = """\
local fence = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if fence ~= ARGV[2] then
  return redis.error_reply('MOVED_ON another notifier is at work: ' .. ARGV[1] .. ' is ' .. fence .. ', not ' .. ARGV[2])
end
local at = 4
while at <= #ARGV do
  local count = tonumber(ARGV[at + 2])
  redis.call(ARGV[at], KEYS[tonumber(ARGV[at + 1])], unpack(ARGV, at + 3, at + 2 + count))
  at = at + 3 + count
end
if ARGV[3] ~= ARGV[2] then redis.call('HSET', KEYS[1], ARGV[1], ARGV[3]) end
return ARGV[3]
"""
_KEYS = (NOTIFIED, NOTICES, NOTICES_DUE, NOTICES_DEAD, RATE_MARKS, DELIVERIES)
# KEYS dead, due, notices; ARGV now, then id, notice … Let those that are still given up wait again. How many there were.
_RESEND = """\
local resent = 0
for each = 2, #ARGV, 2 do
  if redis.call('ZREM', KEYS[1], ARGV[each]) == 1 then
    redis.call('HSET', KEYS[3], ARGV[each], ARGV[each + 1])
    redis.call('ZADD', KEYS[2], ARGV[1], ARGV[each])
    resent = resent + 1
  end
end
return resent
"""

Write = tuple[str, str, tuple[Any, ...]]


class Notices:
    """A connection to what is kept of notices, and to the alarms of all shards. Not thread-safe. Raises StoreError; MovedOn if another notifier is at work."""

    def __init__(self, nodes: Nodes[Any], shards: int) -> None:
        self.shards = shards
        self._nodes = nodes
        self._sender = ""

    @classmethod
    def open(cls, url: str) -> "Notices":
        """Connect to a store that exists."""
        nodes = opened(url)
        try:
            with translated():
                site = nodes.of(SITE).hgetall(SITE)
            if not site:
                raise StoreMismatch(
                    "the store is empty; start `meterline up` or `meterline site --shards` first, they make it"
                )
            return cls(nodes, check_site(site))
        except StoreError:
            close(nodes)
            raise

    def close(self) -> None:
        """Give the connections back."""
        close(self._nodes)

    def _own(self) -> Any:
        return self._nodes.of(NOTIFIED)

    def _at(self, shard: int) -> Any:
        return self._nodes.of(key("alarms", shard))

    def begin(self, since_ms: int | None = None) -> None:
        """Begin at the end of every shard's alarms, or with those that entered the log at `since_ms` or later, where nobody has begun.

        Raises StoreMismatch for `since_ms` where somebody has.
        """
        with translated():
            begun = self._own().hgetall(NOTIFIED)
        fields = {f"{shard:02d}" for shard in range(self.shards)}
        if since_ms is not None and fields & {field.decode() for field in begun}:
            raise StoreMismatch("alarms of this store are being told already: --from is for the first start only")
        for shard, field in enumerate(sorted(fields)):
            position = self._end(shard) if since_ms is None else (max(since_ms - 1, 0), 2**63)
            with translated():
                self._own().hsetnx(NOTIFIED, field, entry_text(position))

    def _end(self, shard: int) -> EntryId:
        with translated():
            found = self._at(shard).xrevrange(key("alarms", shard), count=1)
        return entry_id(found[0][0].decode()) if found else (0, 0)

    def position(self, shard: int) -> EntryId:
        """Up to where a shard's alarms are decided."""
        with translated():
            return entry_id(self._own().hget(NOTIFIED, f"{shard:02d}").decode())

    def alarms(self, shard: int, after: EntryId, count: int) -> list[tuple[EntryId, list[Alarm]]]:
        """Up to `count` entries of a shard's alarms after a position."""
        with translated():
            found = self._at(shard).xrange(key("alarms", shard), "(" + entry_text(after), "+", count)
        return [(entry_id(entry.decode()), _Alarms.decode(fields[b"b"])) for entry, fields in found]

    def accounts(self, shard: int, accounts: Sequence[str]) -> dict[str, AccountRecord]:
        """The committed records of these accounts of a shard, by account."""
        with translated():
            found = self._at(shard).hmget(key("account_records", shard), accounts) if accounts else []
        records = [msgspec.msgpack.decode(packed, type=AccountRecord) for packed in found if packed]
        return {record.account: record for record in records}

    def sites(self, shard: int) -> dict[str, SiteRecord]:
        """All sites, as a shard knows them."""
        with translated():
            found = self._at(shard).hvals(key("site_records", shard))
        records = [msgspec.msgpack.decode(packed, type=SiteRecord) for packed in found]
        return {record.site: record for record in records}

    def strangers(self, contacts: Contacts) -> list[str]:
        """Accounts and sites that contacts name and the store does not know, sorted: misspelt, or not opened yet."""
        by_shard: dict[int, list[str]] = {}
        for account in {account for contact in contacts.people.values() for account in contact.accounts}:
            by_shard.setdefault(shard_of(account, self.shards), []).append(account)
        known = {account for shard, accounts in by_shard.items() for account in self.accounts(shard, accounts)}
        sites = {site for contact in contacts.people.values() for site in contact.sites} - {EVERYTHING}
        unknown = {account for accounts in by_shard.values() for account in accounts} - known
        return sorted(unknown | sites - self.sites(0).keys())

    def keep(self, shard: int, before: EntryId, after: EntryId, notices: Iterable[Notice], now: int) -> None:
        """A shard's alarms up to `after` are decided, and this is to be told from `now` on, ms UTC. In one step; raises MovedOn and changes nothing if others were first."""
        writes = [write for notice in notices for write in _waiting(notice, now)]
        self._step(f"{shard:02d}", entry_text(before), entry_text(after), writes)

    def take_over(self) -> dict[str, int]:
        """Be the one who sends, from now on. Returns the marks of the rates, by line."""
        with translated():
            self._sender = str(self._own().hincrby(NOTIFIED, _SENDER, 1))
            marks = self._own().hgetall(RATE_MARKS)
        return {line.decode(): int(mark) for line, mark in marks.items()}

    def due(self, now: int, count: int) -> list[str]:
        """Ids of up to `count` notices that are due, the first due first."""
        with translated():
            found = self._own().zrange(NOTICES_DUE, "-inf", now, byscore=True, offset=0, num=count)
        return [notice.decode() for notice in found]

    def notices(self, ids: Sequence[str]) -> list[Notice]:
        """Notices by id; those that are not kept any more are left out."""
        found: list[bytes | None] = []
        for first in range(0, len(ids), _AT_ONCE):
            with translated():
                found += self._own().hmget(NOTICES, ids[first : first + _AT_ONCE])
        return [_Notice.decode(packed) for packed in found if packed]

    def take(self, notices: Iterable[Notice], marks: Mapping[str, int]) -> None:
        """These, with this attempt counted, are about to be sent."""
        self._send_step([*(_body(each) for each in notices), *_marks(marks)])

    def record(self, settled: Iterable[Settled], marks: Mapping[str, int], later: Mapping[str, int]) -> None:
        """What became of notices; and `later`: those that only wait, with when, ms UTC. In one step."""
        writes = [*_marks(marks), *(("ZADD", NOTICES_DUE, (at, notice)) for notice, at in later.items())]
        for each in settled:
            writes += _settled(each)
        if writes:
            self._send_step(writes)

    def dead(self, count: int = DEAD_KEPT) -> list[Notice]:
        """Notices that were given up, the oldest first."""
        with translated():
            found = self._own().zrange(NOTICES_DEAD, 0, count - 1)
        return self.notices([notice.decode() for notice in found])

    def surplus(self) -> list[Notice]:
        """Of those that were given up, the ones beyond what is kept."""
        with translated():
            count = self._own().zcard(NOTICES_DEAD) - DEAD_KEPT
        return self.dead(count) if count > 0 else []

    def resend(self, notices: Iterable[Notice], now: int) -> int:
        """Let notices that were given up wait again, as if they had not been tried. Returns how many were."""
        words = [word for each in notices for word in (each.id, pack(msgspec.structs.replace(each, attempts=0)))]
        with translated():
            return int(self._own().eval(_RESEND, 3, NOTICES_DEAD, NOTICES_DUE, NOTICES, now, *words)) if words else 0

    def deliveries(self, count: int) -> list[Delivery]:
        """The newest records of what became of notices, the newest first."""
        with translated():
            found = self._own().xrevrange(DELIVERIES, count=count)
        return [msgspec.msgpack.decode(fields[b"b"], type=Delivery) for _, fields in found]

    def waiting(self) -> tuple[int, int, int]:
        """How many notices wait and how many were given up, and when the first is due, ms UTC; 0: none waits."""
        with translated():
            pipe = self._own().pipeline(transaction=False)
            pipe.zcard(NOTICES_DUE)
            pipe.zcard(NOTICES_DEAD)
            pipe.zrange(NOTICES_DUE, 0, 0, withscores=True)
            waiting, dead, first = pipe.execute()
        return waiting, dead, int(first[0][1]) if first else 0

    def _send_step(self, writes: Iterable[Write]) -> None:
        self._step(_SENDER, self._sender, self._sender, writes)

    def _step(self, field: str, before: str, after: str, writes: Iterable[Write]) -> None:
        words: list[Any] = [field, before, after]
        for command, name, arguments in writes:
            words += (command, _KEYS.index(name) + 1, len(arguments), *arguments)
        with translated():
            self._own().eval(_STEP, len(_KEYS), *_KEYS, *words)


def _body(notice: Notice) -> Write:
    return "HSET", NOTICES, (notice.id, pack(notice))


def _waiting(notice: Notice, at: int) -> list[Write]:
    return [_body(notice), ("ZADD", NOTICES_DUE, (at, notice.id))]


def _marks(marks: Mapping[str, int]) -> list[Write]:
    return [("HSET", RATE_MARKS, (line, mark)) for line, mark in marks.items()]


def _settled(each: Settled) -> list[Write]:
    notice, at = each.notice, each.delivery.at
    kept: Write = ("XADD", DELIVERIES, ("MAXLEN", "~", DELIVERIES_KEPT, "*", "v", "1", "b", pack(each.delivery)))
    if each.delivery.result == Result.FAILED:
        return [kept, *_waiting(notice, each.due)]
    waits_no_more: Write = ("ZREM", NOTICES_DUE, (notice.id,))
    if each.delivery.result == Result.DEAD:
        return [kept, _body(notice), waits_no_more, ("ZADD", NOTICES_DEAD, (at, notice.id))]
    return [kept, ("HDEL", NOTICES, (notice.id,)), waits_no_more, ("ZREM", NOTICES_DEAD, (notice.id,))]
