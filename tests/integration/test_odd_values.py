"""Odd values at the doors are refused as wrong, whatever reads them."""

import base64
from typing import Any

import orjson
import pytest

from tests.support.served_api import serving
from tests.support.store_servers import Backend
from tests.support.waiting import in_loop

NINES = "9" * 5_000


def cursor(value: Any) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(value)).decode().rstrip("=")


@in_loop
@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/v1/sessions", {"limit": NINES}),
        ("/v1/sessions", {"limit": "٣"}),
        ("/v1/sessions", {"cursor": cursor([True, "a"])}),
        ("/v1/sessions", {"cursor": cursor([1.5, "a"])}),
        ("/v1/sessions", {"cursor": cursor([-1, "a"])}),
        ("/v1/sessions", {"cursor": cursor([10**18, "a"])}),
        ("/v1/sessions", {"cursor": cursor([1, None])}),
        ("/v1/sessions", {"after": NINES}),
        ("/v1/knowledge/shop/documents", {"limit": NINES}),
        ("/v1/knowledge/shop/documents", {"limit": "²"}),
        ("/v1/knowledge/shop/documents", {"limit": "-1"}),
        ("/v1/usage", {"from": NINES}),
        ("/v1/usage", {"to": "0000-00-00"}),
    ],
)
async def test_a_query_that_cannot_be_is_400(valkey: Backend, path: str, query: dict[str, str]) -> None:
    async with serving(valkey.settings()) as client:
        found = await client.get(path, params=query)
        assert found.status_code == 400, found.text
        assert found.json()["error"]["type"] == "invalid_request_error"


@in_loop
@pytest.mark.parametrize("depth", [254, 300, 1_000])
async def test_json_that_is_nested_too_deeply_is_400(valkey: Backend, depth: int) -> None:
    deep = b'{"a":' * depth + b"1" + b"}" * depth
    bodies = {
        "/v1/chat/completions": b'{"messages":[{"role":"user","content":"?"}],"metadata":%b}',
        "/v1/llm-request": b'{"messages":[{"role":"user","content":"?"}],"parameters":{"x":%b}}',
        "/v1/knowledge/shop/documents": b'{"documents":[{"text":"t","metadata":%b}]}',
        "/v1/tokens": b'{"overrides":%b}',
    }
    async with serving(valkey.settings(secret_key="a key of these tests")) as client:
        for path, body in bodies.items():
            method = "PUT" if "documents" in path else "POST"
            for headers in ({}, {"Idempotency-Key": "k"}):
                found = await client.request(method, path, content=body % deep, headers=headers)
                assert found.status_code == 400, (path, found.text)
