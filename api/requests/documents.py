"""Bodies that bring documents: text, Markdown, JSON, JSONL."""

import hashlib
from collections.abc import Iterable
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from api.requests.turn_request import first_error
from common.errors import BadRequest, TooLarge
from common.knowledge.documents import (
    MAX_ID_CHARS,
    MAX_METADATA_BYTES,
    MAX_TEXT_CHARS,
    MAX_TITLE_CHARS,
    Document,
)

_TEXTS = ("text/plain", "text/markdown", "text/x-markdown")
_LINES = ("application/jsonl", "application/x-ndjson", "application/x-jsonlines", "application/jsonlines")


class GivenDocument(BaseModel):
    """A document to be stored."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    id: str | None = Field(default=None, json_schema_extra={"maxLength": MAX_ID_CHARS})
    text: str = Field(json_schema_extra={"pattern": r"\S", "maxLength": MAX_TEXT_CHARS})
    title: str = Field(default="", max_length=MAX_TITLE_CHARS)
    metadata: dict[str, Any] = {}

    @field_validator("metadata")
    @classmethod
    def _is_small(cls, value: dict[str, Any]) -> dict[str, Any]:
        try:
            size = len(orjson.dumps(value))
            orjson.dumps([[[[value]]]])  # it stands in a document, and in what is shown of it
        except orjson.JSONEncodeError:  # deeper JSON can be read than written
            raise ValueError("is nested too deeply") from None
        if size > MAX_METADATA_BYTES:
            raise ValueError(f"has more than {MAX_METADATA_BYTES} bytes")
        return value


class GivenDocuments(BaseModel):
    """Several documents to be stored."""

    documents: list[GivenDocument] = Field(min_length=1)


def read_documents(kind: str, raw: bytes) -> list[Document]:
    """The documents of a body of this content type. Raises BadRequest, TooLarge."""
    if kind in _TEXTS:
        return [_checked(GivenDocument(text=_decode(raw)), "")]
    if kind in _LINES:
        return _all(enumerate((_load(line) for line in raw.splitlines() if line.strip()), 1), "line {}: ")
    if kind not in ("application/json", ""):
        raise BadRequest(f"documents come as {', '.join((*_TEXTS[:2], _LINES[0], 'application/json'))}")
    body = _load(raw)
    documents = body.get("documents") if isinstance(body, dict) else None
    if not isinstance(documents, list):
        raise BadRequest("documents: must be a list", param="documents")
    return _all(enumerate(documents), "documents.{}.")


def read_document(kind: str, raw: bytes, document_id: str) -> Document:
    """The one document of a body; its id is the path's. Raises BadRequest, TooLarge."""
    given = GivenDocument(text=_decode(raw)) if kind in _TEXTS else _validate(_load(raw), "")
    if given.id not in (None, document_id):
        raise BadRequest("id: is not the path's", param="id")
    return _checked(given.model_copy(update={"id": document_id}), "")


def _all(values: Iterable[tuple[int, Any]], where: str) -> list[Document]:
    documents = [_checked(_validate(value, where.format(at)), where.format(at)) for at, value in values]
    if not documents:
        raise BadRequest("there is no document in the body")
    # Of two with one id the last one stands, as if they had come one after the other.
    return list({document.id: document for document in documents}.values())


def _validate(value: Any, where: str) -> GivenDocument:
    try:
        return GivenDocument.model_validate(value)
    except ValidationError as error:
        raise first_error(error, where) from None


def _checked(given: GivenDocument, where: str) -> Document:
    """The document, named by what it says where nobody has named it."""
    if not given.text.strip():
        raise BadRequest(f"{where}text: is empty", param=f"{where}text")
    if len(given.text) > MAX_TEXT_CHARS:
        raise TooLarge(f"{where}text: has more than {MAX_TEXT_CHARS} characters", code="document_too_large")
    name = given.id or hashlib.sha256(given.text.encode()).hexdigest()[:24]
    if not 0 < len(name) <= MAX_ID_CHARS or not name.isprintable() or name != name.strip():
        raise BadRequest(f"{where}id: has 1 to {MAX_ID_CHARS} printable characters", param=f"{where}id")
    return Document(name, given.text, given.title, given.metadata)


def _load(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is not valid JSON: {error}", code="invalid_json") from None


def _decode(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise BadRequest("the text is not UTF-8", code="invalid_text") from None
