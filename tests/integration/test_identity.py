"""Who is let in: keys, browser tokens, and this machine where no tenant is set up."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import openai
import pytest
from recorded_calls import turn
from serving import serving, write_session
from starlette.requests import Request
from store_servers import Backend
from tenants_there import add_key, add_tenant, bearer, change_key, revoke
from waiting import in_loop, until

from api import main
from api.main import create_app
from api.nearby import is_nearby
from common import keys
from common.overrides import TokenOverrides
from common.settings import Settings
from common.stores import open_stores
from common.tenants.stored import TenantStore
from common.tenants.tokens import Token, TokenSigner

QUICK = {"tenants_refresh_s": 0.02}
SIGNED = {**QUICK, "secret_key": "a key of the deployment"}
MODELS = "/v1/models"


async def code(client: httpx.AsyncClient, key: str = "", path: str = MODELS, **more: Any) -> str:
    """The code of what a request with this key is refused with; empty if it isn't."""
    found = await client.get(path, headers=bearer(key), **more)
    return "" if found.is_success else f"{found.status_code} {found.json()['error']['code']}"


async def seen(client: httpx.AsyncClient, key: str) -> None:
    """Wait until the gateway knows of this key."""

    async def is_known() -> bool:
        return await code(client, key) == "" and await code(client) != ""

    await until(is_known)


# Keys.


@in_loop
async def test_a_key_opens_its_tenant_however_a_client_sends_it(real: Backend) -> None:
    settings = real.settings(**QUICK)
    async with open_stores(settings) as stores, serving(settings) as client:
        await add_tenant(stores, "acme")
        key = await add_key(stores, "acme")
        await seen(client, key)
        for headers in (
            {"Authorization": f"Bearer {key}"},
            {"authorization": f"bearer {key}"},
            {"api-key": key},
            {"x-api-key": key},
            {"Authorization": "Basic dXNlcjpwYXNz", "api-key": key},  # a proxy's own
        ):
            found = await client.get(MODELS, headers=headers)
            assert [model["id"] for model in found.json()["data"]] == ["acme-profile"]
        url = f"{client.base_url}/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key=key, max_retries=0) as theirs:
            assert [model.id async for model in theirs.models.list()] == ["acme-profile"]
        async with openai.AsyncOpenAI(base_url=url, api_key="any", max_retries=0) as theirs:
            with pytest.raises(openai.AuthenticationError) as refused:
                await theirs.models.list()
        assert refused.value.code == "invalid_api_key"


@in_loop
async def test_a_key_ends_by_revocation_by_time_and_with_its_tenant(valkey: Backend) -> None:
    settings = valkey.settings(**QUICK)
    async with open_stores(settings) as stores, serving(settings) as client:
        for name in ("acme", "gone", "default"):
            await add_tenant(stores, name)
        revoked, timed, disabled, deleted, defaults = [
            await add_key(stores, name) for name in ("acme", "acme", "acme", "gone", "default")
        ]
        lasting = await add_key(stores, "acme", expires_at=datetime.now(UTC) + timedelta(hours=1))
        for key in (revoked, timed, disabled, deleted, defaults, lasting):
            await seen(client, key)
        await revoke(stores, "acme", revoked)
        await change_key(stores, "acme", timed, expires_at=datetime.now(UTC) - timedelta(seconds=1))
        await TenantStore(stores, None).delete_tenant("gone")
        await add_tenant(stores, "default", disabled=True)  # the environment's must not take its place
        for key in (revoked, timed, deleted, defaults):
            await until(lambda key=key: refuses(client, key))
        assert await code(client, lasting) == ""
        await add_tenant(stores, "acme", disabled=True)
        await until(lambda: refuses(client, disabled))
        await add_tenant(stores, "acme")
        await seen(client, disabled)


async def refuses(client: httpx.AsyncClient, key: str) -> bool:
    return await code(client, key) == "401 invalid_api_key"


@in_loop
async def test_a_key_never_stands_in_a_url(valkey: Backend) -> None:
    settings = valkey.settings(**QUICK)
    async with open_stores(settings) as stores, serving(settings) as client:
        await add_tenant(stores, "acme")
        key = await add_key(stores, "acme")
        await seen(client, key)
        refused = await client.get(MODELS, params={"token": key})
        assert (refused.status_code, refused.json()["error"]["code"]) == (401, "key_in_query")
        assert "/v1/tokens" in refused.json()["error"]["message"]
        assert await code(client, key, params={"token": key}) == "401 key_in_query"  # it is lost already
        assert await code(client, params={"api_key": key}) == "401 invalid_api_key"


# This machine.


