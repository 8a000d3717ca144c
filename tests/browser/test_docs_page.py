"""The page that shows the API, in a browser that holds it to its Content-Security-Policy."""

import asyncio
from pathlib import Path

from tests.support.devtools import open_tab
from tests.support.gateway_stack import Stack

WATCH = """
window.refused = [];
addEventListener("securitypolicyviolation", (event) => refused.push(event.effectiveDirective));
"""


def test_the_page_shows_every_route_within_its_policy(gateway: Stack, chromium: str, tmp_path: Path) -> None:
    asyncio.run(_look(chromium, gateway.url, tmp_path))


async def _look(chromium: str, url: str, folder: Path) -> None:
    async with open_tab(chromium, "about:blank", folder) as tab:
        await tab.call("Page.enable")
        await tab.call("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
        await tab.call("Page.navigate", url=f"{url}/docs")
        await tab.until("document.querySelectorAll('.opblock').length > 10")
        await tab.run(
            "document.querySelector('#operations-chat-chat_completions .opblock-summary-control').click()"
        )
        await tab.until(
            "document.querySelector('.opblock-body .example, .opblock-body .highlight-code') !== null"
        )
        assert await tab.run("refused") == []
