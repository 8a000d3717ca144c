"""A replica that is killed under 200 live turns: every one is gone on with at the other, and whole."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from simulator.texts import ENGLISH
from tests.support.gateway_stack import PATH, Simulator, Stack, user
from tests.support.processes import until

TURNS = 200
BRIDGE = "One moment."


@pytest.fixture
def pair(simulator: Simulator, tmp_path: Path) -> Iterator[Stack]:
    """A gateway of two replicas, with the leases that an operator gets."""
    with Stack(simulator, tmp_path, {}, replicas=2).running() as stack:
        yield stack


class Caller:
    """One client: it asks the first replica, and when that is gone goes on at the second."""

    def __init__(self, client: aiohttp.ClientSession, stack: Stack, model: str) -> None:
        self.frames: list[tuple[str, bytes]] = []  # id and data
        self.spoken_to = asyncio.Event()
        self.session = ""
        self._client = client
        self._stack = stack
        self._body = {"model": model, "stream": True, "messages": [user("Hello")]}

    async def call(self) -> None:
        """Ask, and hear until the replica dies."""
        try:
            async with self._client.post(self._stack.url + PATH, json=self._body) as response:
                assert response.status == 200
                self.session = response.headers["X-Session-ID"]
                self.path = f"/v1/sessions/{self.session}/turns/{response.headers['X-Turn-ID']}"
                await self._read(response)
        except aiohttp.ClientError:
            pass

    async def go_on(self) -> None:
        """Hear the rest at the other replica."""
        headers = {"Accept": "text/event-stream", "Last-Event-ID": self.frames[-1][0]}
        url = str(self._stack.clients[1].base_url).rstrip("/") + self.path
        async with self._client.get(url, headers=headers) as response:
            assert response.status == 200, await response.text()
            await self._read(response)

    async def _read(self, response: aiohttp.ClientResponse) -> None:
        rest = b""
        async for piece in response.content.iter_any():
            *frames, rest = (rest + piece).split(b"\n\n")
            for frame in frames:
                place, data = frame.removeprefix(b"retry: 500\n").split(b"\n")
                self.frames.append((place.removeprefix(b"id: ").decode(), data.removeprefix(b"data: ")))
            if len(self.frames) > 3:
                self.spoken_to.set()

    def assert_whole(self) -> None:
        """Each text once, one ending, each place once."""
        *chunks, done = [data for _, data in self.frames]
        assert done == b"[DONE]" and b"[DONE]" not in chunks
        choices: list[Any] = [orjson.loads(data)["choices"][0] for data in chunks]
        text = "".join(choice["delta"].get("content") or "" for choice in choices)
        assert text == f"{BRIDGE} {ENGLISH.full}"
        assert [choice["finish_reason"] for choice in choices if choice["finish_reason"]] == ["stop"]
        assert [choice["delta"].get("role") for choice in choices].count("assistant") == 1
        assert len({place for place, _ in self.frames}) == len(self.frames)


def test_a_killed_replicas_turns_are_all_whole_at_the_other(pair: Stack) -> None:
    pair.simulator.draft(text=BRIDGE)
    model = pair.simulator.full(ttft_ms=4_000, tpot_ms=40)

    async def run() -> list[Caller]:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as client:
            callers = [Caller(client, pair, model) for _ in range(TURNS)]
            calls = [asyncio.create_task(caller.call()) for caller in callers]
            async with asyncio.timeout(30):
                for caller in callers:
                    await caller.spoken_to.wait()
            pair.api.kill()
            await asyncio.gather(*calls)
            cut = sum(data != b"[DONE]" for _, data in (caller.frames[-1] for caller in callers))
            await asyncio.gather(*(caller.go_on() for caller in callers))
        assert cut == TURNS, f"{TURNS - cut} turns were over before the replica was killed"
        return callers

    for caller in asyncio.run(run()):
        caller.assert_whole()
        until(lambda caller=caller: pair.ended(caller.session), what="the ending of a turn in the log")
        assert [ended.reason for ended in pair.ended(caller.session)][:1] == ["stop"]