@in_loop
async def test_without_tenants_this_machine_alone_is_served(valkey: Backend) -> None:
    async with serving(valkey.settings(**QUICK)) as client:
        assert await code(client) == ""
        assert await code(client, "any") == ""
        port = client.base_url.port
        for host in ("localhost", f"localhost:{port}", f"127.0.0.2:{port}", f"[::1]:{port}"):
            assert (await client.get(MODELS, headers={"Host": host})).status_code == 200
        for headers in (
            {"Host": "evil.example"},  # whose name leads here
            {"Host": "localhost.evil.example"},
            {"X-Forwarded-For": "203.0.113.9"},
            {"X-Forwarded-For": "127.0.0.1, 203.0.113.9"},  # forged, before the proxy's own word
            {"X-Forwarded-For": "203.0.113.9, 127.0.0.1"},
            {"X-Forwarded-For": "unknown"},
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
        ):
            found = await client.get(MODELS, headers=headers)
            refused = (403, "unknown_origin") if "Origin" in headers else (401, "no_tenants")
            assert (found.status_code, found.json()["error"]["code"]) == refused, headers
        assert (await client.get(MODELS, headers={"Origin": f"http://localhost:{port}"})).status_code == 200


@pytest.mark.parametrize(
    ("address", "forwarded", "near"),
    [
        ("127.0.0.1", None, True),
        ("::1", None, True),
        ("::ffff:127.0.0.1", None, True),
        ("127.0.0.1", "127.0.0.1", True),
        ("203.0.113.9", None, False),
        ("203.0.113.9", "127.0.0.1", False),
        ("10.0.0.1", None, False),
        ("::ffff:203.0.113.9", "::1", False),
        ("", None, False),  # a socket that has no address
    ],
)
def test_a_foreigner_does_not_become_near_by_saying_so(
    address: str, forwarded: str | None, near: bool
) -> None:
    headers = [(b"host", b"localhost"), *([(b"x-forwarded-for", forwarded.encode())] if forwarded else [])]
    scope = {"type": "http", "client": (address, 1) if address else None, "headers": headers}
    assert is_nearby(Request(scope), ()) is near


def test_a_foreigner_is_not_believed_where_he_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    assert main.server_config(Settings()).forwarded_allow_ips == "127.0.0.1,::1"


@in_loop
async def test_all_are_served_where_the_operator_says_so(valkey: Backend) -> None:
    settings = valkey.settings(open_access=True, host_names=("calls.example",), **QUICK)
    async with serving(settings) as client:
        for headers in (
            {"Host": "calls.example"},
            {"Host": "Calls.Example.:443"},
            {"Host": "192.0.2.7:8000"},
            {"Host": "[2001:db8::7]"},
            {"X-Forwarded-For": "203.0.113.9"},
            {"Host": "calls.example", "Origin": "https://calls.example", "Sec-Fetch-Site": "same-origin"},
            {"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-site"},
            {"Sec-Fetch-Site": "none"},
        ):
            assert (await client.get(MODELS, headers=headers)).status_code == 200, headers


CHAT = "/v1/chat/completions"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}  # as `curl -d` sends it
BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64)"}
STRANGERS_HOST = {"unknown_host", "no_tenants"}
STRANGERS: list[tuple[dict[str, str], set[str]]] = [
    ({"Host": "evil.example"}, STRANGERS_HOST),  # rebound by DNS
    ({"Host": "localhost.evil.example"}, STRANGERS_HOST),
    ({"Host": "127.0.0.1.evil.example"}, STRANGERS_HOST),
    ({"Host": "api"}, STRANGERS_HOST),
    ({"Origin": "https://evil.example"}, {"unknown_origin"}),
    ({"Origin": "http://192.0.2.7"}, {"unknown_origin"}),
    ({"Origin": "null"}, {"unknown_origin"}),
    ({"Origin": "null", **FORM}, {"unknown_origin"}),
    ({"Origin": "file://"}, {"unknown_origin"}),
    ({"Origin": "http://127.0.0.1.evil.example"}, {"unknown_origin"}),
    ({"Sec-Fetch-Site": "cross-site"}, {"unknown_origin"}),
    ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, {"unknown_origin"}),
    ({**FORM, **BROWSER}, {"json_required"}),  # one that says no origin
    ({"Content-Type": "text/plain", **BROWSER}, {"json_required"}),
    ({"Content-Type": "text/plain; charset=utf-8", "Sec-Fetch-Site": "same-site"}, {"json_required"}),
    ({"Content-Type": "multipart/form-data; boundary=x", "Referer": "https://a.example"}, {"json_required"}),
    ({"Content-Type": "", **BROWSER}, {"json_required"}),
    ({"Content-Type": "TEXT/Plain", "Origin": "http://localhost:3000"}, {"json_required"}),
]


