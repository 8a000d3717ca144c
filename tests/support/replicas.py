"""Two served replicas for the tests, and clients that read a turn's stream event by event."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from common.names import SessionRef, TurnRef
from common.settings import Settings
from common.store.redis import Stores, open_stores
from tests.support.scripted_model import Scripted
from tests.support.served_api import serving
from tests.support.wiring import open_workers

CHAT = "/v1/chat/completions"
SSE = {"Accept": "text/event-stream"}


@dataclass
class Two:
    """Two replicas as their clients see them, and eyes on the stores."""

    first: httpx.AsyncClient
    second: httpx.AsyncClient
    stores: Stores


@asynccontextmanager
async def two_replicas(settings: Settings, model: Scripted) -> AsyncIterator[Two]:
    async with (
        open_workers(settings, model),
        serving(settings) as first,
        serving(settings) as second,
        open_stores(settings) as stores,
    ):
        await stores.sync_clocks()
        yield Two(first, second, stores)


class Answer:
    """A stream of one turn, read event by event."""

    def __init__(self, response: httpx.Response) -> None:
        self.session = SessionRef("default", response.headers["x-session-id"])
        self.turn = TurnRef(self.session, response.headers["x-turn-id"])
        self.path = f"/v1/sessions/{self.session.session}/turns/{self.turn.turn}"
        self.frames: list[bytes] = []
        self._pieces = response.aiter_bytes()
        self._rest = b""

    async def read(self, enough: bytes | None = None) -> list[bytes]:
        """The events up to the one that holds this, or to the end."""
        while enough is None or not any(enough in frame for frame in self.frames):
            piece = await anext(self._pieces, None)
            if piece is None:
                assert enough is None and not self._rest, "the stream ended early"
                break
            *frames, self._rest = (self._rest + piece).split(b"\n\n")
            self.frames += [frame.removeprefix(b"retry: 500\n") for frame in frames]
        return self.frames


@asynccontextmanager
async def asked(client: httpx.AsyncClient, **body: Any) -> AsyncIterator[Answer]:
    whole = {"messages": [{"role": "user", "content": "When?"}], "stream": True, "session_id": "s1", **body}
    async with client.stream("POST", CHAT, json=whole) as response:
        assert response.status_code == 200, await response.aread()
        yield Answer(response)


@asynccontextmanager
async def resumed(client: httpx.AsyncClient, path: str, after: bytes = b"") -> AsyncIterator[Answer]:
    headers = SSE | ({"Last-Event-ID": after.decode()} if after else {})
    async with client.stream("GET", path, headers=headers) as response:
        assert response.status_code == 200, await response.aread()
        yield Answer(response)


def cursor(frame: bytes) -> bytes:
    return frame.partition(b"\n")[0].removeprefix(b"id: ")


async def hear_rest(client: httpx.AsyncClient, path: str, after: bytes) -> list[bytes]:
    async with resumed(client, path, after) as rest:
        return await rest.read()
