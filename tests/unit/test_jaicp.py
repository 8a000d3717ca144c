"""JAICP's `llmRequest` as its own classes write it: real barge-in, nulls, names in any letters."""

from contextlib import suppress
from typing import Any

import orjson
import pytest

from api.requests.jaicp import read_llm_request
from api.requests.turn_request import TurnRequest
from common.errors import BadRequest
from common.settings import Settings
from common.tenants.tenant import default_tenant

SETTINGS = Settings.model_validate({"secrets": {"TOKEN": "word"}})
TENANT = default_tenant(SETTINGS)


def read(**fields: Any) -> TurnRequest:
    raw = orjson.dumps({"messages": [{"role": "user", "content": "Hi"}], **fields})
    return read_llm_request(
        raw,
        SETTINGS,
        TENANT,
        session=None,
        stream=True,
        idempotency_key=None,
        request_id=None,
        caller={},
    )


@pytest.mark.parametrize(
    ("reply", "barge_in"),
    [
        ({"bargin_transition": "/Barge", "bargeInIntent": {"type": "intent"}}, True),
        ({"bargin_transition": ".", "bargeInIntent": {"type": "ignoreBargeIn"}}, False),
        ({"bargin_transition": None, "bargeInIntent": {"type": "ignoreBargeIn", "x": None}}, False),
        ({"bargeInIntent": "ignoreBargeIn"}, False),
        ({"bargin_transition": "/Barge", "bargeInIntent": None}, True),
        ({"bargeIn": "forced"}, True),
        ({"bargeIn": "DISABLED"}, False),
        ({"bargeIn": False}, False),
        (True, True),
        (False, False),
        (None, None),
        ({}, None),
        ({"bargeInIntent": {}, "bargeIn": None}, None),
    ],
)
def test_whether_the_caller_may_cut_in(reply: Any, barge_in: bool | None) -> None:
    assert read(bargeInReply=reply).policy.get("barge_in") is barge_in


_FIELDS = (
    "provider", "tokenSecret", "url", "headers", "model", "temperature", "parameters",
    "fillersPhraseConfig", "bargeInReply", "tools", "eventName", "sessionId", "session_id", "fast_reply",
)  # fmt: skip
_ODD: list[Any] = [1, 1.5, True, "", "x", [], [None], [[]], ["a", 1], {"a": None}, {"a": {"b": 1}}]


@pytest.mark.parametrize("name", (*_FIELDS, "messages"))
def test_a_field_of_any_kind_is_read_or_refused(name: str) -> None:
    for value in _ODD:
        with suppress(BadRequest):
            read(**{name: value})


@pytest.mark.parametrize("headers", [[None], [None, None], "a: b", 1, True, {"a": 1}, {"a": ["b"]}])
def test_headers_that_are_none_are_refused(headers: Any) -> None:
    with pytest.raises(BadRequest, match="headers"):
        read(headers=headers)


def test_null_is_not_said() -> None:
    asked = read(**dict.fromkeys(_FIELDS))
    assert asked == read()
    assert asked.reply == {"calls_event": "functionCall"}
    fillers = {"fillerPhrase": "Секунду.", "fillerPhrasesList": None, "activationDelayMs": None}
    assert read(fillersPhraseConfig=fillers).policy["filler"] == {"fillerPhrase": "Секунду."}


@pytest.mark.parametrize("name", ["вызовФункции", "функция_1", "函数调用", "a.b:c/d-e", "é"])
def test_an_event_may_be_named_in_any_letters(name: str) -> None:
    assert read(eventName=name).reply["calls_event"] == name


@pytest.mark.parametrize("name", ["", " ", "a b", "a\nb", "а" * 65, "end", "error", "a\u2028b", 5])
def test_what_would_break_the_stream_names_no_event(name: Any) -> None:
    with pytest.raises(BadRequest, match="eventName"):
        read(eventName=name)


@pytest.mark.parametrize(
    ("named", "sent"),
    [
        ("gpt-4o", "just-ai/openai-proxy/gpt-4o"),
        ("o3-mini", "just-ai/openai-proxy/o3-mini"),
        ("o1", "just-ai/openai-proxy/o1"),
        ("chatgpt-4o-latest", "just-ai/openai-proxy/chatgpt-4o-latest"),
        ("just-ai/openai-proxy/gpt-4o", "just-ai/openai-proxy/gpt-4o"),
        ("just-ai/gigachat/GigaChat-2-Pro", "just-ai/gigachat/GigaChat-2-Pro"),
        ("my-own-model", "my-own-model"),
    ],
)
def test_a_model_is_named_as_caila_names_it(named: str, sent: str) -> None:
    assert read(provider="CAILA_OPEN_AI", tokenSecret="TOKEN", model=named).model == sent


def test_elsewhere_a_model_keeps_its_name() -> None:
    assert read(model="gpt-4o").model == "gpt-4o"
