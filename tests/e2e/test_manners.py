"""The manners of the hand-over with real processes: fillers, continued answers, guards, hedges, fallbacks."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from common.events import Delta, LaneFinished, LaneStarted, TimerFired, TurnStarted
from common.store import keys
from simulator.tokens import split_tokens
from tests.support.gateway_stack import Simulator, Stack, user
from tests.support.heard_stream import Stream
from tests.support.processes import until

FULL = "The answer begins with this sentence. It has a second one, and with that it is over."
PHRASES = {"en": ["One moment, please.", "I am still looking."], "ru": ["Минуту."], "zh": ["请稍等。"]}
SPARE = "spare-model"
SHORT_WAITS = {
    "FAST_REPLY_FIRST_TOKEN_TIMEOUT_S": "1",
    "FAST_REPLY_NEXT_TOKEN_TIMEOUT_S": "1",
    "FAST_REPLY_RENEW_S": "0.1",
}


def prefix(kind: str, of_spare: str) -> dict[str, str]:
    """The settings of a gateway whose models, of which one is a spare, go on from a text in these ways."""
    spare = json.dumps([{"model": SPARE, "prefix": of_spare}])
    return {**SHORT_WAITS, "FAST_REPLY_FULL_PREFIX": kind, "FAST_REPLY_FALLBACKS": spare}


@pytest.fixture(scope="module")
def _noting(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("noting")
    with Stack(simulator, folder, prefix("note", "note")).running() as stack:
        yield stack


@pytest.fixture(scope="module")
def _flagging(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    settings = prefix("continue_final_message", "prefix")
    with Stack(simulator, tmp_path_factory.mktemp("flagging"), settings).running() as stack:
        yield stack


@pytest.fixture
def noting(_noting: Stack, simulator: Simulator) -> Iterator[Stack]:
    """A gateway with a spare model, whose servers are asked by a note to go on."""
    yield from _sound(_noting, simulator)


@pytest.fixture
def flagging(_flagging: Stack, simulator: Simulator) -> Iterator[Stack]:
    """The same with a flag, in the request or, for the spare model, in the message."""
    yield from _sound(_flagging, simulator)


def _sound(stack: Stack, simulator: Simulator) -> Iterator[Stack]:
    simulator.reset()
    simulator.change(SPARE, ttft_ms=0, text=FULL)
    before = len(stack.bugs())
    yield stack
    assert stack.bugs()[before:] == []


def hear(stack: Stack, model: str, *, said: str = "Hello", **policy: Any) -> Stream:
    return stack.hear(model, messages=[user(said)], fast_reply={"policy": policy})


def started(stack: Stack, session: str) -> TurnStarted:
    first = stack.log(session)[0].event
    assert isinstance(first, TurnStarted)
    return first


def fired(stack: Stack, session: str) -> list[TimerFired]:
    return [entry.event for entry in stack.log(session) if isinstance(entry.event, TimerFired)]


# Fillers.


def test_silence_is_filled_until_the_answer_begins(stack: Stack) -> None:
    stack.simulator.draft(stall_headers=True)
    model = stack.simulator.full(ttft_ms=1_250, text=FULL)
    filler = {"phrases": PHRASES, "delay_ms": 300, "interval_ms": 500, "maximum": 5}
    heard = hear(stack, model, filler=filler)
    heard.assert_well_ended()
    assert heard.lanes == ["filler", "full"]
    assert heard.said("full") == f" {FULL}"
    said = heard.said("filler")
    assert said in {" ".join(PHRASES["en"]), " ".join(reversed(PHRASES["en"]))}
    assert [event.number for event in fired(stack, heard.session)] == [10, 11]
    assert "".join(r.text for r in stack.refold(heard.session) if hasattr(r, "text")) == heard.text


@pytest.mark.parametrize(
    ("said", "phrase"), [("Когда вы открываетесь?", "Минуту."), ("你们几点开门？", "请稍等。")]
)
def test_a_filler_is_in_the_callers_language(stack: Stack, said: str, phrase: str) -> None:
    stack.simulator.draft(stall_headers=True)
    answer = "答案从这里开始。" if said.startswith("你") else "Ответ начинается здесь."
    model = stack.simulator.full(ttft_ms=700, text=answer)
    heard = hear(stack, model, said=said, filler={"phrases": PHRASES, "delay_ms": 200})
    assert heard.text == phrase + ("" if said.startswith("你") else " ") + answer


def test_a_prompt_answer_is_not_filled(stack: Stack) -> None:
    stack.simulator.draft(text="Let me see.")
    model = stack.simulator.full(ttft_ms=200, tpot_ms=60, text=FULL)
    heard = hear(stack, model, filler={"phrases": PHRASES, "delay_ms": 800, "maximum": 5})
    heard.assert_whole("Let me see.", FULL)
    assert fired(stack, heard.session) == []


# An answer that goes on from what the draft has said.

BRIDGE = "Let me see. I look it up for you. And this is never said, as it comes too late for that."


def going_on(stack: Stack, **fields: Any) -> tuple[Stream, dict[str, Any]]:
    """What is heard under `continue`, and what the full's model was asked."""
    stack.simulator.draft(text=BRIDGE, tpot_ms=40)
    model = stack.simulator.full(text=" The answer begins with this sentence.")
    handoff = {"join": "continue", "continue_wait_ms": 300}
    heard = stack.hear(model, fast_reply={"policy": {"handoff": handoff}}, **fields)
    heard.assert_well_ended()
    assert heard.lanes == ["draft", "full"]
    assert heard.text == heard.said("draft") + " The answer begins with this sentence."
    (body,) = stack.simulator.requests(model)
    return heard, body


