"""HTTP connections: bounds on what a client may send, how slowly, and how much of it at once.

This is uvicorn's own protocol on httptools, which has no such bounds. They are checked before any door is
asked.
"""

import asyncio
import re
from typing import Any

import httptools
import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from api.http.headers import EVERYWHERE
from api.limits.crowd import HALF_CLOSED, Bounds, OpenConnections, give_up_after, next_probe
from common.settings import Settings

MOST_HEAD_BYTES = 32_768
MOST_FIELDS = 100
MOST_URL_BYTES = 8_192
_LEAST_BYTES_PER_S = 16_384  # of a body, after its first seconds
_MOST_FRAMING_BYTES = 65_536  # chunk sizes, extensions and trailers, beside twice the bytes they carry
_MOST_DRAINED_BYTES = 16 * 1_048_576  # of a body that is no longer wanted
_MOST_PIPELINED = 16
_LINGER_S = 1.0  # lets a client that is still sending read why it is refused
_MOST_LINGERING = 256
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_HOST = re.compile(rb"(?:[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{0,5})?")
_OF_UPGRADES = (b"upgrade", b"http2-settings")
_NOTHING, _HEAD, _BODY = range(3)


def bounded_protocol(settings: Settings) -> type[HttpToolsProtocol]:
    """Return the protocol class for one process's server, for uvicorn."""

    class Bounded(BoundedProtocol):
        open_connections = OpenConnections(Bounds.of(settings))

    return Bounded


