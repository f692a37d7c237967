"""Readings as an Arrow IPC stream, from a stranger: every column checked, nothing uncompressed.

A few bytes of a compressed stream can ask for any amount of memory. So its messages are looked through first, and a batch that says it is
compressed, or a dictionary, is refused before anything is decoded. pyarrow decodes: its reader is fuzzed by its makers, and a
changed byte made others end the process (docs/decisions/0021).
"""

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from domain.facts import ReadingBlock

REGISTERS = ("sharp", "peak", "flat", "valley", "deep_valley")
REQUIRED = ("meter", "time", "register")
OPTIONAL = ("power", "status", *REGISTERS)
_HEADER, _COMPRESSION = 8, 10
"""Places in the table of fields of a message, and in that of a record batch (Arrow's `Message.fbs`)."""
_BROKEN = (pa.ArrowException, OSError, UnicodeDecodeError, struct.error)


class ArrowUnreadable(ValueError):  # noqa: N818 - what it is to whoever sent it
    """A stream that is not taken; the message says what was expected."""


def block_of(stream: bytes, rows_max: int) -> ReadingBlock:
    """The readings of a stream, of all its batches.

    Columns: `meter`, `register` and, where the meters have them, `power`, `status` and the registers `sharp`, `peak`, `flat`, `valley` and
    `deep_valley`: integers; `time`: a timestamp in UTC, or integers of ms UTC. None may have a null; at most `rows_max` rows.
    Raises ArrowUnreadable.
    """
    try:
        _check_messages(stream)
        with pa.ipc.open_stream(pa.py_buffer(stream)) as batches:
            _check_names(batches.schema.names)
            table = pa.Table.from_batches(list(_bounded(batches, rows_max)), batches.schema)
        table.validate(full=True)
        columns = {name: _column(name, table[name]) for name in table.column_names}
    except _BROKEN as error:
        raise ArrowUnreadable(f"expected an Arrow IPC stream: {error}"[:300]) from None
    bands = np.stack([columns[name] for name in REGISTERS], axis=1) if REGISTERS[0] in columns else None
    return ReadingBlock(
        meter=columns["meter"], time=columns["time"], register=columns["register"],
        power=columns.get("power"), status=columns.get("status"), bands=bands,
    )  # fmt: skip


def _check_messages(stream: bytes) -> None:
    """Refuse what would have to be decompressed or looked up."""
    for message in pa.ipc.MessageReader.open_stream(pa.py_buffer(stream)):
        if message.type == "dictionary":
            raise ArrowUnreadable("expected no dictionaries: send plain integers")
        if message.type == "record batch" and _is_compressed(bytes(message.metadata)):
            raise ArrowUnreadable("expected no compression: send the stream uncompressed")


def _is_compressed(metadata: bytes) -> bool:
    """Whether a record batch's message says how its buffers are compressed. Raises struct.error where it is no message."""
    (message,) = struct.unpack_from("<I", metadata)
    header = message + _place(metadata, message, _HEADER)
    return bool(_place(metadata, header + struct.unpack_from("<I", metadata, header)[0], _COMPRESSION))


def _place(metadata: bytes, table: int, field: int) -> int:
    """Where a FlatBuffers table has a field, from its own place; 0: it has none."""
    fields = table - struct.unpack_from("<i", metadata, table)[0]
    (size,) = struct.unpack_from("<H", metadata, fields)
    return int(struct.unpack_from("<H", metadata, fields + field)[0]) if field < size else 0


def _check_names(names: list[str]) -> None:
    known = {*REQUIRED, *OPTIONAL}
    bands = [name for name in names if name in REGISTERS]
    if (
        not set(REQUIRED) <= set(names) <= known
        or len(set(names)) < len(names)
        or len(bands) not in {0, len(REGISTERS)}
    ):
        expected = (
            f"{', '.join(REQUIRED)}, and where the meters have them power, status, and all of {', '.join(REGISTERS)}"
        )
        raise ArrowUnreadable(f"expected the columns {expected}; got {', '.join(names)[:200]}")


def _bounded(batches: Any, rows_max: int) -> Iterator[Any]:
    rows = 0
    for each in batches:
        rows += each.num_rows
        if rows > rows_max:
            raise ArrowUnreadable(f"expected at most {rows_max:,} readings")
        yield each


def _column(name: str, column: Any) -> NDArray[np.int64]:
    """A column as int64; times as ms UTC."""
    is_time = name == "time" and pa.types.is_timestamp(column.type)
    if is_time and column.type.tz != "UTC":
        raise ArrowUnreadable("time: expected a timestamp in UTC, or integers of ms UTC")
    if not is_time and not pa.types.is_integer(column.type):
        raise ArrowUnreadable(f"{name}: expected integers, got {column.type}")
    if column.null_count:
        raise ArrowUnreadable(f"{name}: expected no nulls; leave out a column that is not known")
    try:
        whole = column.cast(pa.timestamp("ms", "UTC"), safe=False) if is_time else column
        numbers: NDArray[np.int64] = whole.cast(pa.int64()).to_numpy()
    except pa.ArrowInvalid:
        raise ArrowUnreadable(f"{name}: expected numbers below 2^63") from None
    return numbers
