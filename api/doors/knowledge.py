"""The tenant's knowledge: documents put, listed, looked at, deleted."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request

from api.body import read_body
from api.documents import read_document, read_documents
from api.identity import Admin, Identity, Reader
from api.services import Services
from common import keys
from common.errors import BadRequest, NotFound, Unavailable
from common.keys import CollectionRef
from common.knowledge.documents import Document, Documents
from common.stores import STORE_ERRORS

router = APIRouter(prefix="/v1/knowledge")

_MOST_LISTED = 100
_LISTED = 20
_MOST_COLLECTIONS = 1_000

Collection = Annotated[str, Path(description="1 to 64 letters, digits, `.`, `_`, `-`")]


@router.get("")
async def list_collections(request: Request, who: Reader) -> dict[str, Any]:
    """The collections that hold documents."""
    async with _documents(request) as documents:
        counts = await documents.counts(who.tenant.id)
    data = [
        {"id": name, "object": "knowledge.collection", "documents": count} for name, count in counts.items()
    ]
    return {"object": "list", "data": data}


@router.put("/{collection}/documents")
async def put_documents(request: Request, who: Admin, collection: Collection) -> dict[str, Any]:
    """Put documents beside those that are there, in place of those of the same id."""
    kind, raw = await _body(request)
    # Checking megabytes takes a while; calls go on meanwhile.
    return await _put(request, _ref(who, collection), await asyncio.to_thread(read_documents, kind, raw))


@router.put("/{collection}/documents/{document_id:path}")
async def put_document(
    request: Request, who: Admin, collection: Collection, document_id: str
) -> dict[str, Any]:
    """Put one document: its text, or JSON with `text`, `title`, `metadata`."""
    kind, raw = await _body(request)
    return await _put(request, _ref(who, collection), [read_document(kind, raw, document_id)])


@router.get("/{collection}/documents")
async def list_documents(request: Request, who: Reader, collection: Collection) -> dict[str, Any]:
    """The documents by their ids, without their texts; `after` an id, `limit` at once."""
    ref, limit = _ref(who, collection), _limit(request.query_params.get("limit"))
    async with _documents(request) as documents:
        page = await documents.page(ref, request.query_params.get("after", ""), limit + 1)
        if not page and not await documents.count(ref):
            raise _no_collection()
    shown = page[:limit]
    return {
        "object": "list",
        "data": [_head(document) for document in shown],
        "first_id": shown[0].id if shown else None,
        "last_id": shown[-1].id if shown else None,
        "has_more": len(page) > limit,
    }


@router.get("/{collection}/documents/{document_id:path}")
async def get_document(
    request: Request, who: Reader, collection: Collection, document_id: str
) -> dict[str, Any]:
    """One document."""
    ref = _ref(who, collection)
    async with _documents(request) as documents:
        document = await documents.get(ref, document_id)
    if document is None:
        raise _no_document()
    return {**_head(document), "text": document.text}


@router.delete("/{collection}/documents/{document_id:path}")
async def delete_document(
    request: Request, who: Admin, collection: Collection, document_id: str
) -> dict[str, Any]:
    """Delete one document."""
    ref = _ref(who, collection)
    async with _documents(request) as documents:
        if not await documents.remove(ref, document_id):
            raise _no_document()
    return {"id": document_id, "object": "knowledge.document.deleted", "deleted": True}


@router.delete("/{collection}/documents")
async def delete_collection(request: Request, who: Admin, collection: Collection) -> dict[str, Any]:
    """Delete all documents of a collection."""
    ref = _ref(who, collection)
    async with _documents(request) as documents:
        if not await documents.drop(ref):
            raise _no_collection()
    return {"id": collection, "object": "knowledge.collection.deleted", "deleted": True}


async def _put(request: Request, ref: CollectionRef, given: list[Document]) -> dict[str, Any]:
    services: Services = request.app.state.services
    most = services.settings.knowledge_max_documents
    async with _documents(request) as documents:
        known = await documents.collections()
        mine = [other for other in known if other.tenant == ref.tenant]
        if ref not in known and len(mine) >= _MOST_COLLECTIONS:
            raise BadRequest(f"there are {_MOST_COLLECTIONS} collections", code="too_many_collections")
        if await documents.count(ref, [document.id for document in given]) > most:
            raise BadRequest(f"a collection holds at most {most} documents", code="too_many_documents")
        await documents.put(ref, given)
    return {"object": "list", "data": [_head(document) for document in given]}


@asynccontextmanager
async def _documents(request: Request) -> AsyncIterator[Documents]:
    """The documents; a store that is away is told as such."""
    services: Services = request.app.state.services
    try:
        yield Documents(services.stores)
    except STORE_ERRORS:
        raise Unavailable("the store is away; try again", code="store_unavailable") from None


async def _body(request: Request) -> tuple[str, bytes]:
    """A body's content type and bytes."""
    services: Services = request.app.state.services
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind, await read_body(request, services.settings.knowledge_max_body_bytes)


def _ref(who: Identity, collection: str) -> CollectionRef:
    if not keys.valid_collection(collection):
        raise BadRequest(
            "a collection's name has 1 to 64 letters, digits and, not first, '.', '_', '-'",
            param="collection",
        )
    return CollectionRef(who.tenant.id, collection)


def _limit(text: str | None) -> int:
    if text is None:
        return _LISTED
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= _MOST_LISTED):
        raise BadRequest(f"limit: is a number from 1 to {_MOST_LISTED}", param="limit")
    return int(text)


def _head(document: Document) -> dict[str, Any]:
    """A document without its text."""
    return {
        "id": document.id,
        "object": "knowledge.document",
        "title": document.title,
        "metadata": document.metadata,
        "chars": len(document.text),
    }


def _no_collection() -> NotFound:
    return NotFound("there is no such collection", code="unknown_collection")


def _no_document() -> NotFound:
    return NotFound("there is no such document", code="unknown_document")
