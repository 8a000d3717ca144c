"""What a connection may hold, and how slowly it may come: refused with a word, before any door is asked."""

import asyncio
import json

import pytest

from tests.support.bare_connections import HOST, Bare, head, posted
from tests.support.scripted_model import Scripted, answer, words
from tests.support.served_api import serving
from tests.support.store_servers import Backend
from tests.support.waiting import in_loop, until
from tests.support.wiring import open_workers

CHUNKED = head("POST /v1/chat/completions", "Transfer-Encoding: chunked")
WHEN = [{"role": "user", "content": "When?"}]
ASKED = {"messages": WHEN, "session_id": "s1", "useProgressiveResponse": False}
OFFER = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")
REFUSED = {
    "a field of 5 MB": (431, head("GET /v1/models", "x: " + "a" * 5_000_000)),
    "many long fields": (431, head("GET /v1/models", *(f"x{n}: {'a' * 900}" for n in range(60)))),
    "a field's long name": (431, head("GET /v1/models", "x" * 40_000 + ": a")),
    "many fields": (431, head("GET /v1/models", *["a: b"] * 100)),
    "many cookies": (431, head("GET /v1/models", *["Cookie: a=b"] * 101)),
    "a field that never ends": (431, head("GET /v1/models")[:-2] + b"x: " + b"a" * 300_000),
    "a long URL": (414, head("GET /" + "a" * 9_000)),
    "a URL that never ends": (414, b"GET /" + b"a" * 300_000),
    "two hosts": (400, head("GET /v1/models", host=HOST + HOST)),
    "two other hosts": (400, head("GET /v1/models", host=HOST + b"host: evil.example\r\n")),
    "no host": (400, head("GET /v1/models", host=b"")),
    "an empty host": (400, head("GET /v1/models", host=b"Host:\r\n")),
    "a host with a blank": (400, head("GET /v1/models", host=b"Host: a b\r\n")),
    "a host with a name": (400, head("GET /v1/models", host=b"Host: me@localhost\r\n")),
    "a host with a path": (400, head("GET /v1/models", host=b"Host: localhost/x\r\n")),
    "a host that is no ASCII": (400, head("GET /v1/models", host="Host: дом\r\n".encode())),
    "two hosts in one": (400, head("GET /v1/models", host=b"Host: localhost, evil.example\r\n")),
    "a host's long port": (400, head("GET /v1/models", host=b"Host: localhost:123456\r\n")),
    "TLS": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    "HTTP/2": (400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "an unknown method": (400, head("BREW /v1/models")),
    "a proxy's method": (400, head("CONNECT localhost:443")),
    "a line without a version": (400, b"GET /v1/models\r\n\r\n"),
    "both lengths": (
        400,
        CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Length: 2\r\n\r\n") + b"2\r\n{}\r\n0\r\n\r\n",
    ),
    "two lengths": (400, head("POST /", "Content-Length: 2", "Content-Length: 3") + b"{}"),
    "a folded field": (400, head("GET /v1/models", "x: a\r\n b")),
    "a field with a blank in its name": (400, head("GET /v1/models", "Content-Length : 3")),
    "a chunk's size that is no number": (400, CHUNKED + b"zz\r\n{}\r\n"),
    "a chunk's extension without an end": (400, CHUNKED + b"2;a=" + b"x" * 400_000),
    "chunks of one byte": (400, CHUNKED + b"1\r\n \r\n" * 100_000),
    "many trailers": (431, CHUNKED + b"2\r\n{}\r\n0\r\n" + b"X: a\r\n" * 200 + b"\r\n"),
    "a trailer without an end": (400, CHUNKED + b"2\r\n{}\r\n0\r\nX: " + b"a" * 400_000),
}


@pytest.mark.parametrize("case", REFUSED)
@in_loop
async def test_what_is_no_request_is_refused_with_a_word(fake: Backend, case: str) -> None:
    status, sent = REFUSED[case]
    async with serving(fake.settings()) as client:
        pieces = [sent[start : start + 50_000] for start in range(0, len(sent), 50_000)]
        async with Bare(client) as bare:
            await bare.send(*pieces)
            assert await bare.status() == status
        top, _, body = bare.came.partition(b"\r\n\r\n")
        assert set(json.loads(body)["error"]) == {"message", "type", "param", "code"}
        for field in (b"nosniff", b"no-store", b"connection: close", b"application/json"):
            assert field in top
        assert (await client.get("/healthz")).status_code == 200


@pytest.mark.parametrize(
    "sent",
    [
        head("GET /healthz", *["a: b"] * 98),
        head("GET /healthz", *(f"x{n}: {'a' * 900}" for n in range(30))),
        head("GET /healthz?" + "a" * 8_000),
        head("GET /healthz", host=b"Host: [::1]:8000\r\n"),
        head("GET /healthz", host=b"Host: fast_reply-api.svc:8000\r\n"),
        b"GET /healthz HTTP/1.0\r\n\r\n",
        b"\r\n\r\n" + head("GET /healthz"),
        head("GET http://localhost/healthz"),
        head("GET /healthz", "Connection: Upgrade", "Upgrade: websocket"),
        head("GET /healthz", *OFFER),
    ],
    ids=lambda sent: repr(sent[:60]),
)
@in_loop
async def test_what_is_unusual_is_served(fake: Backend, sent: bytes) -> None:
    async with serving(fake.settings()) as client, Bare(client) as bare:
        for piece in (sent[:7], sent[7:]):
            await bare.send(piece)
        assert b"200 OK" in await bare.until(b'"alive"}')


@in_loop
async def test_a_client_that_offers_http2_is_answered_in_http1_again_and_again(fake: Backend) -> None:
    """As Java's does with each first request of a connection."""
    async with serving(fake.settings()) as client, Bare(client) as bare:
        for body in (b"[]", b'{"messages": 1}', b"[2]"):
            bare.came = b""
            await bare.send(posted(body, *OFFER))
            told = await bare.until(b'"}}')
            assert (b"messages: " in told) == (b"messages" in body), told


@in_loop
async def test_a_trailer_is_no_header(fake: Backend) -> None:
    """The key is looked at before the body; what comes behind it must not add to it."""
    asked = b"2\r\n[]\r\n0\r\nX-Forwarded-For: 203.0.113.9\r\nHost: evil.example\r\nX-Session-ID: s\r\n\r\n"
    async with serving(fake.settings()) as client, Bare(client) as bare:
        await bare.send(CHUNKED + asked)
        assert b"must be a JSON object" in await bare.until(b'"}}')
        await bare.send(head("GET /healthz"))
        assert b"200 OK" in await bare.until(b"alive")


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ([b"GET /healthz HTTP/1.1\r\nHost: loc"], b"408"),
        ([b"G"], b"408"),
        ([head("POST /", "Content-Length: 100"), b"{"], b"408"),
        ([CHUNKED, b"5\r\n{"], b"408"),
        ([], b""),
        ([b"\r\n\r\n"], b""),
        ([head("GET /healthz"), b"GET /hea"], b"408"),
        ([head("GET /healthz", "Content-Length: 1000000"), b"x"], b"200"),
    ],
    ids=repr,
)
@in_loop
async def test_what_does_not_become_whole_is_given_up(fake: Backend, sent: list[bytes], told: bytes) -> None:
    async with serving(fake.settings(request_timeout_s=0.2)) as client, Bare(client) as bare:
        await bare.send(*sent)
        assert told in await bare.rest()


