"""A turn by its name: gone on with, looked at, stopped."""

from collections.abc import Callable
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.config import JsonDict

from api.answers.completion import turn_object
from api.answers.cursor import START, Place, past_the_end, read_cursor
from api.answers.forms import encoder_of
from api.body import read_body
from api.doors.answering import stream_answer, turn_headers
from api.doors.audio import go_on_speaking
from api.http.cors import note_profile
from api.http.identity import Chat, Identity
from api.openapi import examples
from api.openapi.document import TURN_HEADERS, Content, as_events, as_json, told
from api.openapi.parameters import LAST_PLACE, SessionPath, TurnPath
from api.requests.session_lookup import find_session
from api.requests.turn_request import first_error
from api.schemas import Turn
from api.services import Services
from api.sessions.heard import chars_heard
from api.sessions.heard_sound import chars_spoken_in
from api.turns.live import LiveTurn
from common.errors import BadRequest, Gone, NotFound
from common.names import TurnRef, valid_turn

router = APIRouter()

_MAX_CHARS = 1_000_000  # as many as a policy may let out
_DAY_MS = 86_400_000
# Browsers wait for seconds otherwise. One line end only, so that it belongs to the first event: see HEARTBEAT
_RETRY = b"retry: 500\n"
_TURN = "/v1/sessions/{session}/turns/{turn}"

After = Annotated[
    str,
    Query(description="The id of the last event received, where `Last-Event-ID` can't be sent."),
]


_WAYS = ("heard", "heard_chars", "heard_ms")
_ONE_WAY: JsonDict = {  # `_says_it_once` for the OpenAPI document
    "anyOf": [{"properties": {other: {"type": "null"} for other in _WAYS if other != way}} for way in _WAYS]
}


class Heard(BaseModel):
    """The part of the answer that the caller heard, given in at most one way."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, json_schema_extra=_ONE_WAY)

    heard: Annotated[str, Field(max_length=_MAX_CHARS)] | None = None
    heard_chars: Annotated[int, Field(ge=0, le=_MAX_CHARS)] | None = None
    heard_ms: Annotated[float, Field(ge=0, le=_DAY_MS)] | None = None

    @model_validator(mode="after")
    def _says_it_once(self) -> "Heard":
        if len(self.model_dump(exclude_none=True)) > 1:
            raise ValueError("at most one of heard, heard_chars and heard_ms may be given")
        return self

    def chars_of(self, text: str) -> int:
        """Return the characters of the released text that were heard; -1 where that isn't told. Raises
        BadRequest.
        """
        if self.heard is not None:
            return chars_heard(text, self.heard)
        if self.heard_chars is not None and self.heard_chars > len(text):
            raise BadRequest(
                f"heard_chars: only {len(text)} characters were said",
                code="invalid_value",
                param="heard_chars",
            )
        return -1 if self.heard_chars is None else self.heard_chars


def _stopping(summary: str, takes: Content | None = None) -> dict[str, Any]:
    """A route that stops a turn."""
    return told(
        "chat",
        summary,
        takes=takes,
        takes_nothing_too=True,
        gives={200: as_json(Turn, stopped=examples.ENDED_TURN)},
        refuses=(410,),
        headers=TURN_HEADERS,
    )


_HEARD = as_json(Heard, words={"heard": "Let me look. We open"}, time={"heard_ms": 1200})


@router.get(
    _TURN,
    **told(
        "chat",
        "Resume a turn's stream, or get the turn",
        asks=(LAST_PLACE,),
        gives={
            200: as_json(Turn, live=examples.LIVE_TURN, ended=examples.ENDED_TURN)
            | as_events("The rest of the answer comes in the form that was asked for.", examples.CHUNKS),
            204: {},
        },
        refuses=(410,),
        headers=TURN_HEADERS,
    ),
)
async def get_turn(
    request: Request, who: Chat, session: SessionPath, turn: TurnPath, after: After = ""
) -> Response:
    """Resume a turn's stream after the last event received, or return the turn as it stands.

    With `Accept: text/event-stream` the stream resumes after the event that `Last-Event-ID` or `after` names,
    or the status is 204 if the turn has ended and all of it was received. Otherwise the turn comes as JSON.
    """
    services: Services = request.app.state.services
    found = await _name(services, who, session, turn)
    if "text/event-stream" not in request.headers.get("accept", ""):
        return _told(await services.turns.find(found))
    cursor = request.headers.get("last-event-id") or after
    place = read_cursor(cursor, found.turn) if cursor else START
    live = await services.turns.attach(found)
    note_profile(request, live.started.profile)
    if live.started.speech:
        return await go_on_speaking(services, live, place, _RETRY)
    end = await _end(live, place)
    if live.fold.ending and place == end:
        return Response(status_code=204, headers=turn_headers(live))  # a browser's source ends only by this
    return stream_answer(services, live, place, _RETRY)


@router.post("/v1/sessions/{session}/cancel", **_stopping("Stop the latest turn"))
async def cancel_latest_turn(request: Request, who: Chat, session: SessionPath) -> Response:
    """Stop the session's latest turn. A turn that has ended stays as it is, so this may be repeated."""
    return await _cancel(request, who, session, None)


