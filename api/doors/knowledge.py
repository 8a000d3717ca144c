"""The tenant's knowledge: documents put, listed, looked at, deleted."""

import asyncio

from fastapi import APIRouter, Request

from api.admin.administration import note_deletion
from api.body import read_body
from api.http.identity import Admin, Identity, Reader
from api.openapi import examples
from api.openapi.document import as_json, as_text, query, told
from api.openapi.parameters import CollectionPath, DocumentPath
from api.requests.documents import GivenDocument, GivenDocuments, read_document, read_documents
from api.requests.paging import read_limit
from api.schemas import (
    Collection,
    CollectionList,
    Deleted,
    DocumentHead,
    DocumentHeads,
    DocumentPage,
    DocumentWithText,
)
from api.services import Services
from common.errors import BadRequest, NotFound
from common.knowledge.documents import Document, Documents
from common.names import CollectionRef, valid_collection

router = APIRouter(prefix="/v1/knowledge")

_MOST_LISTED = 100
_LISTED = 20
_MOST_COLLECTIONS = 1_000
_TEXTS = {
    kind: body
    for each in ("text/plain", "text/markdown")
    for kind, body in as_text(
        each, "The text of one document.", examples.DOCUMENT_TEXT, pattern=r"\S"
    ).items()
}
_LINES = as_text("application/jsonl", "One JSON document on each line.", examples.DOCUMENT_LINES)


@router.get(
    "",
    **told("knowledge", "List collections", gives={200: as_json(CollectionList, one=examples.COLLECTIONS)}),
)
async def list_collections(request: Request, who: Reader) -> CollectionList:
    """Return the collections that hold documents."""
    documents = _documents(request)
    counts = await documents.counts(who.tenant.id)
    data = [
        Collection(id=name, object="knowledge.collection", documents=count) for name, count in counts.items()
    ]
    return CollectionList(object="list", data=data)


@router.put(
    "/{collection}/documents",
    **told(
        "knowledge",
        "Add or replace documents",
        takes=as_json(GivenDocuments, one=examples.DOCUMENTS) | _TEXTS | _LINES,
        gives={200: as_json(DocumentHeads, one=examples.DOCUMENT_HEADS)},
    ),
)
async def put_documents(request: Request, who: Admin, collection: CollectionPath) -> DocumentHeads:
    """Add documents to a collection, replacing those with the same id. Either all are stored or none."""
    kind, raw = await _body(request)
    # Checking megabytes takes a while; calls go on meanwhile.
    return await _put(request, _ref(who, collection), await asyncio.to_thread(read_documents, kind, raw))


@router.put(
    "/{collection}/documents/{document_id:path}",
    **told(
        "knowledge",
        "Add or replace one document",
        takes=as_json(GivenDocument, one=examples.DOCUMENT) | _TEXTS,
        gives={200: as_json(DocumentHeads, one=examples.DOCUMENT_HEADS)},
    ),
)
async def put_document(
    request: Request, who: Admin, collection: CollectionPath, document_id: DocumentPath
) -> DocumentHeads:
    """Add a document, or replace the one with this id. The body is its text, or JSON with more about it."""
    kind, raw = await _body(request)
    document = await asyncio.to_thread(read_document, kind, raw, document_id)
    return await _put(request, _ref(who, collection), [document])


@router.get(
    "/{collection}/documents",
    **told(
        "knowledge",
        "List documents",
        asks=(
            query("after", "Returns only documents whose id comes after this one.", "hours"),
            query(
                "limit",
                "The number of documents to return at most.",
                20,
                type="integer",
                minimum=1,
                maximum=_MOST_LISTED,
                default=_LISTED,
            ),
        ),
        gives={200: as_json(DocumentPage, page=examples.DOCUMENT_PAGE)},
    ),
)
async def list_documents(request: Request, who: Reader, collection: CollectionPath) -> DocumentPage:
    """Return one page of a collection's documents, ordered by id, without their texts."""
    ref, limit = _ref(who, collection), read_limit(request.query_params, _LISTED, _MOST_LISTED)
    documents = _documents(request)
    page = await documents.page(ref, request.query_params.get("after", ""), limit + 1)
    if not page and not await documents.count(ref):
        raise _no_collection()
    shown = page[:limit]
    failed = await documents.failures(ref, shown)
    return DocumentPage(
        object="list",
        data=[_head(document, failed) for document in shown],
        first_id=shown[0].id if shown else None,
        last_id=shown[-1].id if shown else None,
        has_more=len(page) > limit,
    )


