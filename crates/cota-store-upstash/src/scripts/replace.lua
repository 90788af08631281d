-- Writes a record of the ledger if it is what was expected. KEYS: the record, all names, all ends.
-- ARGV: name, now, 1 if a record is expected, its value, the new record, its end or nothing, how long Redis keeps it or nothing.
local kept = redis.call('GET', KEYS[1])
if kept then
  local ends, value = string.match(kept, '^(%d*):(.*)$')
  kept = (ends == '' or tonumber(ARGV[2]) < tonumber(ends)) and value
end
if ARGV[3] == '1' then
  if kept ~= ARGV[4] then
    return 0
  end
elseif kept then
  return 0
end
redis.call('SET', KEYS[1], ARGV[5])
redis.call('ZADD', KEYS[2], 0, ARGV[1])
if ARGV[6] ~= '' then
  redis.call('PEXPIRE', KEYS[1], ARGV[7])
  redis.call('ZADD', KEYS[3], ARGV[6], ARGV[1])
else
  redis.call('ZREM', KEYS[3], ARGV[1])
end
-- More ended names than the one that was added, so they do not pile up.
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', ARGV[2], 'LIMIT', 0, 4)) do
  redis.call('ZREM', KEYS[2], name)
  redis.call('ZREM', KEYS[3], name)
end
return 1
