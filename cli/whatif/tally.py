"""The figures of folded turns: of one turn, and of many put together, of which some are unknown."""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import accumulate

from cli.whatif import judge
from common.events import Delta, ToolPart
from common.records.recording import RecordedTurn
from common.records.replay import ReplayedTurn
from common.text.sentences import Sentences
from common.turn.outputs import TextReleased

_CHARS_A_TOKEN = 4  # where a lane has no usage


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one turn. Times in ms since its start; None where there was nothing."""

    first_sound_ms: int | None
    informed_ms: int | None
    repeats: bool
    misses: bool
    won: bool
    wasted: float
    degraded: bool
    failed: bool


def figures_of(folded: ReplayedTurn) -> Figures:
    """The figures of one turn that is known."""
    fold, said = folded.fold, folded.said
    first = next((piece for piece in said if not piece.text.isspace()), None)
    ending = fold.ending
    return Figures(
        first_sound_ms=first.at_ms if first else None,
        informed_ms=informed_ms(said, drafts=fold.policy.draft.style == "answer"),
        repeats=repeats(folded),
        misses=any(judge.wrongly_left_out(part, heard_draft(folded)) for part in left_out(folded)),
        won=first is not None and first.lane == "draft" and _is_earlier(first, folded.turn),
        wasted=_wasted(folded),
        degraded=ending is not None and ending.degraded,
        failed=ending is not None and ending.reason == "error",
    )


def heard_draft(folded: ReplayedTurn) -> str:
    """Return the part of the draft that was released."""
    return folded.fold.draft.text[: folded.fold.spoken["draft"]]


def draft_sentences(folded: ReplayedTurn) -> list[str]:
    """Return the draft's released sentences; the last one may be cut."""
    text = heard_draft(folded)
    ends = [end for end in folded.fold.draft.sentences.ends if end <= len(text)]
    return [text[a:b] for a, b in zip([0, *ends], [*ends, len(text)], strict=True) if text[a:b].strip()]


def left_out(folded: ReplayedTurn) -> list[str]:
    """Return the full's sentences that were left out."""
    fold = folded.fold
    return [fold.full.text[a:b] for a, b in fold.full_gate.opening.left_out if b <= fold.spoken["full"]]


def repeats(folded: ReplayedTurn) -> bool:
    """Return True if the full repeated what the draft had said."""
    if not folded.fold.spoken["draft"] or not folded.fold.spoken["full"]:
        return False
    opening = judge.first_sentences(piece.text for piece in folded.said if piece.lane == "full")
    return judge.repeats(opening, draft_sentences(folded))


def informed_ms(said: Iterable[TextReleased], *, drafts: bool) -> int | None:
    """Return when the first informative sentence was out: fillers, bridges and exclamations don't count."""
    pieces = list(said)
    for lane in ("draft", "full") if drafts else ("full",):
        own = [piece for piece in pieces if piece.lane == lane]
        end = _first_informing([piece.text for piece in own], whole=lane == "full")
        if end is not None:
            upto = list(accumulate(len(piece.text) for piece in own))
            return own[bisect_left(upto, end)].at_ms
    return None


def _first_informing(texts: list[str], *, whole: bool) -> int | None:
    """Return the end of the first informative sentence; the last one counts if the text is `whole`."""
    sentences, start, seen = Sentences(), 0, 0
    for text in [*texts, None]:
        if text is not None:
            sentences.feed(text)
        elif whole or sentences.rests:
            sentences.close()
        for end in sentences.ends[seen:]:
            if judge.informs(sentences.text[start:end]):
                return end
            start, seen = end, seen + 1
    return None


def _is_earlier(first: TextReleased, turn: RecordedTurn) -> bool:
    """Return True if this was heard before the full had said anything."""
    for ms, event in turn.events:
        if ms > first.at_ms:
            return True
        if isinstance(event, Delta | ToolPart) and event.lane == "full":
            blank = isinstance(event, Delta) and event.text.isspace()
            if not blank:
                return False
    return True


def _wasted(folded: ReplayedTurn) -> float:
    """Return the tokens that the draft made, as far as known, and nobody heard."""
    draft = folded.fold.draft
    made = folded.drafted or 0
    heard = min(made, folded.fold.spoken["draft"])
    if made == heard:
        return 0.0
    usage = draft.finished.usage if draft.finished else None
    tokens = (usage or {}).get("completion_tokens")
    rate = tokens / len(draft.text) if tokens and draft.text else 1 / _CHARS_A_TOKEN
    return float((made - heard) * rate)


@dataclass(slots=True)
class Times:
    """Times in ms: how often each occurred."""

    counts: Counter[int] = field(default_factory=Counter)

    def add(self, ms: int | None) -> None:
        """Count one, if there is one."""
        if ms is not None:
            self.counts[ms] += 1

    def percentile(self, share: float) -> int | None:
        """Return the smallest value that this percentage of all do not exceed."""
        rank = max(1, math.ceil(self.counts.total() * share / 100))
        for ms in sorted(self.counts):
            rank -= self.counts[ms]
            if rank <= 0:
                return ms
        return None

    def mean(self) -> float | None:
        """Their mean."""
        total = self.counts.total()
        return sum(ms * count for ms, count in self.counts.items()) / total if total else None


@dataclass(slots=True)
class Tally:
    """Many turns. Add each; then tallies of other processes."""

    turns: int = 0
    first_sound: Times = field(default_factory=Times)
    informed: Times = field(default_factory=Times)
    gap: Times = field(default_factory=Times)
    counts: Counter[str] = field(default_factory=Counter)
    wasted: float = 0.0

    def add(self, figures: Figures) -> None:
        """Count one turn."""
        self.turns += 1
        self.first_sound.add(figures.first_sound_ms)
        self.informed.add(figures.informed_ms)
        if figures.first_sound_ms is not None and figures.informed_ms is not None:
            self.gap.add(figures.informed_ms - figures.first_sound_ms)
        self.wasted += figures.wasted
        for name in ("repeats", "misses", "won", "degraded", "failed"):
            self.counts[name] += getattr(figures, name)

    def merge(self, other: "Tally") -> None:
        """Count another's turns."""
        self.turns += other.turns
        self.wasted += other.wasted
        self.counts.update(other.counts)
        for name in ("first_sound", "informed", "gap"):
            getattr(self, name).counts.update(getattr(other, name).counts)

    def share(self, name: str) -> float | None:
        """Return the share of turns that count under this name; None without turns."""
        return self.counts[name] / self.turns if self.turns else None

    def summary(self) -> dict[str, float | int | None]:
        """All figures by their name; None where nothing is known."""
        spread = {"p50": 50, "p95": 95}
        row: dict[str, float | int | None] = {"turns": self.turns}
        for name in ("first_sound", "informed", "gap"):
            times: Times = getattr(self, name)
            row |= {f"{name}_{p}_ms": times.percentile(share) for p, share in spread.items()}
        row["informed_mean_ms"] = self.informed.mean()
        row |= {
            f"{name}_share": self.share(name) for name in ("repeats", "misses", "won", "degraded", "failed")
        }
        row["wasted_tokens"] = self.wasted / self.turns if self.turns else None
        return row
