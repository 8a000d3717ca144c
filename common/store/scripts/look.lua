-- How busy a lane is: its slots, its jobs, and of each tenant with some waiting how many wait and run.
local queue, waiting, workers, ready, running = unpack(KEYS)
local tenants = {}
for _, tenant in ipairs(redis.call('ZRANGE', waiting, 0, -1)) do
  local holds = redis.call('ZCOUNT', running .. tenant, now, '+inf')
  tenants[#tenants + 1] = {tenant, redis.call('LLEN', ready .. tenant), holds}
end
return {slots_of(workers, now), redis.call('ZCARD', queue), tenants}
