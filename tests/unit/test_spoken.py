"""A spoken turn's stream: what of it counts; and a client's answer: text and sound in one order."""

import asyncio
import base64
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from itertools import permutations
from typing import Any, cast

import orjson
import pytest

from api.answers.audio_chunks import AudioChunkEncoder
from api.answers.audio_feed import AudioFeed
from api.turns.live import LiveTurn
from common.errors import turn_error
from common.names import SessionRef, TurnRef
from common.net.sse import SSEParser
from common.speech import stream
from common.speech.stream import Began, Frame, Over, SpeechState, Spoken, decode
from common.store.redis import Stores
from common.turn.lane_state import ToolCallState
from common.turn.outputs import Output, TextReleased, ToolCalled, TurnEnding
from tests.support.turn_events import started


def frame(number: int, *, start: int = 0, end: int = 9, attempt: int = 1, last: bool = False) -> Frame:
    return Frame(attempt, start, end, number, last, bytes([attempt, start, number]))


def counted(*entries: Spoken) -> list[Spoken]:
    state = SpeechState()
    return [entry for entry in entries if state.apply(entry)]


def test_repeated_frames_change_nothing() -> None:
    frames = [frame(0), frame(1), frame(2, last=True), frame(0, start=10, end=20)]
    assert counted(*frames, *frames, frames[3]) == frames


def test_from_a_later_attempt_on_the_former_is_void() -> None:
    assert counted(frame(0), Began(2), frame(1), frame(1, attempt=2)) == [frame(0), frame(1, attempt=2)]
    assert counted(Began(2), Over(1, "failed"), Over(2, "done")) == [Over(2, "done")]


def test_a_frame_of_another_cut_of_the_same_text_does_not_count() -> None:
    assert counted(frame(0), frame(0, start=4, end=12), frame(1)) == [frame(0), frame(1)]


def test_after_a_loss_the_next_sentence_counts() -> None:
    later = frame(0, start=10, end=20)
    assert counted(frame(0), frame(2), later, frame(1)) == [frame(0), later]


def test_nothing_counts_after_the_end() -> None:
    assert counted(frame(0), Over(1, "stopped"), frame(1), Over(1, "done")) == [frame(0), Over(1, "stopped")]


@pytest.mark.parametrize("entry", [Began(3), frame(2, last=True), Over(1, "failed")])
def test_entries_are_read_as_they_were_written(entry: Spoken) -> None:
    written: dict[bytes, bytes] = {}

    class Pipe:
        def xadd(self, key: str, fields: dict[bytes, bytes]) -> None:
            written.update(fields)

        def __getattr__(self, name: str) -> Any:
            return lambda *_: None

    stream.append(cast(Any, Pipe()), TurnRef(SessionRef("default", "s"), "turn0001"), entry)
    assert decode(written) == entry


END = TurnEnding("stop", False, None, 900)
TEXT = [
    TextReleased("draft", "One moment.", 5),
    TextReleased("full", " We open", 10),
    TextReleased("full", " at nine.", 20),
]
SOUND: list[Frame | Over] = [
    Frame(1, 0, 11, 0, False, b"\1\1"),
    Frame(1, 0, 11, 1, True, b"\2"),
    Frame(1, 12, 28, 0, True, b"\3\3"),
    Over(1, "done"),
]
CALL = ToolCalled(0, ToolCallState("call_1", "look_up", "{}"), 25)


def spoken_answer() -> AudioChunkEncoder:
    first = replace(started(), speech={"voice": "", "format": "pcm16"})
    live = LiveTurn(cast(Stores, None), TurnRef(SessionRef("default", "s"), first.turn), first, 2000)
    return AudioChunkEncoder(live)


def heard(data: bytes) -> list[Any]:
    """What a client makes of the events: transcripts, bytes, names of calls, codes of errors, the finish."""
    out: list[Any] = []
    for event in SSEParser().feed(data):
        body = {} if event.data == b"[DONE]" else orjson.loads(event.data)
        if "error" in body:
            out.append(body["error"]["code"])
        for choice in body.get("choices", ()):
            audio = choice["delta"].get("audio", {})
            out += [audio["transcript"]] if "transcript" in audio else []
            out += [base64.b64decode(audio["data"])] if "data" in audio else []
            out += [call["function"]["name"] for call in choice["delta"].get("tool_calls", ())]
            out += [choice["finish_reason"]] if choice["finish_reason"] else []
    return out


WHOLE = ["One moment.", b"\1\1", b"\2", " We open at nine.", b"\3\3", "stop"]


