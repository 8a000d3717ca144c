"""A real simulator on a free port, in a thread of the test process."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import orjson
import pytest

from simulator.behaviour import Behaviour
from simulator.server import SimulatorConfig, build_server

INSTANT = SimulatorConfig(draft=Behaviour(), full=Behaviour())
PATH = "/v1/chat/completions"


def _until(check: Callable[[], bool], within_s: float = 10.0) -> None:
    deadline_s = time.monotonic() + within_s
    while not check():
        assert time.monotonic() < deadline_s, "the condition did not come true"
        time.sleep(0.005)


@contextmanager
def _serving(config: SimulatorConfig) -> Iterator[httpx.Client]:
    server = build_server("127.0.0.1", 0, config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        port = listener.getsockname()[1]
        try:
            _until(lambda: server.started)
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10, trust_env=False) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join(timeout=10)


@pytest.fixture(scope="session")
def instant_server() -> Iterator[httpx.Client]:
    with _serving(INSTANT) as client:
        yield client


@pytest.fixture
def client(instant_server: httpx.Client) -> httpx.Client:
    """A client of a simulator without delays, whose counts are zero."""
    instant_server.post("/simulator/reset").raise_for_status()
    return instant_server


@pytest.fixture
def serve() -> Iterator[Callable[[SimulatorConfig], httpx.Client]]:
    """Starts a simulator of its own for the test."""
    with ExitStack() as stack:
        yield lambda config: stack.enter_context(_serving(config))


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], None]:
    return _until


@pytest.fixture
def ask() -> Callable[..., dict[str, Any]]:
    """Makes a request body: a prompt or messages, fields of the body, and fields of the behaviour."""

    def make(
        said: str | list[dict[str, Any]] = "Hello", simulate: dict[str, Any] | None = None, **fields: Any
    ) -> dict[str, Any]:
        messages = [{"role": "user", "content": said}] if isinstance(said, str) else said
        body = {"model": "full", "messages": messages, **fields}
        return body if simulate is None else {**body, "simulate": simulate}

    return make


@pytest.fixture
def events() -> Callable[[httpx.Client, dict[str, Any]], list[str]]:
    """Streams an answer to its end and returns the data of its SSE events."""

    def collect(client: httpx.Client, body: dict[str, Any]) -> list[str]:
        response = client.post(PATH, json={**body, "stream": True})
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        whole = response.content.decode()
        assert whole == "" or whole.endswith("\n\n")
        lines = whole.split("\n\n")[:-1]
        assert all(line.startswith("data: ") for line in lines)
        return [line.removeprefix("data: ") for line in lines]

    return collect


@pytest.fixture
def chunks(
    events: Callable[[httpx.Client, dict[str, Any]], list[str]],
) -> Callable[[httpx.Client, dict[str, Any]], list[dict[str, Any]]]:
    """The chunks of a streamed answer which ends well."""

    def collect(client: httpx.Client, body: dict[str, Any]) -> list[dict[str, Any]]:
        *chunks, done = events(client, body)
        assert done == "[DONE]"
        return [orjson.loads(chunk) for chunk in chunks]

    return collect


@pytest.fixture
def connect(client: httpx.Client) -> Iterator[Callable[[dict[str, Any]], socket.socket]]:
    """Sends a request over a bare socket, to see and to break the connection itself."""
    with ExitStack() as stack:

        def send(body: dict[str, Any]) -> socket.socket:
            host, port = client.base_url.host, client.base_url.port
            bare = stack.enter_context(socket.create_connection((host, port or 80), timeout=10))
            content = orjson.dumps(body)
            head = f"POST {PATH} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {len(content)}\r\n\r\n"
            bare.sendall(head.encode() + content)
            return bare

        yield send
