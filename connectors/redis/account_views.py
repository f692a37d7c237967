"""An account with its meters as committed, found by the server in one step: no commit can come between its record and its rows."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from connectors.redis.keys import key
from domain.state import PAGES

ROW_PAGES = {
    name: [(page, part.stop - part.start) for page, (of, part) in PAGES.items() if of == name]
    for name in ("accounts", "meters")
}
"""Of the rows of accounts and of meters: the pages in the order of their bytes, and the bytes of a row in each."""

_KINDS = ("accounts", "meters")

_SIZES = [size for name in _KINDS for _, size in ROW_PAGES[name]]

# KEYS, for each shard: the records of accounts and of meters, then the pages of accounts' rows and of meters'. ARGV, for each shard: how many
# accounts, and their names. A record is a map of fields in their order; it is read only as far as needed, for the server's cmsgpack knows no bytes,
# which come later. Returns for each name false, or the record, the row, and record and row of each meter.
SCRIPT = f"""\
local of_accounts, sizes = {len(ROW_PAGES["accounts"])}, {{{", ".join(map(str, _SIZES))}}}
"""
SCRIPT += """\
local function field_of(packed, name)
  local at, field, value = packed:byte() == 0xde and 3 or 1
  repeat
    at, field = cmsgpack.unpack_one(packed, at)
    at, value = cmsgpack.unpack_one(packed, at)
  until field == name
  return value
end
local function row_of(packed, base, first, last)
  local row, parts = field_of(packed, 'row'), {}
  for page = first, last do
    local size = sizes[page]
    parts[#parts + 1] = redis.call('GETRANGE', KEYS[base + 2 + page], row * size, (row + 1) * size - 1)
  end
  return table.concat(parts)
end
local function view_of(name, base)
  local record = redis.call('HGET', KEYS[base + 1], name)
  if not record then return false end
  local view = {record, row_of(record, base, 1, of_accounts)}
  for _, meter in ipairs(field_of(record, 'meters')) do
    local kept = redis.call('HGET', KEYS[base + 2], string.format('%.0f', meter))
    if kept then view[#view + 1], view[#view + 2] = kept, row_of(kept, base, of_accounts + 1, #sizes) end
  end
  return view
end
local found, base, place = {}, 0, 1
while place <= #ARGV do
  local last = place + tonumber(ARGV[place])
  for name = place + 1, last do found[#found + 1] = view_of(ARGV[name], base) end
  base, place = base + 2 + #sizes, last + 1
end
return found
"""


def question(accounts: Mapping[int, Sequence[str]]) -> list[Any]:
    """The command that asks for accounts by shard, of one slot in a cluster. Its answer is a list with None or the packed parts of each."""
    keys = [name for shard in accounts for name in _keys_of(shard)]
    names = [word for asked in accounts.values() for word in (len(asked), *asked)]
    return ["EVAL_RO", _PACKED, len(keys), *keys, *names]


_PACKED = SCRIPT.encode()


@cache
def _keys_of(shard: int) -> list[bytes]:
    """Encoded once: that takes longer than the server does."""
    pages = [page for name in _KINDS for page, _ in ROW_PAGES[name]]
    return [key(name, shard).encode() for name in ("account_records", "meter_records", *pages)]
