"""Faults, as a client sees them, and clients which leave."""

import socket
from collections.abc import Callable
from typing import Any

import httpx
import orjson
import pytest

PATH = "/v1/chat/completions"
TEXT = {"text": "one two three four"}
Ask = Callable[..., dict[str, Any]]
Events = Callable[[httpx.Client, dict[str, Any]], list[str]]
Connect = Callable[[dict[str, Any]], socket.socket]
Until = Callable[[Callable[[], bool]], None]


def _counts(client: httpx.Client) -> dict[str, int]:
    counts: dict[str, int] = client.get("/simulator/stats").json()["models"]["full"]
    return counts


def _read_until(bare: socket.socket, end: bytes) -> bytes:
    received = b""
    while end not in received:
        part = bare.recv(65536)
        assert part, "the server closed the connection"
        received += part
    return received


def _is_silent(bare: socket.socket) -> bool:
    bare.setblocking(False)
    try:
        return bare.recv(1) is None
    except BlockingIOError:
        return True


def test_an_http_error_has_the_shape_of_openai(client: httpx.Client, ask: Ask) -> None:
    refused = client.post(PATH, json=ask(stream=True, simulate={"status": 429, "retry_after_s": 1.5}))
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1.5")
    assert refused.json()["error"]["code"] == "rate_limit_exceeded"
    broken = client.post(PATH, json=ask(simulate={"status": 503}))
    assert (broken.status_code, broken.json()["error"]["type"]) == (503, "server_error")
    assert _counts(client)["faulted"] == 2


def test_a_stall_before_the_headers_ends_when_the_client_leaves(
    client: httpx.Client, ask: Ask, connect: Connect, until: Until
) -> None:
    bare = connect(ask(stream=True, simulate={"stall_headers": True}))
    until(lambda: _counts(client)["live"] == 1)
    assert _is_silent(bare)
    bare.close()
    until(lambda: _counts(client)["live"] == 0)
    assert _counts(client)["cut_by_client"] == 1


@pytest.mark.parametrize(("tokens", "end"), [(0, b"\r\n\r\n"), (2, b'" two"')])
def test_a_stall_keeps_the_connection_open(
    client: httpx.Client, ask: Ask, connect: Connect, until: Until, tokens: int, end: bytes
) -> None:
    bare = connect(ask(stream=True, simulate={**TEXT, "stall_after": tokens}))
    received = _read_until(bare, end)
    assert received.startswith(b"HTTP/1.1 200")
    assert received.count(b'"content":"') == (tokens + 1 if tokens else 0)
    bare.close()
    until(lambda: _counts(client)["cut_by_client"] == 1)


@pytest.mark.parametrize("tokens", [0, 2, 4])
def test_a_cut_leaves_the_answer_incomplete(client: httpx.Client, ask: Ask, tokens: int) -> None:
    received = b""
    with (
        pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"),
        client.stream(
            "POST", PATH, json=ask(stream=True, simulate={**TEXT, "cut_after": tokens})
        ) as response,
    ):
        for part in response.iter_bytes():
            received += part
    assert received.count(b'"finish_reason":null') == (tokens + 1 if tokens else 0)
    assert b"DONE" not in received
    assert _counts(client)["faulted"] == 1


def test_a_whole_answer_can_be_cut_too(client: httpx.Client, ask: Ask) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        client.post(PATH, json=ask(simulate={**TEXT, "cut_after": 2}))


def test_a_stream_may_end_without_saying_so(client: httpx.Client, ask: Ask, events: Events) -> None:
    said = [orjson.loads(event) for event in events(client, ask(simulate={**TEXT, "no_done": True}))]
    assert "".join(chunk["choices"][0]["delta"]["content"] for chunk in said) == TEXT["text"]
    assert all(chunk["choices"][0]["finish_reason"] is None for chunk in said)
    assert _counts(client)["faulted"] == 1


def test_an_error_may_come_in_the_middle(client: httpx.Client, ask: Ask, events: Events) -> None:
    *said, error = events(client, ask(simulate={**TEXT, "error_after": 2}))
    assert len(said) == 3
    assert orjson.loads(error)["error"]["type"] == "server_error"
    assert client.post(PATH, json=ask(simulate={**TEXT, "error_after": 2})).status_code == 500
    assert _counts(client)["faulted"] == 2


def test_a_garbled_line_is_not_json_and_the_rest_follows(
    client: httpx.Client, ask: Ask, events: Events
) -> None:
    said = events(client, ask(simulate={**TEXT, "garble_after": 2}))
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(said[3])
    assert [orjson.loads(event)["choices"][0]["delta"]["content"] for event in said[4:6]] == [
        " three",
        " four",
    ]
    assert said[-1] == "[DONE]"
    whole = client.post(PATH, json=ask(simulate={**TEXT, "garble_after": 2}))
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(whole.content)
    assert _counts(client)["faulted"] == 2


def test_a_dribble_comes_byte_by_byte(
    client: httpx.Client, ask: Ask, connect: Connect, events: Events
) -> None:
    simulate = {"text": "好的 да", "dribble": True}
    bare = connect(ask(stream=True, simulate=simulate))
    received = _read_until(bare, b"\r\n0\r\n\r\n")
    chunks = received.partition(b"\r\n\r\n")[2].removesuffix(b"0\r\n\r\n")
    assert chunks[::6] == b"1" * (len(chunks) // 6)  # 1 CR LF byte CR LF
    assert "好的" in chunks[3::6].decode()
    assert events(client, ask(simulate=simulate))[-1] == "[DONE]"


def test_a_client_which_leaves_stops_its_stream(
    client: httpx.Client, ask: Ask, connect: Connect, until: Until
) -> None:
    slow = {**TEXT, "tpot_ms": 3_600_000}
    stays, leaves = (connect(ask(stream=True, simulate=slow)) for _ in range(2))
    for bare in (stays, leaves):
        _read_until(bare, b'"one"')
    assert (_counts(client)["live"], _counts(client)["most_live"]) == (2, 2)
    leaves.close()
    until(lambda: _counts(client)["cut_by_client"] == 1)
    assert _counts(client)["live"] == 1
    outcomes = {stream["outcome"]: stream for stream in client.get("/simulator/streams").json()["streams"]}
    assert set(outcomes) == {"live", "cut"}
    assert len(outcomes["cut"]["token_s"]) == 1
    assert outcomes["cut"]["ended_s"] > outcomes["cut"]["token_s"][0]
    assert outcomes["live"]["ended_s"] is None
    stays.close()
    until(lambda: _counts(client)["cut_by_client"] == 2)


def test_a_client_which_leaves_a_whole_answer_is_counted(
    client: httpx.Client, ask: Ask, connect: Connect, until: Until
) -> None:
    bare = connect(ask(simulate={"ttft_ms": 3_600_000}))
    until(lambda: _counts(client)["live"] == 1)
    bare.close()
    until(lambda: _counts(client)["cut_by_client"] == 1)


def test_a_reset_forgets_streams_which_are_under_way(
    client: httpx.Client, ask: Ask, connect: Connect, until: Until
) -> None:
    bare = connect(ask(stream=True, simulate={**TEXT, "stall_after": 1}))
    _read_until(bare, b'"one"')
    client.post("/simulator/reset")
    bare.close()
    client.post(PATH, json=ask())
    until(lambda: _counts(client)["finished"] == 1)
    assert _counts(client) == {
        "started": 1, "finished": 1, "cut_by_client": 0, "faulted": 0, "live": 0, "most_live": 1,
    }  # fmt: skip
