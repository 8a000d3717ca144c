"""Tokens that stand in for keys, for browsers: what they open, for how long, and what they don't."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from api.auth.tokens import BrowserToken, TokenSigner
from common.names import SessionRef
from common.store import keys
from common.store.redis import open_stores
from common.turn.overrides import TokenOverrides
from tests.support.knocking import MODELS, QUICK, SIGNED, code, make, refuses, seen
from tests.support.recorded_calls import turn
from tests.support.served_api import serving, write_session
from tests.support.store_servers import Backend
from tests.support.stored_tenants import add_key, add_tenant, bearer, change_key, revoke
from tests.support.waiting import in_loop, until


@in_loop
async def test_a_token_stands_in_for_its_key(valkey: Backend) -> None:
    settings = valkey.settings(**SIGNED)
    async with open_stores(settings) as stores, serving(settings) as client:
        await add_tenant(stores, "acme")
        key = await add_key(stores, "acme")
        await seen(client, key)
        made = await make(client, key, ttl_s=60)
        token = made["token"]
        assert made["object"] == "token" and token.startswith("frt_")
        now_ms = datetime.now(UTC).timestamp() * 1000
        assert 0 < made["expires_at"] - now_ms <= 60_000
        assert key not in str(made)
        assert await code(client, token) == ""
        assert await code(client, params={"token": token}) == ""
        assert await code(client, token, path=f"/v1/sessions/{made['session']}") == "404 session_not_found"
        assert await code(client, token, path="/v1/sessions") == "403 bound_token"
        assert await code(client, token[:-1] + ("A" if token[-1] != "A" else "B")) == "401 invalid_api_key"
        posted = await client.post("/v1/sessions/s/cancel", params={"token": token})
        assert posted.status_code == 401  # in a URL only where nothing is done
        assert (await client.delete("/v1/sessions/s", headers=bearer(token))).status_code == 403
        again = await client.post("/v1/tokens", headers=bearer(token), json={})
        assert (again.status_code, again.json()["error"]["code"]) == (403, "token_from_token")
        await revoke(stores, "acme", key)
        await until(lambda: refuses(client, token))


@in_loop
async def test_a_token_can_do_no_more_than_its_key(valkey: Backend) -> None:
    settings = valkey.settings(**SIGNED)
    async with open_stores(settings) as stores, serving(settings) as client:
        await add_tenant(stores, "acme")
        reader, both = await add_key(stores, "acme", "read"), await add_key(stores, "acme", "read", "chat")
        await seen(client, both)
        refused = await client.post("/v1/tokens", headers=bearer(reader), json={"scopes": ["chat"]})
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "missing_scope")
        asked = {"messages": [{"role": "user", "content": "?"}]}
        admins = await add_key(stores, "acme", "admin")
        await seen(client, admins)
        refused = await client.post("/v1/tokens", headers=bearer(admins), json={})
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "missing_scope")
        for made in (await make(client, reader), await make(client, both, scopes=["read"])):
            headers = bearer(made["token"])
            assert (await client.post("/", headers=headers, json=asked)).status_code == 403
            assert (await client.get(f"/v1/sessions/{made['session']}", headers=headers)).status_code == 404
        whole = await make(client, both)
        await change_key(stores, "acme", both, scopes=("chat",))
        await until(lambda: is_told(client, whole, "403 missing_scope"))


async def is_told(client: httpx.AsyncClient, made: dict[str, Any], wanted: str) -> bool:
    return await code(client, made["token"], path=f"/v1/sessions/{made['session']}") == wanted


@in_loop
async def test_a_token_is_bound_unless_a_key_that_may_asks_for_another(valkey: Backend) -> None:
    settings = valkey.settings(**SIGNED)
    async with open_stores(settings) as stores, serving(settings) as client:
        await add_tenant(stores, "acme")
        both, admins = await add_key(stores, "acme", "read", "chat"), await add_key(stores, "acme")
        await seen(client, admins)
        first, second = await make(client, both), await make(client, both)
        assert first["session"] and first["session"] != second["session"]
        refused = await client.post("/v1/tokens", headers=bearer(both), json={"unbound": True})
        told = refused.json()["error"]
        assert (refused.status_code, told["code"], told["param"]) == (403, "missing_scope", "unbound")
        made = await make(client, admins, unbound=True)
        assert made["session"] is None
        assert await code(client, made["token"], path="/v1/sessions") == ""
        for wrong in ({"unbound": True, "session": "s"}, {"unbound": 1}, {"profile": "nobody"}):
            assert (await client.post("/v1/tokens", headers=bearer(admins), json=wrong)).status_code == 400


@in_loop
async def test_what_is_no_wish_for_a_token_is_refused(valkey: Backend) -> None:
    wild = ['{"overrides": {"guard": false}}', '{"overrides": {"policy": ["draft.guard_rules"]}}']
    times = ['{"ttl_s": 0}', '{"ttl_s": 3601}', '{"ttl_s": "9"}', '{"until": 1}']
    others = ['{"scopes": []}', '{"scopes": ["admin"]}', '{"session": ""}', '{"session": " s"}', "[]", "{"]
    async with serving(valkey.settings(**SIGNED)) as client:
        for body in [*times, *others, *wild]:
            assert (await client.post("/v1/tokens", content=body)).status_code == 400, body


@in_loop
async def test_a_token_needs_a_key_to_be_signed_with(valkey: Backend) -> None:
    async with serving(valkey.settings(**QUICK)) as client:
        refused = await client.post("/v1/tokens", json={})
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "no_secret_key")


@in_loop
async def test_a_former_secret_key_is_still_believed(valkey: Backend) -> None:
    async with serving(valkey.settings(**SIGNED)) as client:
        token = (await make(client, ""))["token"]
        assert await code(client, token) == ""
    changed = {**QUICK, "secret_key": "another"}
    async with serving(valkey.settings(**changed, old_secret_keys=["a key of the deployment"])) as client:
        assert await code(client, token) == ""
    async with serving(valkey.settings(**changed)) as client:
        assert await code(client, token) == "401 invalid_api_key"


@in_loop
async def test_a_token_of_this_machine_is_good_elsewhere_until_a_tenant_is_set_up(valkey: Backend) -> None:
    settings = valkey.settings(**SIGNED)
    async with open_stores(settings) as stores, serving(settings) as client:
        token = (await make(client, ""))["token"]
        away = {"Host": "calls.example", "X-Forwarded-For": "203.0.113.9"}
        assert (await client.get(MODELS, headers=away | bearer(token))).status_code == 200
        await add_tenant(stores, "acme")
        await until(lambda: refuses(client, token))


@in_loop
async def test_a_token_of_one_session_opens_no_other(valkey: Backend) -> None:
    settings = valkey.settings(**SIGNED)
    async with open_stores(settings) as stores, serving(settings) as client:
        for name in ("mine", "other", "call 7/{a}:é"):
            await stores.queue.zadd(keys.sessions("default"), {SessionRef("default", name).quoted: 1_000})
        odd = SessionRef("default", "call 7/{a}:é").quoted
        token = (await make(client, "", session="mine"))["token"]
        odd_token = (await make(client, "", session="call 7/{a}:é"))["token"]
        assert await code(client, token, path="/v1/sessions/mine") == ""
        assert await code(client, odd_token, path=f"/v1/sessions/{odd}") == ""
        other, nobodys = [
            await client.get(f"/v1/sessions/{name}", headers=bearer(token)) for name in ("other", "nobody")
        ]
        assert (other.status_code, other.content) == (404, nobodys.content)
        for path in ("/v1/sessions", "/v1/knowledge"):
            assert await code(client, token, path=path) == "403 bound_token"
        for path in ("/", "/v1/llm-request", "/audio/chat/completions"):
            body: dict[str, Any] = {"messages": [{"role": "user", "content": "?"}], "model": "fast-reply"}
            headers = {**bearer(token), "X-Session-ID": "other"}
            refused = await client.post(path, headers=headers, json=body)
            assert (refused.status_code, refused.json()["error"]["code"]) == (403, "bound_token")
        async with client.stream("POST", "/", headers=bearer(token), json={**body, "stream": True}) as begun:
            assert begun.headers["x-session-id"] == "mine"  # where none is named


@in_loop
@pytest.mark.parametrize("act", ["cancel", "interrupt"])
async def test_who_stops_a_turn_and_may_not_read_is_told_no_word_of_it(valkey: Backend, act: str) -> None:
    settings = valkey.settings(**SIGNED)
    async with open_stores(settings) as stores, serving(settings) as client:
        await add_tenant(stores, "acme")
        chats, reads = await add_key(stores, "acme", "chat"), await add_key(stores, "acme", "chat", "read")
        await seen(client, reads)
        events = turn()
        words, name = "We open at nine.", events[0][1].turn
        await write_session(stores, SessionRef("acme", "call"), events)
        latest, by_name = f"/v1/sessions/call/{act}", f"/v1/sessions/call/turns/{name}/{act}"
        for path in (latest, by_name):
            told = await client.post(path, headers=bearer(reads))
            assert told.is_success and told.json()["text"] and told.json()["answer"]
            words = told.json()["text"]
            brief = await client.post(path, headers=bearer(chats))
            assert brief.is_success and brief.json()["status"] == "ended"
            assert words not in brief.text and not {"text", "answer"} & brief.json().keys()
            shown = brief.text + repr(brief.headers.multi_items())
            assert (name in shown) is (path == by_name)
        page = (await make(client, chats, session="call"))["token"]
        assert words not in (await client.post(latest, headers=bearer(page))).text


def test_a_token_says_nothing_unless_it_was_signed_here() -> None:
    ours, theirs = TokenSigner(["ours"]), TokenSigner(["theirs"])
    token = BrowserToken("k1", ("chat",), 9, "s")
    text = ours.sign(token) or ""
    assert ours.read(text) == token
    bounds = TokenOverrides(policy=("filler",), system="after", max_tokens=9)
    whole = BrowserToken("k1", ("chat",), 9, None, "sales", bounds)
    assert ours.read(ours.sign(whole) or "") == whole
    assert (
        ours.sign(BrowserToken("k1", ("chat",), 9, overrides=TokenOverrides(params=["x" * 64] * 60))) is None
    )
    assert theirs.read(text) is None
    payload, _, signature = text.removeprefix("frt_").partition(".")
    for bad in ("", ".", payload, f"{payload}.", f"{payload}.é", f".{signature}", "a" * 9_000):
        assert ours.read(f"frt_{bad}") is None
    assert ours.read(f"frt_{payload}A.{signature}") is None
    assert ours.read(f"frt_{payload}.{signature}A") is None
