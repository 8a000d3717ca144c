"""Models of other dialects: the full ERNIE's, its fallback Anthropic's, the draft Yandex's."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.gateway_stack import Simulator, Stack, user
from tests.support.processes import until
from tests.support.redis_replies import at_once

FULL = "The answer begins with this sentence. It has a second one, and with that it is over."
DRAFT = "Let me look at that for you."
CALL = {"name": "weather", "arguments": '{"city":"Bonn"}', "id": "t1"}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
SECRETS = re.compile(r"ernie-key|ernie-secret|yandex-key|anthropic-key|seal-secret|24\.[0-9a-f]{32}")


@pytest.fixture(scope="module")
def _foreign(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    settings = {
        "LLM_BASE_URL": f"ernie+{simulator.url}",
        "LLM_API_KEY": "ernie-key:ernie-secret",
        "SMALL_MODEL_BASE_URL": f"yandex+{simulator.url}/b1gfolder",
        "SMALL_MODEL_API_KEY": "yandex-key",
        "FAST_REPLY_FALLBACKS": (
            f'[{{"model": "second", "base_url": "anthropic+{simulator.url}", "api_key": "anthropic-key"}}]'
        ),
        "FAST_REPLY_SECRET_KEY": "a key of the tests",
        "FAST_REPLY_BREAKER_FAILURES": "0",
        "FAST_REPLY_LANE_LEASE_S": "1.2",
        "FAST_REPLY_RENEW_S": "0.2",
    }
    stack = Stack(simulator, tmp_path_factory.mktemp("foreign"), settings, full_workers=2)
    with stack.running():
        yield stack


@pytest.fixture
def foreign(_foreign: Stack, simulator: Simulator) -> Iterator[Stack]:
    _foreign.heal()
    simulator.reset()
    yield _foreign
    assert _foreign.bugs() == []
    for process in _foreign.processes.values():
        assert not SECRETS.search(process.words())


def issued(stack: Stack) -> int:
    """How many access tokens were asked for."""
    return int(stack.simulator.client.get("/simulator/tokens").json()["issued"])


def hear_many(stack: Stack, model: str, count: int) -> list[Any]:
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda number: stack.hear(model, session_id=f"{model}-{number}"), range(count)))


def test_fifty_parallel_turns_ask_for_one_token_and_go_on_when_it_expires(foreign: Stack) -> None:
    model = foreign.simulator.full(text=FULL)
    before = issued(foreign)
    for heard in hear_many(foreign, model, 50):
        heard.assert_well_ended()
        assert heard.text.endswith(FULL)
    assert issued(foreign) == before + 1

    foreign.simulator.client.delete("/simulator/tokens").raise_for_status()
    again = foreign.simulator.full(text=FULL)
    for heard in hear_many(foreign, again, 50):
        heard.assert_well_ended()
        assert heard.text.endswith(FULL)
    assert issued(foreign) == before + 2

    (key,) = foreign.redis.scan_iter("fr:token:*")
    rest = at_once(foreign.redis.get(key))
    assert rest and not SECRETS.search(rest.decode())


def test_yandex_drafts_and_ernie_takes_over(foreign: Stack) -> None:
    foreign.simulator.draft(text=DRAFT)
    heard = foreign.hear(foreign.simulator.full(ttft_ms=400, text=FULL))
    heard.assert_well_ended()
    assert heard.lanes == ["draft", "full"]
    assert heard.text == f"{DRAFT} {FULL}"
    (sent,) = foreign.simulator.requests("draft")
    assert sent["modelUri"] == "gpt://b1gfolder/draft"


def test_anthropic_goes_on_where_ernie_broke(foreign: Stack) -> None:
    foreign.simulator.change("second", text=FULL)
    foreign.simulator.draft(text="")
    heard = foreign.hear(foreign.simulator.full(text=FULL, cut_after=5))
    heard.assert_well_ended()
    assert heard.text == FULL
    assert foreign.simulator.stats("second")["finished"] == 1


def test_ernie_goes_on_from_a_note_when_its_worker_dies(foreign: Stack) -> None:
    foreign.simulator.draft(text="")
    model = foreign.simulator.full(text=FULL, stall_after=4)
    with foreign.stream(model, session_id="dies") as heard:
        heard.read_until_said("full", 4)
        foreign.simulator.change(model, text=" is over.")
        foreign.worker("dies", "full").kill()
        heard.read()
    heard.assert_well_ended()
    assert heard.text.endswith(" is over.")
    assert foreign.attempts("dies", "full") == [1, 2]
    *_, sent = foreign.simulator.requests(model)
    assert heard.text.removesuffix(" is over.") in sent["system"]
    assert sent["messages"][-1]["role"] == "user"


@pytest.mark.parametrize("dialect", ["ernie", "anthropic"])
def test_a_tool_call_and_its_result(foreign: Stack, dialect: str) -> None:
    model = (
        foreign.simulator.full(status=500)
        if dialect == "anthropic"
        else foreign.simulator.full(tool_calls=[CALL])
    )
    foreign.simulator.change("second", tool_calls=[CALL])
    answer = foreign.ask(model, tools=[TOOL])
    (choice,) = answer.json()["choices"]
    assert choice["finish_reason"] == "tool_calls"
    (call,) = choice["message"]["tool_calls"]
    assert call["function"] == {"name": "weather", "arguments": CALL["arguments"]}
    assert call["id"]

    for each in (model, "second"):
        foreign.simulator.change(each, text="It rains.")
    result = {"role": "tool", "tool_call_id": call["id"], "content": "rain"}
    messages = [user("Weather?"), {**choice["message"], "content": None}, result]
    answer = foreign.ask(model, tools=[TOOL], messages=messages, useProgressiveResponse=False)
    assert answer.json()["choices"][0]["message"]["content"] == "It rains."


def test_a_busy_model_is_waited_for_where_nobody_else_can_answer(foreign: Stack) -> None:
    foreign.simulator.change("second", status=429, retry_after_s=0.3)
    model = foreign.simulator.full(status=500)
    with foreign.stream(model) as heard:
        until(lambda: foreign.simulator.stats("second")["faulted"] >= 1)
        foreign.simulator.change("second", text=FULL)
        heard.read()
    heard.assert_well_ended()
    assert heard.text.endswith(FULL)
