"""A stored shard held against a fold of its log, byte by byte; a difference is told by its account or meter, and its field."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import numpy as np

from domain.records import Packed
from domain.state import RECORDS, ROWS, Rows, ShardHeader, StoredShard
from flows.state import ShardState


def state_wrong(state: ShardState, stored: StoredShard) -> Iterator[str]:
    """One sentence for each header field, row and record that is not what the fold gives. Takes the state's changes, which must be all there ever were."""
    changes = state.take_changes()
    tag = f"{{{stored.shard:02d}}}"
    yield from _header_wrong(f"header:{tag}", changes.header, stored.header)
    for name in ROWS:
        yield from _rows_wrong(name, tag, state, stored.rows[name])
    for name in RECORDS:
        made = {key: record for key, record in changes.records[name].items() if record is not None}
        yield from _records_wrong(f"{name}:{tag}", made, stored.records[name])


def _header_wrong(name: str, made: ShardHeader, kept: ShardHeader) -> Iterator[str]:
    for field in ShardHeader.__struct_fields__:
        must, has = getattr(made, field), getattr(kept, field)
        if must != has:
            yield f"{name}: {field} is {_shown(has)}, its log gives {_shown(must)}"


def _rows_wrong(name: str, tag: str, state: ShardState, kept: Rows) -> Iterator[str]:
    made: Rows = getattr(state, name).rows
    if len(made) != len(kept):
        yield f"{name}:{tag} has {len(kept)} rows, its log gives {len(made)}"
    both = min(len(made), len(kept))
    raw = [np.ascontiguousarray(rows[:both]).view(f"V{ROWS[name].itemsize}") for rows in (made, kept)]
    for row in np.flatnonzero(raw[0] != raw[1]).tolist():
        fields = [field for field in ROWS[name].names or () if made[row][field] != kept[row][field]]
        values = ", ".join(f"{field} is {kept[row][field]}, its log gives {made[row][field]}" for field in fields)
        yield f"{name}:{tag} row {row}{_whose(name, state, row)}: {values}"


def _whose(name: str, state: ShardState, row: int) -> str:
    if name in {"accounts", "account_terms"} and row < len(state.account_ids):
        return f" (account {state.account_ids[row]})"
    if name in {"meters", "meter_terms"}:
        return f" (meter {int(state.meter_terms.rows['number'][row]):012d})"
    return ""


def _records_wrong(name: str, made: Mapping[Any, Any], kept: Mapping[Any, Any]) -> Iterator[str]:
    for key in sorted({*made, *kept}):
        shown = _shown(key)
        if key not in kept:
            yield f"{name} has no {shown}, which its log gives"
        elif key not in made:
            yield f"{name} has {shown}, which its log does not give"
        elif (must := msgspec.msgpack.encode(made[key])) != (has := _packed(kept, key)):
            yield f"{name} {shown} is {_unpacked(has)}, its log gives {_unpacked(must)}"


def _packed(records: Mapping[Any, Any], key: Any) -> bytes:
    return records.packed(key) if isinstance(records, Packed) else msgspec.msgpack.encode(records[key])


def _unpacked(packed: bytes) -> str:
    try:
        return str(msgspec.msgpack.decode(packed))
    except msgspec.MsgspecError:
        return f"unreadable ({packed.hex()})"


def _shown(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
