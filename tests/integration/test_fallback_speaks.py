"""A model's server that fails in any of its ways before it has said a word: the profile's fallback speaks."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from common.events import Delta, LaneFinished
from common.settings import FallbackModel, Settings
from common.store import keys
from common.store.redis import Stores, open_stores
from common.tenants.profiles import profile_of
from tests.support.raw_server import YES, Asked, answering, chunk, events, whole
from tests.support.store_servers import Backend
from tests.support.stored_turns import events as events_of
from tests.support.stored_turns import start
from tests.support.waiting import in_loop, until
from tests.support.wiring import Worker, open_worker
from workers.providers.registry import Providers
from workers.upstreams import name_of

ERROR = {"error": {"message": "The server had an error", "type": "server_error", "code": None}}
ROLE = chunk(role="assistant")


def said(value: Any, *headers: bytes, **more: Any) -> bytes:
    """A body of JSON, as an answer."""
    return whole(value if isinstance(value, bytes) else orjson.dumps(value), *headers, **more)


def streamed(*data: bytes | dict[str, Any], name: bytes = b"", end: bytes = b"data: [DONE]\n\n") -> bytes:
    """Events with these data, behind a first one that names the role."""
    texts = [each if isinstance(each, bytes) else orjson.dumps(each) for each in data]
    return whole(events(ROLE, end=b"") + b"".join(b"%bdata: %b\n\n" % (name, text) for text in texts) + end)


JSON: dict[str, Any] = {"kind": b"application/json"}
NOTHING = {
    "choices": [{"index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": "stop"}]
}
THOUGHT = {"choices": [{"index": 0, "delta": {"reasoning_content": "Hm."}, "finish_reason": None}]}
STOP = chunk(reason="stop")
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
ENDING = b"Connection: close"  # the server hangs up behind it

OPENAI: dict[str, bytes | None] = {
    # Errors as events.
    "an error": streamed(ERROR),
    "an error and no end": streamed(ERROR, end=b""),
    "an event of that name": streamed(ERROR, name=b"event: error\n"),
    "an event of that name alone": whole(b"event: error\ndata:\n\n"),
    "one whose words are no JSON": streamed(b"Internal error", name=b"event: error\n"),
    "an error as a text": streamed({"error": "overloaded"}),
    "an object of that kind": streamed({"object": "error", "message": "no", "code": 50001}),
    "no choices and a message": streamed({"choices": None, "error_message": "no"}),
    "the word for the end": streamed(chunk(reason="error")),
    "in the choice": streamed(
        {"choices": [{"index": 0, "delta": {}, "error": {"code": 502, "message": "x"}}]}
    ),
    "behind a thought": streamed(THOUGHT, ERROR),
    "behind blanks": streamed(chunk(" \n"), ERROR),
    "too many requests": streamed({"error": {"code": 429, "message": "slow down"}}),
    # Errors as bodies of status 200.
    "a body": said(ERROR, **JSON),
    "a body as an event stream": said(ERROR),
    "a body of another shape": said({"code": 500, "msg": "no", "data": None}, **JSON),
    "a body with success": said({"success": False, "message": "no"}, **JSON),
    "a body with detail": said({"detail": "Not Found"}, **JSON),
    "a body of MiniMax's": said({"base_resp": {"status_code": 1002, "status_msg": "limit"}}, **JSON),
    "a list of errors": said([ERROR], **JSON),
    "a page": said(b"<html><body>502 Bad Gateway</body></html>", kind=b"text/html"),
    "a word": said(b"upstream connect error", kind=b"text/plain"),
    # Empty ones.
    "no bytes": said(b""),
    "no events": said(b": hi\n\n"),
    "an end alone": said(b"data: [DONE]\n\n"),
    "a stop alone": streamed(STOP),
    "blanks": streamed(chunk(" "), chunk("\n\n"), STOP),
    "thoughts": streamed(THOUGHT, STOP),
    "thoughts in marks": streamed(chunk("<think>Hm.</think>"), STOP),
    "an empty message": said(NOTHING, **JSON),
    "null": said(b"null", **JSON),
    "an empty object": said({}, **JSON),
    "no choices": said({"object": "chat.completion", "choices": []}, **JSON),
    # Half JSON.
    "half an event": streamed(b'{"choices": [{"index": 0, "delta": {"conte'),
    "half an event at the end": whole(b'data: {"choices": [{"index": 0, "delta": {"conte'),
    "half a body": said(b'{"object": "chat.completion", "choices": [{"index": 0, "mess', **JSON),
    "half a list": said(b"[" + orjson.dumps(chunk("Yes")) + b",", **JSON),
    "no JSON": streamed(b"{'choices': []}"),
    "another shape": streamed({"choices": [{"index": 0, "delta": "Yes"}]}),
    "too deep": streamed(b'{"choices": [{"delta": {"content": ' + b"[" * 9_000 + b"]" * 9_000 + b"}}]}"),
    # Broken HTTP.
    "a header without end": whole(YES, b"X-Long: " + b"x" * 200_000),
    "headers without end": whole(YES, *(b"X-%d: x" % number for number in range(3_000))),
    "a bad chunk size": CHUNKED + b"zz\r\n" + YES,
    "a bad first chunk": CHUNKED + b"-1\r\n\r\n",
    "no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n\r\n" + ENDING,
    "hung up": None,
    "cut": whole(YES[:20]).replace(b"Content-Length: ", b"Content-Length: 9") + ENDING,
    "switching": b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n" + ENDING,
    "moved": said(b"", b"Location: http://127.0.0.1:9/", status=b"302 Found"),
    "not packed as it says": said(YES, b"Content-Encoding: gzip"),
    # Statuses.
    **{
        f"{status}": said(ERROR, status=b"%d No" % status, **JSON)
        for status in (400, 401, 404, 429, 500, 529)
    },
    "busy for a while": said(ERROR, b"Retry-After: 30", status=b"503 No", **JSON),
    "busy for no time": said(ERROR, b"Retry-After: 0", status=b"503 No", **JSON),
    "too many for no time": said(ERROR, b"Retry-After: 0", status=b"429 No", **JSON),
}
ANTHROPIC: dict[str, bytes | None] = {
    "an error event": whole(
        b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"x"}}\n\n'
    ),
    "an error's body": said({"type": "error", "error": {"type": "api_error", "message": "x"}}, **JSON),
    "a stop alone": whole(b'data: {"type":"message_stop"}\n\n'),
    "half an event": whole(b'event: content_block_delta\ndata: {"type":"content_bl\n\n'),
    "no bytes": said(b""),
}
YANDEX: dict[str, bytes | None] = {
    "an error": said({"error": {"grpcCode": 13, "httpCode": 500, "message": "x"}}, **JSON),
    "too many": said({"error": {"grpcCode": 8, "httpCode": 429, "message": "x"}}, **JSON),
    "nothing": said({"result": {"alternatives": []}}, **JSON),
    "half": said(b'{"result": {"alternatives": [{"mess', **JSON),
    "no bytes": said(b""),
}


ALWAYS_YES = (whole(YES),)


@dataclass
class Asking:
    """A full's worker before a server and its fallbacks', and what these were asked."""

    settings: Settings
    stores: Stores
    worker: Worker
    asked: list[Asked]
    spares_asked: list[Asked]

    async def turn(self, session: str) -> tuple[LaneFinished, str]:
        """How the full's lane ended, and what it said."""
        turn = await start(self.stores, self.settings, session)

        async def over() -> LaneFinished | None:
            found = await events_of(self.stores, turn)
            return next((event for event in found if isinstance(event, LaneFinished)), None)

        finished = await until(over)
        text = [event.text for event in await events_of(self.stores, turn) if isinstance(event, Delta)]
        return finished, "".join(text)

    async def forget(self) -> None:
        """Let no model be known as busy."""
        upstreams = self.worker.running.upstreams
        await upstreams.flush()
        await self.stores.queue.delete(keys.UPSTREAMS_BUSY)
        upstreams.set_state([], [])

    async def failures(self) -> list[bytes | None]:
        """What all workers know of the full model's failures: how many, and until when it is broken."""
        await self.worker.running.upstreams.flush()
        name = name_of(profile_of(self.settings).full)
        return [
            await self.stores.queue.get(keys.upstream_failures(name)),
            await self.stores.queue.zscore(keys.UPSTREAMS_BROKEN, name),
        ]