@in_loop
async def test_what_dribbles_is_given_up(fake: Backend) -> None:
    async with serving(fake.settings(request_timeout_s=0.3)) as client:
        for first in (b"GET /", head("POST /", "Content-Length: 100000"), CHUNKED):
            async with Bare(client) as bare:
                await bare.send(first)

                async def dribble(bare: Bare = bare, chunked: bool = first == CHUNKED) -> None:
                    while True:
                        await bare.send(b"1\r\nA\r\n" if chunked else b"A")
                        await asyncio.sleep(0.02)

                dribbling = asyncio.create_task(dribble())
                assert b"408" in await bare.rest()
                dribbling.cancel()


@in_loop
async def test_an_answer_that_takes_long_is_no_slow_request(valkey: Backend) -> None:
    """Nor is a body that comes steadily."""
    go_on = asyncio.Event()
    model = Scripted(full=[[go_on, *answer("We open at nine.")]])
    settings = valkey.settings(request_timeout_s=0.1)
    async with open_workers(settings, model), serving(settings) as client, Bare(client) as bare:
        await bare.send(posted(json.dumps(ASKED).encode()))
        await until(lambda: model.calls)
        await asyncio.sleep(0.3)
        go_on.set()
        assert b"We open at nine." in await bare.until(b"usage")


