"""Profiles: the models that answer a turn, with their prompts and policy. API and workers look them up by
name.
"""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pydantic import SecretStr

from common.settings import FallbackModel, Prefix, Settings
from common.turn.draft_params import with_params
from common.turn.overrides import Overrides, TokenOverrides
from common.turn.policy import Policy

DEFAULT_PROFILE = "fast-reply"


@dataclass(frozen=True, slots=True)
class Upstream:
    """One model at one server; the URL's scheme names the dialect, see docs/providers.md."""

    base_url: str
    api_key: SecretStr
    model: str
    prefix: Prefix = "assistant"
    max_streams: int = 0  # at once, over all workers; 0: no limit
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)  # in place of the key's own
    whole_url: bool = False  # the base URL is all of it
    guarded: bool = False  # a tenant's URL, which may lead to public addresses only
    tenant: str = ""  # its tenant; empty for the environment's


@dataclass(frozen=True, slots=True)
class Memory:
    """The settings of a session's memory: whether it has one, how many messages and bytes, and for how
    long.
    """

    mode: Literal["auto", "on", "off"] = "auto"
    max_messages: int = 10
    expiry_ms: int = 36_000_000
    max_bytes: int = 65_536  # 0: no bound


@dataclass(frozen=True, slots=True)
class Webhook:
    """The URL that is notified of ended turns, and the secret that signs the requests."""

    url: str
    secret: SecretStr


@dataclass(frozen=True, slots=True)
class Profile:
    """A tenant's named setting. `draft` is None where only the full speaks."""

    name: str
    policy: Policy
    full: Upstream
    full_prompt: str
    draft: Upstream | None
    draft_prompt: str
    draft_params: dict[str, Any]
    drafts: bool = True  # else only where a request says so
    fallbacks: tuple[Upstream, ...] = ()
    memory: Memory = Memory()
    record: str = "full"  # how a turn's words are kept after its end: full, redacted or none
    cors_origins: tuple[str, ...] = ()
    webhook: Webhook | None = None
    overrides: Overrides = field(default_factory=Overrides)  # what a key's request may set
    token_overrides: Overrides = field(default_factory=TokenOverrides)  # what a page's may

    def upstreams(self, lane: str, model: str) -> list[Upstream]:
        """Return a lane's upstreams in the order in which they are tried; the first is asked for `model`."""
        if lane == "draft":
            return [replace(self.draft, model=model)] if self.draft else []
        return [replace(self.full, model=model), *self.fallbacks]


def profile_of(settings: Settings) -> Profile:
    """Return the default tenant's only profile, from the environment."""
    draft = Upstream(
        base_url=settings.small_model_base_url or settings.llm_base_url,
        # A key goes only to the server it was given for.
        api_key=settings.small_model_api_key
        if settings.small_model_api_key or settings.small_model_base_url
        else settings.llm_api_key,
        model=settings.draft_model,
        prefix=settings.draft_prefix,
        max_streams=settings.draft_max_streams,
    )
    return Profile(
        name=DEFAULT_PROFILE,
        policy=settings.policy,
        full=Upstream(
            settings.llm_base_url,
            settings.llm_api_key,
            settings.llm_model,
            settings.full_prefix,
            settings.full_max_streams,
        ),
        full_prompt=settings.llm_default_prompt,
        draft=draft if settings.draft_model else None,
        drafts=settings.drafting,
        draft_prompt=settings.small_model_prompt,
        draft_params=with_params(
            {"max_tokens": settings.small_model_max_tokens, "temperature": settings.small_model_temperature},
            settings.draft_params,
        ),
        fallbacks=tuple(_fallback(settings, model) for model in settings.fallbacks),
        memory=Memory(
            settings.memory,
            settings.max_context_messages,
            int(settings.context_expiry_hours * 3_600_000),
            settings.max_context_bytes,
        ),
        record=settings.record,
        cors_origins=settings.cors_origins,
        webhook=Webhook(settings.webhook_url, settings.webhook_secret) if settings.webhook_url else None,
        overrides=settings.overrides,
        token_overrides=settings.token_overrides,
    )


def _fallback(settings: Settings, model: FallbackModel) -> Upstream:
    own = bool(model.base_url)  # a key goes only to the server it was given for
    return Upstream(
        model.base_url if own else settings.llm_base_url,
        model.api_key if own else settings.llm_api_key,
        model.model,
        model.prefix,
        model.max_streams,
    )
