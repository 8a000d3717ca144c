"""The hostile tenant of `bench.hostile`, as a process of its own: each kind at a bounded rate.

It reads a line of JSON for each order, `{"kind": …}` or `{}` to stop, and answers with a line of what it has
done since the last one. The bench starts it; it makes itself nice.
"""

import asyncio
import os
import random
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import orjson
import uvloop

from api.requests.measure import MOST_VALUES
from bench import hostile_models

SESSION = "huge"
COLLECTION = "worst"
_ADDRESS = "127.0.0.2"  # its own: bounds by address are not the quiet one's
_CUT_S = 8.0  # an answer is read for so long
_NICE = 19


class HostileTenant:
    """Asks one gateway in one tenant's name. A method for each kind; `done` counts what came of it."""

    def __init__(self, port: int, key: str) -> None:
        self._port = port
        self._key = key
        self._number = 0
        self.done: Counter[str] = Counter()
        self._bodies = _bodies()
        self._documents = _documents()

    @property
    def kinds(self) -> dict[str, list[Callable[[], Awaitable[None]]]]:
        """The loops of each kind."""
        return {
            "rules": [self._every(0.5, self._ruled)] * 4,
            "documents": [self._every(0.5, self._put), self._every(0.25, self._look_up)],
            "floods": [self._every(0.3, self._flooded)] * 5,
            "bodies": [self._every(0.2, self._send_body)],
            "headers": [
                self._every(0.02, self._half_open),
                self._every(0.05, self._big_head),
                self._every(0.02, self._connect),
            ],
            "readers": [self._every(0.05, self._read)] * 6,
        }

    def _every(self, pause_s: float, act: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        """Do this again and again with pauses."""

        async def loop() -> None:
            await asyncio.sleep(pause_s * random.random())
            while True:
                try:
                    await act()
                except (OSError, EOFError, TimeoutError):
                    self.done["broken off"] += 1
                await asyncio.sleep(pause_s)

        return loop

    async def _ruled(self) -> None:
        await self._turn({"model": "rules"})

    async def _look_up(self) -> None:
        await self._turn({"model": "brief", "fast_reply": {"knowledge": {"collection": COLLECTION}}})

    async def _flooded(self) -> None:
        self._number += 1
        await self._turn({"model": list(hostile_models.FLOODS)[self._number % len(hostile_models.FLOODS)]})

    async def _turn(self, fields: dict[str, object]) -> None:
        body = {"stream": True, "messages": [{"role": "user", "content": "When is it open?"}], **fields}
        await self._ask("POST", "/v1/chat/completions", orjson.dumps(body))

    async def _put(self) -> None:
        self._number += 1
        text = self._documents[self._number % len(self._documents)]
        body = orjson.dumps({"text": f"{text} {self._number}"})  # never the same: it is read anew
        await self._ask("PUT", f"/v1/knowledge/{COLLECTION}/documents/d{self._number % 20}", body)

    async def _send_body(self) -> None:
        self._number += 1
        await self._ask("POST", "/v1/chat/completions", self._bodies[self._number % len(self._bodies)])

    async def _half_open(self) -> None:
        """Begin a request and leave it there until the gateway ends it."""
        _, writer = await self._open()
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Begun: ")
        self.done["half-open"] += 1
        asyncio.get_running_loop().call_later(_CUT_S, writer.close)

    async def _big_head(self) -> None:
        lines = "".join(f"X-{number}: {'x' * 500}\r\n" for number in range(90))
        await self._ask("GET", "/v1/models", b"", lines)

    async def _connect(self) -> None:
        _, writer = await self._open()
        writer.close()
        self.done["connected"] += 1

    async def _read(self) -> None:
        self._number += 1
        path = f"/v1/sessions/{SESSION}"
        paths = (f"{path}/replay?speed=max", f"{path}/events", f"{path}/export", path)
        await self._ask("GET", paths[self._number % len(paths)], b"")

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self._port, local_addr=(_ADDRESS, 0))

    async def _ask(self, method: str, path: str, body: bytes, lines: str = "") -> None:
        """Ask, read and forget what comes, for a while at most."""
        reader, writer = await self._open()
        try:
            writer.write(
                f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n{self._key}{lines}"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
                + body
            )
            with suppress(TimeoutError):
                async with asyncio.timeout(_CUT_S):
                    first = await reader.readline()
                    self.done[first.split(b" ")[1].decode() if first else "closed"] += 1
                    while await reader.read(262_144):
                        pass
        finally:
            writer.close()


def _bodies() -> list[bytes]:
    """Bodies at their worst: refused, broken at the end, asked (many messages, many parts), too deep."""
    wrong = orjson.dumps({"messages": [{"role": "nobody", "content": [{"type": "text"}]}] * 15_000})
    words = {"model": "brief", "messages": [{"role": "user", "content": "words " * 37}] * 4_000}
    part = {"type": "text", "text": "a" * 40}
    parts = {"model": "brief", "messages": [{"role": "user", "content": [part] * (MOST_VALUES // 3 - 10)}]}
    deep = b'{"messages": ' + b"[" * 900_000
    nested = b'{"messages": [], "metadata": ' + b'{"a":' * 150_000 + b"1" + b"}" * 150_000 + b"}"
    return [wrong, wrong[:-1], orjson.dumps(words), orjson.dumps(parts), deep, nested]


def _documents() -> list[str]:
    """Documents at their worst: blanks in headings, one line without an end, tables, headings alone."""
    return [
        "\n".join("# a" + " " * 1_900 + "b" for _ in range(100)),
        "word " * 39_000,
        "a" * 195_000,
        "\n".join("|" + " a |" * 400 for _ in range(120)),
        "# a\n" * 48_000,
        "资料" * 97_000,
    ]


def _be_nice() -> None:
    """Give way to all others, also where Linux shares a processor by sessions first."""
    os.setpriority(os.PRIO_PROCESS, 0, _NICE)
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(_NICE))


async def main(port: int, key: str, models_port: int) -> None:
    """Carry out orders until there are no more."""
    _be_nice()
    loop, orders = asyncio.get_running_loop(), asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    tenant = HostileTenant(port, key)
    tasks: list[asyncio.Future[None]] = []
    async with await hostile_models.serve(models_port):
        print("ready", flush=True)
        while line := await orders.readline():
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            print(orjson.dumps(tenant.done).decode(), flush=True)
            tenant.done.clear()
            tasks = [
                asyncio.ensure_future(act()) for act in tenant.kinds.get(orjson.loads(line).get("kind"), [])
            ]


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), f"Authorization: Bearer {sys.argv[2]}\r\n", int(sys.argv[3])))
