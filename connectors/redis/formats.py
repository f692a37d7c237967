"""Formats of what is kept: log entries, packed rows, records, alarm messages. Each is versioned; golden bytes are tested.

A log entry has the fields `k` kind, `v` version, `b` body. A reading block's body is columns (`connectors.redis.blocks`); every
other body is the fact as a MessagePack map.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

import msgspec

from connectors.redis.blocks import block_bytes, block_of
from domain.alarm_message import LEVELS, AlarmMessage, AlarmText
from domain.alarm_text import alarm_texts
from domain.effects import Alarm
from domain.facts import RECORDS, Fact, ReadingBlock, Record
from domain.ids import meter_text
from domain.standing import key_of
from domain.state import AccountRecord
from domain.units import DAY_MS, money_text
from domain.words import SEVERITY, AlarmState

EARLIEST_MS, LATEST_MS = -62_135_596_800_000, 253_402_300_799_999
"""The first and last millisecond of the years 1 to 9999: what a date can say."""
_EPOCH = date(1970, 1, 1)

_DECODERS = {(fact.KIND, fact.VERSION): msgspec.msgpack.Decoder(fact) for fact in RECORDS}  # type: ignore[attr-defined]  # every Record states KIND
_pack = msgspec.msgpack.Encoder()


_REPAIR = "the log is damaged here; stop `settle` and restore the shard's log from a backup"


class FormatError(ValueError):
    """A log entry that this release cannot read: written by a later one, or damaged. Nothing after it may be folded."""


def encode_fact(fact: Fact) -> dict[str, str | bytes]:
    """The fields of a log entry."""
    if isinstance(fact, ReadingBlock):
        return {"k": fact.KIND, "v": str(fact.VERSION), "b": block_bytes(fact)}
    assert isinstance(fact, Record)
    return {"k": fact.KIND, "v": str(fact.VERSION), "b": _pack.encode(fact)}  # type: ignore[attr-defined]  # as above


def decode_fact(fields: Mapping[bytes, bytes]) -> Fact:
    """The fact in a log entry's fields. Raises FormatError."""
    try:
        kind, version, body = fields[b"k"].decode(), int(fields[b"v"]), fields[b"b"]
    except (KeyError, ValueError) as error:
        raise FormatError(f"not a log entry, its fields are {sorted(fields)}: {_REPAIR}") from error
    if (kind, version) == (ReadingBlock.KIND, ReadingBlock.VERSION):
        return _block(body)
    decoder = _DECODERS.get((kind, version))
    if decoder is None:
        raise FormatError(
            f"log entry of kind {kind!r} version {version}: written by a later release of Meterline? Update this one"
        )
    try:
        fact: Fact = decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise FormatError(f"log entry of kind {kind!r} version {version}: {error}: {_REPAIR}") from error
    return fact


def _block(body: bytes) -> ReadingBlock:
    try:
        return block_of(body)
    except ValueError as error:
        raise FormatError(f"reading block {error}: {_REPAIR}") from error


def pack(record: Any) -> bytes:
    """A record, or a list of them, as MessagePack."""
    return _pack.encode(record)


def key_bytes(value: str | int | bytes) -> bytes:
    """A record's key as a hash field."""
    return value if isinstance(value, bytes) else str(value).encode()


def key_value(kind: type, field: bytes) -> Any:
    """The key back from its hash field."""
    return field if kind is bytes else kind(field.decode())


def iso(at_ms: int) -> str:
    """ISO 8601 in UTC with milliseconds: `2026-01-01T08:00:00.000Z`; a time that no calendar has, as its nearest end."""
    day, within = divmod(min(max(at_ms, EARLIEST_MS), LATEST_MS), DAY_MS)
    seconds, ms = divmod(within, 1_000)
    minutes, second = divmod(seconds, 60)
    return f"{date_text(day)}T{minutes // 60:02}:{minutes % 60:02}:{second:02}.{ms:03}Z"


@lru_cache(maxsize=4_096)
def date_text(day: int) -> str:
    """`2026-01-31` of a number of days since 1970-01-01; few are asked for, and often."""
    return (_EPOCH + timedelta(days=day)).isoformat()


def alarm_message(alarm: Alarm, record: AccountRecord | None) -> AlarmMessage:
    """An alarm as foreign programs get it (docs/alarms.md). `record`: its account; None where that is not known."""
    place = record.place if record else None
    zh, en = alarm_texts(alarm, record)
    return AlarmMessage(
        v=1,
        id=alarm.id,
        about=key_of(alarm),
        kind=alarm.kind,
        level=LEVELS.get(alarm.kind, ""),
        severity=SEVERITY[alarm.kind],
        state=alarm.state,
        at=iso(alarm.at),
        recorded_at=iso(int(alarm.id.split("-")[1])),
        site=place.site if place else "",
        building=place.building if place else "",
        room=place.room if place else "",
        account=alarm.account,
        meter=meter_text(alarm.meter) if alarm.meter else "",
        currency=record.currency if record else "",
        balance=money_text(alarm.balance),
        threshold=money_text(alarm.threshold),
        repeat=alarm.repeat,
        reason=alarm.reason,
        amount=money_text(alarm.amount),
        cleared=alarm.state == AlarmState.CLEARED,
        text=AlarmText(zh=zh, en=en),
    )
