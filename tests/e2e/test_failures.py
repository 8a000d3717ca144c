"""Models that fail: what of it the caller hears, and what not."""

from typing import Any

import pytest

from simulator.texts import ENGLISH
from simulator.tokens import split_tokens
from tests.support.gateway_stack import Stack
from tests.support.processes import until

FULL = "The answer begins with this sentence. It has a second one, and with that it is over."
FAULTS_BEFORE = {
    "refused": {"status": 500},
    "too busy": {"status": 429, "retry_after_s": 0.2},
    "cut": {"cut_after": 0},
    "error object": {"error_after": 0},
    "garbled": {"garble_after": 0},
    "ended early": {"text": "", "no_done": True},
    "silent": {"stall_headers": True},
}
MIDDLE = {
    "cut": ({"cut_after": 5}, "upstream_cut"),
    "error object": ({"error_after": 5}, "upstream_error"),
    "garbled": ({"garble_after": 5}, "upstream_garbled"),
    "silent": ({"stall_after": 5}, "upstream_stalled"),
}

ANSWERING = {"policy": {"draft": {"style": "answer"}}}
APOLOGY = {"policy": {"apology": {"phrases": {"en": ["Sorry, that didn't work."]}}}}


def by_name(cases: dict[str, Any]) -> list[Any]:
    params = {name: case if isinstance(case, tuple) else (case,) for name, case in cases.items()}
    return [pytest.param(*values, id=name) for name, values in params.items()]


@pytest.mark.parametrize("fault", by_name(FAULTS_BEFORE))
def test_a_draft_that_never_speaks_goes_unnoticed(stack: Stack, fault: dict[str, Any]) -> None:
    stack.simulator.draft(**fault)
    heard = stack.hear(stack.simulator.full(ttft_ms=200, text=FULL))
    heard.assert_well_ended()
    assert heard.text == FULL
    assert not heard.ending["degraded"]


@pytest.mark.parametrize(
    "fault",
    by_name({name: fault for name, (fault, _) in MIDDLE.items()} | {"ended early": {"no_done": True}}),
)
def test_a_draft_that_breaks_is_followed_by_the_full(stack: Stack, fault: dict[str, Any]) -> None:
    draft = "Good question, let me look at that for you."
    stack.simulator.draft(text=draft, **fault)
    heard = stack.hear(stack.simulator.full(ttft_ms=400, text=FULL))
    heard.assert_well_ended()
    assert heard.lanes == ["draft", "full"]
    said = "".join(split_tokens(draft)[:5])
    assert heard.text == (f"{draft} {FULL}" if "no_done" in fault else f"{said}… {FULL}")


@pytest.mark.parametrize("fault", by_name(FAULTS_BEFORE))
def test_the_draft_stands_where_the_full_fails_before_it_spoke(stack: Stack, fault: dict[str, Any]) -> None:
    stack.simulator.draft(text="I am afraid this takes a moment.")
    heard = stack.hear(stack.simulator.full(**fault), fast_reply=ANSWERING)
    heard.assert_well_ended()
    assert heard.text == "I am afraid this takes a moment."
    assert heard.lanes == ["draft"]
    assert heard.ending["degraded"]


def test_the_draft_is_heard_to_its_end_where_the_full_has_failed(stack: Stack) -> None:
    stack.simulator.draft(ttft_ms=300, tpot_ms=10)
    heard = stack.hear(stack.simulator.full(status=500), fast_reply=ANSWERING)
    heard.assert_well_ended()
    assert heard.text == ENGLISH.draft
    assert heard.ending["degraded"]


@pytest.mark.parametrize(("fault", "code"), by_name(MIDDLE))
def test_a_full_that_breaks_in_the_middle(stack: Stack, fault: dict[str, Any], code: str) -> None:
    stack.simulator.draft(text="One moment.")
    heard = stack.hear(stack.simulator.full(ttft_ms=400, text=FULL, **fault))
    heard.assert_failed(code)
    assert heard.text == "One moment. " + "".join(split_tokens(FULL)[:5])


def test_a_full_alone_that_breaks_in_the_middle(stack: Stack) -> None:
    model = stack.simulator.full(text=FULL, cut_after=5)
    heard = stack.hear(model, useProgressiveResponse=False)
    heard.assert_failed("upstream_cut")
    assert heard.text == "".join(split_tokens(FULL)[:5])


