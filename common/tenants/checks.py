"""Checks where the URLs in a tenant's profiles lead.

Only what shows without DNS is checked here; wherever else a URL leads is checked when it is opened.
"""

from urllib.parse import urlsplit

from common.security.url_guard import BlockedUrl, UrlGuard
from common.tenants.config import ProfileConfig, TenantConfig, UpstreamConfig
from common.tenants.dialects import GUARDED, split_dialect

_SCHEMES = ", ".join(("http://", "https://", *(f"{name}://" for name in GUARDED if name != "openai")))


def blocked_urls(config: TenantConfig, guard: UrlGuard) -> list[str]:
    """Return a line for each URL that no tenant may use, with its field, as `profiles.a.full.base_url: …`."""
    return [
        f"profiles.{name}.{line}"
        for name, profile in config.profiles.items()
        for line in blocked_urls_of(profile, guard)
    ]


def blocked_urls_of(profile: ProfileConfig, guard: UrlGuard) -> list[str]:
    """Return the same for one profile: `full.base_url: …`."""
    upstreams: dict[str, UpstreamConfig] = {"full": profile.full}
    if profile.draft:
        upstreams["draft"] = profile.draft
    upstreams |= {f"fallbacks.{at}": each for at, each in enumerate(profile.fallbacks)}
    found = {f"{where}.base_url": _of_upstream(each.base_url, guard) for where, each in upstreams.items()}
    if profile.webhook:
        found["webhook.url"] = _of_url(profile.webhook.url, guard)
    return [f"{where}: {mistake}" for where, mistake in found.items() if mistake]


def _of_upstream(base_url: str, guard: UrlGuard) -> str:
    dialect, address = split_dialect(base_url)
    if dialect not in GUARDED:
        return f"a tenant's model is at one of {_SCHEMES}"
    if not address:
        return ""  # the dialect's own server
    try:
        parts = urlsplit(address)
    except ValueError:
        return "this is not a URL"
    if parts.query or parts.fragment:
        return "has no query: a key is a secret"
    if dialect == "yandex" and not parts.netloc:
        return ""  # its own server, and a folder
    return _of_url(address, guard)


def _of_url(url: str, guard: UrlGuard) -> str:
    try:
        guard.check(url)
    except BlockedUrl as error:
        return str(error)
    return ""
