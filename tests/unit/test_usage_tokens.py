"""What turns cost: what servers told of it, what is estimated, and that clients are told the same."""

import math
from typing import Any

import pytest

from common.events import Event, TurnStarted
from common.tenants.usage import Account, tokens
from common.turn.token_counts import asked_bytes
from tests.support.told_costs import cost, counted, summed, told
from tests.support.turn_events import begin, end, endings, extra, fold_all, say, started
from workers.prompts import body_for


def asking(**lanes: Any) -> TurnStarted:
    first = started(**lanes)
    first.request["messages"] = [
        {"role": "user", "content": [{"type": "text", "text": "What is the time"}, {"type": "image_url"}]}
    ]
    return first


def test_what_no_server_told_is_estimated_from_the_text_and_said_to_be() -> None:
    turn = told(
        asking(draft=False),
        begin("full"),
        say("full", 0, "It is 9. "),
        say("full", 0, "It is 9. "),  # its reply was lost: it was written again
        say("full", 9, "Good day"),
    )
    counts = counted(turn)
    assert counts["full_completion_tokens"] == 5  # 17 bytes
    assert counts["full_prompt_tokens"] == 5  # "What is the time" and a space before the picture's nothing
    assert counts["estimated_tokens"] == 10


def test_what_a_worker_guessed_is_estimated_by_the_one_rule() -> None:
    """Recordings of earlier versions have such guesses: pieces were counted."""
    turn = told(
        asking(draft=False),
        begin("full"),
        say("full", 0, "It is 9."),
        end("full", "cancelled", at=8, usage=cost(0, 3, estimated=True)),
    )
    counts = counted(turn)
    assert (counts["full_prompt_tokens"], counts["full_completion_tokens"]) == (5, 2)
    assert counts["estimated_tokens"] == 7


def test_a_lane_that_said_nothing_or_never_began_costs_nothing() -> None:
    turn = told(asking(), begin("full"), end("full", "cancelled", usage=cost(0, 0, estimated=True)))
    assert counted(turn) == {"turns": 1}


def test_every_attempt_is_paid_for() -> None:
    turn = told(
        asking(draft=False),
        begin("full"),
        say("full", 0, "We open "),  # its worker died: 8 bytes
        begin("full", 2),
        say("full", 8, "at ", 2),
        end("full", "handed_over", 2, usage=cost(40, 1), at=11),
        begin("full", 3),
        say("full", 11, "nine.", 3),
        end("full", attempt=3, usage=cost(50, 2), at=16),
        end("full", attempt=3, usage=cost(50, 2), at=16),
    )
    counts = counted(turn)
    assert counts["full_prompt_tokens"] == 5 + 40 + 50
    assert counts["full_completion_tokens"] == 2 + 1 + 2
    assert counts["estimated_tokens"] == 7


NO_COUNTS: list[Any] = [None, "12", "n/a", -5, 1.5, 1e300, 10**30, math.nan, math.inf, True, [], {"a": 1}]


@pytest.mark.parametrize("told_tokens", NO_COUNTS)
def test_what_is_no_count_is_estimated(told_tokens: Any) -> None:
    usage = {"prompt_tokens": told_tokens, "completion_tokens": told_tokens, "total_tokens": told_tokens}
    events: list[Event] = [begin("full"), say("full", 0, "Yes, sir."), end("full", at=9, usage=usage)]
    fold, out = fold_all(started(draft=False), events)
    assert endings(out)[0].reason == "stop"
    assert fold.usage()["sum"] == summed(1, 3)  # "Hi" was asked
    counts = counted(told(started(draft=False), *events))
    assert counts == {
        "turns": 1,
        "full_prompt_tokens": 1,
        "full_completion_tokens": 3,
        "estimated_tokens": 4,
    }


@pytest.mark.parametrize(
    "usage", [[], "x", 7, {}, {"prompt_tokens": 7}, {"prompt_tokens": 7, "x": {"y": [1]}}]
)
def test_a_usage_of_any_shape_spoils_nothing(usage: Any) -> None:
    fold, _ = fold_all(
        started(draft=False), [begin("full"), say("full", 0, "Yes."), end("full", usage=usage)]
    )
    known = isinstance(usage, dict) and "prompt_tokens" in usage
    assert fold.usage()["sum"] == summed(7 if known else 1, 1)


def test_whole_fractions_and_details_are_believed() -> None:
    usage = {
        **cost(9.0, 4),
        "prompt_tokens_details": {"cached_tokens": 5, "audio_tokens": None, "x": "y"},
        "completion_tokens_details": {"reasoning_tokens": 2, "deep": {"er": 1}},
        "cost": 0.1,
    }
    fold, _ = fold_all(
        started(draft=False), [begin("full"), say("full", 0, "Yes."), end("full", usage=usage)]
    )
    assert fold.usage()["sum"] == {
        **summed(9, 4),
        "prompt_tokens_details": {"cached_tokens": 5},
        "completion_tokens_details": {"reasoning_tokens": 2},
    }


