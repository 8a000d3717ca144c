"""Admission: a turn gets all that it needs of its tenant's limits, or nothing, in one step.

A turn that was let in is watched over from that moment on: a process that dies right after it leaves a lease,
by which the sweep finds the turn, and an unsettled turn, whose reservation the settler gives back.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

import orjson

from common import keys, queue
from common.keys import TurnRef
from common.stores import Pipe, Stores
from common.tenants.config import Limits

MINUTE_MS = 60_000
Limit = Literal["", "turns", "live", "tokens", "sessions"]

_DATE = """
-- The date of a day counted from 1970, as YYYYMMDD: years begin in March here, eras have 400 of them.
local function date(days)
  local shifted = days + 719468
  local era = math.floor(shifted / 146097)
  local of_era = shifted - era * 146097
  local year = math.floor((of_era - math.floor(of_era / 1460) + math.floor(of_era / 36524)
    - math.floor(of_era / 146096)) / 365)
  local of_year = of_era - (365 * year + math.floor(year / 4) - math.floor(year / 100))
  local month = math.floor((5 * of_year + 2) / 153)
  local day = of_year - math.floor((153 * month + 2) / 5) + 1
  if month < 10 then month = month + 3 else month, year = month - 9, year + 1 end
  return string.format('%04d%02d%02d', year + era * 400, month, day)
end
"""

_ADMIT = (
    _DATE
    + """
local asked = cjson.decode(ARGV[1])
local most = asked.most
local starts_key, live_key, reserved_key, sessions_key, deleted_key = unpack(KEYS)
local MINUTE, DAY = 60000, 86400000
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
if most.turns > 0 then
  redis.call('ZREMRANGEBYSCORE', starts_key, '-inf', now_ms - MINUTE)
  starts = redis.call('ZCARD', starts_key)
  if starts >= most.turns then
    local leaving = starts - most.turns
    refuse('turns', redis.call('ZRANGE', starts_key, leaving, leaving, 'WITHSCORES')[2] + MINUTE - now_ms)
  end
end

if most.live > 0 then
  local live = redis.call('ZCARD', live_key)
  if live >= most.live and asked.supersedes and last_turn_is_live() then live = live - 1 end
  if live >= most.live then refuse('live', 1000) end
end

local today = math.floor(now_ms / DAY)
local day_left_ms = (today + 1) * DAY - now_ms
local tokens_key, used = asked.tokens_of .. date(today), 0
if most.tokens > 0 then
  local held = redis.call('HMGET', tokens_key, 'spent', 'reserved')
  used = (held[1] or 0) + (held[2] or 0)
  if used + asked.tokens > most.tokens then refuse('tokens', day_left_ms) end
end

local replaced = {}
if most.sessions > 0 and not redis.call('ZSCORE', sessions_key, asked.session) then
  local over = math.min(redis.call('ZCARD', sessions_key) + 1 - most.sessions, MOST_REPLACED)
  if over > 0 then
    replaced = at_rest(over)
    if #replaced < over then refuse('sessions', 1000) end
  end
end

if refused_by ~= '' then
  replaced = {}
else
  for _, command in ipairs(asked.list) do redis.call(unpack(command)) end
  if most.turns > 0 then
    redis.call('ZADD', starts_key, now_ms, asked.turn)
    redis.call('PEXPIRE', starts_key, MINUTE)
    starts = starts + 1
  end
  if most.tokens > 0 then
    redis.call('HSET', reserved_key, asked.turn, date(today) .. ':' .. string.format('%.0f', asked.tokens))
    redis.call('HINCRBY', tokens_key, 'reserved', asked.tokens)
    redis.call('PEXPIREAT', tokens_key, (today + 3) * DAY)
    used = used + asked.tokens
  end
  for _, session in ipairs(replaced) do
    redis.call('ZREM', sessions_key, session)
    redis.call('ZADD', deleted_key, asked.void_ms, session)
  end
end

local last = redis.call('ZRANGE', starts_key, -1, -1, 'WITHSCORES')[2]
local window_ms = last and last + MINUTE - now_ms or 0
return {refused_by, wait_ms, starts, window_ms, used, day_left_ms, unpack(replaced)}
"""
)

_TAKE_BACK = """
local unsettled_key, starts_key, reserved_key = unpack(KEYS)
local turn, tokens_of = unpack(ARGV)
redis.call('ZREM', starts_key, turn)
if redis.call('ZREM', unsettled_key, turn) == 0 then return end  -- it is settled
local day, tokens = string.match(redis.call('HGET', reserved_key, turn) or '', '(%d+):(%d+)')
if day then
  redis.call('HDEL', reserved_key, turn)
  redis.call('HINCRBY', tokens_of .. day, 'reserved', '-' .. tokens)
