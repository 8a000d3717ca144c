"""Pages of other origins: what a browser is told, and which headers every answer has."""

from types import SimpleNamespace

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from api.http.cors import Cors, note_profile
from api.http.identity import Identity
from common.tenants.config import TenantConfig
from common.tenants.tenant import Tenant, build_tenant
from tests.support.scripted_model import Scripted, answer
from tests.support.served_api import serving
from tests.support.store_servers import Backend
from tests.support.waiting import in_loop
from tests.support.wiring import open_workers

SHOP, BANK, DESK, EVIL = (
    "https://shop.example",
    "https://bank.example",
    "https://desk.example",
    "https://evil.example",
)
ASKS = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}


def tenant(name: str, **origins: list[str]) -> Tenant:
    full = {"base_url": "https://models.example/v1", "model": "m"}
    profiles = {profile: {"full": full, "cors_origins": each} for profile, each in origins.items()}
    return build_tenant(name, TenantConfig.model_validate({"profiles": profiles}), {})


SHOPS = tenant("shop", web=[SHOP], phone=[], desk=[DESK])
BANKS = tenant("bank", web=[BANK])


@pytest.fixture
def client() -> httpx.AsyncClient:
    """An application that takes every caller for the shop; `/<profile>` answers with a turn of that one."""

    async def answer_it(request: Request) -> Response:
        request.state.identity = Identity(SHOPS, frozenset())
        if profile := request.path_params.get("profile"):
            note_profile(request, profile)
        return JSONResponse({})

    async def refuse(request: Request) -> Response:
        return JSONResponse({}, 401)

    app = Starlette(
        routes=[Route("/refused", refuse), Route("/", answer_it), Route("/{profile}", answer_it)],
    )
    app.add_middleware(Cors)
    app.state.services = SimpleNamespace(directory=SimpleNamespace(all=lambda: [SHOPS, BANKS]))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://fast.reply")


def allowed(response: httpx.Response) -> str | None:
    assert "access-control-allow-credentials" not in response.headers
    origin: str | None = response.headers.get("access-control-allow-origin")
    return origin


@in_loop
@pytest.mark.parametrize("origin", [SHOP, BANK, DESK])
async def test_a_preflight_is_answered_for_every_profiles_origins(
    client: httpx.AsyncClient, origin: str
) -> None:
    found = await client.options("/anything", headers={"Origin": origin, **ASKS})
    assert (found.status_code, found.content, allowed(found)) == (204, b"", origin)
    assert found.headers["access-control-max-age"] == "600"
    assert "Authorization" in found.headers["access-control-allow-headers"]
    assert "DELETE" in found.headers["access-control-allow-methods"]
    assert found.headers["vary"] == "Origin"


SDKS = (
    "api-key", "x-api-key", "authorization", "content-type", "x-stainless-os", "x-stainless-retry-count",
    "X-Stainless-Package-Version", "openai-organization", "openai-project", "x-request-id", "user-agent",
    "traceparent", "x-fast-reply-lanes", "idempotency-key", "last-event-id", "x-session-id", "x-task-id",
)  # fmt: skip


@in_loop
async def test_a_preflight_allows_what_clients_libraries_send(client: httpx.AsyncClient) -> None:
    for asked in (", ".join(SDKS), ",".join(SDKS)):
        headers = {"Origin": SHOP, **ASKS, "Access-Control-Request-Headers": asked}
        found = await client.options("/anything", headers=headers)
        allows = {name.strip().lower() for name in found.headers["access-control-allow-headers"].split(",")}
        assert {name.lower() for name in SDKS} <= allows
    strange = "x-evil, x-stainless-, *, x-stainless-a b, openai-@, x-stainless-" + "a" * 100
    headers = {"Origin": SHOP, **ASKS, "Access-Control-Request-Headers": strange}
    found = await client.options("/anything", headers=headers)
    allows_it = found.headers["access-control-allow-headers"].lower()
    assert not any(part in allows_it for part in ("evil", "*", "stainless", "openai", "@"))


@in_loop
@pytest.mark.parametrize(
    "origin", [EVIL, "null", "*", "https://shop.example.evil.example", "http://shop.example", SHOP + "/"]
)
async def test_nobody_else_is_told_anything(client: httpx.AsyncClient, origin: str) -> None:
    for method in ("OPTIONS", "GET"):
        found = await client.request(method, "/", headers={"Origin": origin, **ASKS})
        assert not [name for name in found.headers if name.startswith("access-control-")]
        assert found.headers["vary"] == "Origin"


