-- Writes to a conversation if its head is still the one that the writer decided on.
-- KEYS: conversation, inbox, log, recorded, unfinished.
-- ARGV: the head that is expected, or nothing; the new head, or nothing where nothing is written; the run of which the record
-- is asked, or nothing; how long to keep the conversation in ms, 0 for ever; the due time, or nothing; the conversation's name;
-- 1 to be told what waits; 1 to be told the conversation where nothing is written. Then the changes, each: how many words, the
-- command, the number of its key, the words.
-- Returns 1 and what waits; or 0, the present head, the record and the conversation, as the script that loads it does.
local head = redis.call('HGET', KEYS[1], 'head')
local record = ARGV[3] ~= '' and redis.call('HGET', KEYS[4], ARGV[3])
if record or (head or '') ~= ARGV[1] then
  local loaded = false
  if head and not record and ARGV[8] == '1' then
    local snapshot, from, saved = unpack(redis.call('HMGET', KEYS[1], 'snapshot', 'from', 'saved'))
    loaded = {snapshot, saved, redis.call('HVALS', KEYS[2]), redis.call('LRANGE', KEYS[3], from or 0, -1)}
  end
  return {0, head, record, loaded}
end
if ARGV[2] ~= '' then
  redis.call('HSET', KEYS[1], 'head', ARGV[2])
  local at = 9
  while at <= #ARGV do
    local last = at + 2 + tonumber(ARGV[at])
    redis.call(ARGV[at + 1], KEYS[tonumber(ARGV[at + 2])], unpack(ARGV, at + 3, last))
    at = last + 1
  end
  if ARGV[5] ~= '' then
    redis.call('ZADD', KEYS[5], ARGV[5], ARGV[6])
  else
    redis.call('ZREM', KEYS[5], ARGV[6])
  end
  for part = 1, 4 do
    if ARGV[4] ~= '0' then
      redis.call('PEXPIRE', KEYS[part], ARGV[4])
    else
      redis.call('PERSIST', KEYS[part])
    end
  end
end
return {1, ARGV[7] == '1' and redis.call('HVALS', KEYS[2])}
