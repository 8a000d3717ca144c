"""Earlier answers that a request names by their audio's ids reach the models as words."""

from typing import Any

import pytest

from tests.support.replicas import two_replicas
from tests.support.scripted_model import Scripted, answer
from tests.support.served_api import code_of
from tests.support.speech_workers import Counting, open_speaker
from tests.support.store_servers import Backend
from tests.support.waiting import in_loop

WHOLE = "We open at nine. Every day."
WHEN, ALSO = {"role": "user", "content": "When?"}, {"role": "user", "content": "And?"}
ASKED: dict[str, Any] = {"session_id": "s1", "useProgressiveResponse": False}
AUDIO, CHAT = "/v1/audio/chat/completions", "/v1/chat/completions"


def spoken(name: Any, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "audio": name, **more}


@in_loop
async def test_an_audio_id_stands_for_what_was_said(real: Backend) -> None:
    settings, model = real.settings(), Scripted(full=[answer(WHOLE)])

    async def told(client: Any, *before: dict[str, Any], session: str = "s1") -> Any:
        body = {**ASKED, "session_id": session, "messages": [WHEN, *before, ALSO]}
        reply = await client.post(CHAT, json=body)
        return code_of(reply) if reply.status_code != 200 else model.of("full")[-1].body["messages"]

    async with two_replicas(settings, model) as two, open_speaker(settings, Counting()):
        reply = await two.first.post(AUDIO, json={**ASKED, "messages": [WHEN]})
        name = {"id": reply.json()["choices"][0]["message"]["audio"]["id"]}
        said = {"role": "assistant", "content": WHOLE}
        assert await told(two.second, spoken(name)) == [WHEN, said, ALSO]
        assert await told(two.second, spoken(name, content=None)) == [WHEN, said, ALSO]
        own = {"role": "assistant", "content": "At nine."}
        assert await told(two.second, spoken(name, content="At nine.")) == [WHEN, own, ALSO]
        assert await told(two.second, spoken(None, content="At nine.")) == [WHEN, own, ALSO]
        gone = (400, "audio_not_found")
        assert await told(two.second, spoken({"id": "audio_bbbbbbbbbbbb"})) == gone
        assert await told(two.second, spoken(name), session="s2") == gone  # another's
        odd_names: list[Any] = ["audio_x", {}, {"id": 5}, {"id": ""}, []]
        for odd in odd_names:
            assert (await told(two.second, spoken(odd)))[0] == 400
        turn = name["id"].removeprefix("audio_")
        await two.second.post(f"/v1/sessions/s1/turns/{turn}/interrupt", json={"heard_chars": 16})
        heard = {"role": "assistant", "content": "We open at nine."}
        assert await told(two.first, spoken(name)) == [WHEN, heard, ALSO]


@pytest.mark.parametrize("path", [AUDIO, CHAT])
@in_loop
async def test_an_unnamed_session_has_none(valkey: Backend, path: str) -> None:
    model = Scripted(full=[answer(WHOLE)])
    async with two_replicas(valkey.settings(), model) as two:
        body = {"useProgressiveResponse": False, "messages": [WHEN, spoken({"id": "audio_x"}), ALSO]}
        assert code_of(await two.first.post(path, json=body)) == (400, "audio_not_found")
