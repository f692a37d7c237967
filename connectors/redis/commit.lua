-- One step of a shard: if its log position is still the one the batch started from, apply every write and move the position.
-- Otherwise write nothing: somebody else has committed, or we are repeating ourselves.
--
-- A script that fails in the middle is not undone. So permissions are asked for before the first write, and the streams,
-- which refuse an entry that they have had, come before the state. A tally that cannot be added to, for it is full, is left as it is.
--
-- KEYS[1] the position; KEYS[2 …] the keys written.
-- ARGV[1] position expected, ARGV[2] position after, then one group for each write:
--   command, index into KEYS, number of arguments, arguments …; index 0: the first argument is a channel, and one call is made for each of the others
--   RPUSH with three: what lists' names begin with, uint32 that end them, and as many values of one size, each for its list; at midnight every
--   account has one, and a group for each would take the worker ten times as long. The key is the first of the lists, which are all of one slot.
local position = redis.call('GET', KEYS[1]) or '0-0'
if position ~= ARGV[1] then
  return redis.error_reply('MOVED_ON the position is ' .. position .. ', not ' .. ARGV[1])
end
if redis.acl_check_cmd and not redis.acl_check_cmd('SET', KEYS[1], '') then
  return redis.error_reply('NOPERM this user may not SET ' .. KEYS[1])
end
local at, asked = 3, {}
while redis.acl_check_cmd and at <= #ARGV do
  local command, key, count = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local target = key == 0 and ARGV[at + 3] or KEYS[key]
  if not asked[command .. target] then
    asked[command .. target] = true
    if not redis.acl_check_cmd(command, target, '') then
      return redis.error_reply('NOPERM this user may not ' .. command .. ' ' .. target)
    end
  end
  at = at + 3 + count
end
local function push_to_each(begin, ends, values)
  local size = #values / (#ends / 4)
  for each = 0, #ends / 4 - 1 do
    redis.call('RPUSH', begin .. struct.unpack('<I4', ends, 4 * each + 1), string.sub(values, size * each + 1, size * (each + 1)))
  end
end
at = 3
while at <= #ARGV do
  local command, key, count = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  if key == 0 then
    for message = at + 4, at + 2 + count do
      redis.call(command, ARGV[at + 3], ARGV[message])
    end
  elseif command == 'RPUSH' then
    push_to_each(ARGV[at + 3], ARGV[at + 4], ARGV[at + 5])
  else
    local call = command == 'HINCRBY' and redis.pcall or redis.call
    call(command, KEYS[key], unpack(ARGV, at + 3, at + 2 + count))
  end
  at = at + 3 + count
end
redis.call('SET', KEYS[1], ARGV[2])
return ARGV[2]
