"""ERNIE's access tokens: one for all turns of all workers, renewed when refused, unreadable at rest."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson
import pytest
from pydantic import SecretStr

from common.security.secret_box import SecretBox, open_secret_box
from common.settings import Settings
from common.store.redis import Stores, open_stores
from common.tenants.profiles import Upstream
from tests.support.store_servers import Backend
from tests.support.waiting import in_loop, until
from workers.providers.base import Finish, StreamPart, UpstreamError
from workers.providers.ernie_tokens import ErnieTokens
from workers.providers.registry import Providers

KEY = SecretStr("my-api-key:my-secret-key")
ERNIE = Upstream("ernie+http://baidu", KEY, "ERNIE-4.0-8K")
SERVER = "http://baidu"
HELLO: dict[str, Any] = {"model": ERNIE.model, "messages": [{"role": "user", "content": "Hello"}]}
ANSWER = b'data: {"sentence_id":0,"is_end":true,"result":"Hi.","usage":{"total_tokens":3}}\n\n'


class Baidu:
    """Both servers; a token is issued once `ready` is set."""

    def __init__(self) -> None:
        self.issued: list[str] = []
        self.valid: set[str] = set()
        self.ready = asyncio.Event()
        self.ready.set()
        self.refuses_keys = False
        self.life_s = 2_592_000

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/oauth/2.0/token":
            return await self._issue(request)
        assert request.url.path.endswith("/chat/completions_pro")
        if request.url.params["access_token"] not in self.valid:
            return _json({"error_code": 111, "error_msg": "Access token expired"})
        return httpx.Response(200, content=_in_pieces(ANSWER), headers={"content-type": "text/event-stream"})

    async def _issue(self, request: httpx.Request) -> httpx.Response:
        assert request.method == "POST"
        assert dict(request.url.params) == {
            "grant_type": "client_credentials",
            "client_id": "my-api-key",
            "client_secret": "my-secret-key",
        }
        self.issued.append(f"24.token-{len(self.issued) + 1}")
        await self.ready.wait()
        if self.refuses_keys:
            return httpx.Response(401, json={"error": "invalid_client"})
        self.valid.add(self.issued[-1])
        return _json({"access_token": self.issued[-1], "expires_in": self.life_s})


def _json(value: dict[str, Any]) -> httpx.Response:
    headers = {"content-type": "application/json"}
    return httpx.Response(200, content=_in_pieces(orjson.dumps(value)), headers=headers)


async def _in_pieces(content: bytes) -> AsyncIterator[bytes]:
    yield content[:8]
    yield content[8:]


@asynccontextmanager
async def process(settings: Settings, baidu: Baidu, seal: SecretBox | None) -> AsyncIterator[Any]:
    """A worker's stores and providers."""
    async with (
        open_stores(settings) as stores,
        httpx.AsyncClient(transport=httpx.MockTransport(baidu)) as client,
    ):
        yield stores, Providers(client, client, stores, seal)


async def turn(providers: Providers) -> list[StreamPart]:
    return [piece async for piece in providers.stream(ERNIE, HELLO)]


async def everything(stores: Stores) -> bytes:
    """All that rests on the queue server."""
    found = [await stores.queue.get(key) async for key in stores.queue.scan_iter(match="fr:token:*")]
    return b" ".join(filter(None, found))


@in_loop
async def test_fifty_turns_on_two_workers_ask_for_one_token(backend: Backend) -> None:
    settings, baidu = backend.settings(secret_key="k" * 32), Baidu()
    seal = open_secret_box(settings)
    async with (
        process(settings, baidu, seal) as (stores, ours),
        process(settings, baidu, seal) as (_, theirs),
    ):
        baidu.ready.clear()
        turns = [asyncio.create_task(turn((ours, theirs)[n % 2])) for n in range(50)]
        await until(lambda: baidu.issued)
        await asyncio.sleep(0)
        baidu.ready.set()
        answers = await asyncio.gather(*turns)
        assert all(answer[:2] == ["Hi.", Finish("stop")] for answer in answers)
        assert len(baidu.issued) == 1
        rest = await everything(stores)
        assert rest and not any(word in rest for word in (b"24.token", b"my-api-key", b"my-secret-key"))
        (key,) = [key async for key in stores.queue.scan_iter(match="fr:token:*")]
        assert b"my-" not in key
        left_s = await stores.queue.ttl(key)
        assert baidu.life_s - 3_600 - 60 < left_s <= baidu.life_s - 3_600

        # In mid-day it is no longer taken: all go on with one other.
        baidu.valid.clear()
        answers = await asyncio.gather(*(turn((ours, theirs)[n % 2]) for n in range(50)))
        assert all(answer[:2] == ["Hi.", Finish("stop")] for answer in answers)
        assert len(baidu.issued) == 2


@in_loop
async def test_without_a_key_to_seal_it_the_token_stays_in_the_process(backend: Backend) -> None:
    settings, baidu = backend.settings(), Baidu()
    assert open_secret_box(settings) is None
    async with (
        process(settings, baidu, None) as (stores, ours),
        process(settings, baidu, None) as (_, theirs),
    ):
        baidu.ready.clear()
        turns = [asyncio.create_task(turn((ours, theirs)[n % 2])) for n in range(20)]
        await until(lambda: len(baidu.issued) == 2)
        baidu.ready.set()
        await asyncio.gather(*turns)
        assert len(baidu.issued) == 2
        assert not await everything(stores)


