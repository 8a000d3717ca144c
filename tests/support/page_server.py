"""Serves a page, passes its other requests on to the gateway, and breaks those off that it is told to."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx


class PageServer(ThreadingHTTPServer):
    """One page at /, what it reports to /report, the gateway behind everything else."""

    daemon_threads = True

    def __init__(self, page: str, gateway: str, cut_after: list[int]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.page, self.cut_after = page, cut_after  # bytes after which the next answers are broken off
        self.gateway = httpx.Client(base_url=gateway, timeout=30, trust_env=False)
        self.cursors: list[str | None] = []  # the Last-Event-ID of each request to the gateway
        self.statuses: list[int] = []
        self.report: Any = None
        self.reported = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class _Handler(BaseHTTPRequestHandler):
    server: PageServer

    def do_GET(self) -> None:
        if self.path == "/":
            self._answer(200, {"Content-Type": "text/html; charset=utf-8"}, self.server.page.encode())
        elif self.path == "/favicon.ico":
            self._answer(404, {}, b"")
        else:
            self._pass_on()

    def do_POST(self) -> None:
        self.server.report = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(200, {}, b"")
        self.server.reported.set()

    def _pass_on(self) -> None:
        cursor = self.headers.get("Last-Event-ID")
        headers = {"Accept": self.headers["Accept"], **({"Last-Event-ID": cursor} if cursor else {})}
        with self.server.gateway.stream("GET", self.path, headers=headers) as response:
            self.server.cursors.append(cursor)
            self.server.statuses.append(response.status_code)
            self._begin(response.status_code, {"Content-Type": response.headers.get("Content-Type", "")})
            left = self.server.cut_after.pop(0) if self.server.cut_after else None
            for piece in response.iter_raw():
                self.wfile.write(piece if left is None else piece[:left])
                self.wfile.flush()
                left = left if left is None else left - len(piece)
                if left is not None and left <= 0:
                    break  # in the middle of an event, as a network does it

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self._begin(status, headers)
        self.wfile.write(body)

    def _begin(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Connection": "close"}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a test's words are its own."""


@contextmanager
def serving(page: str, gateway: str, cut_after: list[int]) -> Iterator[PageServer]:
    """A page server that is up."""
    server = PageServer(page, gateway, cut_after)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        server.gateway.close()
