"""Every URL that a tenant can give, led to a private place: nothing is sent there, and somebody is told."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from common.events import LaneFinished
from common.names import SessionRef, TurnRef
from common.security.secret_box import SecretBox
from common.security.url_guard import open_guarded_client
from common.sessions.sessions import Sessions
from common.store import keys
from common.store.redis import Stores, open_stores
from common.tenants.directory import Directory
from common.tenants.profiles import Upstream
from tests.support.scripted_model import Scripted, answer
from tests.support.served_api import open_port, serving
from tests.support.store_servers import Backend
from tests.support.stored_tenants import add_key, add_tenant, bearer
from tests.support.stored_turns import turn_entries
from tests.support.waiting import in_loop, until
from tests.support.wiring import open_worker
from workers.providers.base import StreamPart, UpstreamError
from workers.providers.registry import Providers
from workers.upkeep.webhooks import WebhookSender

GOOD = {"base_url": "https://models.example/v1", "model": "good"}
FAILING = {**GOOD, "model": "failing"}
PARTS = ("full", "draft", "fallbacks", "webhook")
DIALECTS = ("http://{}/v1", "ernie+http://{}", "yandex+http://{}/folder", "anthropic+http://{}")
SEAL = SecretBox("seals")
ADDRESSES = (
    "127.0.0.1",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "0.0.0.0",
    "2130706433",
    "127.1",
    "169.254.169.254",
)
NAMES: dict[str, list[str]] = {
    "inside.example": ["127.0.0.1"],
    "both.example": ["8.8.8.8", "127.0.0.1"],
    "six.example": ["::ffff:127.0.0.1"],
    "0x7f.1": ["127.0.0.1"],
    "inside.example.": ["127.0.0.1"],
    "front.example": ["127.0.0.1"],  # which the deployment allows
}


@dataclass
class Server:
    """A server on loopback that counts what connects to it, and answers with a redirect."""

    location: str = ""
    connections: int = 0
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 307 Go\r\nContent-Length: 0\r\nConnection: close\r\n")
        writer.write(b"Location: %b\r\n\r\n" % self.location.encode())
        writer.close()


@asynccontextmanager
async def listening(location: str = "") -> AsyncIterator[Server]:
    server = Server(location)
    async with open_port(server.serve) as server.port:
        yield server


async def resolve(host: str, port: int) -> list[str]:
    """DNS, as a tenant may have set it up."""
    if host not in NAMES:
        raise OSError("no such name")
    return NAMES[host]


class Models:
    """The worker's own providers, but for the models that play a script."""

    def __init__(self, providers: Providers) -> None:
        self._providers = providers
        self._scripted = Scripted(good=[answer("Yes.")], failing=[[UpstreamError("upstream_refused", "no")]])

    def stream(self, upstream: Upstream, body: dict[str, Any]) -> AsyncGenerator[StreamPart, None]:
        scripted = upstream.model in ("good", "failing")
        return (self._scripted if scripted else self._providers).stream(upstream, body)


@dataclass
class Gateway:
    """A gateway with a tenant, and two servers that must not, and may, be connected to."""

    client: httpx.AsyncClient
    stores: Stores
    teller: WebhookSender
    inside: Server
    front: Server
    profiles: int = 0

    def place(self, name: str) -> str:
        """A host and port that lead to a server of ours, were they followed."""
        return f"{name}:{(self.front if name == 'front.example' else self.inside).port}"

    async def set_up(self, **profile: Any) -> None:
        """Have the tenant with this one profile, as if no door had looked at its URLs."""
        sent = {"KEY": [f"http://{self.place(name)}" for name in ("127.0.0.1", *NAMES)]}
        secrets = {"KEY": SEAL.write("sk-planted")}
        self.profiles += 1
        profiles = {f"p{self.profiles}": {"full": GOOD, **profile}}  # workers look for a new one at once
        await add_tenant(self.stores, "acme", SEAL, profiles=profiles, secrets=secrets, request_secrets=sent)
        self.client.headers.update(bearer(await add_key(self.stores, "acme")))

        async def known() -> bool:
            return (await self.client.get("/admin/tenants/acme")).status_code == 200

        await until(known)

    async def ask(self, path: str = "/v1/chat/completions", **body: Any) -> httpx.Response:
        whole = {"messages": [{"role": "user", "content": "When?"}], **body}
        return await self.client.post(path, json=whole, headers={"Accept": "application/json"})

    async def lane(self, response: httpx.Response, lane: str) -> LaneFinished:
        """How a lane of the answered turn ended."""
        name, turn = response.headers["x-session-id"], response.headers["x-turn-id"]

        async def found() -> LaneFinished | None:
            entries = await turn_entries(self.stores, TurnRef(SessionRef("acme", name), turn))
            ends = [entry.event for entry in entries if isinstance(entry.event, LaneFinished)]
            return next((end for end in ends if end.lane == lane), None)

        ended = await until(found)
        assert isinstance(ended, LaneFinished)
        return ended


@asynccontextmanager
async def gateway(backend: Backend) -> AsyncIterator[Gateway]:
    async with listening() as inside, listening(f"http://127.0.0.1:{inside.port}/") as front:
        settings = backend.settings(
            tenants_refresh_s=0.02,
            secret_key="seals",
            operator_token="operators-token-0123456789",
            allowed_hosts=(f"front.example:{front.port}",),
            breaker_failures=0,
        )
        async with (
            open_stores(settings) as stores,
            open_guarded_client(settings.allowed_hosts, 5, resolve) as guarded,
            serving(settings) as client,
        ):
            await stores.sync_clocks()
            models = Models(Providers(guarded, guarded, stores, None))
            sessions, directory = Sessions(stores, None), Directory(settings, stores)
            teller = WebhookSender(directory, stores, sessions, guarded, "w:1")
            async with (
                open_worker(settings, "draft", models, name="w:draft"),
                open_worker(settings, "full", models, name="w:full"),
            ):
                yield Gateway(client, stores, teller, inside, front)
                await directory.refresh()