def test_the_full_goes_on_from_the_drafts_words(stack: Stack) -> None:
    heard, body = going_on(stack)
    said = heard.said("draft")
    assert said in ("Let me see.", "Let me see. I look it up for you.")
    assert body["messages"] == [user("Hello"), {"role": "assistant", "content": said}]
    assert not {"continue_final_message", "add_generation_prompt"} & body.keys()


def test_a_server_that_wants_a_flag_for_that_gets_it(flagging: Stack) -> None:
    heard, body = going_on(flagging)
    assert body["messages"][-1] == {"role": "assistant", "content": heard.said("draft")}
    assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)


@pytest.mark.parametrize(
    ("said", "words"),
    [("How are you?", "Repeat none of it"), ("Как дела?", "не повторяйте"), ("你好吗？", "不要重复")],
)
def test_a_server_that_knows_none_gets_a_note_in_the_callers_language(
    noting: Stack, said: str, words: str
) -> None:
    heard, body = going_on(noting, messages=[user(said)])
    *talk, note = body["messages"]
    assert talk == [user(said)]
    assert note["role"] == "system"
    assert words in note["content"]
    assert heard.said("draft") in note["content"]


def test_where_the_full_fails_the_draft_that_was_held_back_goes_on(stack: Stack) -> None:
    stack.simulator.draft(text=BRIDGE, tpot_ms=20)
    model = stack.simulator.full(ttft_ms=900, status=500)
    handoff = {"join": "continue", "continue_wait_ms": 200}
    heard = hear(stack, model, handoff=handoff, draft={"style": "answer"})
    heard.assert_well_ended()
    assert heard.text == BRIDGE
    assert heard.ending["degraded"]


def test_a_model_is_not_waited_for_where_nothing_is_drafted(stack: Stack) -> None:
    model = stack.simulator.full(text=FULL)
    policy = {"handoff": {"join": "continue", "continue_wait_ms": 10_000}}
    heard = stack.hear(model, useProgressiveResponse=False, fast_reply={"policy": policy})
    assert heard.text == FULL
    assert heard.ending["ms"] < 5_000


# What a draft may not say.


@pytest.mark.parametrize(
    ("draft", "allowed"),
    [
        ("Good question. It costs 80 euros a night. Anything else? I wait.", "Good question."),
        ("Сейчас посмотрю. Мы вернём вам деньги завтра. Я ищу дальше.", "Сейчас посмотрю."),
    ],
)
def test_a_guarded_sentence_is_never_heard(stack: Stack, draft: str, allowed: str) -> None:
    stack.simulator.draft(text=draft, tpot_ms=10)
    heard = hear(stack, stack.simulator.full(ttft_ms=600, text=FULL), draft={"guard": True})
    heard.assert_well_ended()
    assert heard.text == f"{allowed} {FULL}"
    failed = hear(stack, stack.simulator.full(ttft_ms=600, status=500), draft={"guard": True})
    failed.assert_failed("upstream_refused")
    assert failed.text == allowed


