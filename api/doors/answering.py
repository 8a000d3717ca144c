"""Answers for a turn that has started: as a stream or in one piece, in the form that its start says."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

import orjson
from fastapi import Request, Response

from api.answers.cursor import START, Place
from api.answers.event_stream import EventStreamResponse
from api.answers.forms import encoder_of
from api.http.disconnects import while_waiting
from api.services import Services
from api.turns.live import LiveTurn
from common.errors import TurnFailed


async def answer_turn(request: Request, services: Services, live: LiveTurn, *, stream: bool) -> Response:
    """Stream the turn's answer, or wait for all of it. Raises TurnFailed, ClientLeft, Unauthorized."""
    return stream_answer(services, live) if stream else await _answer_whole(request, services, live)


def stream_answer(
    services: Services, live: LiveTurn, after: Place = START, first: bytes = b""
) -> EventStreamResponse:
    """Stream the answer from a place on. `first`: lines that go before the first event."""
    encoder = encoder_of(live.started)(live, after)
    return stream_events(services, live, encoder.stream(services.audio), first)


def stream_events(
    services: Services, live: LiveTurn, events: AsyncGenerator[bytes, None], first: bytes = b""
) -> EventStreamResponse:
    """Stream these events of a turn's answer. `first`: lines that go before the first event."""
    return EventStreamResponse(
        _after(first, events) if first else events,
        headers=turn_headers(live),
        heartbeat_s=services.settings.heartbeat_s,
        send_timeout_s=services.settings.send_timeout_s,
        on_left=lambda sent_away: services.turns.client_left(live, sent_away=sent_away),
    )


def turn_headers(live: LiveTurn) -> dict[str, str]:
    """Return the headers that name the turn, and its limits. A session may have any name, so it is quoted."""
    named = {"X-Session-ID": live.turn.session.quoted, "X-Turn-ID": live.turn.turn}
    return named | live.limit_headers


async def _answer_whole(request: Request, services: Services, live: LiveTurn) -> Response:
    encoder = encoder_of(live.started)(live)
    await while_waiting(
        request,
        encoder.finish(services.audio),
        lambda sent_away: services.turns.client_left(live, sent_away=sent_away),
    )
    if error := encoder.error:
        raise TurnFailed(error, turn_headers(live))
    return Response(orjson.dumps(encoder.whole()), media_type="application/json", headers=turn_headers(live))


async def _after(first: bytes, events: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(events):
        async for each in events:
            yield first + each
            first = b""
