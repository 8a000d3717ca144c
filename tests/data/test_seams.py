"""Real drafts overtaken by real answers at every place: no seam shows, no half sentence goes unmarked."""

import re
import unicodedata
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from bench import data
from common.events import Delta, Event, LaneFinished, LaneStarted, TurnStarted
from common.text.sentences import Sentences, rests_at_end
from common.turn.fold import Fold
from common.turn.outputs import TextReleased
from common.turn.policy import Policy
from common.turn.version import FOLD_VERSION
from simulator.tokens import split_tokens
from tests.support.data_sample import ALL

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(bool(data.missing()), reason=data.missing() or "the data is there"),
]

TURN = "aaaaaaaaaaaa"
PAIRS = 20  # of a language
EVERY = {"sentence": 1, "now": 5} if ALL else {"sentence": 40, "now": 60}  # tokens between two cuts tried
OVERRUN = Policy().handoff.overrun_chars
OPENING = 250  # characters of the full that are there when it overtakes

_UNSPACED = re.compile(r"[\u2e80-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef]")
_SEAM = re.compile(r"(…?)([*_~`]*)(\s*)")


@dataclass(frozen=True)
class Pair:
    """A draft and a full that really were said to one prompt."""

    draft: str
    full: str
    tokens: tuple[str, ...]
    ends: tuple[int, ...]  # of the draft's sentences


