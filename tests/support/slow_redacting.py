"""Masks as no code of ours does: one turn never ends, one ends the process, one only the first time."""

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from workers.redaction import redacted_log
from workers.redaction.redacted_log import RedactionRequest, RewritePlan, make_plan, serve

redacted_log.TURN_CPU_S = 0.3
ONCE = Path(tempfile.gettempdir()) / f"fast-reply-test-{os.getppid()}-once"


def plan(asked: RedactionRequest, begin: Callable[[str], None]) -> RewritePlan:
    def break_at(turn: str) -> None:
        begin(turn)
        if turn in asked.dropped:
            return
        while turn.startswith("never"):
            pass
        if turn.startswith("crash"):
            os._exit(9)
        if turn.startswith("once") and not ONCE.exists():
            ONCE.touch()
            os._exit(9)

    return make_plan(asked, break_at)


serve(sys.stdin.buffer, sys.stdout.buffer, plan)
