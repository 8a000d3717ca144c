"""JAICP's door: sentences to speak, calls in an event, the caller's own server with the tenant's secret."""

import json
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.support.gateway_stack import Stack, user
from tests.support.model_server import model_server
from tests.support.processes import until

PATH = "/v1/llm-request"
SECRET = "value-of-telephony-token"
FULL = "We open at nine. On Sundays we are closed!"
WEATHER = {"name": "get_weather", "arguments": '{"city": "Oslo", "days": 3}'}


@dataclass
class Spoken:
    """The events of one answer."""

    headers: httpx.Headers
    events: list[tuple[str, str, Any]]  # id, name, data

    @property
    def sentences(self) -> list[str]:
        return [data["text"] for _, name, data in self.events if name == "sentence"]

    @property
    def lanes(self) -> list[str]:
        return [data["lane"] for _, name, data in self.events if name == "sentence"]

    def of(self, name: str) -> list[Any]:
        return [data for _, named, data in self.events if named == name]

    @property
    def session(self) -> str:
        return self.headers["x-session-id"]


def read(answer: httpx.Response) -> Spoken:
    """The events, each exactly its id, its name and its data."""
    assert answer.status_code == 200, answer.text
    events = []
    for event in answer.text.split("\n\n"):
        lines = [line for line in event.split("\n") if line and not line.startswith((":", "retry:"))]
        if lines:
            place, name, data = (line.partition(": ") for line in lines)
            assert (place[0], name[0], data[0]) == ("id", "event", "data")
            events.append((place[2], name[2], json.loads(data[2])))
    return Spoken(answer.headers, events)


def request(stack: Stack, **fields: Any) -> httpx.Response:
    headers = fields.pop("headers_sent", {})
    return stack.client.post(PATH, json={"messages": [user("When do you open?")], **fields}, headers=headers)


def ask(stack: Stack, **fields: Any) -> Spoken:
    return read(request(stack, **fields))


def custom(url: str, **fields: Any) -> dict[str, Any]:
    return {
        "provider": "CUSTOM_LLM",
        "model": "theirs",
        "tokenSecret": "TELEPHONY_TOKEN",
        "url": url,
        **fields,
    }


def test_each_event_is_one_whole_sentence(stack: Stack) -> None:
    stack.simulator.draft(text="Let me look. One moment.")
    heard = ask(stack, model=stack.simulator.full(ttft_ms=300, text=FULL))
    assert heard.headers["content-type"].startswith("text/event-stream")
    assert heard.sentences[-2:] == ["We open at nine.", "On Sundays we are closed!"]
    assert (heard.sentences[0], heard.lanes[0], heard.lanes[-1]) == ("Let me look.", "draft", "full")
    assert heard.events[-1][1] == "end"
    assert heard.of("end")[0]["reason"] == "stop"
    assert len({place for place, _, _ in heard.events}) == len(heard.events)


def test_a_sentence_that_nothing_follows_is_not_kept_back(stack: Stack) -> None:
    stack.simulator.draft(text="Let me look.")
    model = stack.simulator.full(stall_headers=True)
    body = {"messages": [user("When do you open?")], "model": model}
    with stack.client.stream("POST", PATH, json=body) as answer:
        lines = (line for line in answer.iter_lines() if line.startswith("data: "))
        assert json.loads(next(lines).removeprefix("data: "))["text"] == "Let me look."


def test_a_filler_is_said_when_it_is_due(stack: Stack) -> None:
    stack.simulator.draft(stall_headers=True)
    heard = ask(
        stack,
        model=stack.simulator.full(ttft_ms=600, text=FULL),
        fillersPhraseConfig={"fillerPhrase": "One moment", "activationDelayMs": 100},
    )
    assert heard.sentences == ["One moment", "We open at nine.", "On Sundays we are closed!"]
    assert heard.lanes == ["filler", "full", "full"]


