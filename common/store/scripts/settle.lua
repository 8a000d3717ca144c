-- Settles a turn, once: see workers/accounting/settlement.py.
local unsettled_key, reserved_key, usage_key, used_key, redacting_key, bytes_key, until_key, held_key = unpack(KEYS)
local asked = cjson.decode(ARGV[1])
if redis.call('ZREM', unsettled_key, asked.turn) == 0 then return end  -- it is settled
local day, reserved = string.match(redis.call('HGET', reserved_key, asked.turn) or '', '(%d+):(%d+)')
if day then
  redis.call('HDEL', reserved_key, asked.turn)
  redis.call('HINCRBY', asked.tokens_of .. day, 'reserved', '-' .. reserved)
  redis.call('HINCRBY', asked.tokens_of .. day, 'spent', asked.tokens)
  redis.call('EXPIRE', asked.tokens_of .. day, asked.tokens_last_s, 'NX')  -- mostly who reserved has set it
end
local held = redis.call('HGET', held_key, asked.turn)
if held then redis.call('HDEL', held_key, asked.turn) end
leave_out_lapsed(bytes_key, until_key)
if asked.bytes > 0 then  -- else nothing is known of it: a new session may have its name
  keep(bytes_key, until_key, asked.session, asked.bytes - (held or 0), asked.until_ms, asked.bytes_last_s)
end
if asked.redact_ms > 0 then redis.call('ZADD', redacting_key, asked.redact_ms, asked.turn) end
for counter, number in pairs(asked.counts) do
  redis.call('HINCRBY', usage_key, counter, number)
end
if next(asked.counts) then
  redis.call('EXPIRE', usage_key, asked.usage_lasts_s)
  redis.call('SADD', used_key, asked.tenant)
end
