"""What is written down of a tenant: the shape of `tenants.toml`, of `/admin`, and of what the store holds.

It refers to secrets by name. `docs/tenants.md` explains every field.
"""

from datetime import datetime
from typing import Annotated, Any, Literal, get_args

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from common.policy import Policy
from common.settings import Prefix

Scope = Literal["chat", "read", "admin"]
"""What a key may do: have turns; look at what was recorded; change and delete."""

SCOPES: tuple[Scope, ...] = get_args(Scope)
Record = Literal["full", "redacted", "none"]
"""What is kept of a turn's words after its end."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Host = Annotated[str, Field(pattern=r"^[a-z0-9.-]+$", max_length=253)]
Origin = Annotated[str, Field(pattern=r"^https?://[A-Za-z0-9.-]+(:\d{1,5})?$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class UpstreamConfig(_Part):
    """One model at one server. `secret` names the tenant's secret that holds its key."""

    base_url: str = Field(min_length=1, max_length=2_000)
    model: str = Field(min_length=1, max_length=200)
    secret: str = ""
    prefix: Prefix = "assistant"
    max_streams: int = Field(default=0, ge=0)


class DraftConfig(UpstreamConfig):
    """The draft's model."""

    prompt: str = Field(default="", max_length=100_000)
    max_tokens: int = Field(default=100, ge=1)
    temperature: float = Field(default=0.4, ge=0, le=2)


class MemoryConfig(_Part):
    """Whether sessions are remembered for their clients."""

    mode: Literal["auto", "on", "off"] = "auto"
    max_messages: int = Field(default=10, ge=0)
    expiry_hours: float = Field(default=10.0, ge=0)


class WebhookConfig(_Part):
    """Who is told of ended turns; `secret` names the tenant's secret that signs."""

    url: str = Field(min_length=1, max_length=2_000)
    secret: str = ""


class ProfileConfig(_Part):
    """Which models a turn is put to, with which prompt and policy, and what is kept of it."""

    full: UpstreamConfig
    draft: DraftConfig | None = None
    fallbacks: tuple[UpstreamConfig, ...] = ()
    prompt: str = Field(default="", max_length=100_000)
    policy: Policy = Policy()
    memory: MemoryConfig = MemoryConfig()
    record: Record = "full"
    cors_origins: tuple[Origin, ...] = ()
    webhook: WebhookConfig | None = None

    def secrets(self) -> set[str]:
        """The names of all secrets that it refers to."""
        named = [self.full, *self.fallbacks, *(part for part in (self.draft, self.webhook) if part)]
        return {part.secret for part in named if part.secret}


class Limits(_Part):
    """What a tenant may use; 0 is no limit. `answer_tokens`: reserved where a request names no maximum."""

    turns_per_minute: int = Field(default=0, ge=0)
    live_turns: int = Field(default=0, ge=0)
    tokens_per_day: int = Field(default=0, ge=0)
    answer_tokens: int = Field(default=1_000, ge=1)
    max_body_bytes: int = Field(default=0, ge=0)
    max_message_chars: int = Field(default=0, ge=0)
    sessions_kept: int = Field(default=0, ge=0)


class TenantConfig(_Part):
    """A tenant, but for its keys. `secrets`: by name, sealed with the deployment's key.

    `request_secrets`: those that an `llmRequest` may name, and the hosts to which it may have them sent.
    """

    name: str = Field(default="", max_length=200)
    disabled: bool = False
    default_profile: str = ""
    profiles: dict[Name, ProfileConfig] = {}
    limits: Limits = Limits()
    secrets: dict[Name, str] = {}
    request_secrets: dict[Name, tuple[Host, ...]] = {}

    @model_validator(mode="after")
    def _refers_to_what_is_there(self) -> "TenantConfig":
        if self.default_profile and self.default_profile not in self.profiles:
            raise ValueError(f"default_profile: there is no profile {self.default_profile!r}")
        for name, profile in self.profiles.items():
            if missing := sorted(profile.secrets() - self.secrets.keys()):
                raise ValueError(f"profiles.{name}: there is no secret {missing[0]!r}")
        if missing := sorted(self.request_secrets.keys() - self.secrets.keys()):
            raise ValueError(f"request_secrets: there is no secret {missing[0]!r}")
        return self


class KeyConfig(_Part):
    """An API key, by what is known of it: never the key itself, but its SHA-256 in hex."""

    tenant: str
    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    scopes: tuple[Scope, ...] = Field(min_length=1)
    name: str = Field(default="", max_length=200)
    created_at: AwareDatetime | None = None
    expires_at: AwareDatetime | None = None
    revoked_at: AwareDatetime | None = None

    def valid_at(self, now: datetime) -> bool:
        """Whether the key opens anything at that time."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


def mistakes(errors: list[Any]) -> list[str]:
    """Pydantic's errors as lines that name the field and say what is wrong, never with its value."""
    return [f"{'.'.join(map(str, error['loc'])) or 'it'}: {_message(error)}" for error in errors]


def _message(error: dict[str, Any]) -> str:
    return str(error["msg"]).removeprefix("Value error, ")
