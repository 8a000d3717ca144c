"""Turns that are spoken: by one worker or several, to their end or until the caller breaks in."""

import asyncio
import base64
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import orjson
import pytest
from parts import Api, ask, open_api, open_workers
from reading_turns import job, lapse, lease_of
from scripted import Scripted, answer, words
from store_servers import Backend
from waiting import end, in_loop, until

from api.audio_chunks import SpokenAnswer
from api.audio_feed import AudioFeed
from api.chunks import ChunkWriter
from api.doors.audio import speak
from api.doors.spoken import find, listen
from api.live import LiveTurn
from common import keys, speech
from common.audio import FORMATS
from common.errors import NotFound
from common.keys import TurnRef
from common.reader import LogReader
from common.settings import Settings
from common.speech import Frame, Over, Speech
from common.sse import SSEParser
from common.stores import Stores, open_stores
from workers.runner import JobRunner
from workers.running import RunningLanes
from workers.speech import speaking
from workers.speech.espeak import EmbeddedVoice
from workers.speech.lane import SpeechRunner
from workers.speech.speakable import speakable
from workers.speech.voice import Sound, StandIn, Utterance, Voice, VoiceError
from workers.sweep import Sweep

WHOLE = "We open at nine. Every day."
DRAFT = "Let me see."
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
        yield _sound(utterance.text[:half])
        for text, event in self._held.items():
            if text in utterance.text:
                await event.wait()
        yield _sound(utterance.text[half:])
        self.spoken.append(utterance.text)


def _sound(text: str) -> Sound:
    codes = np.repeat(np.array([ord(char) for char in text], "<i2"), CHAR_SAMPLES)
    return Sound(RATE, codes.tobytes())


