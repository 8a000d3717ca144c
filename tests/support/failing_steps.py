"""A part's own step that fails at first, as where the store is away for a moment."""

from dataclasses import dataclass
from typing import Any

import pytest

from common.store.redis import StoreUnavailable


@dataclass
class Away:
    """How often the step is yet to fail, and how often it was taken after that."""

    left: int = 2
    done: int = 0


def fail_first(monkeypatch: pytest.MonkeyPatch, part: Any, step: str, error: Exception | None = None) -> Away:
    """Let the first takes of a part's step fail; `left` is 0 once it was really met."""
    away, take = Away(), getattr(part, step)
    assert callable(take)

    async def failing(*args: Any, **named: Any) -> Any:
        if away.left:
            away.left -= 1
            raise error or StoreUnavailable(ConnectionError("away"))
        answer = await take(*args, **named)
        away.done += 1
        return answer

    monkeypatch.setattr(part, step, failing)
    return away
