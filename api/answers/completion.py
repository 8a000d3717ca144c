"""A turn in one piece, for clients that don't stream: its answer as a completion, or the turn itself."""

from typing import Any

from api.answers.chunks import completion_head, ending_mark, finish_reason, whole_call
from api.turns.live import LiveTurn
from api.turns.merging import MergedChoice
from common.errors import presented
from common.turn.outputs import PassedThrough, TextReleased, ToolCalled

_SAID = ("role", "content", "tool_calls")  # of the first choice these are what was heard


def whole_answer(live: LiveTurn) -> dict[str, Any]:
    """The answer of a turn that has ended, as one completion object."""
    text: list[str] = []
    calls: list[dict[str, Any]] = []
    choices: dict[int, MergedChoice] = {0: MergedChoice()}
    ending = live.fold.ending
    assert ending is not None, "the turn goes on"
    for release in live.outputs:
        if isinstance(release, TextReleased):
            text.append(release.text)
        elif isinstance(release, ToolCalled):
            calls.append(whole_call(release))
        elif isinstance(release, PassedThrough):
            choices.setdefault(_index(release.choice), MergedChoice()).add(release.choice)
    first = choices.pop(0)
    message: dict[str, Any] = {"role": "assistant", "content": "".join(text) or (None if calls else "")}
    if calls:
        message["tool_calls"] = calls
    message |= {key: value for key, value in first.message().items() if key not in _SAID}
    told = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason(ending)}
    others = [_other_choice(index, choices[index]) for index in sorted(choices)]
    answer = {"choices": [{**told, **first.rest()}, *others], "usage": live.usage}
    if ending.reason in ("interrupted", "superseded"):
        answer["fast_reply"] = ending_mark(ending)
    return {**completion_head(live, "chat.completion"), **answer}


def _other_choice(index: int, choice: MergedChoice) -> dict[str, Any]:
    """One of the answers that `n` asks for besides the first, which alone is spoken."""
    message = {"role": "assistant", "content": None, **choice.message()}
    return {"index": index, "message": message, "finish_reason": None, **choice.rest()}


def _index(choice: dict[str, Any]) -> int:
    index = choice.get("index")
    return index if isinstance(index, int) else 0


def turn_object(live: LiveTurn) -> dict[str, Any]:
    """The turn as it stands; with its ending, and the answer as a completion, where it has ended."""
    turn: dict[str, Any] = {
        "id": live.turn.turn,
        "object": "turn",
        "session": live.turn.session.session,
        "created": live.created_s,
        "status": "live",
        "text": live.text,
    }
    if ending := live.fold.ending:
        told = {
            "reason": ending.reason,
            "degraded": ending.degraded,
            "error": ending.error and presented(ending.error),
        }
        turn |= {"status": "ended", **told, "answer": whole_answer(live)}
    return turn