def profile_with(part: str, url: str) -> dict[str, Any]:
    """A profile in which only this part has the URL."""
    model: dict[str, Any] = {"base_url": url, "model": "theirs", "secret": "KEY"}
    to_its_end = {"handoff": {"shadow": True}}  # however soon the full is there
    profiles: dict[str, dict[str, Any]] = {
        "full": {"full": model},
        "draft": {"full": GOOD, "draft": model, "policy": to_its_end},
        "fallbacks": {"full": FAILING, "fallbacks": [model]},
        "webhook": {"full": GOOD, "webhook": {"url": url, "secret": "KEY"}},
    }
    return profiles[part]


async def be_led(there: Gateway, part: str, url: str) -> None:
    """Have a turn in which this part of the profile is used, which must fail."""
    await there.set_up(**profile_with(part, url))
    answered = await there.ask()
    if part == "webhook":
        assert answered.status_code == 200
        await there.teller._directory.refresh()
        await until(lambda: there.stores.queue.zcard(keys.TELLING))
        await there.stores.queue.zadd(keys.TELLING, {(await _telling(there))[0]: 1})
        assert await there.teller.send_due() == 1
        assert (await _telling(there))[0].endswith("|2"), "it is tried again later"
        return
    ended = await there.lane(answered, "draft" if part == "draft" else "full")
    assert ended.error and ended.error["code"] in ("upstream_unreachable", "upstream_refused")
    if part == "draft":
        assert answered.json()["choices"][0]["message"]["content"] == "Yes."
    else:
        assert (answered.status_code, answered.json()["error"]["code"]) == (502, ended.error["code"])
        assert "sk-planted" not in answered.text and "127.0.0.1" not in answered.text


async def _telling(there: Gateway) -> list[str]:
    return [member.decode() for member in await there.stores.queue.zrange(keys.TELLING, 0, -1)]


@in_loop
async def test_no_door_takes_a_private_address(valkey: Backend) -> None:
    async with gateway(valkey) as there:
        await there.set_up()
        for address in ADDRESSES:
            for part in PARTS:
                url = f"http://{address}:{there.inside.port}/v1"
                put = await there.client.put("/admin/tenants/acme/profiles/q", json=profile_with(part, url))
                field = {"webhook": "webhook.url", "fallbacks": "fallbacks.0.base_url"}.get(
                    part, f"{part}.base_url"
                )
                told = put.json()["error"]
                assert (put.status_code, told["param"]) == (400, f"profiles.q.{field}"), address
                assert "not a public one" in told["message"]
            asked = await named(there, f"{address}:{there.inside.port}")
            assert (asked.status_code, asked.json()["error"]["code"]) == (400, "blocked_url")
        assert there.inside.connections == 0


@pytest.mark.parametrize("part", PARTS)
@in_loop
async def test_a_private_place_is_not_connected_to(valkey: Backend, part: str) -> None:
    """Whatever let the URL in: an older version, a name that led elsewhere then."""
    async with gateway(valkey) as there:
        for name in ("127.0.0.1", *(each for each in NAMES if each != "front.example")):
            await be_led(there, part, f"http://{there.place(name)}/v1")
        assert there.inside.connections == 0


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("to", ["127.0.0.1", "front.example"])
@in_loop
async def test_a_redirect_is_not_followed(valkey: Backend, part: str, to: str) -> None:
    """Not even to where the tenant's URL might lead: a secret goes to the server that it was given for."""
    async with gateway(valkey) as there:
        there.front.location = f"http://{there.place(to)}/"
        await be_led(there, part, f"http://{there.place('front.example')}/v1")
        assert (there.inside.connections, there.front.connections) == (0, 1)


@pytest.mark.parametrize("dialect", DIALECTS)
@in_loop
async def test_no_dialect_leads_there(valkey: Backend, dialect: str) -> None:
    async with gateway(valkey) as there:
        for name in ("127.0.0.1", "inside.example", "front.example"):
            await there.set_up(**profile_with("full", dialect.format(there.place(name))))
            answered = await there.ask()
            assert answered.status_code == 502, answered.text
        assert there.inside.connections == 0


@in_loop
async def test_no_request_leads_there(valkey: Backend) -> None:
    async with gateway(valkey) as there:
        await there.set_up()
        for name in ("inside.example", "both.example", "six.example", "front.example"):
            asked = await named(there, there.place(name))
            assert asked.status_code == 502, asked.text
            assert "sk-planted" not in asked.text
        for place in (
            f"me@{there.place('front.example')}",
            f"front.example\\@{there.place('inside.example')}",
        ):
            asked = await named(there, place)
            assert (asked.status_code, asked.json()["error"]["code"]) == (400, "blocked_url")
        assert (there.inside.connections, there.front.connections) == (0, 1)


async def named(there: Gateway, place: str) -> httpx.Response:
    """An `llmRequest` whose model is at this place."""
    return await there.ask(
        "/v1/llm-request",
        provider="CUSTOM_LLM",
        tokenSecret="KEY",
        model="theirs",
        url=f"http://{place}/v1/chat/completions",
    )
