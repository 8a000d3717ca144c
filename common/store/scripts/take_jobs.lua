-- Picks jobs up for a worker: see common/queue/fair_share.py.
-- A hint stands for a job: who takes more jobs than it has popped hints takes theirs away too. Who has no slot
-- left for what might be taken leaves a hint to the others.
-- A job's lease begins anew here: however long it has waited, from now on there is somebody to renew it.
-- A call whose reply was lost is made again under its own name, and is told what it has taken.
local queue, waiting, hints, workers, ready, running, in_progress, leases, last_call = unpack(KEYS)
local wanted, popped = tonumber(ARGV[2]), tonumber(ARGV[3])
local slots, share = tonumber(ARGV[4]), tonumber(ARGV[5])
local lease_ms, in_progress_ms, call = ARGV[6], ARGV[7], ARGV[8]
local LAST_CALL_MS = 60000
local KEPT_MS = 86400000  -- a slot whose lease lapsed in an outage is held again by who renews it

local told = redis.call('GET', last_call)
if told and string.sub(told, 1, #call + 1) == call .. '|' then
  local again = {}
  for job, score in string.gmatch(string.sub(told, #call + 2), '([^ ]+) ([^ ]+)\n') do
    again[#again + 1] = {job, score}
  end
  return again
end

local most = math.huge
if share < 1 then
  most = math.max(1, math.floor(math.max(slots, slots_of(workers, now)) * share))
end
local tenants, held = redis.call('ZRANGE', waiting, 0, -1), {}
for _, tenant in ipairs(tenants) do
  redis.call('ZREMRANGEBYSCORE', running .. tenant, '-inf', now - KEPT_MS)
  held[tenant] = redis.call('ZCOUNT', running .. tenant, now, '+inf')
end

local function next_place()
  local best
  for place, tenant in ipairs(tenants) do
    if held[tenant] < most and (not best or held[tenant] < held[tenants[best]]) then best = place end
  end
  return best
end

local taken, place = {}, next_place()
while place and #taken < wanted do
  local tenant = table.remove(tenants, place)
  local job = redis.call('LPOP', ready .. tenant)
  local score = job and redis.call('ZSCORE', queue, job)
  if score and redis.call('SET', in_progress .. job, '1', 'NX', 'PX', in_progress_ms) then
    taken[#taken + 1] = {job, score}
    held[tenant] = held[tenant] + 1
    redis.call('ZADD', running .. tenant, now + lease_ms, job)
    redis.call('ZADD', leases, 'XX', now + lease_ms, job)
  end
  popped = popped - 1
  if redis.call('EXISTS', ready .. tenant) == 1 then
    redis.call('ZADD', waiting, now, tenant)
    tenants[#tenants + 1] = tenant
  else
    redis.call('ZREM', waiting, tenant)
  end
  place = next_place()
end
if #tenants == 0 then
  redis.call('DEL', hints)
elseif popped < 0 then
  redis.call('LPOP', hints, -popped)
end
if place and redis.call('EXISTS', hints) == 0 then redis.call('RPUSH', hints, '') end
if #taken > 0 then
  local lines = {}
  for _, each in ipairs(taken) do lines[#lines + 1] = each[1] .. ' ' .. each[2] .. '\n' end
  redis.call('SET', last_call, call .. '|' .. table.concat(lines), 'PX', LAST_CALL_MS)
end
return taken
