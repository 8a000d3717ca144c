"""What a request may hold, what becomes of it, and whether it is drafted."""

from typing import Any

import orjson
import pytest

from api.drafting import why_no_draft
from api.requests import merge_policy, read_chat
from common.errors import BadRequest
from common.policy import Policy
from common.profiles import Profiles
from common.settings import Settings

HELLO = [{"role": "user", "content": "Hello"}]


def read(body: Any, **headers: Any) -> Any:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return read_chat(raw, **{"session": None, "stream": False, "lanes": False, **headers})


def test_ours_stays_here_and_all_else_goes_on() -> None:
    asked = read(
        {
            "model": "m",
            "messages": HELLO,
            "stream": True,
            "stream_options": {"include_usage": True},
            "seed": 7,
            "unheard_of": {"a": [1]},
            "useProgressiveResponse": False,
            "session_id": "s1",
            "fast_reply": {"lanes": True, "policy": {"max_chars": 9}},
        }
    )
    assert asked.body == {"messages": HELLO, "seed": 7, "unheard_of": {"a": [1]}}
    assert (asked.model, asked.stream, asked.include_usage, asked.drafting) == ("m", True, True, False)
    assert (asked.session, asked.lanes, asked.policy) == ("s1", True, {"max_chars": 9})


def test_headers_speak_before_the_body() -> None:
    assert read({"messages": HELLO, "session_id": "b"}, session="a").session == "a"
    assert read({"messages": HELLO}, stream=True).stream
    assert not read({"messages": HELLO, "stream": False}, stream=True).stream


@pytest.mark.parametrize(
    "body, param",
    [
        (b"{", None),
        (b"", None),
        (b"[]", None),
        ({}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": [{"role": "king", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user"}]}, "messages.0"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
        ({"messages": HELLO, "temperature": "hot"}, "temperature"),
        ({"messages": HELLO, "n": 0}, "n"),
        ({"messages": HELLO, "stream": "yes"}, "stream"),
        ({"messages": HELLO, "tools": {}}, "tools"),
        ({"messages": HELLO, "fast_reply": {"lane": True}}, "fast_reply.lane"),
    ],
)
def test_what_is_wrong_is_named(body: Any, param: str | None) -> None:
    with pytest.raises(BadRequest) as caught:
        read(body)
    assert caught.value.param == param
    assert caught.value.body()["error"]["type"] == "invalid_request_error"


def test_what_is_wrong_is_not_repeated() -> None:
    with pytest.raises(BadRequest) as caught:
        read({"messages": [{"role": "user", "content": {"secret": "4111"}}]})
    assert "4111" not in caught.value.message


def test_a_requests_policy_lies_over_the_profiles() -> None:
    policy = Policy.model_validate({"handoff": {"min_chars": 7}})
    merged = merge_policy(policy, {"handoff": {"when": "length"}, "deadline_ms": 2000})
    assert (merged.handoff.when, merged.handoff.min_chars, merged.deadline_ms) == ("length", 7, 2000)
    with pytest.raises(BadRequest) as caught:
        merge_policy(policy, {"handoff": {"when": "never"}})
    assert caught.value.param == "fast_reply.policy.handoff.when"


@pytest.mark.parametrize(
    "more, reason",
    [
        ({}, ""),
        ({"useProgressiveResponse": True}, ""),
        ({"useProgressiveResponse": False}, "the request says so"),
        ({"n": 2}, "several choices"),
        ({"logprobs": True}, "logprobs"),
        ({"response_format": {"type": "text"}}, ""),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"tools": [{}], "tool_choice": "auto"}, ""),
        ({"tools": [{}], "tool_choice": "required"}, "a forced tool"),
        ({"function_call": {"name": "f"}}, "a forced tool"),
        (
            {"messages": [*HELLO, {"role": "assistant", "content": "Hi"}]},
            "the last message is not the user's",
        ),
    ],
)
def test_prose_is_not_drafted_where_it_would_break_the_answer(more: Any, reason: str) -> None:
    profile, _ = Profiles(Settings(small_model="small")).pick(None)
    assert why_no_draft(profile, profile.policy, read({"messages": HELLO, **more})) == reason


def test_without_a_small_model_nothing_is_drafted() -> None:
    profile, _ = Profiles(Settings(small_model="")).pick(None)
    assert why_no_draft(profile, profile.policy, read({"messages": HELLO})) == "no small model"


TOOLS = [{"type": "function", "function": {"name": "pay"}}]


@pytest.mark.parametrize(
    "policy, more, forbidden",
    [
        ({"when": "never"}, {}, True),
        ({"off_with_tools": ["pay"]}, {}, False),
        ({"off_with_tools": ["pay"]}, {"tools": TOOLS}, True),
        ({"off_with_tools": ["other"]}, {"tools": TOOLS}, False),
        ({"off_with_tools": ["*"]}, {"tools": TOOLS}, True),
        ({"off_in_states": ["identity", "payment"]}, {"fast_reply": {"state": "payment"}}, True),
        ({"off_in_states": ["identity"]}, {"fast_reply": {"state": "greeting"}}, False),
        ({"off_if_metadata": {"step": ["consent"]}}, {"metadata": {"step": "consent"}}, True),
        ({"off_if_metadata": {"step": ["consent"]}}, {"metadata": {"step": "other"}}, False),
    ],
)
def test_a_tenants_rules_turn_the_draft_off(policy: Any, more: Any, forbidden: bool) -> None:
    profile, _ = Profiles(Settings(small_model="small")).pick(None)
    asked = merge_policy(profile.policy, {"draft": policy})
    assert bool(why_no_draft(profile, asked, read({"messages": HELLO, **more}))) is forbidden


def test_a_guards_own_rules_must_be_sound() -> None:
    with pytest.raises(BadRequest) as caught:
        merge_policy(Policy(), {"draft": {"guard_rules": ["(unclosed"]}})
    assert caught.value.param == "fast_reply.policy.draft.guard_rules"


def test_jaicps_fillers_are_understood() -> None:
    filler = {
        "fillerPhrase": "Hm.",
        "fillerPhrasesList": ["One moment.", "Just a second."],
        "activationDelayMs": 700,
    }
    policy = merge_policy(Policy(), {"filler": filler})
    assert policy.filler.phrases == {"*": ("Hm.", "One moment.", "Just a second.")}
    assert policy.filler.delay_ms == 700