def read_aloud(pcm: bytes) -> str:
    """The text that such samples say."""
    return "".join(map(chr, np.frombuffer(pcm, "<i2")[CHAR_SAMPLES // 2 :: CHAR_SAMPLES]))


@dataclass
class Speaker:
    """A speech worker's parts."""

    stores: Stores
    running: RunningLanes
    runner: JobRunner
    sweep: Sweep
    tasks: list["asyncio.Task[None]"]

    async def kill(self) -> None:
        """End it so that the stores see nothing more of it."""
        for client in (self.stores.log, self.stores.queue):
            await client.connection_pool.disconnect(inuse_connections=True)
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
        running = RunningLanes(settings, stores, "speech", name)
        speaker = SpeechRunner(settings, stores, reader, voice, running)
        runner = JobRunner("speech", stores.queue, speaker.run_speech, slots=20, timeout_s=600)
        work = [reader.run(), running.run(), runner.main()]
        tasks = [asyncio.create_task(each) for each in work]
        try:
            yield Speaker(stores, running, runner, Sweep(settings, stores, name), tasks)
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
    return await api.turns.start(asked)


@asynccontextmanager
async def listening(api: Api, live: LiveTurn, wait_s: float = 30.0) -> AsyncIterator[tuple[Heard, Any]]:
    """A client of the turn: what it has heard, and the task that ends with the stream."""
    heard, feed = Heard(), AudioFeed(api.stores, 2.0)
    spoken = SpokenAnswer(live, ChunkWriter(live, include_usage=False, lanes=False))

    async def listen() -> None:
        async for data in speak(feed, live, spoken, wait_s):
            heard.take(data)

    tasks = [asyncio.create_task(feed.run()), asyncio.create_task(listen())]
    try:
        yield heard, tasks[1]
        await until(lambda: _models_rest(api.stores))
    finally:
        await end(*tasks)


async def _models_rest(stores: Stores) -> bool:
    """Whether the queue has no job of a model's lane any more."""
    keys_left = [key.decode() async for key in stores.queue.scan_iter(match="arq:job:*")]
    return not any(":draft:" in key or ":full:" in key for key in keys_left)


async def stands(stores: Stores, turn: TurnRef) -> tuple[Speech, str]:
    """How far the turn's stream has come, and what it says."""
    state, pcm = Speech(), b""
    for _, fields in await stores.queue.xrange(keys.audio(turn)):
        entry = state.take(speech.decode(fields))
        pcm += entry.data if isinstance(entry, Frame) else b""
    return state, read_aloud(pcm)


async def over(stores: Stores, turn: TurnRef) -> Over | None:
    return (await stands(stores, turn))[0].over


@in_loop
async def test_each_sentence_is_told_and_then_sounds_while_the_text_still_comes(real: Backend) -> None:
    settings, drafted, going_on, voice = real.settings(), asyncio.Event(), asyncio.Event(), Counting()
    full = [drafted, *words("We open at nine. Every"), going_on, *answer(" day.")]
    model = Scripted(draft=[answer(DRAFT)], full=[full])
    async with (
        open_workers(settings, model),
        open_speaker(settings, voice),
        open_api(settings) as api,
    ):
        live = await begin(api, handoff={"join": "append"})
        async with listening(api, live) as (heard, done):
            await until(lambda: heard.order == [DRAFT, "♪"])
            drafted.set()
            await until(lambda: heard.order == [DRAFT, "♪", "We open at nine.", "♪"])
            going_on.set()
            await done
        assert heard.order == [DRAFT, "♪", "We open at nine.", "♪", "Every day.", "♪"]
        assert heard.transcript == f"{DRAFT} {WHOLE}"
        assert read_aloud(heard.audio) == "".join((DRAFT, "We open at nine.", "Every day."))
        assert list(heard.parts[-1]) == ["id", "expires_at"]
        await until(lambda: _let_go(api.stores, live.turn))
        assert 0 < await api.stores.queue.pttl(keys.audio(live.turn)) <= speech.TTL_MS
        async with listening(api, live) as (again, done):  # who comes late hears the same
            await done
        assert again.events == heard.events


async def _let_go(stores: Stores, turn: TurnRef) -> bool:
    return await lease_of(stores, job(turn, lane="speech")) is None


@in_loop
async def test_a_killed_workers_sentence_is_gone_on_with_where_it_stands(real: Backend) -> None:
    settings, held = real.settings(), asyncio.Event()
    first, second = Counting(nine=held), Counting()
    model = Scripted(full=[answer(WHOLE)])
    async with open_workers(settings, model, sweeping=False), open_api(settings) as api:
        live = await begin(api, draft={"when": "never"})
        async with listening(api, live) as (heard, done):
            async with open_speaker(settings, first, "w:1") as speaker:
                await until(lambda: "We open at nine." in first.begun)
                await until(lambda: _said(api.stores, live.turn, "We o"))
                await speaker.kill()
            await lapse(api.stores, job(live.turn, lane="speech"))
            async with open_speaker(settings, second, "w:2") as speaker:
                assert await speaker.sweep_now() == 1
                await done
        assert second.spoken == ["We open at nine.", "Every day."]
        assert read_aloud(heard.audio) == "We open at nine.Every day."
        assert heard.transcript == WHOLE
        assert (await stands(api.stores, live.turn))[0].attempt == 2


async def _said(stores: Stores, turn: TurnRef, text: str) -> bool:
    return (await stands(stores, turn))[1].startswith(text)


@in_loop
async def test_a_worker_told_to_go_hands_its_turn_over(real: Backend) -> None:
    settings, held, second = real.settings(), asyncio.Event(), Counting()
    model = Scripted(full=[answer(WHOLE)])
    async with open_workers(settings, model, sweeping=False), open_api(settings) as api:
        async with open_speaker(settings, Counting(nine=held), "w:1") as speaker:
            live = await begin(api, draft={"when": "never"})
            await until(lambda: _said(api.stores, live.turn, "We o"))
            await speaker.drain()
        async with open_speaker(settings, second, "w:2"), listening(api, live) as (heard, done):
            await done
        assert read_aloud(heard.audio) == "We open at nine.Every day."


@in_loop
async def test_a_caller_who_breaks_in_is_not_talked_over_even_after_the_texts_end(real: Backend) -> None:
    settings, held = real.settings(), asyncio.Event()
    voice = Counting(nine=held)
    model = Scripted(full=[answer(WHOLE)])
    async with (
        open_workers(settings, model),
        open_speaker(settings, voice),
        open_api(settings) as api,
    ):
        former = await begin(api, draft={"when": "never"})
        async with listening(api, former) as (heard, done):
            await until(lambda: former.closed.is_set() and voice.begun == ["We open at nine."])
            await begin(api, draft={"when": "never"})
            await done
        assert heard.transcript == "We open at nine." and heard.codes == []
        ended = await over(api.stores, former.turn)
        assert ended and ended.reason == "stopped"


@in_loop
async def test_an_interrupted_turn_falls_silent(valkey: Backend) -> None:
    settings, held = valkey.settings(), asyncio.Event()
    voice = Counting(see=held)
    model = Scripted(draft=[answer(DRAFT)], full=[[held]])
    async with (
        open_workers(settings, model),
        open_speaker(settings, voice),
        open_api(settings) as api,
    ):
        live = await begin(api)
        async with listening(api, live) as (heard, done):
            await until(lambda: heard.audio)
            await live.interrupt("client")
            await done
        assert heard.events[-1]["choices"][0]["finish_reason"] == "stop"
        await until(lambda: over(api.stores, live.turn))
        assert voice.spoken == []


def test_a_deleted_sessions_turn_is_not_waited_for(valkey: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speaking, "_LOST_S", -0.9)

    @in_loop
    async def run() -> None:
        settings, held = valkey.settings(), asyncio.Event()
        model = Scripted(full=[[*words("We open"), held]])
        async with (
            open_workers(settings, model, sweeping=False),
            open_api(settings) as api,
            open_speaker(settings, Counting()) as speaker,
        ):
            live = await begin(api, draft={"when": "never"}, deadline_ms=1_000)
            await until(lambda: api.stores.queue.exists(keys.audio(live.turn)))
            await api.stores.log.delete(keys.log(live.turn.session))
            await until(lambda: not speaker.running.count)
            ended = await over(api.stores, live.turn)
            assert ended and ended.reason == "stopped"

    run()


@in_loop
async def test_what_a_turn_said_can_be_spoken_again_though_the_caller_broke_in(real: Backend) -> None:
    settings, voice, held = real.settings(), Counting(), asyncio.Event()
    model = Scripted(full=[[*words("We open at nine. Every"), held], answer(WHOLE)])
    async with (
        open_workers(settings, model),
        open_speaker(settings, voice),
        open_api(settings) as api,
    ):
        former = await api.turns.start(ask(drafting=False))
        await until(lambda: former.releases)
        await (await api.turns.start(ask(drafting=False))).closed.wait()
        feed = AudioFeed(api.stores, 2.0)
        feeding = asyncio.create_task(feed.run())
        for _ in range(2):  # made again, and heard once more
            await find(api.stores, former.turn, settings.lane_lease_ms)
            audio = await listen(feed, former.turn, 20)
            assert read_aloud(audio) == "We open at nine.Every"
        assert voice.spoken == ["We open at nine.", "Every"]
        with pytest.raises(NotFound):
            await find(api.stores, replace(former.turn, turn="nosuchturn"), settings.lane_lease_ms)
        await until(lambda: _models_rest(api.stores))
        await end(feeding)


@in_loop
async def test_where_nobody_speaks_the_answer_is_told_in_the_end(valkey: Backend) -> None:
    settings = valkey.settings()
    model = Scripted(full=[answer(WHOLE)])
    async with open_workers(settings, model), open_api(settings) as api:
        live = await begin(api, draft={"when": "never"})
        async with listening(api, live, wait_s=0.05) as (heard, done):
            await done
        assert (heard.transcript, heard.audio, heard.codes) == (WHOLE, b"", ["speech_failed"])


@in_loop
async def test_a_turn_that_costs_too_many_speakers_is_given_up(real: Backend) -> None:
    settings = real.settings(max_attempts=1)
    model = Scripted(full=[answer(WHOLE)])
    async with open_workers(settings, model, sweeping=False), open_api(settings) as api:
        live = await begin(api, draft={"when": "never"})
        async with listening(api, live) as (heard, done):
            async with open_speaker(settings, Counting(nine=asyncio.Event()), "w:1") as speaker:
                await until(lambda: heard.audio)
                await speaker.kill()
            async with open_speaker(settings, Counting(), "w:2") as speaker:
                await lapse(api.stores, job(live.turn, lane="speech"))
                assert await speaker.sweep_now() == 1
                await done
        assert (heard.transcript, heard.codes) == (WHOLE, ["speech_failed"])
        assert await _let_go(api.stores, live.turn)


@in_loop
async def test_a_job_that_nobody_took_is_hinted_at_again(valkey: Backend) -> None:
    settings = valkey.settings()
    model = Scripted(full=[answer(WHOLE)])
    async with open_workers(settings, model, sweeping=False) as (worker, _), open_api(settings) as api:
        live = await begin(api, draft={"when": "never"})
        await api.stores.queue.delete(keys.ready("speech"))
        await lapse(api.stores, job(live.turn, lane="speech"))
        await worker.sweep_now()
        async with open_speaker(settings, Counting()), listening(api, live) as (heard, done):
            await done
        assert heard.transcript == WHOLE and heard.codes == []


@in_loop
async def test_a_voice_that_fails_is_stood_in_for_unless_it_was_heard() -> None:
    second = Counting()
    words_ = Utterance("Good day.", "en")
    sounds = [sound async for sound in StandIn(Counting(fails=True), second).speak(words_)]
    assert read_aloud(b"".join(sound.pcm for sound in sounds)) == "Good day."
    sounds = [sound async for sound in StandIn(_Breaking(), second).speak(words_)]
    assert read_aloud(b"".join(sound.pcm for sound in sounds)) == "Good"
    assert second.spoken == ["Good day."]


class _Breaking:
    async def speak(self, utterance: Utterance) -> AsyncGenerator[Sound, None]:
        yield _sound("Good")
        raise VoiceError("voice_unreachable")


SENTENCES = {
    "en": ["One moment please.", "We are open from nine to five, **every** day of the week."],
    "zh": ["请稍等。", "我们每天从早上九点开到下午五点。"],
    "ru": ["Одну минуту.", "Мы открыты каждый день с девяти до пяти часов."],
}


@pytest.fixture(scope="module")
def embedded() -> EmbeddedVoice:
    return EmbeddedVoice()


@pytest.mark.parametrize("language", SENTENCES)
@in_loop
async def test_the_embedded_voice_speaks_the_whole_text(
    valkey: Backend, embedded: EmbeddedVoice, language: str
) -> None:
    """As long and as loud as its sentences are when each is spoken alone."""
    settings, sentences = valkey.settings(), SENTENCES[language]
    model = Scripted(full=[answer("".join(sentences) if language == "zh" else " ".join(sentences))])
    async with (
        open_workers(settings, model),
        open_speaker(settings, embedded),
        open_api(settings) as api,
    ):
        live = await begin(api, draft={"when": "never"})
        async with listening(api, live) as (heard, done):
            await done
    alone = [await _alone(embedded, speakable(sentence), language) for sentence in sentences]
    pcm = np.frombuffer(heard.audio, "<i2").astype(float)
    length_s = FORMATS["pcm16"].seconds(len(heard.audio))
    assert length_s == pytest.approx(sum(seconds for seconds, _ in alone), rel=0.03)
    assert length_s > 0.04 * len(heard.transcript)
    assert float((pcm**2).mean()) == pytest.approx(
        sum(seconds * power for seconds, power in alone) / length_s, rel=0.2
    )


async def _alone(voice: EmbeddedVoice, text: str, language: str) -> tuple[float, float]:
    """How long and how loud the voice says a text: seconds and mean square."""
    sounds = [sound async for sound in voice.speak(Utterance(text, language))]
    pcm = np.frombuffer(b"".join(sound.pcm for sound in sounds), "<i2").astype(float)
    return len(pcm) / sounds[0].rate, float((pcm**2).mean())
