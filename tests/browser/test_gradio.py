"""The Gradio page in a real browser, against the real gateway; skipped where either is missing."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.support.devtools import Tab, open_tab
from tests.support.gateway_stack import Stack
from tests.support.processes import Process, free_port, until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("gradio") is None, reason="no Gradio here: make test-slow installs it"),
]

DRAFT = 'It\'s "*there*" & <b>here</b>, &#35;1.'
# What the newest answer shows, and whether the page waits for the next question.
STATE = """(() => {
  const answer = [...document.querySelectorAll("[data-testid=bot]")].at(-1);
  const of = (what) => [...(answer?.querySelectorAll(what) ?? [])].map((e) => e.textContent).join(" ");
  return { draft: of(".not-full"), all: of("p"), strong: of("strong"), times: of(".times"),
           failed: of(".failed"), idle: document.querySelector(".submit-button") !== null,
           answers: document.querySelectorAll("[data-testid=bot]").length };
})()"""
Check = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def page(gateway: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page's address; it asks the model `page`."""
    port = free_port()
    options = ("--url", gateway.url, "--key", "sk-page", "--model", "page", "--port", str(port))
    log = tmp_path_factory.mktemp("page") / "page.log"
    process = Process("page", (sys.executable, "-m", "cli.main", "gradio", *options), {}, log)
    process.start()
    try:
        until(lambda: "The chat is at" in process.words(), 60, "the page")
        yield f"http://127.0.0.1:{port}/"
        assert "Traceback" not in process.words(), process.words()
    finally:
        process.kill()


@asynccontextmanager
async def opened(chromium: str, page: str, folder: Path) -> AsyncIterator[Tab]:
    async with open_tab(chromium, page, folder) as tab:
        await tab.until("document.activeElement?.tagName === 'TEXTAREA'")
        yield tab


async def sees(tab: Tab, check: Check) -> dict[str, Any]:
    """Wait until what the page shows is right; what it shows then."""
    state: dict[str, Any] = {}
    try:
        async with asyncio.timeout(30):
            while not check(state := await tab.run(STATE)):
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(f"the page still shows {json.dumps(state)}")
    return state


def test_the_draft_is_set_apart_the_full_takes_over_and_the_gateway_remembers(
    gateway: Stack, chromium: str, page: str, tmp_path: Path
) -> None:
    simulator = gateway.simulator
    simulator.reset()
    simulator.draft(text=DRAFT)
    simulator.change("page", text="The **answer**, 答案.", ttft_ms=3000)

    async def chat() -> None:
        async with opened(chromium, page, tmp_path) as tab:
            await tab.type("What is it?")
            drafted = await sees(tab, lambda state: state["draft"] == DRAFT)
            assert "答案" not in drafted["all"] and not drafted["idle"]

            answered = await sees(tab, lambda state: state["idle"])
            assert answered["draft"] == DRAFT and answered["strong"] == "answer"
            assert "The answer, 答案." in answered["all"]
            assert answered["times"].split()[::4] == ["draft", "full", "end"]

            simulator.change("page", text="Once more.")
            await tab.type("And again?")
            await sees(tab, lambda state: state["answers"] == 2 and state["idle"])

            await tab.run(
                "[...document.querySelectorAll('button')].find((b) => b.innerText === 'New chat').click()"
            )
            await sees(tab, lambda state: state["answers"] == 0)
            await tab.run("document.querySelector('textarea').focus()")
            await tab.type("Who are you?")
            await sees(tab, lambda state: state["answers"] == 1 and state["idle"])

    asyncio.run(chat())
    first, second, third = ([m["content"] for m in body["messages"]] for body in simulator.requests("page"))
    assert first[-1] == "What is it?" and len(second) == len(first) + 2
    assert second[-3] == "What is it?" and second[-2].endswith("The **answer**, 答案.")
    assert third[-1] == "Who are you?" and len(third) == len(first)


def test_stopping_stops_the_models_too(gateway: Stack, chromium: str, page: str, tmp_path: Path) -> None:
    simulator = gateway.simulator
    simulator.reset()
    simulator.draft(text="Well.")
    simulator.change("page", text="One two three. " * 200, tpot_ms=50)

    async def chat() -> dict[str, Any]:
        async with opened(chromium, page, tmp_path) as tab:
            await tab.type("Count.")
            await sees(tab, lambda state: "One two" in state["all"])
            await tab.run("document.querySelector('.stop-button').click()")
            stopped = await sees(tab, lambda state: state["idle"])
            simulator.change("page", text="Yes?")
            await tab.type("Thank you.")
            await sees(tab, lambda state: "Yes?" in state["all"] and state["idle"])
            return stopped

    stopped = asyncio.run(chat())
    assert simulator.stats("page")["cut_by_client"] == 1
    session = gateway.client.get("/v1/sessions", params={"limit": 1}).json()["data"][0]["id"]
    turns = gateway.client.get(f"/v1/sessions/{session}").json()["turns"]
    assert [turn["reason"] for turn in turns] == ["interrupted", "stop"]
    said = stopped["all"].removesuffix(stopped["times"])
    assert said.split() == turns[0]["text"].split()


def test_a_failure_is_told_in_the_chat(gateway: Stack, chromium: str, page: str, tmp_path: Path) -> None:
    gateway.simulator.reset()
    gateway.simulator.draft(status=400)
    gateway.simulator.change("page", status=400)

    async def chat() -> None:
        async with opened(chromium, page, tmp_path) as tab:
            await tab.type("Hello")
            assert (await sees(tab, lambda state: state["idle"] and state["answers"]))["failed"]

    asyncio.run(chat())
