"""Which URLs of a tenant may be opened. DNS is a table here; the one real server is on loopback."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx
import pytest

from common.security.url_guard import BlockedUrl, UrlGuard, ask_dns, is_public, open_guarded_client

PUBLIC = ["93.184.216.34", "8.8.8.8", "2606:4700:4700::1111", "2002:0808:0808::1", "64:ff9b::808:808"]
PRIVATE = [
    "127.0.0.1",
    "10.0.0.1",
    "172.16.5.4",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "2002:7f00:0001::1",
    "2002:0a00:0001::",
    "64:ff9b::7f00:1",
    "64:ff9b:1::a00:1",
    "2001:0:53aa:64c:0:fbff:f5ff:fffe",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "ff02::1",
    "192.88.99.1",
    "::ffff:192.88.99.1",
    "2002:c058:6301::",
    "64:ff9b::192.88.99.1",
    "64:ff9b::100.64.0.1",
    "2002:c612:0001::1",
    "100.127.255.255",
    "198.18.0.1",
    "198.19.255.255",
    "192.0.0.9",
    "192.0.0.170",
    "192.0.2.1",
    "192.31.196.1",
    "192.52.193.1",
    "192.175.48.1",
    "198.51.100.1",
    "203.0.113.1",
    "240.0.0.1",
    "239.255.255.250",
    "2001:1::1",
    "2001:2::1",
    "2001:20::1",
    "2001:30::1",
    "2001:db8::1",
    "2620:4f:8000::1",
    "3fff::1",
    "5f00::1",
    "100::1",
    "fec0::1",
    "127.1",
    "localhost",
    "",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_public_network_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", PRIVATE)
def test_no_other_address_is(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.org",
        "/hook",
        "//example.org/hook",
        "ftp://example.org/",
        "file:///etc/passwd",
        "gopher://example.org/",
        "http:///hook",
        "http://user@example.org/",
        "http://user:secret@example.org/",
        "http://:secret@example.org/",
        "http://[::1/",
        "http://[::1]@",
        "http://[::1]x@/",
        "http://example.org:99999/",
        "http://127.0.0.1/",
        "http://127.1/",
        "http://2130706433/",
        "http://①②⑦.⓪.⓪.①/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://169.254.169.254/latest/meta-data",
    ],
)
def test_what_can_be_seen_to_be_wrong_is_blocked_without_dns(url: str) -> None:
    with pytest.raises(BlockedUrl):
        UrlGuard(()).check(url)


@pytest.mark.parametrize(
    "url", ["https://example.org/hook", "http://8.8.8.8:8080/", "https://[2606:4700::1]/"]
)
def test_what_may_be_public_passes(url: str) -> None:
    UrlGuard(()).check(url)


@pytest.mark.parametrize(
    ("allowed", "url", "passes"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000/", True),
        ("127.0.0.1:8000", "http://127.0.0.1:8000/", True),
        ("127.0.0.1:8000", "http://127.0.0.1:8001/", False),
        ("127.0.0.1:80", "http://127.0.0.1/", True),
        ("127.0.0.1", "http://127.0.0.2/", False),
        ("[::1]:8000", "http://[::1]:8000/", True),
        ("[::1]", "http://[::1]:8000/", True),
        ("127.0.0.1", "ftp://127.0.0.1/", False),
        ("127.0.0.1", "http://user@127.0.0.1/", False),
    ],
)
def test_an_allowed_host_may_be_private(allowed: str, url: str, passes: bool) -> None:
    if passes:
        UrlGuard((allowed,)).check(url)
    else:
        with pytest.raises(BlockedUrl):
            UrlGuard((allowed,)).check(url)


class Dns:
    """A table of names; a name's answers follow one another, the last stays."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self._answers = {name.replace("_", "."): given for name, given in answers.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        answers = self._answers.get(host)
        if not answers:
            raise OSError("no such name")
        return answers.pop(0) if len(answers) > 1 else answers[0]


class Receiver:
    """A server on loopback that counts its requests, and answers with a cookie and this status."""

    def __init__(self, status: str = "200 OK", location: str = "") -> None:
        self.requests: list[str] = []
        self.port = 0
        self._answer = f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nSet-Cookie: who=first\r\n"
        self._answer += f"Location: {location}\r\n\r\n" if location else "\r\n"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                self.requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
                writer.write(self._answer.encode())
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