@router.post(_TURN + "/cancel", **_stopping("Stop a turn"))
async def cancel_turn(request: Request, who: Chat, session: SessionPath, turn: TurnPath) -> Response:
    """Stop a turn and its models at once. A turn that has ended stays as it is, so this may be repeated."""
    return await _cancel(request, who, session, turn)


@router.post("/v1/sessions/{session}/interrupt", **_stopping("Interrupt the latest turn", _HEARD))
async def interrupt_latest_turn(request: Request, who: Chat, session: SessionPath) -> Response:
    """Stop the session's latest turn because the caller spoke, and record how much of it was heard.

    The body may be empty, or say in one way how much was heard. The session remembers only that part.
    """
    return await _interrupt(request, who, session, None)


@router.post(_TURN + "/interrupt", **_stopping("Interrupt a turn", _HEARD))
async def interrupt_turn(request: Request, who: Chat, session: SessionPath, turn: TurnPath) -> Response:
    """Stop a turn because the caller spoke, and record how much of it was heard.

    The body may be empty, or say in one way how much was heard. The session remembers only that part.
    """
    return await _interrupt(request, who, session, turn)


async def _cancel(request: Request, who: Identity, session: str, turn: str | None) -> Response:
    services: Services = request.app.state.services
    live = await services.turns.find(await _name(services, who, session, turn))
    return await _stop(live, -1, _told_to(who, turn))


async def _interrupt(request: Request, who: Identity, session: str, turn: str | None) -> Response:
    services: Services = request.app.state.services
    heard = _read_heard(await read_body(request, services.settings.max_body_bytes))
    live = await services.turns.find(await _name(services, who, session, turn))
    await live.catch_up()
    if heard.heard_ms is None:
        chars = heard.chars_of(live.text)
    else:
        rate = services.settings.speech_chars_per_s
        chars = await chars_spoken_in(services.stores, live, heard.heard_ms, rate)
    return await _stop(live, chars, _told_to(who, turn))


async def _name(services: Services, who: Identity, quoted: str, turn: str | None) -> TurnRef:
    """The turn that a path names, or its session's latest one. Raises NotFound, Gone."""
    session, _ = await find_session(services.sessions, services.hidden_names, who.tenant.id, quoted)
    if turn is None:
        turn = await services.sessions.last_turn(session)
        if turn is None:
            raise Gone("the session's turns are no longer kept", code="turn_gone", param="turn")
    elif not valid_turn(turn):
        raise NotFound("there is no such turn", code="turn_not_found", param="turn")
    return TurnRef(session, turn)


async def _end(live: LiveTurn, place: Place) -> Place:
    """Return where the answer stands. Raises BadRequest if the place lies past that."""
    for caught_up in (False, True):
        encoder = encoder_of(live.started)(live)
        encoder.encode(live.outputs)
        if encoder.place.covers(place):
            return encoder.place
        if not caught_up:  # another replica may have read further
            await live.catch_up()
    raise past_the_end()


def _read_heard(raw: bytes) -> Heard:
    try:
        body: Any = orjson.loads(raw) if raw else {}
        return Heard.model_validate(body)
    except orjson.JSONDecodeError:
        raise BadRequest("the body is not valid JSON", code="invalid_json") from None
    except ValidationError as error:
        raise first_error(error) from None


async def _stop(live: LiveTurn, heard: int, tell: Callable[[LiveTurn], Response]) -> Response:
    if not await live.interrupt("client", heard):
        raise Gone("the session's log is closed", code="turn_gone", param="turn")
    await live.catch_up()
    return tell(live)


def _told(live: LiveTurn) -> Response:
    return Response(
        orjson.dumps(turn_object(live)), media_type="application/json", headers=turn_headers(live)
    )


def _told_to(who: Identity, turn: str | None) -> Callable[[LiveTurn], Response]:
    """Return what a client that stops a turn may be told of it: its words only with the scope to read.

    With that name what was said can be gone on with.
    """
    if "read" in who.scopes:
        return _told

    def tell(live: LiveTurn) -> Response:
        whole, headers = turn_object(live), turn_headers(live)
        told = {name: value for name, value in whole.items() if name not in ("text", "answer")}
        if turn is None:
            del told["id"], headers["X-Turn-ID"]
        return Response(orjson.dumps(told), media_type="application/json", headers=headers)

    return tell
