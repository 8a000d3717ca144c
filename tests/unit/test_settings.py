"""Settings: documented, frozen, CloudBase's names kept."""

from pathlib import Path

import pytest
from pydantic import AliasChoices, BaseModel, SecretStr, ValidationError

from cli.environment import read_settings
from common.settings import CLOUDBASES_SMALL_MODEL, Settings
from common.tenants.own_variables import is_own
from common.tenants.tenant import default_tenant
from common.turn.policy import Policy

DOCS = Path(__file__).parents[2] / "docs" / "settings.md"


def variable(name: str) -> str:
    """The environment variable of a setting."""
    alias = Settings.model_fields[name].validation_alias
    return str(alias.choices[0]) if isinstance(alias, AliasChoices) else f"FAST_REPLY_{name.upper()}"


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
        settings.__setattr__("port", 1)


@pytest.mark.parametrize(
    "small, progressive, drafts",
    [("", None, False), ("s", None, True), ("s", False, False), ("s", True, True), ("", True, True)],
)
def test_drafting_needs_a_small_model_and_nobody_against_it(
    small: str, progressive: bool | None, drafts: bool
) -> None:
    settings = Settings(small_model=small, use_progressive_response=progressive)
    profile, _ = default_tenant(settings).pick(None)
    assert (profile.draft is not None and profile.drafts) is drafts
    if drafts:
        assert profile.draft and profile.draft.model == (small or CLOUDBASES_SMALL_MODEL)


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


# From files.


def test_what_is_secret_may_stand_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {
        "FAST_REPLY_SECRET_KEY": "a key\n",
        "FAST_REPLY_OLD_SECRET_KEYS": '["older"]',
        "FAST_REPLY_OPERATOR_TOKEN": "operators",
        "LLM_API_KEY": " models ",
        "REDIS_URL": "redis://user:word@store/0",
        "FAST_REPLY_SECRETS": '{"CRM": "s"}',
        "FAST_REPLY_WEBHOOK_SECRET": "hook",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        monkeypatch.setenv(f"{name}_FILE", str(tmp_path / name))
    found = Settings()
    shown = [found.secret_key, found.old_secret_keys[0], found.operator_token, found.llm_api_key]
    assert [each.get_secret_value() for each in shown] == ["a key", "older", "operators", "models"]
    assert found.redis_url == "redis://user:word@store/0"
    assert (
        found.secrets["CRM"].get_secret_value() == "s" and found.webhook_secret.get_secret_value() == "hook"
    )
    assert "operators" not in repr(found)
    monkeypatch.setenv("LLM_API_KEY", "set itself")
    assert Settings().llm_api_key.get_secret_value() == "set itself"
    assert Settings(llm_api_key="given").llm_api_key.get_secret_value() == "given"


def test_a_file_that_cannot_be_read_is_named_and_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAST_REPLY_SECRET_KEY_FILE", str(tmp_path / "none"))
    with pytest.raises(ValueError, match="FAST_REPLY_SECRET_KEY_FILE can't be read"):
        Settings()
    monkeypatch.delenv("FAST_REPLY_SECRET_KEY_FILE")
    monkeypatch.setenv("FAST_REPLY_PORT_FILE", str(tmp_path / "none"))  # which is no secret
    assert Settings().port == 8000


@pytest.mark.parametrize("key", ["a", "short", "a" * 40, "abababababababababab", "0123456789"])
def test_a_process_refuses_a_secret_key_that_can_be_guessed(
    key: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAST_REPLY_SECRET_KEY", key)
    with pytest.raises(SystemExit) as ended:
        read_settings()
    said = capsys.readouterr().err
    assert ended.value.code == 2 and "openssl rand -base64 32" in said
    assert "FAST_REPLY_SECRET_KEY" in said and (len(key) < 8 or key not in said)
    for sound in ("", "0123456789abcdef", "4Yy0m1l1Qy7B+X0sYb1m3w=="):
        monkeypatch.setenv("FAST_REPLY_SECRET_KEY", sound)
        assert read_settings().secret_key.get_secret_value() == sound


@pytest.mark.parametrize(
    "name",
    ["FAST_REPLY_OPERATOR_TOKEN", "fast_reply_secret_key", "LLM_API_KEY", "REDIS_URL", " REDIS_URL",
     "SMALL_MODEL_API_KEY", "MAX_CONTEXT_MESSAGES", "REDIS_URL_FILE", "AWS_SECRET_ACCESS_KEY"],
)  # fmt: skip
def test_the_deployments_own_variables_are_nobodys_secret(name: str) -> None:
    assert is_own(name) and not is_own("ACME_SPARE_KEY") and not is_own("CRM")
