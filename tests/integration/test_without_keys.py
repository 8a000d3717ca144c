"""Who is let in without a key: this machine where no tenant is set up, no stranger's page."""

from typing import Any

import pytest
from starlette.requests import Request

from api import main
from api.auth.loopback import is_on_this_machine
from common.settings import Settings
from common.store.redis import open_stores
from common.tenants.stored import TenantStore
from tests.support.knocking import MODELS, QUICK, code, refuses
from tests.support.served_api import serving
from tests.support.store_servers import Backend
from tests.support.stored_tenants import add_tenant
from tests.support.waiting import in_loop, until


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
    assert is_on_this_machine(Request(scope), ()) is near


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
