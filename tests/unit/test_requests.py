"""What a request may hold, what becomes of it, and whether it is drafted."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from api.requests.idempotency import IdempotencyKey
from api.requests.turn_request import merge_policy, read_chat
from api.turns.drafting import why_no_draft
from common.errors import BadRequest
from common.settings import Settings
from common.tenants.tenant import default_tenant
from common.turn.policy import AS_STORED, Policy

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


AGORA: dict[str, Any] = {
    "turn_id": 3,
    "timestamp": 17,
    "context": {"appId": "a", "userId": "u", "channel": "c"},
}


def test_agoras_channel_names_the_session_and_its_fields_stay_here() -> None:
    asked = read({"messages": HELLO, "seed": 7, **AGORA})
    assert (asked.session, asked.body) == ("c", {"messages": HELLO, "seed": 7})
    assert read({"messages": HELLO, **AGORA, "session_id": "s1"}).session == "s1"


@pytest.mark.parametrize("context", ["a text", {"channel": 7}, [1], None])
def test_anybody_elses_context_goes_on(context: Any) -> None:
    asked = read({"messages": HELLO, "context": context, "timestamp": 1})
    assert (asked.session, asked.body) == (None, {"messages": HELLO, "context": context, "timestamp": 1})


def test_memory_is_the_clients_to_wish_for() -> None:
    assert read({"messages": HELLO}).memory is None
    assert read({"messages": HELLO, "fast_reply": {"memory": False}}).memory is False


def retry_key(body: dict[str, Any] | None = None, **headers: Any) -> str | None:
    once: IdempotencyKey | None = read({"messages": HELLO, **(body or {})}, **headers).idempotency
    return once.key.removesuffix(f":{once.fingerprint[:24]}") if once else None


def test_a_retry_is_known_by_its_key_or_within_a_session_by_its_platforms_id() -> None:
    assert retry_key() is None
    assert retry_key(idempotency_key="k", request_id="r") == "Idempotency-Key:k"
    assert retry_key(request_id="r") is None
    assert retry_key(request_id="r", session="s") == "X-Request-Id:r"
    assert retry_key({"session_id": "s", "turn_id": 3}, request_id="r") == "X-Request-Id:r"
    assert retry_key({"turn_id": 3}) is None
    assert retry_key({"session_id": "s", "turn_id": 3}) == "turn_id:3"
    assert retry_key({"session_id": "s", "turn_id": "3"}) == "turn_id:3"
    assert retry_key({"session_id": "s"}, request_id="") is None


def test_another_agent_of_the_channel_counts_its_own_turns() -> None:
    other = {**AGORA, "context": {**AGORA["context"], "userId": "v"}}
    assert retry_key(AGORA) == retry_key({**AGORA, "timestamp": 18}) != retry_key(other)


def test_another_text_under_an_id_that_was_made_for_something_else_is_another_turn() -> None:
    """A channel's next call counts anew, a mesh passes a whole trace's id on; a key made for it holds."""
    bye = [{"role": "user", "content": "Bye"}]
    for fields, headers in ((AGORA, {}), ({"session_id": "s"}, {"request_id": "trace-1"})):
        one, again, other, streamed = (
            read({"messages": HELLO, **fields, **more}, **headers).idempotency
            for more in ({}, {}, {"messages": bye}, {"stream": True, "timestamp": 9})
        )
        assert one and again and other and streamed
        assert one.key == again.key == streamed.key != other.key
        assert one.most_s == 600
    keyed = [read({"messages": text}, idempotency_key="k").idempotency for text in (HELLO, bye)]
    assert keyed[0] and keyed[1] and keyed[0].key == keyed[1].key


@pytest.mark.parametrize("key", ["", "k" * 257, "a\nb"])
def test_a_key_must_be_printable_and_short(key: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read({"messages": HELLO}, idempotency_key=key)
    assert caught.value.param == "Idempotency-Key"
    assert read({"messages": HELLO}, idempotency_key="k" * 256).idempotency


def test_what_a_platform_changes_on_a_retry_makes_no_other_request() -> None:
    def digest(**body: Any) -> str:
        return str(read({"messages": HELLO, **AGORA, **body}).idempotency.fingerprint)

    same: list[dict[str, Any]] = [
        {"timestamp": 99},
        {"stream": True},
        {"stream_options": {"include_usage": True}},
    ]
    assert {digest(), *(digest(**each) for each in same)} == {digest()}
    others: list[dict[str, Any]] = [
        {"messages": [*HELLO, *HELLO]},
        {"model": "m"},
        {"tools": TOOLS},
        {"temperature": 1},
    ]
    assert len({digest(), *(digest(**each) for each in others)}) == 5


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
    profile, _ = default_tenant(Settings(small_model="small")).pick(None)
    assert why_no_draft(profile, profile.policy, read({"messages": HELLO, **more})) == reason


def test_without_a_small_model_nothing_is_drafted() -> None:
    profile, _ = default_tenant(Settings(small_model="")).pick(None)
    assert why_no_draft(profile, profile.policy, read({"messages": HELLO})) == "no small model"


@pytest.mark.parametrize(
    ("wish", "reason"), [({}, "the profile says so"), ({"useProgressiveResponse": True}, "")]
)
def test_a_request_switches_drafts_on_where_there_is_a_small_model(wish: Any, reason: str) -> None:
    settings = Settings(small_model="small", use_progressive_response=False)
    profile, _ = default_tenant(settings).pick(None)
    asked = read({"messages": HELLO, **wish})
    assert why_no_draft(profile, profile.policy, asked) == reason
    draft = profile.policy.draft.model_copy(update={"when": "never"})
    never = profile.policy.model_copy(update={"draft": draft})
    assert why_no_draft(profile, never, asked) == reason
    assert why_no_draft(replace(profile, draft=None), never, asked) == "no small model"


TOOLS = [{"type": "function", "function": {"name": "pay"}}]


@pytest.mark.parametrize(
    "policy, more, forbidden",
    [
        ({"when": "never"}, {}, True),
        ({"off_with_tools": ["pay"]}, {}, False),
        ({"off_with_tools": ["pay"]}, {"tools": TOOLS}, True),
        ({"off_with_tools": ["other"]}, {"tools": TOOLS}, False),
        ({"off_with_tools": ["*"]}, {"tools": TOOLS}, True),
        ({"off_with_tools": ["pay"]}, {"tools": [{"type": "custom", "custom": {"name": "pay"}}]}, True),
        ({"off_with_tools": ["pay"]}, {"tools": [{"type": "custom", "name": "pay"}]}, True),
        ({"off_with_tools": ["pay"]}, {"tools": [{"type": "function", "function": "pay"}]}, False),
        ({"off_in_states": ["identity", "payment"]}, {"fast_reply": {"state": "payment"}}, True),
        ({"off_in_states": ["identity"]}, {"fast_reply": {"state": "greeting"}}, False),
        ({"off_if_metadata": {"step": ["consent"]}}, {"metadata": {"step": "consent"}}, True),
        ({"off_if_metadata": {"step": ["consent"]}}, {"metadata": {"step": "other"}}, False),
    ],
)
def test_a_tenants_rules_turn_the_draft_off(policy: Any, more: Any, forbidden: bool) -> None:
    profile, _ = default_tenant(Settings(small_model="small")).pick(None)
    asked = merge_policy(profile.policy, {"draft": policy})
    assert bool(why_no_draft(profile, asked, read({"messages": HELLO, **more}))) is forbidden


@pytest.mark.parametrize("rules", [["fine"], ["(unclosed"], [], None, "x", ["(a+)+$"] * 1_000])
def test_a_guards_rules_are_the_profiles_and_no_requests(rules: Any) -> None:
    profiles = Policy.model_validate({"draft": {"guard": True, "guard_rules": ["acme"]}})
    with pytest.raises(BadRequest) as caught:
        merge_policy(profiles, {"draft": {"style": "answer", "guard_rules": rules}})
    assert caught.value.param == "fast_reply.policy.draft.guard_rules"
    assert merge_policy(profiles, {"draft": {"style": "answer"}}).draft.guard_rules == ("acme",)


def test_a_profiles_old_rules_are_in_no_requests_way() -> None:
    old = Policy.model_validate({"draft": {"guard_rules": ["(?<!a)b"]}}, context=AS_STORED)
    assert merge_policy(old, {"barge_in": False}).draft.guard_rules == ("(?<!a)b",)


def test_jaicps_fillers_are_understood() -> None:
    filler = {
        "fillerPhrase": "Hm.",
        "fillerPhrasesList": ["One moment.", "Just a second."],
        "activationDelayMs": 700,
    }
    policy = merge_policy(Policy(), {"filler": filler})
    assert policy.filler.phrases == {"*": ("Hm.", "One moment.", "Just a second.")}
    assert policy.filler.delay_ms == 700
