"""Thoughts that a model writes into its text: they are not spoken, and go with the answer as reasoning.

Known marks: `<think>…</think>` and its kin (`thinking`, `thought`, `reasoning`, `seed:think`, …),
`[THINK]`, `◁think▷`, `<|begin_of_thought|>`, `<|START_THINKING|>`, Gemma's `<|channel>`, and the
channels of gpt-oss. A mark behind a backtick is quoted, and counts as text.
"""

import re
from collections.abc import Iterator
from typing import Literal

from workers.providers.base import PassThrough, StreamPart
from workers.providers.exchange import garbled

_NAMES = (
    "think",
    "thinking",
    "thought",
    "thoughts",
    "reasoning",
    "reflection",
    "scratchpad",
    "seed:think",
    "mm:think",
    "antthinking",
    "antml:thinking",
    "longcat_think",
    "inner_monologue",
)
_OPENING = (
    "◁think▷",
    "[think]",
    "<|begin_of_thought|>",
    "<|start_thinking|>",
    "<unused94>",
    "<|channel>",
)
_CLOSING = (
    "◁/think▷",
    "[/think]",
    "<|end_of_thought|>",
    "<|end_thinking|>",
    "<unused95>",
    "<channel|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
)
_DROPPED = (
    "<|begin_of_solution|>",
    "<|end_of_solution|>",
    "<|start_response|>",
    "<|end_response|>",
)
_HEADS = ("<|start|>", "<|channel|>")
_BODY = "<|message|>"
_ENDS = ("<|end|>", "<|return|>", "<|call|>")  # of a channel: what follows is no answer to an opening mark
_TOKENS = (*_OPENING, *_CLOSING, *_DROPPED, *_HEADS, _BODY)
_NAME = "|".join(map(re.escape, _NAMES))
_TAG = (
    rf"<\s{{0,3}}(?P<end>/?)\s{{0,3}}(?:{_NAME})(?:\s[\w-]{{1,20}}\s?=[^<>]{{0,80}})?\s{{0,3}}(?P<empty>/?)>"
)
_TOKEN = "|".join(re.escape(token) for token in _TOKENS if token[0] != "[")
_MARK = re.compile(rf"\[/?THINK\]|(?i:{_TAG}|{_TOKEN})")  # `[think]` is how somebody is to speak
_BEGUN_TAG = re.compile(r"<\s{0,3}/?\s{0,3}([\w:]*)(.*)\Z", re.DOTALL)
_MOST_MARK = 130
_MOST_HEAD = 200
_MOST_BLANK = 1_000
_MOST_HELD = 4 * 1_048_576

State = Literal["said", "thought", "head"]


