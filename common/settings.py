"""The settings of a process, read from its environment once into one frozen value."""

import os
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from common.net.request_secrets import RequestSecret, Target
from common.net.store_urls import checked_store_url
from common.turn.draft_params import DraftParams
from common.turn.overrides import EVERYTHING, Overrides, TokenOverrides
from common.turn.policy import Policy

Prefix = Literal["assistant", "prefix", "continue_final_message", "note"]
"""How a server is asked to go on from a text: see docs/settings.md."""


CLOUDBASES_SMALL_MODEL = "Qwen/Qwen2.5-7B-Instruct"
"""What CloudBase's LLM Fast Reply asks where `SMALL_MODEL` isn't set.

Source: https://github.com/Tencent-RTC/conversational-ai-cloudbase (llm-fast-reply)
"""


class FallbackModel(BaseModel):
    """A model that is asked where the full fails. Without a base URL it is on the full's server."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    base_url: str = ""
    api_key: SecretStr = SecretStr("")
    prefix: Prefix = "assistant"
    max_streams: int = Field(0, ge=0)


StoreUrl = Annotated[str, AfterValidator(checked_store_url)]


def _own(name: str) -> AliasChoices:
    """The environment variable and the argument of one of CloudBase's settings."""
    return AliasChoices(name, name.lower())


