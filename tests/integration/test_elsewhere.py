"""What is not there says so, in OpenAI's shape, and names what is; a slash too many is none."""

from typing import Any

import httpx
import openai
import pytest

from tests.support.scripted_model import Scripted, answer
from tests.support.served_api import serving
from tests.support.store_servers import Backend
from tests.support.waiting import in_loop
from tests.support.wiring import open_workers

ELSEWHERE = {
    "POST /v1/responses": "chat_completions",
    "POST /responses": "chat/completions",
    "GET /v1/responses/resp_1": "chat/completions",
    "POST /v1/conversations": "chat/completions",
    "POST /v1/completions": "chat/completions",
    "POST /v1/embeddings": "/v1/knowledge",
    "POST /embeddings/": "/v1/knowledge",
    "POST /v1/assistants": "session_id",
    "POST /v1/threads/runs": "session_id",
    "GET /v1/realtime?model=x": "/v1/audio/chat/completions",
    "POST /v1/realtime/sessions": "/v1/audio/chat/completions",
    "POST /v1/audio/speech": "/v1/audio/chat/completions",
    "POST /v1/audio/transcriptions": "/v1/audio/chat/completions",
    "POST /v1/images/generations": "chat/completions",
    "POST /v1/moderations": "chat/completions",
    "GET /v1/files": "/v1/knowledge",
    "POST /v1/batches": "chat/completions",
    "POST /v1/messages": "chat/completions",
    "POST /v1/v1/chat/completions": "/v1 already",
    "POST /v1/chat/completions/chat/completions": "before /chat/completions",
    "POST /openai/deployments/gpt/chat/completions": "/v1",
    "POST /v1beta/models/gemini:generateContent": "chat/completions",
    "POST /api/chat": "chat/completions",
    "GET /v1": "/docs",
    "GET /v1/nothing": "/docs",
    "POST /%ff%00": "/docs",
    "GET /v1/sessionsx/a": "/docs",
}


def error_of(answer: httpx.Response) -> dict[str, Any]:
    assert list(answer.json()) == ["error"]
    error: dict[str, Any] = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"} and error["type"] == "invalid_request_error"
    assert error["code"] and error["message"]
    return error


@in_loop
async def test_what_is_not_there_names_what_is(fake: Backend) -> None:
    async with serving(fake.settings()) as client:
        for asked, hint in ELSEWHERE.items():
            method, _, path = asked.partition(" ")
            found = await client.request(method, path, json={"model": "x"} if method == "POST" else None)
            assert found.status_code == 404, asked
            error = error_of(found)
            assert error["code"] == "unknown_url" and hint in error["message"], asked
            assert "nothing" not in error["message"] or hint == "/docs", asked


@in_loop
async def test_a_wrong_method_is_told_the_right_ones(fake: Backend) -> None:
    async with serving(fake.settings()) as client:
        for method, path, allowed in (
            ("GET", "/v1/chat/completions", "POST"),
            ("GET", "/", "POST"),
            ("PUT", "/v1/chat/completions/", "POST"),
            ("POST", "/v1/models", "GET"),
            ("DELETE", "/v1/models/fast-reply", "GET"),
        ):
            found = await client.request(method, path)
            assert (found.status_code, found.headers["allow"]) == (405, allowed), path
            error = error_of(found)
            assert error["code"] == "method_not_supported" and allowed in error["message"]


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions/", "//v1/chat/completions", "/chat/completions//", "//"]
)
@in_loop
async def test_a_slash_too_many_is_none(valkey: Backend, path: str) -> None:
    settings = valkey.settings()
    async with open_workers(settings, Scripted(full=[answer("We open.")])), serving(settings) as client:
        url = f"http://{client.base_url.netloc.decode()}{path}"
        body = {"messages": [{"role": "user", "content": "When?"}]}
        found = await client.post(url, json=body)
        assert found.json()["choices"][0]["message"]["content"] == "We open."
        assert (await client.get("/v1/models/")).status_code == 200
        assert (await client.get("/v1/sessions/")).json()["object"] == "list"


@in_loop
async def test_a_documents_name_may_end_in_a_slash(valkey: Backend) -> None:
    async with serving(valkey.settings()) as client:
        for name in ("a", "a/"):
            put = await client.put(f"/v1/knowledge/shop/documents/{name}", json={"text": name * 3})
            assert put.is_success, put.text
        for name in ("a", "a/"):
            found = await client.get(f"/v1/knowledge/shop/documents/{name}")
            assert (found.json()["id"], found.json()["text"]) == (name, name * 3)
        assert len((await client.get("/v1/knowledge/shop/documents/")).json()["data"]) == 2


@in_loop
async def test_a_model_is_looked_at_as_openais_client_does(valkey: Backend) -> None:
    async with serving(valkey.settings()) as client:
        base = f"{client.base_url}/v1"
        async with openai.AsyncOpenAI(base_url=base, api_key="any", max_retries=0) as theirs:
            for name in ("fast-reply", "gpt-4o", "meta/llama 3"):
                found = await theirs.models.retrieve(name)
                assert (found.id, found.object) == (name, "model") and found.created > 0
            assert [model.created > 0 async for model in theirs.models.list()] == [True]
            with pytest.raises(openai.NotFoundError, match="chat_completions"):
                await theirs.responses.create(model="x", input="Hello")


@pytest.mark.parametrize(
    ("asked", "told"),
    [({}, "fast-reply"), ({"model": "fast-reply"}, "fast-reply"), ({"model": "other"}, "other")],
)
@in_loop
async def test_the_answer_names_the_model_that_was_asked_for(
    valkey: Backend, asked: dict[str, str], told: str
) -> None:
    """And never the model behind it, which clients would take for a mistake."""
    settings = valkey.settings()
    model = Scripted(full=[answer("We open.")], other=[answer("We open.")])
    async with open_workers(settings, model), serving(settings) as client:
        body = {"messages": [{"role": "user", "content": "When?"}], **asked}
        whole = (await client.post("/v1/chat/completions", json=body)).json()
        assert whole["model"] == told and whole["created"] > 0
        base = f"{client.base_url}/v1"
        async with openai.AsyncOpenAI(base_url=base, api_key="any", max_retries=0) as theirs:
            stream = await theirs.chat.completions.create(
                model=asked.get("model", "fast-reply"),
                messages=[{"role": "user", "content": "When?"}],
                stream=True,
            )
            chunks = [chunk async for chunk in stream]
        assert {chunk.model for chunk in chunks} == {told} and all(chunk.created > 0 for chunk in chunks)
