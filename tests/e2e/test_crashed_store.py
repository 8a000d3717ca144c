"""A store that dies, hangs, comes back: answers survive it, and the gateway says when it can't work."""

import contextlib
import signal

import httpx
import pytest

from simulator.texts import ENGLISH
from tests.support.gateway_stack import PATH, Stack, user
from tests.support.processes import until

DRAFT = "One moment, please."


def assert_unavailable(stack: Stack) -> None:
    """A request is refused in time and in OpenAI's shape."""
    body = {"model": "full", "messages": [user("Hello")], "stream": True}
    answer = stack.client.post(PATH, json=body, timeout=httpx.Timeout(5))
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json()["error"]["code"] == "store_unavailable"
    assert stack.client.get("/readyz", timeout=5).status_code == 503
    assert stack.client.get("/healthz", timeout=5).status_code == 200


def assert_well(stack: Stack) -> None:
    """It works again by itself: every answer is whole at once, the draft speaks first before long."""
    until(stack.ready, what="the gateway's recovery")
    stack.simulator.draft(text=DRAFT)
    until(lambda: _lanes(stack) == ["draft", "full"], what="a draft before the full")


def _lanes(stack: Stack) -> list[str]:
    heard = stack.hear(stack.simulator.full(ttft_ms=500, text="That is all."))
    heard.assert_whole(DRAFT, "That is all.")
    return heard.lanes


@pytest.mark.parametrize("tpot_ms", [8, 4])
def test_an_answer_survives_the_death_of_the_store(fragile: Stack, tpot_ms: int) -> None:
    """At the quicker pace the model has ended before the store is back."""
    fragile.simulator.draft(text=DRAFT)
    with fragile.stream(fragile.simulator.full(ttft_ms=500, tpot_ms=tpot_ms)) as heard:
        heard.read_until_said("full", 30)
        fragile.store.kill()
        if tpot_ms == 4:
            until(lambda: fragile.simulator.all_quiet(), what="the end of the model's answer")
        fragile.store.start()
        heard.read()
    heard.assert_whole(DRAFT, ENGLISH.full)
    until(lambda: fragile.ended(heard.session), what="the ending in the log")
    assert "".join(r.text for r in fragile.refold(heard.session) if hasattr(r, "text")) == heard.text
    assert_well(fragile)


def test_an_answer_survives_a_store_that_hangs(fragile: Stack) -> None:
    fragile.simulator.draft(text=DRAFT)
    with fragile.stream(fragile.simulator.full(ttft_ms=500, tpot_ms=10)) as heard:
        heard.read_until_said("full", 30)
        fragile.store.pause()
        until(fragile.simulator.all_quiet, what="the end of the model's answer")
        fragile.store.resume()
        heard.read()
    heard.assert_whole(DRAFT, ENGLISH.full)
    assert_well(fragile)


def test_requests_are_refused_while_the_store_is_dead(fragile: Stack) -> None:
    fragile.store.kill()
    assert_unavailable(fragile)
    fragile.store.start()
    assert_well(fragile)


def test_requests_are_refused_while_the_store_hangs(fragile: Stack) -> None:
    fragile.store.pause()
    assert_unavailable(fragile)
    fragile.store.resume()
    assert_well(fragile)
    until(lambda: not fragile.redis.zcard("fr:leases"), what="the end of all leases")


def test_processes_end_and_start_without_their_store(fragile: Stack) -> None:
    """Told to go in the middle of an answer, while what they have to say cannot be written."""
    with fragile.stream(fragile.simulator.full(tpot_ms=20)) as heard:
        heard.read_until_said("full", 10)
        fragile.store.kill()
        others = [process for process in fragile.processes.values() if process.alive]
        for process in others:
            process.send(signal.SIGTERM)
        with contextlib.suppress(httpx.HTTPError):
            heard.read()
    for process in others:
        process.wait()
        process.start()
    until(lambda: _healthy(fragile), what="the API's start")
    assert_unavailable(fragile)
    fragile.store.start()
    assert_well(fragile)
    until(lambda: fragile.ended(heard.session), what="the ending in the log")


def _healthy(stack: Stack) -> bool:
    try:
        return stack.client.get("/healthz").status_code == 200
    except httpx.HTTPError:
        return False
