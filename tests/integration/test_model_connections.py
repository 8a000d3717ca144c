"""What models' servers do with HTTP: compressed, wide, broken and closed under the request."""

import gzip
import zlib
from typing import Any

import orjson
import pytest

from tests.support.raw_server import YES, Asked, answering, chunk, events, whole
from tests.support.waiting import in_loop
from workers.providers.base import Finish, UpstreamError

SAID = ["Yes.", Finish("stop")]


def raw_deflate(clear: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(clear) + packer.flush()


def two_members(clear: bytes) -> bytes:
    return gzip.compress(clear[:20]) + gzip.compress(clear[20:])


PACKED: list[tuple[bytes, Any]] = [
    (b"gzip", gzip.compress),
    (b"x-gzip", gzip.compress),
    (b"GZIP", two_members),
    (b"deflate", zlib.compress),
    (b"deflate", raw_deflate),
    (b"identity", gzip.compress),  # it doesn't say so
]


@pytest.mark.parametrize(("coding", "pack"), PACKED)
@in_loop
async def test_nothing_packed_is_asked_for_and_it_is_read_all_the_same(coding: bytes, pack: Any) -> None:
    async with answering([whole(pack(YES), b"Content-Encoding: " + coding)]) as line:
        assert await line.ask() == SAID
        assert line.server.asked[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        (b"br", b"\x8b\x00\x80"),
        (b"zstd", YES),
        (b"gzip", YES),
        (b"gzip", gzip.compress(YES)[:20] + b"?" * 99),
    ],
)
@in_loop
async def test_what_cant_be_unpacked_is_no_answer(coding: bytes, body: bytes) -> None:
    async with answering([whole(body, b"Content-Encoding: " + coding)]) as line:
        assert await code(line) in ("upstream_garbled", "upstream_cut")


@in_loop
async def test_a_packed_flood_is_cut_off_early() -> None:
    """A thousandth of it is sent, and all of it would have to be read."""
    bomb = gzip.compress(b": \n" * 20_000_000, 6)
    async with answering([whole(bomb, b"Content-Encoding: gzip")]) as line:
        assert await code(line) == "upstream_garbled"


async def code(line: Any, **place: Any) -> str:
    with pytest.raises(UpstreamError) as caught:
        await line.ask(**place)
    return caught.value.code


@pytest.mark.parametrize(
    "headers",
    [
        [b"X-Long: " + b"x" * 9_000],
        [b"X-Long: " + b"x" * 60_000],
        [b"X-%d: x" % number for number in range(200)],
        [b"Set-Cookie: a=%d" % number for number in range(900)],
    ],
)
@in_loop
async def test_wide_headers_are_read(headers: list[bytes]) -> None:
    async with answering([whole(YES, *headers)]) as line:
        assert await line.ask() == SAID


BROKEN = {
    "a header without end": whole(YES, b"X-Long: " + b"x" * 200_000),
    "too many headers": whole(YES, *(b"X-%d: x" % number for number in range(3_000))),
    "a bad header": whole(YES, b"no colon", b": no name"),
    "no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "no status": b"HTTP/1.1 yes\r\n\r\n",
    "a bad length": b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n" + YES,
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\n" + YES,
    "a bad chunk size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + YES,
    "a chunk size below": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n: hi\n\r\n-1\r\n\r\n",
    "a body cut short": whole(YES[:-40]).replace(b"Content-Length: ", b"Content-Length: 9"),
    "closed at once": None,
    "switching": b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
}


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
@in_loop
async def test_what_breaks_the_http_client_is_the_servers_error(answer: bytes | None) -> None:
    closing = None if answer is None else answer + b"Connection: close"  # then it hangs up
    async with answering([closing]) as line:
        with pytest.raises(UpstreamError) as caught:
            await line.ask()
        assert caught.value.code in ("upstream_garbled", "upstream_cut", "upstream_refused")
        assert caught.value.faulty


@pytest.mark.parametrize(
    "host",
    ["xn--a", "a" * 64, "a..b", "a" * 300, "пример" * 20, "[::1", "127.0.0.1:99999", "\u2488com"],
)
@in_loop
async def test_a_host_that_is_none_is_the_upstreams_error(host: str) -> None:
    async with answering([whole(YES)]) as line:
        assert await code(line, host=host) in ("upstream_unreachable", "upstream_refused")


# Connections that are kept.


@in_loop
async def test_a_kept_connection_that_was_closed_is_asked_over_anew() -> None:
    """Once more, over a fresh connection; of a fresh one that is closed it is the server's error."""

    def answer(asked: Asked) -> bytes | None:
        fresh = line.server.asked.count(asked) and asked.connection != 1
        return whole(YES) if fresh or len(line.server.asked) == 1 else None

    async with answering(answer) as line:
        assert await line.ask() == SAID
        assert await line.ask() == SAID
        assert [asked.connection for asked in line.server.asked] == [1, 1, 2]
        line.server.answers = [None]
        assert await code(line) == "upstream_cut"
        assert len(line.server.asked) == 4  # one that was new is not asked twice


@in_loop
async def test_a_server_that_tires_of_a_kept_connection_is_asked_over_anew() -> None:
    late = whole(b"", status=b"408 Request Timeout")
    async with answering([whole(YES), late, whole(YES)]) as line:
        assert await line.ask() == SAID
        assert await line.ask() == SAID
        assert [asked.connection for asked in line.server.asked] == [1, 1, 2]


