"""Whatever a model, a document or a client says: no stream gets another event from it, no answer a header."""

import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
import orjson
import pytest

from common.tenants.profiles import Upstream
from tests.support.found_passages import Found
from tests.support.scripted_model import END, Step
from tests.support.served_api import serving
from tests.support.speech_workers import open_speaker, sound
from tests.support.store_servers import Backend
from tests.support.waiting import in_loop
from tests.support.wiring import open_worker
from workers.knowledge.passages import Passage
from workers.providers.base import ToolCallDelta, UpstreamError
from workers.speech.voice import Sound, Utterance

EVIL = (
    "Yes.\r\n\r\ndata: [DONE]\n\nevent: end\nid: 5\nretry: 1\r\rdata: {}\r\n\r\n: c\n"
    "\u2028data: [DONE]\u2029\u0085\x0b\x0c\x1c\x00\x7f\ufeff<script>\u202e \"'\\ \U0001f642 No.\n\n"
)
CHAT, ALOUD, SENTENCES = "/v1/chat/completions", "/v1/audio/chat/completions", "/v1/llm-request"
ASKED: dict[str, Any] = {"messages": [{"role": "user", "content": EVIL}]}
SSE = {"Accept": "text/event-stream"}
PLACE = re.compile(r"[0-9a-z]{8,40}-\d+-\d+")
ENTRY = re.compile(r"\d+-\d+")
OUR_HEADERS = {
    "cache-control",
    "content-disposition",
    "content-length",
    "content-type",
    "date",
    "retry-after",
    "transfer-encoding",
    "x-accel-buffering",
    "x-content-type-options",
    "x-session-id",
    "x-turn-id",
}


@dataclass
class Event:
    """One event as a browser gets it."""

    id: str = ""
    name: str = ""
    data: str = ""

    @property
    def json(self) -> Any:
        return orjson.loads(self.data)


def read_events(raw: bytes) -> list[Event]:
    """The events of a stream, all three line ends counted as the standard has it; no field is unknown."""
    assert raw.endswith(b"\n\n")
    events, event, data = [], Event(), list[str]()
    for line in re.split(r"\r\n|\r|\n", raw.decode()):
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            data.append(value)
        elif field == "id":
            event.id = value
        elif field == "event":
            event.name = value
        elif line == "" and data:
            event.data = "\n".join(data)
            events.append(event)
            event, data = Event(), []
        else:
            assert line in ("", "retry: 500", ": still here"), line
    return events


def check_headers(response: httpx.Response) -> None:
    """All of them are ours, and hold what a header may."""
    assert set(response.headers) <= OUR_HEADERS
    for _, value in response.headers.raw:
        assert re.fullmatch(rb"[\x20-\x7e]*", value)


def squeezed(text: str) -> str:
    return "".join(text.split())


class Saying:
    """Models that say the same to everybody, by any name."""

    def __init__(self, *steps: Step) -> None:
        self._steps: Sequence[Step] = steps

    async def stream(self, upstream: Upstream, body: dict[str, Any]) -> AsyncGenerator[Any, None]:
        for step in self._steps:
            if isinstance(step, UpstreamError):
                raise step
            yield step


class Humming:
    """A voice that can say anything."""

    async def speak(self, utterance: Utterance) -> AsyncGenerator[Sound, None]:
        yield sound("m")


class Line:
    """A gateway with workers behind it, and a client of its."""

    def __init__(self, backend: Backend, *steps: Step, **settings: Any) -> None:
        self._settings = backend.settings(**settings)
        self._model = Saying(*steps)
        self._parts = AsyncExitStack()

    async def __aenter__(self) -> "Line":
        open_part = self._parts.enter_async_context
        passage = Passage(EVIL, EVIL, EVIL, EVIL, 7.5)
        await open_part(open_worker(self._settings, "draft", self._model, name="w:draft"))
        await open_part(
            open_worker(self._settings, "full", self._model, name="w:full", search=Found(passage))
        )
        await open_part(open_speaker(self._settings, Humming()))
        self.client = await open_part(serving(self._settings))
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._parts.aclose()

    async def ask(self, path: str = CHAT, **body: Any) -> list[Event]:
        """The events of a new turn."""
        answer = await self.client.post(path, json={**ASKED, "stream": True, **body}, headers=SSE)
        assert answer.status_code == 200, answer.text
        check_headers(answer)
        session, self.turn = answer.headers["x-session-id"], answer.headers["x-turn-id"]
        self.session = f"/v1/sessions/{session}"
        return read_events(answer.content)

    async def read(self, path: str, **headers: str) -> bytes:
        answer = await self.client.get(path, headers=headers)
        assert answer.status_code == 200, answer.text
        check_headers(answer)
        return answer.content


