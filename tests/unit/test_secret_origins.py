"""Where a secret may go: to origins, in headers, that are written down beside it, whoever asks."""

import logging
from typing import Any

import orjson
import pytest
from pydantic import SecretStr, ValidationError

from api.requests.jaicp import read_llm_request
from common.errors import BadRequest
from common.settings import Settings
from common.tenants.config import TenantConfig, read_tenant
from common.tenants.origins import bind, origin_of, origin_of_model, strays
from common.tenants.tenant import Tenant, build_tenant, default_tenant

KEYS = {"CRM": SecretStr("crm-secret")}


def tenant(request_secrets: dict[str, Any], **config: Any) -> Tenant:
    whole = {"secrets": {"CRM": "sealed:x"}, "request_secrets": request_secrets, **config}
    return build_tenant("acme", read_tenant(whole, lambda secret: None), KEYS)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://A.example/v1?x#y", "https://a.example"),
        ("https://a.example:443/v1", "https://a.example"),
        ("http://a.example:80", "http://a.example"),
        ("https://a.example:8443", "https://a.example:8443"),
        ("http://a.example:443", "http://a.example:443"),
        ("https://[2001:DB8::1]:444/", "https://[2001:db8::1]:444"),
        ("https://user:word@a.example", "https://a.example"),
        ("https://a.example:99999", ""),
        ("https://a.example:x", ""),
        ("https://", ""),
        ("ftp://a.example", ""),
        ("a.example", ""),
        ("https://[::1", ""),
    ],
)
def test_an_origin_is_scheme_host_and_port(url: str, origin: str) -> None:
    assert origin_of(url) == origin


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("anthropic://", "anthropic://"),
        ("yandex:///folder", "yandex://"),
        ("yandex+http://a.example:81/folder", "http://a.example:81"),
        ("ernie://a.example", "https://a.example"),
        ("https://a.example/v1", "https://a.example"),
    ],
)
def test_a_models_origin_is_that_of_its_dialect(url: str, origin: str) -> None:
    assert origin_of_model(url) == origin


GRANTED = "https://crm.example"


@pytest.mark.parametrize(
    ("url", "headers", "sent"),
    [
        (GRANTED, ["Authorization"], True),
        ("https://CRM.example:443/x", ["API-KEY", "x-api-key"], True),
        ("http://crm.example", ["Authorization"], False),
        ("http://crm.example:443", ["Authorization"], False),
        ("https://crm.example:8443", ["Authorization"], False),
        ("https://crm.example.", ["Authorization"], False),
        ("https://crm.example.evil.example", ["Authorization"], False),
        ("https://crm.example@evil.example", ["Authorization"], False),
        (GRANTED, ["Referer"], False),
        (GRANTED, ["Authorization", "X-Echo"], False),
    ],
)
def test_a_secret_goes_to_its_origin_in_headers_for_keys(url: str, headers: list[str], sent: bool) -> None:
    for written in (["crm.example"], [GRANTED], {"origins": [GRANTED]}):
        assert tenant({"CRM": written}).may_send("CRM", url, headers, vouched=True) is sent, written


def test_other_origins_and_headers_are_listed() -> None:
    listed = tenant({"CRM": {"origins": ["http://crm.example:81"], "headers": ["X-Crm"]}})
    assert listed.may_send("CRM", "http://crm.example:81/x", ["x-crm"])
    assert not listed.may_send("CRM", "http://crm.example:81/x", ["Authorization"])
    assert not listed.may_send("CRM", GRANTED, ["x-crm"]) and not tenant({}).may_send("CRM", GRANTED, [])


def test_the_environments_secrets_go_over_https_unless_the_operator_has_named_the_server() -> None:
    secrets = {"CRM": "crm-secret"}
    free = default_tenant(Settings(secrets=secrets))
    assert free.may_send("CRM", "https://any.example", ["X-Any"])
    assert not free.may_send("CRM", "http://any.example", ["X-Any"])
    assert free.may_send("CRM", "http://any.example", ["X-Any"], vouched=True)
    bound = default_tenant(Settings(secrets=secrets, request_secrets={"CRM": ["crm.example"]}))
    assert bound.may_send("CRM", GRANTED, ["Authorization"])
    assert not bound.may_send("CRM", "https://any.example", ["Authorization"], vouched=True)


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("https://crm.example:444/v1", {}),
        ("http://crm.example/v1", {}),
        (f"{GRANTED}/v1", {"X-Echo": "CRM"}),
        (f"{GRANTED}/v1", {"Authorization": "Bearer CRM", "X-Log": "by CRM, of us"}),
    ],
)
def test_an_llm_request_has_a_secret_sent_nowhere_else(url: str, headers: dict[str, str]) -> None:
    asked = {"provider": "CUSTOM_LLM", "model": "m", "tokenSecret": "CRM", "url": url, "headers": headers}
    raw = orjson.dumps({**asked, "messages": [{"role": "user", "content": "Hi"}]})
    with pytest.raises(BadRequest) as refused:
        read_llm_request(
            raw,
            Settings(),
            tenant({"CRM": ["crm.example"]}),
            session=None,
            stream=True,
            idempotency_key=None,
            request_id=None,
            caller={},
        )
    assert (refused.value.code, refused.value.param) == ("unknown_secret", "tokenSecret")


@pytest.mark.parametrize(
    "written",
    [
        ["https://a/b"],
        ["ftp://a"],
        ["a b"],
        ["https://u@a"],
        [""],
        {"origins": ["a"], "headers": ["x y"]},
        {},
        1,
    ],
)
def test_what_is_no_origin_or_header_is_refused(written: Any) -> None:
    with pytest.raises(ValidationError):
        tenant({"CRM": written})


# Profiles.


def test_a_profile_shows_a_secret_to_its_origins_alone(caplog: pytest.LogCaptureFixture) -> None:
    def full(url: str) -> dict[str, Any]:
        return {"full": {"base_url": url, "model": "m", "secret": "CRM"}}

    profiles = {
        "good": full(f"{GRANTED}/v1"),
        "port": full(f"{GRANTED}:81"),
        "plain": full("http://crm.example"),
    }
    bound = {"secret_origins": {"CRM": [GRANTED]}, "profiles": profiles}
    with caplog.at_level(logging.ERROR):
        built = tenant({}, **bound)
    shown = {name: each.full.api_key.get_secret_value() for name, each in built.profiles.items()}
    assert shown == {"good": "crm-secret", "port": "", "plain": ""}
    assert len(caplog.records) == 2
    free = tenant({}, profiles=profiles)
    assert all(each.full.api_key.get_secret_value() for each in free.profiles.values())


def test_a_secret_that_is_bound_to_nothing_is_bound_to_where_it_is_used() -> None:
    full = {"base_url": "ernie://a.example", "model": "m", "secret": "A"}
    config = TenantConfig.model_validate(
        {
            "secrets": {"A": "x", "B": "x", "C": "x", "D": "x"},
            "profiles": {"p": {"full": full, "fallbacks": [{**full, "base_url": "anthropic://"}]}},
            "request_secrets": {"B": ["crm.example"]},
            "secret_origins": {"C": ["https://c.example"]},
        }
    )
    assert bind(config).secret_origins == {
        "A": ("https://a.example", "anthropic://"),
        "B": (GRANTED,),
        "C": ("https://c.example",),
    }
    assert strays(bind(config)) == []