@pytest.mark.parametrize(
    ("usage", "prompt", "completion"),
    [
        ({"total_tokens": 9}, 8, 1),
        ({"total_tokens": 1}, 1, 1),  # "Yes." is one; something was asked
        ({"total_tokens": 9, "prompt_tokens": 4}, 4, 5),
        ({"total_tokens": 9, "completion_tokens": 4}, 5, 4),
        ({"total_tokens": 99, "prompt_tokens": 4, "completion_tokens": 3}, 4, 3),
        ({"total_tokens": 2, "prompt_tokens": 4}, 4, 1),
        ({"total_tokens": 0}, 1, 1),
    ],
)
def test_a_total_is_believed_alike_for_the_lane_and_the_turn(
    usage: dict[str, int], prompt: int, completion: int
) -> None:
    events: list[Event] = [begin("full"), say("full", 0, "Yes."), end("full", at=4, usage=usage)]
    fold, _ = fold_all(started(draft=False), events)
    assert fold.usage()["sum"] == summed(prompt, completion)
    assert fold.usage()["full"]["total_tokens"] == prompt + completion
    counts = counted(told(started(draft=False), *events))
    assert (counts["full_prompt_tokens"], counts["full_completion_tokens"]) == (prompt, completion)


def test_details_of_both_lanes_are_told_in_the_sum() -> None:
    def usage(cached: int, thought: int) -> dict[str, Any]:
        details = {"prompt_tokens_details": {"cached_tokens": cached}}
        return cost(100, 8, **details, completion_tokens_details={"reasoning_tokens": thought})

    events: list[Event] = [
        begin("draft"),
        begin("full"),
        say("draft", 0, "Well. "),
        end("draft", usage=usage(64, 0), at=6),
        say("full", 0, "Yes."),
        end("full", usage=usage(32, 5), at=4),
    ]
    total = fold_all(started(), events)[0].usage()["sum"]
    assert total["prompt_tokens_details"] == {"cached_tokens": 96}
    assert total["completion_tokens_details"] == {"reasoning_tokens": 5}


def test_details_of_a_lanes_attempts_are_added_up() -> None:
    def usage(cached: int) -> dict[str, Any]:
        return cost(9, 2, prompt_tokens_details={"cached_tokens": cached})

    events: list[Event] = [
        begin("full"),
        say("full", 0, "We "),
        end("full", "handed_over", usage=usage(4), at=3),
        begin("full", 2),
        end("full", usage=usage(3), at=3, attempt=2),
    ]
    fold, _ = fold_all(started(draft=False), events)
    assert fold.usage()["sum"] == {**summed(18, 4), "prompt_tokens_details": {"cached_tokens": 7}}


@pytest.mark.parametrize("mode", ["instead", "after", "drop", "keep"])
@pytest.mark.parametrize("own", [True, False])
def test_what_was_asked_is_what_the_full_is_sent(mode: str, own: bool) -> None:
    first = started(draft=False)
    first.lanes["full"] |= {"prompt": "Be brief and kind. " * 20, "system": mode}
    messages = [{"role": "system", "content": "You are a clerk. " * 30}] if own else []
    first.request["messages"] = [*messages, {"role": "user", "content": "Hi there."}]
    sent = body_for(first, "full", "m", "", "assistant")["messages"]
    size = sum(len(message["content"]) for message in sent)
    assert 0 <= size - asked_bytes(first, "full") <= 2  # a break between two prompts


def test_calls_of_the_past_are_asked_with_too() -> None:
    first = started(draft=False)
    before = asked_bytes(first, "full")
    call_ = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "x" * 4_000}}
    first.request["messages"].append({"role": "assistant", "content": None, "tool_calls": [call_]})
    assert asked_bytes(first, "full") > before + 4_000


# What is told and what is counted.


def test_a_cut_draft_is_told_and_counted_alike_with_its_prompt() -> None:
    first = asking()
    first.lanes["draft"]["prompt"] = "You speak first."
    bridge, answer = "Let me look at that for you.", "We open at nine. On Sundays too."
    events: list[Event] = [
        begin("draft"),
        begin("full"),
        say("draft", 0, bridge),
        say("full", 0, answer),
        end("full", usage=cost(100, 8), at=len(answer)),
    ]
    fold, out = fold_all(first, events)
    assert endings(out)
    told_now = fold.usage()
    asked = len(b"You speak first.What is the time ") // 4 + 1
    assert told_now["draft"] == {**summed(asked, 7), "estimated": True}
    assert told_now["sum"] == summed(100 + asked, 8 + 7)
    # What comes behind the end changes neither: neither words nor a worker's guess.
    late: list[Event] = [
        say("draft", len(bridge), " And then"),
        end("draft", "cancelled", at=len(bridge) + 9),
    ]
    counts = counted(told(first, *events, *late))
    assert counts["draft_prompt_tokens"] + counts["full_prompt_tokens"] == 100 + asked
    assert counts["draft_completion_tokens"] + counts["full_completion_tokens"] == 15
    assert tokens(Account(told(first, *events, *late)).counts()) == told_now["sum"]["total_tokens"]


def test_what_a_server_tells_of_a_draft_behind_the_end_is_charged() -> None:
    events: list[Event] = [
        begin("draft"),
        begin("full"),
        say("draft", 0, "Let me see."),
        say("full", 0, "Yes."),
        end("full"),
    ]
    late: list[Event] = [end("draft", usage=cost(50, 3), at=11)]
    counts = counted(told(asking(), *events, *late))
    assert (counts["draft_prompt_tokens"], counts["draft_completion_tokens"]) == (50, 3)


def test_thoughts_of_a_lane_that_was_cut_are_counted_and_repeats_are_not() -> None:
    thought = extra(0, {"delta": {"reasoning_content": "x" * 40}})
    turn = told(started(draft=False), begin("full"), thought, thought, end("full", "cancelled"))
    assert counted(turn)["full_completion_tokens"] == 10
