"""A turn in one piece, for clients that don't stream: its answer as a completion, or the turn itself."""

from typing import Any

from api.turns.live import LiveTurn
from api.turns.merging import MergedChoice
from common.errors import presented
from common.turn.outputs import PassedThrough, ToolCalled, TurnEnding

# What is no whole answer never ends with `stop`. `length` is OpenAI's own word for one that was cut; `error`
# is what others say, behind an error at which OpenAI's clients stop reading.
_FINISH = {"interrupted": "length", "superseded": "length", "error": "error"}
_SAID = ("role", "content", "tool_calls")  # of the first choice these are what was heard


def whole_answer(live: LiveTurn) -> dict[str, Any]:
    """Return the answer of a turn that has ended, as one completion object."""
    ending = ending_of(live)
    text, calls = live.text, whole_calls(live)
    choices: dict[int, MergedChoice] = {0: MergedChoice()}
    for output in live.outputs:
        if isinstance(output, PassedThrough):
            choices.setdefault(_index(output.choice), MergedChoice()).add(output.choice)
    first = choices.pop(0)
    message: dict[str, Any] = {"role": "assistant", "content": text or (None if calls else "")}
    if calls:
        message["tool_calls"] = calls
    message |= {key: value for key, value in first.message().items() if key not in _SAID}
    told = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason(ending)}
    others = [_other_choice(index, choices[index]) for index in sorted(choices)]
    answer = {"choices": [{**told, **first.rest()}, *others], "usage": live.usage}
    if ending.reason in ("interrupted", "superseded"):
        answer["fast_reply"] = ending_mark(ending)
    return {**completion_head(live, "chat.completion"), **answer}


def turn_object(live: LiveTurn) -> dict[str, Any]:
    """Return the turn as it stands; with its ending, and the answer as a completion, where it has ended."""
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


def completion_head(live: LiveTurn, kind: str) -> dict[str, Any]:
    """Return what every chunk, and the whole answer, begins with."""
    return {
        "id": f"chatcmpl-{live.turn.turn}",
        "object": kind,
        "created": live.created_s,
        "model": live.started.reply.get("model") or live.started.profile,
    }


def ending_of(live: LiveTurn) -> TurnEnding:
    """Return the ending of a turn that has ended."""
    assert live.fold.ending is not None, "the turn goes on"
    return live.fold.ending


def whole_calls(live: LiveTurn) -> list[dict[str, Any]]:
    """Return the turn's tool calls as a message holds them."""
    return [output.call.whole() for output in live.outputs if isinstance(output, ToolCalled)]


def finish_reason(ending: TurnEnding) -> str:
    """Return OpenAI's word for an ending."""
    return _FINISH.get(ending.reason, ending.reason)


def is_cut(ending: TurnEnding) -> bool:
    """Return True if the answer ends before it is whole, for which OpenAI has no word."""
    return ending.reason in _FINISH


def ending_mark(ending: TurnEnding) -> dict[str, Any]:
    """Return how a turn ended, where OpenAI has no word for it."""
    return {"ended": ending.reason, "ms": ending.at_ms, "degraded": ending.degraded}


def _other_choice(index: int, choice: MergedChoice) -> dict[str, Any]:
    """Return one of the answers that `n` asks for besides the first, which alone is spoken."""
    message = {"role": "assistant", "content": None, **choice.message()}
    return {"index": index, "message": message, "finish_reason": None, **choice.rest()}


def _index(choice: dict[str, Any]) -> int:
    index = choice.get("index")
    return index if isinstance(index, int) else 0