@asynccontextmanager
async def asking(
    backend: Backend, answer: Any, spare_answer: Any = ALWAYS_YES, *, scheme: str = "", **changes: Any
) -> AsyncIterator[Asking]:
    """A worker whose full is at this server, and two fallbacks at another, which says yes."""
    async with answering(answer) as line, answering(spare_answer) as spare:
        base = f"{scheme}http://127.0.0.1:{line.server.port}" + ("" if scheme else "/v1")
        url = f"http://127.0.0.1:{spare.server.port}/v1"
        fallbacks = tuple(FallbackModel(model=f"spare{number}", base_url=url) for number in (0, 1))
        settings = backend.settings(llm_base_url=base, small_model="", fallbacks=fallbacks, **changes)
        async with open_stores(settings) as stores:
            provider = Providers(line.client, line.client, stores, None)
            async with open_worker(settings, "full", provider) as worker:
                yield Asking(settings, stores, worker, line.server.asked, spare.server.asked)


@pytest.mark.parametrize(
    ("scheme", "failing"), [("", OPENAI), ("anthropic+", ANTHROPIC), ("yandex+", YANDEX)]
)
@in_loop
async def test_whatever_comes_in_place_of_an_answer_the_fallback_speaks(
    valkey: Backend, scheme: str, failing: dict[str, bytes | None]
) -> None:
    """One worker meets them all, one after the other."""
    now = ""
    async with asking(valkey, lambda _: failing[now], scheme=scheme, breaker_failures=0) as line:
        heard, unasked = dict[str, Any](), list[str]()
        for now in failing:
            line.asked.clear()
            finished, text = await line.turn(f"s{len(heard)}")
            heard[now] = (finished.error, finished.reason, text.strip())
            unasked += [] if line.asked else [now]
            await line.forget()
        assert {kind: told for kind, told in heard.items() if told != (None, "stop", "Yes.")} == {}
        assert unasked == []