def test_in_a_state_that_rules_it_out_nothing_is_drafted(stack: Stack) -> None:
    policy = {"draft": {"off_in_states": ["payment", "identity"]}}
    for state, drafts in (("payment", 0), ("greeting", 1)):
        stack.simulator.reset()
        model = stack.simulator.full(ttft_ms=300, text=FULL)
        heard = stack.hear(model, fast_reply={"policy": policy, "state": state})
        assert heard.text.endswith(FULL)
        assert len(stack.simulator.requests("draft")) == drafts
        assert bool(heard.said("draft")) == bool(drafts)


def test_a_draft_in_the_shadow_is_recorded_to_its_end_and_not_heard(stack: Stack) -> None:
    stack.simulator.draft(text=BRIDGE, tpot_ms=40)
    heard = hear(stack, stack.simulator.full(text=FULL), handoff={"shadow": True})
    heard.assert_well_ended()
    assert (heard.lanes, heard.text) == (["full"], FULL)

    def finished() -> list[LaneFinished]:
        ends = [e.event for e in stack.log(heard.session) if isinstance(e.event, LaneFinished)]
        return [end for end in ends if end.lane == "draft"]

    until(finished, what="the end of the draft")
    drafted = [e.event for e in stack.log(heard.session) if isinstance(e.event, Delta)]
    assert "".join(event.text for event in drafted if event.lane == "draft") == BRIDGE
    assert [end.reason for end in finished()] == ["stop"]
    assert stack.simulator.stats("draft")["cut_by_client"] == 0


# The switch of a whole tenant.


def test_full_only_silences_drafts_at_once(noting: Stack) -> None:
    noting.simulator.draft(text=BRIDGE * 5, tpot_ms=40)
    switch = keys.full_only("default")
    model = noting.simulator.full(ttft_ms=2_500, text=FULL)
    try:
        with noting.stream(model) as heard:
            heard.read_until_said("draft")
            noting.redis.set(switch, b"1")
            until(lambda: noting.simulator.stats("draft")["cut_by_client"] == 1, 2.0, "the draft's silence")
            heard.read()
        heard.assert_well_ended()
        assert heard.text.endswith(FULL)
        later = noting.hear(noting.simulator.full(ttft_ms=500, text=FULL))
        assert (later.lanes, later.text) == (["full"], FULL)
        assert noting.simulator.stats("draft")["started"] == 1
    finally:
        noting.redis.delete(switch)
    again = noting.hear(noting.simulator.full(ttft_ms=500, text=FULL))
    assert again.lanes == ["draft", "full"]


# A draft only where the full is slow.


def known(stack: Stack, first_token_ms: int) -> dict[str, Any]:
    """Let the gateway know the full's models as so quick; a policy of an adaptive draft."""
    stack.redis.delete(keys.pace("default", "fast-reply"))
    stack.redis.lpush(keys.pace("default", "fast-reply"), *[first_token_ms] * 50)
    return {"when": "adaptive", "slow_ms": 800, "hedge_ms": 400}


def hear_as(stack: Stack, drafting: str, policy: dict[str, Any], **behaviour: Any) -> Stream:
    """Ask until the replica has looked at the models' pace again and starts drafts so."""
    found: list[Stream] = []

    def asked() -> bool:
        stack.simulator.reset()
        stack.simulator.draft(text="One moment.")
        found.append(hear(stack, stack.simulator.full(text=FULL, **behaviour), draft=policy))
        return started(stack, found[-1].session).drafting == drafting

    until(asked, what=f"a draft that is {drafting}")
    return found[-1]


def test_a_full_known_as_quick_is_drafted_only_where_it_is_slow_this_time(stack: Stack) -> None:
    policy = known(stack, 100)
    quick = hear_as(stack, "late", policy, ttft_ms=0)
    assert (quick.lanes, quick.text) == (["full"], FULL)
    assert stack.attempts(quick.session, "draft") == []
    assert stack.simulator.stats("draft")["started"] == 0
    slow = hear_as(stack, "late", policy, ttft_ms=1_200)
    slow.assert_whole("One moment.", FULL)
    assert slow.said("draft") == "One moment."
    begun = [
        e for e in stack.log(slow.session) if isinstance(e.event, LaneStarted) and e.event.lane == "draft"
    ]
    assert begun[0].ms - stack.log(slow.session)[0].ms >= 400


