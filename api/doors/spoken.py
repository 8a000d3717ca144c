"""The sound of a turn that is over: as it was heard a moment ago, or made again from its text."""

from fastapi import APIRouter, Request, Response

from api.answers.audio_feed import AudioFeed
from api.http.disconnects import while_waiting
from api.http.identity import Chat
from api.openapi.document import as_bytes, told
from api.openapi.parameters import SessionPath, TurnPath
from api.requests.session_lookup import find_session
from api.services import Services
from common.errors import NotFound, Unavailable
from common.events import TurnStarted
from common.log.stream import read_turn
from common.names import JobRef, TurnRef, valid_turn
from common.queue import job_queue
from common.speech.audio import format_of, wav_header
from common.speech.stream import AGAIN, Frame
from common.store import keys
from common.store.redis import Stores, StoreUnavailable
from common.watchdog import Watchdog

router = APIRouter()

_TYPES = {"g711_ulaw": "audio/basic", "g711_alaw": "audio/x-alaw-basic"}


@router.get(
    "/v1/sessions/{session}/turns/{turn}/audio",
    **told(
        "chat",
        "Get a turn's audio",
        gives={
            200: as_bytes(
                "audio/wav",
                "A WAV file of 16 bits and one channel, at 24 kHz unless another rate was asked for.",
            )
            | as_bytes("audio/basic", "G.711 µ-law at 8 kHz, without a header.")
            | as_bytes("audio/x-alaw-basic", "G.711 A-law at 8 kHz, without a header.")
        },
    ),
)
async def turn_audio(request: Request, who: Chat, session: SessionPath, turn: TurnPath) -> Response:
    """Return what was said in a turn as an audio file: WAV, or plain G.711 if the turn was spoken so."""
    services: Services = request.app.state.services
    settings = services.settings
    found, _ = await find_session(services.sessions, services.hidden_names, who.tenant.id, session)
    named = TurnRef(found, turn)
    try:
        started = await find(services.stores, named, settings.lane_lease_ms)
        audio = await while_waiting(request, listen(services.audio, named))
    except (StoreUnavailable, TimeoutError):
        raise Unavailable("the store is away, or nobody speaks; try again", code="speech_failed") from None
    kind = _TYPES.get(started.speech.get("format", ""))
    content = audio if kind else wav_header(len(audio), format_of(started.speech).rate) + audio
    return Response(content, media_type=kind or "audio/wav")


async def find(stores: Stores, turn: TurnRef, lease_ms: int) -> TurnStarted:
    """The turn's start, once it is spoken or about to be. Raises NotFound, StoreUnavailable."""
    log = await read_turn(stores, turn) if valid_turn(turn.turn) else None
    if log is None:
        raise NotFound("there is no such turn in the log", code="turn_not_found", param="turn")
    if not await stores.queue.exists(keys.audio(turn)):
        now_ms, job = stores.queue_clock.now_ms(), JobRef(turn, "speech", AGAIN)
        await stores.on_queue.run(lambda pipe: job_queue.enqueue(pipe, job, now_ms, lease_ms))
    return log.started


async def listen(feed: AudioFeed, turn: TurnRef) -> bytes:
    """Return all of a turn's sound. Raises TimeoutError where nothing of it comes for `wait_s`."""
    audio = bytearray()
    async with Watchdog() as watchdog:
        watchdog.expect_within(feed.wait_s)
        async for spoken in feed.follow(turn):
            watchdog.expect_within(feed.wait_s)
            audio += b"".join(each.data for each in spoken if isinstance(each, Frame))
    return bytes(audio)
