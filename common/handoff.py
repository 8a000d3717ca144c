"""The hand-over's two questions: has the full overtaken, and where does the draft stop. Pure."""

from common.lane_state import LaneState
from common.policy import HandoffPolicy
from common.repeats import Opening
from common.seam import word_boundary
from common.sentences import rests_at_end

FINISH_MS = 1_000
"""So long the draft may take to finish its sentence once it is overtaken: speech is slower than text."""


def listen_ms(policy: HandoffPolicy) -> int:
    """Under `continue`: so long a draft that goes on is listened to; then the end of its sentence will do."""
    return policy.continue_wait_ms // 2


def finish_ms(policy: HandoffPolicy, continues: bool) -> int:
    """How long the draft may take to finish its sentence. Under `continue` the full waits for it."""
    return policy.continue_wait_ms - listen_ms(policy) if continues else FINISH_MS


def overtakes(
    policy: HandoffPolicy, full: LaneState, opening: Opening | None, begin: int, spoken: int
) -> bool:
    """Whether the full holds enough to take over from a draft that goes on and of which `spoken` is out.

    `begin` is where the first sentence of the full begins that is to be said.
    """
    new = len(full.text) - begin
    if full.over or policy.when == "first_token":
        return True
    if policy.when == "length":
        return new >= spoken
    if opening:
        return opening.overtakes(full.text, policy.min_chars)
    return bool(full.sentences.ends) or new >= policy.min_chars


def cut(policy: HandoffPolicy, draft: LaneState, floor: int, free: int) -> int | None:
    """Where in its text the draft stops, or None while it may still finish its sentence.

    `floor` is what of it was released when the full overtook, `free` what may be released at all.
    """
    if not floor or policy.cut == "now":
        return floor
    if len(draft.text[:floor].rstrip()) in draft.sentences.ends:
        return floor
    if floor == len(draft.text) and draft.sentences.rests:
        return floor
    end = next((end for end in draft.sentences.ends if end > floor), None)
    if end is not None and end - floor <= policy.overrun_chars:
        return min(end, free)
    if draft.over and len(draft.text) - floor <= policy.overrun_chars:
        return min(len(draft.text), free)
    return None


def overruns(policy: HandoffPolicy, draft: LaneState, floor: int) -> bool:
    """Whether the draft's sentence goes on for longer than it may."""
    return draft.over or len(draft.text) - floor > policy.overrun_chars


def may_say(policy: HandoffPolicy, draft: LaneState, floor: int) -> int:
    """How far the draft may be released while it finishes its sentence: whole words, within the overrun."""
    return word_boundary(draft.text, floor, floor + policy.overrun_chars)


def is_whole(draft: LaneState, place: int) -> bool:
    """Whether the draft's text up to this place breaks off no sentence."""
    end = len(draft.text[:place].rstrip())
    known = draft.sentences.ends
    if draft.finished and draft.finished.reason != "stop":
        known = known[:-1]  # the last one is where it was broken off
    return not end or end in known or rests_at_end(draft.text[:place])
