"""Columns of the archive's files, format 1: what a stream's entries are as a table, and a log's entries back, byte for byte.

Every table begins with an entry's id, `entry_ms` and `entry_sequence`. Then:

- `log`: one row for each entry: `fact` and `version` (fields `k` and `v`), and either `body` (`b`) as it is, or, of a reading block, its
  columns as lists and no body: the body is made again of them.
- `postings`, `usage`, `quarantined`: one row for each row of the entry (`domain.effects`), all fields but padding; postings also the
  `chain` after their entry.
- `alarms`, `commands`, `refused`: one row for each record of the entry, all fields.

Names and types are held by a test: a change needs another format, and the old one read as well.
"""

import io
from collections.abc import Iterator, Sequence
from enum import IntEnum, StrEnum
from itertools import accumulate, pairwise
from typing import Any, get_type_hints

import msgspec
import numpy as np
import polars as pl

from connectors.redis.formats import FormatError, decode_fact, encode_fact, pack
from connectors.redis.streams import Entry, Fields
from domain.effects import POSTING, QUARANTINED, USAGE, Alarm, Command
from domain.facts import ReadingBlock, ReadingRefused
from domain.ids import EntryId, entry_text

FORMAT = "1"
BANDS = ("sharp", "peak", "flat", "valley", "deep_valley")
"""Of a block's band registers, column by column."""
COLUMNS = ("meter", "time", "register", "power", "status", *BANDS)
"""Of a reading block: as many values as it has readings; null where the block has no such column."""
ROWS = {"postings": POSTING, "usage": USAGE, "quarantined": QUARANTINED}
RECORDS: dict[str, type[msgspec.Struct]] = {"alarms": Alarm, "commands": Command, "refused": ReadingRefused}

_ID: dict[str, Any] = {"entry_ms": pl.Int64, "entry_sequence": pl.Int64}
_WORDS: dict[str, Any] = {"fact": pl.String, "version": pl.String, "body": pl.Binary}
_INTEGERS = pl.List(pl.Int64)
_FIELDS = {"log": {b"k", b"v", b"b"}, "postings": {b"v", b"b", b"c"}}
_TYPES = ((bool, pl.Boolean), (IntEnum, pl.Int64), (int, pl.Int64), (StrEnum, pl.String), (str, pl.String))


def schema_of(stream: str) -> pl.Schema:
    """Names and types of a stream's columns, in their order."""
    if stream == "log":
        return pl.Schema({**_ID, **_WORDS, **dict.fromkeys(COLUMNS, _INTEGERS)})
    if stream in ROWS:
        fields = {name: _number(ROWS[stream][name]) for name in _names(ROWS[stream])}
        return pl.Schema({**_ID, **fields, **({"chain": pl.Binary} if stream == "postings" else {})})
    return pl.Schema({**_ID, **{name: _type(hint) for name, hint in _hints(RECORDS[stream]).items()}})


def _names(dtype: np.dtype[np.void]) -> list[str]:
    assert dtype.names is not None
    return [name for name in dtype.names if not name.startswith("pad")]


def _number(dtype: np.dtype[Any]) -> Any:
    return pl.Series(np.empty(0, dtype)).dtype


def _hints(record: type[msgspec.Struct]) -> dict[str, Any]:
    hints = get_type_hints(record)
    return {name: hints[name] for name in record.__struct_fields__}


def _type(hint: Any) -> Any:
    return next(found for kind, found in _TYPES if issubclass(hint, kind))


def file_of(stream: str, entries: Sequence[Entry]) -> bytes:
    """Entries of one stream as a Parquet file. The same entries give the same bytes. Raises FormatError."""
    for entry, fields in entries:
        if set(fields) != _FIELDS.get(stream, {b"v", b"b"}):
            raise FormatError(f"{stream} at {entry_text(entry)}: not an entry of ours, its fields are {sorted(fields)}")
    return written(frame_of(stream, entries))


def frame_of(stream: str, entries: Sequence[Entry]) -> pl.DataFrame:
    """Entries of one stream as the table that their file would hold."""
    return _FRAMES[stream](stream, entries)


def written(table: pl.DataFrame) -> bytes:
    """A table as a Parquet file that says its format."""
    output = io.BytesIO()
    table.write_parquet(output, metadata={"meterline_format": FORMAT})
    return output.getvalue()


def table_of(content: bytes, name: str) -> pl.DataFrame:
    """A Parquet file of ours. Raises FormatError for one of another format, or none; `name` is for the error."""
    try:
        found = pl.read_parquet_metadata(io.BytesIO(content)).get("meterline_format", "none")
    except pl.exceptions.PolarsError as error:
        raise FormatError(f"{name} is damaged ({error}): restore it from a backup of the archive") from error
    if found != FORMAT:
        raise FormatError(f"{name} has format {found}, this release reads {FORMAT}; use the release that wrote it")
    return pl.read_parquet(io.BytesIO(content))


def entries_of(stream: str, table: pl.DataFrame) -> Iterator[Entry]:
    """A table's entries as they were in the stream, byte for byte: effects as this release writes them. Raises FormatError."""
    return _ENTRIES[stream](stream, table)


def _log_entries(_: str, table: pl.DataFrame) -> Iterator[Entry]:
    columns = [_pieces(table[name]) for name in COLUMNS]
    words = table.select(*_ID, *_WORDS).iter_rows()
    blocks = zip(*columns, strict=True)
    for (milliseconds, sequence, fact, version, body), block in zip(words, blocks, strict=True):
        if body is None and version != str(
            ReadingBlock.VERSION
        ):  # A release that writes another one must still make this.
            raise FormatError(
                f"block at {milliseconds}-{sequence} is of version {version}: use the release that wrote it"
            )
        packed = _body(block) if body is None else body
        yield (milliseconds, sequence), {b"k": fact.encode(), b"v": version.encode(), b"b": packed}


