"""The dialects of model servers, named by the scheme of a base URL: see docs/providers.md."""

OPENAI = "openai"
"""The dialect of plain `https://` URLs; every other one is the URL's scheme."""

GUARDED = ("anthropic", "ernie", OPENAI, "yandex")
"""Dialects that a tenant's URL may name: we open their connections and guard them; LiteLLM opens its own."""


def split_dialect(base_url: str) -> tuple[str, str]:
    """Return the dialect, and the server's address, which is empty for the dialect's own public server.

    `https://…` is OpenAI's dialect, `ernie://…` ERNIE's over HTTPS, `ernie+http://…` over plain HTTP.
    """
    scheme, separator, rest = base_url.partition("://")
    if not separator or scheme in ("http", "https"):
        return OPENAI, base_url
    dialect, _, transport = scheme.partition("+")
    return dialect, f"{transport or 'https'}://{rest}" if rest else ""
