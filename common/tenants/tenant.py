"""A tenant as the processes use it: profiles with opened secrets, limits."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import SecretStr

from common.errors import NotFound
from common.keys import DEFAULT_TENANT
from common.profiles import DEFAULT_PROFILE, Memory, Profile, Upstream, Webhook, profile_of
from common.settings import Settings
from common.tenants.config import Limits, ProfileConfig, TenantConfig, UpstreamConfig

_NO_SECRET = SecretStr("")


@dataclass(frozen=True, slots=True)
class Tenant:
    """One tenant. `passes_models`: a model that is no profile's name is the default profile's server's.

    `request_secrets`: hosts to which requests may have a secret sent, None for any; where there are none at
    all, every secret may go anywhere.
    """

    id: str
    profiles: Mapping[str, Profile]
    default_profile: str
    secrets: Mapping[str, SecretStr] = field(default_factory=dict, repr=False)
    request_secrets: Mapping[str, frozenset[str] | None] | None = None
    limits: Limits = field(default_factory=Limits)
    passes_models: bool = False
    disabled: bool = False  # its keys open nothing

    def names(self) -> list[str]:
        """What a client may ask for by `model`."""
        return list(self.profiles)

    def get(self, name: str) -> Profile | None:
        """The profile of this name."""
        return self.profiles.get(name)

    def pick(self, model: str | None) -> tuple[Profile, str]:
        """The profile that a request's `model` means, and the full's model with it. Raises NotFound.

        `fast-reply` means the default one where none is called so: most clients must name something.
        """
        profile = self.profiles.get(model or self.default_profile)
        if not profile and model == DEFAULT_PROFILE:
            profile = self.profiles.get(self.default_profile)
        if profile:
            return profile, profile.full.model
        if self.passes_models and model:
            return self.profiles[self.default_profile], model
        raise NotFound("there is no such model", code="model_not_found", param="model")

    def may_send(self, secret: str, host: str) -> bool:
        """Whether there is such a secret, and a request may have it sent to this host."""
        if not self.secrets.get(secret, _NO_SECRET).get_secret_value():
            return False
        if self.request_secrets is None:
            return True
        hosts = self.request_secrets.get(secret, frozenset())
        return hosts is None or host.lower() in hosts

    @property
    def cors_origins(self) -> frozenset[str]:
        """The origins whose pages may talk to any of its profiles."""
        return frozenset(origin for profile in self.profiles.values() for origin in profile.cors_origins)


def default_tenant(settings: Settings) -> Tenant:
    """The tenant of a deployment that has configured none, from the environment."""
    profile = profile_of(settings)
    return Tenant(DEFAULT_TENANT, {profile.name: profile}, profile.name, settings.secrets, passes_models=True)


def build_tenant(name: str, config: TenantConfig, secrets: Mapping[str, SecretStr]) -> Tenant:
    """A configured tenant with its secrets opened."""
    profiles = {each: _profile(name, each, profile, secrets) for each, profile in config.profiles.items()}
    hosts: dict[str, frozenset[str] | None] = {
        secret: frozenset(allowed) for secret, allowed in config.request_secrets.items()
    }
    default = config.default_profile or next(iter(profiles), "")
    return Tenant(name, profiles, default, secrets, hosts, config.limits, disabled=config.disabled)


def _profile(tenant: str, name: str, config: ProfileConfig, secrets: Mapping[str, SecretStr]) -> Profile:
    draft, memory, hook = config.draft, config.memory, config.webhook
    return Profile(
        name=name,
        policy=config.policy,
        full=_upstream(tenant, config.full, secrets),
        full_prompt=config.prompt,
        draft=_upstream(tenant, draft, secrets) if draft else None,
        draft_prompt=draft.prompt if draft else "",
        draft_params={"max_tokens": draft.max_tokens, "temperature": draft.temperature} if draft else {},
        fallbacks=tuple(_upstream(tenant, each, secrets) for each in config.fallbacks),
        memory=Memory(memory.mode, memory.max_messages, int(memory.expiry_hours * 3_600_000)),
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