def pairs(path: Path) -> Iterator[Pair]:
    """Some of a file's pairs, the same ones each time."""
    lines = path.read_bytes().splitlines()
    for line in lines[:: len(lines) // PAIRS][:PAIRS]:
        row = orjson.loads(line)
        sentences = Sentences()
        sentences.feed(row["draft"])
        sentences.close()
        yield Pair(row["draft"], row["full"], split_tokens(row["draft"]), tuple(sentences.ends))


def overtake(pair: Pair, token: int, policy: dict[str, Any]) -> tuple[str, str]:
    """What is heard of draft and full, where the full comes when the draft has said so many tokens."""
    lanes = {"draft": {"model": "d", "prompt": ""}, "full": {"model": "f", "prompt": ""}}
    rules = Policy.model_validate(policy).model_dump(mode="json")
    fold = Fold(TurnStarted(TURN, "p", {"messages": []}, rules, lanes, "on", 1, FOLD_VERSION))
    said = {"draft": "", "full": ""}

    def feed(event: Event) -> None:
        for release in fold.feed(event, 0):
            if isinstance(release, TextReleased):
                said[release.lane] += release.text

    def say(lane: Any, at: int, text: str) -> int:
        feed(Delta(TURN, lane, 1, at, text, 0))
        return at + len(text)

    for lane in ("draft", "full"):
        feed(LaneStarted(TURN, lane, 1, "w"))
    # How the text was cut changes nothing, which other tests see to.
    at = say("draft", 0, "".join(pair.tokens[:token]))
    length = say("full", 0, pair.full[:OPENING])
    for piece in pair.tokens[token:]:
        if fold.full_speaks:
            break
        at = say("draft", at, piece)
    if not fold.full_speaks:
        feed(LaneFinished(TURN, "draft", 1, at, "stop", None, None, 0))
    feed(LaneFinished(TURN, "full", 1, length, "stop", None, None, 0))
    assert fold.ending and fold.ending.reason == "stop"
    return said["draft"], said["full"]


def wrong_with(pair: Pair, token: int, cut: str, draft: str, full: str) -> str:
    """What is wrong where these two meet; empty where nothing is."""
    if not draft:
        return ""  # there is no seam
    place = len(draft)
    seam = _SEAM.match(full)
    assert seam is not None
    mark, closed, gap = seam.groups()
    if not pair.draft.startswith(draft):
        return "not the draft's beginning"
    if not is_boundary(pair.draft, place):
        return "half a character"
    if cut == "sentence" and not is_whole(pair, place):
        floor = sum(map(len, pair.tokens[:token]))
        end = next((end for end in pair.ends if end > floor), len(pair.draft))
        if not mark:
            return "half a sentence"
        if end - floor <= OVERRUN:
            return "a sentence cut that might have ended"
    elif mark and rests_at_end(draft):  # not where it can only be told from what follows
        return "a whole sentence marked as broken off"
    if is_open(pair.draft[: paragraph_end(pair.draft, place)]) is False and is_open(draft + mark + closed):
        return "open Markdown"
    return wrong_gap(draft, gap, full[seam.end() :])


def is_whole(pair: Pair, place: int) -> bool:
    said = len(pair.draft[:place].rstrip())
    return said in (0, len(pair.draft.rstrip())) or said in pair.ends or rests_at_end(pair.draft[:place])


def wrong_gap(before: str, gap: str, after: str) -> str:
    """What is wrong with the blanks between two texts, of which the first may bring some too."""
    blanks = before[len(before.rstrip()) :] + gap
    last, first = before.rstrip()[-1:], after[:1]
    if not (last and first):
        return ""
    unspaced = _UNSPACED.match(last) or _UNSPACED.match(first)
    if not blanks and not unspaced:
        return "no space"
    if blanks == " " and _UNSPACED.match(last) and _UNSPACED.match(first):
        return "a space that is none in this script"
    # Two blanks at a line's end are a line break in Markdown.
    if "  " in blanks.replace("  \n", "\n") or blanks.count("\n") > 2:
        return f"too much space: {blanks!r}"
    return ""


def paragraph_end(text: str, place: int) -> int:
    """The end of the paragraph in which a place is."""
    found = re.compile(r"\n\s*\n|\n(?=\s*(?:[-*+•#|>]|\d+[.)])\s)").search(text, place)
    return found.start() if found else len(text)


def is_open(text: str) -> bool:
    """Whether the last paragraph has a bold or code that doesn't close."""
    part = re.split(r"\n\s*\n|\n(?=\s*(?:[-*+•#|>]|\d+[.)])\s)", text)[-1]
    return part.count("**") % 2 == 1 or part.count("`") % 2 == 1


def is_boundary(text: str, place: int) -> bool:
    """Whether a text can be cut here without cutting a character as readers see it."""
    if not 0 < place < len(text):
        return True
    before, after = text[place - 1], text[place]
    joined = before == "\u200d" or after in "\u200d\ufe0f" or "\U0001f3fb" <= after <= "\U0001f3ff"
    flags = re.search("[\U0001f1e6-\U0001f1ff]*$", text[:place])
    flag = bool(flags and len(flags[0]) % 2) and "\U0001f1e6" <= after <= "\U0001f1ff"
    jamo = "\u1160" <= after <= "\u11ff"
    return not (joined or flag or jamo or unicodedata.category(after)[0] == "M" or before + after == "\r\n")


@pytest.mark.parametrize("join", ["append", "skip_repeat"])
@pytest.mark.parametrize("cut", ["sentence", "now"])
def test_no_seam_shows_wherever_a_real_draft_is_overtaken(
    join: str, cut: str, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong: list[str] = []
    counts: Counter[str] = Counter()
    every = EVERY[cut] * (1 if join == "skip_repeat" else 5)
    for path in data.answer_files():
        for pair in pairs(path):
            counts["pairs"] += 1
            for token in range(1, len(pair.tokens), every):
                policy = {"handoff": {"join": join, "cut": cut}}
                draft, full = overtake(pair, token, policy)
                counts["places"] += 1
                counts["broken off"] += full.startswith("…")
                problem = wrong_with(pair, token, cut, draft, full)
                if problem:
                    wrong.append(f"{path.stem}: {problem}: …{draft[-60:]!r} | {full[:60]!r}")
    with capsys.disabled():
        print(f"\n{join}, {cut}: " + ", ".join(f"{name} {count}" for name, count in counts.items()))
    assert counts["pairs"] >= 60
    assert not wrong, f"{len(wrong)} of {counts['places']}:\n" + "\n".join(wrong[:30])


def test_real_texts_have_what_is_looked_for() -> None:
    """Otherwise nothing was tried."""
    found: Counter[str] = Counter()
    for path in data.answer_files():
        for pair in pairs(path):
            found["bold"] += "**" in pair.draft
            found["list"] += bool(re.search(r"^\s*(?:[-*]|\d+\.) ", pair.draft, re.M))
            found["places"] += bisect_left(pair.ends, len(pair.draft))
    assert all(count >= 3 for count in found.values()), found