@in_loop
async def test_a_token_sealed_with_another_key_is_asked_for_anew(backend: Backend) -> None:
    settings, baidu = backend.settings(), Baidu()
    for number, key in enumerate(("one", "two"), start=1):
        async with process(settings, baidu, SecretBox(key)) as (_, providers):
            assert (await turn(providers))[0] == "Hi."
            assert len(baidu.issued) == number


@in_loop
async def test_a_worker_that_died_while_it_asked_is_not_waited_for_for_long(backend: Backend) -> None:
    settings, baidu, seal = backend.settings(), Baidu(), SecretBox("k")
    async with (
        process(settings, baidu, seal) as (stores, ours),
        process(settings, baidu, seal) as (_, theirs),
    ):
        baidu.ready.clear()
        dying = asyncio.create_task(turn(ours))
        await until(lambda: baidu.issued)
        (asked,) = [key async for key in stores.queue.scan_iter(match="fr:token:*:asked")]
        assert 0 < await stores.queue.pttl(asked) <= 5_000
        await stores.queue.pexpire(asked, 50)
        baidu.ready.set()
        waiting = asyncio.create_task(turn(theirs))
        assert (await waiting)[0] == (await dying)[0] == "Hi."


@in_loop
async def test_a_token_that_is_about_to_expire_is_renewed_before(backend: Backend) -> None:
    settings, baidu = backend.settings(), Baidu()
    baidu.life_s = 0
    async with process(settings, baidu, None) as (_, providers):
        await turn(providers)
        await turn(providers)
        assert len(baidu.issued) == 2


@in_loop
async def test_a_store_that_is_away_costs_no_turn(mortal: Backend, mortal_server: Any) -> None:
    baidu = Baidu()
    async with process(mortal.settings(), baidu, SecretBox("k")) as (_, providers):
        mortal_server.kill()
        assert (await turn(providers))[0] == "Hi."


@in_loop
async def test_keys_that_are_refused_fail_the_turn_and_are_not_repeated(backend: Backend) -> None:
    settings, baidu = backend.settings(), Baidu()
    baidu.refuses_keys = True
    async with process(settings, baidu, SecretBox("k")) as (_, providers):
        with pytest.raises(UpstreamError) as caught:
            await turn(providers)
        assert (caught.value.code, caught.value.faulty) == ("upstream_refused", False)
        assert "my-" not in str(caught.value)


@in_loop
async def test_a_token_that_is_refused_twice_fails_the_turn(backend: Backend) -> None:
    settings, baidu = backend.settings(), Baidu()
    baidu.valid = _Nothing()
    async with process(settings, baidu, SecretBox("k")) as (_, providers):
        with pytest.raises(UpstreamError) as caught:
            await turn(providers)
        assert (caught.value.code, len(baidu.issued)) == ("upstream_refused", 2)


class _Nothing(set[str]):
    def add(self, element: str) -> None:
        pass


@in_loop
async def test_a_key_of_the_wrong_form_is_said_to_be_one(backend: Backend) -> None:
    async with open_stores(backend.settings()) as stores, httpx.AsyncClient() as client:
        with pytest.raises(UpstreamError) as caught:
            await ErnieTokens(client, stores, None).get(SERVER, SecretStr("only-one"))
        assert "<API key>:<secret key>" in str(caught.value)
        assert "only-one" not in str(caught.value)


@pytest.mark.parametrize("life_s", ["nan", -1, "never"])
@in_loop
async def test_a_life_that_is_no_time_is_no_answer(backend: Backend, life_s: Any) -> None:
    baidu = Baidu()
    baidu.life_s = life_s
    async with process(backend.settings(), baidu, SecretBox("k")) as (_, providers):
        with pytest.raises(UpstreamError) as caught:
            await turn(providers)
        assert caught.value.code == "upstream_garbled"


@pytest.mark.parametrize("life_s", [0, 1e300])
@in_loop
async def test_any_other_life_will_do(backend: Backend, life_s: Any) -> None:
    baidu = Baidu()
    baidu.life_s = life_s
    async with process(backend.settings(), baidu, SecretBox("k")) as (_, providers):
        assert (await turn(providers))[0] == "Hi."


@pytest.mark.parametrize("path", ["/oauth/2.0/token", "/completions_pro"])
@in_loop
async def test_an_answer_without_end_is_not_read_to_its_end(backend: Backend, path: str) -> None:
    baidu, sent = Baidu(), []

    async def endless() -> AsyncIterator[bytes]:
        while True:
            sent.append(1)
            yield b" " * 65_536

    async def serve(request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith(path):
            return await baidu(request)
        return httpx.Response(200, content=endless(), headers={"content-type": "application/json"})

    async with (
        open_stores(backend.settings()) as stores,
        httpx.AsyncClient(transport=httpx.MockTransport(serve)) as client,
    ):
        with pytest.raises(UpstreamError) as caught:
            await turn(Providers(client, client, stores, SecretBox("k")))
        assert caught.value.code == "upstream_garbled"
        assert len(sent) < 20
