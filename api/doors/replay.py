"""A session's replay: its events as they came, at a speed that the client chooses."""

from fastapi import APIRouter, Request, Response

from api.http.identity import Reader
from api.openapi import examples
from api.openapi.document import as_events, query, told
from api.openapi.parameters import LAST_ENTRY, SessionPath
from api.requests.session_lookup import find_session
from api.services import Services
from api.sessions.replay import Replay, read_begin, read_entry_id, read_speed
from api.sessions.streams import stream

router = APIRouter()

_SPEED = {"anyOf": [{"type": "number", "minimum": 0.1, "maximum": 100}, {"const": "max"}], "default": 1}


@router.get(
    "/v1/sessions/{session}/replay",
    **told(
        "sessions",
        "Replay a session",
        asks=(
            query("speed", "The speed as a multiple of the original pace, or `max`.", "2", **_SPEED),
            query(
                "from",
                "Where to begin: an entry's id, a turn's id, or milliseconds since the session's start.",
                "500",
            ),
            LAST_ENTRY,
        ),
        gives={
            200: as_events("The session's events come with what each of them released.", examples.REPLAYED),
            204: {},
        },
    ),
)
async def replay(request: Request, who: Reader, session: SessionPath) -> Response:
    """Replay a session's events with their original timing, each with what it released, and then `end`.

    The status is 204 if `Last-Event-ID` names the last event.
    """
    services: Services = request.app.state.services
    query, seen = request.query_params, request.headers.get("last-event-id")
    speed, begin = read_speed(query.get("speed", "1")), read_begin(query.get("from", ""))
    after = read_entry_id("Last-Event-ID", seen) if seen else None
    ref, _ = await find_session(services.sessions, services.hidden_names, who.tenant.id, session)
    played = Replay(services.recordings, ref, speed=speed, begin=begin, after=after)
    if not await played.open() and seen:
        return Response(status_code=204)  # all was seen: a browser's EventSource asks no more
    return await stream(services.readers.read(who.tenant.id, played.batches()), services.settings)