class _Refused(Exception):
    """The client's data is over a bound, or is not HTTP that this server speaks."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class BoundedProtocol(HttpToolsProtocol):
    """One connection. Requests that arrive whole cost no timer beyond the connection's first."""

    open_connections: OpenConnections

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._address = ""
        self._part = _NOTHING
        self._due_s: float | None = None  # when what has begun must be whole
        self._timer: asyncio.TimerHandle | None = None
        self._refusal: _Refused | None = None
        self._is_over = False  # refused: further data is dropped
        self._answering: Any = None  # the cycle whose answer is under way
        self._stopping = False
        self._half_closed = asyncio.Event()
        self._lingers = False
        self._forget()

    # The transport's callbacks.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._address = self.client[0] if self.client else ""
        give_up_after(transport, self.open_connections.bounds.send_s)
        if not self.open_connections.enter(self._address):
            self._refuse(_Refused(503, "too_many_connections", "too many connections; try again"))
            return
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        self.open_connections.leave(self._address)
        if self._lingers:
            self.open_connections.lingering -= 1
        if self._timer:
            self._timer.cancel()
        self._due_s = None
        if self._answering is not None:
            self._answering.disconnected = True
            self._answering.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_over:
            self._drop(len(data))
            return
        self._unset_keepalive_if_required()
        if self._part == _HEAD:
            self._head_bytes += len(data)
        elif self._part == _BODY:
            self._framing_bytes += len(data)
        try:
            self._feed(data)
            self._check_so_far()
        except _Refused as refusal:
            self._refuse(refusal)
            return
        if self._due_s is None and (self._part != _NOTHING or self._is_idle):
            self._expect()

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """Keep a half-closed connection whose answer is under way, and probe it.

        A client that has sent its whole request may close its side and still wait for the answer. One that is
        gone looks the same until something is written, so we write.
        """
        if self._is_over or self._is_idle or self._part != _NOTHING:
            return None
        if not self._answering.response_started and self._answering.scope["http_version"] != "1.1":
            return None  # HTTP/1.0 knows no interim answers to probe with
        self.cycle.keep_alive = False
        self._half_closed.set()
        self._probe(None)
        return True

    def shutdown(self) -> None:
        self._stopping = True
        super().shutdown()

    # The parser's callbacks.

    def on_message_begin(self) -> None:
        self._part = _HEAD
        self._forget()
        super().on_message_begin()
        self.scope["extensions"] = {HALF_CLOSED: {"event": self._half_closed}}

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > MOST_URL_BYTES:
            self._stop(414, "url_too_long", f"the URL is longer than {MOST_URL_BYTES} bytes")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields += 1
        self._field_bytes += len(name) + len(value) + 4
        if self._fields > MOST_FIELDS or self._field_bytes + len(self.url) > MOST_HEAD_BYTES:
            self._stop(431, "headers_too_large", _TOO_LARGE)
        if self._part == _HEAD:  # else a trailer, which must not pass for a header
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():  # `_feed` has it read again, as a request like any other
            return
        hosts = [value for name, value in self.headers if name == b"host"]
        version = self.parser.get_http_version()
        if len(hosts) != 1 and (hosts or version != "1.0"):
            self._stop(400, "invalid_host", "a request has one Host header")
        if hosts and not _HOST.fullmatch(hosts[0]):
            self._stop(400, "invalid_host", "the Host header is not valid")
        queued = len(self.pipeline)
        if queued >= _MOST_PIPELINED:
            self._stop(400, "too_many_requests", "too many requests at once on a connection")
        super().on_headers_complete()
        self._part, self._due_s = _BODY, None
        if len(self.pipeline) == queued:
            self._answering = self.cycle
        if self.expect_100_continue:  # if refused before its body, the connection can't go on
            self._keeps_alive = self.cycle.keep_alive
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        super().on_body(body)
        if self.cycle.response_complete:
            self._drop(len(body))

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        self._part, self._due_s = _NOTHING, None
        if self.expect_100_continue and not self._stopping and not self.cycle.response_started:
            self.cycle.keep_alive = self._keeps_alive
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self._answering = self.pipeline[-1][0] if self.pipeline else None
        super().on_response_complete()
        if self._part == _BODY and self._answering is None:  # its body is yet to end
            self._expect()

    # Bounds.

    def _forget(self) -> None:
        """Reset the counts: a request begins."""
        self._due_s = None
        self._fields = self._field_bytes = self._head_bytes = 0
        self._body_bytes = self._framing_bytes = self._dropped_bytes = 0

    @property
    def _is_idle(self) -> bool:
        """Return True if no answer is under way."""
        return self._answering is None

    def _feed(self, data: bytes) -> None:
        """Feed the parser. Raises _Refused."""
        while True:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:  # no other protocol is spoken: ignore it
                if self.parser.get_method() == b"CONNECT":
                    raise _Refused(400, "invalid_http", "this is no proxy") from None
                data = self._plain_head() + bytes(data[upgrade.args[0] :])
                self.parser = httptools.HttpRequestParser(self)
            except httptools.HttpParserError:
                if self._refusal:
                    raise self._refusal from None
                raise _Refused(400, "invalid_http", "this is not HTTP/1.1") from None

    def _plain_head(self) -> bytes:
        """Return the head that was just read, without its request to switch protocols."""
        lines = [b"%b %b HTTP/1.1\r\n" % (self.parser.get_method(), self.url)]
        for name, value in self.headers:
            if name == b"connection":
                tokens = [token.strip() for token in value.split(b",")]
                value = b", ".join(t for t in tokens if t.lower() not in _OF_UPGRADES)
            if name not in _OF_UPGRADES:
                lines.append(b"%b: %b\r\n" % (name, value))
        return b"".join([*lines, b"\r\n"])

    def _stop(self, status: int, code: str, message: str) -> None:
        """Raise _Refused from a parser callback; it is stored, as the parser replaces it with an error of
        its own.
        """
        self._refusal = _Refused(status, code, message)
        raise self._refusal

    def _check_so_far(self) -> None:
        if self._part == _HEAD and self._head_bytes > MOST_HEAD_BYTES:
            raise _Refused(431, "headers_too_large", _TOO_LARGE)
        if self._part == _BODY:
            carried = self._body_bytes
            if self._framing_bytes - carried > _MOST_FRAMING_BYTES + 2 * carried:
                raise _Refused(400, "invalid_http", "the body's chunks carry next to nothing")

    def _drop(self, size: int) -> None:
        self._dropped_bytes += size
        if self._dropped_bytes > _MOST_DRAINED_BYTES:
            self.transport.abort()

    def _refuse(self, refusal: _Refused) -> None:
        """Send the reason, and close; if an earlier answer is under way, close after that."""
        self._is_over, self._due_s, self._dropped_bytes = True, None, 0
        mine = self._part == _BODY
        if self._answering is not None and not (mine and self._answering is self.cycle):
            self.pipeline.clear()
            self._answering.keep_alive = False
            return
        if self._answering is not None:
            self._answering.disconnected = True
            self._answering.message_event.set()
            if self._answering.response_started:
                self.transport.close()
                return
        self.transport.write(b"".join(self._words(refusal)))
        if self.open_connections.lingering >= _MOST_LINGERING or not self.transport.can_write_eof():
            self.transport.close()
            return
        self._lingers = True
        self.open_connections.lingering += 1
        self.transport.write_eof()
        self._timer = self.loop.call_later(_LINGER_S, self.transport.abort)

    def _words(self, refusal: _Refused) -> list[bytes]:
        kind = "server_error" if refusal.status >= 500 else "invalid_request_error"
        error = {"message": refusal.message, "type": kind, "param": None, "code": refusal.code}
        body = orjson.dumps({"error": error})
        headers = [(name.encode(), value.encode()) for name, value in EVERYWHERE.items()]
        headers += [*self.server_state.default_headers, (b"content-type", b"application/json")]
        headers += [(b"content-length", str(len(body)).encode()), (b"connection", b"close")]
        if refusal.status == 503:
            headers.append((b"retry-after", b"1"))
        lines = [b"%b: %b\r\n" % each for each in headers]
        return [STATUS_LINE[refusal.status], *lines, b"\r\n", body]

    # Time.

    def _expect(self) -> None:
        """Start the time in which what has begun must be complete."""
        self._due_s = self.loop.time() + self.open_connections.bounds.request_s
        if self._timer is None or self._timer.when() > self._due_s:
            self._watch(self._due_s)

    def _watch(self, until_s: float) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self.loop.call_at(until_s, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._due_s is None:
            return
        now_s, due_s = self.loop.time(), self._due_s
        if self._part == _BODY:
            due_s += self._body_bytes / _LEAST_BYTES_PER_S
            if self.flow.read_paused or (self._answering is not None and self._answering.response_started):
                due_s = now_s + self.open_connections.bounds.request_s  # we are the ones who stopped reading
        if now_s < due_s:
            self._watch(due_s)
        elif self._part == _NOTHING or (self._is_idle and self._part == _BODY):
            self.transport.close()  # nothing was asked, or it was answered
        else:
            self._refuse(_Refused(408, "request_timeout", "the request did not come in time"))

    def _probe(self, before_s: float | None) -> None:
        """Write to a client that has closed its side: if it is gone, the write fails."""
        if self.transport.is_closing() or self._answering is None:
            return
        if not self._answering.response_started:
            self.transport.write(_CONTINUE)
        pause_s = next_probe(before_s)
        self.loop.call_later(pause_s, self._probe, pause_s)


_TOO_LARGE = f"the headers are over {MOST_HEAD_BYTES} bytes or {MOST_FIELDS} fields"
