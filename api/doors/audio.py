"""The audio door: Chat Completions whose answer is spoken while its text still comes."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from api.answers.cursor import Place
from api.answers.forms import encoder_of
from api.doors.answering import answer_turn, stream_answer, stream_events, turn_headers
from api.doors.chat import read_asked
from api.doors.spoken import find
from api.http.cors import note_profile
from api.http.identity import Chat
from api.openapi import examples
from api.openapi.document import TURN_HEADERS, TURN_REFUSED, as_events, as_json, told
from api.openapi.parameters import ASKING, LANES
from api.requests.turn_request import ChatRequest, TurnRequest, first_error
from api.schemas import ChatCompletion
from api.services import Services
from api.turns.live import LiveTurn
from api.turns.transcription import holds_audio
from common.errors import BadRequest
from common.speech.audio import AGORAS, FORMATS, Rate

router = APIRouter()

_ABOUT_AUDIO = ("modalities", "audio", "sample_rate")


_G711: dict[str, Any] = {
    "properties": {"format": {"enum": [name for name, form in FORMATS.items() if form.width == 1]}},
    "required": ["format"],
}
_G711S_RATE: dict[str, Any] = {"properties": {"sample_rate": {"enum": [FORMATS["g711_ulaw"].rate, None]}}}
_RATE_OF_ITS_OWN: dict[str, Any] = {
    "properties": {"audio": {"properties": {"sample_rate": {"type": "integer"}}, "required": ["sample_rate"]}}
}


class Audio(BaseModel):
    """The voice and the form in which the answer is spoken."""

    model_config = ConfigDict(
        strict=True, extra="ignore", frozen=True, json_schema_extra={"if": _G711, "then": _G711S_RATE}
    )

    voice: str = ""
    format: Literal["pcm16", "wav", "g711_ulaw", "g711_alaw"] | None = None
    sample_rate: Rate | None = None


class SpokenRequest(BaseModel):
    """The audio options of a Chat Completions body."""

    model_config = ConfigDict(
        strict=True,
        extra="ignore",
        frozen=True,
        json_schema_extra={
            "if": {"properties": {"audio": _G711}, "required": ["audio"]},
            "then": {"anyOf": [_RATE_OF_ITS_OWN, _G711S_RATE]},
        },
    )

    modalities: list[str] = Field(["text", "audio"], json_schema_extra={"contains": {"const": "audio"}})
    audio: Audio = Audio()
    sample_rate: Rate | None = None


class SpokenChatRequest(ChatRequest, SpokenRequest):
    """The body of a Chat Completions request whose answer is spoken."""

    n: int | None = Field(None, ge=1, le=1)


@router.post(
    "/v1/audio/chat/completions",
    **told(
        "chat",
        "Answer with speech",
        asks=(*ASKING, LANES),
        takes=as_json(SpokenChatRequest, spoken=examples.SPOKEN),
        gives={
            200: as_json(ChatCompletion, whole=examples.COMPLETION)
            | as_events("Text and sound come as chunks with `delta.audio`.", examples.SPOKEN_CHUNKS)
        },
        refuses=TURN_REFUSED,
        headers=TURN_HEADERS,
    ),
)
@router.post("/audio/chat/completions", include_in_schema=False)
async def audio_chat_completions(request: Request, who: Chat) -> Response:
    """Answer a conversation with speech: each sentence comes as a transcript, then as sound."""
    services: Services = request.app.state.services
    asked = await read_asked(request, who, services)
    asked = _to_be_spoken(asked, for_agora=asked.agora or not request.url.path.startswith("/v1/"))
    if not holds_audio(asked.body["messages"]):
        live = await services.start.run(asked)
    elif services.transcriber:
        live = await services.start.run(asked, services.transcriber)
    else:  # the full model hears it; a small one as a rule can't
        live = await services.start.run(replace(asked, drafting=False))
    note_profile(request, live.started.profile)
    await _see_spoken(services, live)
    return await answer_turn(request, services, live, stream=asked.stream)


async def go_on_speaking(services: Services, live: LiveTurn, after: Place, first: bytes) -> Response:
    """A spoken turn from a place on; what is no longer kept of its sound is made again.

    A turn that is over is answered in one piece: 204 where the client has had all of it.
    """
    await _see_spoken(services, live)
    if not live.closed.is_set():
        return stream_answer(services, live, after, first)
    encoder = encoder_of(live.started)(live, after)
    rest = b"".join([events async for events in encoder.stream(services.audio)])
    if not rest:
        return Response(status_code=204, headers=turn_headers(live))
    return stream_events(services, live, _at_once(rest), first)


async def _see_spoken(services: Services, live: LiveTurn) -> None:
    """Have a turn that is over spoken again where its sound is gone, for late retries."""
    if live.closed.is_set():
        await find(services.stores, live.turn, services.settings.lane_lease_ms)


async def _at_once(events: bytes) -> AsyncGenerator[bytes, None]:
    yield events


def _to_be_spoken(asked: TurnRequest, *, for_agora: bool) -> TurnRequest:
    """The request with what it says about audio read, and kept from the models. Raises BadRequest."""
    body = dict(asked.body)
    said = {name: value for name in _ABOUT_AUDIO if (value := body.pop(name, None)) is not None}
    try:
        wanted = SpokenRequest.model_validate(said)
    except ValidationError as error:
        raise first_error(error) from None
    if "audio" not in wanted.modalities:
        raise BadRequest("answers are spoken here: modalities must have audio in it", param="modalities")
    if (body.get("n") or 1) > 1:
        raise BadRequest("one answer can be spoken at a time", param="n")
    usual = "pcm16" if asked.stream else "wav"
    speech = {"voice": wanted.audio.voice, "format": wanted.audio.format or usual}
    speech |= _form(wanted, speech["format"], for_agora=for_agora)
    return replace(asked, body=body, speech=speech, idempotency=asked.idempotency and asked.idempotency.aloud)


def _form(wanted: SpokenRequest, name: str, *, for_agora: bool) -> dict[str, str]:
    """Rate and frames, where they are not the format's usual ones. Raises BadRequest."""
    usual = FORMATS[name]
    if for_agora:
        usual = AGORAS if name == "pcm16" else replace(usual, frame_ms=AGORAS.frame_ms)
    rate = wanted.audio.sample_rate or wanted.sample_rate or usual.rate
    if usual.width == 1 and rate != usual.rate:
        raise BadRequest(f"{name} can be had at {usual.rate} samples a second", param="audio.sample_rate")
    form = {}
    if rate != FORMATS[name].rate:
        form["rate"] = str(rate)
    if usual.frame_ms != FORMATS[name].frame_ms:
        form["frame_ms"] = str(usual.frame_ms)
    return form
