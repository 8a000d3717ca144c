"""The audio door over real processes: what a client of OpenAI's audio models finds, and the voices."""

import asyncio
import base64
import wave
from contextlib import aclosing
from io import BytesIO
from typing import Any

import httpx
import openai
import pytest

from common.settings import Settings
from tests.support.gateway_stack import Simulator, Stack, user
from tests.support.heard_stream import Stream
from tests.support.redis_replies import at_once
from workers.speech.served import ServedVoice
from workers.speech.voice import Utterance, VoiceError

PATH = "/v1/audio/chat/completions"
FULL = "We open at nine in the morning. Every day of the week, **even** on Sundays. Goodbye!"
RATES = {"pcm16": (24_000, 2), "wav": (24_000, 2), "g711_ulaw": (8_000, 1), "g711_alaw": (8_000, 1)}
RECORDING = {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}


def sounds(stream: Stream) -> list[dict[str, Any]]:
    deltas = [chunk["choices"][0]["delta"] for chunk in stream.chunks]
    return [delta["audio"] for delta in deltas if "audio" in delta]


def sound_of(stream: Stream) -> bytes:
    return b"".join(base64.b64decode(sound["data"]) for sound in sounds(stream) if "data" in sound)


def transcript_of(stream: Stream) -> str:
    return "".join(sound.get("transcript", "") for sound in sounds(stream))


def speak(stack: Stack, model: str, audio_format: str, **fields: Any) -> Stream:
    audio = {"voice": "alloy", "format": audio_format}
    wanted = {"modalities": ["text", "audio"], "audio": audio, "useProgressiveResponse": False, **fields}
    return stack.hear(model, path=PATH, **wanted)


def seconds_of(audio_format: str, sound: bytes) -> float:
    rate, width = RATES[audio_format]
    return len(sound) / rate / width


def test_a_streamed_answer_is_a_transcript_and_its_sound(stack: Stack) -> None:
    heard = speak(stack, stack.simulator.full(text=FULL, tpot_ms=2), "pcm16")
    heard.assert_well_ended()
    parts = sounds(heard)
    assert transcript_of(heard) == FULL and heard.text == ""
    assert len({part["id"] for part in parts}) == 1
    assert parts[0]["transcript"] == "We open at nine in the morning." and "data" in parts[1]
    assert parts[-1]["expires_at"] > heard.chunks[0]["created"]
    assert sum("transcript" in part for part in parts) == 3
    assert 3 < seconds_of("pcm16", sound_of(heard)) < 10
    assert len(set(heard.ids)) == len(heard.ids)


def test_a_spoken_stream_is_gone_on_with_from_any_of_its_events(stack: Stack) -> None:
    heard = speak(stack, stack.simulator.full(text=FULL, tpot_ms=2), "pcm16")
    path = f"/v1/sessions/{heard.session}/turns/{heard.headers['x-turn-id']}"
    for at, place in enumerate(heard.ids):
        headers = {"Accept": "text/event-stream", "Last-Event-ID": place}
        rest = stack.client.get(path, headers=headers)
        data = [line.removeprefix("data: ") for line in rest.text.split("\n") if line.startswith("data: ")]
        assert data == heard.data[at + 1 :]
    assert rest.status_code == 204


@pytest.mark.parametrize("audio_format", ["wav", "g711_ulaw", "g711_alaw"])
def test_every_format_plays_as_long(stack: Stack, audio_format: str) -> None:
    model = stack.simulator.full(text=FULL)
    plain, heard = (sound_of(speak(stack, model, form)) for form in ("pcm16", audio_format))
    if audio_format == "wav":
        assert heard[:4] == b"RIFF" and heard.count(b"RIFF") == 1
        heard = heard[44:]
    assert seconds_of(audio_format, heard) == pytest.approx(seconds_of("pcm16", plain), rel=0.05)


AGORAS = {"context": {"channel": "sound"}, "turn_id": 1, "timestamp": 1}


