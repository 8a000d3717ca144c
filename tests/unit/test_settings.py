"""Settings: documented, frozen, CloudBase's names kept."""

from pathlib import Path

import pytest
from pydantic import BaseModel, SecretStr, ValidationError

from common.policy import Policy
from common.settings import Settings
from common.tenants.tenant import default_tenant

DOCS = Path(__file__).parents[2] / "docs" / "settings.md"


def variable(name: str) -> str:
    """The environment variable of a setting."""
    alias = Settings.model_fields[name].validation_alias
    return str(alias.choices[0]) if alias else f"FAST_REPLY_{name.upper()}"


def test_every_setting_is_documented() -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert [name for name in Settings.model_fields if f"`{variable(name)}`" not in text] == []


def test_every_part_of_the_policy_is_documented() -> None:
    text = DOCS.read_text(encoding="utf-8")
    parts = [
        f"{name}.{part}" if isinstance(field.default, BaseModel) else name
        for name, field in Policy.model_fields.items()
        for part in (type(field.default).model_fields if isinstance(field.default, BaseModel) else [""])
    ]
    assert [part for part in parts if f"`{part}`" not in text] == []


def test_the_policy_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAST_REPLY_POLICY", '{"filler": {"phrases": {"en": ["One moment."]}}}')
    monkeypatch.setenv("FAST_REPLY_POLICY__HANDOFF__WHEN", "length")
    monkeypatch.setenv("FAST_REPLY_FALLBACKS", '[{"model": "other"}]')
    settings = Settings()
    assert settings.policy.filler.phrases == {"en": ("One moment.",)}
    assert settings.policy.handoff.when == "length"
    assert [u.model for u in default_tenant(settings).pick(None)[0].upstreams("full", "m")] == ["m", "other"]


def test_a_webhook_needs_a_secret_that_signs() -> None:
    hook = "https://hooks.example/turns"
    with pytest.raises(ValidationError, match="secret") as wrong:
        Settings(webhook_url=hook)
    assert wrong.value.errors()[0]["loc"] == ("webhook_secret",)
    assert Settings(webhook_url=hook, webhook_secret=SecretStr("s")).webhook_url == hook
    assert Settings(webhook_secret=SecretStr("s")).webhook_url == ""


def test_cloudbases_names_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_MODEL", "big")
    monkeypatch.setenv("SMALL_MODEL", "small")
    monkeypatch.setenv("FAST_REPLY_PORT", "9000")
    settings = Settings()
    assert (settings.llm_model, settings.small_model, settings.port, settings.drafting) == (
        "big",
        "small",
        9000,
        True,
    )
    with pytest.raises(ValidationError):
        settings.port = 1


@pytest.mark.parametrize(
    "small, progressive, drafts",
    [("", None, False), ("s", None, True), ("s", False, False), ("s", True, True)],
)
def test_drafting_needs_a_small_model_and_nobody_against_it(
    small: str, progressive: bool | None, drafts: bool
) -> None:
    settings = Settings(small_model=small, use_progressive_response=progressive)
    profile, _ = default_tenant(settings).pick(None)
    assert (profile.draft is not None) is drafts


def test_a_key_goes_only_to_the_server_it_was_given_for() -> None:
    alone = default_tenant(Settings(small_model="s", llm_api_key="big-key")).pick(None)[0]
    assert alone.draft and alone.draft.api_key.get_secret_value() == "big-key"
    other = Settings(small_model="s", llm_api_key="big-key", small_model_base_url="http://other/v1")
    profile = default_tenant(other).pick(None)[0]
    assert profile.draft and profile.draft.api_key.get_secret_value() == ""


def test_keys_are_not_shown() -> None:
    assert "big-key" not in repr(Settings(llm_api_key="big-key"))


def test_model_names_a_profile_or_the_fulls_model() -> None:
    profiles = default_tenant(Settings(llm_model="big"))
    assert profiles.pick(None)[1] == "big"
    assert profiles.pick("fast-reply")[1] == "big"
    assert profiles.pick("other")[1] == "other"
