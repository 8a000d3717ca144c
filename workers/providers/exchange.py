"""One request over HTTP and its answer as it comes; whatever goes wrong is an UpstreamError."""

import math
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import orjson

from common.profiles import Upstream
from common.sse import MAX_EVENT_BYTES, SSEParser
from workers.providers.base import UpstreamError

_BUSY_S = 1.0  # a server that is busy and doesn't say for how long
_MOST_BUSY_S = 600.0
_MOST_BYTES = 1_048_576  # of what is read as a whole
_OVERLOADED = 529  # Anthropic's own status


@asynccontextmanager
async def exchange(
    client: httpx.AsyncClient, url: str, body: dict[str, Any], headers: dict[str, str]
) -> AsyncIterator[httpx.Response]:
    """The answer to a POST, of status 200, not yet read. Leaving it early closes the connection."""
    with network_errors():
        content = orjson.dumps(body)
        headers = {"Content-Type": "application/json", **headers}
        async with client.stream("POST", url, content=content, headers=headers) as response:
            if response.status_code != 200:
                raise refusal(response.status_code, response.headers)
            yield response


@contextmanager
def network_errors() -> Iterator[None]:
    """Turns httpx's errors into ours."""
    try:
        yield
    except httpx.TimeoutException as error:
        # The transport calls a refused connection a timeout too.
        if isinstance(error.__cause__, OSError) and not isinstance(error.__cause__, TimeoutError):
            raise UpstreamError("upstream_unreachable", "the model's server can't be reached") from None
        raise UpstreamError("upstream_timeout", "the model's server did not answer in time") from None
    except TimeoutError:
        raise UpstreamError("upstream_timeout", "the model's server did not answer in time") from None
    except (httpx.ConnectError, httpx.UnsupportedProtocol, httpx.InvalidURL):
        raise UpstreamError("upstream_unreachable", "the model's server can't be reached") from None
    except (httpx.HTTPError, httpx.StreamError):
        raise UpstreamError("upstream_cut", "the model's server broke the connection") from None


def refusal(status: int, headers: httpx.Headers) -> UpstreamError:
    """What a status other than 200 means."""
    if status in (429, _OVERLOADED) or (status == 503 and "retry-after" in headers):
        return busy(_retry_after_s(headers))
    # With 4xx it is the request that is refused: the next one may be to the server's liking.
    return UpstreamError(
        "upstream_refused", f"the model's server answered {status}", faulty=status >= 500 or status < 400
    )


def busy(retry_after_s: float | None = None) -> UpstreamError:
    """The server has too much to do, and is to be left alone for a while."""
    wait_s = _BUSY_S if retry_after_s is None else min(max(retry_after_s, 0.0), _MOST_BUSY_S)
    return UpstreamError("upstream_busy", "the model's server is busy", retry_after_s=wait_s)


def cut() -> UpstreamError:
    """The answer has no end."""
    return UpstreamError("upstream_cut", "the model's answer ended in the middle")


def garbled() -> UpstreamError:
    """The server said something of no meaning."""
    return UpstreamError("upstream_garbled", "the model's server sent what is no answer")


def broke_off() -> UpstreamError:
    """The server said that it failed."""
    return UpstreamError("upstream_error", "the model's server broke off with an error")


def authorization(upstream: Upstream, scheme: str = "Bearer") -> dict[str, str]:
    """The header for a key; one that names its scheme itself, as in `Api-Key …`, is sent as it is.

    Headers that the upstream has of its own take its place.
    """
    if upstream.headers:
        return dict(upstream.headers)
    key = upstream.api_key.get_secret_value()
    if not key:
        return {}
    return {"Authorization": key if " " in key else f"{scheme} {key}"}


def translated(translate: Callable[[dict[str, Any]], dict[str, Any]], body: dict[str, Any]) -> dict[str, Any]:
    """A request in another dialect; one of no sense is refused as a server would."""
    try:
        return translate(body)
    except (ValueError, TypeError, LookupError, AttributeError):
        raise UpstreamError(
            "upstream_refused", "the request has no form in this model's dialect", faulty=False
        ) from None


def made_up_id() -> str:
    """An id for a tool call, where the dialect has none."""
    return f"call_{secrets.token_hex(12)}"


async def whole(response: httpx.Response) -> bytes:
    """All of a short answer, as it was sent. Raises UpstreamError on one without end."""
    content = b""
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > _MOST_BYTES:
            raise garbled()
    return content


async def sse_data(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    """The data of each server-sent event."""
    parser = SSEParser()
    async for chunk in response.aiter_raw():
        try:
            events = parser.feed(chunk)
        except ValueError:
            raise garbled() from None
        for event in events:
            yield event.data


async def json_lines(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    """Each line that is not blank."""
    rest = b""
    async for chunk in response.aiter_raw():
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > MAX_EVENT_BYTES:
            raise garbled()
        for line in lines:
            if line.strip():
                yield line
    if rest.strip():
        yield rest


def _retry_after_s(headers: httpx.Headers) -> float | None:
    """How long the server wants to be left alone: in milliseconds, in seconds, or until a date."""
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