@pytest.mark.parametrize("settings", [{"open_access": True}, {}], ids=["to all", "to this machine"])
@in_loop
async def test_a_strangers_page_is_not_served_without_a_key(
    valkey: Backend, settings: dict[str, Any]
) -> None:
    """Its own name may lead here, and it may post here blindly."""
    async with serving(valkey.settings(**settings, **QUICK)) as client:
        for headers, codes in STRANGERS:
            found = await client.post(CHAT, headers=headers, content=b"{}")
            assert found.status_code in (401, 403) and found.json()["error"]["code"] in codes, headers
        base = f"http://{client.base_url.netloc.decode()}"
        for headers in (
            FORM,
            {},
            {"Content-Type": "application/json", **BROWSER},
            {"Origin": base, "Content-Type": "text/plain"},
            {"Origin": "http://localhost:3000", "Content-Type": "application/json"},
        ):
            found = await client.post(CHAT, headers=headers, content=b"{}")
            assert found.json()["error"]["code"] == "missing_required_parameter", headers


@in_loop
async def test_an_allowed_origins_page_is_served_without_a_key(valkey: Backend) -> None:
    settings = valkey.settings(open_access=True, cors_origins=("https://shop.example",), **QUICK)
    async with serving(settings) as client:
        page = {"Origin": "https://shop.example", "Sec-Fetch-Site": "cross-site"}
        found = await client.post(CHAT, headers={**page, "Content-Type": "application/json"}, content=b"{}")
        assert found.status_code == 400
        assert found.headers["access-control-allow-origin"] == "https://shop.example"
        found = await client.post(CHAT, headers={**page, **FORM}, content=b"{}")
        assert found.json()["error"]["code"] == "json_required"


@in_loop
async def test_where_there_is_an_operator_nobody_is_served_without_a_key(valkey: Backend) -> None:
    """A store that has lost all tenants, and processes that were started anew since, know of none."""
    async with serving(valkey.settings(open_access=True, operator_token="op", **QUICK)) as client:
        assert await code(client) == "401 invalid_api_key"


@in_loop
async def test_once_a_tenant_was_set_up_keys_are_needed_for_good(valkey: Backend) -> None:
    settings = valkey.settings(open_access=True, **QUICK)
    async with open_stores(settings) as stores, serving(settings) as client:
        assert await code(client) == ""
        await add_tenant(stores, "acme")
        await until(lambda: refuses(client, ""))
        await TenantStore(stores, None).delete_tenant("acme")
        async with serving(settings) as another:
            assert await code(another) == "401 invalid_api_key"


@in_loop
async def test_nobody_is_let_in_while_the_store_cannot_be_asked() -> None:
    away = Settings(redis_url="redis://127.0.0.1:1/0", redis_timeout_s=0.2, open_access=True)
    async with serving(away) as client:
        assert await code(client) == "503 store_unavailable"
        assert await code(client, "any") == "503 store_unavailable"


# The operator and a tenant's admins: see also the matrix.


@in_loop
async def test_no_operator_is_known_where_no_token_is_set(valkey: Backend) -> None:
    async with serving(valkey.settings(**QUICK)) as client:
        assert await code(client, path="/admin/tenants") == "401 invalid_api_key"
        # Who is served without a key is no admin of the tenant that serves him.
        assert await code(client, path="/admin/tenants/default/keys") == "401 invalid_api_key"


# Tokens.


async def make(client: httpx.AsyncClient, key: str, **asked: Any) -> dict[str, Any]:
    made = await client.post("/v1/tokens", headers=bearer(key), json=asked)
    assert made.status_code == 200, made.text
    return dict(made.json())


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
            await stores.queue.zadd(
                keys.sessions("default"), {keys.SessionRef("default", name).quoted: 1_000}
            )
        odd = keys.SessionRef("default", "call 7/{a}:é").quoted
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
        await write_session(stores, keys.SessionRef("acme", "call"), events)
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
    token = Token("k1", ("chat",), 9, "s")
    text = ours.sign(token) or ""
    assert ours.read(text) == token
    bounds = TokenOverrides(policy=("filler",), system="after", max_tokens=9)
    whole = Token("k1", ("chat",), 9, None, "sales", bounds)
    assert ours.read(ours.sign(whole) or "") == whole
    assert ours.sign(Token("k1", ("chat",), 9, overrides=TokenOverrides(params=["x" * 64] * 60))) is None
    assert theirs.read(text) is None
    payload, _, signature = text.removeprefix("frt_").partition(".")
    for bad in ("", ".", payload, f"{payload}.", f"{payload}.é", f".{signature}", "a" * 9_000):
        assert ours.read(f"frt_{bad}") is None
    assert ours.read(f"frt_{payload}A.{signature}") is None
    assert ours.read(f"frt_{payload}.{signature}A") is None


# Routes.


@in_loop
async def test_an_application_with_a_route_that_says_nothing_does_not_start() -> None:
    from fastapi import APIRouter

    from api.doors import health
    from api.identity import Anybody

    async def mute() -> None: ...

    async def hasty(who: Anybody, body: dict[str, str]) -> None: ...

    for endpoint, complaint in ((mute, "whom it serves"), (hasty, "body")):
        router = APIRouter()
        router.get("/forgotten")(endpoint)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(health, "router", router)
            with pytest.raises(TypeError, match=f"/forgotten.*{complaint}"):
                create_app(Settings())
