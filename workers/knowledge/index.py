"""One collection's full-text index, in memory, ranked by BM25."""

from collections.abc import Iterable

import orjson
from tantivy import Document as IndexDocument
from tantivy import Index, IndexWriter, Occur, Query, SchemaBuilder

from common.knowledge.analysis import build_analyzer, parts
from common.knowledge.documents import Document
from common.knowledge.preparing import Prepared, prepared, terms
from workers.knowledge.passages import Passage

_HEAP_BYTES = 15_000_000  # the least that tantivy takes; held only while documents are written
# A title is short, so that what it says counts for much as it is; a part of a word says little.
_BOOSTS = {"title": 0.5, "text": 1.0, "parts": 0.3}
_MOST_TERMS = 64
_MOST_PARTS = 256
_MOST_QUERY_CHARS = 2_000


class CollectionIndex:
    """Finds passages. One thread at a time may write; any number may search."""

    def __init__(self) -> None:
        self._schema = (
            SchemaBuilder()
            .add_text_field("document", tokenizer_name="raw", index_option="basic")
            .add_text_field("title", tokenizer_name="terms", index_option="freq")
            .add_text_field("text", tokenizer_name="terms", index_option="freq")
            .add_text_field("parts", tokenizer_name="whitespace", index_option="freq")
            .add_bytes_field("passage", stored=True)
            .build()
        )
        self._index = Index(self._schema)
        self._index.register_tokenizer("terms", build_analyzer())
        self._writer: IndexWriter | None = None

    def put(self, documents: Iterable[Document]) -> None:
        """Add documents, replacing those of the same id; they are found after `commit`."""
        for document in documents:
            self.put_prepared(document.id, prepared(document.title, document.text))

    def put_prepared(self, document_id: str, passages: Iterable[Prepared]) -> None:
        """Add one document whose passages are already prepared, replacing one of the same id."""
        writer = self._open_writer()
        writer.delete_documents_by_term("document", document_id)
        for number, each in enumerate(passages):
            passage = Passage(f"{document_id}#{number}", document_id, each.title, each.text, 0.0)
            entry = IndexDocument()
            entry.add_text("document", document_id)
            entry.add_text("title", each.title_terms)
            entry.add_text("text", each.text_terms)
            entry.add_text("parts", each.parts)
            entry.add_bytes("passage", orjson.dumps(passage))
            writer.add_document(entry)

    def remove(self, ids: Iterable[str]) -> None:
        """Remove documents; they are no longer found after `commit`."""
        writer = self._open_writer()
        for document_id in ids:
            writer.delete_documents_by_term("document", document_id)

    def commit(self) -> None:
        """Make additions and removals visible to searches."""
        if self._writer:
            writer, self._writer = self._writer, None
            writer.commit()
            writer.wait_merging_threads()
            self._index.reload()

    def search(self, question: str, most: int) -> list[Passage]:
        """Return the best passages, best first, up to the given number."""
        asked = list(dict.fromkeys(terms(question[:_MOST_QUERY_CHARS])))[:_MOST_TERMS]
        if not asked:
            return []
        wanted = [self._wants(field, term) for term in asked for field in ("title", "text")]
        wanted += [self._wants("parts", part) for part in list(dict.fromkeys(parts(asked)))[:_MOST_PARTS]]
        searcher = self._index.searcher()
        hits = searcher.search(Query.boolean_query(wanted), most, count=False).hits
        return [_read(searcher.doc(address)["passage"][0], score) for score, address in hits]

    def _wants(self, field: str, term: str) -> tuple[Occur, Query]:
        query = Query.term_query(self._schema, field, term, "freq")
        return Occur.Should, Query.boost_query(query, _BOOSTS[field])

    def _open_writer(self) -> IndexWriter:
        if self._writer is None:
            self._writer = self._index.writer(_HEAP_BYTES, 1)
        return self._writer


def _read(stored: bytes, score: float) -> Passage:
    return Passage(**{**orjson.loads(stored), "score": round(score, 3)})
