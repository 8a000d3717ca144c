"""`fast-reply chat` against a server that plays back what it is given."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from threading import Thread
from typing import Any

import pytest

from cli.chat import chat


def chunk(lane: str, text: str, ms: int) -> bytes:
    value = {"choices": [{"delta": {"content": text}}], "fast_reply": {"lane": lane, "ms": ms}}
    return b"id: 1\ndata: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


ANSWER = [
    b": heartbeat\n\n",
    chunk("draft", "One\u2028moment.", 200),
    chunk("full", " Here it is.", 900),
    b'data: {"choices": [], "usage": {"total_tokens": 9}, "fast_reply": {"lane": "full", "ms": 950}}\n\n',
    b"data: [DONE]\n\n",
]


class Gateway(ThreadingHTTPServer):
    """Answers every turn with the same pieces, each written on its own, and keeps the requests."""

    daemon_threads = True

    def __init__(self, pieces: list[bytes], status: int) -> None:
        super().__init__(("127.0.0.1", 0), Door)
        self.pieces, self.status = pieces, status
        self.requests: list[tuple[dict[str, str], Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Door(BaseHTTPRequestHandler):
    server: Gateway

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.append((headers, json.loads(body)))
        self.send_response(self.server.status)
        self.send_header("X-Session-ID", "call-1")
        self.end_headers()
        for piece in self.server.pieces:
            self.wfile.write(piece)
            self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def gateway(pieces: list[bytes], status: int = 200) -> Iterator[Gateway]:
    with Gateway(pieces, status) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def talk(url: str, message: str | None = "Hello", **options: str) -> int:
    return chat(url, **{"model": "fast-reply", "session": "", "key": "", **options}, message=message)


def test_one_message_is_one_turn_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    with gateway(ANSWER) as server:
        assert talk(f"{server.url}/v1/", session="call-ü", key="secret") == 0

    assert capsys.readouterr().out == (
        "draft     200 ms  One\u2028moment.\n"
        "full      900 ms  Here it is.\n"
        "                  first sound 200 ms · hand-over 900 ms · end 950 ms\n"
    )
    headers, body = server.requests[0]
    assert headers["authorization"] == "Bearer secret" and headers["x-fast-reply-lanes"] == "1"
    assert headers["x-session-id"].encode("latin-1").decode() == "call-ü"
    assert body == {"model": "fast-reply", "stream": True, "messages": [{"role": "user", "content": "Hello"}]}


def test_a_pipe_is_a_conversation_that_remembers(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", StringIO("Hello\n\nAnd then?\n"))
    with gateway(ANSWER) as server:
        assert talk(server.url, None) == 0

    assert capsys.readouterr().out.count("you    ") == 2
    (first, _), (second, body) = server.requests
    assert "x-session-id" not in first and second["x-session-id"] == "call-1"
    said = [(message["role"], message["content"]) for message in body["messages"]]
    assert said == [
        ("user", "Hello"),
        ("assistant", "One\u2028moment. Here it is."),
        ("user", "And then?"),
    ]


def test_another_server_has_one_lane(capsys: pytest.CaptureFixture[str]) -> None:
    plain = b'data: {"choices": [{"delta": {"content": "Hi."}}]}\n\ndata: [DONE]\n\n'
    with gateway([plain]) as server:
        assert talk(server.url) == 0
    assert capsys.readouterr().out.startswith("full ")


@pytest.mark.parametrize(
    ("pieces", "status", "message"),
    [
        ([b'{"error": {"message": "no such key"}}'], 401, "refused with status 401: no such key"),
        ([b"<html>"], 502, "refused with status 502: no reason given"),
        ([ANSWER[1], b'data: {"error": {"message": "both models failed"}}\n\n'], 200, "both models failed"),
        (ANSWER[:2], 200, "the answer broke off: the stream ended before its end was announced"),
    ],
)
def test_an_error_is_one_clear_line(
    pieces: list[bytes], status: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with gateway(pieces, status) as server:
        assert talk(server.url) == 1
    assert capsys.readouterr().err == f"{message}\n"


def test_what_is_not_the_protocol_is_said_to_be_so(capsys: pytest.CaptureFixture[str]) -> None:
    with gateway([b"data: [1, 2]\n\n"]) as server:
        assert talk(server.url) == 1
    assert capsys.readouterr().err == f"{server.url} does not speak the protocol: an event holds no object\n"


def test_nobody_at_the_address(capsys: pytest.CaptureFixture[str]) -> None:
    with gateway([]) as server:
        url = server.url
    assert talk(url) == 1
    assert capsys.readouterr().err == (
        f"nobody answers at {url}; `fast-reply up` serves there once it is started\n"
    )


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://127.0.0.1", "http://"])
def test_an_address_must_be_one(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert talk(url) == 1
    assert f"{url} is no address" in capsys.readouterr().err