def test_calls_come_in_one_event_of_the_name_asked_for(stack: Stack) -> None:
    stack.simulator.draft(text="Let me look that up.")
    model = stack.simulator.full(ttft_ms=300, tool_calls=[WEATHER, {**WEATHER, "name": "get_time"}])
    tools = [{"type": "function", "function": {"name": "get_weather"}}]
    heard = ask(stack, model=model, tools=tools, eventName="weatherAsked")
    (asked,) = heard.of("weatherAsked")
    assert [call["function"]["name"] for call in asked["tool_calls"]] == ["get_weather", "get_time"]
    assert json.loads(asked["tool_calls"][0]["function"]["arguments"]) == {"city": "Oslo", "days": 3}
    assert heard.sentences == ["Let me look that up."]
    assert heard.of("end")[0]["finish_reason"] == "tool_calls"
    assert stack.simulator.requests(model)[0]["tools"] == tools
    result = {"role": "tool", "tool_call_id": asked["tool_calls"][0]["id"], "content": "Rain."}
    calls = {"role": "assistant", "content": None, "tool_calls": asked["tool_calls"][:1]}
    again = ask(
        stack, model=stack.simulator.full(text="It rains."), messages=[user("And Oslo?"), calls, result]
    )
    assert again.sentences == ["It rains."]


def test_a_failure_is_an_event_of_openais_shape(stack: Stack) -> None:
    stack.simulator.draft(status=500)
    heard = ask(stack, model=stack.simulator.full(status=500))
    (failed,) = heard.of("error")
    assert set(failed["error"]) == {"message", "type", "param", "code"}
    assert [name for _, name, _ in heard.events] == ["error", "end"]


def test_json_where_nothing_else_will_do(stack: Stack) -> None:
    model = stack.simulator.full(text=FULL, tool_calls=[WEATHER])
    plain = {"Accept": "application/json"}
    answer = request(
        stack, model=model, headers_sent=plain, fast_reply={"policy": {"draft": {"when": "never"}}}
    )
    told = answer.json()
    assert [reply["text"] for reply in told["replies"]] == ["We open at nine.", "On Sundays we are closed!"]
    assert told["event"]["event"] == "functionCall"
    assert told["event"]["tool_calls"][0]["function"]["name"] == "get_weather"
    usual = request(stack, model=model, headers_sent={"Accept": "application/json, text/plain, */*"})
    assert usual.headers["content-type"].startswith("text/event-stream")


def test_the_stream_is_gone_on_with_from_any_event(stack: Stack) -> None:
    stack.simulator.draft(text="Let me look.")
    heard = ask(stack, model=stack.simulator.full(ttft_ms=300, text=FULL, tool_calls=[WEATHER]))
    path = f"/v1/sessions/{heard.session}/turns/{heard.headers['x-turn-id']}"
    for at, (place, _, _) in enumerate(heard.events[:-1]):
        rest = stack.client.get(path, headers={"Accept": "text/event-stream", "Last-Event-ID": place})
        assert read(rest).events == heard.events[at + 1 :]
    over = stack.client.get(
        path, headers={"Accept": "text/event-stream", "Last-Event-ID": heard.events[-1][0]}
    )
    assert over.status_code == 204


def test_the_callers_server_is_asked_with_the_tenants_secret(stack: Stack) -> None:
    with model_server(FULL) as theirs:
        heard = ask(
            stack,
            **custom(
                f"{theirs.url}/deep/generate?v=2&key=k-literal-88",
                headers={"Authorization": "Api-Key TELEPHONY_TOKEN", "x-folder": "f-literal-77"},
                temperature=0.3,
                parameters={"top_k": 7, "n": 3, "stream": False, "logit_bias": {"1": 2}},
            ),
        )
        assert heard.sentences[-2:] == ["We open at nine.", "On Sundays we are closed!"]
        ((path, headers, body),) = theirs.asked
    assert path == "/deep/generate?v=2&key=k-literal-88"
    assert (headers["authorization"], headers["x-folder"]) == (f"Api-Key {SECRET}", "f-literal-77")
    assert (body["model"], body["temperature"], body["top_k"], body["stream"]) == ("theirs", 0.3, 7, True)
    assert not body.keys() & {"n", "logit_bias"}
    server = stack.started(heard.session).lanes["full"]["server"]
    assert server["headers"] == {"Authorization": "Api-Key TELEPHONY_TOKEN"}
    assert server["sealed"] == ["x-folder"]
    until(lambda: stack.ended(heard.session), what="the ending in the log")
    assert_nowhere(stack, SECRET, "f-literal-77", "k-literal-88")
    warned = [line for line in stack.api.words().splitlines() if "are ignored" in line]
    assert '["logit_bias","n","stream"]' in warned[-1].replace(" ", "")