def _pieces(lists: pl.Series) -> list[np.ndarray[Any, np.dtype[np.int64]] | None]:
    """Each list of a column as an array, or None."""
    lengths = lists.list.len().fill_null(0).to_list()
    values = lists.drop_nulls().explode().drop_nulls().to_numpy()
    spans = zip(accumulate(lengths, initial=0), lengths, lists.is_null().to_list(), strict=False)
    return [None if is_null else values[start : start + length] for start, length, is_null in spans]


def _body(block: Sequence[Any]) -> bytes:
    meter, time, register, power, status, *bands = block
    registers = None if bands[0] is None else np.stack(bands, axis=1)
    packed = encode_fact(ReadingBlock(meter, time, register, power, status, registers))["b"]
    assert isinstance(packed, bytes)
    return packed


def _log(stream: str, entries: Sequence[Entry]) -> pl.DataFrame:
    blocks = [_block(fields) for _, fields in entries]
    kept = [None if block else fields[b"b"] for block, (_, fields) in zip(blocks, entries, strict=True)]
    lists = [_lists([block[number] if block else None for block in blocks]) for number in range(len(COLUMNS))]
    columns = [*_ids(entries), _texts(entries, b"k"), _texts(entries, b"v"), kept, *lists]
    return pl.DataFrame(dict(zip(schema_of(stream), columns, strict=True)), schema_of(stream))


def _block(fields: Fields) -> list[Any] | None:
    """A reading block's columns; None for any other fact, and for bytes that they would not make again."""
    if (fields[b"k"], fields[b"v"]) != (ReadingBlock.KIND.encode(), str(ReadingBlock.VERSION).encode()):
        return None
    try:
        block = decode_fact(fields)
    except FormatError:  # Damaged: who folds it must say so. The archive keeps what there is.
        return None
    assert isinstance(block, ReadingBlock)
    bands = [None] * len(BANDS) if block.bands is None else list(block.bands.T)
    columns = [block.meter, block.time, block.register, block.power, block.status, *bands]
    return columns if _body(columns) == fields[b"b"] else None


def _lists(arrays: list[Any]) -> pl.Series:
    return pl.Series([None if each is None else pl.Series(each) for each in arrays], dtype=_INTEGERS)


def _rows(stream: str, entries: Sequence[Entry]) -> pl.DataFrame:
    dtype = ROWS[stream]
    counts = [len(fields[b"b"]) // dtype.itemsize for _, fields in entries]
    rows = np.frombuffer(b"".join(fields[b"b"] for _, fields in entries), dtype)
    columns = [np.repeat(ids, counts) for ids in _ids(entries)] + [rows[name] for name in _names(dtype)]
    if stream == "postings":
        chains = pl.Series([fields[b"c"] for _, fields in entries], dtype=pl.Binary)
        columns.append(chains.gather(np.repeat(np.arange(len(entries)), counts)))
    return pl.DataFrame(dict(zip(schema_of(stream), columns, strict=True)), schema_of(stream))


def _records(stream: str, entries: Sequence[Entry]) -> pl.DataFrame:
    decode = msgspec.msgpack.Decoder(list[RECORDS[stream]]).decode  # type: ignore[valid-type]  # the type is a value here
    records = [(entry, msgspec.to_builtins(each)) for entry, fields in entries for each in decode(fields[b"b"])]
    rows = [{"entry_ms": entry[0], "entry_sequence": entry[1], **record} for entry, record in records]
    return pl.DataFrame(rows, schema_of(stream))


def _row_entries(stream: str, table: pl.DataFrame) -> Iterator[Entry]:
    rows = np.zeros(len(table), ROWS[stream])
    for name in _names(rows.dtype):
        rows[name] = table[name].to_numpy()
    for entry, start, end in _spans(table):
        fields = {b"v": b"1", b"b": rows[start:end].tobytes()}
        yield entry, fields | ({b"c": table["chain"][start]} if stream == "postings" else {})


def _record_entries(stream: str, table: pl.DataFrame) -> Iterator[Entry]:
    records = msgspec.convert(table.select(*_hints(RECORDS[stream])).to_dicts(), list[RECORDS[stream]])  # type: ignore[valid-type]  # as above
    for entry, start, end in _spans(table):
        yield entry, {b"v": b"1", b"b": pack(records[start:end])}


def _spans(table: pl.DataFrame) -> Iterator[tuple[EntryId, int, int]]:
    """Each entry, and which rows are its own."""
    ids = table.select(*_ID).to_numpy()
    starts = np.flatnonzero(np.diff(ids, axis=0, prepend=-1).any(axis=1)).tolist()
    for start, end in pairwise([*starts, len(ids)]):
        yield (int(ids[start, 0]), int(ids[start, 1])), start, end


def _ids(entries: Sequence[Entry]) -> list[np.ndarray[Any, np.dtype[np.int64]]]:
    return [np.array([entry[part] for entry, _ in entries], np.int64) for part in (0, 1)]


def _texts(entries: Sequence[Entry], field: bytes) -> list[str]:
    return [fields[field].decode() for _, fields in entries]


_FRAMES = {"log": _log} | dict.fromkeys(ROWS, _rows) | dict.fromkeys(RECORDS, _records)
_ENTRIES = {"log": _log_entries} | dict.fromkeys(ROWS, _row_entries) | dict.fromkeys(RECORDS, _record_entries)
