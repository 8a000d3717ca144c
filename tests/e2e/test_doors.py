"""The doors: paths, headers, CloudBase's fields, and our own part of a request."""

from typing import Any

import httpx
import pytest

from simulator.texts import CHINESE
from tests.support.gateway_stack import Stack, user
from tests.support.processes import until

PROMPT = "解释一下量子计算的基本原理"
FULL = "The answer begins with this sentence. And here it ends."


@pytest.mark.parametrize("path", ["/", "/chat/completions", "/v1/chat/completions"])
def test_cloudbases_own_example(stack: Stack, path: str) -> None:
    stack.simulator.draft(tpot_ms=10)
    headers = {"X-Task-ID": f"task-{len(path)}", "Accept": "text/event-stream"}
    with stack.client.stream(
        "POST", path, json={"messages": [{"role": "user", "content": PROMPT}]}, headers=headers
    ) as response:
        assert response.status_code == 200
        blocks = b"".join(response.iter_raw()).decode().split("\n\n")
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "no-cache, no-transform"
    assert response.headers["x-accel-buffering"] == "no"
    assert "content-encoding" not in response.headers
    assert "content-length" not in response.headers
    assert response.headers["x-session-id"] == headers["X-Task-ID"]
    turn = response.headers["x-turn-id"]
    *events, rest = blocks
    assert rest == ""
    assert all(event.startswith(f"id: {turn}-") for event in events)
    assert events[-1].endswith("\ndata: [DONE]")
    started = stack.started(headers["X-Task-ID"])
    assert started.turn == turn
    assert started.request["messages"] == [user(PROMPT)]


def test_every_event_has_its_own_place(stack: Stack) -> None:
    stack.simulator.draft(tpot_ms=15)
    model = stack.simulator.full(ttft_ms=300, tpot_ms=5)
    heard = stack.hear(model, stream_options={"include_usage": True})
    places = [tuple(map(int, place.split("-")[1:])) for place in heard.ids]
    assert len(set(places)) == len(places)
    assert places == sorted(places)
    assert places[-1][0] == len(heard.text)
    assert {place.split("-")[0] for place in heard.ids} == {heard.headers["x-turn-id"]}


def test_a_session_is_made_up_where_none_is_named(stack: Stack) -> None:
    model = stack.simulator.full()
    sessions = {stack.hear(model).session for _ in range(2)}
    assert len(sessions) == 2
    assert all(stack.log(session) for session in sessions)


@pytest.mark.parametrize(
    ("headers", "fields", "session"),
    [
        ({"X-Session-ID": "of-the-header"}, {"session_id": "of-the-body"}, "of-the-header"),
        ({"X-Task-ID": "the-task"}, {}, "the-task"),
        ({}, {"session_id": "of-the-body"}, "of-the-body"),
        ({}, {"taskId": "of-cloudbase"}, "of-cloudbase"),
    ],
)
def test_who_names_the_session(
    stack: Stack, headers: dict[str, str], fields: dict[str, Any], session: str
) -> None:
    heard = stack.hear(stack.simulator.full(text="Yes."), headers=headers, **fields)
    assert heard.session == session
    assert stack.log(session)


def test_a_session_may_have_any_printable_name(stack: Stack) -> None:
    name = "звонок 7:{a}/b%41?#客"
    heard = stack.hear(stack.simulator.full(text="Yes."), session_id=name)
    heard.assert_well_ended()
    until(lambda: stack.ended(name), what="the ending in the log")


def test_streaming_is_asked_for_by_field_or_by_header(stack: Stack) -> None:
    model = stack.simulator.full(text="Yes.")
    body = {"model": model, "messages": [user("Hello")]}
    event_stream = {"Accept": "text/event-stream"}
    kinds = []
    for fields, headers in (
        ({}, {}),
        ({"stream": True}, {}),
        ({}, event_stream),
        ({"stream": False}, event_stream),
    ):
        answer = stack.client.post("/", json={**body, **fields}, headers=headers)
        kinds.append(answer.headers["content-type"].partition(";")[0])
    assert kinds == ["application/json", "text/event-stream", "text/event-stream", "application/json"]


def test_without_progressive_response_the_full_speaks_alone(stack: Stack) -> None:
    model = stack.simulator.full(ttft_ms=200, text=FULL)
    heard = stack.hear(model, useProgressiveResponse=False)
    heard.assert_well_ended()
    assert heard.lanes == ["full"]
    assert heard.text == FULL
    assert stack.simulator.stats("draft")["started"] == 0


def test_the_profile_is_a_model_like_any_other(stack: Stack) -> None:
    heard = stack.hear("fast-reply", messages=[user(PROMPT)])
    assert {chunk["model"] for chunk in heard.chunks} == {"fast-reply"}
    assert heard.text.endswith(CHINESE.full)
    assert stack.simulator.stats("full")["started"] == 1


@pytest.mark.parametrize("fields", [{}, {"model": ""}, {"model": None}])
def test_no_model_means_the_profile(stack: Stack, fields: dict[str, Any]) -> None:
    answer = stack.client.post("/v1/chat/completions", json={"messages": [user("Hello")], **fields})
    assert answer.status_code == 200
    assert answer.json()["model"] == "fast-reply"