@pytest.mark.parametrize(
    ("path", "fields", "rate", "frame_ms"),
    [
        ("/audio/chat/completions", {}, 16_000, 40),
        (PATH, AGORAS, 16_000, 40),
        ("/audio/chat/completions", {"sample_rate": 24_000}, 24_000, 40),
        (PATH, {}, 24_000, 200),
        (PATH, {"audio": {"format": "pcm16", "sample_rate": 16_000}}, 16_000, 200),
        (PATH, {"audio": {"format": "pcm16", "sample_rate": 44_100}}, 44_100, 200),
        (PATH, {"sample_rate": 8_000}, 8_000, 200),
    ],
)
def test_the_rate_is_the_one_asked_for_and_agoras_for_agora(
    stack: Stack, path: str, fields: dict[str, Any], rate: int, frame_ms: int
) -> None:
    model = stack.simulator.full(text="We open at nine.")
    wanted = {"modalities": ["text", "audio"], "useProgressiveResponse": False, **fields}
    if "turn_id" in fields:
        wanted["context"] = {"channel": f"sound-{model}"}
    usual = speak(stack, model, "pcm16")
    heard = stack.hear(model, path=path, **wanted)
    pieces = [len(base64.b64decode(part["data"])) for part in sounds(heard) if "data" in part]
    assert set(pieces[:-1]) == {rate * frame_ms // 1000 * 2}
    assert sum(pieces) / rate == pytest.approx(len(sound_of(usual)) / 24_000, rel=0.02)
    assert not {"audio", "modalities", "sample_rate"} & set(stack.simulator.requests(model)[-1])


def test_a_wav_file_says_its_own_rate(stack: Stack) -> None:
    stack.simulator.draft(text="One moment.")
    model = stack.simulator.full(text=FULL)
    body = {"model": model, "messages": [user("Hello")], "audio": {"format": "wav", "sample_rate": 48_000}}
    answer = stack.client.post(PATH, json=body)
    session, turn = answer.headers["x-session-id"], answer.headers["x-turn-id"]
    again = stack.client.get(f"/v1/sessions/{session}/turns/{turn}/audio").content
    for data in (base64.b64decode(answer.json()["choices"][0]["message"]["audio"]["data"]), again):
        with wave.open(BytesIO(data)) as file:
            assert file.getframerate() == 48_000
            assert 3 < file.getnframes() / 48_000 < 10


@pytest.mark.parametrize(
    "audio",
    [
        {"format": "pcm16", "sample_rate": 7_000},
        {"format": "g711_ulaw", "sample_rate": 16_000},
        {"format": "wav", "sample_rate": "16k"},
        {"sample_rate": -1},
        {"sample_rate": True},
    ],
)
def test_a_rate_that_cant_be_had_is_refused(stack: Stack, audio: dict[str, Any]) -> None:
    answer = stack.client.post(PATH, json={"messages": [user("Hello")], "audio": audio})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "audio.sample_rate")


def test_a_whole_answer_is_a_file(stack: Stack) -> None:
    model = stack.simulator.full(text=FULL)
    body = {"model": model, "messages": [user("Hello")], "useProgressiveResponse": False}
    answer = stack.client.post(PATH, json={**body, "modalities": ["text", "audio"]}).json()
    message = answer["choices"][0]["message"]
    assert message["content"] is None and message["audio"]["transcript"] == FULL
    with wave.open(BytesIO(base64.b64decode(message["audio"]["data"]))) as file:
        assert file.getframerate() == 24_000
        assert 3 < file.getnframes() / 24_000 < 10


def test_a_turns_sound_can_be_fetched_after_it(stack: Stack) -> None:
    model = stack.simulator.full(text=FULL)
    written, spoken = stack.hear(model, useProgressiveResponse=False), speak(stack, model, "g711_ulaw")
    sound = stack.client.get(f"/v1/sessions/{spoken.session}/turns/{spoken.headers['x-turn-id']}/audio")
    assert (sound.headers["content-type"], sound.content) == ("audio/basic", sound_of(spoken))
    sound = stack.client.get(f"/v1/sessions/{written.session}/turns/{written.headers['x-turn-id']}/audio")
    with wave.open(BytesIO(sound.content)) as file:
        assert 3 < file.getnframes() / file.getframerate() < 10
    assert stack.client.get(f"/v1/sessions/{spoken.session}/turns/nosuchturn/audio").status_code == 404


def test_openais_own_client_reads_it(stack: Stack) -> None:
    model = stack.simulator.full(text=FULL)
    with openai.OpenAI(base_url=f"{stack.url}/v1/audio", api_key="k") as client:
        answer = client.chat.completions.create(
            model=model,
            messages=[{"role": "user", "content": "Hello"}],
            modalities=["text", "audio"],
            audio={"voice": "alloy", "format": "wav"},
            extra_body={"useProgressiveResponse": False},
        )
    audio = answer.choices[0].message.audio
    assert audio and audio.transcript == FULL and audio.expires_at > answer.created
    assert base64.b64decode(audio.data)[:4] == b"RIFF"


