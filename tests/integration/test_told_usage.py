"""What a client is told that its turn has cost: both lanes' tokens, with the details that servers told."""

import asyncio
from typing import Any

import orjson
import pytest

from common.names import SessionRef
from common.net.sse import SSEParser
from common.store import keys
from common.store.redis import open_stores
from tests.support.replicas import CHAT
from tests.support.scripted_model import Scripted, words
from tests.support.served_api import serving
from tests.support.store_servers import Backend
from tests.support.waiting import in_loop, until
from tests.support.wiring import open_workers
from workers.providers.base import Finish, Usage


def cost(prompt: int, completion: int, cached: int, thought: int, **more: int) -> Usage:
    return Usage(
        {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": cached, **more},
            "completion_tokens_details": {"reasoning_tokens": thought},
        }
    )


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@in_loop
async def test_cached_and_reasoning_tokens_are_those_of_both_lanes(real: Backend, stream: bool) -> None:
    drafted = asyncio.Event()
    model = Scripted(
        draft=[[*words("Let me look."), Finish("stop"), cost(20, 4, 16, 1)]],
        full=[[drafted, *words("We open at nine."), Finish("stop"), cost(100, 6, 64, 5, audio_tokens=2)]],
    )
    settings = real.settings()
    async with open_workers(settings, model), serving(settings) as client, open_stores(settings) as eyes:

        async def draft_is_over() -> bool:
            log = await eyes.log.xrange(keys.log(SessionRef("default", "s1")))
            return any(b"lane.finished" in entry for _, entry in log)

        body = {"messages": [{"role": "user", "content": "When?"}], "session_id": "s1", "stream": stream}
        options = {"stream_options": {"include_usage": True}} if stream else {}
        asked = asyncio.create_task(client.post(CHAT, json={**body, **options}))
        await until(draft_is_over)
        drafted.set()
        usage = _told(await asked, stream=stream)
    assert usage == {
        "prompt_tokens": 120,
        "completion_tokens": 10,
        "total_tokens": 130,
        "prompt_tokens_details": {"cached_tokens": 80, "audio_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 6},
    }


def _told(response: Any, *, stream: bool) -> Any:
    if not stream:
        return response.json()["usage"]
    events = [event.data for event in SSEParser().feed(response.content) if event.data != b"[DONE]"]
    (usage,) = filter(None, (orjson.loads(data).get("usage") for data in events))
    return usage
