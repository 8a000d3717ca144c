"""JAICP's door: an `llmRequest`, answered with events made for speech."""

from functools import partial

from fastapi import APIRouter, Request, Response

from api.body import read_asking
from api.doors.answering import answer_turn
from api.doors.chat import caller_of
from api.http.cors import note_profile
from api.http.identity import Chat, as_asked_by
from api.openapi import examples
from api.openapi.document import TURN_HEADERS, TURN_REFUSED, as_events, as_json, told
from api.openapi.parameters import ASKING
from api.requests.jaicp import LlmRequest, read_llm_request
from api.schemas import LlmAnswer
from api.services import Services

router = APIRouter()


@router.post(
    "/v1/llm-request",
    **told(
        "chat",
        "Answer an llmRequest",
        asks=ASKING,
        takes=as_json(LlmRequest, profile=examples.LLM_REQUEST, own_server=examples.OWN_SERVER),
        gives={
            200: as_json(LlmAnswer, whole=examples.LLM_ANSWER)
            | as_events(
                "The answer comes as events: `sentence`, the tool calls, `error`, `end`.", examples.SENTENCES
            )
        },
        refuses=TURN_REFUSED,
        headers=TURN_HEADERS,
    ),
)
async def llm_request(request: Request, who: Chat) -> Response:
    """Answer JAICP's `llmRequest` with an event for each sentence, and one for all tool calls.

    The answer is one JSON object if `Accept` allows nothing but `application/json`.
    """
    services: Services = request.app.state.services
    headers = request.headers
    read = partial(
        read_llm_request,
        settings=services.settings,
        tenant=who.tenant,
        session=headers.get("x-session-id") or headers.get("x-task-id"),
        stream=not _wants_json(headers.get("accept", "")),
        idempotency_key=headers.get("idempotency-key"),
        request_id=headers.get("x-request-id"),
        caller=caller_of(headers),
    )
    asked = await read_asking(request, who.tenant, services, read)
    live = await services.start.run(as_asked_by(who, asked))
    note_profile(request, live.started.profile)
    return await answer_turn(request, services, live, stream=asked.stream)


def _wants_json(accept: str) -> bool:
    """Return True if the client takes nothing but JSON. Many clients name it and take anything."""
    return "application/json" in accept and "*/*" not in accept and "text/event-stream" not in accept
