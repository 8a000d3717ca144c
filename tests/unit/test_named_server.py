"""What a request brings along for a model's server: the secret's name in its place, no value shown."""

from pathlib import Path
from typing import Any

import pytest

from api.requests.jaicp import read_llm_request
from api.requests.turn_request import TurnRequest, bounded, read_chat
from common.errors import BadRequest
from common.net.named_server import fill_in, is_template
from common.security.credentials import Credentials
from common.settings import Settings
from common.tenants.tenant import default_tenant

SETTINGS = Settings(secrets={"MY_LLM": "s3cret", "Key": "k"}, allowed_hosts=("models.internal",))


@pytest.mark.parametrize(
    ("value", "secret", "template", "filled"),
    [
        ("Api-Key MY_LLM", "MY_LLM", True, "Api-Key s3cret"),
        ("MY_LLM", "MY_LLM", True, "s3cret"),
        ("Bearer MY_LLM", "MY_LLM", True, "Bearer s3cret"),
        ("Api-Key Key", "Key", True, "Api-Key s3cret"),  # the scheme's own word is not the secret
        ("Bearer sk-123", "MY_LLM", False, "Bearer sk-123"),
        ("Bearer sk-123 MY_LLM", "MY_LLM", False, "Bearer sk-123 s3cret"),
        ("Bearer NOT_MY_LLM", "MY_LLM", False, "Bearer NOT_MY_LLM"),
        ("MY_LLM MY_LLM", "MY_LLM", False, "s3cret s3cret"),
        ("Bearer", "", False, "Bearer"),
    ],
)
def test_the_name_is_replaced_where_it_is_a_word(
    value: str, secret: str, template: bool, filled: str
) -> None:
    assert is_template(value, secret) is template
    assert fill_in(value, secret, "s3cret") == filled


def read(body: str) -> TurnRequest:
    facts: dict[str, Any] = {"session": None, "idempotency_key": None, "request_id": None, "caller": {}}
    return read_llm_request(body.encode(), SETTINGS, default_tenant(SETTINGS), stream=True, **facts)


CUSTOM = (
    '{"provider": "CUSTOM_LLM", "tokenSecret": "MY_LLM", "model": "m", "url": "%s", "headers": %s,'
    ' "messages": [{"role": "user", "content": "Hello"}]}'
)


def test_nothing_that_is_secret_is_shown() -> None:
    asked = read(CUSTOM % ("https://example.com/v1", '{"X-Token": "sk-literal", "A": "Bearer MY_LLM"}'))
    assert "sk-literal" not in repr(asked) and asked.server
    assert asked.server.sealed == ["X-Token"]
    assert asked.server.headers == {"A": "Bearer MY_LLM"}
    assert asked.credentials == Credentials(headers={"X-Token": "sk-literal"})
    chat = read_chat(
        b'{"messages": [{"role": "user", "content": "Hello"}]}',
        session=None,
        stream=True,
        lanes=False,
        key="sk-own",
    )
    assert (chat.key, "sk-own" in repr(chat)) == ("sk-own", False)


@pytest.mark.parametrize(
    "url", ["http://models.internal/v1", "https://203.0.114.9/v1", "https://example.com"]
)
def test_public_and_allowed_servers_may_be_named(url: str) -> None:
    server = read(CUSTOM % (url, "{}")).server
    assert server and server.url == url


@pytest.mark.parametrize(
    "url", ["http://192.168.1.1/", "http://100.64.0.1/", "http://[fd00::1]/", "gopher://x"]
)
def test_others_may_not(url: str) -> None:
    with pytest.raises(BadRequest) as refused:
        read(CUSTOM % (url, "{}"))
    assert refused.value.code == "blocked_url"


def test_a_caller_is_told_in_few_words() -> None:
    told = bounded({"user": "u" * 500, "app": 7, "room": None, "line": "a\nb", "list": [1], "empty": ""})
    assert told == {"user": "u" * 128, "app": "7", "line": "ab"}


def test_the_example_files_name_their_sources() -> None:
    files = list((Path(__file__).parents[1] / "platforms").glob("*.json"))
    assert len(files) >= 6
    assert all('"source": "https://' in file.read_text(encoding="utf-8") for file in files)