def test_another_models_name_is_the_fulls(stack: Stack) -> None:
    model = stack.simulator.full(text=FULL)
    heard = stack.hear(model)
    assert {chunk["model"] for chunk in heard.chunks} == {model}
    assert stack.simulator.stats(model)["started"] == 1


def test_lanes_are_marked_by_header_or_field_only(stack: Stack) -> None:
    model = stack.simulator.full(text=FULL)
    by_header = stack.hear(model)
    by_field = stack.hear(model, lanes=False, fast_reply={"lanes": True})
    for heard in (by_header, by_field):
        *spoken, last = heard.chunks
        assert all(set(chunk["fast_reply"]) == {"lane", "ms"} for chunk in spoken)
        assert last["fast_reply"]["ended"] == "stop"
    plain = stack.hear(model, lanes=False)
    off = stack.hear(model, lanes=False, headers={"X-Fast-Reply-Lanes": "0"})
    for heard in (plain, off):
        heard.assert_well_ended()
        known = {"id", "object", "created", "model", "choices"}
        assert all(set(event) == known for event in heard.events)


def test_a_policy_of_the_requests_own(stack: Stack) -> None:
    policy = {"handoff": {"when": "length"}, "deadline_ms": 5000}
    heard = stack.hear(stack.simulator.full(text=FULL), fast_reply={"policy": policy})
    taken = stack.started(heard.session).policy
    assert (taken["handoff"]["when"], taken["deadline_ms"]) == ("length", 5000)
    assert taken["handoff"]["cut"] == "sentence"


@pytest.mark.parametrize(
    ("policy", "param"),
    [
        ({"handoff": {"when": "never"}}, "handoff.when"),
        ({"handoff": {"cut": 5}}, "handoff.cut"),
        ({"handoff": "now"}, "handoff"),
        ({"handoff": {"wen": "length"}}, "handoff.wen"),
        ({"draft": {"release": "word"}}, "draft.release"),
        ({"deadline_ms": 1}, "deadline_ms"),
        ({"deadline_ms": 10**9}, "deadline_ms"),
        ({"max_chars": 0}, "max_chars"),
        ({"on_disconnect": None}, "on_disconnect"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_a_wrong_policy_is_the_clients_mistake(stack: Stack, policy: dict[str, Any], param: str) -> None:
    answer = stack.ask("full", fast_reply={"policy": policy})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == f"fast_reply.policy.{param}"


def test_heartbeats_come_while_nobody_speaks(stack: Stack) -> None:
    model = stack.simulator.full(ttft_ms=1200, text=FULL)
    with stack.stream(model, useProgressiveResponse=False) as heard:
        heard.read_until_heartbeat()
        assert heard.text == ""
        heard.read()
    heard.assert_well_ended()
    assert heard.text == FULL


def test_health_and_readiness(stack: Stack) -> None:
    assert stack.client.get("/healthz").json() == {"status": "alive"}
    assert stack.client.get("/readyz").json() == {
        "status": "ready",
        "workers": {"draft": 1, "full": 1, "speech": 1},
    }


def test_a_client_that_leaves_stops_both_models(stack: Stack) -> None:
    stack.simulator.draft(tpot_ms=1000)
    model = stack.simulator.full(stall_headers=True)
    with stack.stream(model) as heard:
        heard.read_until_said("draft")
    until(lambda: stack.simulator.all_quiet(), what="the models' stop")
    for name in ("draft", model):
        assert stack.simulator.stats(name)["cut_by_client"] == 1
    until(lambda: stack.ended(heard.session), what="the ending in the log")
    assert [ended.reason for ended in stack.ended(heard.session)] == ["interrupted"]


def test_a_client_that_leaves_while_it_waits_for_the_whole_stops_both_models(stack: Stack) -> None:
    stack.simulator.draft(tpot_ms=1000)
    model = stack.simulator.full(stall_headers=True)
    with pytest.raises(httpx.ReadTimeout):
        stack.client.post(
            "/", json={"model": model, "messages": [user("Hello")]}, timeout=httpx.Timeout(20, read=0.5)
        )
    until(lambda: stack.simulator.stats(model)["cut_by_client"] == 1, what="the full's stop")
    until(lambda: stack.simulator.all_quiet(), what="the draft's stop")


def test_a_turn_may_go_on_without_its_client(stack: Stack) -> None:
    stack.simulator.draft(text="One moment.")
    model = stack.simulator.full(ttft_ms=1000, text=FULL)
    with stack.stream(model, fast_reply={"policy": {"on_disconnect": "continue"}}) as heard:
        heard.read_until_said("draft")
    until(lambda: stack.ended(heard.session), what="the ending in the log")
    assert [ended.reason for ended in stack.ended(heard.session)] == ["stop"]
    said = "".join(release.text for release in stack.refold(heard.session) if hasattr(release, "text"))
    assert said == f"One moment. {FULL}"