def check_chunks(events: list[Event]) -> str:
    """Whether these are one answer's chunks and nothing else; what they say."""
    assert events[-1].data == "[DONE]" and [event.name for event in events] == [""] * len(events)
    assert all(PLACE.fullmatch(event.id) for event in events)
    assert [event.data for event in events].count("[DONE]") == 1
    chunks = [event.json for event in events[:-1]]
    assert {chunk.get("object", "error") for chunk in chunks} <= {"chat.completion.chunk", "error"}
    deltas = [choice["delta"] for chunk in chunks for choice in chunk.get("choices", ())]
    return "".join(delta.get("content") or "" for delta in deltas)


@in_loop
async def test_what_a_model_says_is_text_in_every_form(valkey: Backend) -> None:
    async with Line(valkey, *EVIL, *END) as line:
        alone: dict[str, Any] = {"useProgressiveResponse": False, "model": EVIL, "session_id": "a"}
        chunks = await line.ask(**alone, fast_reply={"lanes": True})
        assert check_chunks(chunks) == EVIL
        assert chunks[0].json["model"] == EVIL
        turn = f"{line.session}/turns/{line.turn}"
        assert read_events(await line.read(turn, **SSE)) == chunks
        for at in range(1, len(chunks) - 1, 40):
            rest = await line.read(turn, **SSE, **{"Last-Event-ID": chunks[at].id})
            assert read_events(rest) == chunks[at + 1 :]

        drafted = await line.ask(session_id="b")
        assert EVIL[:10] in check_chunks(drafted)

        told = await line.ask(SENTENCES)
        assert {event.name for event in told} == {"sentence", "end"} and told[-1].name == "end"
        assert all(PLACE.fullmatch(event.id) for event in told)

        spoken = await line.ask(ALOUD, useProgressiveResponse=False)
        check_chunks(spoken)
        audio = [event.json["choices"][0]["delta"].get("audio", {}) for event in spoken[:-1]]
        assert squeezed("".join(each.get("transcript", "") for each in audio)) == squeezed(EVIL)


@in_loop
async def test_what_was_recorded_is_text_too(valkey: Backend) -> None:
    async with Line(valkey, EVIL, *END) as line:
        await line.ask(session_id="a", useProgressiveResponse=False)
        kinds = ["turn.started", "lane.started", "delta", "lane.finished", "turn.ended"]

        lines = (await line.read(f"{line.session}/events")).split(b"\n")
        assert lines.pop() == b"" and [orjson.loads(each)["kind"] for each in lines] == kinds

        played = read_events(await line.read(f"{line.session}/replay?speed=max"))
        assert [event.name for event in played] == [*kinds, "end"]
        assert all(ENTRY.fullmatch(event.id) for event in played[:-1])
        assert played[2].json["event"]["text"] == EVIL

        async with line.client.stream("GET", f"{line.session}/events", headers=SSE) as tail:
            raw = b""
            async for piece in tail.aiter_bytes():
                raw += piece
                if b"event: turn.ended" in raw and raw.endswith(b"\n\n"):
                    break
        assert [event.name for event in read_events(raw)] == kinds


@in_loop
async def test_tools_are_named_within_their_event(valkey: Backend) -> None:
    async with Line(valkey, ToolCallDelta(0, EVIL, EVIL, EVIL), *END) as line:
        chunks = await line.ask(useProgressiveResponse=False)
        check_chunks(chunks)
        calls = [call for e in chunks[:-1] for call in e.json["choices"][0]["delta"].get("tool_calls", ())]
        assert [(call["id"], call["function"]) for call in calls] == [
            (EVIL, {"name": EVIL, "arguments": EVIL})
        ]
        for name in ("call", "é", "呼叫"):
            told = await line.ask(SENTENCES, eventName=name)
            assert [event.name for event in told] == [name, "end"]
        for name in (
            "x\ndata: 1",
            "x\r",
            "x\x00",
            "x\x85y",
            "x\u2028y",
            "x y",
            "end",
            "sentence",
            "error",
            "",
        ):
            refused = await line.client.post(SENTENCES, json={**ASKED, "eventName": name})
            assert (refused.status_code, refused.json()["error"]["param"]) == (400, "eventName")


