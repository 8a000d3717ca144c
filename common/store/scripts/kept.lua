-- Counts what a tenant's sessions keep, see common/log/kept_bytes.py. The sum of all stands under no name.
local MOST_LAPSED = 100  -- so that none of the counts ever holds up the server

-- Adds to what a session keeps; `until_ms`, where it is told, is when its log is gone.
local function keep(bytes_key, until_key, session, bytes, until_ms, lasts_s)
  local before = tonumber(redis.call('HGET', bytes_key, session) or 0)
  local after = math.max(0, before + bytes)
  if after ~= before then
    redis.call('HINCRBY', bytes_key, '', string.format('%.0f', after - before))
  end
  if after == 0 then
    redis.call('HDEL', bytes_key, session)
    redis.call('ZREM', until_key, session)
  else
    redis.call('HSET', bytes_key, session, string.format('%.0f', after))
    if until_ms then redis.call('ZADD', until_key, 'GT', string.format('%.0f', until_ms), session) end
  end
  if lasts_s then
    redis.call('EXPIRE', bytes_key, lasts_s)
    redis.call('EXPIRE', until_key, lasts_s)
  end
end

-- Leaves out the sessions whose logs are gone.
local function leave_out_lapsed(bytes_key, until_key)
  local now_ms = redis.call('TIME')[1] * 1000
  for _, session in ipairs(redis.call('ZRANGE', until_key, '-inf', now_ms, 'BYSCORE', 'LIMIT', 0, MOST_LAPSED)) do
    keep(bytes_key, until_key, session, -math.huge)
  end
end
