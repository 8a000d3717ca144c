"""The OpenAI door: Chat Completions, streaming and not; CloudBase's function speaks it on `/` too."""

from collections.abc import Callable
from functools import partial
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from starlette.datastructures import Headers

from api.answers.chunks import ChunkWriter
from api.answers.completion import whole_answer
from api.answers.cursor import START, Place
from api.answers.event_stream import EventStreamResponse, chunks
from api.answers.sentence_events import SentenceWriter, sentences
from api.body import read_asking
from api.http.cors import note_profile
from api.http.disconnects import while_waiting
from api.http.identity import Chat, Identity, as_asked_by, is_ours
from api.openapi import examples
from api.openapi.answers import ChatCompletion
from api.openapi.document import TURN_HEADERS, TURN_REFUSED, as_events, as_json, told
from api.openapi.parameters import ASKING, LANES
from api.requests.turn_request import ChatRequest, TurnRequest, bounded, read_chat
from api.services import Services
from api.turns.live import LiveTurn
from common.errors import TurnFailed

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
            200: as_json(ChatCompletion, whole=examples.COMPLETION) | as_events("Chunks", examples.CHUNKS)
        },
        refuses=TURN_REFUSED,
        headers=TURN_HEADERS,
    ),
)
@router.post("/chat/completions", include_in_schema=False)
@router.post("/", include_in_schema=False)
async def chat_completions(request: Request, who: Chat) -> Response:
    """OpenAI's Chat Completions: the draft speaks at once, the full model takes over.

    Streams where the body says `stream`, or `Accept` is `text/event-stream`. All of the body that this server
    doesn't know reaches the full model. What is ours is in `fast_reply`.
    """
    return await answer(request, who)


async def answer(request: Request, who: Identity, *, rag: bool = False) -> Response:
    """Answer a Chat Completions request; with `rag` from the tenant's knowledge."""
    services: Services = request.app.state.services
    asked = await read_asked(request, who, services, rag=rag)
    live = await services.turns.start(asked)
    note_profile(request, live.started.profile)
    if asked.stream:
        return stream_answer(services, live)
    return await answer_whole(request, services, live, whole_answer)


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
    """Who asks, as Tencent's headers say."""
    return bounded({name: headers.get(header) for name, header in _TENCENTS_CALLER.items()})


def bearer_of(headers: Headers) -> str:
    """The caller's own key for the models, empty where there is none."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" and not is_ours(key.strip()) else ""


def turn_headers(live: LiveTurn) -> dict[str, str]:
    """The headers that name the turn, and its limits. A session's name may hold anything, so it is quoted."""
    named = {"X-Session-ID": live.turn.session.quoted, "X-Turn-ID": live.turn.turn}
    return named | live.limit_headers


def stream_answer(
    services: Services, live: LiveTurn, after: Place = START, first: bytes = b""
) -> EventStreamResponse:
    """A turn in the form it was asked for, from a place on. `first`: lines that go before the first event."""
    writer = open_writer(live, after)
    if isinstance(writer, SentenceWriter):
        events = sentences(live, writer, first)
    else:
        events = chunks(live, writer, first)
    return EventStreamResponse(
        events,
        headers=turn_headers(live),
        heartbeat_s=services.settings.heartbeat_s,
        send_timeout_s=services.settings.send_timeout_s,
        on_left=lambda sent_away: services.turns.client_left(live, sent_away=sent_away),
    )


async def answer_whole(
    request: Request, services: Services, live: LiveTurn, whole: Callable[[LiveTurn], dict[str, Any]]
) -> Response:
    """Wait for the end, and give what `whole` makes of it. Raises TurnFailed, ClientLeft, Unauthorized."""
    await while_waiting(
        request, _follow_to_end(live), lambda sent_away: services.turns.client_left(live, sent_away=sent_away)
    )
    ending = live.fold.ending
    if ending and ending.error:
        raise TurnFailed(ending.error, turn_headers(live))
    return Response(orjson.dumps(whole(live)), media_type="application/json", headers=turn_headers(live))


def open_writer(live: LiveTurn, after: Place = START) -> ChunkWriter | SentenceWriter:
    """What writes the turn's answer in the form it was asked for."""
    return SentenceWriter(live, after) if "calls_event" in live.started.reply else ChunkWriter(live, after)


async def _follow_to_end(live: LiveTurn) -> None:
    async for _ in live.follow():
        pass
