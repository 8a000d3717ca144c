"""Binds each of a tenant's secrets to the origins where it may be sent, whoever changes a profile's URL
later.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from common.net.request_secrets import RequestSecret
from common.tenants.config import TenantConfig, UpstreamConfig
from common.tenants.dialects import split_dialect

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Grant:
    """The servers to which, and the headers (in lower case) in which, a request may have a secret sent."""

    origins: frozenset[str]
    headers: frozenset[str]

    def allows(self, origin: str, headers: Iterable[str]) -> bool:
        """Return True if the secret may be sent there, in these headers."""
        return origin in self.origins and {name.lower() for name in headers} <= self.headers


NOWHERE = Grant(frozenset(), frozenset())


def origin_of(url: str) -> str:
    """Return a URL's scheme, host and, unless it is the scheme's default, port; empty if it has none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return ""
    if parts.scheme not in _PORTS or not host:
        return ""
    named = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{named}" + ("" if port == _PORTS[parts.scheme] else f":{port}")


def origin_of_model(base_url: str) -> str:
    """Return the origin of a model's base URL, such as `anthropic://` for a dialect's own server."""
    dialect, address = split_dialect(base_url)
    at_home = not address or (dialect == "yandex" and not urlsplit(address).netloc)
    return f"{dialect}://" if at_home else origin_of(address)


def read_origin(written: str) -> str:
    """Return an origin from its written form. A host alone means its HTTPS server."""
    if written.endswith("://"):
        return written
    return origin_of(written if "://" in written else f"https://{written}")


def grant_of(written: RequestSecret | tuple[str, ...]) -> Grant:
    """Return where a `request_secrets` rule lets a secret be sent."""
    wish = written if isinstance(written, RequestSecret) else RequestSecret(origins=written)
    return Grant(frozenset(map(read_origin, wish.origins)), frozenset(map(str.lower, wish.headers)))


def bind(config: TenantConfig) -> TenantConfig:
    """Return the tenant with every secret bound: unbound ones to the servers that refer to them now."""
    bound = {name: origins for name in config.secrets if (origins := _origins(name, config))}
    return config.model_copy(update={"secret_origins": bound})


def widen(config: TenantConfig) -> TenantConfig:
    """Return the tenant with each bound secret allowed wherever it is referred to now, too."""
    wider = {
        name: tuple(dict.fromkeys((*origins, *_referred(name, config))))
        for name, origins in config.secret_origins.items()
    }
    return bind(config.model_copy(update={"secret_origins": wider}))


def strays(config: TenantConfig) -> list[str]:
    """Return a line for each field that would have a secret sent to a place that is not allowed."""
    return [
        f"{path}: the secret {each.secret} is not for {origin_of_model(each.base_url)}: put it anew, for that"
        for path, each in _upstreams(config)
        if not may_go(config, each)
    ]


def may_go(config: TenantConfig, upstream: UpstreamConfig) -> bool:
    """Return True if the model's server may receive the secret that the upstream names."""
    origins = config.secret_origins.get(upstream.secret)
    return origins is None or origin_of_model(upstream.base_url) in map(read_origin, origins)


def _origins(secret: str, config: TenantConfig) -> tuple[str, ...]:
    if secret in config.secret_origins:
        return config.secret_origins[secret]
    return tuple(dict.fromkeys(_referred(secret, config)))


def _referred(secret: str, config: TenantConfig) -> Iterator[str]:
    for _, each in _upstreams(config):
        if each.secret == secret and (origin := origin_of_model(each.base_url)):
            yield origin
    if secret in config.request_secrets:
        yield from sorted(grant_of(config.request_secrets[secret]).origins)


def _upstreams(config: TenantConfig) -> Iterator[tuple[str, UpstreamConfig]]:
    for name, profile in config.profiles.items():
        parts: dict[str, UpstreamConfig | None] = {"full": profile.full, "draft": profile.draft}
        parts |= {f"fallbacks.{at}": each for at, each in enumerate(profile.fallbacks)}
        yield from ((f"profiles.{name}.{path}.secret", each) for path, each in parts.items() if each)
