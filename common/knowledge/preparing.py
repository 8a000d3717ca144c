"""Prepares documents for an index, without knowing the index. Runs as a child process.

Strangers' texts are processed in a process of their own, so that none can hold up the calls being served: it
reads documents from a pipe and answers with their passages and terms.
"""

import sys
from functools import cache
from typing import BinaryIO, NamedTuple

import orjson
from tantivy import TextAnalyzer

from common.knowledge.analysis import build_analyzer, parts, prepare
from common.knowledge.chunking import cut
from common.net.framing import pack, read


class Prepared(NamedTuple):
    """One passage: its title and text, each as shown and as searched, and the parts of its words."""

    title: str
    text: str
    title_terms: str
    text_terms: str
    parts: str


def prepared(title: str, text: str) -> list[Prepared]:
    """Return the passages of a document, in order."""
    return [
        Prepared(
            chunk.title,
            chunk.text,
            prepare(chunk.title),
            prepare(chunk.text),
            " ".join(parts(terms(f"{chunk.title}\n{chunk.text}"))),
        )
        for chunk in cut(title, text)
    ]


def terms(text: str) -> list[str]:
    """Return the terms by which a text is searched."""
    return _analyzer().analyze(prepare(text))


@cache
def _analyzer() -> TextAnalyzer:
    return build_analyzer()


def serve(asked: BinaryIO, told: BinaryIO) -> None:
    """Answer requests until the pipe closes; null for a document that can't be read."""
    while (question := read(asked)) is not None:
        title, text = orjson.loads(question)
        try:
            answer = pack(list(map(list, prepared(title, text))))
        except Exception:
            answer = pack(None)
        told.write(answer)
        told.flush()


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
