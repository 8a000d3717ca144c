"""A gateway of canned answers, on the port of its first argument; ready when asked the second time."""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ASKED: list[str] = []


class Door(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/simulator/stats":
            self.answer(200, {"models": {"draft": {"live": 0, "cut_by_client": 1}}})
            return
        print("asked whether it is ready", flush=True)
        ASKED.append(self.path)
        full = len(ASKED) - 1
        self.answer(
            200 if full else 503, {"status": "ready", "workers": {"draft": 1, "full": full, "speech": 1}}
        )

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        for lane, text, ms in [
            ("draft", "One moment.", 212),
            ("full", " Here it is.", 1480),
            ("full", "", 1500),
        ]:
            chunk = {"choices": [{"delta": {"content": text}}], "fast_reply": {"lane": lane, "ms": ms}}
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")

    def answer(self, status: int, value: object) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(value).encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Door).serve_forever()
