"""A document made ready for an index: all that hangs on what stands in it. Run as a module, for whoever asks.

What a stranger wrote is read in a process of its own, so that none can hold up who serves calls: over a pipe
it is given documents and answers what is to be found of them.
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
    """One passage: its title and text, each as it is shown and as it is found, and the parts of its words."""

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
    """Return the terms that a text is found by."""
    return _analyzer().analyze(prepare(text))


@cache
def _analyzer() -> TextAnalyzer:
    return build_analyzer()


def serve(asked: BinaryIO, told: BinaryIO) -> None:
    """Answer until nobody asks any more; null for a document that can't be read."""
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