@in_loop
async def test_an_answer_is_for_its_tenants_origins_alone(client: httpx.AsyncClient) -> None:
    found = {each: await client.get("/", headers={"Origin": each}) for each in (SHOP, DESK, BANK)}
    assert [allowed(found[each]) for each in (SHOP, DESK, BANK)] == [SHOP, DESK, None]
    exposed = found[SHOP].headers["access-control-expose-headers"].lower().split(", ")
    assert {"x-session-id", "x-turn-id", "retry-after", "x-ratelimit-remaining-tokens"} <= set(exposed)
    assert allowed(await client.get("/refused", headers={"Origin": SHOP})) is None


@in_loop
async def test_a_turn_is_for_its_profiles_origins_alone(client: httpx.AsyncClient) -> None:
    for profile, told in (("web", SHOP), ("phone", None), ("desk", None), ("gone", None)):
        assert allowed(await client.get(f"/{profile}", headers={"Origin": SHOP})) == told


@in_loop
async def test_without_an_origin_nothing_changes(client: httpx.AsyncClient) -> None:
    found = await client.get("/")
    assert allowed(found) is None and "vary" not in found.headers


@in_loop
async def test_the_served_doors_keep_to_it(valkey: Backend) -> None:
    settings = valkey.settings(cors_origins=(SHOP,), open_access=True, speech_wait_s=0.1)
    body = {"messages": [{"role": "user", "content": "When do you open?"}]}
    model = Scripted(draft=[answer("Well.")], full=[answer("At nine.")])
    async with open_workers(settings, model), serving(settings) as client:
        asked = await client.options("/v1/chat/completions", headers={"Origin": SHOP, **ASKS})
        assert (asked.status_code, allowed(asked)) == (204, SHOP)
        asked = await client.options("/v1/chat/completions", headers={"Origin": EVIL, **ASKS})
        assert (asked.status_code, allowed(asked)) == (405, None)
        for path in ("/v1/chat/completions", "/v1/audio/chat/completions", "/v1/llm-request"):
            streamed = {**body, "stream": True}
            refused = await client.post(path, json=streamed, headers={"Origin": EVIL})
            assert (refused.status_code, allowed(refused)) == (403, None)
            found = await client.post(path, json=streamed, headers={"Origin": SHOP})
            assert (found.status_code, allowed(found)) == (200, SHOP)
            assert found.headers["cache-control"] == "no-cache, no-transform"
        turn = f"/v1/sessions/{found.headers['x-session-id']}/turns/{found.headers['x-turn-id']}"
        for accept in ("text/event-stream", "application/json"):
            found = await client.get(turn, headers={"Origin": SHOP, "Accept": accept})
            assert (found.status_code, allowed(found)) == (200, SHOP)
        assert allowed(await client.get("/healthz", headers={"Origin": SHOP})) is None


@in_loop
async def test_cors_is_off_by_default(valkey: Backend) -> None:
    async with serving(valkey.settings()) as client:
        for found in (
            await client.options("/v1/models", headers={"Origin": SHOP, **ASKS}),
            await client.get("/v1/models", headers={"Origin": SHOP}),
        ):
            assert not [name for name in found.headers if name.startswith("access-control-")]


@in_loop
async def test_every_answer_has_its_headers(valkey: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(valkey.settings()) as client:
        for path, status in {
            "/v1/models": 200,
            "/nowhere": 404,
            "/v1/sessions?limit=x": 400,
            "/healthz": 200,
        }.items():
            found = await client.get(path)
            assert found.status_code == status
            assert found.headers["x-content-type-options"] == "nosniff"
            assert found.headers["cache-control"] == "no-store"
            assert "server" not in found.headers and "content-security-policy" not in found.headers
        monkeypatch.setattr("api.doors.sessions.read_query", lambda query: 1 / 0)
        found = await client.get("/v1/sessions")
        assert (found.status_code, found.json()["error"]["code"]) == (500, "internal_error")
        assert found.headers["x-content-type-options"] == "nosniff"
        assert found.headers["cache-control"] == "no-store"


@in_loop
async def test_the_docs_page_needs_nothing_from_elsewhere(valkey: Backend) -> None:
    async with serving(valkey.settings()) as client:
        page = await client.get("/docs")
        assert page.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
        assert page.headers["x-frame-options"] == "DENY"
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["cross-origin-opener-policy"] == "same-origin"
        assert "://" not in page.text and "<style" not in page.text and " style=" not in page.text
        assert page.text.count("<script") == page.text.count("<script src=")
        for name, kind in {
            "swagger-ui-bundle.js": "text/javascript",
            "swagger-ui.css": "text/css",
            "start.js": "text/javascript",
        }.items():
            assert name in page.text
            found = await client.get(f"/docs/{name}")
            assert found.status_code == 200 and found.headers["content-type"].startswith(kind)
        assert (await client.get("/docs/..%2fcore.py")).status_code == 404
        assert (await client.get("/docs/core.py")).status_code == 404
        assert (await client.get("/redoc")).status_code == 404
        assert (await client.get("/openapi.json")).json()["openapi"].startswith("3.1")
