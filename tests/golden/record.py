"""Records golden sessions anew by the simulator: `python -m tests.golden.record [NAME…]`, without names all.

Only for a new session, or a fold that is to say something else than before: the difference is the review.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from bench.stack import Shape, Stack
from cli.golden_sessions import assert_unchanged, keep
from common.turn.joins.registry import JOINS

FOLDER = Path(__file__).parent
DRAFT = "Good question, let me see. We open at nine. Shall I look up"
FULL = "We open at nine. On Mondays we stay closed. The tram stops at our door."
ASKED = {"messages": [{"role": "user", "content": "When do you open?"}], "stream": True}
SLOW_FULL = {"ttft_ms": 300, "tpot_ms": 8, "text": FULL}
CALL = {"name": "opening_hours", "arguments": '{"day":"Monday"}', "id": "call_1"}
TOOL = {"type": "function", "function": {"name": "opening_hours", "parameters": {"type": "object"}}}
_WORKER = re.compile(rb'"worker":"[^"]*"')


def record() -> Iterator[str]:
    """Record all sessions; their names."""
    shape = Shape(env={"FAST_REPLY_FALLBACKS": '[{"model": "spare"}]'})
    with (
        Stack(shape) as stack,
        httpx.Client(base_url=f"http://127.0.0.1:{stack.port}", trust_env=False) as api,
    ):
        stack.behave("draft", ttft_ms=60, tpot_ms=30, text=DRAFT)
        stack.behave("spare", ttft_ms=20, tpot_ms=8, text=FULL)
        for join in JOINS:
            stack.behave("full", **SLOW_FULL)
            yield _turn(api, f"join-{join}", handoff={"join": join})
        stack.behave("full", **{**SLOW_FULL, "ttft_ms": 700})
        filler = {"phrases": {"en": ["One moment, please."]}, "delay_ms": 200}
        yield _turn(api, "filler", draft={"when": "never"}, filler=filler)
        stack.behave("full", ttft_ms=300, tpot_ms=8, tool_calls=[CALL])
        yield _turn(api, "tool-call", body={"tools": [TOOL]})
        stack.behave("full", **{**SLOW_FULL, "cut_after": 6})
        yield _turn(api, "fallback")
        stack.behave("full", ttft_ms=300, status=500)
        stack.behave("spare", status=500)
        yield _turn(api, "degraded", draft={"style": "answer"})
        stack.behave("full", **{**SLOW_FULL, "stall_after": 8})
        yield _turn(api, "interrupted", interrupt_after="On")


def _turn(
    api: httpx.Client,
    name: str,
    *,
    body: dict[str, Any] | None = None,
    interrupt_after: str = "",
    **policy: Any,
) -> str:
    """Have one turn in a session, and write the session down."""
    asked = {**ASKED, **(body or {}), "session_id": name, "fast_reply": {"policy": policy}}
    with api.stream("POST", "/v1/chat/completions", json=asked) as answer:
        answer.raise_for_status()
        for line in answer.iter_lines():
            if interrupt_after and interrupt_after in line:
                api.post(f"/v1/sessions/{name}/interrupt", json={"heard_chars": 20}).raise_for_status()
    if len(sys.argv) > 1 and name not in sys.argv[1:]:
        return f"{name} is left as it was"
    path = FOLDER / f"{name}.jsonl"
    export = api.get(f"/v1/sessions/{name}/export").raise_for_status().content
    path.write_bytes(_WORKER.sub(b'"worker":"w"', export))  # the machine is nobody's business
    keep(path)
    assert_unchanged(path)
    return name


if __name__ == "__main__":
    for recorded in record():
        print(recorded)
