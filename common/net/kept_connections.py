"""Connections to other servers that are kept warm, and httpx's names for their errors."""

import inspect
from collections.abc import Callable
from contextvars import ContextVar
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import SimpleNamespace
from typing import Any

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

KEEP_S = 4.0
"""How long an idle connection is kept: many servers close theirs after five seconds."""

_WIDE: dict[str, int] = {  # with the defaults a header of 9 kB, or 129 headers, would break the answer off
    "max_line_size": 65_536,
    "max_field_size": 65_536,
    "max_headers": 1_024,
}
_KNOWN = inspect.signature(aiohttp.ClientSession.__init__).parameters  # the last came with aiohttp 3.14
_READ_BYTES = 65_536
_TIMED_OUT = 408  # some servers send it over an idle connection before they close it

_reused: ContextVar[list[bool]] = ContextVar("reused")


class KeptTransport(AiohttpTransport):
    """A transport that keeps connections, but no cookies, and retries if a kept one turns out closed.

    `connector` opens a connection, and takes aiohttp's arguments. Raises httpx's errors only.
    """

    def __init__(self, connector: Callable[..., aiohttp.TCPConnector], keep_s: float) -> None:
        super().__init__(client=lambda: _session(connector(keepalive_timeout=keep_s)))
        self._fresh = AiohttpTransport(client=lambda: _session(connector(force_close=True)))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request; once more, over a new connection, if a kept one closed before any answer came."""
        reused: list[bool] = []
        _reused.set(reused)
        try:
            response = await super().handle_async_request(request)
        except Exception as error:
            if not (reused and _was_closed(error)):
                raise _named(error) from error
        else:
            if not (reused and response.status_code == _TIMED_OUT):
                return response
            await response.aclose()
        try:
            return await self._fresh.handle_async_request(request)
        except Exception as error:
            raise _named(error) from error

    async def aclose(self) -> None:
        await super().aclose()
        await self._fresh.aclose()


def no_cookies() -> CookieJar:
    """Return a jar that stores nothing: one caller's cookies must not go along with another's request."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=[]))


def _session(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    trace = aiohttp.TraceConfig()
    trace.on_connection_reuseconn.append(_note_reuse)
    limits: Any = {name: limit for name, limit in _WIDE.items() if name in _KNOWN}
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        trace_configs=[trace],
        read_bufsize=_READ_BYTES,
        **limits,
    )


async def _note_reuse(session: aiohttp.ClientSession, context: SimpleNamespace, params: Any) -> None:
    _reused.get([]).append(True)


def _was_closed(error: BaseException) -> bool:
    """Return True if the peer had closed the connection before any byte of an answer."""
    cause: BaseException | None = error if isinstance(error, OSError) else error.__cause__
    if isinstance(cause, aiohttp.ClientConnectorError | TimeoutError):
        return False
    return isinstance(cause, aiohttp.ServerDisconnectedError | ConnectionError | aiohttp.ClientOSError)


def _named(error: Exception) -> Exception:
    """Return httpx's error for one of aiohttp's, yarl's or the resolver's."""
    if isinstance(error, httpx.TimeoutException) and _was_closed(error):
        return httpx.ReadError("the server closed the connection")  # the transport calls it a timeout
    if isinstance(error, httpx.HTTPError | httpx.InvalidURL):
        return error
    if isinstance(error, ValueError):  # such as a host that has no form in DNS
        return httpx.ConnectError("this is no address")
    return httpx.RemoteProtocolError("the server does not speak HTTP")
