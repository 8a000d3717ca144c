-- Marks a turn as driven by the sweep, unless another took it over since the sweep claimed its lease.
if tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or 0) ~= tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[2], ARGV[1] .. '|sweep', '1')
return 1
