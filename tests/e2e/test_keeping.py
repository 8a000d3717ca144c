"""A gateway with an archive and a webhook: sessions move, and are told of, as if nothing had happened."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest

from simulator.texts import ENGLISH
from tests.support.gateway_stack import Simulator, Stack, user
from tests.support.processes import until


@dataclass
class Receiver:
    """Takes what the webhook is told."""

    url: str = ""
    told: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.headers["webhook-signature"].startswith("v1,")
            receiver.told.append({"id": self.headers["webhook-id"], **orjson.loads(body)})
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def keeping(simulator: Simulator, tmp_path: Path, receiver: Receiver) -> Iterator[Stack]:
    settings = {
        "FAST_REPLY_ARCHIVE_URL": str(tmp_path / "calls"),
        "FAST_REPLY_ARCHIVE_AFTER_S": "0",
        "FAST_REPLY_KEEP_S": "0.1",
        "FAST_REPLY_WEBHOOK_URL": receiver.url,
        "FAST_REPLY_WEBHOOK_SECRET": "whsec_c2VjcmV0",
        "FAST_REPLY_ALLOWED_HOSTS": '["127.0.0.1"]',
    }
    with Stack(simulator, tmp_path, settings).running() as stack:
        yield stack
        assert stack.bugs() == []


def test_an_ended_turn_is_told_of_and_its_session_archived_and_found(
    keeping: Stack, receiver: Receiver, tmp_path: Path
) -> None:
    model = keeping.simulator.full(text=ENGLISH.full)
    session = "call 7"
    for count in (1, 2):
        answer = keeping.ask(model, session_id=session, messages=[user("When do you open?")])
        text = answer.json()["choices"][0]["message"]["content"]
        until(lambda count=count: len(receiver.told) == count, what="the webhook's message")
        told = receiver.told[-1]
        assert told["type"] == "turn.ended" and told["id"] == told["data"]["id"]
        assert (told["data"]["session"], told["data"]["text"]) == (session, text)
        until(lambda: not keeping.log(session), what="the move to the archive")
        found = keeping.client.get("/v1/sessions/call%207").json()
        assert len(found["turns"]) == count and found["turns"][-1]["text"] == text
    assert len(list((tmp_path / "calls").rglob("*.jsonl.gz"))) == 1
    keeping.client.delete("/v1/sessions/call%207").raise_for_status()
    assert not list((tmp_path / "calls").rglob("*.jsonl.gz"))
