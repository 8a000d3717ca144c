-- Takes turns that are due to be settled, and holds them for a while.
local now_ms, count, held_until_ms = unpack(ARGV)
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now_ms, 'LIMIT', 0, count)
for _, turn in ipairs(due) do redis.call('ZADD', KEYS[1], held_until_ms, turn) end
return due
