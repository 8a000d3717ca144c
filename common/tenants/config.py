"""The shape of a tenant's configuration in `tenants.toml`, under `/admin` and in the store.

It refers to secrets by name. `docs/tenants.md` explains every field.
"""

from collections.abc import Callable, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    ValidationInfo,
    model_validator,
)

from common.names import NAME
from common.net.request_secrets import RequestSecret, Target
from common.settings import Prefix
from common.tenants.dialects import GUARDED, OPENAI
from common.turn.draft_params import DraftParams
from common.turn.overrides import Overrides, TokenOverrides
from common.turn.policy import AS_STORED, Policy

Scope = Literal["chat", "read", "admin"]
"""The permissions of a key: take turns; read recordings; change and delete."""

SCOPES: tuple[Scope, ...] = get_args(Scope)
Record = Literal["full", "redacted", "none"]
"""How a turn's words are kept after its end."""

WrongWith = Callable[[str], str | None]
"""Returns the mistake in a secret's written form, without showing it; None if there is none."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The names that the parts of a tenant may refer to while it is parsed.

    `kept_rules`: guard rules that it has already, which a former version may have accepted.
    """

    profiles: Set[str]
    secrets: Set[str]
    wrong_with: WrongWith
    kept_rules: Set[str] = frozenset()


def _around(info: ValidationInfo) -> Surroundings | None:
    """Return the validation's surroundings; None if the tenant is not parsed as a whole."""
    return info.context if isinstance(info.context, Surroundings) else None


# A message never shows the value: it is the secret itself if somebody mixed it up with its name.


def _known_profile(name: str, info: ValidationInfo) -> str:
    around = _around(info)
    if name and around and name not in around.profiles:
        raise ValueError("there is no profile of this name")
    return name


def _known_secret(name: str, info: ValidationInfo) -> str:
    around = _around(info)
    if name and around and name not in around.secrets:
        raise ValueError("there is no secret of this name")
    return name


def _sound_secret(value: str, info: ValidationInfo) -> str:
    around = _around(info)
    if around and (wrong := around.wrong_with(value)):
        raise ValueError(wrong)
    return value