def assert_nowhere(stack: Stack, *texts: str) -> None:
    """These stand nowhere in the store, and in no log."""
    held = stack.held()
    assert "turn.started" in held
    for text in texts:
        assert text not in held
        assert not any(text in process.words() for process in stack.processes.values())


def test_a_redirect_is_not_followed(stack: Stack) -> None:
    stack.simulator.draft(status=500)
    with model_server(FULL) as theirs, model_server(FULL) as elsewhere:
        theirs.location = elsewhere.url
        heard = ask(stack, **custom(theirs.url))
        assert heard.of("error")[0]["error"]["code"] == "upstream_refused"
        assert theirs.asked[0][1]["authorization"] == f"Bearer {SECRET}"
        assert elsewhere.asked == []


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.1/v1/chat/completions",
        "http://[::1]:6379/",
        "http://2130706434/",
        "file:///etc/passwd",
        "https://name:word@example.com/",
        "",
    ],
)
def test_a_url_that_leads_inside_is_refused_at_the_door(stack: Stack, url: str) -> None:
    answer = request(stack, **custom(url))
    assert answer.status_code == 400
    assert (answer.json()["error"]["param"], answer.json()["error"]["code"]) == ("url", "blocked_url")


def test_a_name_that_leads_inside_is_refused_by_the_worker(stack: Stack) -> None:
    stack.simulator.draft(status=500)
    heard = ask(
        stack, **custom(f"https://localhost:{stack.simulator.url.rpartition(':')[2]}/v1/chat/completions")
    )
    assert heard.of("error")[0]["error"]["code"] == "upstream_unreachable"
    assert stack.simulator.stats("theirs")["started"] == 0


def test_caila_is_asked_with_the_tenants_secret(stack: Stack) -> None:
    model = stack.simulator.full(text=FULL)
    tools = [{"type": "function", "function": {"name": "get_weather"}}]
    heard = ask(stack, provider="CAILA_OPEN_AI", tokenSecret="TELEPHONY_TOKEN", model=model, tools=tools)
    assert heard.sentences[-1] == "On Sundays we are closed!"
    (stream,) = stack.simulator.streams(model)
    assert stream["authorization"]
    assert "tools" not in stack.simulator.requests(model)[0]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"),
        ({"provider": "OTHER"}, "provider"),
        ({"url": "https://example.com"}, "provider"),
        ({"provider": "CAILA_OPEN_AI", "tokenSecret": "TELEPHONY_TOKEN"}, "model"),
        ({"provider": "CAILA_OPEN_AI", "tokenSecret": "NOBODYS", "model": "m"}, "tokenSecret"),
        (custom("https://example.com", headers={"Host": "inside"}), "headers"),
        (custom("https://example.com", headers={"X-A": "a\r\nX-B: b"}), "headers"),
        ({"eventName": "end"}, "eventName"),
        ({"eventName": "a\nb"}, "eventName"),
        ({"fillersPhraseConfig": {"activationDelayMs": -1}}, "fillersPhraseConfig.delay_ms"),
    ],
)
def test_a_wrong_request_is_the_clients_mistake(stack: Stack, fields: dict[str, Any], param: str) -> None:
    answer = request(stack, **fields)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize(
    ("reply", "barge_in"),
    [
        ({"bargeIn": "forced"}, True),
        ({"bargeIn": "disabled"}, False),
        ({"bargin_transition": "/Barge", "bargeInIntent": {"type": "intent"}}, True),
        ({"bargin_transition": ".", "bargeInIntent": {"type": "ignoreBargeIn"}}, False),
    ],
)
def test_barge_in_is_the_policys(stack: Stack, reply: dict[str, Any], barge_in: bool) -> None:
    heard = ask(
        stack, model=stack.simulator.full(text=FULL), bargeInReply=reply, sessionId=f"call-{barge_in}"
    )
    assert heard.session == f"call-{barge_in}"
    assert stack.started(heard.session).policy["barge_in"] is barge_in
