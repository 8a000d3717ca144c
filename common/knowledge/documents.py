"""Documents as they are stored in Redis, and the changes among them for those who follow."""

import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from common.names import CollectionRef
from common.store import keys
from common.store.redis import Pipeline, Stores

MAX_ID_CHARS = 200
MAX_TITLE_CHARS = 300
MAX_TEXT_CHARS = 200_000
MAX_METADATA_BYTES = 4_096

_BATCH_DOCUMENTS = 100
_BATCH_CHARS = 400_000
_CHANGES_KEPT = 10_000
_CHANGES_PAGE = 10


@dataclass(frozen=True, slots=True)
class Document:
    """A text of a tenant, from which answers are drawn."""

    id: str
    text: str
    title: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Changes:
    """Documents that were put or deleted, and the last change's entry, to continue after."""

    ids: list[str]
    last: str


class Documents:
    """All tenants' documents. All methods may be repeated safely; each raises StoreUnavailable."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    async def put(self, collection: CollectionRef, documents: Sequence[Document]) -> None:
        """Store documents, replacing those with the same id."""
        await self._stores.queue.sadd(keys.COLLECTIONS, str(collection))  # type: ignore[misc]
        for batch in _batches(documents):
            pipe = self._stores.log.pipeline(transaction=True)
            bodies = {document.id: orjson.dumps(document) for document in batch}
            pipe.hset(keys.documents(collection), mapping=bodies)
            pipe.zadd(keys.document_ids(collection), dict.fromkeys(bodies, 0))
            pipe.hdel(keys.document_failures(collection), *bodies)
            _note_change(pipe, collection, list(bodies))
            await pipe.execute()
            await self._tell(collection)

    async def remove(self, collection: CollectionRef, document_id: str) -> bool:
        """Delete a document, and return True if there was one."""
        pipe = self._stores.log.pipeline(transaction=True)
        pipe.hdel(keys.documents(collection), document_id)
        pipe.zrem(keys.document_ids(collection), document_id)
        pipe.hdel(keys.document_failures(collection), document_id)
        _note_change(pipe, collection, [document_id], create=False)
        removed, *_ = await pipe.execute()
        await self._tell(collection)
        return bool(removed)

    async def drop(self, collection: CollectionRef) -> bool:
        """Delete a whole collection, and return True if there was anything in it."""
        # Its changes go with it: a follower finds its last entry gone, and reads everything again.
        pipe = self._stores.log.pipeline(transaction=True)
        pipe.delete(keys.documents(collection))
        pipe.delete(keys.document_ids(collection), keys.document_changes(collection))
        pipe.delete(keys.document_failures(collection))
        removed, *_ = await pipe.execute()
        await self._tell(collection)
        return bool(removed)

    async def drop_all(self, tenant: str) -> bool:
        """Delete all of a tenant's collections, and their names; return True if there were any."""
        mine = [collection for collection in await self.collections() if collection.tenant == tenant]
        for collection in mine:
            await self.drop(collection)
            await self._stores.queue.srem(keys.COLLECTIONS, str(collection))  # type: ignore[misc]
        return bool(mine)

    async def get(self, collection: CollectionRef, document_id: str) -> Document | None:
        """Return a document; None if there is none."""
        body = await self._stores.log.hget(keys.documents(collection), document_id)  # type: ignore[misc]
        return _read(body) if body else None

    async def find(self, collection: CollectionRef, ids: Sequence[str]) -> list[Document]:
        """Return those of these documents that exist."""
        bodies: list[bytes | None] = (
            await self._stores.log.hmget(keys.documents(collection), list(ids)) if ids else []  # type: ignore[misc]
        )
        return [_read(body) for body in bodies if body]

    async def page(self, collection: CollectionRef, after: str, count: int) -> list[Document]:
        """Return the next documents by id after this one; the empty id comes before all."""
        begin = f"({after}" if after else "-"
        ids = await self._stores.log.zrangebylex(
            keys.document_ids(collection), begin, "+", start=0, num=count
        )
        return await self.find(collection, [document_id.decode() for document_id in ids])

    async def count(self, collection: CollectionRef, putting: Sequence[str] = ()) -> int:
        """Return how many documents a collection has, or would have with these put."""
        pipe = self._stores.log.pipeline(transaction=False)
        pipe.zcard(keys.document_ids(collection))
        if putting:
            pipe.zmscore(keys.document_ids(collection), list(putting))
        now, *scores = await pipe.execute()
        return int(now) + (scores[0].count(None) if scores else 0)

    async def collections(self) -> list[CollectionRef]:
        """Return all collections that ever had a document."""
        names = await self._stores.queue.smembers(keys.COLLECTIONS)  # type: ignore[misc]
        return sorted((CollectionRef.parse(name.decode()) for name in names), key=str)

    async def counts(self, tenant: str) -> dict[str, int]:
        """Return how many documents each of a tenant's collections has, if any."""
        mine = [collection for collection in await self.collections() if collection.tenant == tenant]
        pipe = self._stores.log.pipeline(transaction=False)
        for collection in mine:
            pipe.zcard(keys.document_ids(collection))
        counts = await pipe.execute()
        return {c.collection: int(count) for c, count in zip(mine, counts, strict=True) if count}

    async def failures(self, collection: CollectionRef, documents: Sequence[Document]) -> dict[str, str]:
        """Return those of these documents whose text can't be searched, by id, with an error code."""
        if not documents:
            return {}
        raw = await self._stores.log.hmget(  # type: ignore[misc]
            keys.document_failures(collection), [document.id for document in documents]
        )
        notes = [
            (document, orjson.loads(note)) for document, note in zip(documents, raw, strict=True) if note
        ]
        return {document.id: note["code"] for document, note in notes if note["digest"] == _digest(document)}

    async def note_failure(self, collection: CollectionRef, document: Document, code: str) -> None:
        """Record that this version of a document can't be searched, so that nobody tries again."""
        note = orjson.dumps({"code": code, "digest": _digest(document)}).decode()
        await self._stores.log.hset(keys.document_failures(collection), document.id, note)  # type: ignore[misc]

    # For those who follow.

    async def latest(self, collections: Sequence[CollectionRef]) -> list[str]:
        """Return the entry of each collection's latest change; empty if none is kept."""
        pipe = self._stores.log.pipeline(transaction=False)
        for collection in collections:
            pipe.xrevrange(keys.document_changes(collection), count=1)
        return [raw[0][0].decode() if raw else "" for raw in await pipe.execute()]

    async def changes(self, collection: CollectionRef, after: str) -> Changes | None:
        """Return the next changes after this entry; None if it is gone, so that all must be read again."""
        raw = await self._stores.log.xrange(
            keys.document_changes(collection), min=after or "-", count=_CHANGES_PAGE
        )
        if not after:
            return None if raw else Changes([], "")
        if not raw or raw[0][0].decode() != after:
            return None
        ids = [document_id for _, fields in raw[1:] for document_id in orjson.loads(fields[b"ids"])]
        return Changes(list(dict.fromkeys(ids)), raw[-1][0].decode())

    async def scan(self, collection: CollectionRef) -> AsyncIterator[list[Document]]:
        """Yield all documents, page by page; one that is put meanwhile may be missed, or come twice."""
        key, cursor = keys.documents(collection), -1
        while cursor:
            cursor, bodies = await self._stores.log.hscan(key, max(cursor, 0), count=_BATCH_DOCUMENTS)
            if bodies:
                yield list(map(_read, bodies.values()))

    async def _tell(self, collection: CollectionRef) -> None:
        await self._stores.queue.publish(keys.KNOWLEDGE_CHANGED, str(collection))


def _note_change(pipe: Pipeline, collection: CollectionRef, ids: list[str], *, create: bool = True) -> None:
    pipe.xadd(
        keys.document_changes(collection),
        {"ids": orjson.dumps(ids)},
        maxlen=_CHANGES_KEPT,
        approximate=True,
        nomkstream=not create,
    )


def _batches(documents: Sequence[Document]) -> list[list[Document]]:
    """Return the documents in batches that the server handles in a moment."""
    batches: list[list[Document]] = []
    chars = 0
    for document in documents:
        chars += len(document.text)
        if not batches or len(batches[-1]) == _BATCH_DOCUMENTS or chars > _BATCH_CHARS:
            batches.append([])
            chars = len(document.text)
        batches[-1].append(document)
    return batches


def _digest(document: Document) -> str:
    return hashlib.sha256(orjson.dumps([document.title, document.text])).hexdigest()


def _read(body: bytes) -> Document:
    return Document(**orjson.loads(body))
