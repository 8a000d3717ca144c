"""Real answers, cut after every single event and gone on with at another replica: exact each time."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import cycle
from typing import Any

import httpx
import pytest

from api.main import create_app
from bench import data
from bench.data import Answered
from common.events import TurnEnded
from common.names import SessionRef, TurnRef
from common.settings import Settings
from common.store.redis import open_stores
from common.tenants.profiles import Upstream
from common.text.language import text_of
from tests.support.data_sample import ALL
from tests.support.scripted_model import END, Scripted, Step, answer, words
from tests.support.store_servers import Backend, ValkeyServer, fresh_database, running
from tests.support.stored_turns import count
from tests.support.waiting import in_loop, until
from tests.support.wiring import open_workers
from workers.providers.base import Finish, PassThrough, StreamPart, ToolCallDelta, UpstreamError, Usage

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(bool(data.missing()), reason=data.missing() or "the data is there"),
]

ANSWERS = 50 if ALL else 8
SSE = {"Accept": "text/event-stream"}
ENDINGS = ("text", "tools", "broken", "others")
_USAGE = Usage({"prompt_tokens": 9, "completion_tokens": 8, "total_tokens": 17})


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    with running(ValkeyServer(tmp_path_factory.mktemp("valkey"))) as server:
        yield Backend(server.url(fresh_database()))


@asynccontextmanager
async def replica(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application of its own; answers come as a whole."""
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=60) as client:
            yield client


class Paced(Scripted):
    """Its pieces come one after the other, so that each is an event of its own."""

    async def stream(self, upstream: Upstream, body: dict[str, Any]) -> AsyncGenerator[StreamPart, None]:
        async for piece in super().stream(upstream, body):
            yield piece
            await asyncio.sleep(0.01)


def script(row: Answered, ending: str) -> list[Step]:
    """The full's answer, in pieces of two words, and one of the ways in which it may end."""
    said = words(row.full)
    pieces: list[Step] = ["".join(map(str, said[at : at + 2])) for at in range(0, len(said), 2)]
    if ending == "tools":
        calls = [ToolCallDelta(n, f"call_{n}", "look_up", part) for n in (0, 1) for part in ('{"a"', ":1}")]
        return [*pieces[:3], *calls, Finish("tool_calls"), _USAGE]
    if ending == "broken":
        return [*pieces[: len(pieces) // 2], UpstreamError("upstream_cut", "the answer broke off")]
    if ending == "others":
        notes = [PassThrough({"index": 0, "delta": {"reasoning_content": f"step {n}"}}) for n in range(2)]
        return [notes[0], *pieces[:5], notes[1], *pieces[5:], *END]
    return [*pieces, *END]


@in_loop
async def test_answers_cut_after_every_event_are_exact_at_another_replica(
    backend: Backend, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = data.answers()[:: len(data.answers()) // ANSWERS][:ANSWERS]
    scripts = {row.prompt: script(row, ending) for row, ending in zip(rows, cycle(ENDINGS), strict=False)}
    drafts = {row.prompt: answer(row.draft) for row in rows}
    model = Paced(draft=[lambda b: drafts[_asked(b)]], full=[lambda b: scripts[_asked(b)]])
    settings = backend.settings(turn_lease_s=600)
    async with (
        open_workers(settings, model),
        replica(settings) as first,
        replica(settings) as second,
        open_stores(settings) as stores,
    ):
        asked = [first.post("/v1/chat/completions", json=_body(row, n)) for n, row in enumerate(rows)]
        cuts = 0
        for whole in await asyncio.gather(*asked):
            assert whole.status_code == 200, whole.text
            session, turn = whole.headers["x-session-id"], whole.headers["x-turn-id"]
            ref = TurnRef(SessionRef("default", session), turn)
            await until(lambda ref=ref: count(stores, ref, TurnEnded))
            cuts += await _cut_everywhere(second, f"/v1/sessions/{session}/turns/{turn}", whole.content)
    with capsys.disabled():
        print(f"\n{len(rows)} answers cut after each of {cuts} events: all exact")


async def _cut_everywhere(client: httpx.AsyncClient, path: str, whole: bytes) -> int:
    """How many events the answer has; each union of what came before and after a cut is the answer."""
    frames = [frame + b"\n\n" for frame in whole.split(b"\n\n")[:-1]]
    assert b"[DONE]" in frames[-1]
    had = b""
    for frame in frames:
        had += frame
        cursor = frame.partition(b"\n")[0].removeprefix(b"id: ").decode()
        reply = await client.get(path, headers=SSE | {"Last-Event-ID": cursor})
        assert reply.status_code == (204 if frame is frames[-1] else 200)
        assert had + reply.content.removeprefix(b"retry: 500\n") == whole
    return len(frames)


def _body(row: Answered, number: int) -> dict[str, Any]:
    """A request; of each kind of ending some want the usage, some the lanes."""
    return {
        "messages": [{"role": "user", "content": row.prompt}],
        "stream": True,
        "stream_options": {"include_usage": number // len(ENDINGS) % 2 == 0},
        "fast_reply": {"lanes": number // len(ENDINGS) % 3 == 0},
    }


def _asked(body: dict[str, Any]) -> str:
    return text_of(next(m for m in reversed(body["messages"]) if m["role"] == "user")["content"])
