"""The systems that this one replaces: their own examples, answered as they are; their words kept."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.gateway_stack import Stack, user
from tests.support.heard_stream import Stream, open_stream
from tests.support.processes import until

EXAMPLES = Path(__file__).parents[1] / "platforms"
DRAFT = "Let me look."
FULL = "We open at nine. On Sundays we are closed!"
WEATHER = {"name": "get_weather", "arguments": '{"city": "Oslo", "days": 3}'}
METADATA_HEAD = "chat.completion.custom_metadata"


def example(name: str, **places: str) -> dict[str, Any]:
    text = (EXAMPLES / f"{name}.json").read_text(encoding="utf-8")
    for place, value in places.items():
        text = text.replace("{" + place + "}", value)
    return dict(json.loads(text))


def hear(stack: Stack, asked: dict[str, Any], **fields: Any) -> Stream:
    """Send an example as it stands, and hear the answer to its end."""
    body, headers = {**asked["body"], **fields}, asked["headers"]
    with open_stream(stack.client, asked["path"], body, headers) as stream:
        return stream.read()


def test_every_example_is_used() -> None:
    mine = Path(__file__).read_text(encoding="utf-8")
    assert [path.stem for path in EXAMPLES.glob("*.json") if f'example("{path.stem}"' not in mine] == []


def test_trtc_is_told_who_speaks(stack: Stack) -> None:
    stack.simulator.draft(text=DRAFT)
    stack.simulator.change("trtc-model", ttft_ms=300, text=FULL)
    heard = hear(stack, example("trtc"))
    heard.assert_well_ended()
    assert heard.text == f"{DRAFT} {FULL}"
    metas = [event for event in heard.events if event.get("type") == "meta.info"]
    assert [meta["metainfo"]["speaker"] for meta in metas] == ["draft", "full"]
    assert all(set(meta) == {"id", "type", "created", "metainfo"} for meta in metas)
    assert heard.events[0] == metas[0]
    assert heard.session == "task-7f3a"
    assert stack.client.get("/v1/sessions/task-7f3a").json()["turns"][0]["caller"] == {
        "request_id": "request-0001",
        "sdk_app_id": "1400000000",
        "user_id": "user_16612813",
        "room_id": "889412",
        "room_id_type": "0",
    }
    sent = stack.simulator.requests("trtc-model")[0]
    assert set(sent) == {"model", "messages", "stream", "stream_options"}


def test_who_speaks_is_told_once_more_from_any_place(stack: Stack) -> None:
    stack.simulator.draft(text=DRAFT)
    stack.simulator.change("trtc-model", ttft_ms=300, text=FULL)
    heard = hear(stack, example("trtc"))
    path = f"/v1/sessions/{heard.session}/turns/{heard.headers['x-turn-id']}"
    for at in range(len(heard.data) - 1):
        headers = {"Accept": "text/event-stream", "Last-Event-ID": heard.ids[at]}
        rest = stack.client.get(path, headers=headers).text
        data = [line.removeprefix("data: ") for line in rest.split("\n") if line.startswith("data: ")]
        assert _told(data) == _told(heard.data[at + 1 :])


def _told(data: list[str]) -> list[Any]:
    """What a client was told, however the text was cut."""
    told: list[Any] = []
    for line in data:
        event = {} if line == "[DONE]" else json.loads(line)
        text = "".join(choice["delta"].get("content") or "" for choice in event.get("choices", ()))
        if text and told and isinstance(told[-1], str):
            told[-1] += text
        else:
            told.append(text or event.get("metainfo") or line)
    return told


def test_no_client_is_told_who_speaks_unasked(stack: Stack) -> None:
    for unasked in ({}, {"MetaInfo": False}):
        heard = stack.hear(stack.simulator.full(text=FULL), **unasked)
        assert not [event for event in heard.events if "type" in event]


def test_cloudbase_speaks_on_the_root(stack: Stack) -> None:
    stack.simulator.draft(text="好的，我看一下。")
    stack.simulator.change("cloudbase-model", ttft_ms=300, text="我们九点开门。")
    asked = example("cloudbase")
    heard = hear(stack, asked)
    heard.assert_well_ended()
    assert heard.session == "task-cloudbase-1"
    assert heard.text == "好的，我看一下。我们九点开门。"
    alone = hear(stack, asked, useProgressiveResponse=False)
    assert alone.text == "我们九点开门。"


def _calls(heard: Stream) -> list[dict[str, Any]]:
    return [call for chunk in heard.chunks for call in chunk["choices"][0]["delta"].get("tool_calls", ())]


def test_agora_gets_its_metadata_first_and_calls_whole(stack: Stack) -> None:
    stack.simulator.draft(text="Let me look that up.")
    stack.simulator.change("agora-model", ttft_ms=300, tool_calls=[WEATHER])
    asked = example("agora")
    heard = hear(stack, asked)
    heard.assert_well_ended("tool_calls")
    first = heard.events[0]
    assert (first["object"], first["choices"]) == (METADATA_HEAD, [])
    assert first["metadata"] == {"interruptable": True}
    assert [event["object"] for event in heard.events].count(METADATA_HEAD) == 1
    (call,) = _calls(heard)
    assert json.loads(call["function"]["arguments"]) == {"city": "Oslo", "days": 3}
    assert heard.session == "channel-3"
    caller = stack.started("channel-3").caller
    assert caller == {"turn_id": "5", "appId": "app-1", "userId": "user-2", "channel": "channel-3"}
    sent = stack.simulator.requests("agora-model")[0]
    assert not sent.keys() & {"context", "turn_id", "timestamp"}
    assert sent["tools"] == asked["body"]["tools"]
    again = hear(stack, asked)  # the engine's retry
    assert again.headers["x-turn-id"] == heard.headers["x-turn-id"]
    result = {"role": "tool", "tool_call_id": call["id"], "content": "Rain."}
    begun = {"role": "assistant", "content": "Let me look that up.", "tool_calls": [call]}
    stack.simulator.change("agora-model", text="It rains.")
    messages = [*asked["body"]["messages"], begun, result]
    assert hear(stack, asked, turn_id=6, messages=messages).text == "It rains."


def test_agoras_metadata_is_for_agora(stack: Stack) -> None:
    heard = stack.hear(stack.simulator.full(text=FULL))
    assert METADATA_HEAD not in {event["object"] for event in heard.events}


def test_agoras_retrieval(stack: Stack) -> None:
    stack.simulator.draft(text=DRAFT)
    stack.simulator.change("agora-rag-model", ttft_ms=300, text=FULL)
    heard = hear(stack, example("agora_rag"))
    heard.assert_well_ended()
    assert heard.text == f"{DRAFT} {FULL}"


def _post(stack: Stack, asked: dict[str, Any]) -> tuple[httpx.Response, str]:
    answer = stack.client.post(asked["path"], json=asked["body"], headers=asked["headers"])
    said = [json.loads(line[6:]) for line in answer.text.split("\n") if line.startswith("data: ")]
    return answer, " ".join(data["text"] for data in said if "text" in data)


def test_jaicp_by_way_of_caila(stack: Stack) -> None:
    stack.simulator.draft(status=500)
    stack.simulator.change("jaicp-caila-model", text="Мы открываемся в девять. Приходите!")
    answer, said = _post(stack, example("jaicp_caila"))
    assert said == "Мы открываемся в девять. Приходите!"
    policy = stack.started(answer.headers["x-session-id"]).policy
    assert policy["filler"]["phrases"] == {"*": ["Одну минуту."]}
    assert policy["filler"]["delay_ms"] == 1000


def test_jaicp_with_a_server_of_its_own(stack: Stack) -> None:
    stack.simulator.draft(status=500)
    stack.simulator.change("latest", text="Мы открываемся в девять.")
    asked = example("jaicp_custom", server=stack.simulator.url)
    answer, said = _post(stack, asked)
    assert said == "Мы открываемся в девять."
    full = stack.started(answer.headers["x-session-id"]).lanes["full"]
    assert urlsplit(full["server"]["url"]).path == "/foundationModels/v1/completion"


@pytest.mark.parametrize(
    "path", ["/", "/v1/chat/completions", "/rag/chat/completions", "/audio/chat/completions"]
)
def test_a_call_arrives_whole_at_every_door(stack: Stack, path: str) -> None:
    stack.simulator.draft(text="Let me look that up.")
    model = stack.simulator.full(ttft_ms=300, tool_calls=[WEATHER, {**WEATHER, "name": "get_time"}])
    heard = stack.hear(model, path=path)
    calls = _calls(heard)
    assert [(call["index"], call["function"]["name"]) for call in calls] == [
        (0, "get_weather"),
        (1, "get_time"),
    ]
    assert all(call["function"]["arguments"] == WEATHER["arguments"] for call in calls)
    assert heard.finish == "tool_calls"


@pytest.mark.parametrize(
    "fields", [{"response_format": {"type": "json_object"}}, {"n": 2}, {"logprobs": True}]
)
def test_no_filler_breaks_an_answers_form(stack: Stack, fields: dict[str, Any]) -> None:
    filler = {"phrases": {"*": ["One moment."]}, "delay_ms": 0}
    heard = stack.hear(
        stack.simulator.full(ttft_ms=400, text="{}"), fast_reply={"policy": {"filler": filler}}, **fields
    )
    assert heard.errors == []
    assert heard.text
    assert "One moment." not in heard.text


def test_a_filler_bridges_the_wait_after_a_tools_result(stack: Stack) -> None:
    filler = {"phrases": {"*": ["One moment."]}, "delay_ms": 100}
    call = {"id": "c1", "type": "function", "function": WEATHER}
    messages = [
        user("And Oslo?"),
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "Rain."},
    ]
    model = stack.simulator.full(ttft_ms=600, text="It rains.")
    heard = stack.hear(model, messages=messages, fast_reply={"policy": {"filler": filler}})
    assert heard.text == "One moment. It rains."
    until(lambda: stack.ended(heard.session), what="the ending in the log")


def test_a_gradio_page_that_asked_ernie_is_answered_and_its_model_gets_all(stack: Stack) -> None:
    stack.simulator.draft(text="我看一下。")
    stack.simulator.change("ernie-4.0-turbo-8k", ttft_ms=300, text="我们九点开门。")
    asked = example("ernie_gradio")
    heard = hear(stack, asked)
    heard.assert_well_ended()
    assert heard.text == "我看一下。我们九点开门。"
    assert heard.events[-1]["usage"]["total_tokens"] > 0
    (sent,) = stack.simulator.requests("ernie-4.0-turbo-8k")
    for name in ("messages", "temperature", "top_p", "penalty_score", "web_search"):
        assert sent[name] == asked["body"][name]
