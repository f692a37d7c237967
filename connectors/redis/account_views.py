"""An account with its meters as committed, found by the server in one step: no commit can come between its record and its rows."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from connectors.redis.keys import key
from domain.state import PAGES

ROW_PAGES = {
    name: [(page, part.stop - part.start) for page, (of, part) in PAGES.items() if of == name]
    for name in ("accounts", "meters")
}
"""Of the rows of accounts and of meters: the pages in the order of their bytes, and the bytes of a row in each."""

_KINDS = ("accounts", "meters")

_PAGES, _SIZES = zip(*(page for name in _KINDS for page in ROW_PAGES[name]), strict=True)


def _listed(values: Sequence[object]) -> str:
    return ", ".join(map(repr, values))


# KEYS: one of the first shard that is asked for; the others follow from the shards' numbers, and are of the same slot or server. ARGV[1]: the
# shards, each a list of its number in two digits and of accounts, packed; a key and an argument for each took the client half of its time. A record is a map of fields in their
# order; it is read only as far as needed, for the server's cmsgpack knows no bytes, which come later. Returns for each name false, or the
# record, the row, and record and row of each meter.
SCRIPT = f"""\
local of_accounts, sizes, names = {len(ROW_PAGES["accounts"])}, {{{_listed(_SIZES)}}}, {{{_listed(_PAGES)}}}
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
local function row_of(packed, shard, first, last)
  local row, parts = field_of(packed, 'row'), {}
  for page = first, last do
    local size = sizes[page]
    parts[#parts + 1] = redis.call('GETRANGE', names[page] .. shard, row * size, (row + 1) * size - 1)
  end
  return table.concat(parts)
end
local function view_of(account, shard)
  local record = redis.call('HGET', 'account_records' .. shard, account)
  if not record then return false end
  local view = {record, row_of(record, shard, 1, of_accounts)}
  for _, meter in ipairs(field_of(record, 'meters')) do
    local kept = redis.call('HGET', 'meter_records' .. shard, string.format('%.0f', meter))
    if kept then view[#view + 1], view[#view + 2] = kept, row_of(kept, shard, of_accounts + 1, #sizes) end
  end
  return view
end
local found = {}
for _, asked in ipairs(cmsgpack.unpack(ARGV[1])) do
  for account = 2, #asked do found[#found + 1] = view_of(asked[account], ':{' .. asked[1] .. '}') end
end
return found
"""


def question(accounts: Mapping[int, Sequence[str]]) -> list[Any]:
    """The command that asks for accounts by shard, of one slot in a cluster. Its answer is a list with None or the packed parts of each."""
    asked = _pack([(f"{shard:02d}", *names) for shard, names in accounts.items()])
    return ["EVAL_RO", _PACKED, 1, key("account_records", next(iter(accounts))), asked]


_PACKED = SCRIPT.encode()
_pack = msgspec.msgpack.Encoder().encode