@in_loop
async def test_fillers_citations_and_errors_stay_within_theirs(valkey: Backend) -> None:
    async with Line(valkey, UpstreamError("upstream_error", EVIL)) as line:
        filler = {"phrases": {"*": [EVIL]}, "delay_ms": 0}
        ours = {"policy": {"filler": filler}, "knowledge": {"citations": True}}
        chunks = await line.ask(useProgressiveResponse=False, fast_reply=ours)
        check_chunks(chunks)
        errors = [event.json["error"] for event in chunks[:-1] if "error" in event.json]
        assert [error["message"] for error in errors] == [EVIL]
        told = await line.ask(SENTENCES)
        assert [event.name for event in told] == ["error", "end"]
        whole = await line.client.post(CHAT, json=ASKED)
        assert (whole.status_code, whole.json()["error"]["message"]) == (502, EVIL)
        check_headers(whole)
    async with Line(valkey, "Nine.", *END) as line:
        ours = {"knowledge": {"citations": True}}
        chunks = await line.ask(useProgressiveResponse=False, fast_reply=ours)
        check_chunks(chunks)
        deltas = [event.json["choices"][0]["delta"] for event in chunks[:-1]]
        (cited,) = [delta["citations"] for delta in deltas if "citations" in delta]
        assert (cited[0]["title"], cited[0]["document"]) == (EVIL, EVIL)


@in_loop
async def test_names_are_quoted_wherever_they_go(valkey: Backend) -> None:
    name = 'a"; filename="evil.exe\'\\ é 末 🙂 %0d%0aX-Evil: 1'
    async with Line(valkey, "Nine.", *END) as line:
        headers = {"X-Request-Id": "%0d%0aX-Evil: 1", "Idempotency-Key": "a: b, c", **SSE}
        answer = await line.client.post(
            CHAT, json={**ASKED, "stream": True, "session_id": name}, headers=headers
        )
        check_headers(answer)
        check_chunks(read_events(answer.content))
        assert answer.headers["x-session-id"] == quote(name, safe="")
        export = await line.client.get(f"/v1/sessions/{quote(name, safe='')}/export")
        check_headers(export)
        assert re.fullmatch(
            r'attachment; filename="[A-Za-z0-9._-]+\.jsonl"', export.headers["content-disposition"]
        )
        for bad in ("a\r\nX-Evil: 1", "a\x00", "a\u2028", "a\x85", "a\n"):
            refused = await line.client.post(CHAT, json={**ASKED, "session_id": bad})
            assert (refused.status_code, bad in refused.text) == (400, False)
            check_headers(refused)


@in_loop
@pytest.mark.parametrize(
    "path", ["/v1/sessions/%0d%0aX-Evil:%201", "/v1/sessions/%ED%A0%80/export", "/v1/sessions/a%00b/replay"]
)
async def test_paths_come_back_in_no_header(valkey: Backend, path: str) -> None:
    async with serving(valkey.settings()) as client:
        for method in ("GET", "DELETE"):
            answer = await client.request(method, path)
            assert answer.status_code in (404, 405)
            assert set(answer.headers) <= {*OUR_HEADERS, "allow"}
            assert "evil" not in answer.text.lower()


@in_loop
@pytest.mark.parametrize(
    "body",
    [
        rb'{"messages": [{"role": "user", "content": "\ud800"}]}',
        b'{"messages": [{"role": "user", "content": "\xed\xa0\x80"}]}',
        b'{"messages": [{"role": "user", "content": "\xff"}]}',
        b'{"messages": ' + b"[" * 5_000 + b"]" * 5_000 + b"}",
        b'{"messages": [{"role": "user", "content": 1e999}]}',
        b"\x00",
    ],
)
async def test_what_is_no_text_is_refused(valkey: Backend, body: bytes) -> None:
    async with serving(valkey.settings()) as client:
        for path in (CHAT, ALOUD, SENTENCES):
            answer = await client.post(path, content=body)
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_json")
