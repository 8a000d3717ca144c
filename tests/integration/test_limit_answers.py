"""What clients are told of limits: headers, refusals, sizes."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from api.limits.admission import _duration
from api.turns.transcription import Transcriber
from common.settings import Settings
from common.store import keys
from common.store.redis import Stores, open_stores
from common.tenants.usage import day_of
from tests.support.redis_replies import reply
from tests.support.scripted_model import Scripted, answer
from tests.support.served_api import serving
from tests.support.store_servers import Backend
from tests.support.stored_tenants import add_key, add_tenant, bearer
from tests.support.waiting import in_loop
from tests.support.wiring import open_worker

CHAT, LLM_REQUEST, AUDIO, RAG = (
    "/v1/chat/completions",
    "/v1/llm-request",
    "/v1/audio/chat/completions",
    "/rag/chat/completions",
)
DOORS = (CHAT, LLM_REQUEST, AUDIO, RAG)


@asynccontextmanager
async def served(settings: Settings, **limits: int) -> AsyncIterator[tuple[httpx.AsyncClient, Stores]]:
    """A client with a key of the tenant `default`, which has these limits and the environment's profile."""
    async with open_stores(settings) as stores:
        await stores.sync_clocks()
        await add_tenant(stores, "default", profiles={}, limits=limits)
        key = await add_key(stores, "default")
        async with serving(settings) as client:
            client.headers.update(bearer(key))
            yield client, stores


def asking(text: str = "When?", **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **more}


def limits_of(response: httpx.Response) -> dict[str, str]:
    start = "x-ratelimit-"
    return {name.removeprefix(start): v for name, v in response.headers.items() if name.startswith(start)}


def error_of(response: httpx.Response) -> tuple[int, str, str]:
    error = response.json()["error"]
    return response.status_code, error["type"], error["code"]


@in_loop
async def test_answers_say_where_the_tenant_stands(valkey: Backend) -> None:
    settings, model = valkey.settings(small_model=""), Scripted(full=[answer("Yes.")])
    limits = {"turns_per_minute": 2, "tokens_per_day": 1_000, "answer_tokens": 300}
    async with served(settings, **limits) as (client, _), open_worker(settings, "full", model):
        whole = await client.post(CHAT, json=asking())
        assert whole.status_code == 200
        told = limits_of(whole)
        assert (told["limit-requests"], told["remaining-requests"], told["reset-requests"]) == (
            "2",
            "1",
            "1m0s",
        )
        assert (told["limit-tokens"], told["remaining-tokens"]) == ("1000", str(1_000 - 303))
        assert re.fullmatch(r"(\d+h)?(\d+m)?\d+s", told["reset-tokens"])
        stream = await client.post(CHAT, json=asking(stream=True))
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert limits_of(stream)["remaining-requests"] == "0"
        refused = await client.post(CHAT, json=asking())
        assert error_of(refused) == (429, "requests", "rate_limit_exceeded")
        assert refused.headers["retry-after"] in ("59", "60")
        assert limits_of(refused).keys() == told.keys()
        assert limits_of(refused)["remaining-requests"] == "0"


@pytest.mark.parametrize("path", DOORS)
@in_loop
async def test_every_door_refuses_a_flood_before_it_reads(valkey: Backend, path: str) -> None:
    async with served(valkey.settings(small_model=""), turns_per_minute=1) as (client, stores):
        await stores.queue.zadd(keys.turn_starts("default"), {"t": stores.queue_clock.now_ms()})
        body = asking(stream=True)
        assert error_of(await client.post(path, json=body))[2] == "rate_limit_exceeded"
        await stores.queue.delete(keys.turn_starts("default"))  # this replica doesn't ask
        nonsense = await client.post(path, content=b"{")
        assert error_of(nonsense)[2] == "rate_limit_exceeded"
        retry = await client.post(path, content=b"{", headers={"Idempotency-Key": "k1"})
        assert error_of(retry)[2] == "invalid_json", "it may join its turn"


