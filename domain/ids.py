"""Names of things: order ids, account ids, meter numbers, log positions, and which shard they live in.

An order id is a ULID or a UUIDv7, made by the caller. Both are 128 bits that begin with the time in milliseconds, so the
machine can tell an id that it has forgotten (older than it keeps) from one that it has never seen.
"""

import re
import uuid
import zlib
from typing import NewType

from ulid import ULID

AccountId = NewType("AccountId", str)
MeterNumber = NewType("MeterNumber", int)
EntryId = tuple[int, int]
"""Position in a shard's log: (milliseconds, sequence) of the Redis stream."""

LOG_START: EntryId = (0, 0)
SHARDS_DEFAULT = 16
METER_NUMBER_MAX = 999_999_999_999

_ACCOUNT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def account_id(text: str) -> AccountId:
    """A valid account id. Raises ValueError: 1 to 64 letters, digits, `.`, `_` or `-`, the first a letter or digit."""
    if _ACCOUNT.fullmatch(text) is None:
        raise ValueError(
            f"account id {text!r}: expected 1 to 64 letters, digits, '.', '_' or '-', beginning with a letter or digit"
        )
    return AccountId(text)


def meter_number(text: str) -> MeterNumber:
    """A meter number of up to 12 digits. Raises ValueError otherwise, or for 0."""
    if not (text.isascii() and text.isdigit()) or len(text) > 12 or int(text) == 0:
        raise ValueError(f"meter number {text!r}: expected 1 to 12 digits, not all zero")
    return MeterNumber(int(text))


def meter_text(number: int) -> str:
    """The 12 digits printed on the meter."""
    return f"{number:012d}"


def order_id(text: str) -> bytes:
    """The 16 bytes of a ULID or UUIDv7. Raises ValueError for anything else."""
    try:
        if len(text) == 26:
            return bytes(ULID.from_str(text.upper()))
        parsed = uuid.UUID(text)
    except ValueError:
        parsed = None
    if parsed is None or parsed.version != 7:
        raise ValueError(f"id {text!r}: expected a ULID (26 characters) or a UUID version 7")
    return parsed.bytes


def order_time_ms(order: bytes) -> int:
    """When the caller made the id: ms UTC, the first 48 bits."""
    return int.from_bytes(order[:6], "big")


def shard_of(account: str, shards: int) -> int:
    """The shard of an account, and so of its meters."""
    return zlib.crc32(account.encode()) % shards


def shard_of_unknown_meter(number: int, shards: int) -> int:
    """Where a reading of a meter that no account owns is logged, to be quarantined there."""
    return zlib.crc32(meter_text(number).encode()) % shards


def entry_text(entry: EntryId) -> str:
    """Redis' text of a log position."""
    return f"{entry[0]}-{entry[1]}"


def entry_id(text: str) -> EntryId:
    """Parse `milliseconds-sequence`."""
    milliseconds, _, sequence = text.partition("-")
    return int(milliseconds), int(sequence or 0)