end
"""


@dataclass(frozen=True, slots=True)
class Ask:
    """What a turn needs. `tokens`: so many at most; `supersedes`: it ends its session's last turn."""

    turn: TurnRef
    limits: Limits
    tokens: int
    supersedes: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a tenant stands at one moment, from which all times count. `refused_by`: empty if it was let in.

    `wait_ms`: until what refused can have room; `starts` were let in within a minute, none of which counts
    any more in `window_ms`; `tokens` are used or reserved of the day, which ends in `day_left_ms`.
    `replaced`: sessions, quoted, that went for a new one; their events up to `void_ms` are void.
    """

    refused_by: Limit
    wait_ms: int
    starts: int
    window_ms: int
    tokens: int
    day_left_ms: int
    replaced: tuple[str, ...] = ()
    void_ms: int = 0

    def later(self, passed_ms: int) -> "Standing":
        """The same where nothing has happened for a while, within the same day."""
        wait_ms, window_ms = max(0, self.wait_ms - passed_ms), max(0, self.window_ms - passed_ms)
        day_left_ms = max(0, self.day_left_ms - passed_ms)
        return replace(self, wait_ms=wait_ms, window_ms=window_ms, day_left_ms=day_left_ms)


def is_limited(limits: Limits) -> bool:
    """Whether turns of this tenant must be let in."""
    return any((limits.turns_per_minute, limits.live_turns, limits.tokens_per_day, limits.sessions_kept))


async def admit(stores: Stores, ask: Ask, lease_ms: int) -> Standing:
    """Let a turn in, in one round trip, or take nothing. Raises STORE_ERRORS."""
    turn, limits, tenant = ask.turn, ask.limits, ask.turn.session.tenant
    void_ms = stores.log_clock.now_ms()
    asked = {
        "turn": str(turn),
        "session": turn.session.quoted,
        "tokens": ask.tokens,
        "supersedes": ask.supersedes,
        "most": {
            "turns": limits.turns_per_minute,
            "live": limits.live_turns,
            "tokens": limits.tokens_per_day,
            "sessions": limits.sessions_kept,
        },
        "tokens_of": keys.tokens(tenant, ""),
        "void_ms": void_ms,
        "list": _listing(stores, turn, lease_ms),
    }
    names = (
        keys.turn_starts(tenant),
        keys.live_turns(tenant),
        keys.reserved(tenant),
        keys.sessions(tenant),
        keys.deleted(tenant),
    )
    (reply,) = await stores.on_queue.run(
        lambda pipe: pipe.eval(_ADMIT, len(names), *names, orjson.dumps(asked).decode())
    )
    refused_by, wait_ms, starts, window_ms, tokens, day_left_ms, *replaced = reply
    return Standing(
        refused_by.decode(),
        wait_ms,
        starts,
        window_ms,
        tokens,
        day_left_ms,
        tuple(session.decode() for session in replaced),
        void_ms,
    )


def _listing(stores: Stores, turn: TurnRef, lease_ms: int) -> list[list[str]]:
    """What a start writes to the queue server, as commands for the script."""
    now_ms, pipe = stores.queue_clock.now_ms(), stores.queue.pipeline()
    queue.hold_turns(pipe, [turn], now_ms + lease_ms)
    queue.list_turn(pipe, turn, now_ms)
    commands: list[tuple[tuple[Any, ...], Any]] = pipe.command_stack
    return [[_text(part) for part in command] for command, _ in commands]


def _text(part: Any) -> str:
    return part.decode() if isinstance(part, bytes) else str(part)


async def take_back(stores: Stores, turn: TurnRef) -> None:
    """Give back what a turn was let in with that is not to be, if nobody has. Raises STORE_ERRORS."""
    tenant = turn.session.tenant
    names = (keys.UNSETTLED, keys.turn_starts(tenant), keys.reserved(tenant))

    def build(pipe: Pipe) -> None:
        pipe.eval(_TAKE_BACK, len(names), *names, str(turn), keys.tokens(tenant, ""))
        queue.drop_turn(pipe, turn)

    await stores.on_queue.run(build)
