"""Sessions: listed, looked at, exported, deleted."""

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Request, Response

from api.identity import Admin, Reader
from api.known import find_session, no_session, session_ref
from api.listing import list_sessions, read_query, state_of
from api.replay import read_entry_id
from api.services import Services
from api.streams import RETRY, event_frame, stream
from api.tail import Tail
from api.turns import store_is_away
from common.keys import SessionRef
from common.recording import write_line
from common.stores import STORE_ERRORS
from common.turn_report import report_turn

router = APIRouter()

_SESSION = "/v1/sessions/{session}"
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@router.get("/v1/sessions")
async def list_all(request: Request, who: Reader) -> dict[str, Any]:
    """The sessions, those first whose last turn is the latest."""
    services: Services = request.app.state.services
    asked = read_query(request.query_params)
    try:
        return await list_sessions(services.stores, who.tenant.id, asked)
    except STORE_ERRORS:
        raise store_is_away() from None


@router.get(_SESSION)
async def look_at(request: Request, who: Reader, session: str) -> dict[str, Any]:
    """One session with its turns, the oldest first."""
    services: Services = request.app.state.services
    ref, known = await find_session(services.sessions, who.tenant.id, session)
    try:
        state, turns = await asyncio.gather(state_of(services.stores, ref), services.sessions.turns(ref))
    except STORE_ERRORS:
        raise store_is_away() from None
    reports = []
    for turn in turns:
        reports.append(report_turn(turn))
        await asyncio.sleep(0)  # the tokens of live turns go first
    return {
        "id": ref.session,
        "object": "session",
        "state": state,
        "first_turn_at": turns[0].start_ms if turns else None,
        "last_turn_at": known.last_turn_ms,
        "turns": reports,
    }


@router.get(f"{_SESSION}/events")
async def events(request: Request, who: Reader, session: str) -> Response:
    """The session's events: those that stand there as lines, or with those to come as server-sent events."""
    services: Services = request.app.state.services
    after = request.headers.get("last-event-id") or request.query_params.get("after") or ""
    if after:
        read_entry_id("after", after)
    ref, _ = await find_session(services.sessions, who.tenant.id, session)
    if "text/event-stream" not in request.headers.get("accept", ""):
        return await stream(services.sessions.lines(ref, after or "0-0"), services.settings, events=False)
    return await stream(_tail(services, ref, after or "0-0"), services.settings)


async def _tail(services: Services, session: SessionRef, after: str) -> AsyncGenerator[bytes, None]:
    tail = Tail(services.sessions, services.reader, session)
    yield RETRY
    async with aclosing(tail.pages(after)) as pages:
        async for page in pages:
            yield b"".join(event_frame(entry, write_line(entry).rstrip()) for entry in page)


@router.get(f"{_SESSION}/export")
async def export(request: Request, who: Reader, session: str) -> Response:
    """The session's events as a file, one a line."""
    services: Services = request.app.state.services
    ref, _ = await find_session(services.sessions, who.tenant.id, session)
    name = _UNSAFE.sub("_", ref.session).strip("._") or "session"
    headers = {"Content-Disposition": f'attachment; filename="{name}.jsonl"'}
    return await stream(services.sessions.lines(ref), services.settings, headers=headers, events=False)


@router.delete(_SESSION, status_code=204)
async def delete(request: Request, who: Admin, session: str) -> Response:
    """Delete the session, wherever anything of it is; its live turns end."""
    services: Services = request.app.state.services
    ref = session_ref(who.tenant.id, session)
    try:
        if not await services.sessions.delete(ref):
            raise no_session()
    except STORE_ERRORS:
        raise store_is_away() from None
    return Response(status_code=204)