class Thoughts:
    """Separates thoughts from words as they come.

    `begins`: the model thinks first, and only marks the end.
    """

    def __init__(self, *, begins: bool = False) -> None:
        self.ended_unbegun = False  # a thought ended that no mark had begun
        self._holds = begins  # until it is known whether it is one
        self._held: list[str] = []
        self._held_chars = 0
        self._state: State = "said"
        self._tail = ""  # what may be the beginning of a mark
        self._head = ""
        self._blank = ""  # between words: whether it is said is seen by what follows
        self._after_thought = False
        self._thought_begun = False
        self._said = False
        self._last = ""  # of what was said
        self._before = ""  # of what was read

    def feed(self, text: str) -> Iterator[StreamPart]:
        """Yield the parts of a text."""
        if self._flows and not ("<" in text or "[" in text or "◁" in text) and text:
            self._last = self._before = text[-1]  # for each token: it must be quick
            yield text
            return
        text, self._tail = self._tail + text, ""
        at = run = 0  # from `run` on nothing is told yet
        while match := _MARK.search(text, at):
            at = match.end()
            if self._is_quoted(text, match.start()):
                continue
            yield from self._mark(match, text[run : match.start()])
            run = at
        rest = text[run:]
        keep = _begun_mark(rest)
        self._tail = rest[len(rest) - keep :] if keep else ""
        self._before = text[len(text) - keep - 1] if keep < len(text) else self._before
        yield from self._tell(rest[: len(rest) - keep])

    @property
    def _flows(self) -> bool:
        """True if text is passed on as it comes, and nothing is held back."""
        waits = self._tail or self._holds or self._after_thought
        return self._said and self._state == "said" and not waits

    def pause(self) -> Iterator[StreamPart]:
        """Yield what was held back, as the answer seems to have ended."""
        tail, self._tail = self._tail, ""
        yield from self._tell(tail)
        yield from self.trust()
        if self._blank and not self._after_thought:
            blank, self._blank = self._blank, ""
            yield blank

    def trust(self) -> Iterator[StreamPart]:
        """Yield held text as words: the server separates thoughts itself, or no mark ended one."""
        held, self._held, self._holds = "".join(self._held), [], False
        if held:
            yield from self._say(held)

    def _mark(self, match: re.Match[str], before: str) -> Iterator[StreamPart]:
        """Yield the text before a mark, then apply the mark."""
        word = match[0].lower()
        if self._state == "head":
            yield from self._read_head(word, before)
            return
        closes = bool(match["end"]) or word in _CLOSING
        opens = not closes and (word in _OPENING or match["end"] == "")
        if closes and self._state == "said" and word not in _ENDS:
            self.ended_unbegun = True
            yield from self._think(self._taken() + before)
        else:
            yield from self._tell(before)
        if word in _DROPPED or word == _BODY:
            return
        if word in _HEADS:
            yield from self.trust()
            self._state, self._head = "head", ""
        elif opens and not match["empty"]:
            yield from self.trust()
            self._thought_begun = self._thought_begun and self._state == "thought"
            self._state = "thought"
        elif self._state == "thought" or closes or match["empty"]:
            self._state = "said"
            self._after_thought = True

    def _read_head(self, word: str, before: str) -> Iterator[StreamPart]:
        """Read a channel's head, whose name says what the channel's body is."""
        self._head = (self._head + before)[:_MOST_HEAD]
        if word in _HEADS:
            self._head = ""
            return
        channel = self._head.strip().lower()
        to_caller = channel.startswith(("final", "assistant")) or not channel
        to_caller = to_caller or (channel.startswith("commentary") and " to=" not in channel)
        if word == _BODY:
            self._state = "said" if to_caller else "thought"
            self._thought_begun = False
        else:
            self._state = "said"
        self._after_thought = True
        yield from ()

    def _tell(self, text: str) -> Iterator[StreamPart]:
        if not text:
            return
        if self._state == "thought":
            yield from self._think(text)
        elif self._state == "head":
            self._head = (self._head + text)[:_MOST_HEAD]
        elif self._holds:
            self._held.append(text)
            self._held_chars += len(text)
            if self._held_chars > _MOST_HELD:
                raise garbled()
        else:
            yield from self._say(text)

    def _say(self, text: str) -> Iterator[StreamPart]:
        """Yield words, without the blanks between a thought and them."""
        words = text.lstrip() if self._after_thought or not self._said else text
        if not words:
            self._blank = (self._blank + text)[:_MOST_BLANK]
            return
        blank = self._blank + text[: len(text) - len(words)]
        if self._after_thought and (not self._said or self._last.isspace()):
            blank = ""
        self._blank, self._after_thought, self._said = "", False, True
        self._last = words[-1]
        yield blank + words

    def _think(self, text: str) -> Iterator[StreamPart]:
        if not self._thought_begun:
            text = text.lstrip()
        if text:
            self._thought_begun = True
            yield PassThrough({"delta": {"reasoning_content": text}})

    def _taken(self) -> str:
        held, self._held, self._holds = "".join(self._held), [], False
        if not self._said:
            held, self._blank = self._blank + held, ""
        self._thought_begun = False
        return held

    def _is_quoted(self, text: str, at: int) -> bool:
        before = text[at - 1] if at else self._before
        return before == "`" and self._state == "said"


def _begun_mark(text: str) -> int:
    """Return how many characters at the text's end may begin a mark."""
    for begin in range(len(text) - 1, max(-1, len(text) - _MOST_MARK), -1):
        char = text[begin]
        if char in "<[◁" and _may_become(text[begin:].lower()):
            return len(text) - begin
    return 0


def _may_become(text: str) -> bool:
    if any(token.startswith(text) for token in _TOKENS):
        return True
    if not (match := _BEGUN_TAG.match(text)):
        return False
    name, rest = match.groups()
    if rest:
        return name in _NAMES and "<" not in rest and (rest[0].isspace() or rest == "/")
    return any(known.startswith(name) for known in _NAMES)
