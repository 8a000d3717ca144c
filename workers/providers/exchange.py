"""Sends one request over HTTP and reads its answer as it comes; whatever goes wrong is an UpstreamError."""

import asyncio
import math
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from common.net.sse import MAX_EVENT_BYTES, ServerEvent, SSEParser
from common.tenants.profiles import Upstream
from workers.providers.base import UpstreamError
from workers.providers.flow import Flow, paced
from workers.providers.inflating import Inflater, is_packed
from workers.providers.values import as_json

_BUSY_S = 1.0  # a server that is busy and doesn't say for how long
_MOST_BUSY_S = 600.0
_MOST_BYTES = 1_048_576  # of what is read as a whole
_MOST_TOLD_BYTES = 65_536  # of what a refusal says
_TOLD_S = 1.0
_MARK = b"\xef\xbb\xbf"  # a byte order mark
_MOST_BLANK = 65_536  # before an answer
_OVERLOADED = 529  # Anthropic's own status
_WRONG = 400  # our own status for a request that a server would refuse


@asynccontextmanager
async def exchange(
    client: httpx.AsyncClient, url: str, body: dict[str, Any], headers: dict[str, str]
) -> AsyncIterator[httpx.Response]:
    """Send a POST and yield the response of status 200, unread. Leaving the context closes the connection."""
    content = as_json(body).encode()
    # Not compressed: small pieces would wait in the compressor for more.
    headers = {"Content-Type": "application/json", "Accept-Encoding": "identity", **headers}
    with network_errors():
        request = client.build_request("POST", url, content=content, headers=headers)
        response = await client.send(request, stream=True)
    try:
        if response.status_code != 200:
            raise refusal(response.status_code, response.headers, await _told(response))
        yield response
    finally:
        with suppress(Exception):  # the connection is given up anyway
            await response.aclose()


@contextmanager
def network_errors() -> Iterator[None]:
    """Turn any error of the HTTP client into an UpstreamError: it is the server that causes it."""
    try:
        yield
    except UpstreamError:
        raise
    except httpx.TimeoutException as error:
        # The transport calls a refused connection a timeout too.
        if isinstance(error.__cause__, OSError) and not isinstance(error.__cause__, TimeoutError):
            raise UpstreamError("upstream_unreachable", "the model's server can't be reached") from None
        raise UpstreamError("upstream_timeout", "the model's server did not answer in time") from None
    except TimeoutError:
        raise UpstreamError("upstream_timeout", "the model's server did not answer in time") from None
    except (httpx.ConnectError, httpx.UnsupportedProtocol, httpx.InvalidURL, ValueError):
        raise UpstreamError("upstream_unreachable", "the model's server can't be reached") from None
    except httpx.RemoteProtocolError:
        raise garbled() from None
    except Exception:
        raise UpstreamError("upstream_cut", "the model's server broke the connection") from None


def refusal(status: int, headers: httpx.Headers, told: bytes = b"") -> UpstreamError:
    """Return the error for a status other than 200; `told` is the body that came with it."""
    if status in (429, _OVERLOADED) or (status == 503 and "retry-after" in headers):
        error = busy(_retry_after_s(headers))
        error.status, error.told = status, told
        return error
    # With 4xx it is the request that is refused: the next one may be to the server's liking.
    return UpstreamError(
        "upstream_refused",
        f"the model's server answered {status}",
        faulty=status >= 500 or status < 400,
        status=status,
        told=told,
    )


def busy(retry_after_s: float | None = None) -> UpstreamError:
    """Return the error for a server that has too much to do, and is to be left alone for a while."""
    wait_s = _BUSY_S if retry_after_s is None else min(max(retry_after_s, 0.0), _MOST_BUSY_S)
    return UpstreamError("upstream_busy", "the model's server is busy", retry_after_s=wait_s)


def cut() -> UpstreamError:
    """Return the error for an answer without an end."""
    return UpstreamError("upstream_cut", "the model's answer ended in the middle")


def garbled() -> UpstreamError:
    """Return the error for an answer that makes no sense."""
    return UpstreamError("upstream_garbled", "the model's server sent what is no answer")


def broke_off() -> UpstreamError:
    """Return the error for a server that said that it failed."""
    return UpstreamError("upstream_error", "the model's server broke off with an error")


def authorization(upstream: Upstream, scheme: str = "Bearer") -> dict[str, str]:
    """Return the header for a key; a key that names its scheme, as in `Api-Key …`, is sent unchanged.

    The upstream's own headers, if any, replace it.
    """
    if upstream.headers:
        return dict(upstream.headers)
    key = upstream.api_key.get_secret_value()
    if not key:
        return {}
    return {"Authorization": key if " " in key else f"{scheme} {key}"}


