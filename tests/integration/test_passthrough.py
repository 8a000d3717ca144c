"""The caller's own key: shown to the server it is for, sealed wherever it rests, gone with its turn."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import pytest

from common.errors import BadRequest
from common.settings import Settings
from common.store import keys
from common.store.redis import Stores
from common.tenants.profiles import Upstream
from tests.support.scripted_model import Scripted, answer, words
from tests.support.store_servers import Backend
from tests.support.waiting import in_loop, until
from tests.support.wiring import ask, open_api, open_worker
from workers.providers.base import StreamPart

KEY = "sk-of-the-callers-own"
MODELS: dict[str, Any] = {"small_model": "small", "llm_api_key": "", "secret_key": "a key of the tests"}


class Watching(Scripted):
    """Keeps which key each model was shown."""

    def __init__(self, **scripts: Any) -> None:
        super().__init__(**scripts)
        self.shown: list[tuple[str, str]] = []

    def stream(self, upstream: Upstream, body: dict[str, Any]) -> AsyncGenerator[StreamPart, None]:
        self.shown.append((upstream.model, upstream.api_key.get_secret_value()))
        return super().stream(upstream, body)


def set_up(backend: Backend, **others: Any) -> Settings:
    """A deployment without a key of its own, unless it says otherwise."""
    return backend.settings(**{**MODELS, **others})


async def held(stores: Stores) -> str:
    """All strings on the queue server, and the logs: where a key might rest."""
    strings = [
        await stores.queue.get(key)
        for key in await stores.queue.keys("*")
        if await stores.queue.type(key) == b"string"
    ]
    logs = [await stores.log.xrange(key) for key in await stores.log.keys("*:log")]
    return repr((strings, logs))


@pytest.mark.parametrize(
    ("others", "small", "full"),
    [
        ({}, KEY, KEY),
        ({"small_model_base_url": "http://other/v1", "small_model_api_key": "own"}, "own", KEY),
        ({"llm_api_key": "the operators"}, "the operators", "the operators"),
        ({"llm_api_key": "the operators", "upstream_auth": "passthrough"}, KEY, KEY),
        ({"upstream_auth": "profile"}, "", ""),
        ({"secret_key": ""}, "", ""),
    ],
    ids=["own server", "draft elsewhere", "operators key", "demanded", "forbidden", "nothing to seal with"],
)
@in_loop
async def test_a_key_is_shown_to_its_server_only(
    valkey: Backend, others: dict[str, Any], small: str, full: str
) -> None:
    settings = set_up(valkey, **others)
    model = Watching(small=[answer("One moment.")], full=[answer("We open at nine.")])
    async with (
        open_api(settings) as api,
        open_worker(settings, "draft", model, name="w:draft"),
        open_worker(settings, "full", model),
    ):
        live = await api.start.run(replace(ask(), key=KEY))
        await until(lambda: live.closed.is_set())
        await until(lambda: len(model.shown) == 2)
        assert dict(model.shown) == {"small": small, "full": full}
        assert KEY not in await held(api.stores)
        assert not await api.stores.queue.exists(keys.auth(live.turn))


@in_loop
async def test_the_next_attempt_has_the_key_too(real: Backend) -> None:
    settings = set_up(real, small_model="", lane_lease_s=0.5)
    silence: list[Any] = [*words("We open"), asyncio.Event()]
    model = Watching(full=[silence, answer(" at nine.")])
    async with open_api(settings) as api:
        async with open_worker(settings, "full", model, name="w:1") as worker:
            live = await api.start.run(replace(ask(), key=KEY))
            await until(lambda: live.text == "We open")
            sealed = await api.stores.queue.get(keys.auth(live.turn))
            assert sealed and KEY.encode() not in sealed
            assert KEY not in await held(api.stores)
            await worker.kill()
        async with open_worker(settings, "full", model, name="w:2", sweeping=True):
            await until(lambda: live.closed.is_set())
        assert live.text == "We open at nine."
        assert model.shown == [("full", KEY), ("full", KEY)]
        assert not await api.stores.queue.exists(keys.auth(live.turn))


@in_loop
async def test_a_key_that_cannot_be_sealed_is_refused_where_it_must_be_passed_on(valkey: Backend) -> None:
    settings = set_up(valkey, upstream_auth="passthrough", secret_key="")
    async with open_api(settings) as api:
        with pytest.raises(BadRequest) as refused:
            await api.start.run(replace(ask(), key=KEY))
        assert refused.value.code == "no_secret_key"
