"""Turns that are spoken: by one worker or several, to their end or until the caller breaks in."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace

import numpy as np
import pytest

from api.answers.audio_feed import AudioFeed
from api.doors.spoken import find, listen
from common.errors import NotFound
from common.names import TurnRef
from common.speech import stream
from common.speech.audio import FORMATS
from common.store import keys
from common.store.redis import Stores
from tests.support.scripted_model import Scripted, answer, words
from tests.support.speech_workers import (
    Counting,
    begin,
    listening,
    models_rest,
    open_speaker,
    over,
    read_aloud,
    sound,
    stands,
)
from tests.support.store_servers import Backend
from tests.support.stored_turns import job, lapse, lease_of
from tests.support.waiting import end, in_loop, until
from tests.support.wiring import ask, open_api, open_workers
from workers.speech import speaking
from workers.speech.espeak import EmbeddedVoice
from workers.speech.speakable import speakable
from workers.speech.voice import Sound, StandIn, Utterance, VoiceError

WHOLE = "We open at nine. Every day."
DRAFT = "Let me see."


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
        assert 0 < await api.stores.queue.pttl(keys.audio(live.turn)) <= stream.TTL_MS
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
        assert heard.events[-1]["choices"][0]["finish_reason"] == "length"
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
        former = await api.start.run(ask(drafting=False))
        await until(lambda: former.outputs)
        await (await api.start.run(ask(drafting=False))).closed.wait()
        feed = AudioFeed(api.stores, 2.0, 20.0)
        feeding = asyncio.create_task(feed.run())
        for _ in range(2):  # made again, and heard once more
            await find(api.stores, former.turn, settings.lane_lease_ms)
            audio = await listen(feed, former.turn)
            assert read_aloud(audio) == "We open at nine.Every"
        assert voice.spoken == ["We open at nine.", "Every"]
        with pytest.raises(NotFound):
            await find(api.stores, replace(former.turn, turn="nosuchturn"), settings.lane_lease_ms)
        await until(lambda: models_rest(api.stores))
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
        await api.stores.queue.delete(keys.ready("speech", "default"))
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
        yield sound("Good")
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
