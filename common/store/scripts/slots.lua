-- Goes before others: the time, and how many slots the workers that have beaten lately have.
local function slots_of(workers, now)
  local slots = 0
  for _, worker in ipairs(redis.call('ZRANGEBYSCORE', workers, now - tonumber(ARGV[1]), '+inf')) do
    slots = slots + (tonumber(string.match(worker, '|(%d+)$')) or 0)
  end
  return slots
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
