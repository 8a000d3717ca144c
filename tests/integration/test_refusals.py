"""Bodies that are refused: at little cost, and not without end."""

import json
from typing import Any

import pytest

from api.refusals import Refusals
from api.requests import turn_request
from api.requests.measure import MOST_DEPTH, MOST_MESSAGES
from api.requests.turn_request import read_chat
from common.errors import BadRequest, RateLimited
from common.store.redis import open_stores
from tests.support.served_api import serving
from tests.support.store_servers import Backend
from tests.support.stored_tenants import add_key, add_tenant, bearer
from tests.support.waiting import in_loop, until

CHAT = "/v1/chat/completions"
HELLO = {"role": "user", "content": "Hello"}


def nested(depth: int) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": [HELLO] * (MOST_MESSAGES + 1)}, "messages"),
        ({"messages": [{}] * 100_000}, "messages"),
        ({"messages": [HELLO], "tools": [{}] * 2_000}, "tools"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": ""}] * 60_000}]}, None),
        ({"messages": [HELLO], "metadata": {str(n): n for n in range(100_001)}}, None),
        ({"messages": [HELLO], "x": nested(MOST_DEPTH)}, None),
        ({"messages": [HELLO], "x": [[] for _ in range(100_001)]}, None),
        ({"messages": [HELLO], **{f"x{n}": 1 for n in range(100_001)}}, None),
    ],
    ids=lambda body: str(body)[:40],
)
def test_a_body_of_too_much_is_refused_before_it_is_validated(
    monkeypatch: pytest.MonkeyPatch, body: dict[str, Any], param: str | None
) -> None:
    monkeypatch.setattr(turn_request, "ChatRequest", None)
    with pytest.raises(BadRequest) as refused:
        read_chat(json.dumps(body).encode(), session=None, stream=False, lanes=False)
    assert refused.value.param == param


@pytest.mark.parametrize(
    "messages",
    [[{"role": 7}] * 60_000, [{"role": "user", "content": [{"type": "text", "text": "\\"}] * 25_000}]],
    ids=["messages", "parts"],
)
def test_too_many_fields_are_refused_before_they_are_made_into_anything(
    monkeypatch: pytest.MonkeyPatch, messages: list[Any]
) -> None:
    raw = json.dumps({"messages": messages}).encode()
    monkeypatch.setattr(turn_request, "orjson", None)
    with pytest.raises(BadRequest, match="values"):
        read_chat(raw, session=None, stream=False, lanes=False)


@pytest.mark.parametrize("text", ['"a": 1, ' * 60_000, '\\": ' * 60_000, '\\\\":' * 50_000])
def test_json_in_a_text_is_no_field(text: str) -> None:
    for content in (text, [{"type": "text", "text": text}]):
        raw = json.dumps({"messages": [{"role": "user", "content": content}]}).encode()
        read_chat(raw, session=None, stream=False, lanes=False)


def test_what_a_call_may_really_hold_is_taken() -> None:
    deep: Any = {"type": "string"}
    for _ in range(20):
        deep = {"type": "object", "properties": {"x": deep}}
    body = {
        "messages": [HELLO, {"role": "assistant", "content": "Hi."}] * 1_000 + [HELLO],
        "tools": [
            {"type": "function", "function": {"name": f"f{n}", "parameters": deep}} for n in range(128)
        ],
    }
    asked = read_chat(json.dumps(body).encode(), session=None, stream=False, lanes=False)
    assert len(asked.body["messages"]) == 2_001


@pytest.mark.parametrize(
    "wrong",
    [
        {"messages": [{"role": 7}] * 4_000},
        {"messages": [{"role": "user", "content": [7] * 30_000}]},
        {"messages": [HELLO], "tools": [7] * 1_000},
        {"messages": [HELLO], "stop": [7] * 30_000},
    ],
    ids=lambda body: str(body)[:40],
)
def test_the_first_mistake_ends_it(monkeypatch: pytest.MonkeyPatch, wrong: dict[str, Any]) -> None:
    """Thousands of others would each be written down."""
    counts: list[int] = []
    first_error = turn_request.first_error

    def counting(error: Any, prefix: str = "") -> BadRequest:
        counts.append(error.error_count())
        return first_error(error, prefix)

    monkeypatch.setattr(turn_request, "first_error", counting)
    with pytest.raises(BadRequest):
        read_chat(json.dumps(wrong).encode(), session=None, stream=False, lanes=False)
    assert counts[0] <= 3


@in_loop
async def test_too_many_refused_bodies_are_refused_unread(valkey: Backend) -> None:
    settings = valkey.settings(refused_per_minute=5, tenants_refresh_s=0.02)
    async with open_stores(settings) as stores, serving(settings) as client:
        keys = {}
        for tenant in ("acme", "other"):
            await add_tenant(stores, tenant)
            keys[tenant] = bearer(await add_key(stores, tenant))

        async def code(tenant: str, content: bytes = b"{}", path: str = CHAT) -> str:
            found = await client.post(path, headers=keys[tenant], content=content)
            return str(found.json()["error"]["code"])

        async def known() -> bool:
            return all([await code(tenant, b"[]") != "invalid_api_key" for tenant in keys])

        await until(known)
        told = [await code("acme")]
        while told[-1] != "too_many_refused" and len(told) < 10:  # it empties meanwhile
            told.append(await code("acme"))
        assert told[0] == "missing_required_parameter" and told[-1] == "too_many_refused"
        assert await code("acme", path="/v1/llm-request") == "too_many_refused"
        refused = await client.post(CHAT, headers=keys["acme"], json={"messages": [HELLO]})
        assert refused.status_code == 429 and int(refused.headers["retry-after"]) >= 1
        assert await code("other") != "too_many_refused"
        assert (await client.get("/v1/models", headers=keys["acme"])).status_code == 200


def test_a_bucket_empties_with_time_and_large_bodies_fill_it_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("api.refusals.time.monotonic", lambda: now[0])
    refusals = Refusals(60)
    for _ in range(60):
        refusals.check("acme", "a")
        refusals.count("acme", "a", 10)
    with pytest.raises(RateLimited) as refused:
        refusals.check("acme", "a")
    assert refused.value.retry_after_s == 1
    refusals.check("acme", "b")
    refusals.check("other", "a")
    now[0] = 2.0
    refusals.check("acme", "a")
    for _ in range(4):
        refusals.count("acme", "b", 1_000_000)
    with pytest.raises(RateLimited):
        refusals.check("acme", "b")
    off = Refusals(0)
    for _ in range(1_000):
        off.count("acme", "a", 10)
    off.check("acme", "a")
    for number in range(20_000):
        refusals.count("acme", str(number), 1)
    assert len(refusals._full) <= 10_000
