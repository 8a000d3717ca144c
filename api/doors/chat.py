"""The OpenAI door: Chat Completions, streaming and not; CloudBase's function speaks it on `/` too."""

import asyncio

import orjson
from fastapi import APIRouter, Request, Response

from api.body import read_body
from api.chunks import ChunkWriter
from api.completion import whole_answer
from api.live import LiveTurn
from api.relay import EventStream, chunks
from api.requests import read_chat
from api.services import Services
from common.errors import TurnFailed

router = APIRouter()


@router.post("/v1/chat/completions")
@router.post("/chat/completions", include_in_schema=False)
@router.post("/", include_in_schema=False)
async def chat_completions(request: Request) -> Response:
    """Answer a conversation: the draft speaks at once, the full model takes over."""
    services: Services = request.app.state.services
    raw = await read_body(request, services.settings.max_body_bytes)
    headers = request.headers
    asked = read_chat(
        raw,
        session=headers.get("x-session-id") or headers.get("x-task-id"),
        stream="text/event-stream" in headers.get("accept", ""),
        lanes=headers.get("x-fast-reply-lanes", "0") not in ("", "0"),
        idempotency_key=headers.get("idempotency-key"),
        request_id=headers.get("x-request-id"),
    )
    live = await services.turns.start(asked)
    if asked.stream:
        return stream_answer(services, live, ChunkWriter(live))
    return await _whole(request, services, live)


def turn_headers(live: LiveTurn) -> dict[str, str]:
    """The headers that name the turn. A session's name may hold what a header may not, so it is quoted."""
    return {"X-Session-ID": live.turn.session.quoted, "X-Turn-ID": live.turn.turn}


def stream_answer(services: Services, live: LiveTurn, writer: ChunkWriter, first: bytes = b"") -> EventStream:
    """A turn as its writer has it, to the end. `first`: lines that go before the first event."""
    return EventStream(
        chunks(live, writer, first),
        headers=turn_headers(live),
        heartbeat_s=services.settings.heartbeat_s,
        send_timeout_s=services.settings.send_timeout_s,
        on_left=lambda: services.turns.client_left(live),
    )


async def _whole(request: Request, services: Services, live: LiveTurn) -> Response:
    following = asyncio.create_task(_follow_to_end(live))
    leaving = asyncio.create_task(_client_gone(request))
    try:
        await asyncio.wait((following, leaving), return_when=asyncio.FIRST_COMPLETED)
        had_all = following.done()
    finally:
        following.cancel()
        leaving.cancel()
        await asyncio.gather(following, leaving, return_exceptions=True)
    if not had_all:
        services.turns.client_left(live)
        return Response(status_code=499)  # nobody is there to read it
    ending = live.fold.ending
    if ending and ending.error:
        raise TurnFailed(ending.error, turn_headers(live))
    return Response(
        orjson.dumps(whole_answer(live)), media_type="application/json", headers=turn_headers(live)
    )


async def _follow_to_end(live: LiveTurn) -> None:
    async for _ in live.follow():
        pass


async def _client_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