@in_loop
async def test_an_answer_that_has_begun_is_not_asked_for_again() -> None:
    cut = whole(YES)[:-20]
    async with answering([whole(YES), cut + b"\n: Connection: close"]) as line:
        assert await line.ask() == SAID
        with pytest.raises(UpstreamError):
            await line.ask()
        assert len(line.server.asked) == 2


@in_loop
async def test_connections_are_kept_for_the_time_that_is_set() -> None:
    async with answering([whole(YES)], keep_alive_s=60.0) as line:
        assert await line.ask() == await line.ask() == SAID
        assert line.server.connections == 1


@in_loop
async def test_one_callers_cookies_dont_go_with_anothers_request() -> None:
    cookie = whole(YES, b"Set-Cookie: session=of-one; Path=/", b"Set-Cookie: b=c; Domain=127.0.0.1")
    async with answering([cookie, None, cookie]) as line:
        await line.ask(key="one")
        await line.ask(key="two")  # the second request over a fresh connection too
        assert [asked.headers.get("cookie") for asked in line.server.asked] == [None] * 3


# What is asked.


def refuses_options(asked: Asked) -> bytes:
    told = {"error": {"message": "Unrecognized request argument supplied: stream_options", "type": "invalid"}}
    if "stream_options" in asked.body:
        return whole(orjson.dumps(told), status=b"400 Bad Request", kind=b"application/json")
    return whole(YES)


def refuses_unknown(asked: Asked) -> bytes:
    known = asked.body.keys() <= {"model", "messages", "stream"}
    return whole(YES) if known else whole(b"{}", status=b"422 Unprocessable Entity")


@pytest.mark.parametrize("server", [refuses_options, refuses_unknown])
@in_loop
async def test_a_server_without_stream_options_is_asked_without_them(server: Any) -> None:
    async with answering(server) as line:
        assert await line.ask() == await line.ask() == SAID
        options = ["stream_options" in asked.body for asked in line.server.asked]
        assert options == [True, False, False]  # it is remembered


@in_loop
async def test_a_request_that_is_wrong_is_refused_as_it_is() -> None:
    """It is tried once more where the server may not know the options; where it does, never."""
    bad = whole(b'{"error": "bad"}', status=b"400 Bad Request")
    async with answering([bad, bad, whole(YES), bad]) as line:
        assert await code(line) == "upstream_refused"
        assert ["stream_options" in asked.body for asked in line.server.asked] == [True, False]
        assert await line.ask() == SAID
        assert await code(line) == "upstream_refused"
        assert ["stream_options" in asked.body for asked in line.server.asked][2:] == [True, True]


@pytest.mark.parametrize(("key", "header"), [("k", "api-key"), ("Bearer token", "authorization")])
@in_loop
async def test_a_versioned_address_keeps_its_query_behind_the_path(key: str, header: str) -> None:
    async with answering([whole(YES)]) as line:
        place = "/openai/deployments/d"
        assert await line.ask(f"{place}?api-version=2024-10-21", key=key) == SAID
        (asked,) = line.server.asked
        assert asked.path == f"{place}/chat/completions?api-version=2024-10-21"
        assert asked.headers[header] == key
        assert len({"api-key", "authorization"} & asked.headers.keys()) == 1


# How it is framed.

WHOLE = {
    "object": "chat.completion",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Yes."}, "finish_reason": "stop"}],
}
FRAMES = {
    "a byte order mark": (b"\xef\xbb\xbf" + YES, b"text/event-stream"),
    "empty events": (
        b"data:\n\ndata: \n\n" + YES.replace(b"\n\n", b"\n\ndata:\n\n: hi\n\n"),
        b"text/event-stream",
    ),
    "CR alone": (YES.replace(b"\n", b"\r"), b"text/event-stream"),
    "CR LF": (YES.replace(b"\n", b"\r\n"), b"text/event-stream"),
    "no blank": (YES.replace(b"data: ", b"data:"), b"text/event-stream"),
    "no last line end": (YES.rstrip(), b"text/event-stream"),
    "no word for the end": (events(chunk("Yes."), chunk(reason="stop"), end=b""), b"text/event-stream"),
    "no content type": (YES, b""),
    "JSON": (orjson.dumps(WHOLE), b"application/json"),
    "JSON of another name": (b"\n \xef\xbb\xbf"[:2] + orjson.dumps(WHOLE), b"text/event-stream"),
    "JSON behind a mark": (b"\xef\xbb\xbf" + orjson.dumps(WHOLE), b"application/json"),
    "a list": (orjson.dumps([chunk("Yes."), chunk(reason="stop")]), b"application/json"),
    "lines": (
        orjson.dumps(chunk("Yes.")) + b"\n" + orjson.dumps(chunk(reason="stop")) + b"\n",
        b"application/x-ndjson",
    ),
}


@pytest.mark.parametrize(("body", "kind"), FRAMES.values(), ids=FRAMES)
@in_loop
async def test_an_answer_is_read_however_it_is_framed(body: bytes, kind: bytes) -> None:
    async with answering([whole(body, kind=kind)]) as line:
        assert await line.ask() == SAID


@pytest.mark.parametrize(
    "body", [b"", b"<html>Sign in</html>", b"data: [DONE]\n\n", b": hi\n\n", b"{}", b"null", b"\n"]
)
@in_loop
async def test_an_answer_of_nothing_is_an_error(body: bytes) -> None:
    async with answering([whole(body)]) as line:
        assert await code(line) in ("upstream_cut", "upstream_garbled")