def bring(*order: Sequence[Output | Frame | Over]) -> bytes:
    answer, data = spoken_answer(), b""
    for batch in order:
        sound = isinstance(batch[0], Frame | Over)
        data += answer.hear(cast(Any, batch)) if sound else answer.encode(cast(Any, batch))
    return data


def test_whichever_comes_first_the_client_gets_the_same() -> None:
    parts: list[Any] = [TEXT[:1], TEXT[1:2], [*TEXT[2:], END], SOUND[:1], SOUND[1:3], SOUND[3:]]
    ways = [way for way in permutations(range(6)) if _keeps_order(way)]
    answers = {bring(*(parts[place] for place in way)) for way in ways}
    assert len(ways) == 20 and len(answers) == 1
    assert heard(answers.pop()) == WHOLE


def _keeps_order(way: tuple[int, ...]) -> bool:
    return [p for p in way if p < 3] == [0, 1, 2] and [p for p in way if p > 2] == [3, 4, 5]


def test_a_call_comes_after_what_was_said_before_it() -> None:
    assert heard(bring([*TEXT, CALL, END], SOUND)) == [*WHOLE[:-1], "look_up", "stop"]


@pytest.mark.parametrize("reason", ["interrupted", "superseded"])
def test_a_turn_that_is_stopped_falls_silent(reason: str) -> None:
    ending = TurnEnding(reason, False, None, 30)
    assert heard(bring(TEXT, SOUND[:2], [ending], SOUND[2:])) == [*WHOLE[:3], "length"]


def test_where_the_caller_broke_in_after_the_text_the_rest_is_not_told() -> None:
    assert heard(bring([*TEXT, END], SOUND[:2], [Over(1, "stopped")])) == [*WHOLE[:3], "stop"]


@pytest.mark.parametrize("early", [True, False])
def test_what_could_not_be_spoken_is_told(early: bool) -> None:
    failed: list[Output | Frame | Over] = [Over(1, "failed")]
    text: list[Output | Frame | Over] = [*TEXT, END]
    rest = [failed, text] if early else [text, failed]
    assert heard(bring(*rest)) == ["One moment. We open at nine.", "speech_failed", "stop"]


def test_the_models_failure_is_told_rather_than_the_voices() -> None:
    error = turn_error("upstream_cut", "it broke off")
    assert heard(bring([replace(END, reason="error", error=error)], [Over(1, "failed")])) == [
        "upstream_cut",
        "error",
    ]


class _Live:
    """A turn whose releases stand ready, and may break."""

    def __init__(self, *releases: Output, bug: Exception | None = None) -> None:
        self.turn, self.started, self.created_s = _REF, started(), 0
        self.usage: dict[str, Any] = {}
        self.started.speech["format"] = "pcm16"
        self._releases, self._bug = releases, bug

    async def follow(self) -> AsyncGenerator[list[Output], None]:
        yield list(self._releases)
        if self._bug:
            raise self._bug


class _Feed:
    """Sound that breaks."""

    wait_s = 5.0

    async def follow(self, turn: TurnRef) -> AsyncGenerator[list[Frame | Over], None]:
        yield [frame(0, end=5, last=True)]
        raise TypeError("a bug")


_REF = TurnRef(SessionRef("default", "s"), "aaaaaaaaaaaa")


async def _spoken(live: Any) -> bytes:
    answer = AudioChunkEncoder(live)
    async with asyncio.timeout(10):
        return b"".join([each async for each in answer.stream(cast(AudioFeed, _Feed()))])


def test_sound_that_breaks_leaves_the_text_and_an_error() -> None:
    live = _Live(TextReleased("full", "Hello. More.", 0), TurnEnding("stop", False, None, 0))
    events = asyncio.run(_spoken(live))
    assert b'"transcript":"Hello"' in events and b'"transcript":". More."' in events
    assert b'"code":"speech_failed"' in events and events.endswith(b"data: [DONE]\n\n")


def test_a_text_that_breaks_is_told_to_who_streams_it() -> None:
    with pytest.raises(TypeError):
        asyncio.run(_spoken(_Live(bug=TypeError("a bug"))))


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {b"frame": b"7"},
        {b"frame": b"{"},
        {b"frame": b"[]"},
        {b"frame": b'{"attempt":1}', b"data": b""},
        {b"frame": b'{"attempt":1,"start":0,"end":"9","number":0,"last":true}', b"data": b""},
        {b"over": b'{"attempt":null,"reason":"done"}'},
        {b"other": b"{}"},
    ],
)
def test_a_broken_entry_of_speech_is_passed_over(fields: dict[bytes, bytes]) -> None:
    good = {b"began": b'{"attempt":2}', b"data": b""}
    assert stream.decode_all([(b"1-0", fields), (b"2-0", good)]) == [Began(2)]
