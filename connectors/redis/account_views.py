"""An account with its meters as committed, found by the server in one step: no commit can come between its record and its rows."""

from collections.abc import Sequence
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

# KEYS: the records of accounts and of meters, then the pages of accounts' rows and of meters'. ARGV: names of accounts.
# A record is a map of fields in their order; it is read only as far as needed, for the server's cmsgpack knows no bytes, which come later.
# Returns for each name false, or the record, the row, and record and row of each meter.
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
local function row_of(packed, first, last)
  local row, parts = field_of(packed, 'row'), {}
  for page = first, last do
    local size = sizes[page]
    parts[#parts + 1] = redis.call('GETRANGE', KEYS[2 + page], row * size, (row + 1) * size - 1)
  end
  return table.concat(parts)
end
local found = {}
for place = 1, #ARGV do
  local record = redis.call('HGET', KEYS[1], ARGV[place])
  if record then
    local view = {record, row_of(record, 1, of_accounts)}
    for _, meter in ipairs(field_of(record, 'meters')) do
      local kept = redis.call('HGET', KEYS[2], string.format('%.0f', meter))
      if kept then view[#view + 1], view[#view + 2] = kept, row_of(kept, of_accounts + 1, #sizes) end
    end
    found[#found + 1] = view
  else
    found[#found + 1] = false
  end
end
return found
"""


def ask(pipe: Any, shard: int, accounts: Sequence[str]) -> None:
    """Ask for accounts of a shard. The answer is a list with None or the packed parts of each."""
    pages = [page for name in _KINDS for page, _ in ROW_PAGES[name]]
    keys = [key(name, shard) for name in ("account_records", "meter_records", *pages)]
    pipe.execute_command("EVAL_RO", SCRIPT, len(keys), *keys, *accounts)
