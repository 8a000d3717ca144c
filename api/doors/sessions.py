"""Sessions: listed, looked at, exported, deleted."""

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, get_args

from fastapi import APIRouter, Request, Response

from api.admin.administration import note_deletion
from api.http.identity import Admin, Reader
from api.openapi import examples
from api.openapi.document import as_events, as_json, as_text, query, told
from api.openapi.parameters import AFTER_ENTRY, LAST_ENTRY, SessionPath
from api.requests.session_lookup import find_session, look_up, no_session
from api.schemas import Session, SessionList, State
from api.services import Services
from api.sessions.listing import HIGHEST_LIMIT, list_sessions, read_query, state_of
from api.sessions.replay import read_entry_id
from api.sessions.streams import LINES, RETRY, event_frame, stream
from api.sessions.tail import Tail
from common.names import SessionRef
from common.records.recording import write_line
from common.records.report import report_turn

router = APIRouter()

_SESSION = "/v1/sessions/{session}"
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")

_TIME: dict[str, Any] = {
    "anyOf": [
        {"type": "integer", "minimum": 0, "maximum": 10**15 - 1},
        {"type": "string", "format": "date-time"},
    ]
}
_LISTING = (
    query("state", "Returns only sessions in this state.", type="string", enum=list(get_args(State))),
    query(
        "after",
        "Returns only sessions whose last turn started at this time or later, in ms since 1970 or ISO 8601.",
        **_TIME,
    ),
    query("before", "Returns only sessions whose last turn started before this time.", **_TIME),
    query("q", "Returns only sessions whose name contains this text, ignoring case."),
    query(
        "limit",
        "The number of sessions to return at most.",
        50,
        type="integer",
        minimum=1,
        maximum=HIGHEST_LIMIT,
        default=50,
    ),
    query("cursor", "The `cursor` that the previous page returned."),
)


@router.get(
    "/v1/sessions",
    **told(
        "sessions", "List sessions", asks=_LISTING, gives={200: as_json(SessionList, page=examples.SESSIONS)}
    ),
)
async def list_all(request: Request, who: Reader) -> SessionList:
    """Return one page of the sessions, the latest first. A page may be short and still have `has_more`."""
    services: Services = request.app.state.services
    asked = read_query(request.query_params)
    return await list_sessions(services.stores, who.tenant.id, asked)


@router.get(
    _SESSION,
    **told("sessions", "Get a session", gives={200: as_json(Session, ended=examples.SESSION_REPORT)}),
)
async def look_at(request: Request, who: Reader, session: SessionPath) -> dict[str, Any]:
    """Return a session with all of its turns, the oldest first, including those that are still live."""
    services: Services = request.app.state.services
    ref, known = await find_session(services.sessions, services.hidden_names, who.tenant.id, session)
    with services.readers.reading(who.tenant.id):
        state, turns = await asyncio.gather(state_of(services.stores, ref), services.recordings.turns(ref))
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


@router.get(
    f"{_SESSION}/events",
    **told(
        "sessions",
        "Follow a session's events",
        asks=(LAST_ENTRY, AFTER_ENTRY),
        gives={
            200: as_text(LINES, "One event on each line.", examples.LINES)
            | as_events("The session's events, and those to come.", examples.ENTRY_EVENTS)
        },
    ),
)
async def events(request: Request, who: Reader, session: SessionPath) -> Response:
    """Return a session's events as lines; with `Accept: text/event-stream`, also new ones as they come."""
    services: Services = request.app.state.services
    after = request.headers.get("last-event-id") or request.query_params.get("after") or ""
    if after:
        read_entry_id("after", after)
    ref, _ = await find_session(services.sessions, services.hidden_names, who.tenant.id, session)
    if "text/event-stream" not in request.headers.get("accept", ""):
        lines = services.readers.read(who.tenant.id, services.recordings.lines(ref, after or "0-0"))
        return await stream(lines, services.settings, events=False)
    return await stream(_tail(services, ref, after or "0-0"), services.settings)


async def _tail(services: Services, session: SessionRef, after: str) -> AsyncGenerator[bytes, None]:
    tail = Tail(services.recordings, services.reader, session)
    yield RETRY
    async with aclosing(tail.pages(after)) as pages:
        async for page in pages:
            yield b"".join(event_frame(entry, write_line(entry).rstrip()) for entry in page)


@router.get(
    f"{_SESSION}/export",
    **told(
        "sessions",
        "Export a session",
        gives={200: as_text(LINES, "One event on each line.", examples.LINES)},
        headers={"Content-Disposition": {"schema": {"type": "string"}, "description": "The file's name."}},
    ),
)
async def export(request: Request, who: Reader, session: SessionPath) -> Response:
    """Return all of a session's events as a file, which `fast-reply replay` and `whatif` can read."""
    services: Services = request.app.state.services
    ref, _ = await find_session(services.sessions, services.hidden_names, who.tenant.id, session)
    name = _UNSAFE.sub("_", ref.session).strip("._") or "session"
    headers = {"Content-Disposition": f'attachment; filename="{name}.jsonl"'}
    lines = services.readers.read(who.tenant.id, services.recordings.lines(ref))
    return await stream(lines, services.settings, headers=headers, events=False)


@router.delete(_SESSION, status_code=204, **told("sessions", "Delete a session", gives={204: {}}))
async def delete(request: Request, who: Admin, session: SessionPath) -> Response:
    """Delete a session with everything that is kept of it. Its live turns end."""
    services: Services = request.app.state.services
    ref, known = await look_up(services.sessions, services.hidden_names, who.tenant.id, session)
    if known:
        await note_deletion(request, who, "session.deleted", ref.session)
    if not await services.sessions.delete(ref):
        raise no_session()
    return Response(status_code=204)
