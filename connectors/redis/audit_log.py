"""The audit log as it is read onward, for whoever ships it to another machine. It is written by `connectors.redis.access`."""

from typing import Any

import msgspec

from connectors.redis.access import chained
from connectors.redis.errors import StoreError
from connectors.redis.keys import AUDIT, SITE
from connectors.redis.store import check_site, close, opened, translated
from domain.access import AuditEvent
from domain.ids import LOG_START, EntryId, entry_id, entry_text

AT_ONCE = 500


class Position(msgspec.Struct, frozen=True):
    """Up to where the log was read: the last event, and the chain after it."""

    entry: EntryId = LOG_START
    chain: bytes = b""


class BrokenChainError(StoreError):
    """An event that does not follow from what was before it; the message says which."""


class AuditLog:
    """A connection to the audit log of a store. Raises StoreError."""

    def __init__(self, url: str) -> None:
        """Connect to a store that exists."""
        self._nodes = opened(url)
        with translated():
            site = self._nodes.of(SITE).hgetall(SITE)
        if site:
            check_site(site)

    def close(self) -> None:
        """Give the connections back."""
        close(self._nodes)

    def after(self, position: Position) -> list[tuple[Position, AuditEvent]]:
        """The next events, the oldest first, each held against the chain. Raises BrokenChainError."""
        with translated():
            found: Any = self._nodes.of(AUDIT).xrange(AUDIT, f"({entry_text(position.entry)}", "+", AT_ONCE)
        events = []
        for name, fields in found:
            position = _followed(position, entry_id(name.decode()), fields[b"b"], fields[b"c"])
            events.append((position, msgspec.msgpack.decode(fields[b"b"], type=AuditEvent)))
        return events


def _followed(before: Position, entry: EntryId, packed: bytes, chain: bytes) -> Position:
    if chained(before.chain, packed) != chain:
        was = entry_text(before.entry) if before.chain else "the beginning"
        raise BrokenChainError(
            f"the audit log is broken: event {entry_text(entry)} does not follow from {was}. "
            "Something was changed, taken away or put in between; compare with what was shipped before"
        )
    return Position(entry, chain)
