"""Cuts a document into passages: by its headings, then paragraphs, then sentences."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from common.text.sentences import split_sentences

TARGET = 700
"""The target size of a passage in columns; a character of a wide script counts as three."""

OVERLAP = 140
"""How much of a passage, in whole sentences, is repeated at the next one's beginning."""

_LONGEST_HEADING = 200  # characters; it stands above each of its passages
_MOST_LEVEL = 6
_BLANK = re.compile(r"\n[^\S\n]*(?:\n[^\S\n]*)+")
_WIDE = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]")


@dataclass(frozen=True, slots=True)
class Chunk:
    """One passage. `title`: the document's title with the headings above the passage."""

    title: str
    text: str


def cut(title: str, text: str) -> list[Chunk]:
    """Return the passages of a document, in order."""
    chunks = []
    for headings, body in _sections(text):
        # A text that begins with its own title has it once.
        above = headings[1:] if headings[:1] == [title] else headings
        whole_title = " › ".join(filter(None, (title, *above)))
        chunks += [Chunk(whole_title, passage) for passage in _pack(_pieces(body))]
    return chunks


def columns(text: str) -> int:
    """Return the size of a text in columns."""
    return len(text) + 2 * len(_WIDE.findall(text))


def _sections(text: str) -> Iterator[tuple[list[str], str]]:
    """Yield the text under each heading, with that heading and those above it."""
    above: list[tuple[int, str]] = []
    body: list[str] = []
    for line in text.splitlines():
        level, name = _heading(line)
        if not level:
            body.append(line)
            continue
        yield [upper for _, upper in above], "\n".join(body)
        body = []
        above = [(upper, named) for upper, named in above if upper < level] + [(level, name)]
    yield [name for _, name in above], "\n".join(body)


def _heading(line: str) -> tuple[int, str]:
    """Return a heading's level and its words; level 0 if the line is none, or is too long for one."""
    bare = line.lstrip("#")
    level = len(line) - len(bare)
    if not 1 <= level <= _MOST_LEVEL or not bare[:1].isspace():
        return 0, ""
    name = bare.strip().rstrip("#").rstrip()
    return (level, name) if len(name) <= _LONGEST_HEADING else (0, "")


def _pieces(body: str) -> Iterator[str]:
    """Yield paragraphs, or the sentences of those that are too large; each with the whitespace after it."""
    for paragraph in filter(None, map(str.strip, _BLANK.split(body))):
        if columns(paragraph) <= TARGET:
            yield paragraph + "\n\n"
            continue
        *sentences, last = split_sentences(paragraph)
        for sentence in sentences:
            yield from _fit(sentence)
        yield from _fit(last + "\n\n")


def _fit(sentence: str) -> Iterator[str]:
    """Yield a sentence as it is, or in parts if it is larger than a passage, cut at spaces if it has any."""
    begin = 0
    while columns(sentence[begin : begin + TARGET + 1]) > TARGET:
        size = TARGET if columns(sentence[begin : begin + TARGET]) <= TARGET else TARGET // 3
        end = sentence.rfind(" ", begin + size // 2, begin + size) + 1 or begin + size
        yield sentence[begin:end]
        begin = end
    yield sentence[begin:]


def _pack(pieces: Iterator[str]) -> Iterator[str]:
    """Yield passages packed from pieces; each begins with the end of the one before."""
    held: list[str] = []
    size = carried = 0  # carried: how many of those held the passage before has, too
    for piece in pieces:
        if len(held) > carried and size + columns(piece) > TARGET:
            yield "".join(held).strip()
            held = _tail(held)
            if sum(map(columns, held)) + columns(piece) > TARGET:
                held = []
            carried, size = len(held), sum(map(columns, held))
        held.append(piece)
        size += columns(piece)
    if len(held) > carried:
        yield "".join(held).strip()


def _tail(pieces: list[str]) -> list[str]:
    """Return the last pieces, as many as the overlap holds."""
    size, begin = 0, len(pieces)
    while begin and (size := size + columns(pieces[begin - 1])) <= OVERLAP:
        begin -= 1
    return pieces[begin:]