@in_loop
async def test_a_recording_is_written_down_for_a_turn_that_may_start(
    valkey: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[Any] = []

    async def write_down(self: Transcriber, part: Any) -> Any:
        heard.append(part)
        return {"type": "text", "text": "When?"}

    monkeypatch.setattr(Transcriber, "_part", write_down)
    settings = valkey.settings(small_model="", transcription_url="http://speech.example")
    spoken = [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}]
    body = asking(spoken, stream=True, modalities=["text", "audio"])  # type: ignore[arg-type]
    model = Scripted(full=[answer("Yes.")])
    async with (
        served(settings, tokens_per_day=1_000, answer_tokens=600) as (client, stores),
        open_worker(settings, "full", model),
    ):
        today = keys.tokens("default", day_of(stores.queue_clock.now_ms()))
        await reply(stores.queue.hset(today, "spent", "500"))
        refused = await client.post(AUDIO, json=body)
        assert (error_of(refused)[2], heard) == ("tokens_per_day_exceeded", [])
        assert await reply(stores.queue.hgetall(today)) == {b"spent": b"500"}
        await stores.queue.delete(today)
        for _ in range(2):
            async with client.stream("POST", AUDIO, json=body, headers={"Idempotency-Key": "k1"}) as told:
                assert (told.status_code, len(heard)) == (200, 1), (
                    "it is written down once, and joined by the retry"
                )
        messages = model.of("full")[0].body["messages"]
        assert messages == [{"role": "user", "content": [{"type": "text", "text": "When?"}]}]


@pytest.mark.parametrize("path", DOORS)
@in_loop
async def test_every_door_keeps_to_the_sizes(valkey: Backend, path: str) -> None:
    async with served(valkey.settings(), max_body_bytes=400, max_message_chars=20) as (client, stores):
        large = await client.post(path, json=asking("x" * 500))
        assert error_of(large) == (413, "invalid_request_error", "body_too_large")
        said = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
        parts = [{"type": "text", "text": "x" * 15}, {"type": "text", "text": "y" * 15}]
        for content in ("x" * 21, "я" * 21, parts):
            body = {"messages": [*said, {"role": "user", "content": content}]}
            long = await client.post(path, json=body)
            assert error_of(long) == (400, "invalid_request_error", "message_too_long")
            assert long.json()["error"]["param"] == "messages.2.content"
        assert not await stores.queue.exists(keys.live_turns("default"))


@in_loop
async def test_the_servers_own_size_holds_too(valkey: Backend) -> None:
    async with served(valkey.settings(max_body_bytes=100), max_body_bytes=10_000) as (client, _):
        assert error_of(await client.post(CHAT, json=asking("x" * 200)))[0] == 413


@pytest.mark.parametrize(
    ("seconds", "told"), [(0, "0s"), (59, "59s"), (60, "1m0s"), (360, "6m0s"), (86_399, "23h59m59s")]
)
def test_durations_are_written_as_openai_does(seconds: int, told: str) -> None:
    assert _duration(seconds) == told


@pytest.mark.parametrize("written", [500, 500.0, 499.5, "500"])
@in_loop
async def test_a_maximum_is_reserved_however_it_is_written(valkey: Backend, written: Any) -> None:
    settings, model = valkey.settings(small_model=""), Scripted(full=[answer("Yes.")])
    async with (
        served(settings, tokens_per_day=1_000, answer_tokens=1) as (client, _),
        open_worker(settings, "full", model),
    ):
        body = asking(parameters={"max_tokens": written, "max_completion_tokens": "many"})
        told = limits_of(await client.post(LLM_REQUEST, json=body))
        assert told["remaining-tokens"] == str(1_000 - 503)


@pytest.mark.parametrize("kind", ["image_url", "file", "input_audio", "text", ["text"]])
@in_loop
async def test_no_part_hides_its_text(valkey: Backend, kind: Any) -> None:
    async with served(valkey.settings(), max_message_chars=20) as (client, _):
        parts = [{"type": kind, "image_url": {"url": "x"}, "text": "x" * 21}]
        long = await client.post(CHAT, json={"messages": [{"role": "user", "content": parts}]})
        assert error_of(long) == (400, "invalid_request_error", "message_too_long")
