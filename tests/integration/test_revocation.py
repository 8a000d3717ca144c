"""A key that ends, ends what it has opened: streams of every kind, and answers that are waited for."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import orjson
import pytest

from api.auth.authenticator import not_valid
from common.events import TurnEnded
from common.names import SessionRef, TurnRef
from common.store import keys
from common.store.redis import Stores, open_stores
from common.tenants.stored import TenantStore
from tests.support.recorded_calls import turn
from tests.support.scripted_model import END, Scripted, words
from tests.support.served_api import serving, write_session
from tests.support.store_servers import Backend
from tests.support.stored_tenants import add_key, add_tenant, bearer, change_key, revoke
from tests.support.stored_turns import turn_entries
from tests.support.waiting import in_loop, until
from tests.support.wiring import open_workers

TENANT = "acme"
ERROR = not_valid().body()["error"]
LAST = b"data: " + orjson.dumps({"error": ERROR}) + b"\n\n"


@dataclass
class Call:
    """A gateway whose models say a little and hold their breath; a tenant's key, and a token made with it."""

    client: httpx.AsyncClient
    stores: Stores
    model: Scripted
    key: str
    token: str

    @asynccontextmanager
    async def stream(self, method: str, path: str, key: str, **more: Any) -> AsyncIterator["Heard"]:
        headers = {**bearer(key), "Accept": "text/event-stream", **more.pop("headers", {})}
        async with self.client.stream(method, path, headers=headers, **more) as response:
            assert response.status_code == 200, await response.aread()
            yield Heard(response)

    def ask(self, key: str, **body: Any) -> Any:
        whole = {"messages": [{"role": "user", "content": "When?"}], "session_id": "s1", **body}
        return self.stream("POST", "/v1/chat/completions", key, json={**whole, "stream": True})


