"""Finds passages of the tenant's knowledge for a turn's full, once a turn, and writes them to its log."""

import asyncio
import logging
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import httpx
import orjson
from pydantic import BaseModel, Field, ValidationError

from common.events import Retrieved, TurnStarted
from common.log.stream import append_now
from common.names import CollectionRef, TurnRef
from common.settings import Settings
from common.store.redis import Stores, StoreUnavailable
from common.text.language import text_of
from workers.knowledge.passages import Passage

logger = logging.getLogger(__name__)

_MOST_TEXT_CHARS = 2_500  # of a passage, whoever found it
_MOST_NAME_CHARS = 300


class SearchFailed(Exception):
    """A search failed; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Search(Protocol):
    """Finds passages in a collection."""

    async def search(self, collection: CollectionRef, question: str, most: int) -> list[Passage] | None:
        """Return the best passages, or None if there is no such collection. Raises SearchFailed."""


class _FoundPassage(BaseModel):
    id: str
    text: str
    score: float = 0.0
    document: str = ""
    title: str = ""


class _Found(BaseModel):
    passages: list[_FoundPassage] = Field(max_length=1_000)


class SearchService:
    """An operator's own search service, asked over HTTP as `docs/knowledge.md` describes."""

    def __init__(self, settings: Settings, client: httpx.AsyncClient) -> None:
        self._url = settings.search_url
        self._key = settings.search_api_key.get_secret_value()
        self._client = client

    async def search(self, collection: CollectionRef, question: str, most: int) -> list[Passage] | None:
        """Return the passages that the service answers with. Raises SearchFailed."""
        body = {
            "query": question,
            "collection": collection.collection,
            "tenant": collection.tenant,
            "top_k": most,
        }
        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        try:
            reply = await self._client.post(self._url, content=orjson.dumps(body), headers=headers)
        except httpx.HTTPError:
            raise SearchFailed("search_unreachable") from None
        if reply.status_code == 404:
            return None
        if reply.status_code != 200:
            raise SearchFailed("search_refused")
        try:
            found = _Found.model_validate_json(reply.content)
        except ValidationError:
            raise SearchFailed("search_garbled") from None
        return [Passage(p.id, p.document, p.title, p.text, p.score) for p in found.passages]


class NoSearch:
    """Stands where no search is installed."""

    async def search(self, collection: CollectionRef, question: str, most: int) -> list[Passage] | None:
        """Raises SearchFailed."""
        raise SearchFailed("search_missing")


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Finds passages for turns."""

    settings: Settings
    stores: Stores
    service: Search

    async def retrieve(self, turn: TurnRef, started: TurnStarted, start_ms: int) -> Retrieved | None:
        """Find passages for the turn's question and append them to the log; None if the profile wants none.

        A failed search does not fail the turn: the event carries its error code.
        """
        wanted = started.lanes["full"].get("knowledge")
        if not wanted:
            return None
        collection = CollectionRef(turn.session.tenant, wanted["collection"])
        passages: list[Passage] = []
        error: str | None = None
        try:
            passages = await self._search(collection, _question(started), wanted["top_k"])
        except SearchFailed as failure:
            error = failure.code
            logger.warning("a search failed", extra={"turn": turn.turn, "code": error})
        since_ms = self.stores.log_clock.since(start_ms)
        found = [asdict(_bounded(passage)) for passage in passages]
        retrieved = Retrieved(turn.turn, wanted["collection"], found, error, since_ms)
        try:
            await append_now(self.stores, turn.session, retrieved)
        except StoreUnavailable as trouble:  # should this attempt fail, too, the next one searches again
            logger.warning("could not note what was found", extra={"error": trouble.reason})
        return retrieved

    async def _search(self, collection: CollectionRef, question: str, most: int) -> list[Passage]:
        try:
            async with asyncio.timeout(self.settings.search_timeout_s):
                found = await self.service.search(collection, question, most)
        except TimeoutError:
            raise SearchFailed("search_timeout") from None
        if found is None:
            raise SearchFailed("unknown_collection")
        return found[:most]


def citations(retrieved: Retrieved) -> dict[str, Any]:
    """Return the passages as a chunk's choice, numbered as the model was shown them."""
    numbered = [{"index": number, **passage} for number, passage in enumerate(retrieved.passages, 1)]
    return {"index": 0, "delta": {"citations": numbered}, "finish_reason": None}


def _question(started: TurnStarted) -> str:
    """Return the user's last message as text."""
    messages: list[dict[str, Any]] = started.request["messages"]
    return next((text_of(m.get("content")) for m in reversed(messages) if m["role"] == "user"), "")


def _bounded(passage: Passage) -> Passage:
    names = {name: getattr(passage, name)[:_MOST_NAME_CHARS] for name in ("id", "document", "title")}
    return replace(passage, text=passage.text[:_MOST_TEXT_CHARS], **names)