@asynccontextmanager
async def receiving(**how: str) -> AsyncIterator[Receiver]:
    receiver = Receiver(**how)
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()


async def get(client: httpx.AsyncClient, url: str) -> int:
    return (await client.get(url)).status_code


@pytest.mark.parametrize(
    "answer",
    [["127.0.0.1"], ["10.1.2.3"], ["::1"], ["::ffff:127.0.0.1"], ["93.184.216.34", "127.0.0.1"]],
)
def test_a_name_with_any_private_address_is_blocked(answer: list[str]) -> None:
    async def run() -> None:
        dns = Dns(evil_example=[answer])
        async with receiving() as receiver, open_guarded_client((), 5, dns) as client:
            with pytest.raises(BlockedUrl, match="not a public one"):
                await get(client, f"http://evil.example:{receiver.port}/")
            assert dns.asked == ["evil.example"] and not receiver.requests

    asyncio.run(run())


def test_an_allowed_name_is_connected_to_and_named_in_the_request() -> None:
    async def run() -> None:
        dns = Dns(inner_example=[["127.0.0.1"]])
        async with receiving() as receiver:
            async with open_guarded_client((f"Inner.Example:{receiver.port}",), 5, dns) as client:
                assert await get(client, f"http://inner.example:{receiver.port}/hook") == 200
            (request,) = receiver.requests
            assert f"\r\nhost: inner.example:{receiver.port}\r\n" in request

    asyncio.run(run())


def test_dns_is_asked_once_for_a_connection_so_that_it_can_not_change_its_mind() -> None:
    """The first answer is checked and connected to; a second, private one is never asked for."""

    async def run() -> None:
        dns = Dns(rebound_example=[["127.0.0.1"], ["127.0.0.2"]])
        async with receiving() as receiver:
            async with open_guarded_client((f"rebound.example:{receiver.port}",), 5, dns) as client:
                await get(client, f"http://rebound.example:{receiver.port}/")
            assert len(dns.asked) == 1 and len(receiver.requests) == 1
        # The other way about: what was public once is checked anew for the next connection.
        turned = Dns(rebound_example=[["127.0.0.1"]])
        async with receiving() as receiver, open_guarded_client((), 5, turned) as client:
            with pytest.raises(BlockedUrl):
                await get(client, f"http://rebound.example:{receiver.port}/")
            assert not receiver.requests

    asyncio.run(run())


def test_redirects_are_not_followed_and_cookies_not_kept() -> None:
    async def run() -> None:
        async with (
            receiving() as inner,
            receiving(status="302 Found", location=f"http://127.0.0.1:{inner.port}/") as receiver,
            open_guarded_client((f"127.0.0.1:{receiver.port}",), 5) as client,
        ):
            for _ in range(2):
                assert await get(client, f"http://127.0.0.1:{receiver.port}/") == 302
            assert len(receiver.requests) == 2 and not inner.requests
            assert "cookie" not in receiver.requests[1].lower()

    asyncio.run(run())


def test_a_client_checks_every_url_it_is_given() -> None:
    async def run() -> None:
        async with receiving() as receiver, open_guarded_client((), 5) as client:
            for host in ("127.0.0.1", "localhost", "2130706433", "127.1", "[::ffff:127.0.0.1]"):
                with pytest.raises(BlockedUrl):
                    await get(client, f"http://{host}:{receiver.port}/")
            assert not receiver.requests

    asyncio.run(run())


def test_a_name_that_is_not_known_can_not_be_reached() -> None:
    async def run() -> None:
        async with open_guarded_client((), 5, Dns()) as client:
            with pytest.raises(httpx.TransportError):
                await get(client, "http://nowhere.example/")

    asyncio.run(run())


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "a..b", ".a", "x" * 300])
def test_a_name_that_no_host_can_have_is_not_found(host: str) -> None:
    """The system's resolver has an error of its own for it, that is no OSError."""

    async def ask() -> None:
        with pytest.raises(OSError):
            await ask_dns(host, 80)

    asyncio.run(ask())
