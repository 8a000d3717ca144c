"""Turns text into the words that are read aloud: no Markdown marks, no emoji, addresses spelled out.

A mark is left out only where it is one: "5*3", "3~5", "#1", "press * to go back" are content.
"""

import re
from collections.abc import Iterable

from markdown_it import MarkdownIt
from markdown_it.token import Token

from common.text.growing_text import Text
from common.text.spoken_addresses import shorten_addresses

_INLINE = MarkdownIt("commonmark", {"html": True}).enable("strikethrough").disable("text_join")

# Blocks, line by line.
_FENCE = re.compile(r"\s*(?:`{3,}|~{3,})\s*[\w+#.-]*\s*\Z")
_RULER = re.compile(r"\s*(?:(?:[-*_]\s*){3,}|={3,}\s*)\Z")
_UNDER_HEAD = re.compile(r"\s*\|?(?:\s*:?-+:?\s*\|)+\s*(?::?-+:?\s*)?\Z")
_BLOCK = re.compile(r"\s*(?:#{1,6}(?=\s)|>|[-*•](?=\s)|\+(?=\s+\D))\s*(?:\[[ xX]\]\s+)?")
_ROW = re.compile(r"\s*\|(.*?)\|?\s*\Z", re.S)
_CELLS = re.compile(r"\s*(?<!\\)\|\s*")
_APART = re.compile(r"\s+\|\s+")

# Content that looks like emphasis: a product, a power, sizes. It is hidden while marks are read.
_PRODUCT = re.compile(r"(?<=\w)(?<!\*)\*(?=\w)|(?<=[A-Za-z0-9)])\*\*(?=\d)")
# Code and what is escaped are content too.
_SIGNS_OF_MARKS = "*_`~[]()^"
_HIDE = {ord(sign): 0xE000 + place for place, sign in enumerate(_SIGNS_OF_MARKS)}
_SHOW = {hidden: sign for sign, hidden in _HIDE.items()}

# Marks that stand alone as their sentence was cut out of a longer text, or as CJK letters touch them.
_LONE_MARKS = (
    (re.compile(r"(?<![0-9A-Za-z])\*{2,3}(?=\S)|(?<=\S)\*{2,3}(?![0-9A-Za-z])"), ""),
    (re.compile(r"(?<!\w)_{1,3}(?=\w)|(?<=[^\W_])_{1,3}(?!\w)|(?<=[.!?。！？…:：])_{1,3}(?!\w)"), ""),
    (re.compile(r"(?<!\S)~~(?=\S)|(?<=\S)~~(?!\S)"), ""),
    (re.compile(r"(?<![\w*#])\*(?=[^\W\d_])|(?<=[.!?。！？…])\*(?!\w)"), ""),
    (re.compile(r"`+(?=\S)|(?<=\S)`+"), ""),
    (re.compile(r"\]\((?:[a-z]+:|[/#.]|[\w-]+\.\w)[^\s)]*\)"), ""),
    (re.compile(r"\[\^[^\]\s]{1,20}\]:?"), ""),
)
_TAG_NAMES = (
    "a abbr b big blockquote br break center code col dd del details div dl dt em emphasis font h1 h2 h3 h4"
    " h5 h6 hr i img ins kbd li mark ol p phoneme pre prosody q s samp say-as small span speak strike strong"
    " sub summary sup table tbody td tfoot th thead tr tt u ul var voice wbr"
)
_TAGS = frozenset(_TAG_NAMES.split())
_TAG = re.compile(r"</?([A-Za-z][\w-]*)")
_EMOJI = "\U0001f000-\U0001fbff\u2300-\u23ff\u25a0-\u266c\u2670-\u27bf\u2b00-\u2bff"
_SIGNS = (
    (re.compile(r"\s*[→⇒➔➜➡]\ufe0f?\s*"), ", "),
    (re.compile(f"(?<=[{_EMOJI}\ufe0f])\u200d|[\ufe0f\u20e3]|[\U000e0020-\U000e007f]+"), ""),
    (re.compile(f"[{_EMOJI}\u2190-\u21ff]+"), " "),
    (re.compile(r"\s+"), " "),
)
_LONE = re.compile(r"(?:^|(?<=[.!?]))[\s,]+|[\s,]+$")
_BACK = 64


def speakable(text: str, *, begins_line: bool = True) -> str:
    """Return the words of a sentence; empty if nothing in it is spoken.

    `begins_line`: the sentence begins a line, where blocks of Markdown have their marks.
    """
    lines = shorten_addresses(text).splitlines()
    blocks = [_block(line, begins_line or place > 0) for place, line in enumerate(lines)]
    words = "\n".join(line for line in blocks if line)
    words = _PRODUCT.sub(lambda found: found[0].translate(_HIDE), words)
    words = "".join(_told(_INLINE.parseInline(words)))
    for pattern, by in (*_LONE_MARKS, *_SIGNS):
        words = pattern.sub(by, words)
    words = _LONE.sub(" ", words.translate(_SHOW)).strip()
    return words if any(map(str.isalnum, words)) else ""


def spoken_part(text: Text, start: int, end: int) -> str:
    """Return the words of one sentence of a text."""
    before = text[max(0, start - _BACK) : start].rstrip(" \t")
    return speakable(text[start:end], begins_line=not before or before[-1] == "\n")


def _block(line: str, begins: bool) -> str:
    """Return a line without its block marks."""
    if _FENCE.match(line) or _RULER.match(line) or _UNDER_HEAD.match(line):
        return ""
    while begins and (mark := _BLOCK.match(line)):
        line = line[mark.end() :]
        if not line.strip():
            return ""
    if begins and (row := _ROW.match(line)):
        return _CELLS.sub(", ", row[1]).replace("\\|", "|")
    return _APART.sub(", ", line)


def _told(tokens: Iterable[Token]) -> Iterable[str]:
    """Yield the words of these tokens, without their marks."""
    for token in tokens:
        if token.type in ("inline", "image"):
            yield from _told(token.children or ())
        elif token.type == "text":
            yield token.content
        elif token.type in ("code_inline", "text_special"):
            yield token.content.translate(_HIDE)
        elif token.type in ("softbreak", "hardbreak"):
            yield " "
        elif token.type == "html_inline":
            yield _tag(token.content)


def _tag(tag: str) -> str:
    """Return a space for an HTML tag or comment, and the words for words in angle brackets."""
    named = _TAG.match(tag)
    if named is None:
        return " "  # a comment
    rest = tag[named.end() : -1].strip(" /")
    if named[1].lower() in _TAGS and (not rest or "=" in rest):
        return " "
    return f" {tag[1:-1].strip('/')} "
