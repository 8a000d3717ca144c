"""The OpenAI door: Chat Completions, streaming and not; CloudBase's function speaks it on `/` too."""

from functools import partial

from fastapi import APIRouter, Request, Response
from starlette.datastructures import Headers

from api.body import read_asking
from api.doors.answering import answer_turn
from api.http.cors import note_profile
from api.http.identity import Chat, Identity, as_asked_by, is_ours
from api.openapi import examples
from api.openapi.document import TURN_HEADERS, TURN_REFUSED, as_events, as_json, told
from api.openapi.parameters import ASKING, LANES
from api.requests.turn_request import ChatRequest, TurnRequest, bounded, read_chat
from api.schemas import ChatCompletion
from api.services import Services

router = APIRouter()

_TENCENTS_CALLER = {
    "request_id": "x-request-id",
    "user_id": "x-user-id",
    "room_id": "x-room-id",
    "room_id_type": "x-room-id-type",
    "sdk_app_id": "x-sdk-app-id",
}


@router.post(
    "/v1/chat/completions",
    **told(
        "chat",
        "Answer a conversation",
        asks=(*ASKING, LANES),
        takes=as_json(
            ChatRequest,
            plain=examples.QUESTION,
            streamed=examples.STREAMED,
            tools=examples.WITH_TOOLS,
            knowledge=examples.FROM_KNOWLEDGE,
        ),
        gives={
            200: as_json(ChatCompletion, whole=examples.COMPLETION)
            | as_events("The answer comes as chunks, in server-sent events.", examples.CHUNKS)
        },
        refuses=TURN_REFUSED,
        headers=TURN_HEADERS,
    ),
)
@router.post("/chat/completions", include_in_schema=False)
@router.post("/", include_in_schema=False)
async def chat_completions(request: Request, who: Chat) -> Response:
    """Answer a conversation: the draft speaks at once, and the full model takes over.

    The body is that of OpenAI's Chat Completions. The answer is streamed if it sets `stream`, or if `Accept`
    is `text/event-stream`. Fields that this server doesn't know are passed on to the full model. Its own
    options are in `fast_reply`.
    """
    return await answer(request, who)


async def answer(request: Request, who: Identity, *, rag: bool = False) -> Response:
    """Answer a Chat Completions request; with `rag` from the tenant's knowledge."""
    services: Services = request.app.state.services
    asked = await read_asked(request, who, services, rag=rag)
    live = await services.start.run(asked)
    note_profile(request, live.started.profile)
    return await answer_turn(request, services, live, stream=asked.stream)


async def read_asked(
    request: Request, who: Identity, services: Services, *, rag: bool = False
) -> TurnRequest:
    """The turn that a request asks for. Raises BadRequest, TooLarge, RateLimited, Forbidden."""
    headers = request.headers
    read = partial(
        read_chat,
        tenant=who.tenant.id,
        session=headers.get("x-session-id") or headers.get("x-task-id"),
        stream="text/event-stream" in headers.get("accept", ""),
        lanes=headers.get("x-fast-reply-lanes", "0") not in ("", "0"),
        idempotency_key=headers.get("idempotency-key"),
        request_id=headers.get("x-request-id"),
        rag=rag,
        caller=caller_of(headers),
        key="" if who.key else bearer_of(headers),
    )
    return as_asked_by(who, await read_asking(request, who.tenant, services, read))


def caller_of(headers: Headers) -> dict[str, str]:
    """Return the caller's ids from Tencent's headers."""
    return bounded({name: headers.get(header) for name, header in _TENCENTS_CALLER.items()})


def bearer_of(headers: Headers) -> str:
    """The caller's own key for the models, empty where there is none."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" and not is_ours(key.strip()) else ""
