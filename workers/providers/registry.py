"""All dialects behind one provider: the base URL's scheme says which is spoken."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import httpx

from common.profiles import Upstream
from common.seal import Seal
from common.stores import Stores
from workers.providers.anthropic import AnthropicProvider
from workers.providers.base import Piece, Provider, UpstreamError
from workers.providers.ernie import ErnieProvider
from workers.providers.ernie_tokens import ErnieTokens
from workers.providers.litellm import LiteLLMProvider
from workers.providers.openai import OpenAIProvider
from workers.providers.yandex import YandexProvider


class Providers:
    """Asks each upstream in its dialect; those that tenants name over a client of their own, `guarded`."""

    def __init__(
        self, client: httpx.AsyncClient, guarded: httpx.AsyncClient, stores: Stores, seal: Seal | None
    ) -> None:
        self._by_dialect: dict[str, Provider] = {
            "openai": OpenAIProvider(client),
            "anthropic": AnthropicProvider(client),
            "ernie": ErnieProvider(client, ErnieTokens(client, stores, seal)),
            "litellm": LiteLLMProvider(),
            "yandex": YandexProvider(client),
        }
        self._guarded: dict[str, Provider] = {
            "openai": OpenAIProvider(guarded),
            "yandex": YandexProvider(guarded),
        }

    def stream(self, upstream: Upstream, body: dict[str, Any]) -> AsyncGenerator[Piece, None]:
        """The pieces of one answer. Raises UpstreamError; leaving it early closes the connection."""
        dialect, address = split_dialect(upstream.base_url)
        provider = (self._guarded if upstream.guarded else self._by_dialect).get(dialect)
        if provider is None:
            raise UpstreamError(
                "unknown_provider", "no provider speaks this upstream's dialect", faulty=False
            )
        return provider.stream(replace(upstream, base_url=address), body)


def split_dialect(base_url: str) -> tuple[str, str]:
    """The dialect and the server's address, empty where it is the dialect's own public one.

    `https://…` is OpenAI's dialect, `ernie://…` ERNIE's over HTTPS, `ernie+http://…` over plain HTTP.
    """
    scheme, separator, rest = base_url.partition("://")
    if not separator or scheme in ("http", "https"):
        return "openai", base_url
    dialect, _, transport = scheme.partition("+")
    return dialect, f"{transport or 'https'}://{rest}" if rest else ""
