"""Requests that are sent again, to real processes: one generation, and every answer the same."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from simulator.texts import ENGLISH
from tests.support.gateway_stack import PATH, Stack, user
from tests.support.heard_stream import open_stream
from tests.support.processes import until

CALL = {"X-Task-Id": "call-1", "X-Request-Id": "request-1"}


def body(model: str, text: str = "Hello", **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": [user(text)], **fields}


def post(stack: Stack, number: int, model: str, headers: dict[str, str]) -> tuple[str, str, str]:
    """Ask, streamed or not, one replica or the other: the turn, the answer's id and its text."""
    client = stack.clients[number % 2]
    if number % 4 < 2:
        with open_stream(client, PATH, body(model, stream=True), headers) as stream:
            stream.read().assert_well_ended()
            return stream.headers["x-turn-id"], stream.events[0]["id"], stream.text
    answer = client.post(PATH, json=body(model), headers=headers)
    assert answer.status_code == 200, answer.text
    whole = answer.json()
    return answer.headers["x-turn-id"], whole["id"], whole["choices"][0]["message"]["content"]


@pytest.mark.parametrize("headers", [{"Idempotency-Key": "storm"}, CALL])
def test_a_retry_storm_is_one_generation_and_twenty_equal_answers(
    fragile: Stack, headers: dict[str, str]
) -> None:
    fragile.simulator.draft(text="One moment.")
    model = fragile.simulator.full(ttft_ms=200, tpot_ms=1)
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda number: post(fragile, number, model, headers), range(20)))
    assert len(set(answers)) == 1
    assert answers[0][2].endswith(ENGLISH.full)
    assert fragile.simulator.stats(model)["started"] == fragile.simulator.stats("draft")["started"] == 1
    assert post(fragile, 1, model, headers) == answers[0]
    assert len(fragile.simulator.requests(model)) == 1


def test_a_key_that_is_used_for_something_else_is_refused(fragile: Stack) -> None:
    model, key = fragile.simulator.full(text="Yes."), {"Idempotency-Key": "other"}
    first = fragile.clients[0].post(PATH, json=body(model), headers=key)
    assert first.status_code == 200
    refused = fragile.clients[1].post(PATH, json=body(model, "Bye"), headers=key)
    assert refused.status_code == 409
    assert refused.json()["error"]["code"] == "idempotency_key_reused"
    assert len(fragile.simulator.requests(model)) == 1


def test_a_retry_after_its_replica_died_goes_on_at_the_other(fragile: Stack) -> None:
    fragile.simulator.draft(text="One moment.")
    model, key = fragile.simulator.full(ttft_ms=50, tpot_ms=10), {"Idempotency-Key": "dying"}
    with fragile.stream(model, headers=key) as first:
        first.read_until_said("full", 20)
        fragile.api.kill()
        with pytest.raises(httpx.HTTPError):
            first.read()
    again = fragile.hear(model, headers=key, replica=1)
    again.assert_whole("One moment.", ENGLISH.full)
    assert again.text.startswith(first.text)
    assert again.headers["x-turn-id"] == first.headers["x-turn-id"]
    assert len(fragile.simulator.requests(model)) == 1


def test_the_next_turn_at_the_other_replica_remembers_what_was_heard(fragile: Stack) -> None:
    fragile.simulator.draft(text="One moment.")
    slow, quick = fragile.simulator.full(ttft_ms=50, tpot_ms=20), fragile.simulator.full(text="Yes.")
    with fragile.stream(slow, session_id="memory") as former:
        former.read_until_said("full", 20)
        later = fragile.hear(quick, session_id="memory", replica=1, messages=[user("And Sundays?")])
        former.read()
    later.assert_well_ended()
    assert former.ending["ended"] == "superseded"
    (sent,) = fragile.simulator.requests(quick)
    heard = {"role": "assistant", "content": former.text.strip()}
    assert sent["messages"] == [user("Hello"), heard, user("And Sundays?")]
    until(fragile.simulator.all_quiet, what="the stop of the first turn's models")
