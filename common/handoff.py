"""The hand-over's two questions: has the full overtaken, and where does the draft stop. Pure."""

from common.lane_state import LaneState
from common.policy import HandoffPolicy
from common.seam import in_word, word_boundary


def overtakes(policy: HandoffPolicy, draft: LaneState, full: LaneState, spoken: int) -> bool:
    """Whether the full holds enough to take over from a draft of which `spoken` characters were released."""
    if full.failed or not full.speaks:
        return False
    if full.calls or full.over or draft.over or not spoken:
        return True  # there is nothing left to wait for
    if policy.when == "first_token":
        return True
    if policy.when == "length":
        return len(full.text) >= spoken
    return bool(full.sentences.ends) or len(full.text) >= policy.min_chars


def cut(policy: HandoffPolicy, draft: LaneState, full: LaneState, floor: int, spoken: int) -> int | None:
    """Where in its text the draft stops, or None while it may still go on.

    `floor` is what of it was released when the full overtook, `spoken` what is now.
    """
    if not floor or policy.cut == "now":
        return spoken
    if floor in draft.sentences.ends or (floor == len(draft.text) and draft.sentences.rests):
        return floor
    end = next((end for end in draft.sentences.ends if end > floor), None)
    if end is not None and end - floor <= policy.overrun_chars:
        return end
    if draft.over and len(draft.text) - floor <= policy.overrun_chars:
        return len(draft.text)
    full_waits = len(full.sentences.ends) > 1 or full.over
    if full_waits or draft.over or len(draft.text) - floor >= policy.overrun_chars:
        return max(spoken, may_say(policy, draft, floor))
    return None


def cuts_word(draft: LaneState, place: int) -> bool:
    """Whether a draft that stopped here would stop in the middle of a word, as far as can be known."""
    return not draft.over and in_word(draft.text, place)


def may_say(policy: HandoffPolicy, draft: LaneState, floor: int) -> int:
    """How far the draft may be released while it finishes its sentence: whole words, within the overrun."""
    return word_boundary(draft.text, floor, floor + policy.overrun_chars)
