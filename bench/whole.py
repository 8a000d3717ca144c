"""Checks that what was heard is the beginning of the draft and all of the full, each character once."""

import re

from bench.client import Reply
from common.text.sentences import Sentences, rests_at_end

SEAM = re.compile(r"…?[*_~`\n]*\s*")
LONGEST_SEAM = 12
FULL_ALONE = "full alone"
SENTENCE_END = "sentence end"
DRAFT_END = "draft's end"
SEEMING_END = "seeming end"
WORD_END = "word boundary"
KINDS = (FULL_ALONE, SENTENCE_END, DRAFT_END, SEEMING_END, WORD_END)
"""Where a draft may be cut. A seeming end is a sentence's end as far as could be known when it was cut."""

_UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u9fff]")


class NotWhole(AssertionError):
    """Text was lost, doubled, out of order, or cut where it must not be."""


def judge(reply: Reply, draft: str, full: str) -> str:
    """Return the kind of cut of a streamed answer with marked lanes. Raises NotWhole."""
    if not reply.whole:
        raise NotWhole(f"the answer broke off: status {reply.status}, {reply.error}")
    lanes = [piece.lane for piece in reply.pieces]
    if lanes != sorted(lanes) or not set(lanes) <= {"draft", "full"}:
        raise NotWhole(f"the lanes are out of order: {list(dict.fromkeys(lanes))}")
    said, answer = reply.lane("draft"), reply.lane("full")
    if not draft.startswith(said):
        raise NotWhole(f"not the draft's beginning: …{said[-60:]!r}")
    body = full.lstrip() if said else full
    if not answer.endswith(body) or not SEAM.fullmatch(answer.removesuffix(body)):
        raise NotWhole(f"not the full's text: {answer[:60]!r}…{answer[-60:]!r}")
    return _kind(draft, len(said))


def judge_text(text: str, draft: str, full: str) -> str:
    """Return the kind of cut of an answer without marks. Raises NotWhole."""
    if text == full:
        return FULL_ALONE
    body = full.lstrip()
    if text.endswith(body):
        before = text.removesuffix(body)
        for place in range(len(before), max(0, len(before) - LONGEST_SEAM) - 1, -1):
            if draft.startswith(before[:place]) and SEAM.fullmatch(before, place):
                try:
                    return _kind(draft, place)
                except NotWhole:
                    continue
    raise NotWhole(f"neither draft nor full, or cut in a word: {text[:60]!r}…{text[-60:]!r}")


def _kind(draft: str, place: int) -> str:
    if not place:
        return FULL_ALONE
    if place == len(draft):
        return DRAFT_END
    sentences = Sentences()
    sentences.feed(draft)
    sentences.close()
    said = draft[:place]
    if len(said.rstrip()) in sentences.ends:
        return SENTENCE_END
    if rests_at_end(said):
        return SEEMING_END
    before, after = draft[place - 1], draft[place]
    # Scripts without spaces may be cut between any two characters.
    if not (before.isalnum() and after.isalnum()) or _UNSPACED.match(before) or _UNSPACED.match(after):
        return WORD_END
    raise NotWhole(
        f"the draft is cut in a word: …{draft[max(0, place - 40) : place]!r}|{draft[place:][:20]!r}"
    )
