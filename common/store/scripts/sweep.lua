-- What a sweep has to look at: the time, the leases that have lapsed by it, and the turns past their deadline.
local leases, sweeping, deadlines = unpack(KEYS)
local count, longest_ms, hold_ms = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- From before the clock was set back: nobody would look at them for as long as that.
for _, held in ipairs(redis.call('ZRANGEBYSCORE', leases, now + longest_ms, '+inf', 'LIMIT', 0, count)) do
  redis.call('ZADD', leases, 'XX', now + longest_ms, held)
end
if redis.call('PTTL', sweeping) > hold_ms then redis.call('DEL', sweeping) end
local function upto_now(set) return redis.call('ZRANGEBYSCORE', set, '-inf', now, 'LIMIT', 0, count) end
return {time, upto_now(leases), upto_now(deadlines)}
