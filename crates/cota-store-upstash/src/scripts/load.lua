-- Reads what a turn starts from. KEYS: conversation, inbox, log.
local head, snapshot, from, saved = unpack(redis.call('HMGET', KEYS[1], 'head', 'snapshot', 'from', 'saved'))
if not head then
  return false
end
return {snapshot, saved, redis.call('HVALS', KEYS[2]), redis.call('LRANGE', KEYS[3], from or 0, -1)}
