"""A headless browser driven over its own debugging protocol: https://chromedevtools.github.io/devtools-protocol/"""

import asyncio
import itertools
import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import httpx

from tests.support.processes import until

_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-proxy-server",
    "--remote-debugging-port=0",
    "--window-size=1000,800",
)


class Tab:
    """A tab of the browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the protocol; its result."""
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": params})
        while True:
            answer: dict[str, Any] = json.loads(await self._socket.receive_str())
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]  # type: ignore[no-any-return]

    async def run(self, script: str) -> Any:
        """The value of a JavaScript expression."""
        answer = await self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def until(self, script: str, within_s: float = 30.0) -> Any:
        """Wait until an expression is true; its value."""
        async with asyncio.timeout(within_s):
            while not (value := await self.run(script)):
                await asyncio.sleep(0.02)
        return value

    async def type(self, text: str) -> None:
        """Type into what has the focus, and press Enter."""
        await self.call("Input.insertText", text=text)
        for kind in ("keyDown", "keyUp"):
            await self.call(
                "Input.dispatchKeyEvent", type=kind, key="Enter", text="\r", windowsVirtualKeyCode=13
            )


@asynccontextmanager
async def open_tab(chromium: str, url: str, folder: Path) -> AsyncIterator[Tab]:
    """A browser of its own that shows this address; it is gone at the end."""
    with _browser(chromium, url, folder / "profile") as address:
        async with aiohttp.ClientSession() as http, http.ws_connect(address, max_msg_size=0) as socket:
            yield Tab(socket)


@contextmanager
def _browser(chromium: str, url: str, profile: Path) -> Iterator[str]:
    """Runs a browser; where its tab is spoken with."""
    command = [chromium, *_FLAGS, f"--user-data-dir={profile}", url]
    browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        port_file = profile / "DevToolsActivePort"
        until(lambda: port_file.exists() and "\n" in port_file.read_text(), 30, "the browser")
        port = port_file.read_text().partition("\n")[0]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            until(lambda: _tab(client), 30, "the browser's tab")
            yield _tab(client)
    finally:
        browser.kill()
        browser.wait()


def _tab(client: httpx.Client) -> str:
    pages = [target for target in client.get("/json").json() if target["type"] == "page"]
    return pages[0]["webSocketDebuggerUrl"] if pages else ""