Name = Annotated[str, Field(pattern=NAME)]
BoundTo = Annotated[
    str,
    Field(
        pattern=r"^(?:https?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?"
        rf"|(?:{'|'.join(each for each in GUARDED if each != OPENAI)})://)$",
        max_length=300,
    ),
]
"""A place where profiles may have a secret sent: an origin, or a dialect's own server, `anthropic://`."""
Origin = Annotated[str, Field(pattern=r"^https?://[A-Za-z0-9.-]+(:\d{1,5})?$")]
ProfileName = Annotated[str, AfterValidator(_known_profile)]
SecretName = Annotated[str, AfterValidator(_known_secret)]
WrittenSecret = Annotated[str, AfterValidator(_sound_secret)]
Url = Annotated[str, Field(min_length=1, max_length=2_000)]
Count = Annotated[StrictInt, Field(ge=0, le=10**12)]
Number = Annotated[float, Field(strict=True, ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class UpstreamConfig(_Part):
    """A model at a server. `secret` names the tenant's secret that holds the server's key."""

    base_url: Url
    model: str = Field(min_length=1, max_length=200)
    secret: SecretName = ""
    prefix: Prefix = "assistant"
    max_streams: Count = 0


class DraftConfig(UpstreamConfig):
    """The model that drafts answers."""

    prompt: str = Field(default="", max_length=100_000)
    max_tokens: Count = Field(default=100, ge=1)
    temperature: Number = Field(default=0.4, le=2)
    params: DraftParams = {}


class MemoryConfig(_Part):
    """The memory of sessions, which lets clients send only the new messages."""

    mode: Literal["auto", "on", "off"] = "auto"
    max_messages: Count = 10
    max_bytes: Count = 65_536
    expiry_hours: Number = Field(default=10.0, le=876_000)


class WebhookConfig(_Part):
    """The server that is notified of ended turns. `secret` names the tenant's secret that signs the
    requests.
    """

    model_config = ConfigDict(json_schema_extra={"required": ["url", "secret"]})

    url: Url
    secret: SecretName = Field("", json_schema_extra={"minLength": 1})

    @model_validator(mode="after")
    def _signs(self, info: ValidationInfo) -> "WebhookConfig":
        if _around(info) and not self.secret:  # stored tenants may lack it
            raise ValueError("a webhook needs the name of a secret that signs")
        return self


class ProfileConfig(_Part):
    """The models that answer a turn, their prompts and policy, and what is kept of the turn."""

    full: UpstreamConfig
    draft: DraftConfig | None = None
    fallbacks: tuple[UpstreamConfig, ...] = ()
    prompt: str = Field(default="", max_length=100_000)
    policy: Policy = Policy()
    memory: MemoryConfig = MemoryConfig()
    record: Record = "full"
    cors_origins: tuple[Origin, ...] = ()
    webhook: WebhookConfig | None = None
    overrides: Overrides = Overrides()
    token_overrides: TokenOverrides = TokenOverrides()


class Limits(_Part):
    """The limits of a tenant; 0 means no limit. `answer_tokens` are reserved if a request sets no maximum."""

    turns_per_minute: Count = 0
    live_turns: Count = 0
    tokens_per_day: Count = 0
    answer_tokens: StrictInt = Field(default=1_000, ge=1, le=10**12)
    max_body_bytes: Count = 0
    max_message_chars: Count = 0
    sessions_kept: Count = 0
    kept_bytes: Count = 0

    @property
    def counted(self) -> dict[str, int]:
        """Return the limits that `admit.lua` counts, by name; the others bound a single request."""
        names = ("turns_per_minute", "live_turns", "tokens_per_day", "sessions_kept", "kept_bytes")
        return {name: getattr(self, name) for name in names}


class TenantConfig(_Part):
    """A tenant without its keys. `secrets`: by name, sealed with the deployment's key.

    `request_secrets`: those that an `llmRequest` may name, and where it may have them sent. `secret_origins`:
    where profiles may have each secret sent.
    """

    name: str = Field(default="", max_length=200)
    disabled: StrictBool = False
    default_profile: ProfileName = ""
    profiles: dict[Name, ProfileConfig] = {}
    limits: Limits = Limits()
    secrets: dict[Name, WrittenSecret] = {}
    request_secrets: dict[SecretName, tuple[Target, ...] | RequestSecret] = {}
    secret_origins: dict[SecretName, tuple[BoundTo, ...]] = {}


class KeyParts(_Part):
    """The stored parts of an API key: never the key itself, but its SHA-256 in hex."""

    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    scopes: tuple[Scope, ...] = Field(min_length=1)
    name: str = Field(default="", max_length=200)
    created_at: AwareDatetime | None = None
    expires_at: AwareDatetime | None = None
    revoked_at: AwareDatetime | None = None

    def valid_at(self, now: datetime) -> bool:
        """Return True if the key is valid at that time."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class KeyConfig(KeyParts):
    """A tenant's API key."""

    tenant: str


def read_tenant(value: Any, wrong_with: WrongWith, old: TenantConfig | None = None) -> TenantConfig:
    """Return a tenant's configuration from JSON values, validated as a whole. Raises ValidationError."""
    rules = (
        {rule for each in old.profiles.values() for rule in each.policy.draft.guard_rules} if old else set()
    )
    around = Surroundings(_names(value, "profiles"), _names(value, "secrets"), wrong_with, rules)
    return TenantConfig.model_validate(value, context=around)


def stored_tenant(text: bytes | str) -> TenantConfig:
    """Return a tenant's configuration from its stored text, which a former version may have written.

    Raises ValidationError.
    """
    return TenantConfig.model_validate_json(text, context=AS_STORED)


def _names(value: Any, part: str) -> Set[str]:
    named = value.get(part) if isinstance(value, dict) else None
    return named.keys() if isinstance(named, dict) else set()


def mistakes(errors: list[Any]) -> list[str]:
    """Return Pydantic's errors as lines that name the field and the mistake, but never the value."""
    return [f"{_path(error['loc'])}: {_message(error)}" for error in errors]


def _path(parts: tuple[str | int, ...]) -> str:
    return ".".join(str(part) for part in parts if part != "[key]") or "it"


def _message(error: dict[str, Any]) -> str:
    if error["type"] == "extra_forbidden":
        return "there is no such field"
    return str(error["msg"]).removeprefix("Value error, ")