def test_the_models_are_not_told_of_audio(stack: Stack) -> None:
    model = stack.simulator.full(text=FULL)
    speak(stack, model, "pcm16")
    (asked,) = stack.simulator.requests(model)
    assert not {"audio", "modalities"} & set(asked)


def test_a_recording_is_written_down_before_the_turn_starts(stack: Stack) -> None:
    model = stack.simulator.full(text=FULL)
    stack.simulator.change("whisper-1", text="Are you open on Sundays?")
    content = [{"type": "text", "text": "The caller said:"}, RECORDING]
    heard = speak(stack, model, "g711_ulaw", messages=[user("Hi"), {"role": "user", "content": content}])
    (asked,) = stack.simulator.requests(model)
    said = asked["messages"][-1]["content"]
    assert said == [content[0], {"type": "text", "text": "Are you open on Sundays?"}]
    assert (
        b"UklGRg"
        not in at_once(stack.redis.xrange(f"fr:{{default:{heard.session}}}:log"))[0][1][b"turn.started"]
    )


def test_a_recording_that_cannot_be_written_down_is_told(stack: Stack) -> None:
    stack.simulator.change("whisper-1", status=500)
    body = {"messages": [{"role": "user", "content": [RECORDING]}]}
    answer = stack.client.post(PATH, json=body)
    stack.simulator.change("whisper-1")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "transcription_failed")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"audio": {"format": "mp3"}}, "audio.format"),
        ({"audio": "loud"}, "audio"),
        ({"modalities": ["text"]}, "modalities"),
        ({"n": 2}, "n"),
        (
            {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": "?"}]}]},
            "messages.content.input_audio",
        ),
    ],
)
def test_what_cannot_be_spoken_is_told(stack: Stack, fields: dict[str, Any], param: str) -> None:
    answer = stack.client.post(PATH, json={"messages": [user("Hello")], **fields})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_a_failed_turn_is_told_as_ever(stack: Stack) -> None:
    model = stack.simulator.full(status=500)
    speak(stack, model, "pcm16").assert_failed("upstream_refused")
    body = {"model": model, "messages": [user("Hello")], "useProgressiveResponse": False}
    assert stack.client.post(PATH, json=body).status_code == 502


def test_a_tool_call_comes_after_what_was_said_before_it(stack: Stack) -> None:
    call = {"name": "look_up", "arguments": '{"day": "Sunday"}'}
    heard = speak(stack, stack.simulator.full(text="One moment please.", tool_calls=[call]), "g711_alaw")
    heard.assert_well_ended("tool_calls")
    kinds = [key for chunk in heard.chunks for key in chunk["choices"][0]["delta"] if key != "role"]
    assert kinds[0] == "audio" and kinds.index("tool_calls") > kinds.index("audio")
    assert transcript_of(heard) == "One moment please."


# A voice on a server.


def served(simulator: Simulator, text: str, **settings: Any) -> bytes:
    """What a server's voice says."""

    async def ask() -> bytes:
        at = Settings(speech_url=f"{simulator.url}/v1", speech_voice="nova", **settings)
        async with (
            httpx.AsyncClient(trust_env=False) as client,
            aclosing(ServedVoice(at, client).speak(Utterance(text, "en"))) as sounds,
        ):
            return b"".join([sound.pcm async for sound in sounds])

    return asyncio.run(ask())


def test_a_servers_voice_speaks_the_whole_text(simulator: Simulator) -> None:
    simulator.reset()
    pcm = served(simulator, "We open at nine.", speech_model="tts-7")
    assert seconds_of("pcm16", pcm) == pytest.approx(16 * 0.060)
    (asked,) = simulator.requests("tts-7")
    assert asked == {
        "model": "tts-7",
        "input": "We open at nine.",
        "voice": "nova",
        "response_format": "pcm",
    }


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        ({"status": 500}, "voice_refused"),
        ({"ttft_ms": 60_000}, "voice_silent"),
        ({"cut_after": 3}, "voice_unreachable"),
    ],
)
def test_a_voice_that_fails_says_how(simulator: Simulator, behaviour: dict[str, Any], code: str) -> None:
    model = simulator.full(**behaviour)
    with pytest.raises(VoiceError, match=code):
        served(simulator, "We open at nine.", speech_model=model, speech_timeout_s=0.3)