@in_loop
async def test_a_flood_of_requests_on_one_connection_ends_it(valkey: Backend) -> None:
    held = asyncio.Event()
    model = Scripted(full=[[held, *answer("We open at nine.")]])
    settings = valkey.settings()
    async with open_workers(settings, model), serving(settings) as client, Bare(client) as bare:
        await bare.send(posted(json.dumps(ASKED).encode()), *[head("GET /healthz") * 100] * 20)
        await until(lambda: model.calls)
        held.set()
        told = await bare.rest()
        assert b"We open at nine." in told  # the answer that was under way is whole
        assert told.count(b"HTTP/1.1") == 1


@in_loop
async def test_a_few_requests_on_one_connection_are_answered_in_order(fake: Backend) -> None:
    async with serving(fake.settings()) as client, Bare(client) as bare:
        await bare.send(head("GET /healthz") * 5 + head("GET /readyz", "Connection: close"))
        told = await bare.rest()
        assert told.count(b"alive") == 5 and told.rindex(b"alive") < told.rindex(b"workers")


@in_loop
async def test_a_body_that_is_not_wanted_ends_its_connection(fake: Backend) -> None:
    """Who waits for 100 Continue sends nothing after a refusal: what comes next would be taken for it."""
    async with serving(fake.settings()) as client:
        async with Bare(client) as bare:
            await bare.send(head("POST /admin/tenants", "Content-Length: 9", "Expect: 100-continue"))
            assert await bare.status() == 401
            assert b"connection: close" in bare.came
        async with Bare(client) as bare:
            await bare.send(head("POST /", "Content-Length: 2", "Expect: 100-continue"))
            await bare.until(b"100 Continue\r\n\r\n")
            await bare.send(b"[]")
            assert b"connection: close" not in await bare.until(b'"}}')
            await bare.send(head("GET /healthz"))
            await bare.until(b"alive")


# How many.


@pytest.mark.parametrize("bound", [{"max_connections": 3}, {"max_connections_per_address": 3}], ids=str)
@in_loop
async def test_more_connections_than_the_bound_are_refused(fake: Backend, bound: dict[str, int]) -> None:
    settings = fake.settings(**{"max_connections_per_address": 3, **bound})
    async with serving(settings) as client:
        async with Bare(client) as first, Bare(client) as second, Bare(client) as third:
            for bare in (first, second, third):
                await bare.send(head("GET /healthz"))
                await bare.until(b"alive")
            async with Bare(client) as fourth:
                assert await fourth.status() == 503
                assert b"too_many_connections" in fourth.came and b"retry-after: 1" in fourth.came

        async def served() -> bool:
            async with Bare(client) as again:
                await again.send(head("GET /healthz", "Connection: close"))
                return await again.status() == 200

        await until(served)


# A client that has ended its side, and one that is gone.


@pytest.mark.parametrize("stream", [True, False])
@in_loop
async def test_who_has_asked_may_end_his_side_and_gets_all(valkey: Backend, stream: bool) -> None:
    go_on = asyncio.Event()
    model = Scripted(full=[[*words("We open"), go_on, *answer(" at nine.")]])
    settings = valkey.settings()
    async with open_workers(settings, model), serving(settings) as client, Bare(client) as bare:
        await bare.send(posted(json.dumps({**ASKED, "stream": stream}).encode()))
        bare.writer.write_eof()
        await until(lambda: model.calls)
        await (bare.until(b": still here\n") if stream else bare.until(b"HTTP/1.1 100 Continue\r\n\r\n" * 3))
        go_on.set()
        told = await bare.rest()
        assert (told.rstrip().endswith(b"0") and b"[DONE]" in told) if stream else b"We open at nine." in told
        assert model.calls[0].ended == "whole"


@pytest.mark.parametrize("stream", [True, False])
@in_loop
async def test_who_is_gone_is_noticed_though_nothing_is_said(valkey: Backend, stream: bool) -> None:
    model = Scripted(full=[[asyncio.Event()]])
    settings = valkey.settings(heartbeat_s=600)
    async with open_workers(settings, model), serving(settings) as client:
        async with Bare(client) as bare:
            await bare.send(posted(json.dumps({**ASKED, "stream": stream}).encode()))
            await until(lambda: model.calls)
        await until(lambda: model.calls[0].ended == "closed")


@in_loop
async def test_half_a_request_is_none(valkey: Backend) -> None:
    async with serving(valkey.settings()) as client:
        whole = posted(json.dumps(ASKED).encode())
        for size in (10, 100, len(whole) - 1):
            async with Bare(client) as bare:
                await bare.send(whole[:size])
                bare.writer.write_eof()
                assert await bare.rest() == b""
