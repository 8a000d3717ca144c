"""Where the URLs in a tenant's profiles may lead, as far as that can be seen."""

import asyncio
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from common.security.url_guard import UrlGuard, open_guarded_client
from common.settings import Settings
from common.store.redis import open_stores
from common.tenants.checks import blocked_urls
from common.tenants.config import TenantConfig
from common.tenants.profiles import Upstream
from workers.providers.base import UpstreamError
from workers.providers.registry import Providers

PUBLIC = "https://models.example/v1"
BODY = {"model": "m", "messages": [{"role": "user", "content": "Hi."}]}


def blocked(*allowed: str, **profile: Any) -> list[str]:
    """What is said of a tenant with this one profile."""
    whole = {"full": {"base_url": PUBLIC, "model": "m"}, **profile}
    config = TenantConfig.model_validate({"profiles": {"support": whole}})
    return blocked_urls(config, UrlGuard(allowed))


@pytest.mark.parametrize(
    "url",
    [
        PUBLIC,
        "http://models.example:8080",
        "ernie://",
        "ernie://proxy.example",
        "ernie+http://proxy.example",
        "yandex:///b1gfolder",
        "yandex://proxy.example/b1gfolder",
        "anthropic://",
        "http://10.0.0.1:9000",
    ],
)
def test_models_may_be_at_public_and_allowed_servers(url: str) -> None:
    assert blocked("10.0.0.1:9000", full={"base_url": url, "model": "m"}) == []


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1/v1",
        "http://[::1]:80/v1",
        "http://2130706433/v1",
        "http://169.254.169.254/latest/meta-data",
        "http://me:secret@models.example/v1",
        "http://[/v1",
        "models.example/v1",
        "file:///etc/passwd",
        "ernie://10.0.0.1",
        "ernie+http://127.0.0.1:8100",
        "ernie+file://models.example",
        "ernie:///path",
        "yandex://192.168.0.1/b1gfolder",
        "anthropic://127.0.0.1",
        "litellm://",
        "litellm://models.example",
        "https://models.example/v1?key=secret",
        "ernie://?key=secret",
        "yandex:///b1gfolder?key=secret",
    ],
)
def test_other_urls_are_refused_with_their_field(url: str) -> None:
    bad = {"base_url": url, "model": "m"}
    (line,) = blocked(full=bad)
    assert line.startswith("profiles.support.full.base_url: ")
    assert "secret@" not in line
    assert "=secret" not in line
    assert [
        line.partition(":")[0] for line in blocked(draft=bad, fallbacks=[{**bad, "base_url": PUBLIC}, bad])
    ] == [
        "profiles.support.draft.base_url",
        "profiles.support.fallbacks.1.base_url",
    ]


def test_a_webhook_may_have_a_query_but_no_private_host() -> None:
    assert blocked(webhook={"url": "https://hooks.example/x?token=abc"}) == []
    (line,) = blocked(webhook={"url": "http://127.0.0.1/x"})
    assert line.startswith("profiles.support.webhook.url: the host's address is not a public one")


@pytest.mark.parametrize(
    "url", ["http://a.example", "ernie://a.example", "yandex://a.example", "anthropic://"]
)
def test_a_tenants_models_are_asked_over_the_guarded_client_alone(url: str) -> None:
    assert asyncio.run(clients_used(url)) == {"guarded"}


@pytest.mark.parametrize(
    "url", [f"{scheme}://a.example" for scheme in ("http", "ernie", "yandex", "anthropic")]
)
def test_a_name_that_leads_to_a_private_address_is_not_opened(url: str) -> None:
    asked: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["10.0.0.1"]

    async def stream() -> None:
        async with open_stores(Settings()) as stores, open_guarded_client((), 5, resolve) as guarded:
            with pytest.raises(UpstreamError) as failed:
                await anext(Providers(guarded, guarded, stores, None).stream(upstream(url), BODY))
            assert failed.value.code == "upstream_unreachable"

    asyncio.run(stream())
    assert asked == ["a.example"]


def test_a_tenant_has_no_litellm() -> None:
    assert asyncio.run(clients_used("litellm://a.example", "no provider speaks")) == set()


def upstream(url: str) -> Upstream:
    """A tenant's model at this URL."""
    return Upstream(url, SecretStr("a:b"), "m", guarded=True)


async def clients_used(url: str, failing: str = "answered 400") -> set[str]:
    """Which of a worker's two HTTP clients a tenant's upstream is asked over."""
    used: set[str] = set()

    def client(name: str) -> httpx.AsyncClient:
        def answer(request: httpx.Request) -> httpx.Response:
            used.add(name)
            return httpx.Response(400)

        return httpx.AsyncClient(transport=httpx.MockTransport(answer))

    async with open_stores(Settings()) as stores, client("plain") as plain, client("guarded") as guarded:
        pieces = Providers(plain, guarded, stores, None).stream(upstream(url), BODY)
        with pytest.raises(UpstreamError, match=failing):
            await anext(pieces)
    return used
