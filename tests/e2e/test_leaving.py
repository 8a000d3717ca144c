"""A client that closes its stream to cut in: both models are stopped at once, settings being as they are."""

import contextlib
import json
import socket

import pytest

from tests.support.gateway_stack import Stack, user
from tests.support.processes import until

SOON_S = 4.0  # less than the grace of those who come back


@pytest.mark.parametrize("when", ["while the draft speaks", "while nobody speaks", "while the full speaks"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/chat/completions"])
def test_a_client_that_leaves_stops_both_models_at_once(stack: Stack, when: str, path: str) -> None:
    stack.simulator.draft(text="Let me look. " * 200, tpot_ms=20, ttft_ms=0 if "draft" in when else 60_000)
    model = stack.simulator.full(ttft_ms=0 if "full" in when else 60_000, tpot_ms=20, text="We open. " * 200)
    with stack.stream(model, path=path) as heard:
        if "nobody" not in when:
            heard.read_until_said("draft" if "draft" in when else "full")
        until(lambda: stack.simulator.stats(model)["live"] == 1)
    until(lambda: stack.simulator.all_quiet(), SOON_S, "the models' silence")
    assert stack.simulator.stats(model)["cut_by_client"] == 1
    until(lambda: [each.reason for each in stack.ended(heard.session)] == ["interrupted"])


def test_a_client_that_waits_for_the_whole_and_leaves_stops_it_at_once(stack: Stack) -> None:
    model = stack.simulator.full(ttft_ms=60_000)
    body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
    with pytest.raises(Exception, match="timed out"):
        stack.client.post("/v1/chat/completions", json=body, timeout=1)
    until(lambda: stack.simulator.all_quiet(), SOON_S, "the models' silence")
    assert stack.simulator.stats(model)["cut_by_client"] == 1


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_has_ended_its_side_gets_all_of_its_answer(stack: Stack, stream: bool) -> None:
    model = stack.simulator.full(ttft_ms=500, text="We open at nine.")
    body = json.dumps({"model": model, "stream": stream, "messages": [user("Hello")]}).encode()
    with bare(stack) as peer:
        peer.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
            + body
        )
        peer.shutdown(socket.SHUT_WR)
        told = b"".join(iter(lambda: peer.recv(65_536), b""))
    assert b" 200 OK" in told and b"nine." in told
    assert (b"[DONE]" in told) == stream
    assert stack.simulator.stats(model)["finished"] == 1


def test_headers_without_end_are_refused_and_hold_up_nobody(stack: Stack) -> None:
    with bare(stack) as peer:
        peer.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ")
        with contextlib.suppress(OSError):
            for _ in range(100):
                peer.sendall(b"a" * 50_000)
        assert peer.recv(100).startswith(b"HTTP/1.1 431 ")
    assert stack.client.get("/healthz").status_code == 200


def bare(stack: Stack) -> socket.socket:
    url = stack.client.base_url
    return socket.create_connection((url.host, url.port or 80), timeout=20)
