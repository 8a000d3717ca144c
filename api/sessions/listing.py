"""The list of sessions: newest first, page by page, each page bounded work however many there are."""

import base64
import binascii
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import get_args
from urllib.parse import unquote

import orjson

from api.requests.paging import read_limit
from api.schemas import SessionHead, SessionList, State
from common.errors import BadRequest
from common.names import SessionRef
from common.store import keys
from common.store.redis import Pipeline, Stores

_PAGE = 500  # members of the index that are looked at in one go
_MOST = 5_000  # and in one request
HIGHEST_LIMIT = 200

Member = tuple[int, str]
"""A session in the index: when its last turn started, ms, and its quoted name. They are ordered by both."""


@dataclass(frozen=True, slots=True)
class SessionQuery:
    """The filter of a list of sessions. Times in ms since 1970, `after` included, `before` not."""

    state: State | None
    after_ms: int
    before_ms: int | None
    text: str
    limit: int
    cursor: Member | None

    def wants(self, member: Member) -> bool:
        """Return True if a session is one of those, its state and its place aside."""
        when, quoted = member
        in_time = self.after_ms <= when and (self.before_ms is None or when < self.before_ms)
        return in_time and self.text in unquote(quoted).casefold()


_FAR_MS = 10**15


def read_query(query: Mapping[str, str]) -> SessionQuery:
    """Read what a query asks for. Raises BadRequest with the parameter's name."""
    state = query.get("state")
    if state not in (None, *get_args(State)):
        raise BadRequest("state is live, ended or archived", param="state")
    after = query.get("after")
    before = query.get("before")
    return SessionQuery(
        state=state,  # type: ignore[arg-type]
        after_ms=_time_ms("after", after) if after else 0,
        before_ms=_time_ms("before", before) if before else None,
        text=query.get("q", "").casefold(),
        limit=read_limit(query, 50, HIGHEST_LIMIT),
        cursor=_read_cursor(query["cursor"]) if query.get("cursor") else None,
    )


def _time_ms(param: str, text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) < 16:
        return int(text)
    try:
        time = datetime.fromisoformat(text.replace(" ", "+"))  # a plus sign that was not quoted
    except ValueError:
        raise BadRequest(f"{param} is a time: ms since 1970, or ISO 8601", param=param) from None
    return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000)


def _write_cursor(member: Member) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(member)).decode().rstrip("=")


def _read_cursor(text: str) -> Member:
    try:
        when, quoted = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        if type(when) is int and 0 <= when < _FAR_MS and isinstance(quoted, str):
            return when, quoted
    except (ValueError, TypeError, binascii.Error):
        pass
    raise BadRequest("cursor is not one of ours", param="cursor")


async def list_sessions(stores: Stores, tenant: str, asked: SessionQuery) -> SessionList:
    """Return one page of the list. Raises StoreUnavailable."""
    live = await _live_sessions(stores, tenant)
    members = _of_live(stores, tenant, live) if asked.state == "live" else _of_index(stores, tenant, asked)
    found: list[SessionHead] = []
    last, looked_at = asked.cursor, 0
    async for page in members:
        fresh = [member for member in page if asked.cursor is None or member < asked.cursor]
        wanted = [member for member in fresh if asked.wants(member)]
        states = await _states(stores, tenant, wanted, live)
        for member, state in zip(wanted, states, strict=True):
            if asked.state not in (None, state):
                continue
            if len(found) == asked.limit:
                return _page(found, last)
            found.append(_row(member, state))
            last = member
        looked_at += len(fresh)
        if looked_at >= _MOST:
            return _page(found, fresh[-1])
    return _page(found, None)


def _page(found: list[SessionHead], last: Member | None) -> SessionList:
    cursor = _write_cursor(last) if last else None
    return SessionList(object="list", data=found, has_more=last is not None, cursor=cursor)


def _row(member: Member, state: State) -> SessionHead:
    return SessionHead(id=unquote(member[1]), object="session", state=state, last_turn_at=member[0])


async def _live_sessions(stores: Stores, tenant: str) -> set[str]:
    """The quoted names of the sessions with a live turn: as many as there are calls just now."""
    turns = await stores.queue.zrange(keys.live_turns(tenant), 0, -1)
    return {turn.decode().partition(":")[0] for turn in turns}


async def _of_live(stores: Stores, tenant: str, live: set[str]) -> AsyncIterator[list[Member]]:
    if not live:
        return
    names = sorted(live)
    scores = await stores.queue.zmscore(keys.sessions(tenant), names)
    members = [(int(when), name) for name, when in zip(names, scores, strict=True) if when is not None]
    yield sorted(members, reverse=True)


async def _of_index(stores: Stores, tenant: str, asked: SessionQuery) -> AsyncIterator[list[Member]]:
    """The index from the cursor on, in pages. Those with the score that a page ends with begin the next."""
    highest, done = "+inf", 0
    if asked.before_ms is not None:
        highest = f"({asked.before_ms}"
    if asked.cursor and (asked.before_ms is None or asked.cursor[0] < asked.before_ms):
        highest = str(asked.cursor[0])
    while True:
        raw = await stores.queue.zrevrangebyscore(
            keys.sessions(tenant), highest, asked.after_ms, start=done, num=_PAGE, withscores=True
        )
        page = [(int(when), quoted.decode()) for quoted, when in raw]
        yield page
        if len(page) < _PAGE:
            return
        # New turns move sessions to the front; counted from a score they change nothing.
        last = page[-1][0]
        ties = sum(when == last for when, _ in page)
        done = done + ties if highest == str(last) else ties
        highest = str(last)


async def _states(stores: Stores, tenant: str, members: list[Member], live: set[str]) -> list[State]:
    """The state of each session."""
    idle = [quoted for _, quoted in members if quoted not in live]

    def build(pipe: Pipeline) -> None:
        for quoted in idle:
            pipe.exists(keys.log(SessionRef(tenant, unquote(quoted))))

    logs = dict(zip(idle, await stores.on_log.run(build) if idle else [], strict=True))
    return ["live" if quoted in live else "ended" if logs[quoted] else "archived" for _, quoted in members]


async def state_of(stores: Stores, session: SessionRef) -> State:
    """The state of a session that there is. Raises StoreUnavailable."""
    live = await _live_sessions(stores, session.tenant)
    (state,) = await _states(stores, session.tenant, [(0, session.quoted)], live)
    return state
