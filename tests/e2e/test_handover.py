"""The draft speaks, the full takes over: where, and with what."""

import asyncio

import httpx
import pytest

from simulator.texts import CHINESE, ENGLISH
from simulator.tokens import split_tokens
from tests.support.gateway_stack import PATH, Stack, user
from tests.support.processes import until

FULL = "The answer begins with this sentence. It has a second one, and with that it is over."
FIRST_WORDS = "".join(split_tokens(FULL)[:3])
SLOW = {"ttft_ms": 0, "tpot_ms": 18}


def stuck_after(sentence_and_a_half: str) -> dict[str, object]:
    """A draft that says so much at once and then no more."""
    return {"text": sentence_and_a_half + " and", "stall_after": len(split_tokens(sentence_and_a_half))}


def test_the_draft_speaks_first_and_the_full_takes_over(stack: Stack) -> None:
    stack.simulator.draft(ttft_ms=0, tpot_ms=50)
    heard = stack.hear(stack.simulator.full(ttft_ms=800, text=FULL))
    assert heard.lanes == ["draft", "full"]
    heard.assert_whole(ENGLISH.draft, FULL)
    assert heard.ending == {"ended": "stop", "ms": heard.ending["ms"], "degraded": False}
    until(lambda: stack.simulator.stats("draft")["cut_by_client"] == 1, what="the draft's cut")
    assert stack.simulator.stats("draft") == {
        "started": 1, "finished": 0, "cut_by_client": 1, "faulted": 0, "live": 0, "most_live": 1,
    }  # fmt: skip


def test_the_log_folded_anew_says_what_was_heard(stack: Stack) -> None:
    stack.simulator.draft(**SLOW)
    heard = stack.hear(stack.simulator.full(ttft_ms=600, text=FULL))
    until(lambda: stack.ended(heard.session), what="the ending in the log")
    (ended,) = stack.ended(heard.session)
    said = [release.text for release in stack.refold(heard.session) if hasattr(release, "text")]
    assert "".join(said) == heard.text
    assert (ended.reason, ended.released) == ("stop", len(heard.text))


def test_chinese_is_joined_without_a_space(stack: Stack) -> None:
    stack.simulator.draft(**SLOW)
    model = stack.simulator.full(ttft_ms=700, text="答案从这里开始。然后是第二句。")
    heard = stack.hear(model, messages=[user("解释一下量子计算的基本原理")])
    assert heard.lanes == ["draft", "full"]
    assert CHINESE.draft.startswith(heard.said("draft"))
    assert heard.said("full") == "答案从这里开始。然后是第二句。"
    assert heard.text == heard.said("draft") + heard.said("full")


def test_a_full_that_is_quicker_speaks_alone(stack: Stack) -> None:
    stack.simulator.draft(ttft_ms=1500)
    heard = stack.hear(stack.simulator.full(ttft_ms=0, text=FULL))
    heard.assert_well_ended()
    assert heard.lanes == ["full"]
    assert heard.text == FULL
    until(lambda: stack.simulator.all_quiet(), what="the draft's end")
    assert stack.simulator.stats("draft")["finished"] == 0


def test_a_draft_that_has_ended_is_followed_by_the_full(stack: Stack) -> None:
    stack.simulator.draft(text="One moment, please.")
    heard = stack.hear(stack.simulator.full(ttft_ms=500, text=FULL))
    heard.assert_whole("One moment, please.", FULL)
    assert heard.said("draft") == "One moment, please."


# When the full overtakes. A full that breaks before it has overtaken was never heard.


@pytest.mark.parametrize("when", ["first_token", "sentence"])
def test_when_a_few_words_of_the_full_are_there(stack: Stack, when: str) -> None:
    stack.simulator.draft(**SLOW)
    model = stack.simulator.full(ttft_ms=600, text=FULL, cut_after=3)
    policy = {"handoff": {"when": when, "cut": "now", "join": "append"}, "draft": {"style": "answer"}}
    heard = stack.hear(model, fast_reply={"policy": policy})
    if when == "first_token":
        assert heard.lanes == ["draft", "full"]
        assert heard.said("full").lstrip() == FIRST_WORDS
        heard.assert_failed("upstream_cut")
    else:
        assert heard.text == ENGLISH.draft
        assert heard.ending["degraded"]


@pytest.mark.parametrize("when", ["sentence", "length"])
def test_when_the_full_has_a_sentence_but_less_than_the_draft_has_said(stack: Stack, when: str) -> None:
    stack.simulator.draft(**SLOW)
    tokens = len(split_tokens("The answer begins with this sentence. It"))
    model = stack.simulator.full(ttft_ms=600, text=FULL, cut_after=tokens)
    policy = {"handoff": {"when": when, "cut": "now"}, "draft": {"style": "answer"}}
    heard = stack.hear(model, fast_reply={"policy": policy})
    if when == "sentence":
        assert heard.said("full").strip() == "The answer begins with this sentence. It"
    else:
        assert heard.text == ENGLISH.draft


def test_when_the_full_is_as_long_as_what_was_said(stack: Stack) -> None:
    stack.simulator.draft(**stuck_after(ENGLISH.draft[:43]))
    model = stack.simulator.full(ttft_ms=500, text=FULL)
    heard = stack.hear(model, fast_reply={"policy": {"handoff": {"when": "length"}}})
    heard.assert_whole(ENGLISH.draft, FULL)
    assert heard.said("draft") == ENGLISH.draft[:43]