def translated(translate: Callable[[dict[str, Any]], dict[str, Any]], body: dict[str, Any]) -> dict[str, Any]:
    """Translate a request to another dialect; refuse a malformed one as a server would."""
    try:
        return translate(body)
    except (ValueError, TypeError, LookupError, AttributeError):
        message = "the request has no form in this model's dialect"
        raise UpstreamError("upstream_refused", message, faulty=False, status=_WRONG) from None


def made_up_id() -> str:
    """Return a random id for a tool call, for dialects without ids."""
    return f"call_{secrets.token_hex(12)}"


async def whole(response: httpx.Response, most_bytes: int = _MOST_BYTES) -> bytes:
    """Return a short answer's whole body. Raises UpstreamError if it exceeds `most_bytes`."""
    content = bytearray()
    async with aclosing(_read(response)) as pieces:
        async for piece in pieces:
            content += piece
            if len(content) > most_bytes:
                raise garbled()
    return bytes(content)


async def sse_events(response: httpx.Response) -> AsyncGenerator[ServerEvent, None]:
    """Yield each server-sent event that is not empty; a plain JSON answer is one event.

    Raises UpstreamError.
    """
    async with aclosing(_read(response)) as pieces:
        parser, begun, kind, blank = SSEParser(), b"", "", 0
        async for piece in pieces:
            if not kind:
                begun += piece
                kind = _kind(begun)
                piece, begun, blank = (begun, b"", 0) if kind else (b"", begun[-3:], blank + len(piece))
                if blank > _MOST_BLANK:
                    raise garbled()
            if kind == "json":
                yield ServerEvent(await _rest(piece, pieces))
                return
            for event in _fed(parser.feed, piece):
                yield event
        for event in _fed(lambda _: parser.end(), b""):
            yield event


async def json_lines(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    """Yield each line that is not blank. Raises UpstreamError."""
    line = list[bytes]()
    size = 0
    async with aclosing(_read(response)) as pieces:
        async for piece in pieces:
            *ends, rest = piece.split(b"\n")
            for end in ends:
                if whole_line := b"".join((*line, end)).strip():
                    yield whole_line
                line, size = [], 0
            line.append(rest)
            size += len(rest) + 1
            if size > MAX_EVENT_BYTES:
                raise garbled()
    if last := b"".join(line).strip():
        yield last


def _kind(begun: bytes) -> str:
    """Return the kind of an answer that begins like this: `json` or `events`; empty where it isn't known."""
    head = begun.removeprefix(_MARK).lstrip()
    if not head or _MARK.startswith(begun):
        return ""
    return "json" if head[:1] in b"{[" else "events"


def _fed(feed: Callable[[bytes], list[ServerEvent]], piece: bytes) -> Iterator[ServerEvent]:
    try:
        events = feed(piece)
    except ValueError:
        raise garbled() from None
    return (event for event in events if event.data.strip() or event.name == "error")


async def _rest(head: bytes, pieces: AsyncIterator[bytes]) -> bytes:
    """Return a JSON answer's whole body."""
    content = bytearray(head.removeprefix(_MARK))
    async for piece in pieces:
        content += piece
        if len(content) > MAX_EVENT_BYTES:
            raise garbled()
    return bytes(content)


async def _told(response: httpx.Response) -> bytes:
    """Return a refusal's body, if it is short and comes soon. It may hold keys, so it is never logged."""
    try:
        async with asyncio.timeout(_TOLD_S):
            return await whole(response, _MOST_TOLD_BYTES)
    except (UpstreamError, TimeoutError):
        return b""


async def _read(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    """Yield the body, decompressed, in slices, no faster than its pace allows. Raises UpstreamError."""
    async with aclosing(_unpacked(response)) as pieces, aclosing(paced(pieces, Flow())) as slices:
        async for piece in slices:
            yield piece


async def _unpacked(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    coding, packed, begun = response.headers.get("content-encoding", ""), None, False
    async with aclosing(_raw(response)) as pieces:
        async for piece in pieces:
            try:
                if not begun:
                    packed, begun = Inflater() if is_packed(coding, piece) else None, True
                parts = packed.feed(piece) if packed else iter((piece,))
                while (part := next(parts, None)) is not None:
                    yield part
            except ValueError:
                raise garbled() from None


async def _raw(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    with network_errors():
        async for piece in response.aiter_raw():
            yield piece


def _retry_after_s(headers: httpx.Headers) -> float | None:
    """Return how long the server wants to be left alone: in milliseconds, in seconds, or until a date."""
    try:
        if "retry-after-ms" in headers:
            ms = float(headers["retry-after-ms"])
            return None if math.isnan(ms) else ms / 1000
        if "retry-after" not in headers:
            return None
        value = headers["retry-after"]
        if value[:1].isdigit():
            return float(value)
        return parsedate_to_datetime(value).timestamp() - time.time()
    except ValueError:
        return None