MODELS = ["full", "spare0", "spare1"]
NOW = b"Retry-After: 0"
BUSY = [
    said(ERROR, NOW, status=b"429 No", **JSON),
    said(ERROR, NOW, status=b"503 No", **JSON),
    said(ERROR, b"retry-after-ms: 0", status=b"429 No", **JSON),
    said(ERROR, b"Retry-After: Thu, 01 Jan 1970 00:00:00 GMT", status=b"503 No", **JSON),
    said(ERROR, b"Retry-After: -5", status=b"429 No", **JSON),
    said(ERROR, b"Retry-After: soon", status=b"429 No", **JSON),
]
EMPTY = [streamed(STOP), streamed(THOUGHT, STOP), streamed(chunk(" "), STOP), said(NOTHING, **JSON)]


@pytest.mark.parametrize("first", ["busy", "empty"])
@in_loop
async def test_a_busy_full_and_an_empty_one_give_way_to_the_next_each_asked_once(
    valkey: Backend, first: str
) -> None:
    """Also where it says that it is busy for no time: only the last one is waited for."""
    one = two = b""

    def spare(asked: Asked) -> bytes:
        return two if asked.body["model"] == "spare0" else whole(YES)

    async with asking(valkey, lambda _: one, spare, breaker_failures=0) as line:
        for number, (busy, empty) in enumerate(zip(BUSY, EMPTY * 2, strict=False)):
            one, two = (busy, empty) if first == "busy" else (empty, busy)
            finished, text = await line.turn(f"s{number}")
            assert (finished.error, finished.reason, text.strip()) == (None, "stop", "Yes.")
            assert [asked.body["model"] for asked in line.asked + line.spares_asked] == MODELS
            line.asked.clear()
            line.spares_asked.clear()
            await line.forget()


# What the breaker counts.


TIRED = said(b"", b"Connection: close", status=b"408 Request Timeout")


@pytest.mark.parametrize("tired", [None, TIRED], ids=["closed", "408"])
@in_loop
async def test_a_kept_connection_that_the_server_has_closed_is_no_failure(
    valkey: Backend, tired: bytes | None
) -> None:
    def answer(asked: Asked) -> bytes | None:
        begun = [each for each in line.asked if each.connection == asked.connection]
        return whole(YES) if len(begun) == 1 else tired

    async with asking(valkey, answer, breaker_failures=1) as line:
        for number in range(4):
            finished, text = await line.turn(f"s{number}")
            assert (finished.error, text.strip()) == (None, "Yes.")
        assert line.spares_asked == []
        again = [asked for asked in line.asked if line.asked[0].connection == asked.connection]
        assert len(again) == 2  # so it was kept, and closed as it was asked again
        assert await line.failures() == [None, None]


@in_loop
async def test_a_fresh_connection_that_is_closed_is_one(valkey: Backend) -> None:
    async with asking(valkey, [None], breaker_failures=3) as line:
        assert (await line.turn("one"))[1].strip() == "Yes."
        assert len(line.asked) == 1
        assert await line.failures() == [b"1", None]
