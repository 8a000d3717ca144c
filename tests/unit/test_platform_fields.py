"""What platforms add to a body stays here and is noted; what they write otherwise is read."""

from typing import Any

import orjson
import pytest

from api.requests.turn_request import TurnRequest, read_chat
from common.errors import BadRequest

USER = {"role": "user", "content": "Hi"}


def read(**fields: Any) -> TurnRequest:
    body = {"messages": [USER], **fields}
    return read_chat(orjson.dumps(body), session=None, stream=True, lanes=False)


VAPI = {
    "call": {"id": "c-1", "type": "webCall", "orgId": "o", "monitor": {"listenUrl": "wss://secret"}},
    "customer": {"number": "+4930123456", "name": "Ann"},
    "phoneNumber": {"id": "p-1", "number": "+4930654321", "twilioAuthToken": "secret"},
    "assistant": {"id": "a-1", "name": "Bot", "model": {}},
}


def test_vapis_call_stays_here_and_is_noted() -> None:
    asked = read(**VAPI, metadata={"plan": "gold"}, timestamp=1)
    assert set(asked.body) == {"messages", "metadata", "timestamp"}
    assert asked.caller == {
        "call.id": "c-1",
        "call.type": "webCall",
        "customer.number": "+4930123456",
        "phoneNumber.id": "p-1",
        "phoneNumber.number": "+4930654321",
        "assistant.id": "a-1",
    }
    assert "secret" not in str(asked.caller)


def test_elevenlabs_extras_stay_here() -> None:
    asked = read(elevenlabs_extra_body={"UUID": "u-1", "token": "secret", "lang": "en"}, user_id="7")
    assert set(asked.body) == {"messages"}
    assert asked.caller == {"user_id": "7", "elevenlabs_extra_body.UUID": "u-1"}


@pytest.mark.parametrize(
    "odd",
    [
        {"call": None, "customer": None, "phoneNumber": None, "assistant": None},
        {"elevenlabs_extra_body": None, "user_id": None},
        {"elevenlabs_extra_body": [1], "call": {"id": {"deep": 1}}, "customer": {"number": None}},
    ],
)
def test_nulls_and_other_types_are_noted_nowhere(odd: dict[str, Any]) -> None:
    asked = read(**odd)
    assert (set(asked.body), asked.caller) == ({"messages"}, {})


def test_what_is_noted_is_bounded() -> None:
    extras = {f"{number}id": "x" * 1_000 for number in range(100)}
    caller = read(elevenlabs_extra_body=extras, user_id="y" * 1_000).caller
    assert len(caller) == 9 and max(map(len, caller.values())) == 128


def test_anybody_elses_call_goes_on() -> None:
    assert read(call="me", assistant=["x"]).body["call"] == "me"


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        ({"max_tokens": -1}, {}),
        ({"max_completion_tokens": -1.0, "max_tokens": None}, {"max_tokens": None}),
        ({"max_tokens": 5000.0}, {"max_tokens": 5000}),
        ({"n": 1.0, "seed": 3.0}, {"n": 1, "seed": 3}),
        ({"temperature": 1.0}, {"temperature": 1.0}),
    ],
)
def test_numbers_are_read_as_they_are_meant(fields: dict[str, Any], sent: dict[str, Any]) -> None:
    body = read(**fields).body
    assert {name: value for name, value in body.items() if name != "messages"} == sent
    assert not isinstance(body.get("max_tokens"), float)


@pytest.mark.parametrize("wrong", [0, -2, 5000.5, "5000", True, 1e300])
def test_other_numbers_are_mistakes(wrong: Any) -> None:
    with pytest.raises(BadRequest, match="max_tokens"):
        read(max_tokens=wrong)


def test_a_pages_metadata_is_left_out_of_messages() -> None:
    said = {"role": "assistant", "content": "Yes", "metadata": {"title": None}, "options": []}
    asked = read(messages=[USER | {"metadata": None}, said, USER])
    assert asked.body["messages"] == [USER, {"role": "assistant", "content": "Yes"}, USER]


def test_no_message_is_a_mistake_where_no_session_is_named() -> None:
    with pytest.raises(BadRequest, match="messages"):
        read(messages=[])
    assert read(messages=[], taskId="task").body["messages"] == []
