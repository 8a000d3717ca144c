"""The streams of the session doors: their frames, and how one ends that can't be read on."""

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.responses import Response

from api.answers.event_stream import EventStreamResponse
from common.events import Entry, kind_of
from common.settings import Settings
from common.store.redis import StoreUnavailable

logger = logging.getLogger(__name__)

LINES = "application/x-ndjson"
RETRY = b"retry: 500\n\n"
"""Goes first where the first event may be long in coming; browsers would else be slow to connect again."""


def event_frame(entry: Entry, data: bytes) -> bytes:
    """A server-sent event about a log's entry. `data` is JSON, so that no text in it can end a line."""
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (entry.id.encode(), kind_of(entry.event).encode(), data)


async def stream(
    batches: AsyncGenerator[bytes, None],
    settings: Settings,
    *,
    headers: dict[str, str] | None = None,
    events: bool = True,
) -> Response:
    """Stream these bytes, as server-sent events or else as lines, once the first are there."""
    first = await anext(batches, b"")
    kind = {} if events else {"Content-Type": LINES}
    return EventStreamResponse(
        _rest(first, batches),
        headers={**kind, **(headers or {})},
        heartbeat_s=settings.heartbeat_s if events else None,
        send_timeout_s=settings.send_timeout_s,
        on_left=lambda sent_away: None,
    )


async def _rest(first: bytes, batches: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(batches):
        if first:
            yield first
        try:
            async for batch in batches:
                yield batch
        except StoreUnavailable as error:
            logger.warning("a session could not be read on", extra={"error": error.reason})
            raise ConnectionAbortedError from None  # not ended: a client must not take it for whole