def test_enough_characters_overtake_without_a_sentence(stack: Stack) -> None:
    stack.simulator.draft(**stuck_after(ENGLISH.draft[:43]))
    model = stack.simulator.full(ttft_ms=500, text=FULL, cut_after=3)
    policy = {"handoff": {"min_chars": len(FIRST_WORDS), "cut": "now", "join": "append"}}
    heard = stack.hear(model, fast_reply={"policy": policy})
    assert heard.said("full").strip() == FIRST_WORDS


# Where the draft stops.


def test_the_draft_is_cut_at_once(stack: Stack) -> None:
    stack.simulator.draft(**stuck_after("Good question, let me"))
    model = stack.simulator.full(ttft_ms=500, text=FULL)
    heard = stack.hear(model, fast_reply={"policy": {"handoff": {"when": "first_token", "cut": "now"}}})
    heard.assert_well_ended()
    assert heard.text == "Good question, let me " + FULL


def test_the_draft_may_finish_its_sentence(stack: Stack) -> None:
    opening = "This opening of the draft is long, as it is to go on for more than a while yet, word by word. "
    stack.simulator.draft(text=opening + "Never to be heard, however long it goes on.", tpot_ms=25)
    long_full = "The " + "long, " * 30 + "end of it. And then one more."
    model = stack.simulator.full(ttft_ms=400, tpot_ms=20, text=long_full)
    policy = {"handoff": {"when": "first_token", "cut": "sentence", "overrun_chars": 500}}
    heard = stack.hear(model, fast_reply={"policy": policy})
    heard.assert_whole(opening, long_full)
    assert heard.said("draft") == opening.rstrip()


def test_a_draft_that_never_ends_its_sentence_is_not_waited_for(stack: Stack) -> None:
    stack.simulator.draft(**stuck_after("Good question, let me"))
    heard = stack.hear(stack.simulator.full(ttft_ms=500, text=FULL))
    heard.assert_well_ended()
    assert heard.text == "Good question, let me… " + FULL


def test_whole_sentences_of_the_draft_only(stack: Stack) -> None:
    stack.simulator.draft(**stuck_after("Good question. Let me look"))
    model = stack.simulator.full(ttft_ms=500, text=FULL)
    heard = stack.hear(model, fast_reply={"policy": {"draft": {"release": "sentence"}}})
    heard.assert_well_ended()
    assert heard.text == "Good question. " + FULL
    assert heard.said("draft") == "Good question."


# How long it may be, and how long it may take.


def test_a_turn_is_cut_at_its_most_characters(stack: Stack) -> None:
    model = stack.simulator.full(text=FULL, tpot_ms=5)
    heard = stack.hear(model, useProgressiveResponse=False, fast_reply={"policy": {"max_chars": 20}})
    heard.assert_well_ended("length")
    assert heard.text == FULL[:20]
    until(lambda: stack.simulator.all_quiet(), what="the stop of the model")


def test_a_turn_past_its_deadline_ends_with_one_error(stack: Stack) -> None:
    stack.simulator.draft(stall_headers=True)
    model = stack.simulator.full(stall_headers=True)
    short = {"policy": {"deadline_ms": 1000}}
    with stack.stream(model, fast_reply=short) as heard:
        whole = stack.ask(model, fast_reply=short)
        heard.read()
    heard.assert_failed("turn_deadline")
    assert heard.text == ""
    assert whole.status_code == 504
    assert whole.json()["error"]["code"] == "turn_deadline"
    until(lambda: stack.simulator.stats(model)["cut_by_client"] == 2, what="the full's stop")


def test_a_finished_draft_stands_where_the_deadline_comes_first(stack: Stack) -> None:
    stack.simulator.draft(text="One moment, please.")
    model = stack.simulator.full(stall_headers=True)
    policy = {"deadline_ms": 1000, "draft": {"style": "answer"}}
    heard = stack.hear(model, fast_reply={"policy": policy})
    heard.assert_well_ended()
    assert heard.text == "One moment, please."
    assert heard.ending["degraded"]


def test_a_later_turn_of_the_session_ends_the_one_before(stack: Stack) -> None:
    stack.simulator.draft(text="One moment, please.")
    first, second = stack.simulator.full(stall_headers=True), stack.simulator.full(text=FULL)
    with stack.stream(first, session_id="barge-in") as before:
        before.read_until_said("draft")
        after = stack.hear(second, session_id="barge-in")
        before.read()
    after.assert_well_ended()
    before.assert_well_ended("length")
    assert before.ending["ended"] == "superseded"
    until(lambda: stack.simulator.all_quiet(), what="the stop of the first turn's models")
    assert stack.simulator.stats(first)["cut_by_client"] == 1


def test_many_turns_at_once_each_have_their_own_words(stack: Stack) -> None:
    stack.simulator.draft(text="One moment.")
    model = stack.simulator.full(ttft_ms=500, tpot_ms=10)

    async def ask(client: httpx.AsyncClient, number: int) -> str:
        words = {"text": f"This is the answer to the caller of number {number}, and to nobody else."}
        body = {"model": model, "messages": [user(f"I am {number}.")], "simulate": words}
        answer = await client.post(PATH, json=body)
        return str(answer.json()["choices"][0]["message"]["content"])

    async def ask_all() -> list[str]:
        async with httpx.AsyncClient(base_url=stack.url, timeout=30, trust_env=False) as client:
            return await asyncio.gather(*(ask(client, number) for number in range(50)))

    answers = asyncio.run(ask_all())
    for number, answer in enumerate(answers):
        assert answer.endswith(f"This is the answer to the caller of number {number}, and to nobody else.")
        assert answer.startswith(("One moment.", "This"))
    until(stack.simulator.all_quiet, what="the end of all streams")