class Heard:
    """What comes of a stream."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.text = b""
        self._pieces = response.aiter_bytes()

    async def until(self, enough: bytes) -> None:
        while enough not in self.text:
            self.text += await anext(self._pieces)

    async def rest(self) -> bytes:
        async for piece in self._pieces:
            self.text += piece
        return self.text


@asynccontextmanager
async def call(backend: Backend) -> AsyncIterator[Call]:
    settings = backend.settings(
        tenants_refresh_s=0.02, secret_key="sealing", resume_grace_s=0.05, send_timeout_s=10
    )
    never = asyncio.Event()
    model = Scripted(full=[[*words("We open at nine. And"), never, *END]])
    async with open_stores(settings) as stores:
        await stores.sync_clocks()
        await add_tenant(stores, TENANT)
        key = await add_key(stores, TENANT)
        async with open_workers(settings, model), serving(settings) as client:
            made = await client.post(
                "/v1/tokens", headers=bearer(key), json={"ttl_s": 3_000, "session": "s1"}
            )
            yield Call(client, stores, model, key, made.json()["token"])


End = Callable[[Call], Awaitable[None]]


async def narrow_key(there: Call) -> None:
    await change_key(there.stores, TENANT, there.key, scopes=("read",))


async def revoke_key(there: Call) -> None:
    await revoke(there.stores, TENANT, there.key)


async def expire_key(there: Call) -> None:
    soon = datetime.now(UTC) + timedelta(milliseconds=50)
    await change_key(there.stores, TENANT, there.key, expires_at=soon)


async def disable_tenant(there: Call) -> None:
    await add_tenant(there.stores, TENANT, disabled=True)


async def delete_tenant(there: Call) -> None:
    await TenantStore(there.stores, None).delete_tenant(TENANT)


@in_loop
@pytest.mark.parametrize(
    ("end", "by_token"),
    [
        (revoke_key, False),
        (revoke_key, True),
        (expire_key, True),
        (narrow_key, False),
        (narrow_key, True),
        (disable_tenant, False),
        (delete_tenant, False),
    ],
)
async def test_a_turns_stream_ends_and_so_does_the_turn(valkey: Backend, end: End, by_token: bool) -> None:
    async with call(valkey) as there, there.ask(there.token if by_token else there.key) as heard:
        await heard.until(b"nine")
        named = TurnRef(SessionRef(TENANT, "s1"), heard.response.headers["x-turn-id"])
        await end(there)
        text = await heard.rest()
        assert text.endswith(b"\n\n" + LAST) and b"[DONE]" not in text
        ended = await until(lambda: ending(there.stores, named))
        assert ended.reason == "interrupted"
        await until(lambda: there.model.of("full")[0].ended == "closed")  # its upstream, too


async def ending(stores: Stores, named: TurnRef) -> TurnEnded | None:
    events = [entry.event for entry in await turn_entries(stores, named)]
    return next((event for event in events if isinstance(event, TurnEnded)), None)


@in_loop
async def test_what_others_have_opened_goes_on(valkey: Backend) -> None:
    async with call(valkey) as there:
        another = await add_key(there.stores, TENANT)

        async def is_known() -> bool:
            return (await there.client.get("/v1/models", headers=bearer(another))).is_success

        await until(is_known)
        async with there.ask(there.key) as first, there.ask(another, session_id="s2") as second:
            await first.until(b"nine")
            await second.until(b"nine")
            await revoke_key(there)
            await first.rest()
            path = f"/v1/sessions/s2/turns/{second.response.headers['x-turn-id']}"
            told = (await there.client.get(path, headers=bearer(another))).json()
            assert told["status"] == "live"
            assert LAST not in second.text


@in_loop
async def test_a_key_that_may_do_less_ends_what_needed_more(valkey: Backend) -> None:
    async with call(valkey) as there, there.ask(there.key) as asked:
        await asked.until(b"nine")
        async with there.stream("GET", "/v1/sessions/s1/events", there.key) as followed:
            await followed.until(b"turn.started")
            await change_key(there.stores, TENANT, there.key, scopes=("chat",))
            assert (await followed.rest()).endswith(LAST)
        async with there.ask(there.key, session_id="s2") as another:
            await another.until(b"nine")
        named = TurnRef(SessionRef(TENANT, "s1"), asked.response.headers["x-turn-id"])
        assert not there.model.of("full")[0].ended and await ending(there.stores, named) is None


@in_loop
async def test_a_token_that_is_over_ends_its_stream_alone(valkey: Backend) -> None:
    async with call(valkey) as there:
        made = await there.client.post(
            "/v1/tokens", headers=bearer(there.key), json={"ttl_s": 1, "session": "s1"}
        )
        async with there.ask(there.key) as keys_own:
            await keys_own.until(b"nine")
            path = f"/v1/sessions/s1/turns/{keys_own.response.headers['x-turn-id']}"
            async with there.stream("GET", path, "", params={"token": made.json()["token"]}) as tokens:
                assert (await tokens.rest()).endswith(LAST)
            async with there.stream("GET", path, there.token) as fresh:  # with which a page goes on
                await fresh.until(b"nine")
        assert LAST not in keys_own.text


@in_loop
@pytest.mark.parametrize("path", ["events", "replay?speed=0.1"])
async def test_a_session_that_is_followed_or_replayed_ends(valkey: Backend, path: str) -> None:
    async with call(valkey) as there:
        await write_session(there.stores, SessionRef(TENANT, "s1"), turn())
        async with there.stream("GET", f"/v1/sessions/s1/{path}", there.key) as heard:
            await heard.until(b"turn.started")
            await revoke_key(there)
            assert (await heard.rest()).endswith(b"\n\n" + LAST)


@in_loop
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/audio/chat/completions", "/v1/llm-request"])
async def test_who_waits_for_a_whole_answer_waits_no_longer(valkey: Backend, path: str) -> None:
    async with call(valkey) as there:
        question = [{"role": "user", "content": "When?"}]
        body = {"messages": question, "prompt": "When?", "session_id": "s1"}
        headers = {**bearer(there.key), "Accept": "application/json", "X-Session-ID": "s1"}
        asking = asyncio.create_task(there.client.post(path, headers=headers, json=body))
        await until(lambda: there.model.of("full"))
        await revoke_key(there)
        answer = await asking
        assert (answer.status_code, answer.json()["error"]) == (401, ERROR)
        await until(lambda: there.model.of("full")[0].ended == "closed")


@in_loop
async def test_a_sound_that_is_waited_for_is_not_given(valkey: Backend) -> None:
    async with call(valkey) as there:
        await write_session(there.stores, SessionRef(TENANT, "s1"), recorded := turn())
        path = f"/v1/sessions/s1/turns/{recorded[0][1].turn}/audio"
        asking = asyncio.create_task(there.client.get(path, headers=bearer(there.key)))
        await until(lambda: there.stores.queue.zcard(keys.LEASES))  # nobody speaks here, so it is waited for
        await revoke_key(there)
        assert (await asking).status_code == 401
