"""JAICP's door: an `llmRequest`, answered with events made for speech."""

from fastapi import APIRouter, Request, Response

from api.body import read_asking_body
from api.cors import note_profile
from api.doors.chat import answer_whole, caller_of, stream_answer
from api.identity import Chat, in_bound_session
from api.jaicp import read_llm_request
from api.services import Services
from api.speakable import spoken_answer

router = APIRouter()


@router.post("/v1/llm-request")
async def llm_request(request: Request, who: Chat) -> Response:
    """Answer an `llmRequest` with an event a sentence, and one for calls; as JSON where only that will do."""
    services: Services = request.app.state.services
    headers = request.headers
    asked = read_llm_request(
        await read_asking_body(request, who.tenant, services),
        services.settings,
        who.tenant,
        session=headers.get("x-session-id") or headers.get("x-task-id"),
        stream=not _wants_json(headers.get("accept", "")),
        idempotency_key=headers.get("idempotency-key"),
        request_id=headers.get("x-request-id"),
        caller=caller_of(headers),
    )
    live = await services.turns.start(in_bound_session(who, asked))
    note_profile(request, live.started.profile)
    if asked.stream:
        return stream_answer(services, live)
    return await answer_whole(request, services, live, spoken_answer)


def _wants_json(accept: str) -> bool:
    """Whether nothing but JSON will do: many clients name it and take anything."""
    return "application/json" in accept and "*/*" not in accept and "text/event-stream" not in accept