@router.get(
    "/{collection}/documents/{document_id:path}",
    **told(
        "knowledge",
        "Get a document",
        gives={200: as_json(DocumentWithText, one=examples.WHOLE_DOCUMENT)},
    ),
)
async def get_document(
    request: Request, who: Reader, collection: CollectionPath, document_id: DocumentPath
) -> DocumentWithText:
    """Return a document with its text."""
    ref = _ref(who, collection)
    documents = _documents(request)
    document = await documents.get(ref, document_id)
    if document is None:
        raise _no_document()
    failed = await documents.failures(ref, [document])
    return DocumentWithText(**dict(_head(document, failed)), text=document.text)


@router.delete(
    "/{collection}/documents/{document_id:path}",
    **told("knowledge", "Delete a document", gives={200: as_json(Deleted, one=examples.DELETED_DOCUMENT)}),
)
async def delete_document(
    request: Request, who: Admin, collection: CollectionPath, document_id: DocumentPath
) -> Deleted:
    """Delete a document. Later answers no longer use it."""
    ref = _ref(who, collection)
    documents = _documents(request)
    if await documents.get(ref, document_id):
        await note_deletion(request, who, "document.deleted", f"{collection}/{document_id}")
    if not await documents.remove(ref, document_id):
        raise _no_document()
    return Deleted(id=document_id, object="knowledge.document.deleted", deleted=True)


@router.delete(
    "/{collection}/documents",
    **told(
        "knowledge", "Delete a collection", gives={200: as_json(Deleted, one=examples.DELETED_COLLECTION)}
    ),
)
async def delete_collection(request: Request, who: Admin, collection: CollectionPath) -> Deleted:
    """Delete a collection with all of its documents."""
    ref = _ref(who, collection)
    documents = _documents(request)
    if await documents.count(ref):
        await note_deletion(request, who, "collection.deleted", collection)
    if not await documents.drop(ref):
        raise _no_collection()
    return Deleted(id=collection, object="knowledge.collection.deleted", deleted=True)


async def _put(request: Request, ref: CollectionRef, given: list[Document]) -> DocumentHeads:
    services: Services = request.app.state.services
    most = services.settings.knowledge_max_documents
    documents = _documents(request)
    known = await documents.collections()
    mine = [other for other in known if other.tenant == ref.tenant]
    if ref not in known and len(mine) >= _MOST_COLLECTIONS:
        raise BadRequest(f"there are {_MOST_COLLECTIONS} collections", code="too_many_collections")
    if await documents.count(ref, [document.id for document in given]) > most:
        raise BadRequest(f"a collection holds at most {most} documents", code="too_many_documents")
    await documents.put(ref, given)
    return DocumentHeads(object="list", data=[_head(document, {}) for document in given])


def _documents(request: Request) -> Documents:
    services: Services = request.app.state.services
    return Documents(services.stores)


async def _body(request: Request) -> tuple[str, bytes]:
    """A body's content type and bytes."""
    services: Services = request.app.state.services
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind, await read_body(request, services.settings.knowledge_max_body_bytes)


def _ref(who: Identity, collection: str) -> CollectionRef:
    if not valid_collection(collection):
        raise BadRequest(
            "a collection's name has 1 to 64 letters, digits and, not first, '.', '_', '-'",
            param="collection",
        )
    return CollectionRef(who.tenant.id, collection)


def _head(document: Document, failed: dict[str, str]) -> DocumentHead:
    """Return a document without its text. `error` says why it can't be found, if so."""
    return DocumentHead(
        id=document.id,
        object="knowledge.document",
        title=document.title,
        metadata=document.metadata,
        chars=len(document.text),
        error=failed.get(document.id),
    )


def _no_collection() -> NotFound:
    return NotFound("there is no such collection", code="unknown_collection")


def _no_document() -> NotFound:
    return NotFound("there is no such document", code="unknown_document")
