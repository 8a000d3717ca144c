"""Judges one turn of `bench.handover`: what was heard, what waited, and the best there could be."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from bench.data import Answered
from bench.pace import Pace
from cli.whatif import judge
from cli.whatif.tally import heard_draft, informed_ms, left_out, repeats
from common.events import Delta
from common.names import Lane
from common.records.replay import ReplayedTurn
from common.text.sentences import Sentences, split_sentences
from common.turn.outputs import TextReleased
from simulator.tokens import split_tokens


@dataclass(frozen=True, slots=True)
class Measures:
    """One turn under one join, beside `append` and each model alone. None where it has no such moment."""

    counted: bool  # the draft had spoken at least a sentence, under `append`
    repeats: bool
    left_out: bool
    wrong: bool
    all_left_out: bool
    opened_ms: int  # how much longer the longest silence was than under `append`
    informed_later_ms: int  # than by the full alone
    sound_later_ms: int | None  # than by the draft alone
    waited_ms: int | None  # from overtaking to the handover
    beyond_ms: int | None  # of that, after the end of the sentence that the draft was in
    slowed_ms: int | None  # how long after the handover, or its own end, the full's first sentence was out


def measure(folded: ReplayedTurn, appended: ReplayedTurn, alone: ReplayedTurn) -> Measures:
    """Measure one turn."""
    missing = left_out(folded)
    spoken = heard_draft(folded)
    handed_ms, overtaken_ms = folded.fold.handover_ms, folded.fold.overtaken_ms
    handed = handed_ms is not None and overtaken_ms is not None and bool(folded.fold.spoken["draft"])
    return Measures(
        counted=bool(whole_sentences(appended)),
        repeats=repeats(folded),
        left_out=bool(missing),
        wrong=any(judge.wrongly_left_out(sentence, spoken) for sentence in missing),
        all_left_out=bool(missing) and not any(p.lane == "full" and p.text.strip() for p in folded.said),
        opened_ms=longest_gap_ms(folded.said) - longest_gap_ms(appended.said),
        informed_later_ms=_informed(folded) - _informed(alone),
        sound_later_ms=_sound_later(folded),
        waited_ms=handed_ms - overtaken_ms if handed and handed_ms and overtaken_ms else None,
        beyond_ms=_beyond(folded, overtaken_ms, handed_ms) if handed and handed_ms and overtaken_ms else None,
        slowed_ms=_slowed(folded, handed_ms) if handed and handed_ms else None,
    )


def whole_sentences(folded: ReplayedTurn) -> int:
    """Return how many whole sentences the draft has spoken."""
    draft, spoken = folded.fold.draft, folded.fold.spoken["draft"]
    return sum(end <= spoken for end in draft.sentences.ends)


def longest_gap_ms(said: Sequence[TextReleased]) -> int:
    """The longest time between two texts."""
    return max((b.at_ms - a.at_ms for a, b in pairwise(said)), default=0)


def _informed(folded: ReplayedTurn) -> int:
    """Return when the caller was first informed; if nothing informs, when all was said."""
    ms = informed_ms(folded.said, drafts=True)
    return ms if ms is not None else folded.said[-1].at_ms if folded.said else 0


def _sound_later(folded: ReplayedTurn) -> int | None:
    first = next((piece for piece in folded.said if piece.text.strip()), None)
    if first is None or first.lane != "draft":
        return None  # the full was first
    policy = folded.fold.policy.draft
    if policy.guard or policy.release == "sentence":
        text = str(folded.fold.draft.text)
        return first.at_ms - _came_ms(folded, "draft", len(split_sentences(text)[0].rstrip()))
    return first.at_ms - _came_ms(folded, "draft", 1)


def _beyond(folded: ReplayedTurn, overtaken_ms: int, handed_ms: int) -> int:
    """Return how long the full waited after the end of the draft's sentence."""
    at = folded.fold.draft
    floor = sum(
        len(event.text)
        for ms, event in folded.turn.events
        if isinstance(event, Delta) and event.lane == "draft" and ms <= overtaken_ms
    )
    sentences = Sentences()
    sentences.feed(str(at.text))
    sentences.close()
    end = next((end for end in sentences.ends if end >= floor), len(at.text))
    return max(0, handed_ms - max(overtaken_ms, _came_ms(folded, "draft", end)))


def _slowed(folded: ReplayedTurn, handed_ms: int) -> int | None:
    """Return how long the full's first sentence was held after it was whole and could be released."""
    fold = folded.fold
    begin = fold.full_gate.opening.begin or 0
    end = next((end for end in fold.full.sentences.ends if end > begin), None)
    if end is None:
        return None
    own = [piece for piece in folded.said if piece.lane == "full"]
    text = "".join(piece.text for piece in own)
    sentence = fold.full.text[begin:end].strip()
    place = text.find(sentence)
    if place < 0:
        return None
    upto = list(accumulate(len(piece.text) for piece in own))
    out_ms = own[bisect_left(upto, place + len(sentence))].at_ms
    return out_ms - max(handed_ms, _came_ms(folded, "full", end))


def _came_ms(folded: ReplayedTurn, lane: Lane, count: int) -> int:
    """Return when a lane's text reached this length."""
    for ms, event in folded.turn.events:
        if not isinstance(event, Delta) or event.lane != lane:
            continue
        if event.at + len(event.text) >= count and event.text.strip():
            return ms
    return 0


def floor(answered: Answered, pace: Pace, look: int = 6) -> bool:
    """Return True if even a rule that knew both answers, and this judge, would let the full repeat.

    It leaves out each of the first sentences that resembles one that the draft had spoken when the full held
    its first sentence, unless the judge would miss it. The silence that this opens doesn't count.
    """
    draft, full = split_tokens(answered.draft), split_tokens(answered.full)
    sentences, over_ms = Sentences(), pace.times_ms("draft", len(draft))[-1]
    for now_ms, token in zip(pace.times_ms("full", len(full)), full, strict=True):
        sentences.feed(token)
        if sentences.ends or now_ms >= over_ms:
            break
    spoken = "".join(
        t for t, ms in zip(draft, pace.times_ms("draft", len(draft)), strict=True) if ms <= now_ms
    )
    known = split_sentences(spoken)
    said = [
        part
        for part in split_sentences(answered.full)[:look]
        if not judge.repeats([part], known) or judge.wrongly_left_out(part, spoken)
    ]
    return judge.repeats(said, known)
