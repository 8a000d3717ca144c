-- Gives back what a turn was let in with that is not to be.
local unsettled_key, starts_key, reserved_key, bytes_key, until_key, held_key = unpack(KEYS)
local turn, tokens_of, session = unpack(ARGV)
redis.call('ZREM', starts_key, turn)
if redis.call('ZREM', unsettled_key, turn) == 0 then return end  -- it is settled
local day, tokens = string.match(redis.call('HGET', reserved_key, turn) or '', '(%d+):(%d+)')
if day then
  redis.call('HDEL', reserved_key, turn)
  redis.call('HINCRBY', tokens_of .. day, 'reserved', '-' .. tokens)
end
local held = redis.call('HGET', held_key, turn)
if held then
  redis.call('HDEL', held_key, turn)
  keep(bytes_key, until_key, session, -held)
end
