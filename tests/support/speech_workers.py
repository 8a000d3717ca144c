"""Speech workers for the tests, a voice that can be read, and a client of the audio door."""

import asyncio
import base64
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import orjson

from api.answers.audio_chunks import AudioChunkEncoder
from api.answers.audio_feed import AudioFeed
from api.turns.live import LiveTurn
from common.log.reader import LogReader
from common.names import TurnRef
from common.net.sse import SSEParser
from common.settings import Settings
from common.speech import stream
from common.speech.stream import Frame, Over, SpeechState
from common.store import keys
from common.store.redis import Stores, open_stores
from tests.support.waiting import end, until
from tests.support.wiring import Api, ask
from workers.leases import LaneLeases
from workers.runner import JobRunner
from workers.speech.lane import SpeechRunner
from workers.speech.voice import Sound, Utterance, Voice, VoiceError
from workers.upkeep.sweep import Sweep

RATE = 24_000
CHAR_SAMPLES = RATE // 20  # so long a character sounds


class Counting:
    """A voice whose samples are the codes of the characters; `held` makes it wait in the middle of a text."""

    def __init__(self, *, fails: bool = False, **held: asyncio.Event) -> None:
        self.spoken: list[str] = []
        self.begun: list[str] = []
        self._fails = fails
        self._held = {text.replace("_", " "): event for text, event in held.items()}

    async def speak(self, utterance: Utterance) -> AsyncGenerator[Sound, None]:
        self.begun.append(utterance.text)
        if self._fails:
            raise VoiceError("voice_refused")
        half = len(utterance.text) // 2
        yield sound(utterance.text[:half])
        for text, event in self._held.items():
            if text in utterance.text:
                await event.wait()
        yield sound(utterance.text[half:])
        self.spoken.append(utterance.text)


def sound(text: str) -> Sound:
    codes = np.repeat(np.array([ord(char) for char in text], "<i2"), CHAR_SAMPLES)
    return Sound(RATE, codes.tobytes())


def read_aloud(pcm: bytes) -> str:
    """The text that such samples say."""
    return "".join(map(chr, np.frombuffer(pcm, "<i2")[CHAR_SAMPLES // 2 :: CHAR_SAMPLES]))


@dataclass
class Speaker:
    """A speech worker's parts."""

    stores: Stores
    running: LaneLeases
    runner: JobRunner
    sweep: Sweep
    tasks: list["asyncio.Task[None]"]

    async def kill(self) -> None:
        """End it so that the stores see nothing more of it."""
        for client in (self.stores.log, self.stores.queue):
            await client.connection_pool.disconnect(inuse_connections=True)
        self.runner.abandon()
        await end(*self.tasks, *self.runner.tasks.values())

    async def sweep_now(self) -> int:
        await self.stores.queue.delete(keys.SWEEPING)
        return await self.sweep.sweep()

    async def drain(self) -> None:
        await self.runner.stop_taking(0)
        self.running.drain()
        await self.runner.stop_taking(20)


@asynccontextmanager
async def open_speaker(settings: Settings, voice: Voice, name: str = "w:s") -> AsyncIterator[Speaker]:
    async with open_stores(settings) as stores:
        await stores.sync_clocks()
        reader = LogReader(stores, settings.reread_s)
        running = LaneLeases(settings, stores, "speech", name)
        speaker = SpeechRunner(settings, stores, reader, voice, running)
        runner = JobRunner(
            "speech", stores.queue, speaker.run_speech, slots=20, timeout_s=600, lease_ms=600_000
        )
        work = [reader.run(), running.run(), runner.main()]
        tasks = [asyncio.create_task(each) for each in work]
        try:
            sweep = Sweep(settings, stores, name)
            sweep.patience = 0  # what a test lets lapse is lapsed
            yield Speaker(stores, running, runner, sweep, tasks)
            if not any(task.done() for task in tasks):
                running.drain()
                # What the queue notes of a job's end is on its way.
                await asyncio.gather(*runner.tasks.values(), return_exceptions=True)
        finally:
            await end(*tasks, *runner.tasks.values())


@dataclass
class Heard:
    """What a client of the audio door gets."""

    events: list[Any] = field(default_factory=list)

    def take(self, data: bytes) -> None:
        parsed = SSEParser().feed(data)
        self.events += [orjson.loads(event.data) for event in parsed if event.data != b"[DONE]"]

    @property
    def parts(self) -> list[dict[str, Any]]:
        deltas = [event["choices"][0]["delta"] for event in self.events if event.get("choices")]
        return [delta["audio"] for delta in deltas if "audio" in delta]

    @property
    def transcript(self) -> str:
        return "".join(part.get("transcript", "") for part in self.parts)

    @property
    def audio(self) -> bytes:
        return b"".join(base64.b64decode(part["data"]) for part in self.parts if "data" in part)

    @property
    def order(self) -> list[str]:
        """Transcripts and sounds as they came, each run of sounds as one."""
        kinds = [part.get("transcript", "♪").strip() for part in self.parts if "expires_at" not in part]
        return [kind for place, kind in enumerate(kinds) if kinds[place - 1 : place] != [kind]]

    @property
    def codes(self) -> list[str]:
        return [event["error"]["code"] for event in self.events if "error" in event]


async def begin(api: Api, session: str = "s1", **policy: Any) -> LiveTurn:
    """Start a turn that is to be spoken."""
    asked = replace(ask(session, **policy), speech={"voice": "", "format": "pcm16"})
    return await api.start.run(asked)


@asynccontextmanager
async def listening(api: Api, live: LiveTurn, wait_s: float = 30.0) -> AsyncIterator[tuple[Heard, Any]]:
    """A client of the turn: what it has heard, and the task that ends with the stream."""
    heard, feed = Heard(), AudioFeed(api.stores, 2.0, wait_s)

    async def listen() -> None:
        async for data in AudioChunkEncoder(live).stream(feed):
            heard.take(data)

    tasks = [asyncio.create_task(feed.run()), asyncio.create_task(listen())]
    try:
        yield heard, tasks[1]
        await until(lambda: models_rest(api.stores))
    finally:
        await end(*tasks)


async def models_rest(stores: Stores) -> bool:
    """Whether the queue has no job of a model's lane any more."""
    keys_left = [key.decode() async for key in stores.queue.scan_iter(match="arq:job:*")]
    return not any(":draft:" in key or ":full:" in key for key in keys_left)


async def stands(stores: Stores, turn: TurnRef) -> tuple[SpeechState, str]:
    """How far the turn's stream has come, and what it says."""
    state, pcm = SpeechState(), b""
    for _, fields in await stores.queue.xrange(keys.audio(turn)):
        entry = state.apply(stream.decode(fields))
        pcm += entry.data if isinstance(entry, Frame) else b""
    return state, read_aloud(pcm)


async def over(stores: Stores, turn: TurnRef) -> Over | None:
    return (await stands(stores, turn))[0].over
