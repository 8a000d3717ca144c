"""The guard for URLs that tenants give: they may lead to public addresses only, whatever DNS answers."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

import aiohttp
import httpx
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from common.net.kept_connections import KEEP_S, KeptTransport, no_cookies

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host, for a connection to a port of it. Raises OSError."""

_PORTS = {"http": 80, "https": 443}
_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
# What `ipaddress` takes for global, or an older Python may. Source: IANA's special-purpose address registries
_SPECIAL = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.31.196.0/24", "192.52.193.0/24",
            "192.88.99.0/24", "192.175.48.0/24", "198.18.0.0/15", "240.0.0.0/4",
            "2001::/23", "2001:db8::/32", "2620:4f:8000::/48", "3fff::/20",
        ),
    )
)  # fmt: skip


class BlockedUrl(httpx.ConnectError):
    """A URL that must not be opened; the message may be shown to the tenant."""


def is_public(address: str) -> bool:
    """Return True if an address is in the public network; one that embeds an IPv4 address is judged by
    that.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    inner = _carried(parsed) if isinstance(parsed, IPv6Address) else None
    if inner:
        return is_public(str(inner))
    if isinstance(parsed, IPv6Address) and parsed not in _UNICAST:
        return False
    if any(parsed.version == net.version and parsed in net for net in _SPECIAL):
        return False
    return parsed.is_global and not parsed.is_multicast


def _carried(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address to which a gateway would translate this address, if any."""
    if address in _NAT64:
        return IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address.sixtofour


class UrlGuard:
    """Decides which URLs may be opened. `allowed`: hosts, or host:port, that may be private."""

    def __init__(self, allowed: Sequence[str]) -> None:
        self._allowed = {name.lower() for name in allowed}

    def check(self, url: str) -> None:
        """Raise BlockedUrl if the URL is not allowed, as far as that shows without DNS."""
        try:
            parsed = URL(url)
            host, port = parsed.host, parsed.port
        except (ValueError, IndexError):  # yarl's, of `http://[::1]@`
            raise BlockedUrl("this is not a URL") from None
        if parsed.scheme not in _PORTS or not host:
            raise BlockedUrl("a URL begins with http:// or https:// and a host")
        if parsed.user is not None or parsed.password is not None:
            raise BlockedUrl("a URL must not hold a name or a password")
        # A host that looks like an address is never looked up in DNS.
        if ":" in host or host.replace(".", "").isdigit():
            self.check_address(host, port or 0, host)

    def vouches(self, url: str) -> bool:
        """Return True if the operator has named the URL's host."""
        try:
            parsed = URL(url)
            return bool(parsed.host) and self._names(parsed.host or "", parsed.port or 0)
        except (ValueError, IndexError):
            return False

    def _names(self, host: str, port: int) -> bool:
        name = f"[{host}]" if ":" in host else host
        return bool({name.lower(), f"{name}:{port}".lower()} & self._allowed)

    def check_address(self, host: str, port: int, address: str) -> None:
        """Raise BlockedUrl if a connection to this host must not go to this address."""
        if self._names(host, port):
            return
        if not is_public(address):
            raise BlockedUrl("the host's address is not a public one, nor in FAST_REPLY_ALLOWED_HOSTS")


class _Resolver(AbstractResolver):
    """Resolves hosts for connections and checks each address, so that DNS is not asked a second time."""

    def __init__(self, guard: UrlGuard, resolve: Resolve) -> None:
        self._guard = guard
        self._resolve = resolve

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        addresses = await self._resolve(host, port)
        for address in addresses:
            self._guard.check_address(host, port, address)
        return [_found(host, port, address) for address in addresses]

    async def close(self) -> None:
        pass


def _found(host: str, port: int, address: str) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    flags = socket.AI_NUMERICHOST
    return ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=flags)


async def ask_dns(host: str, port: int) -> Sequence[str]:
    """Ask the system's resolver for the addresses of a host. Raises OSError."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:  # a label that is empty, or too long
        raise OSError("no host can be called so") from None
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class _Transport(KeptTransport):
    """Checks every request's URL before it is sent."""

    def __init__(self, guard: UrlGuard, resolve: Resolve, keep_s: float) -> None:
        def connector(**kept: Any) -> aiohttp.TCPConnector:
            return aiohttp.TCPConnector(limit=0, resolver=_Resolver(guard, resolve), **kept)

        super().__init__(connector, keep_s)
        self._guard = guard

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._guard.check(str(request.url))
        return await super().handle_async_request(request)


def open_guarded_client(
    allowed: Sequence[str], timeout_s: float, resolve: Resolve = ask_dns, *, keep_s: float = KEEP_S
) -> httpx.AsyncClient:
    """Return an HTTP client that opens only public URLs and `allowed` hosts, and follows no redirects.

    Raises BlockedUrl for others, and httpx.HTTPError as any client.
    """
    transport = _Transport(UrlGuard(allowed), resolve, keep_s)
    return httpx.AsyncClient(
        transport=transport, timeout=timeout_s, follow_redirects=False, cookies=no_cookies()
    )
