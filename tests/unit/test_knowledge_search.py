"""Search over the tests' own small knowledge: is the right passage found."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from common.knowledge.documents import Document
from workers.knowledge.index import CollectionIndex
from workers.knowledge.passages import Passage

SAMPLES = Path(__file__).parents[1] / "knowledge_samples"
LANGUAGES = ("en", "ru", "zh")
ENOUGH = 0.9


def rows(name: str) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in (SAMPLES / name).read_bytes().splitlines()]


def index_of(*documents: Document) -> CollectionIndex:
    index = CollectionIndex()
    index.put(documents)
    index.commit()
    return index


def found(passages: list[Passage]) -> list[str]:
    return [passage.document for passage in passages]


@pytest.fixture(scope="module")
def knowledge() -> CollectionIndex:
    """All three languages in one collection, as a tenant may well have it."""
    return index_of(*(Document(**row) for name in LANGUAGES for row in rows(f"documents-{name}.jsonl")))


def misses(knowledge: CollectionIndex, language: str) -> list[str]:
    """The questions whose passage is not among the first three."""
    missed = []
    for row in rows(f"questions-{language}.jsonl"):
        first = knowledge.search(row["question"], 3)
        if not any(p.document == row["document"] and row["holds"] in p.text for p in first):
            missed.append(row["question"])
    return missed


def test_the_right_passage_is_among_the_first_three(knowledge: CollectionIndex) -> None:
    missed = {language: misses(knowledge, language) for language in LANGUAGES}
    count = sum(map(len, missed.values()))
    print(f"{60 - count} of 60 among the first three; missed: {missed}")
    assert sum(len(rows(f"questions-{language}.jsonl")) for language in LANGUAGES) == 60
    assert count <= 60 * (1 - ENOUGH)