class _Files(PydanticBaseSettingsSource):
    """Settings from files: `FAST_REPLY_SECRET_KEY_FILE` names one that holds `FAST_REPLY_SECRET_KEY`."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        alias = field.validation_alias
        variable = alias.choices[0] if isinstance(alias, AliasChoices) else f"FAST_REPLY_{field_name.upper()}"
        path = os.environ.get(f"{variable}_FILE", "")
        if not path or not _may_be_in_a_file(field_name):
            return None, field_name, False
        try:
            return Path(path).read_text(encoding="utf-8").strip(), field_name, self.field_is_complex(field)
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"{variable}_FILE can't be read: {type(error).__name__}") from None

    def __call__(self) -> dict[str, Any]:
        found = {}
        for name, field in self.settings_cls.model_fields.items():
            value, key, is_complex = self.get_field_value(field, name)
            if value is not None:
                found[key] = self.prepare_field_value(name, field, value, is_complex)
        return found


def _may_be_in_a_file(name: str) -> bool:
    """Return True if a setting is secret, or may have a secret in it."""
    return name in _IN_FILES or name.endswith(("_key", "_keys", "_secret", "_token"))


_IN_FILES = ("redis_url", "queue_url", "secrets", "fallbacks", "archive_url")


class Settings(BaseSettings):
    """Every setting, its unit in its name. `docs/settings.md` explains each; a test keeps the two equal."""

    model_config = SettingsConfigDict(
        env_prefix="FAST_REPLY_",
        env_nested_delimiter="__",
        frozen=True,
        populate_by_name=True,
        extra="ignore",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources: arguments first, then the environment, then the files that it names."""
        return init_settings, env_settings, _Files(settings_cls)

    redis_url: StoreUrl = Field("redis://127.0.0.1:6379/0", validation_alias=_own("REDIS_URL"))
    queue_url: StoreUrl | None = None

    llm_base_url: str = Field("http://127.0.0.1:8100/v1", validation_alias=_own("LLM_BASE_URL"))
    llm_api_key: SecretStr = Field(SecretStr(""), validation_alias=_own("LLM_API_KEY"))
    llm_model: str = Field("full", validation_alias=_own("LLM_MODEL"))
    llm_default_prompt: str = Field("", validation_alias=_own("LLM_DEFAULT_PROMPT"))
    use_progressive_response: bool | None = Field(None, validation_alias=_own("USE_PROGRESSIVE_RESPONSE"))
    small_model: str = Field("", validation_alias=_own("SMALL_MODEL"))
    small_model_base_url: str = Field("", validation_alias=_own("SMALL_MODEL_BASE_URL"))
    small_model_api_key: SecretStr = Field(SecretStr(""), validation_alias=_own("SMALL_MODEL_API_KEY"))
    small_model_prompt: str = Field("", validation_alias=_own("SMALL_MODEL_PROMPT"))
    small_model_max_tokens: int = Field(100, ge=1, validation_alias=_own("SMALL_MODEL_MAX_TOKENS"))
    small_model_temperature: float = Field(0.4, ge=0, le=2, validation_alias=_own("SMALL_MODEL_TEMPERATURE"))
    draft_params: DraftParams = {}

    upstream_auth: Literal["auto", "profile", "passthrough"] = "auto"
    meta_info: bool = False
    agora_metadata: dict[str, Any] | bool = False
    secrets: dict[str, SecretStr] = {}
    request_secrets: dict[str, tuple[Target, ...] | RequestSecret] = {}
    caila_url: str = "https://caila.io/api/adapters/openai"

    full_prefix: Prefix = "assistant"
    draft_prefix: Prefix = "assistant"
    full_max_streams: int = Field(0, ge=0)
    draft_max_streams: int = Field(0, ge=0)
    fallbacks: tuple[FallbackModel, ...] = ()
    thinking_models: tuple[str, ...] = ("deepseek-r1", "qwq", "-thinking")
    policy: Policy = Policy()
    overrides: Overrides = EVERYTHING
    token_overrides: TokenOverrides = TokenOverrides()

    speech_url: str = ""
    speech_api_key: SecretStr = SecretStr("")
    speech_model: str = "tts-1"
    speech_voice: str = "alloy"
    speech_timeout_s: float = Field(3.0, gt=0)
    speech_wait_s: float = Field(10.0, gt=0)
    transcription_url: str = ""
    transcription_api_key: SecretStr = SecretStr("")
    transcription_model: str = "whisper-1"
    transcription_timeout_s: float = Field(10.0, gt=0)

    host: str = "127.0.0.1"
    port: int = 8000
    max_body_bytes: int = 1_048_576
    max_connections: int = Field(10_000, ge=1)
    max_connections_per_address: int = Field(0, ge=0)
    request_timeout_s: float = Field(10.0, gt=0)
    refused_per_minute: int = Field(300, ge=0)
    heartbeat_s: float = 15.0
    send_timeout_s: float = 30.0
    resume_grace_s: float = 5.0
    turn_lease_s: float = 5.0

    connect_timeout_s: float = 3.0
    keep_alive_s: float = Field(4.0, gt=0)
    first_token_timeout_s: float = 20.0
    next_token_timeout_s: float = 15.0
    breaker_failures: int = Field(5, ge=0)
    breaker_window_s: float = Field(10.0, gt=0)
    breaker_open_s: float = Field(5.0, gt=0)
    worker_slots: int = 250
    max_attempts: int = 2
    lane_lease_s: float = 2.0
    renew_s: float = 0.5
    sweep_s: float = 0.25
    drain_s: float = 8.0

    memory: Literal["auto", "on", "off"] = "auto"
    max_context_messages: int = Field(10, ge=0, validation_alias=_own("MAX_CONTEXT_MESSAGES"))
    max_context_bytes: int = Field(65_536, ge=0)
    context_expiry_hours: float = Field(10.0, ge=0, validation_alias=_own("CONTEXT_EXPIRY_HOURS"))
    speech_chars_per_s: float = Field(0.0, ge=0)

    webhook_url: str = ""
    webhook_secret: SecretStr = Field(SecretStr(""), validate_default=True)
    allowed_hosts: tuple[str, ...] = ()

    archive_url: str = ""
    archive_after_s: int = Field(3_600, ge=0)
    archive_retention_s: int = Field(0, ge=0)
    keep_s: float = Field(60.0, gt=0)

    knowledge_collection: str = "default"
    knowledge_top_k: int = Field(4, ge=1, le=20)
    knowledge_citations: bool = False
    knowledge_max_body_bytes: int = Field(8_388_608, ge=1)
    knowledge_max_documents: int = Field(100_000, ge=1)
    knowledge_document_timeout_s: float = Field(20.0, gt=0)
    search_url: str = ""
    search_api_key: SecretStr = SecretStr("")
    search_timeout_s: float = Field(2.0, gt=0)

    tenants: str = ""
    operator_token: SecretStr = SecretStr("")
    open_access: bool = False
    host_names: tuple[str, ...] = ()
    tenant_readers: int = Field(16, ge=1)
    refusal_delay_s: float = Field(5.0, ge=0, le=60)
    tenants_refresh_s: float = Field(0.4, gt=0)
    tenant_share: float = Field(0.8, gt=0, le=1)
    shed_drafts_at: float = Field(0.1, gt=0)
    refuse_turns_at: float = Field(0.5, gt=0)
    record: Literal["full", "redacted", "none"] = "full"
    redact_after_s: float = Field(5.0, ge=0)
    cors_origins: tuple[str, ...] = ()
    usage_days: int = Field(400, ge=1)

    reread_s: float = 2.0
    retention_s: int = 36_000
    retention_events: int = Field(0, ge=0)
    redis_timeout_s: float = 1.5
    secret_key: SecretStr = SecretStr("")
    old_secret_keys: tuple[SecretStr, ...] = ()
    log_level: str = "INFO"

    @field_validator("webhook_secret")
    @classmethod
    def _signs(cls, secret: SecretStr, info: ValidationInfo) -> SecretStr:
        if info.data.get("webhook_url") and not secret.get_secret_value():
            raise ValueError("a webhook needs a secret: what is not signed may be anybody's")
        return secret

    @cached_property
    def draft_model(self) -> str:
        """The draft's model: CloudBase's own where drafts are switched on and none is named, as there."""
        return self.small_model or (CLOUDBASES_SMALL_MODEL if self.use_progressive_response else "")

    @cached_property
    def drafting(self) -> bool:
        """Return True if the default profile drafts: it has a small model, and nobody turned drafts off."""
        return bool(self.draft_model) and self.use_progressive_response is not False

    @cached_property
    def shared_server(self) -> bool:
        """Return True if log and queue live on one server, so that one round trip can write both."""
        return self.queue_url in (None, self.redis_url)

    @property
    def lane_lease_ms(self) -> int:
        return int(self.lane_lease_s * 1000)

    @property
    def turn_lease_ms(self) -> int:
        return int(self.turn_lease_s * 1000)