def test_an_answer_without_an_end_is_a_broken_one(stack: Stack) -> None:
    heard = stack.hear(stack.simulator.full(text=FULL, no_done=True), useProgressiveResponse=False)
    heard.assert_failed("upstream_cut")
    assert heard.text == FULL


@pytest.mark.parametrize(
    ("fault", "code"),
    by_name({"refused": ({"status": 500}, "upstream_refused"), "cut": ({"cut_after": 0}, "upstream_cut")}),
)
def test_both_fail_and_one_error_says_so(stack: Stack, fault: dict[str, Any], code: str) -> None:
    stack.simulator.draft(**fault)
    heard = stack.hear(stack.simulator.full(**fault))
    heard.assert_failed(code)
    assert heard.text == ""
    until(lambda: stack.ended(heard.session), what="the ending in the log")


@pytest.mark.parametrize(
    ("fault", "code", "status"),
    by_name(
        {
            "refused": ({"status": 500}, "upstream_refused", 502),
            "silent": ({"stall_headers": True}, "upstream_first_token_timeout", 504),
        }
    ),
)
def test_without_streaming_the_error_is_the_answer(
    stack: Stack, fault: dict[str, Any], code: str, status: int
) -> None:
    stack.simulator.draft(**fault)
    answer = stack.ask(stack.simulator.full(**fault))
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    assert answer.json()["error"]["code"] == code
    assert answer.headers["x-turn-id"]


def test_without_streaming_half_an_answer_is_an_error(stack: Stack) -> None:
    model = stack.simulator.full(text=FULL, cut_after=5)
    answer = stack.ask(model, useProgressiveResponse=False)
    assert answer.status_code == 502
    assert answer.json()["error"]["code"] == "upstream_cut"


def test_without_streaming_the_draft_stands_too(stack: Stack) -> None:
    stack.simulator.draft(text="One moment.")
    answer = stack.ask(stack.simulator.full(status=500), fast_reply=ANSWERING)
    assert answer.status_code == 200
    assert answer.json()["choices"][0]["message"]["content"] == "One moment."


@pytest.mark.parametrize("fault", by_name(FAULTS_BEFORE))
def test_after_a_bridge_the_caller_is_told_and_the_client_gets_the_error(
    stack: Stack, fault: dict[str, Any]
) -> None:
    stack.simulator.draft(text="Let me look at that for you.")
    model = stack.simulator.full(**fault)
    heard = stack.hear(model, fast_reply=APOLOGY)
    (error,) = heard.errors
    heard.assert_failed(error["code"])
    said = heard.text.removesuffix("Sorry, that didn't work.")
    assert said in ("Let me look at that for you. ", "")  # a full may fail before the draft has begun
    assert heard.lanes[-1] == "filler"
    assert not heard.ending["degraded"]
    answer = stack.ask(model, fast_reply=APOLOGY)
    assert answer.status_code >= 400
    assert answer.json()["error"]["code"] == error["code"]


@pytest.mark.parametrize("text", ["", " \n "])
def test_an_empty_answer_is_a_failed_one(stack: Stack, text: str) -> None:
    stack.simulator.draft(text="Let me look at that for you.")
    stack.hear(stack.simulator.full(text=text)).assert_failed("upstream_empty")


def test_an_error_never_repeats_the_servers_words(stack: Stack) -> None:
    stack.simulator.draft(status=503)
    heard = stack.hear(stack.simulator.full(status=503))
    assert "Simulated" not in "".join(heard.data)


def test_bytes_that_come_one_by_one_are_an_answer_like_any_other(stack: Stack) -> None:
    stack.simulator.draft(text="Один момент, пожалуйста.", dribble=True)
    model = stack.simulator.full(ttft_ms=500, text="Ответ: «да», и это всё. 答案。🙂", dribble=True)
    heard = stack.hear(model)
    heard.assert_well_ended()
    assert heard.said("full").lstrip() == "Ответ: «да», и это всё. 答案。🙂"
    assert "Один момент, пожалуйста.".startswith(heard.said("draft"))
