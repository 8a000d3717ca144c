"""A tenant as processes use it: its profiles with decrypted secrets, and its limits."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pydantic import SecretStr

from common.errors import NotFound
from common.names import DEFAULT_TENANT
from common.settings import Settings
from common.tenants.config import Limits, TenantConfig, UpstreamConfig
from common.tenants.origins import NOWHERE, Grant, grant_of, may_go, origin_of, strays
from common.tenants.profiles import DEFAULT_PROFILE, Memory, Profile, Upstream, Webhook, profile_of
from common.turn.draft_params import with_params

logger = logging.getLogger(__name__)

_NO_SECRET = SecretStr("")


@dataclass(frozen=True, slots=True)
class Tenant:
    """One tenant. `passes_models`: a model name that is no profile's is passed to the default profile's
    server.

    `request_secrets`: where requests may have a secret sent, None for any server; if it is empty, every
    secret may go anywhere.
    """

    id: str
    profiles: Mapping[str, Profile]
    default_profile: str
    secrets: Mapping[str, SecretStr] = field(default_factory=dict, repr=False)
    request_secrets: Mapping[str, Grant | None] | None = None
    limits: Limits = field(default_factory=Limits)
    passes_models: bool = False
    disabled: bool = False  # its keys open nothing

    def names(self) -> list[str]:
        """Return the names that a client may give as `model`."""
        return list(self.profiles)

    def get(self, name: str) -> Profile | None:
        """Return the profile of this name; None if there is none."""
        return self.profiles.get(name)

    def pick(self, model: str | None) -> tuple[Profile, str]:
        """Return the profile that a request's `model` means, and the full's model with it. Raises NotFound.

        `fast-reply` means the default profile unless one has that name: most clients must name some model.
        """
        profile = self.profiles.get(model or self.default_profile)
        if not profile and model == DEFAULT_PROFILE:
            profile = self.profiles.get(self.default_profile)
        if profile:
            return profile, profile.full.model
        if self.passes_models and model:
            return self.profiles[self.default_profile], model
        raise NotFound("there is no such model", code="model_not_found", param="model")

    def may_send(self, secret: str, url: str, headers: Iterable[str], *, vouched: bool = False) -> bool:
        """Return True if a request may have the secret sent to this server in these headers.

        `vouched`: the operator has named the server; else a secret that may go anywhere still requires HTTPS.
        """
        if not self.secrets.get(secret, _NO_SECRET).get_secret_value():
            return False
        grants = self.request_secrets
        grant = None if grants is None else grants.get(secret, NOWHERE)
        origin = origin_of(url)
        if grant is None:
            return vouched or origin.startswith("https://")
        return grant.allows(origin, headers)

    @property
    def cors_origins(self) -> frozenset[str]:
        """The origins whose pages may talk to any of its profiles."""
        return frozenset(origin for profile in self.profiles.values() for origin in profile.cors_origins)


def default_tenant(settings: Settings) -> Tenant:
    """Return the tenant of a deployment that has configured none, from the environment."""
    profile = profile_of(settings)
    return Tenant(
        DEFAULT_TENANT,
        {profile.name: profile},
        profile.name,
        settings.secrets,
        {name: grant_of(grant) for name, grant in settings.request_secrets.items()} or None,
        passes_models=True,
    )


def build_tenant(name: str, config: TenantConfig, secrets: Mapping[str, SecretStr]) -> Tenant:
    """Return a configured tenant with its secrets decrypted."""
    profiles = {each: _profile(name, each, config, secrets) for each in config.profiles}
    for line in strays(config):
        logger.error(
            "a secret is kept from a server", extra={"tenant": name, "field": line.partition(":")[0]}
        )
    grants: dict[str, Grant | None] = {
        secret: grant_of(each) for secret, each in config.request_secrets.items()
    }
    default = config.default_profile or next(iter(profiles), "")
    return Tenant(name, profiles, default, secrets, grants, config.limits, disabled=config.disabled)


def _profile(tenant: str, name: str, whole: TenantConfig, secrets: Mapping[str, SecretStr]) -> Profile:
    def upstream(each: UpstreamConfig) -> Upstream:
        return _upstream(tenant, each, secrets if may_go(whole, each) else {})

    config = whole.profiles[name]
    draft, memory, hook = config.draft, config.memory, config.webhook
    return Profile(
        name=name,
        policy=config.policy,
        full=upstream(config.full),
        full_prompt=config.prompt,
        draft=upstream(draft) if draft else None,
        draft_prompt=draft.prompt if draft else "",
        draft_params=with_params(
            {"max_tokens": draft.max_tokens, "temperature": draft.temperature}, draft.params
        )
        if draft
        else {},
        fallbacks=tuple(map(upstream, config.fallbacks)),
        memory=Memory(
            memory.mode, memory.max_messages, int(memory.expiry_hours * 3_600_000), memory.max_bytes
        ),
        record=config.record,
        cors_origins=config.cors_origins,
        webhook=Webhook(hook.url, secrets.get(hook.secret, _NO_SECRET)) if hook else None,
        overrides=config.overrides,
        token_overrides=config.token_overrides,
    )


def _upstream(tenant: str, config: UpstreamConfig, secrets: Mapping[str, SecretStr]) -> Upstream:
    return Upstream(
        config.base_url,
        secrets.get(config.secret, _NO_SECRET),
        config.model,
        config.prefix,
        config.max_streams,
        guarded=True,  # a tenant's URL
        tenant=tenant,
    )