def test_a_full_known_as_slow_is_drafted_at_once(stack: Stack) -> None:
    policy = known(stack, 5_000)
    heard = hear_as(stack, "on", {**policy, "hedge_ms": 60_000}, ttft_ms=500)
    heard.assert_whole("One moment.", FULL)
    assert heard.said("draft") == "One moment."


# Models that fail, and those that follow them.


SILENT: dict[str, dict[str, Any]] = {
    "says nothing": {"stall_headers": True},
    "says only blanks": {"text": " \n\n ", "stall_after": 1},
    "only thinks": {"reasoning": "Let me think about that.", "text": "", "no_done": True, "stall_after": 6},
}


@pytest.mark.parametrize(
    "fault", [{"status": 500}, {"cut_after": 0}, *SILENT.values()], ids=lambda f: str(f)[:30]
)
def test_a_model_that_says_nothing_is_followed_by_the_next(noting: Stack, fault: dict[str, Any]) -> None:
    model = noting.simulator.full(**fault)
    heard = noting.hear(model, useProgressiveResponse=False)
    heard.assert_well_ended()
    assert heard.text.strip() == FULL
    (body,) = noting.simulator.requests(SPARE)
    assert body["messages"] == [user("Hello")]
    assert not heard.ending["degraded"]


def test_a_silent_model_fails_by_its_own_deadline(noting: Stack) -> None:
    for fault in SILENT.values():
        noting.simulator.change(SPARE, status=500)
        noting.simulator.draft(text="One moment.")
        heard = hear(noting, noting.simulator.full(**fault), draft={"style": "answer"})
        heard.assert_well_ended()
        assert heard.text == "One moment."
        assert heard.ending["degraded"]


@pytest.mark.parametrize("how", [{"cut_after": 8}, {"stall_after": 8}, {"error_after": 8}], ids=str)
@pytest.mark.parametrize("kind", ["noting", "flagging"])
def test_an_answer_that_breaks_goes_on_with_the_next_model(
    request: pytest.FixtureRequest, kind: str, how: dict[str, Any]
) -> None:
    stack = request.getfixturevalue(kind)
    tokens = split_tokens(FULL)
    said, rest = "".join(tokens[:8]), "".join(tokens[8:])
    stack.simulator.change(SPARE, ttft_ms=0, text=rest)
    model = stack.simulator.full(text=FULL, **how)
    heard = stack.hear(model, useProgressiveResponse=False)
    heard.assert_well_ended()
    assert heard.text == FULL
    assert stack.attempts(heard.session, "full") == [1]
    (body,) = stack.simulator.requests(SPARE)
    last = body["messages"][-1]
    if kind == "noting":
        assert said in last["content"]
    else:
        assert last == {"role": "assistant", "content": said, "prefix": True}


def test_the_next_model_goes_on_from_the_draft_as_well(noting: Stack) -> None:
    noting.simulator.draft(text="Let me see.")
    model = noting.simulator.full(text=" The answer begins here.", cut_after=2)
    noting.simulator.change(SPARE, ttft_ms=0, text=" begins here.")
    heard = hear(noting, model, handoff={"join": "continue", "continue_wait_ms": 2_000})
    heard.assert_well_ended()
    assert heard.text == "Let me see. The answer begins here."
    (body,) = noting.simulator.requests(SPARE)
    assert "Let me see. The answer" in body["messages"][-1]["content"]


def test_where_the_spare_model_fails_too_the_draft_answers(noting: Stack) -> None:
    noting.simulator.change(SPARE, status=503)
    noting.simulator.draft(text="One moment.")
    heard = hear(noting, noting.simulator.full(status=500), draft={"style": "answer"})
    heard.assert_well_ended()
    assert heard.text == "One moment."
    assert heard.ending["degraded"]
    assert len(noting.simulator.requests(SPARE)) == 1
