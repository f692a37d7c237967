"""Reading blocks in bytes, narrow: a log of readings is most of what a store holds, and the server copies each byte several times.

`uint32 n, uint32 columns`, then the columns meter, time, register, and by the bits of `columns` power (1), status (2), bands (4, n x 5
row by row). A column is `int64 base, uint8 width` and then for each value its distance from the base, the smallest, in so many
bytes: 0 where all are the same, 1, 2 or 4, little-endian and unsigned; with width 8 they are the values themselves, int64, and the base 0.
"""

import struct

import numpy as np
from numpy.typing import NDArray

from domain.facts import ReadingBlock

_HEADER = struct.Struct("<II")
_COLUMN = struct.Struct("<qB")
_POWER, _STATUS, _BANDS = 1, 2, 4
_WIDTHS = (0, 1, 2, 4)
READINGS_MAX = 4_000_000
"""Readings in one block: columns of nothing but one value would let damaged bytes claim any number."""


def block_bytes(block: ReadingBlock) -> bytes:
    """A block of at most READINGS_MAX readings as it is written."""
    assert len(block) <= READINGS_MAX
    optional = [(block.power, _POWER), (block.status, _STATUS), (block.bands, _BANDS)]
    present = [(column, bit) for column, bit in optional if column is not None]
    columns = [block.meter, block.time, block.register, *(column for column, _ in present)]
    header = _HEADER.pack(len(block), sum(bit for _, bit in present))
    return header + b"".join(part for column in columns for part in _column_bytes(column))


def _column_bytes(column: NDArray[np.int64]) -> tuple[bytes, bytes]:
    low, high = (int(column.min()), int(column.max())) if column.size else (0, 0)
    width = next((width for width in _WIDTHS if high - low < 1 << 8 * width), 8)
    if width == 8:
        return _COLUMN.pack(0, 8), np.ascontiguousarray(column, "<i8").tobytes()
    return _COLUMN.pack(low, width), (column - low).astype(f"<u{width}").tobytes() if width else b""


def block_of(body: bytes) -> ReadingBlock:
    """The block that was written. Raises ValueError, saying what is wrong, for bytes that are none."""
    if len(body) < _HEADER.size:
        raise ValueError("without a header")
    n, mask = _HEADER.unpack_from(body)
    if mask > (_POWER | _STATUS | _BANDS) or n > READINGS_MAX:
        raise ValueError(f"of {n} readings with columns {mask}")
    counts = [n, n, n, *(n * each for bit, each in ((_POWER, 1), (_STATUS, 1), (_BANDS, 5)) if mask & bit)]
    columns, at = [], _HEADER.size
    for count in counts:
        column, at = _column_at(body, at, count)
        columns.append(column)
    if at != len(body):
        raise ValueError(f"of {n} readings with columns {mask} ends at {at} of {len(body)} bytes")
    meter, time, register, *rest = columns
    power, status, bands = (rest.pop(0) if mask & bit else None for bit in (_POWER, _STATUS, _BANDS))
    return ReadingBlock(meter, time, register, power, status, None if bands is None else bands.reshape(n, 5))


def _column_at(body: bytes, at: int, count: int) -> tuple[NDArray[np.int64], int]:
    """A column of so many values that begins at a byte, and the byte after it."""
    start = at + _COLUMN.size
    if start > len(body):
        raise ValueError(f"ends at {len(body)} bytes, inside a column")
    base, width = _COLUMN.unpack_from(body, at)
    end = start + width * count
    if width not in (*_WIDTHS, 8) or end > len(body):
        raise ValueError(f"with a column of {count} values of {width} bytes in {len(body) - start} bytes")
    if width == 0:
        return np.full(count, base, np.int64), end
    if width == 8:
        return np.frombuffer(body, "<i8", count, start).astype(np.int64), end
    return np.frombuffer(body, f"<u{width}", count, start) + np.int64(base), end
