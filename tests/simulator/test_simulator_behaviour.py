"""Behaviours are checked, and the pace they ask for is kept."""

from typing import Any

import pytest

from simulator.behaviour import Behaviour, BehaviourError, ToolCall, behaviour_from_json, is_draft
from simulator.streams import Ending, Pace, find_ending


def test_json_is_put_over_the_base() -> None:
    base = Behaviour(ttft_ms=5, stall_after=3)
    value = {"stall_after": None, "tpot_ms": 2, "tool_calls": [{"name": "look", "arguments": "{}"}]}
    assert behaviour_from_json(value, base) == Behaviour(
        ttft_ms=5, tpot_ms=2, tool_calls=(ToolCall("look", "{}"),)
    )


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"ttft": 1}, "ttft"),
        ({"ttft_ms": -1}, "ttft_ms"),
        ({"ttft_ms": "1"}, "ttft_ms"),
        ({"ttft_ms": None}, "ttft_ms"),
        ({"jitter": 1.5}, "jitter"),
        ({"status": 200}, "status"),
        ({"cut_after": True}, "cut_after"),
        ({"cut_after": 1.5}, "cut_after"),
        ({"no_done": 1}, "no_done"),
        ({"tool_calls": {}}, "tool_calls"),
        ({"tool_calls": [{"arguments": "{}"}]}, "tool_calls"),
        ({"tool_calls": [{"name": "look", "arguments": {}}]}, "tool_calls"),
        ([], "behaviour"),
    ],
)
def test_a_bad_behaviour_names_its_field(value: Any, field: str) -> None:
    with pytest.raises(BehaviourError) as caught:
        behaviour_from_json(value, Behaviour())
    assert caught.value.field == field


@pytest.mark.parametrize("name", ["draft", "gpt-4o-MINI", "Qwen/Qwen2.5-7B", "a-small-one"])
def test_small_models_are_known_by_name(name: str) -> None:
    assert is_draft(name)


def test_other_models_are_full() -> None:
    assert not is_draft("gpt-4o")


def test_a_late_token_does_not_delay_the_next() -> None:
    pace = Pace(10.0, Behaviour(ttft_ms=500, tpot_ms=250), tokens=8, seed="")
    assert [pace.due_s(index) for index in range(3)] == [10.5, 10.75, 11.0]
    assert pace.count_due(11.1, 0, 8) == 3
    assert pace.count_due(11.1, 3, 8) == 0
    assert pace.count_due(99.0, 3, 5) == 2


def test_jitter_keeps_the_order_and_is_the_same_for_the_same_seed() -> None:
    behaviour = Behaviour(ttft_ms=100, tpot_ms=20, jitter=1)
    first, again, other = (
        [Pace(0.0, behaviour, tokens=50, seed=seed).due_s(index) for index in range(51)] for seed in "aab"
    )
    assert first == again != other
    assert first == sorted(first)


@pytest.mark.parametrize(
    ("behaviour", "ending"),
    [
        (Behaviour(), Ending("finish", 5)),
        (Behaviour(no_done=True), Ending("no_done", 5)),
        (Behaviour(cut_after=6), Ending("finish", 5)),
        (Behaviour(cut_after=5), Ending("cut", 5)),
        (Behaviour(cut_after=3, error_after=2), Ending("error", 2)),
        (Behaviour(stall_after=0, no_done=True), Ending("stall", 0)),
    ],
)
def test_the_first_fault_which_is_reached_ends_the_answer(behaviour: Behaviour, ending: Ending) -> None:
    assert find_ending(behaviour, 5) == ending
