-- Says that a turn is folded from now on, unless somebody else is at it, or it has cost two of those who were.
local folding = KEYS[1]
local turn, hold_ms = ARGV[1], tonumber(ARGV[2])
local lost = ARGV[3] == '1' or (ARGV[4] == '1' and redis.call('HEXISTS', folding, turn .. '|sweep') == 0)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local count, since = 0, 0
local held = redis.call('HGET', folding, turn)
if held then
  local number, ms = string.match(held, '^(%d+):(%d+)$')
  count, since = tonumber(number), tonumber(ms)
  if since <= now and now < since + hold_ms then return 'busy' end
end
if lost then count = count + 1 end
if count >= 2 then return 'park' end
redis.call('HSET', folding, turn, (count + 1) .. ':' .. string.format('%.0f', now))
return 'fold'
