-- Lets a turn in with all that it needs of its tenant's limits, or takes nothing: see
-- api/limits/admission_script.py. A dry run only tells what would be refused.
local asked = cjson.decode(ARGV[1])
local most = asked.most
local starts_key, live_key, reserved_key, sessions_key, deleted_key, tokens_key, bytes_key, until_key, held_key =
  unpack(KEYS)
local MINUTE, HOUR, TWO_DAYS = 60000, 3600000, 172800000
local MOST_REPLACED = 100  -- so that a limit that was lowered never holds up the server

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local refused_by, wait_ms = '', 0

local function refuse(limit, ms)
  if refused_by == '' then refused_by, wait_ms = limit, ms end
end

local function session_of(member)
  return string.match(member, '^[^:]*')
end

-- Whether the session is in the midst of its last turn, which this one ends.
local function last_turn_is_live()
  local start = redis.call('ZSCORE', sessions_key, asked.session)
  local begun_then = start and redis.call('ZRANGE', live_key, start, start, 'BYSCORE') or {}
  for _, member in ipairs(begun_then) do
    if session_of(member) == asked.session then return true end
  end
  return false
end

-- The oldest sessions that no live turn is in, so many at most.
local function at_rest(count)
  local first_live = redis.call('ZRANGE', live_key, 0, 0, 'WITHSCORES')[2]
  -- A session stands in the index by its last turn's start, so these can have no live one.
  local before = first_live and '(' .. first_live or '+inf'
  local found = redis.call('ZRANGE', sessions_key, '-inf', before, 'BYSCORE', 'LIMIT', 0, count)
  if #found == count then return found end
  local live = redis.call('ZRANGE', live_key, 0, -1)
  local busy = {}
  for _, member in ipairs(live) do busy[session_of(member)] = true end
  found = {}
  for _, session in ipairs(redis.call('ZRANGE', sessions_key, 0, count + #live - 1)) do
    if #found < count and not busy[session] then found[#found + 1] = session end
  end
  return found
end

local starts = 0
if most.turns_per_minute > 0 then
  redis.call('ZREMRANGEBYSCORE', starts_key, '-inf', now_ms - MINUTE)
  redis.call('ZREMRANGEBYSCORE', starts_key, now_ms + MINUTE, '+inf')  -- from before the clock was set back
  starts = redis.call('ZCARD', starts_key)
  if starts >= most.turns_per_minute then
    local leaving = starts - most.turns_per_minute
    refuse('turns_per_minute', redis.call('ZRANGE', starts_key, leaving, leaving, 'WITHSCORES')[2] + MINUTE - now_ms)
  end
end

if most.live_turns > 0 then
  local live = redis.call('ZCARD', live_key)
  if live >= most.live_turns and asked.supersedes and last_turn_is_live() then live = live - 1 end
  if live >= most.live_turns then refuse('live_turns', 1000) end
end

local used = 0
if most.tokens_per_day > 0 then
  local held = redis.call('HMGET', tokens_key, 'spent', 'reserved')
  used = (held[1] or 0) + (held[2] or 0)
  if used + asked.tokens > most.tokens_per_day then refuse('tokens_per_day', asked.day_left_ms) end
end

local replaced = {}
if most.sessions_kept > 0 and not redis.call('ZSCORE', sessions_key, asked.session) then
  local over = math.min(redis.call('ZCARD', sessions_key) + 1 - most.sessions_kept, MOST_REPLACED)
  if over > 0 then
    replaced = at_rest(over)
    if #replaced < over then refuse('sessions_kept', 1000) end
  end
end

if most.kept_bytes > 0 then
  leave_out_lapsed(bytes_key, until_key)
  if (redis.call('HGET', bytes_key, '') or 0) + asked.bytes > most.kept_bytes then
    local first = redis.call('ZRANGE', until_key, 0, 0, 'WITHSCORES')[2] or now_ms
    refuse('kept_bytes', math.min(math.max(first - now_ms, 1000), HOUR))
  end
end

if refused_by ~= '' or asked.dry_run then
  replaced = {}
else
  for _, command in ipairs(asked.list) do redis.call(unpack(command)) end
  if most.turns_per_minute > 0 then
    redis.call('ZADD', starts_key, now_ms, asked.turn)
    redis.call('PEXPIRE', starts_key, MINUTE)
    starts = starts + 1
  end
  if most.tokens_per_day > 0 then
    redis.call('HSET', reserved_key, asked.turn, asked.day .. ':' .. string.format('%.0f', asked.tokens))
    redis.call('HINCRBY', tokens_key, 'reserved', asked.tokens)
    redis.call('PEXPIRE', tokens_key, asked.day_left_ms + TWO_DAYS)
    used = used + asked.tokens
  end
  if most.kept_bytes > 0 then
    redis.call('HSET', held_key, asked.turn, string.format('%.0f', asked.bytes))
    keep(bytes_key, until_key, asked.session, asked.bytes, asked.until_ms, asked.bytes_last_s)
  end
  for _, session in ipairs(replaced) do
    redis.call('ZREM', sessions_key, session)
    keep(bytes_key, until_key, session, -math.huge)
    redis.call('ZADD', deleted_key, asked.void_ms, session)
  end
end

local last = redis.call('ZRANGE', starts_key, -1, -1, 'WITHSCORES')[2]
local window_ms = last and last + MINUTE - now_ms or 0
return {refused_by, wait_ms, starts, window_ms, used, asked.day_left_ms, unpack(replaced)}
