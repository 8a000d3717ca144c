"""A request that comes again at another door: no turn without sound is joined by who is to be spoken to."""

from typing import Any

import httpx
import pytest

from common.names import SessionRef, TurnRef
from common.store import keys
from common.store.redis import open_stores
from tests.support.scripted_model import Scripted, answer
from tests.support.served_api import serving
from tests.support.speech_workers import Counting, open_speaker
from tests.support.store_servers import Backend
from tests.support.waiting import in_loop
from tests.support.wiring import open_workers

WRITTEN, ALOUD = "/v1/chat/completions", "/v1/audio/chat/completions"
WHOLE = "We open at nine."
ASKED: dict[str, Any] = {"messages": [{"role": "user", "content": "When?"}], "session_id": "s1"}
AGAIN = {
    "a channel's turn": ({"turn_id": "7"}, {}),
    "a request's id": ({}, {"X-Request-Id": "r1"}),
}


def turn_of(response: httpx.Response) -> str:
    assert response.status_code == 200, response.text
    return response.headers["x-turn-id"]


def is_spoken(response: httpx.Response) -> bool:
    return bool(response.json()["choices"][0]["message"].get("audio", {}).get("data"))


@pytest.mark.parametrize(("fields", "headers"), AGAIN.values(), ids=AGAIN)
@in_loop
async def test_each_door_has_a_turn_of_its_own_and_a_retry_joins_that(
    valkey: Backend, fields: dict[str, str], headers: dict[str, str]
) -> None:
    settings, model = valkey.settings(small_model=""), Scripted(full=[lambda _: answer(WHOLE)])
    body = {**ASKED, **fields}
    async with open_workers(settings, model), open_speaker(settings, Counting()), serving(settings) as client:
        written = await client.post(WRITTEN, json=body, headers=headers)
        aloud = await client.post(ALOUD, json=body, headers=headers)
        assert turn_of(aloud) != turn_of(written) and is_spoken(aloud)
        again = await client.post(ALOUD, json=body, headers=headers)
        assert turn_of(again) == turn_of(aloud) and is_spoken(again)
        assert turn_of(await client.post(WRITTEN, json=body, headers=headers)) == turn_of(written)


@pytest.mark.parametrize("doors", [(WRITTEN, ALOUD), (ALOUD, WRITTEN)], ids=["aloud later", "written later"])
@in_loop
async def test_an_idempotency_key_is_one_doors(valkey: Backend, doors: tuple[str, str]) -> None:
    settings, model = valkey.settings(small_model=""), Scripted(full=[lambda _: answer(WHOLE)])
    headers = {"Idempotency-Key": "k1"}
    async with open_workers(settings, model), open_speaker(settings, Counting()), serving(settings) as client:
        first = turn_of(await client.post(doors[0], json=ASKED, headers=headers))
        refused = await client.post(doors[1], json=ASKED, headers=headers)
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "idempotency_key_reused")
        for stream in (False, True):  # which a retry may change
            again = await client.post(doors[0], json={**ASKED, "stream": stream}, headers=headers)
            assert turn_of(again) == first


@in_loop
async def test_a_retry_after_the_sound_is_gone_has_it_made_again(valkey: Backend) -> None:
    settings, model = valkey.settings(small_model=""), Scripted(full=[lambda _: answer(WHOLE)])
    body, headers = {**ASKED, "turn_id": "7"}, {"X-Request-Id": "r1"}
    async with (
        open_workers(settings, model),
        open_speaker(settings, Counting()),
        open_stores(settings) as stores,
        serving(settings) as client,
    ):
        first = await client.post(ALOUD, json=body, headers=headers)
        for stream in (False, True):
            # Its time is a minute.
            assert await stores.queue.delete(keys.audio(TurnRef(SessionRef("default", "s1"), turn_of(first))))
            again = await client.post(ALOUD, json={**body, "stream": stream}, headers=headers)
            assert turn_of(again) == turn_of(first)
            assert b'"audio"' in again.content and again.content.count(WHOLE.encode()) == 1
