"""A session's replay: its events as they came, at a speed that the client chooses."""

from fastapi import APIRouter, Request, Response

from api.identity import Reader
from api.known import find_session
from api.replay import Replay, read_begin, read_entry_id, read_speed
from api.services import Services
from api.streams import stream
from api.turns import store_is_away
from common.stores import STORE_ERRORS

router = APIRouter()


@router.get("/v1/sessions/{session}/replay")
async def replay(request: Request, who: Reader, session: str) -> Response:
    """The session's events with their original timing, and what each let out, as server-sent events."""
    services: Services = request.app.state.services
    query, seen = request.query_params, request.headers.get("last-event-id")
    speed, begin = read_speed(query.get("speed", "1")), read_begin(query.get("from", ""))
    after = read_entry_id("Last-Event-ID", seen) if seen else None
    ref, _ = await find_session(services.sessions, who.tenant.id, session)
    played = Replay(services.sessions, ref, speed=speed, begin=begin, after=after)
    try:
        if not await played.open() and seen:
            return Response(status_code=204)  # all was seen: a browser's EventSource asks no more
    except STORE_ERRORS:
        raise store_is_away() from None
    return await stream(played.batches(), services.settings)
