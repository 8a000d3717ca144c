"""All dialects behind one provider: the base URL's scheme chooses the dialect."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import httpx

from common.process.bugs import about
from common.security.secret_box import SecretBox
from common.store.redis import Stores
from common.tenants.dialects import GUARDED, split_dialect
from common.tenants.profiles import Upstream
from workers.providers.anthropic import AnthropicProvider
from workers.providers.base import Finish, Provider, StreamPart, UpstreamError
from workers.providers.ernie import ErnieProvider
from workers.providers.ernie_tokens import ErnieTokens
from workers.providers.exchange import broke_off, cut
from workers.providers.litellm import LiteLLMProvider
from workers.providers.openai import OpenAIProvider
from workers.providers.thinkers import Thinkers
from workers.providers.tidying import Tidier
from workers.providers.yandex import YandexProvider

logger = logging.getLogger(__name__)

_SLICE_CHARS = 4_096
_SLICE_PIECES = 16  # parts of one event that are yielded in one go


class Providers:
    """Asks each upstream in its dialect.

    Those that tenants name are asked over a client of their own, `guarded`.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        guarded: httpx.AsyncClient,
        stores: Stores,
        seal: SecretBox | None,
        thinking_models: Sequence[str] = (),
    ) -> None:
        self._thinkers = Thinkers(thinking_models)
        self._by_dialect: dict[str, Provider] = {**_over(client, stores, seal), "litellm": LiteLLMProvider()}
        over_guarded = _over(guarded, stores, seal)
        self._guarded = {dialect: over_guarded[dialect] for dialect in GUARDED}

    async def stream(self, upstream: Upstream, body: dict[str, Any]) -> AsyncGenerator[StreamPart, None]:
        """Yield the parts of one answer. Raises UpstreamError; closing it early closes the connection."""
        dialect, address = split_dialect(upstream.base_url)
        provider = (self._guarded if upstream.guarded else self._by_dialect).get(dialect)
        if provider is None:
            raise UpstreamError(
                "unknown_provider", "no provider speaks this upstream's dialect", faulty=False
            )
        tidy, has_end, told = Tidier(begins_in_thought=self._thinkers.begins(upstream)), False, 0
        try:
            async with aclosing(provider.stream(replace(upstream, base_url=address), body)) as pieces:
                async for piece in pieces:
                    has_end = has_end or isinstance(piece, Finish)
                    for part in _slices(piece):
                        for tidied in tidy.feed(part):
                            yield tidied
                        told += 1
                        if part is not piece or told % _SLICE_PIECES == 0:
                            await asyncio.sleep(0)
        except UpstreamError:
            raise
        except Exception as bug:  # over something that no server should say: another model may do better
            logger.error("a provider broke", extra={**about(bug), "dialect": dialect})
            raise broke_off() from None
        for tidied in tidy.end():
            yield tidied
        if not has_end:
            raise cut()
        self._thinkers.heard(upstream, tidy)


def _slices(piece: StreamPart) -> Iterable[StreamPart]:
    """Cut a long text into parts, between which the event loop serves others."""
    if not isinstance(piece, str) or len(piece) <= _SLICE_CHARS:
        return (piece,)
    return (piece[at : at + _SLICE_CHARS] for at in range(0, len(piece), _SLICE_CHARS))


def _over(client: httpx.AsyncClient, stores: Stores, seal: SecretBox | None) -> dict[str, Provider]:
    """Return the providers that ask over this client, by dialect."""
    return {
        "anthropic": AnthropicProvider(client),
        "ernie": ErnieProvider(client, ErnieTokens(client, stores, seal)),
        "openai": OpenAIProvider(client),
        "yandex": YandexProvider(client),
    }
